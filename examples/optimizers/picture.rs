//! Learning curves.

use super::problem::Problem;
use super::study::Study;
use spikegrad::Result;
use spikegrad::plot::{self, Curves, Panel};
use std::path::Path;

/// Titles of pictures' panels, and the names of the arms in each.
const PANELS: [(&str, &[&str]); 5] = [
    ("Element by element", &["sgd", "adam", "adamw", "signum", "ademamix", "spam"]),
    ("Matrix by matrix", &["adamw", "muon", "moonlight", "normuon", "dion"]),
    ("AdamW, spectrally clipped", &["adamw", "adamw-pre", "adamw-post", "adamw-both"]),
    ("Signum, spectrally clipped", &["signum", "signum-pre", "signum-post", "signum-both"]),
    (
        "AdEMAMix, spectrally clipped",
        &["ademamix", "ademamix-pre", "ademamix-post", "ademamix-both"],
    ),
];

/// One panel a family, or one for all with spikes.
pub fn save(out: &Path, problem: &dyn Problem, studies: &[Study], inject: bool) -> Result<()> {
    let task = problem.name();
    if inject {
        let all: Vec<&Study> = studies.iter().collect();
        let panel = curves(&format!("Spikes in the gradients ({task})"), &all);
        return plot::save(out.join(format!("optimizers_{task}_spikes.png")), &[&panel]);
    }
    let chosen = |names: &[&str]| -> Vec<&Study> {
        studies.iter().filter(|study| names.contains(&study.arm.name)).collect()
    };
    let panels: Vec<Curves> = PANELS
        .iter()
        .map(|(title, names)| (title, chosen(names)))
        .filter(|(_, studies)| !studies.is_empty())
        .map(|(title, studies)| curves(&format!("{title} ({task})"), &studies))
        .collect();
    let panels: Vec<&dyn Panel> = panels.iter().map(|panel| panel as &dyn Panel).collect();
    plot::save(out.join(format!("optimizers_{task}.png")), &panels)
}

fn curves(title: &str, studies: &[&Study]) -> Curves {
    let panel = Curves::new(title).x("step").y("validation loss, nats");
    studies.iter().fold(panel, |panel, study| {
        let spikes = if study.arm.spikes { ", spikes" } else { "" };
        panel.series(format!("{}{spikes}", study.arm.label), &study.curve())
    })
}
