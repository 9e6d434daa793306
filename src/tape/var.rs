//! Variables: tensors on a tape.

use super::{Gradients, Tape};
use crate::device::Device;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A tensor on a tape. Operators are its methods, spread over the families' modules. A cheap handle.
#[derive(Debug, Clone)]
#[must_use]
pub struct Var {
    tape: Tape,
    value: Tensor,
    slot: Option<usize>,
}

impl Var {
    pub(super) fn new(tape: Tape, value: Tensor, slot: Option<usize>) -> Self {
        Self { tape, value, slot }
    }

    /// Its value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// Its tape.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Its device.
    pub fn device(&self) -> &Device {
        self.value.device()
    }

    /// Its extents.
    pub fn shape(&self) -> &Shape {
        self.value.shape()
    }

    /// Its element type.
    pub fn dtype(&self) -> DType {
        self.value.dtype()
    }

    /// Whether it gets a gradient.
    pub fn has_gradient(&self) -> bool {
        self.slot.is_some()
    }

    /// The same value without a gradient: nothing flows back through it.
    pub fn detach(&self) -> Self {
        Self { slot: None, ..self.clone() }
    }

    pub(super) fn slot(&self) -> Option<usize> {
        self.slot
    }

    /// The gradients of this scalar with respect to all leaves.
    ///
    /// # Errors
    /// [`Error::Shape`] if it has more than one element; [`Error::Argument`] if the tape was used up
    /// before; those of the operators' backward passes.
    pub fn backward(&self) -> Result<Gradients> {
        if self.value.count() != 1 {
            let detail = format!("{} is no scalar; use backward_from", self.shape());
            return Err(Error::shape("backward", detail));
        }
        self.backward_from(&crate::elementwise::full(self.device(), *self.shape(), 1.0)?)
    }

    /// The gradients of `<seed, self>` with respect to all leaves.
    ///
    /// # Errors
    /// [`Error::Shape`] if `seed` has another shape; those of [`backward`](Self::backward).
    pub fn backward_from(&self, seed: &Tensor) -> Result<Gradients> {
        backward_from_many(&[(self, seed)])
    }
}

/// The gradients of the sum of `<seed, var>` over several variables of one tape.
///
/// # Errors
/// Those of [`Var::backward_from`]; [`Error::TapeMismatch`].
pub(crate) fn backward_from_many(outputs: &[(&Var, &Tensor)]) -> Result<Gradients> {
    let Some((first, _)) = outputs.first() else {
        return Err(Error::argument("backward", "no outputs"));
    };
    let mut seeds = Vec::new();
    for (var, seed) in outputs {
        if !std::sync::Arc::ptr_eq(&var.tape.inner, &first.tape.inner) {
            return Err(Error::TapeMismatch { op: "backward" });
        }
        if seed.shape() != var.shape() {
            let detail = format!("a gradient of {} for a value of {}", seed.shape(), var.shape());
            return Err(Error::shape("backward", detail));
        }
        if let Some(slot) = var.slot {
            seeds.push((slot, (*seed).clone()));
        }
    }
    first.tape.run_backward(seeds)
}
