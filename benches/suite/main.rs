//! The benchmark suite: every kernel's time next to what the device could do at best, what a launch
//! costs, and a whole training step.

mod attention;
mod compare;
mod decode;
mod dispatch;
mod elementwise;
mod forecasters;
mod fourier;
mod harness;
mod input;
mod lif;
mod linalg;
mod models;
mod neuron;
mod norm;
mod optim;
mod options;
mod peers;
mod plot;
mod reduce;
mod report;
mod roofline;
mod scan;
mod spectral;
mod spike_product;
mod step;
mod text;
mod token;

use harness::Suite;
use options::{Options, USAGE};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(e) => return refuse(&e.to_string()),
    };
    if let Some(comparison) = options.comparison {
        return compare(&comparison);
    }
    let selection = options.device.clone().unwrap_or_else(|| "best".into());
    match spikegrad::Device::select(&selection) {
        Ok(device) if options.first_step => first_step(&device),
        Ok(device) => run(Suite::new(device, options)),
        Err(e) => refuse(&e.to_string()),
    }
}

/// One line, and the exit code of bad usage.
fn refuse(message: &str) -> ExitCode {
    eprintln!("suite: {message} (see --help)");
    ExitCode::from(2)
}

/// The exit code says whether the newer run is slower than allowed.
fn compare(comparison: &compare::Comparison) -> ExitCode {
    match comparison.outcome() {
        Ok(outcome) => {
            print!("{}", outcome.table);
            ExitCode::from(u8::from(outcome.slower > 0))
        }
        Err(e) => refuse(&e),
    }
}

fn first_step(device: &spikegrad::Device) -> ExitCode {
    match step::first_step(device) {
        Ok(loss) => {
            println!("loss {loss}");
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("suite: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut suite: Suite) -> ExitCode {
    if !suite.options.list {
        println!("device: {}\n", suite.device);
        report::print_head();
    }
    roofline::measure(&mut suite);
    elementwise::measure(&mut suite);
    reduce::measure(&mut suite);
    linalg::measure(&mut suite);
    roofline::check(&mut suite);
    lif::measure(&mut suite);
    neuron::measure(&mut suite);
    optim::measure(&mut suite);
    attention::measure(&mut suite);
    spike_product::measure(&mut suite);
    norm::measure(&mut suite);
    token::measure(&mut suite);
    decode::measure(&mut suite);
    scan::measure(&mut suite);
    spectral::measure(&mut suite);
    fourier::measure(&mut suite);
    dispatch::measure(&mut suite);
    step::measure(&mut suite);
    models::measure(&mut suite);
    forecasters::measure(&mut suite);
    peers::measure(&mut suite);
    if suite.options.list {
        return ExitCode::SUCCESS;
    }
    match report::write(&suite) {
        Ok(()) if suite.failures.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("suite: {e}");
            ExitCode::FAILURE
        }
    }
}
