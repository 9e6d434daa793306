//! Tables, and the numbers of the JSON file.

use super::common::{Options, Report};
use super::options::Config;
use super::problem::Problem;
use super::study::{Place, Study};

/// What a loss may be above its base's and still count as no worse, in nats.
const MARGIN: f64 = 0.01;

/// The settings of a run.
pub fn config(report: &mut Report, options: &Options, config: &Config) {
    report.config("inject_spikes", config.inject);
    report.config("settings", format!("{config:?}"));
    report.config("quick", options.quick);
}

/// Tables of one problem, and their numbers.
pub fn studies(report: &mut Report, problem: &dyn Problem, studies: &[Study]) {
    table(report, problem.name(), studies);
    let compared = studies.iter().filter_map(|study| Comparison::of(study, studies));
    let compared: Vec<Comparison<'_>> = compared.collect();
    if compared.is_empty() {
        return;
    }
    differences(report, problem.name(), &compared);
    if compared.iter().any(|c| c.study.arm.spikes) {
        spikes(report, problem.name(), &compared);
    } else {
        clipping(report, problem.name(), &compared);
    }
}

fn table(report: &mut Report, problem: &str, studies: &[Study]) {
    let accuracies = studies.iter().any(|s| s.outcomes.iter().any(|o| o.accuracy.is_some()));
    let header = if accuracies { "  accuracy" } else { "" };
    println!(
        "\n{:<26}{:>9}  {:>17}{header}{:>15}{:>10}",
        "optimizer", "rate", "validation loss", "weight norms", "ms a step"
    );
    for study in studies {
        let (loss, [most, mean]) = (study.loss(), [study.largest_norm(), study.mean_norm()]);
        let accuracy = study.sample(|o| o.accuracy.unwrap_or(f64::NAN)).mean;
        let hits = if accuracies { format!("{:>8.1} %", 100.0 * accuracy) } else { String::new() };
        let place = match study.place {
            Place::Lowest => '<',
            Place::Between => ' ',
            Place::Highest => '>',
        };
        println!(
            "{:<26}{place}{:>8}  {:>17}{hits}{:>8.2}{:>7.2}{:>10.2}",
            named(study),
            study.rate,
            study.loss_text(),
            most,
            mean,
            study.ms()
        );
        let numbers = [
            ("rate", study.rate),
            ("loss", loss.mean),
            ("loss_spread", if study.has_spread() { loss.spread } else { f64::NAN }),
            ("accuracy", accuracy),
            ("norm_largest", most),
            ("norm_mean", mean),
            ("ms", study.ms()),
        ];
        for (name, value) in numbers.into_iter().filter(|(_, value)| value.is_finite()) {
            report.metric(&format!("{problem}.{}.{name}", study.arm.name), value);
        }
        for (i, outcome) in study.outcomes.iter().enumerate() {
            report.metric(&format!("{problem}.{}.loss.{i}", study.arm.name), outcome.loss);
        }
    }
    println!(
        "loss in nats, mean and standard deviation of the seeds; norms: the largest and the mean of"
    );
    println!("all matrices; < or > before a rate: it was the lowest or the highest of those tried");
}

fn named(study: &Study) -> String {
    let spikes = if study.arm.spikes { ", spikes" } else { "" };
    format!("{}{spikes}", study.arm.label)
}

/// An arm beside its base.
struct Comparison<'a> {
    study: &'a Study,
    base: &'a Study,
    /// Of the mean losses; negative where the arm is better.
    difference: f64,
    /// Whether the difference is larger than both standard deviations together; unknown with one seed.
    beyond: Option<bool>,
}

impl<'a> Comparison<'a> {
    fn of(study: &'a Study, all: &'a [Study]) -> Option<Self> {
        let name = study.arm.base?;
        let base = all.iter().find(|other| other.arm.name == name)?;
        let (own, other) = (study.loss(), base.loss());
        let difference = own.mean - other.mean;
        let spread = own.spread + other.spread;
        let several = study.has_spread() && base.has_spread();
        let beyond = several.then_some(difference.abs() > spread);
        Some(Self { study, base, difference, beyond })
    }

    /// Whether both the largest and the mean norm of weights are smaller.
    fn smaller(&self) -> bool {
        self.study.largest_norm() < self.base.largest_norm()
            && self.study.mean_norm() < self.base.mean_norm()
    }

    fn no_worse(&self) -> bool {
        self.difference <= MARGIN
    }
}

/// Every difference from a base, with its sign.
fn differences(report: &mut Report, problem: &str, compared: &[Comparison<'_>]) {
    println!("\n{:<26}{:>22}  {:>12}  beyond the spread of seeds", "", "against", "difference");
    for c in compared {
        let beyond = match (c.beyond, c.difference < 0.0) {
            (Some(true), true) => "yes, better",
            (Some(true), false) => "yes, worse",
            (Some(false), _) => "no",
            (None, _) => "one seed",
        };
        println!("{:<26}{:>22}  {:>+12.4}  {beyond}", named(c.study), named(c.base), c.difference);
        let name = format!("{problem}.{}", c.study.arm.name);
        report.metric(&format!("{name}.difference"), c.difference);
        if let Some(beyond) = c.beyond {
            report.metric(&format!("{name}.beyond"), f64::from(u8::from(beyond)));
        }
    }
}

/// How often clipping does what it promises.
fn clipping(report: &mut Report, problem: &str, compared: &[Comparison<'_>]) {
    let of = compared.len();
    let mut row = |name: &str, label: &str, holds: &dyn Fn(&Comparison<'_>) -> Option<bool>| {
        let label = format!("{problem}: {label}");
        let held: Option<Vec<bool>> = compared.iter().map(holds).collect();
        let Some(held) = held else { return report.line(&label, "one seed") };
        let count = held.iter().filter(|held| **held).count();
        report.row(&format!("{problem}.{name}"), count as f64, &label, format!("{count} of {of}"));
    };
    row("no_worse", "spectral clipping costs at most 0.01 nat", &|c| Some(c.no_worse()));
    row("smaller_norms", "and has smaller weight norms, largest and mean", &|c| Some(c.smaller()));
    let beyond = |c: &Comparison<'_>, sign: f64| Some(c.beyond? && sign * c.difference > 0.0);
    row("better", "better than its base, beyond the spread", &|c| beyond(c, -1.0));
    row("worse", "worse than its base, beyond the spread", &|c| beyond(c, 1.0));
}

/// Losses with spikes over the clean one.
fn spikes(report: &mut Report, problem: &str, compared: &[Comparison<'_>]) {
    for c in compared {
        let excess = 100.0 * c.difference / c.base.loss().mean;
        let label = format!("{problem}: {} over clean Adam", named(c.study));
        let name = format!("{problem}.{}.excess_percent", c.study.arm.name);
        report.row(&name, excess, &label, format!("{excess:+.2} %"));
    }
}
