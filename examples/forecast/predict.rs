//! Forecasts of what comes after the end of a series, with a saved model.

use super::common::Options;
use super::dataset::Dataset;
use super::network::{Network, Norm};
use super::options::Config;
use super::report::short;
use spikegrad::checkpoint::{Checkpoint, Notes};
use spikegrad::data::{Scaler, Series};
use spikegrad::models::{Forecaster, FourierGnn, Pass, SpikfGo};
use spikegrad::plot::{self, Curves};
use spikegrad::{Error, Result, Tensor};
use std::fmt::Display;
use std::path::Path;

/// Adds what a forecast needs besides the model.
pub fn notes(file: Checkpoint, data: &Dataset, norm: Norm) -> Checkpoint {
    let series = data.windows.series();
    file.note("series.columns", series.names().join("\n"))
        .note("series.shifts", list(data.scaler.shifts()))
        .note("series.factors", list(data.scaler.factors()))
        .note("series.norm", if norm == Norm::Last { "last" } else { "model" })
}

fn list<T: Display>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn numbers(notes: &Notes, key: &str, path: &Path) -> Result<Vec<f32>> {
    let text: String = notes.parse(key)?;
    let parsed: Result<Vec<f32>, _> = text.split_whitespace().map(str::parse).collect();
    parsed.map_err(|e| Error::format(path, format!("the note `{key}`: {e}")))
}

/// Forecasts with the model of `path`, prints what comes and writes it to `--out`.
pub fn run(options: &Options, config: &Config, path: &Path) -> Result<()> {
    let model = Checkpoint::notes(path)?.parse::<String>("model")?;
    if model == FourierGnn::NAME {
        let (model, notes) = FourierGnn::open(path, &options.device)?;
        return forecast(model, &notes, options, config, path);
    }
    let (model, notes) = SpikfGo::open(path, &options.device)?;
    forecast(model, &notes, options, config, path)
}

fn forecast<M: Forecaster>(
    model: M,
    notes: &Notes,
    options: &Options,
    config: &Config,
    path: &Path,
) -> Result<()> {
    let series = config.load(options)?;
    let columns = notes.parse::<String>("series.columns")?;
    if !columns.lines().eq(series.names()) {
        let (found, wanted) = (series.columns(), columns.lines().count());
        let detail = format!("{found} columns, not the {wanted} that {} knows", path.display());
        return Err(Error::format(&series.name, detail));
    }
    let look_back = model.look_back();
    if series.rows() < look_back {
        let detail = format!("{} rows, the model looks back on {look_back}", series.rows());
        return Err(Error::format(&series.name, detail));
    }
    let read = |key: &str| numbers(notes, key, path);
    let scaler = Scaler::new(read("series.shifts")?, read("series.factors")?)?;
    let scaled = scaler.apply(&series)?;
    let seen = scaled.part(series.rows() - look_back..series.rows())?;
    let norm = match notes.parse::<String>("series.norm")?.as_str() {
        "last" => Norm::Last,
        _ => Norm::Mean,
    };
    let network = Network { model, norm };
    let window = Tensor::from_slice(&options.device, seen, [look_back, 1, series.columns()])?;
    let forecast = network.forecast(&window, &mut Pass::evaluation())?;
    let mut values = forecast.value().to_vec::<f32>()?;
    scaler.undo(&mut values);
    show(&series, &values);
    write(&options.out.join("forecast.csv"), &series, &values)?;
    picture(&options.out.join("prediction.png"), &series, look_back, &values)
}

/// Columns that are printed.
const SHOWN: usize = 6;

fn show(series: &Series, values: &[f32]) {
    let names = series.names().iter().take(SHOWN);
    let width = names.clone().map(|name| name.chars().count()).max().unwrap_or(0).max(9);
    let line = |first: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("  {cell:>width$}")).collect();
        println!("{first:>5}{cells}");
    };
    if let Some(date) = series.dates().and_then(<[String]>::last) {
        println!("{}, after {date}:", series.name);
    }
    line("step", names.cloned().collect());
    for (step, row) in values.chunks_exact(series.columns()).enumerate() {
        let cells = row.iter().take(SHOWN).map(|x| short(f64::from(*x))).collect();
        line(&format!("+{}", step + 1), cells);
    }
}

fn write(path: &Path, series: &Series, values: &[f32]) -> Result<()> {
    let quoted = |name: &String| format!("\"{}\"", name.replace('"', "\"\""));
    let names: Vec<String> = series.names().iter().map(quoted).collect();
    let mut text = format!("step,{}\n", names.join(","));
    for (step, row) in values.chunks_exact(series.columns()).enumerate() {
        let row: Vec<String> = row.iter().map(ToString::to_string).collect();
        text.push_str(&format!("{},{}\n", step + 1, row.join(",")));
    }
    std::fs::write(path, text).map_err(|e| Error::io(path, &e))
}

/// The end of the first column, and how it goes on.
fn picture(path: &Path, series: &Series, look_back: usize, values: &[f32]) -> Result<()> {
    let columns = series.columns();
    let rows = series.rows() - (4 * look_back).min(series.rows())..series.rows();
    let count = rows.len() as f64;
    let past: Vec<(f64, f64)> = series
        .part(rows)?
        .iter()
        .step_by(columns)
        .enumerate()
        .map(|(t, x)| (t as f64 + 1.0 - count, f64::from(*x)))
        .collect();
    let coming = values.iter().step_by(columns).enumerate();
    let coming = coming.map(|(t, x)| (t as f64 + 1.0, f64::from(*x)));
    let coming: Vec<(f64, f64)> = past.last().copied().into_iter().chain(coming).collect();
    let title = format!("Column {} of {}", series.names()[0], series.name);
    let curves = Curves::new(title).x("steps after the end").y(&series.names()[0]);
    plot::save(path, &[&curves.series("series", &past).series("forecast", &coming)])
}
