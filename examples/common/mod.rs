//! What the examples share: options, progress, and the report at the end.

#![allow(dead_code, reason = "every example uses a part of it")]

mod options;
mod progress;
mod report;

pub use options::Options;
pub use progress::Progress;
pub use report::Report;

use std::fmt::Display;
use std::process::exit;

/// Runs an example; what goes wrong is one line on stderr and exit code 1.
pub fn run<E: Display>(example: &str, work: impl FnOnce() -> Result<(), E>) {
    if let Err(error) = work() {
        eprintln!("{example}: {error}");
        exit(1);
    }
}
