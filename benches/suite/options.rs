//! The command line of the suite.

use crate::compare::Comparison;
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;

pub const USAGE: &str = "\
cargo bench [-- OPTIONS]

  --device D      host, vulkan, metal, dx12, cpu-adapter, or part of an adapter's name
  --quick         fewer sizes and repeats
  --filter TEXT   only cases whose name contains TEXT
  --list          names of the cases, without running them
  --json FILE     all numbers as JSON
  --html FILE     a report with plots, in one file
  --burn PATH     compare with the burn-step binary (built from benches/burn)
  --numba PYTHON  compare with benches/peers/lif_numba.py, run by this interpreter
  --compare OLD NEW
                  no run: two files of --json row by row, worst first; the exit code is 1 where a
                  row is slower than allowed, 2 where a file cannot be read
  --threshold P   how much slower a row may be, in percent (5)
  --noise A B     two files of one tree: a row may be slower by what it differs there, and by the
                  threshold on top
  --first-step    one training step and nothing else: what the start-up time is measured with";

/// What the command line asks for.
#[derive(Debug, Default, Clone)]
pub struct Options {
    pub device: Option<String>,
    pub quick: bool,
    pub filter: Option<String>,
    pub list: bool,
    pub json: Option<PathBuf>,
    pub html: Option<PathBuf>,
    pub burn: Option<PathBuf>,
    pub numba: Option<PathBuf>,
    pub first_step: bool,
    pub comparison: Option<Comparison>,
}

/// How much slower a row may be in a comparison, in percent, where nothing else is said.
const THRESHOLD: f64 = 5.0;

impl Options {
    /// The options, or `None` where help was asked for.
    ///
    /// # Errors
    /// An unknown option or a missing value.
    pub fn parse(mut parser: Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut out = Self::default();
        let (mut runs, mut noise, mut threshold) = (None, None, None);
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("device") => out.device = Some(parser.value()?.string()?),
                Arg::Long("quick") => out.quick = true,
                Arg::Long("filter") => out.filter = Some(parser.value()?.string()?),
                Arg::Long("list") => out.list = true,
                Arg::Long("json") => out.json = Some(parser.value()?.into()),
                Arg::Long("html") => out.html = Some(parser.value()?.into()),
                Arg::Long("burn") => out.burn = Some(parser.value()?.into()),
                Arg::Long("numba") => out.numba = Some(parser.value()?.into()),
                Arg::Long("compare") => runs = Some(two_files(&mut parser)?),
                Arg::Long("noise") => noise = Some(two_files(&mut parser)?),
                Arg::Long("threshold") => threshold = Some(percent(&mut parser)?),
                Arg::Long("first-step") => out.first_step = true,
                // What `cargo bench` itself passes to every target.
                Arg::Long("bench") => {}
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        if runs.is_none() && (noise.is_some() || threshold.is_some()) {
            return Err("--noise and --threshold need --compare".into());
        }
        let threshold = threshold.unwrap_or(THRESHOLD);
        out.comparison = runs.map(|runs| Comparison { runs, noise, threshold });
        Ok(Some(out))
    }
}

fn two_files(parser: &mut Parser) -> Result<[PathBuf; 2], lexopt::Error> {
    let mut files = parser.values()?;
    match (files.next(), files.next()) {
        (Some(one), Some(other)) => Ok([one.into(), other.into()]),
        _ => Err("two files are wanted".into()),
    }
}

fn percent(parser: &mut Parser) -> Result<f64, lexopt::Error> {
    let percent: f64 = parser.value()?.parse()?;
    let sound = percent.is_finite() && percent >= 0.0;
    if sound { Ok(percent) } else { Err("--threshold is a number of percent from 0 on".into()) }
}
