//! Variables: tensors on a tape.

use super::backward::check_gradient;
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
    place: Option<Place>,
}

/// Where a variable's gradient is gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of the tape: how many backward passes it had.
    pub(super) generation: u64,
    pub(super) slot: usize,
}

impl Var {
    pub(super) fn new(tape: Tape, value: Tensor, place: Option<Place>) -> Self {
        Self { tape, value, place }
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
        self.place.is_some()
    }

    /// The same value without a gradient: nothing flows back through it.
    pub fn detach(&self) -> Self {
        Self { place: None, ..self.clone() }
    }

    /// Refuses what is not f32 on the device of `x`.
    pub(crate) fn expect_beside(&self, op: &'static str, x: &Var) -> Result<()> {
        x.value.same_device(op, &self.value)?;
        self.value.expect(op, DType::F32)
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }

    /// The gradients of this scalar with respect to all leaves.
    ///
    /// # Errors
    /// [`Error::Shape`] if it has more than one element; [`Error::Argument`] if it depends on no leaf
    /// and no parameter, or is from before an earlier backward pass of its tape; [`Error::Changed`] if
    /// an operator saved a tensor that was written since; those of the operators' backward passes.
    pub fn backward(&self) -> Result<Gradients> {
        if self.value.count() != 1 {
            let detail = format!("{} is no scalar; use backward_from", self.shape());
            return Err(Error::shape("backward", detail));
        }
        self.backward_from(&crate::tensor::full(self.device(), *self.shape(), 1.0)?)
    }

    /// The gradients of `<seed, self>` with respect to all leaves.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::DType`] and [`Error::DeviceMismatch`] for a `seed` that cannot be a
    /// gradient of it; those of [`backward`](Self::backward).
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
        if !var.tape.is(&first.tape) {
            return Err(Error::TapeMismatch { op: "backward" });
        }
        check_gradient("backward", seed, var.shape(), var.device())?;
        if let Some(place) = var.place {
            seeds.push((place, (*seed).clone()));
        }
    }
    if seeds.is_empty() {
        let why = if first.tape.is_on() {
            "it depends on no leaf and no parameter of its tape (constants and detached variables \
             have no gradient)"
        } else {
            "its tape is off and recorded nothing"
        };
        return Err(Error::argument("backward", format!("no gradient: {why}")));
    }
    first.tape.run_backward(seeds)
}
