//! What a run that goes on must have in common with the run that was saved.

use spikegrad::checkpoint::{Checkpoint, Notes};
use spikegrad::{Error, Result};
use std::fmt::{Display, Formatter};
use std::path::Path;

/// Settings without which the rest of a run would be another run's: model, data and their order. How
/// long it goes, and how fast it learns, may change.
#[derive(Debug, Clone, Default)]
pub struct Settings(Vec<(&'static str, String)>);

impl Settings {
    /// One more.
    pub fn and(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.push((name, value.to_string()));
        self
    }

    /// A checkpoint that says what they are.
    pub fn noted(&self, file: Checkpoint) -> Checkpoint {
        self.0.iter().fold(file, |file, (name, value)| file.note(format!("setting.{name}"), value))
    }

    /// Compares them with those of a saved run.
    ///
    /// # Errors
    /// [`Error::Format`] with all that differ.
    pub fn check(&self, notes: &Notes, path: &Path) -> Result<()> {
        let mut differences = Vec::new();
        for (name, value) in &self.0 {
            match notes.get(&format!("setting.{name}")) {
                Some(saved) if saved == value => {}
                Some(saved) => differences.push(format!("{name} was {saved}, is {value}")),
                None => differences.push(format!("{name} is not noted there")),
            }
        }
        if differences.is_empty() {
            return Ok(());
        }
        let differences = differences.join("; ");
        Err(Error::format(path, format!("--resume: saved by another run: {differences}")))
    }
}

impl Display for Settings {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let settings: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name} {value}")).collect();
        f.write_str(&settings.join(", "))
    }
}
