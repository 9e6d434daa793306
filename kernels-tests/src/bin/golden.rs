//! Computes golden cases with the crate's public operators and compares.
//!
//! `golden DIR [--device D] [--only PREFIX]`; exit code 1 if a case failed, 2 for bad input.

use kernels_tests::golden;
use spikegrad::Device;
use std::path::PathBuf;
use std::process::ExitCode;

struct Options {
    folder: PathBuf,
    device: String,
    only: String,
}

const USAGE: &str = "usage: golden DIR [--device D] [--only PREFIX]";

fn options() -> Result<Options, String> {
    use lexopt::prelude::*;
    let mut parser = lexopt::Parser::from_env();
    let (mut folder, mut device, mut only) = (None, "best".to_string(), String::new());
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        match argument {
            Long("device") => device = text(&mut parser)?,
            Long("only") => only = text(&mut parser)?,
            Value(value) if folder.is_none() => folder = Some(PathBuf::from(value)),
            other => return Err(format!("{}; {USAGE}", other.unexpected())),
        }
    }
    let folder = folder.ok_or(USAGE)?;
    Ok(Options { folder, device, only })
}

fn text(parser: &mut lexopt::Parser) -> Result<String, String> {
    let value = parser.value().map_err(|e| e.to_string())?;
    value.into_string().map_err(|v| format!("{} is no text", v.display()))
}

fn run() -> Result<bool, String> {
    let options = options()?;
    let files = golden::files(&options.folder, &options.only)?;
    let cases = golden::read(&files)?;
    if cases.is_empty() {
        let prefix = &options.only;
        return Err(format!("{}: no {prefix}*.json", options.folder.display()));
    }
    let device = Device::select(&options.device).map_err(|e| e.to_string())?;
    println!("device: {device}");
    let outcome = golden::run(&cases, &device);
    for (name, failure) in &outcome.failed {
        println!("{name}: {failure}");
    }
    println!("{} passed, {} failed", outcome.passed, outcome.failed.len());
    Ok(outcome.failed.is_empty())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("golden: {message}");
            ExitCode::from(2)
        }
    }
}
