//! What the examples share: options, progress, and the report at the end.

#![allow(dead_code, unused_imports, reason = "every example uses a part of it")]

mod options;
mod progress;
mod report;
mod settings;

pub use options::{Options, refuse};
pub use progress::Progress;
pub use report::Report;
pub use settings::Settings;

use spikegrad::{Error, Result};
use std::path::Path;
use std::process::exit;

/// Runs an example after it has said where; what goes wrong is one line on stderr and exit code 1.
pub fn run(example: &str, options: &Options, work: impl FnOnce() -> Result<()>) {
    println!("device: {}", options.device);
    if let Err(error) = work() {
        eprintln!("{example}: {error}");
        exit(1);
    }
}

/// What an earlier run left in `file`, or a word on how to make it; `option` asks for it.
pub fn trained<'a>(file: &'a Path, option: &str) -> Result<&'a Path> {
    if file.exists() {
        return Ok(file);
    }
    let message = format!("no such file; train first: the same without {option}");
    Err(Error::Io { path: file.into(), message })
}
