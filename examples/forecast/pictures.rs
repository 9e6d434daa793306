//! Forecasts against the truth.

use super::Run;
use super::dataset::Dataset;
use spikegrad::Result;
use spikegrad::plot::{self, Curves};
use std::path::Path;

/// The most rows of the judged part that are drawn.
const ROWS: usize = 240;

type Points = Vec<(f64, f64)>;

/// Four panels: one window, the last lead over time, the error by lead, and the training.
pub fn save(path: &Path, data: &Dataset, runs: &[Run]) -> Result<()> {
    let panels = [window(data, runs), far(data, runs), leads(data, runs), training(runs)];
    plot::save(path, &panels.each_ref().map(|panel| panel as &dyn plot::Panel))
}

/// What is drawn of a scaled value of column 0.
fn own(data: &Dataset, value: f32) -> f64 {
    f64::from(value) * f64::from(data.scaler.factors()[0]) + f64::from(data.scaler.shifts()[0])
}

fn name(data: &Dataset) -> &str {
    &data.windows.series().names()[0]
}

/// The truth of column 0 at a row.
fn truth(data: &Dataset, row: usize) -> f64 {
    let series = data.windows.series();
    own(data, series.values()[row * series.columns()])
}

/// The window in the middle of the part.
fn window(data: &Dataset, runs: &[Run]) -> Curves {
    let starts = data.windows.starts(data.judged);
    let middle = starts.len() / 2;
    let (look_back, horizon) = (data.windows.look_back(), data.windows.horizon());
    let first = starts.start + middle;
    let time = |row: usize| row as f64 - look_back as f64 + 1.0;
    let rows = 0..look_back + horizon;
    let real: Points = rows.map(|row| (time(row), truth(data, first + row))).collect();
    let title = format!("One window of column {}", name(data));
    let curves = Curves::new(title).x("steps after the last value seen").y(name(data));
    runs.iter().filter(|run| run.name != "persistence").fold(
        curves.series("truth", &real),
        |curves, run| {
            let lead = |lead| (lead as f64, own(data, run.forecasts.at(middle, lead, 0)));
            let start = (0.0, truth(data, first + look_back - 1));
            let points: Points = [start].into_iter().chain((1..=horizon).map(lead)).collect();
            curves.series(run.name, &points)
        },
    )
}

/// Forecasts of the last lead over the part.
fn far(data: &Dataset, runs: &[Run]) -> Curves {
    let starts = data.windows.starts(data.judged);
    let (look_back, horizon) = (data.windows.look_back(), data.windows.horizon());
    let shown = starts.len().min(ROWS);
    let real: Points = (0..shown)
        .map(|w| (w as f64, truth(data, starts.start + w + look_back + horizon - 1)))
        .collect();
    let title = format!("Column {}, {horizon} steps ahead", name(data));
    let curves = Curves::new(title).x("row").y(name(data)).series("truth", &real);
    runs.iter().filter(|run| run.name != "persistence").fold(curves, |curves, run| {
        let point = |w: usize| (w as f64, own(data, run.forecasts.at(w, horizon, 0)));
        curves.series(run.name, &(0..shown).map(point).collect::<Points>())
    })
}

/// The mean absolute error by lead.
fn leads(data: &Dataset, runs: &[Run]) -> Curves {
    let truth = data.truth();
    let curves = Curves::new("Error by lead").x("steps ahead").y("scaled MAE");
    runs.iter().fold(curves, |curves, run| {
        let errors = run.forecasts.error_by_lead(&truth);
        let points: Points =
            errors.iter().enumerate().map(|(lead, error)| (lead as f64 + 1.0, *error)).collect();
        curves.series(run.name, &points)
    })
}

/// Errors on the validation while training went on.
fn training(runs: &[Run]) -> Curves {
    let curves = Curves::new("Training").x("step").y("scaled MAE of the validation");
    runs.iter().filter_map(|run| Some((run.name, run.trained.as_ref()?))).fold(
        curves,
        |curves, (name, trained)| {
            let points: Points = trained.validation.iter().map(|(s, e)| (*s as f64, *e)).collect();
            curves.series(name, &points)
        },
    )
}
