//! The command line.

use lexopt::{Arg, Parser, ValueExt};
use spikegrad::Device;
use spikegrad::data::Parts;
use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::str::FromStr;

/// The options that every example has.
pub struct Options {
    /// Where it runs.
    pub device: Device,
    /// Where all random draws come from.
    pub seed: u64,
    /// Less of everything: done within a minute on two cores.
    pub quick: bool,
    /// A folder or file with data, instead of what ships with the crate.
    pub data: Option<PathBuf>,
    /// Where to write the outcome as JSON.
    pub json: Option<PathBuf>,
    /// Where pictures and checkpoints go.
    pub out: PathBuf,
}

const COMMON: &str = "  --device NAME    best (default), gpu, host, oracle, vulkan, metal, dx12, cpu-adapter, or words of a GPU's name
  --seed N         where all random draws come from (default 0)
  --quick          less of everything: done within a minute on two cores
  --data PATH      read the data from this folder or file
  --json FILE      write the outcome as JSON
  --out DIR        where pictures and checkpoints go (default out)
  --help           this text";

/// A kind of value.
pub trait Kind: FromStr {
    /// What is expected where it is asked for.
    const WHAT: &'static str;
    /// The values there are of it, if not all.
    const RANGE: &'static str = "";
}

macro_rules! kinds {
    ($($kind:ty, $what:literal, $range:literal;)*) => {$(
        impl Kind for $kind {
            const WHAT: &'static str = $what;
            const RANGE: &'static str = $range;
        }
    )*};
}

kinds! {
    u32, "a whole number", ", 0 or more";
    u64, "a whole number", ", 0 or more";
    usize, "a whole number", ", 0 or more";
    f32, "a number", "";
    f64, "a number", "";
    Parts, "shares between colons (7:2:1) or rows between commas (8640,2880,2880)", "";
}

/// The value of the option at hand.
pub struct Value<'a> {
    name: &'a str,
    parser: &'a mut Parser,
}

impl Value<'_> {
    /// The value, whatever it is.
    pub fn text(&mut self) -> Result<String, String> {
        let value = self.parser.value().map_err(|e| e.to_string())?;
        value.string().map_err(|e| format!("--{}: {e}", self.name))
    }

    /// The value as a number, or as anything else that can be parsed.
    pub fn parse<T: Kind>(&mut self) -> Result<T, String> {
        self.check(T::RANGE, |_| true)
    }

    /// The value as a number that is at least `least`.
    pub fn at_least<T: Kind + PartialOrd + Display>(&mut self, least: T) -> Result<T, String> {
        self.check(&format!(", {least} or more"), |value| *value >= least)
    }

    /// The value as a number from `least` to `most`.
    pub fn between<T: Kind + PartialOrd + Display>(
        &mut self,
        least: T,
        most: T,
    ) -> Result<T, String> {
        self.check(&format!(", {least} to {most}"), |value| *value >= least && *value <= most)
    }

    /// The value as something of its kind that `fits`; `range` says what does.
    pub fn check<T: Kind>(&mut self, range: &str, fits: impl Fn(&T) -> bool) -> Result<T, String> {
        let text = self.text()?;
        let value = text.parse().ok().filter(fits);
        value.ok_or_else(|| self.refuse(&text, format!("{}{range}", T::WHAT)))
    }

    /// The value as one of several words.
    pub fn choice<T: Copy>(&mut self, words: &[(&str, T)]) -> Result<T, String> {
        let text = self.text()?;
        words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.refuse(&text, words.join(", "))
        })
    }

    fn refuse(&self, value: impl Display, expected: String) -> String {
        format!("--{} {value}: expected {expected}", self.name)
    }
}

/// Ends the process for a bad option: one line, code 2.
pub fn refuse(example: &str, message: impl Display) -> ! {
    eprintln!("{example}: {message} (--help lists the options)");
    exit(2)
}

/// The options before the device is opened.
#[derive(Default)]
struct Raw {
    device: Option<String>,
    seed: u64,
    quick: bool,
    data: Option<PathBuf>,
    json: Option<PathBuf>,
    out: Option<PathBuf>,
}

impl Options {
    /// Parses the command line. `about` says what the example does, `help` lists its own options;
    /// `own` takes the value of one of them, or says that there is none of that name.
    ///
    /// Ends the process for `--help` (code 0) and for a bad option or device, or a place that cannot be
    /// written (one line, code 2): hours later, it would be too late.
    pub fn parse(
        example: &str,
        about: &str,
        help: &str,
        own: impl FnMut(&str, &mut Value<'_>) -> Result<bool, String>,
    ) -> Self {
        super::logger::start();
        let raw = match read(own) {
            Ok(Some(raw)) => raw,
            Ok(None) => {
                println!("{about}\n\nusage: {example} [options]\n{help}\n{COMMON}");
                exit(0)
            }
            Err(message) => refuse(example, message),
        };
        let out = raw.out.clone().unwrap_or_else(|| "out".into());
        if let Err(error) = prepare(&out) {
            refuse(example, format!("--out {}: {error}", out.display()));
        }
        if let Some((path, Err(error))) = raw.json.as_ref().map(|path| (path, writable(path))) {
            refuse(example, format!("--json {}: {error}", path.display()));
        }
        let device = match Device::select(raw.device.as_deref().unwrap_or("best")) {
            Ok(device) => device,
            Err(error) => refuse(example, format!("--device: {error}")),
        };
        let Raw { seed, quick, data, json, .. } = raw;
        Self { device, seed, quick, data, json, out }
    }
}

/// Makes a folder, if there is none, in which files can be made.
fn prepare(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    writable(&folder.join(format!(".{}.tmp", std::process::id())))
}

/// Whether a file can be written; it is left as it is.
fn writable(path: &Path) -> io::Result<()> {
    let there = path.exists();
    OpenOptions::new().append(true).create(true).open(path)?;
    if there { Ok(()) } else { fs::remove_file(path) }
}

/// The options, or `None` if help was asked for.
fn read(
    mut own: impl FnMut(&str, &mut Value<'_>) -> Result<bool, String>,
) -> Result<Option<Raw>, String> {
    let mut parser = Parser::from_env();
    let mut raw = Raw::default();
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        let name = match arg {
            Arg::Long(name) => name.to_string(),
            Arg::Short('h') => "help".to_string(),
            other => return Err(other.unexpected().to_string()),
        };
        let mut value = Value { name: &name, parser: &mut parser };
        match name.as_str() {
            "device" => raw.device = Some(value.text()?),
            "seed" => raw.seed = value.parse()?,
            "quick" => raw.quick = true,
            "data" => raw.data = Some(value.text()?.into()),
            "json" => raw.json = Some(value.text()?.into()),
            "out" => raw.out = Some(value.text()?.into()),
            "help" => return Ok(None),
            _ if own(&name, &mut value)? => {}
            _ => return Err(format!("unknown option --{name}")),
        }
    }
    Ok(Some(raw))
}
