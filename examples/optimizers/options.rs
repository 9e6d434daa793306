//! The options of this example.

use super::arms::{ARMS, Arm, SPIKE_ARMS};
use super::common::Options;
use super::problem::Problem;
use super::study::Plan;
use spikegrad::{Error, Result};

const ABOUT: &str = "\
Trains a small spiking language model on characters, and a spiking network on handwritten digits, with
every optimizer of the crate, each with its own best of three learning rates, and compares them:
validation losses, spectral norms of weights, milliseconds a step. Without --data it reads the King
James text and the 8 x 8 digits that ship with the crate; --data FILE takes another text, --data FOLDER
other digits (MNIST).";

const HELP: &str = "  --task WHAT      text, digits, or both (default; with --data, what the data is for)
  --optimizer NAME only the optimizers whose name has this in it
  --inject-spikes  one step in 200 has gradients a thousand times too large: SPAM and pre-clipping
                   against Adam with and without norm clipping
  --seeds N        runs an optimizer gets with each rate (default 3, quick 1)
  --steps N        training steps of a run (default 500 for the text, 400 for the digits; quick 60)";

/// What is trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Text,
    Digits,
}

/// All options but the common ones.
#[derive(Debug, Clone, Default)]
pub struct Config {
    pub inject: bool,
    task: Option<Task>,
    optimizer: String,
    seeds: Option<u64>,
    steps: Option<u64>,
}

const TASKS: [(&str, Option<Task>); 3] =
    [("text", Some(Task::Text)), ("digits", Some(Task::Digits)), ("both", None)];

/// Parses the command line.
pub fn parse() -> (Options, Config) {
    let mut config = Config::default();
    let options = Options::parse("optimizers", ABOUT, HELP, |name, value| {
        match name {
            "task" => config.task = value.choice(&TASKS)?,
            "optimizer" => config.optimizer = optimizer(value.text()?)?,
            "inject-spikes" => config.inject = true,
            "seeds" => config.seeds = Some(value.between(1, 100)?),
            "steps" => config.steps = Some(value.at_least(10)?),
            _ => return Ok(false),
        }
        Ok(true)
    });
    (options, config)
}

/// A part of at least one arm's name.
fn optimizer(text: String) -> std::result::Result<String, String> {
    let names: Vec<&str> = ARMS.iter().chain(SPIKE_ARMS).map(|arm| arm.name).collect();
    if names.iter().any(|name| name.contains(&text)) {
        return Ok(text);
    }
    let names: Vec<&str> = ARMS.iter().map(|arm| arm.name).collect();
    Err(format!("--optimizer {text}: expected a part of one of {}", names.join(", ")))
}

impl Config {
    /// The arms that are asked for.
    pub fn arms(&self) -> Result<Vec<&'static Arm>> {
        let all = if self.inject { SPIKE_ARMS } else { ARMS };
        let arms: Vec<_> = all.iter().filter(|arm| arm.name.contains(&self.optimizer)).collect();
        if arms.is_empty() {
            let when = if self.inject { "with" } else { "without" };
            let detail = format!("`{}` is not among those {when} spikes", self.optimizer);
            return Err(Error::argument("--optimizer", detail));
        }
        Ok(arms)
    }

    /// The tasks that are asked for: with data of one's own, those that it is for.
    pub fn tasks(&self, options: &Options) -> Vec<Task> {
        match (self.task, &options.data) {
            (Some(task), _) => vec![task],
            (None, Some(path)) if path.is_dir() => vec![Task::Digits],
            (None, Some(_)) => vec![Task::Text],
            (None, None) => vec![Task::Text, Task::Digits],
        }
    }

    /// The runs of an arm: in a quick run the middle rate alone.
    pub fn plan(&self, options: &Options, problem: &dyn Problem) -> Plan {
        let quick = options.quick;
        let seeds = self.seeds.unwrap_or(if quick { 1 } else { 3 });
        Plan {
            steps: self.steps.unwrap_or(if quick { 60 } else { problem.steps() }),
            factors: if quick { &[1.0] } else { &[0.5, 1.0, 2.0] },
            seeds: (0..seeds).map(|i| options.seed.wrapping_add(i)).collect(),
            task: usize::from(problem.name() == "digits"),
        }
    }
}
