//! What the examples share: options, progress, and the report at the end.

#![allow(dead_code, unused_imports, reason = "every example uses a part of it")]

mod logger;
mod options;
mod progress;
mod report;
mod settings;

pub use options::{Options, refuse};
pub use progress::Progress;
pub use report::Report;
pub use settings::Settings;

use spikegrad::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::SystemTime;

/// Runs an example after it has said where, and says which files it has left; what goes wrong is one
/// line on stderr and exit code 1.
pub fn run(example: &str, options: &Options, work: impl FnOnce() -> Result<()>) {
    println!("device: {}", options.device);
    let start = SystemTime::now();
    if let Err(error) = work() {
        eprintln!("{example}: {error}");
        exit(1);
    }
    let names: Vec<String> =
        written(options, start).iter().map(|path| path.display().to_string()).collect();
    if !names.is_empty() {
        println!("written: {}", names.join(", "));
    }
}

/// The files that have been written since `start` where the options say.
fn written(options: &Options, start: SystemTime) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(&options.out).into_iter().flatten().flatten();
    let new = |path: &PathBuf| {
        let changed = path.metadata().and_then(|file| file.modified());
        path.is_file() && changed.is_ok_and(|time| time >= start)
    };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(new).collect();
    files.sort();
    files.extend(options.json.clone().filter(new).filter(|path| !files.contains(path)));
    files
}

/// What an earlier run left in `file`, or a word on how to make it; `option` asks for it.
pub fn trained<'a>(file: &'a Path, option: &str) -> Result<&'a Path> {
    if file.exists() {
        return Ok(file);
    }
    let message = format!("no such file; train first: the same without {option}");
    Err(Error::Io { path: file.into(), message })
}
