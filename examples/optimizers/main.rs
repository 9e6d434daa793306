//! Trains one character model and one spiking classifier with every optimizer of the crate, each
//! with its own best of three learning rates, and compares them.
//!
//! `cargo run --release --example optimizers -- --help`

mod arms;
#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "shared with another example, which uses more of it")]
#[path = "../char_lm/corpus.rs"]
mod corpus;
mod digits;
mod options;
mod picture;
mod problem;
mod report;
mod study;
mod text;
mod trial;

use arms::Arm;
use common::{Options, Progress, Report};
use digits::DigitProblem;
use options::{Config, Task};
use problem::Problem;
use spikegrad::Result;
use study::Study;
use text::TextProblem;

fn main() {
    let (options, config) = options::parse();
    common::run("optimizers", &options, || compare(&options, &config));
}

fn compare(options: &Options, config: &Config) -> Result<()> {
    let mut report = Report::new("optimizers");
    report::config(&mut report, options, config);
    let arms = config.arms()?;
    for task in config.tasks(options) {
        let problem: Box<dyn Problem> = match task {
            Task::Text => Box::new(TextProblem::new(options)?),
            Task::Digits => Box::new(DigitProblem::new(options)?),
        };
        println!("\n{}", problem.describe());
        report.config(problem.name(), problem.describe());
        let studies = run(options, config, &*problem, &arms)?;
        report::studies(&mut report, &*problem, &studies);
        picture::save(&options.out, &*problem, &studies, config.inject)?;
    }
    report.finish(options)
}

/// Every arm on one problem.
fn run(
    options: &Options,
    config: &Config,
    problem: &dyn Problem,
    arms: &[&'static Arm],
) -> Result<Vec<Study>> {
    let plan = config.plan(options, problem);
    let progress = Progress::new((plan.runs() * arms.len()) as u64);
    let mut studies = Vec::new();
    for arm in arms {
        let study = Study::run(problem, arm, &plan, || progress.step())?;
        progress.news(study.line());
        studies.push(study);
    }
    Ok(studies)
}
