//! The series, scaled and cut into windows.

use super::options::Config;
use spikegrad::Result;
use spikegrad::data::{Part, Scale, Scaler, Series, Windows};
use std::fmt;

/// A series to train on and to be judged by.
pub struct Dataset {
    pub scaler: Scaler,
    pub scale: Scale,
    /// The windows of the scaled series.
    pub windows: Windows,
    /// The part whose forecasts are judged.
    pub judged: Part,
}

impl Dataset {
    pub fn new(series: Series, config: &Config) -> Result<Self> {
        let parts = config.parts.of(series.rows())?;
        let scaler = Scaler::fit(&series, parts[0].clone(), config.scale)?;
        let scaled = scaler.apply(&series)?;
        let windows = Windows::new(scaled, &parts, config.look_back, config.horizon)?;
        let judged = if config.validate { Part::Validation } else { Part::Test };
        if windows.starts(judged).is_empty() {
            let detail = "no window fits into the rows to validate with";
            return Err(spikegrad::Error::argument("--validate", detail));
        }
        Ok(Self { scaler, scale: config.scale, windows, judged })
    }

    pub fn columns(&self) -> usize {
        self.windows.series().columns()
    }

    /// All targets of the judged part, window by window: `[W, H, N]`.
    pub fn truth(&self) -> Vec<f32> {
        let horizon = self.windows.horizon();
        let first = self.windows.look_back();
        let starts = self.windows.starts(self.judged).map(|start| start + first);
        let series = self.windows.series();
        let columns = series.columns();
        let rows = |start: usize| &series.values()[start * columns..(start + horizon) * columns];
        starts.flat_map(rows).copied().collect()
    }

    /// Values `[.., N]` on the columns' own scale.
    pub fn undo(&self, mut values: Vec<f32>) -> Vec<f32> {
        self.scaler.undo(&mut values);
        values
    }
}

impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let series = self.windows.series();
        let (rows, columns) = (series.rows(), series.columns());
        let count = |part| self.windows.starts(part).len();
        write!(
            f,
            "{}: {rows} rows, {columns} columns; windows of {} + {}: {} to train on, {} to validate with, {} to test with",
            series.name,
            self.windows.look_back(),
            self.windows.horizon(),
            count(Part::Train),
            count(Part::Validation),
            count(Part::Test),
        )
    }
}
