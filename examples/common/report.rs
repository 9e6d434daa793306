//! What was reached: a table for people, one JSON object for programs.

use super::Options;
use serde_json::{Map, Value, json};
use spikegrad::{Error, Result};
use std::time::Instant;

/// The outcome of an example.
pub struct Report {
    example: &'static str,
    start: Instant,
    config: Map<String, Value>,
    metrics: Map<String, Value>,
    rows: Vec<(String, String)>,
}

impl Report {
    /// Starts the clock.
    pub fn new(example: &'static str) -> Self {
        let start = Instant::now();
        Self { example, start, config: Map::new(), metrics: Map::new(), rows: Vec::new() }
    }

    /// A setting of this run.
    pub fn config(&mut self, name: &str, value: impl Into<Value>) {
        self.config.insert(name.into(), value.into());
    }

    /// A number that was reached.
    pub fn metric(&mut self, name: &str, value: f64) {
        self.metrics.insert(name.into(), value.into());
    }

    /// A number that was reached, and its line in the table.
    pub fn row(&mut self, name: &str, value: f64, label: &str, text: String) {
        self.metric(name, value);
        self.rows.push((label.into(), text));
    }

    /// A line in the table that is no number.
    pub fn line(&mut self, label: &str, text: &str) {
        self.rows.push((label.into(), text.into()));
    }

    /// Prints the table and writes the JSON file, if one is asked for.
    pub fn finish(self, options: &Options) -> Result<()> {
        let seconds = self.start.elapsed().as_secs_f64();
        let label = self.rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let text = self.rows.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(0);
        println!();
        for (name, value) in &self.rows {
            println!("{name:label$}  {value:>text$}");
        }
        println!("{:label$}  {:>text$}", "seconds", format!("{seconds:.1}"));
        let Some(path) = &options.json else { return Ok(()) };
        let object = json!({
            "example": self.example,
            "device": options.device.name(),
            "seed": options.seed,
            "config": self.config,
            "metrics": self.metrics,
            "seconds": seconds,
        });
        std::fs::write(path, format!("{object:#}\n")).map_err(|e| Error::io(path, &e))
    }
}
