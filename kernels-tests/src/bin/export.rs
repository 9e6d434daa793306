//! Writes a launch of every kernel and variant to a folder, with its text, inputs and what should come
//! out: `export OUT [--quick]`. Other programs run them, in browsers and elsewhere.

use kernels_tests::export::{launches, missing};
use lexopt::Arg;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("export: {e}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut out, mut quick) = (None, false);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("quick") => quick = true,
            Arg::Long("help") | Arg::Short('h') => {
                println!(
                    "export OUT [--quick]: a launch of every kernel and variant; with --quick of every kernel"
                );
                return Ok(());
            }
            Arg::Value(folder) if out.is_none() => out = Some(PathBuf::from(folder)),
            other => return Err(other.unexpected().into()),
        }
    }
    let out = out.ok_or("usage: export OUT [--quick]")?;
    let launches = launches(quick)?;
    spikegrad::write_launches(&out, &launches)?;
    let tensors: usize = launches.iter().flat_map(|l| &l.bindings).map(|b| b.before.len()).sum();
    println!("{} launches, {} KiB of tensors in {}", launches.len(), tensors >> 10, out.display());
    if !quick {
        missing(&launches).iter().for_each(|place| println!("not reached: {place}"));
    }
    Ok(())
}
