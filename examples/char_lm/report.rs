//! Figures and pictures of a run.

use super::common::Report;
use super::corpus::Corpus;
use super::ngram;
use super::options::Config;
use super::training::{Plan, Training};
use spikegrad::Result;
use spikegrad::models::LanguageModel;
use spikegrad::plot::{self, Curves};
use std::f64::consts::LN_2;
use std::path::Path;

/// The settings of a run.
pub fn config(report: &mut Report, config: &Config, plan: &Plan, text: &str, parameters: usize) {
    report.config("text", text);
    report.config("model", config.model.0);
    report.config("tokens", config.tokens.0);
    report.config("parameters", parameters);
    report.config("steps", plan.steps);
    report.config("batch", plan.batch);
    report.config("context", plan.context);
    report.config("rate", plan.rate);
    report.config("decay", plan.decay);
    report.config("dropout", plan.dropout);
    report.config("settings", plan.settings.to_string());
}

/// Bits per character beside the baseline, and what fires.
pub fn results<M: LanguageModel>(
    report: &mut Report,
    training: &Training<'_, M>,
    corpus: &Corpus,
    quick: bool,
) -> Result<()> {
    let bits = training.test(if quick { 100 } else { usize::MAX })?;
    let counted = ngram::best(corpus.train(), corpus.test(), corpus.tokenizer.vocabulary());
    // Counts are of tokens.
    let characters = corpus.characters(corpus.test()) as f64;
    let counted_bits = counted.bits * corpus.test().len() as f64 / characters;
    report.row("bits_per_character", bits, "test, bits a character", format!("{bits:.3}"));
    let label = format!("best smoothed n-gram (n = {})", counted.order);
    report.row("ngram_bits", counted_bits, &label, format!("{counted_bits:.3}"));
    let activity = training.activity()?;
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let elements = activity.elements()?;
    for (place, rate) in &elements {
        report.metric(&format!("element_activity {place}"), *rate);
    }
    let mean = |places: &[(&str, f64)]| {
        places.iter().map(|(_, value)| value).sum::<f64>() / places.len().max(1) as f64
    };
    let silent = 1.0 - mean(&elements);
    report.row("sparsity", silent, "element sparsity, mean of all places", percent(silent));
    if let Some((place, rate)) = elements.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        let label = format!("element sparsity, least sparse place ({place})");
        report.row("least_sparsity", 1.0 - rate, &label, percent(1.0 - rate));
    }
    let positions = activity.positions()?;
    for (place, open) in &positions {
        report.metric(&format!("position_activity {place}"), *open);
    }
    if !positions.is_empty() {
        let open = mean(&positions);
        let label = "position activity: gates of attention that are open";
        report.row("position_activity", open, label, percent(open));
    }
    Ok(())
}

/// The learning curve.
pub fn picture(out: &Path, history: &[(u64, f64)]) -> Result<()> {
    let points: Vec<(f64, f64)> =
        history.iter().map(|(step, loss)| (*step as f64, loss / LN_2)).collect();
    let curve = Curves::new("Training loss").x("step").y("bits a token");
    plot::save(out.join("char_lm.png"), &[&curve.series("training", &points)])
}
