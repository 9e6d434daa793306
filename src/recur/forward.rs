//! The forward launches.

use super::layer::Layer;
use super::params::{DENSE, SAVE, WORDS};
use crate::{DType, Result, Shape, Tensor};

/// What the forward launches wrote.
pub(super) struct Forward {
    /// The spikes, if they are given out as bits.
    pub(super) spikes: Option<Tensor>,
    /// What else is emitted, `[emits, T, columns]`.
    pub(super) dense: Option<Tensor>,
    pub(super) state: Tensor,
    /// States, and the bits of all spikes, if backward wants them.
    pub(super) saved: Option<Saved>,
}

/// What backward goes through the steps again by.
pub(super) struct Saved {
    pub(super) states: Tensor,
    pub(super) words: Option<Tensor>,
}

/// Runs a layer from `state`; `keep` says whether backward will follow.
pub(super) fn run(layer: &Layer, state: Tensor, resumes: bool, keep: bool) -> Result<Forward> {
    let device = layer.x.device();
    let fires = layer.definition().surrogates.len();
    let wants_words = fires > 0 && (keep || layer.is_packed());
    let words = wants_words.then(|| Tensor::empty(device, planes(layer, fires)?, DType::Bits));
    let words = words.transpose()?;
    // The spikes that are given out are the first of all.
    let spikes = words.as_ref().filter(|_| layer.is_packed());
    let spikes = spikes.map(|words| words.with_words_as(DType::Bits, layer.shape));
    let dense = match layer.dense() {
        0 => None,
        count => Some(Tensor::empty(device, stacked(count, &layer.shape)?, DType::F32)?),
    };
    let saved = [layer.checkpoints(), layer.columns()];
    let saved = keep.then(|| Tensor::empty(device, saved, DType::F32)).transpose()?;
    let outputs = [(DENSE, dense.is_some()), (WORDS, words.is_some()), (SAVE, saved.is_some())];
    let out: u32 = outputs.into_iter().filter(|(_, on)| *on).map(|(bit, _)| bit).sum();
    for part in layer.parts() {
        let resume = u32::from(part.start > 0 || resumes);
        let launch = layer.prepare(layer.driver.forward, &part, resume).constant("OUT", out);
        let launch = launch.bind("states", &state).bind_if("words", words.as_ref());
        launch.bind_if("save", saved.as_ref()).bind_if("y", dense.as_ref()).record()?;
    }
    let saved = saved.map(|states| Saved { states, words });
    Ok(Forward { spikes, dense, state, saved })
}

/// `count` tensors of a shape `[T, …]`, one behind the other: `[count, T, columns]`.
pub(super) fn stacked(count: usize, shape: &Shape) -> Result<Shape> {
    let steps = shape.first().copied().unwrap_or(0);
    Shape::new(&[count, steps, shape.iter().skip(1).product()])
}

/// The bits of all spikes: each begins with a word of its own.
fn planes(layer: &Layer, fires: usize) -> Result<Shape> {
    if fires == 1 {
        return Ok(layer.shape);
    }
    layer.shape.with(0, fires * layer.steps().next_multiple_of(32))
}
