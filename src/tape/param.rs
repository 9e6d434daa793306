//! Trainable parameters.

use crate::tensor::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};

/// Along which axis of a weight the outputs of its layer stand; all other axes together are inputs.
/// Rules that tell neurons from their inputs ([`Muon`](crate::optim::Muon) and its kin) read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// The last axis, as in `y = x W`: `[inputs, outputs]`.
    #[default]
    OutputsLast,
    /// The first axis, as in `y = x W^T`: `[outputs, inputs]`.
    OutputsFirst,
}

/// A named tensor that an optimizer updates in place. Clones share it.
#[derive(Debug, Clone)]
pub struct Param {
    name: String,
    value: Tensor,
    orientation: Orientation,
    id: u64,
}

impl Param {
    /// A parameter with this value. Its outputs stand along the last axis, as all layers of the crate
    /// keep them; see [`outputs_first`](Self::outputs_first).
    pub fn new(name: impl Into<String>, value: Tensor) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (orientation, id) = (Orientation::default(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { name: name.into(), value, orientation, id }
    }

    /// Its name: what it is saved under. In a [`Module`](crate::nn::Module) that is the path to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same parameter under another name.
    #[must_use]
    pub fn renamed(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same parameter as one whose outputs stand along the first axis.
    #[must_use]
    pub fn outputs_first(mut self) -> Self {
        self.orientation = Orientation::OutputsFirst;
        self
    }

    /// Along which axis its outputs stand.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Its value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}
