//! Figures of a run.

use super::common::Report;
use super::dataset::Dataset;
use super::options::Config;
use super::training::Plan;
use super::{Run, Trained};
use spikegrad::data::Part;

/// The settings of a run.
pub fn config(report: &mut Report, config: &Config, plan: &Plan, data: &Dataset, runs: &[Run]) {
    let series = data.windows.series();
    report.config("data", series.name.as_str());
    report.config("rows", series.rows());
    report.config("columns", series.columns());
    report.config("judged", if data.judged == Part::Test { "test" } else { "validation" });
    report.config("windows", data.windows.starts(data.judged).len());
    report.config("model", config.model.0);
    report.config("norm", config.norm.0);
    report.config("loss", config.loss.0);
    report.config("scale", data.scale.to_string());
    report.config("steps", plan.steps);
    report.config("batch", plan.batches.size());
    report.config("settings", format!("{config:?}"));
    for run in runs {
        if let Some(trained) = &run.trained {
            report.config(&format!("parameters {}", run.name), trained.parameters);
        }
    }
}

/// Errors of all forecasters; what fires, and what a forecast costs.
pub fn results(report: &mut Report, data: &Dataset, runs: &[Run]) {
    let what = if data.judged == Part::Test { "test" } else { "validation" };
    for (i, run) in runs.iter().enumerate() {
        let key = match (i, run.name) {
            (0, _) => String::new(),
            (_, "persistence") => "persistence_".into(),
            (_, "ridge") => "ridge_".into(),
            _ => "twin_".into(),
        };
        let text = format!(
            "MAE {}  RMSE {}  R² {:.3}  scaled MAE {:.4}  RMSE {:.4}",
            short(run.own.mae),
            short(run.own.rmse),
            run.own.r2,
            run.scaled.mae,
            run.scaled.rmse
        );
        let label = match run.name {
            "persistence" => format!("{what}, the last value"),
            "ridge" => format!("{what}, linear map (ridge)"),
            name => format!("{what}, {name}"),
        };
        report.row(&format!("{key}mae"), run.own.mae, &label, text);
        report.metric(&format!("{key}rmse"), run.own.rmse);
        report.metric(&format!("{key}r2"), run.own.r2);
        report.metric(&format!("{key}scaled_mae"), run.scaled.mae);
        report.metric(&format!("{key}scaled_rmse"), run.scaled.rmse);
        if let Some(trained) = &run.trained {
            costs(report, &key, run.name, trained);
        }
    }
}

fn costs(report: &mut Report, key: &str, name: &str, trained: &Trained) {
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let spikes = &trained.seen.spikes;
    if key.is_empty() && spikes.len() > 1 {
        for (place, rate) in spikes {
            report.metric(&format!("spike_rate {place}"), *rate);
        }
        let (gates, neurons): (Vec<_>, Vec<_>) =
            spikes.iter().partition(|(place, _)| place.starts_with("gate"));
        let mean = |places: Vec<&(String, f64)>| {
            places.iter().map(|(_, rate)| rate).sum::<f64>() / places.len().max(1) as f64
        };
        let (gates, neurons) = (mean(gates), mean(neurons));
        report.row("spike_rate", neurons, "neurons that fire at a step", percent(neurons));
        report.row("gate_rate", gates, "complex gates that are open at a step", percent(gates));
    }
    if let Some((_, density)) = trained.seen.gates.first() {
        let label = format!("frequencies that are open, {name}");
        report.row(&format!("{key}gate_density"), *density, &label, percent(*density));
    }
    let (strict, usual) = (trained.seen.energy.strict(), trained.seen.energy.usual());
    let label = format!("energy of a forecast, {name}");
    let text = match strict == usual {
        true => format!("{} µJ", short(strict)),
        false => format!("{} µJ, {} as usually counted", short(strict), short(usual)),
    };
    report.row(&format!("{key}energy_uj"), strict, &label, text);
    report.metric(&format!("{key}energy_usual_uj"), usual);
    report.metric(&format!("{key}bytes_moved"), trained.seen.bytes);
    report.metric(&format!("{key}launches"), trained.launches as f64);
    report.metric(&format!("{key}train_seconds"), trained.seconds);
}

/// A number with four digits.
pub fn short(value: f64) -> String {
    let digits = 3 - value.abs().max(1e-9).log10().floor() as i32;
    format!("{value:.*}", digits.clamp(0, 8) as usize)
}
