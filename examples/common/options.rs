//! The command line.

use lexopt::{Arg, Parser, ValueExt};
use spikegrad::Device;
use std::fmt::Display;
use std::path::PathBuf;
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

const COMMON: &str = "  --device NAME    best (default), host, vulkan, metal, dx12, cpu-adapter, or part of a GPU's name
  --seed N         where all random draws come from (default 0)
  --quick          less of everything: done within a minute on two cores
  --data PATH      read the data from this folder or file
  --json FILE      write the outcome as JSON
  --out DIR        where pictures and checkpoints go (default out)
  --help           this text";

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
    pub fn parse<T: FromStr<Err: Display>>(&mut self) -> Result<T, String> {
        let text = self.text()?;
        text.parse().map_err(|e| format!("--{} {text}: {e}", self.name))
    }

    /// The value as a number that is at least `least`.
    pub fn at_least<T>(&mut self, least: T) -> Result<T, String>
    where
        T: FromStr<Err: Display> + PartialOrd + Display,
    {
        let value: T = self.parse()?;
        if value >= least { Ok(value) } else { Err(self.refuse(value, format!("{least} or more"))) }
    }

    /// The value as a number from `least` to `most`.
    pub fn between<T>(&mut self, least: T, most: T) -> Result<T, String>
    where
        T: FromStr<Err: Display> + PartialOrd + Display,
    {
        let value: T = self.parse()?;
        if value >= least && value <= most {
            return Ok(value);
        }
        Err(self.refuse(value, format!("{least} to {most}")))
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
    /// Ends the process for `--help` (code 0) and for a bad option or device (one line, code 2).
    pub fn parse(
        example: &str,
        about: &str,
        help: &str,
        own: impl FnMut(&str, &mut Value<'_>) -> Result<bool, String>,
    ) -> Self {
        let refuse = |message: String| -> ! {
            eprintln!("{example}: {message} (--help lists the options)");
            exit(2)
        };
        let raw = match read(own) {
            Ok(Some(raw)) => raw,
            Ok(None) => {
                println!("{about}\n\nusage: {example} [options]\n{help}\n{COMMON}");
                exit(0)
            }
            Err(message) => refuse(message),
        };
        let device = match Device::select(raw.device.as_deref().unwrap_or("best")) {
            Ok(device) => device,
            Err(error) => refuse(format!("--device: {error}")),
        };
        let out = raw.out.unwrap_or_else(|| "out".into());
        let Raw { seed, quick, data, json, .. } = raw;
        Self { device, seed, quick, data, json, out }
    }
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
