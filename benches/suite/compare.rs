//! Two runs of the suite beside each other: what takes longer now, and whether by more than two runs
//! of one tree differ.

use crate::text::time;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What is compared.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// An older and a newer run.
    pub runs: [PathBuf; 2],
    /// Two runs of one tree: what they differ by is allowed on top.
    pub noise: Option<[PathBuf; 2]>,
    /// How much slower a row may be, in percent.
    pub threshold: f64,
}

/// A table, and how many of its rows are slower than allowed.
#[derive(Debug)]
pub struct Outcome {
    pub table: String,
    pub slower: usize,
}

impl Comparison {
    /// Reads the runs and sets them side by side.
    ///
    /// # Errors
    /// A file that is no result of the suite, in one line; runs without a row in common.
    pub fn outcome(&self) -> Result<Outcome, String> {
        let [old, new] = read_both(&self.runs)?;
        let noise = self.noise.as_ref().map(read_both).transpose()?;
        let mut rows: Vec<Row<'_>> = old
            .times
            .iter()
            .filter_map(|(name, old)| Some((name, [*old, *new.times.get(name)?])))
            .map(|(name, times)| {
                let noise = noise.as_ref().and_then(|runs| difference(name, runs));
                Row { name, times, noise, threshold: self.threshold }
            })
            .collect();
        if rows.is_empty() {
            return Err(format!("{} and {} have no row in common", old.file, new.file));
        }
        rows.sort_by(|a, b| b.excess().total_cmp(&a.excess()));
        let slower = rows.iter().filter(|row| row.is_slower()).count();
        let mut table = String::new();
        for (age, run) in [("old", &old), ("new", &new)] {
            line(&mut table, format_args!("{age}: {} ({})", run.file, run.device));
        }
        print_rows(&mut table, &rows);
        for (one, other) in [(&old, &new), (&new, &old)] {
            for name in one.times.keys().filter(|name| !other.times.contains_key(*name)) {
                line(&mut table, format_args!("only in {}: {name}", one.file));
            }
        }
        let beyond = if self.noise.is_some() { " beyond the noise" } else { "" };
        line(
            &mut table,
            format_args!(
                "{slower} of {} rows more than {} % slower{beyond}",
                rows.len(),
                self.threshold
            ),
        );
        Ok(Outcome { table, slower })
    }
}

/// Writing to a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

/// A row that both runs have.
struct Row<'a> {
    name: &'a str,
    /// Nanoseconds in the old and in the new run.
    times: [f64; 2],
    /// The larger ratio of two runs of one tree, if they have this row.
    noise: Option<f64>,
    threshold: f64,
}

impl Row<'_> {
    fn ratio(&self) -> f64 {
        ratio(self.times)
    }

    /// The ratio over that which is allowed.
    fn excess(&self) -> f64 {
        self.ratio() / (self.noise.unwrap_or(1.0) * (1.0 + self.threshold / 100.0))
    }

    fn is_slower(&self) -> bool {
        self.excess() > 1.0
    }
}

/// The second time over the first.
fn ratio([old, new]: [f64; 2]) -> f64 {
    if old == new { 1.0 } else { new / old }
}

/// The larger ratio of two runs of one tree in a row.
fn difference(name: &str, [a, b]: &[Run; 2]) -> Option<f64> {
    let (a, b) = (*a.times.get(name)?, *b.times.get(name)?);
    Some(ratio([a, b]).max(ratio([b, a])))
}

fn print_rows(out: &mut String, rows: &[Row<'_>]) {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let head = ["old", "new", "ratio", "noise"].map(|name| format!("{name:>11}"));
    line(out, format_args!("{:<width$}{}", "row", head.concat()));
    for row in rows {
        let [old, new] = row.times.map(time);
        let noise = row.noise.map_or("-".into(), |noise| format!("{noise:.3}"));
        let mark = if row.is_slower() { "  slower" } else { "" };
        line(
            out,
            format_args!(
                "{:<width$}{old:>11}{new:>11}{:>11.3}{noise:>11}{mark}",
                row.name,
                row.ratio()
            ),
        );
    }
}

/// A run of the suite.
struct Run {
    file: String,
    device: String,
    /// Nanoseconds of every row.
    times: BTreeMap<String, f64>,
}

fn read_both([one, other]: &[PathBuf; 2]) -> Result<[Run; 2], String> {
    Ok([Run::read(one)?, Run::read(other)?])
}

impl Run {
    fn read(path: &Path) -> Result<Self, String> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| format!("{file}: {e}"))?;
        let json: Value = serde_json::from_str(&text).map_err(|e| format!("{file}: {e}"))?;
        Self::from_json(file.clone(), &json).map_err(|e| format!("{file}: {e}"))
    }

    fn from_json(file: String, json: &Value) -> Result<Self, String> {
        if json["suite"] != "spikegrad" {
            return Err("no result of this suite".into());
        }
        let device = text(json, "device")?.to_string();
        let mut run = Self { file, device, times: BTreeMap::new() };
        each(json, "rows", |row| {
            let name = format!(
                "{}/{} {}",
                text(row, "family")?,
                text(row, "kernel")?,
                text(row, "shape")?
            );
            // Other work makes repeats slower and never faster.
            run.keep(name, number(row, "min_ns")?);
            Ok(())
        })?;
        each(json, "figures", |figure| {
            let name = text(figure, "name")?;
            if let Some(unit) = nanoseconds(text(figure, "unit")?) {
                run.keep(name.into(), unit(number(figure, "value")?));
            }
            Ok(())
        })?;
        Ok(run)
    }

    /// Cases of one name are told apart by their order.
    fn keep(&mut self, name: String, time: f64) {
        let place = (1..)
            .map(|n| if n == 1 { name.clone() } else { format!("{name} ({n})") })
            .find(|name| !self.times.contains_key(name));
        self.times.insert(place.unwrap_or(name), time);
    }
}

/// How a figure of this unit becomes nanoseconds, if it is a time or a rate.
fn nanoseconds(unit: &str) -> Option<fn(f64) -> f64> {
    match unit {
        "ns" => Some(|time| time),
        "us a launch" => Some(|time| time * 1e3),
        "ms" => Some(|time| time * 1e6),
        _ if unit.ends_with("/s") => Some(|rate| 1e9 / rate),
        _ => None,
    }
}

/// Calls `take` with every element of a list; an error says which.
fn each(
    json: &Value,
    list: &str,
    mut take: impl FnMut(&Value) -> Result<(), String>,
) -> Result<(), String> {
    let elements = json[list].as_array().ok_or_else(|| format!("{list}: not a list"))?;
    let mut numbered = elements.iter().enumerate();
    numbered.try_for_each(|(i, element)| take(element).map_err(|e| format!("{list}[{i}].{e}")))
}

fn text<'a>(json: &'a Value, field: &str) -> Result<&'a str, String> {
    json[field].as_str().ok_or_else(|| format!("{field}: not a text"))
}

fn number(json: &Value, field: &str) -> Result<f64, String> {
    let value = json[field].as_f64().filter(|value| *value >= 0.0);
    value.ok_or_else(|| format!("{field}: not a number from 0 on"))
}
