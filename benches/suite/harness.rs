//! Runs cases: warm-up, timed repeats, medians, and what they say next to the roofline.

use crate::options::Options;
use crate::roofline::Roofline;
use spikegrad::{Device, Result};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// A kernel in a case: one line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The family that the case belongs to.
    pub family: &'static str,
    /// The kernel.
    pub kernel: String,
    /// The shape, in words.
    pub shape: String,
    /// Median time of all its launches in one run, in nanoseconds.
    pub median: f64,
    /// The shortest time.
    pub fastest: f64,
    /// Bytes an ideal implementation moves in one run.
    pub bytes: f64,
    /// Floating-point operations of one run.
    pub flops: f64,
    /// The share of what the roofline allows, where the kernel states a cost.
    pub roofline: Option<f64>,
    /// Launches in one run.
    pub launches: usize,
    /// Bytes that tensors held at the most while the case ran.
    pub held: u64,
}

impl Row {
    /// Gigabytes per second.
    pub fn gigabytes(&self) -> f64 {
        self.bytes / self.median
    }

    /// Gigaflops per second.
    pub fn gigaflops(&self) -> f64 {
        self.flops / self.median
    }
}

/// A single number: a cost in microseconds, a time of a whole step, a ratio.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
}

/// A point of a plot.
#[derive(Debug, Clone)]
pub struct Point {
    pub plot: &'static str,
    pub series: String,
    pub x: f64,
    pub y: f64,
}

/// All that was measured.
pub struct Suite {
    pub device: Device,
    pub options: Options,
    pub roofline: Roofline,
    pub rows: Vec<Row>,
    pub figures: Vec<Figure>,
    pub points: Vec<Point>,
    /// Cases that did not run, and why.
    pub failures: Vec<String>,
}

impl Suite {
    pub fn new(device: Device, options: Options) -> Self {
        Self {
            device,
            options,
            roofline: Roofline::default(),
            rows: Vec::new(),
            figures: Vec::new(),
            points: Vec::new(),
            failures: Vec::new(),
        }
    }

    /// Whether a case of this name is to run. Lists it where only a list is wanted.
    pub fn wants(&self, name: &str) -> bool {
        let wanted = self.options.filter.as_ref().is_none_or(|f| name.contains(f.as_str()));
        if wanted && self.options.list {
            println!("{name}");
        }
        wanted && !self.options.list
    }

    /// How long and how often a case repeats.
    pub fn effort(&self) -> Effort {
        if self.options.quick {
            Effort { budget: Duration::from_millis(200), least: 3, most: 7 }
        } else {
            Effort { budget: Duration::from_secs(2), least: 5, most: 31 }
        }
    }

    /// Measures one case kernel by kernel. `setup` makes its tensors and returns the work of one
    /// run. Returns one row a kernel, longest first; none if the case is filtered out or fails.
    pub fn case<W: FnMut() -> Result<()>>(
        &mut self,
        family: &'static str,
        name: &str,
        shape: &str,
        setup: impl FnOnce(&Device) -> Result<W>,
    ) -> Vec<Row> {
        let label = format!("{family}/{name} {shape}");
        if !self.wants(&label) {
            return Vec::new();
        }
        let measured =
            setup(&self.device).and_then(|work| profile_kernels(&self.device, self.effort(), work));
        match measured {
            Ok(found) => self.keep(family, shape, found),
            Err(e) => {
                self.fail(&label, &e);
                Vec::new()
            }
        }
    }

    /// Notes that a case did not run.
    pub fn fail(&mut self, label: &str, error: &dyn Display) {
        eprintln!("{label}: {error}");
        self.failures.push(format!("{label}: {error}"));
    }

    /// Keeps a number that is no kernel's time.
    pub fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        let name = name.into();
        println!("{name:<64}{:>12} {unit}", crate::text::digits(value));
        self.figures.push(Figure { name, value, unit });
    }

    /// Adds a point to a plot.
    pub fn point(&mut self, plot: &'static str, series: impl Into<String>, x: f64, y: f64) {
        self.points.push(Point { plot, series: series.into(), x, y });
    }

    /// A line of the table for work that is no kernel of this crate, from its times in nanoseconds.
    pub fn plain_row(
        &mut self,
        family: &'static str,
        kernel: &str,
        shape: &str,
        times: &[f64],
        (bytes, flops): (f64, f64),
    ) {
        let seen = Seen { times: times.to_vec(), bytes, flops, launches: 0 };
        let row = self.row(family, kernel, shape, &seen, 0);
        crate::report::print_row(&row);
        self.rows.push(row);
    }

    fn row(&self, family: &'static str, kernel: &str, shape: &str, seen: &Seen, held: u64) -> Row {
        let median = median(&seen.times);
        Row {
            family,
            kernel: kernel.into(),
            shape: shape.into(),
            median,
            fastest: fastest(&seen.times),
            bytes: seen.bytes,
            flops: seen.flops,
            roofline: self.roofline.fraction(seen.bytes, seen.flops, median),
            launches: seen.launches,
            held,
        }
    }

    fn keep(&mut self, family: &'static str, shape: &str, found: Measured) -> Vec<Row> {
        let kernels = found.kernels.iter();
        let mut rows: Vec<Row> = kernels
            .map(|(kernel, seen)| self.row(family, kernel, shape, seen, found.held))
            .collect();
        rows.sort_by(|a, b| b.median.total_cmp(&a.median));
        rows.iter().for_each(crate::report::print_row);
        self.rows.extend(rows.iter().cloned());
        rows
    }
}

/// How long and how often to repeat.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    budget: Duration,
    least: usize,
    most: usize,
}

impl Effort {
    /// Calls `run` once to warm up, then until the effort is spent; collects what it returns.
    pub fn repeat<T>(&self, mut run: impl FnMut() -> Result<T>) -> Result<Vec<T>> {
        run()?;
        let (start, mut out) = (Instant::now(), Vec::new());
        while out.len() < self.least || (out.len() < self.most && start.elapsed() < self.budget) {
            out.push(run()?);
        }
        Ok(out)
    }
}

/// What was seen of one kernel.
#[derive(Debug, Default)]
struct Seen {
    times: Vec<f64>,
    bytes: f64,
    flops: f64,
    launches: usize,
}

struct Measured {
    kernels: BTreeMap<&'static str, Seen>,
    held: u64,
}

/// The times of each kernel of `work`, by device timestamps where there are any.
fn profile_kernels(
    device: &Device,
    effort: Effort,
    mut work: impl FnMut() -> Result<()>,
) -> Result<Measured> {
    // The first run compiles pipelines, and some drivers compile at the first dispatch only.
    work()?;
    device.wait()?;
    device.reset_peak();
    let mut kernels: BTreeMap<&'static str, Seen> = BTreeMap::new();
    for profile in effort.repeat(|| Ok(device.profile(&mut work)?.1))? {
        for row in profile.rows() {
            let seen = kernels.entry(row.kernel).or_default();
            seen.times.push(row.nanoseconds);
            (seen.bytes, seen.flops, seen.launches) = (row.bytes, row.flops, row.launches);
        }
    }
    Ok(Measured { kernels, held: device.memory().peak })
}

/// The median; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 1 => sorted[half],
        (_, half) => (sorted[half - 1] + sorted[half]) / 2.0,
    }
}

/// The least; infinity of nothing.
pub fn fastest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Wall time of `work`, in milliseconds.
pub fn milliseconds<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let outcome = work()?;
    Ok((start.elapsed().as_secs_f64() * 1e3, outcome))
}
