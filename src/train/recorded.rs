//! Steps that were recorded, by what they were recorded for.

use super::numbers::Places;
use crate::error::Result;
use crate::{Capture, DType, Shape, Tensor};
use std::panic::Location;

/// What tells one recorded step from another: where it was called, the closure's code, and what came in.
#[derive(PartialEq)]
pub(super) struct Key {
    place: &'static Location<'static>,
    closure: usize,
    inputs: Vec<(Shape, DType)>,
}

impl Key {
    pub(super) fn new(
        place: &'static Location<'static>,
        closure: usize,
        inputs: &[&Tensor],
    ) -> Self {
        let inputs = inputs.iter().map(|input| (*input.shape(), input.dtype())).collect();
        Self { place, closure, inputs }
    }
}

/// A step on inputs of its own.
pub(super) struct Recorded {
    pub(super) key: Key,
    pub(super) inputs: Vec<Tensor>,
    pub(super) capture: Capture,
    pub(super) numbers: Places,
    /// Which parameters had gradients, where these are added up.
    pub(super) found: Vec<bool>,
}

impl Recorded {
    /// Runs it again on other inputs.
    pub(super) fn replay(&self, inputs: &[&Tensor]) -> Result<()> {
        self.inputs.iter().zip(inputs).try_for_each(|(own, input)| own.copy_from(input))?;
        self.capture.replay()
    }
}

/// The steps that were used last.
#[derive(Default)]
pub(super) struct Steps {
    /// The newest last.
    kept: Vec<Recorded>,
}

impl Steps {
    /// The step of this key, which then counts as the newest.
    pub(super) fn find(&mut self, key: &Key) -> Option<&Recorded> {
        let place = self.kept.iter().position(|step| step.key == *key)?;
        let step = self.kept.remove(place);
        self.kept.push(step);
        self.kept.last()
    }

    /// Keeps a step, and of all together the newest `most`.
    pub(super) fn keep(&mut self, step: Recorded, most: usize) {
        self.kept.push(step);
        let over = self.kept.len().saturating_sub(most);
        self.kept.drain(..over);
    }

    pub(super) fn newest(&self) -> Option<&Recorded> {
        self.kept.last()
    }

    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }
}
