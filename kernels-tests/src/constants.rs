//! The constants that operators give their kernels, noted while tests run: for compilers that the tests
//! do not ask.

use spikegrad::{Kernel, kernels};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

/// The variable that names the file in which they are noted.
const FILE: &str = "SPIKEGRAD_TEST_CONSTANTS";

/// Where the crate logs the pipelines that it makes.
const PIPELINES: &str = "spikegrad::pipelines";

/// Writes a line for every pipeline.
struct Notes(Mutex<File>);

impl log::Log for Notes {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == PIPELINES
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata())
            && let Ok(mut file) = self.0.lock()
        {
            // One write a line: several processes may write.
            let _ = file.write_all(format!("{}\n", record.args()).as_bytes());
        }
    }

    fn flush(&self) {}
}

/// Notes the constants of all pipelines that the process makes from now on, if `SPIKEGRAD_TEST_CONSTANTS`
/// names a file.
///
/// # Panics
/// If that cannot be written.
pub fn note() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let file = file.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if log::set_logger(Box::leak(Box::new(Notes(Mutex::new(file))))).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
}

/// A kernel in a variant with constants.
#[derive(Debug, Clone)]
pub struct Noted {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Its variant.
    pub variant: usize,
    /// Names and values.
    pub constants: Vec<(&'static str, f64)>,
}

/// What a file of notes says of the crate's own kernels, each once and in order.
///
/// # Errors
/// Those of reading, and for a line that is no note.
pub fn read(path: &Path) -> io::Result<Vec<Noted>> {
    let text = std::fs::read_to_string(path)?;
    let lines: BTreeSet<&str> = text.lines().collect();
    let known = kernels();
    let mut notes = Vec::new();
    for line in lines {
        let wrong = || {
            io::Error::new(io::ErrorKind::InvalidData, format!("no note of these kernels: {line}"))
        };
        let mut words = line.split(' ');
        let (Some(name), Some(variant)) = (words.next(), words.next()) else {
            return Err(wrong());
        };
        // Tests have kernels of their own.
        let Some(kernel) = known.iter().find(|kernel| kernel.name == name) else { continue };
        let constant = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((&*name.to_string().leak(), value.parse().ok()?))
        };
        let constants: Option<Vec<_>> = words.map(constant).collect();
        let there = |variant: &usize| *variant < kernel.variants.len();
        let variant = variant.parse().ok().filter(there).ok_or_else(wrong)?;
        notes.push(Noted { kernel, variant, constants: constants.ok_or_else(wrong)? });
    }
    Ok(notes)
}
