//! The command line of the suite.

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
}

impl Options {
    /// The options, or `None` where help was asked for.
    ///
    /// # Errors
    /// An unknown option or a missing value.
    pub fn parse(mut parser: Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut out = Self::default();
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
                Arg::Long("first-step") => out.first_step = true,
                // What `cargo bench` itself passes to every target.
                Arg::Long("bench") => {}
                Arg::Short('h') | Arg::Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(out))
    }
}
