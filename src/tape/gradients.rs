//! The outcome of a backward pass.

use super::backward::check_gradient;
use super::{Param, Var};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// The gradients of leaves and parameters.
#[derive(Debug, Default)]
pub struct Gradients {
    /// The tape, and its generation.
    of: (u64, u64),
    slots: Vec<Option<Tensor>>,
    params: HashMap<u64, usize>,
}

impl Gradients {
    pub(super) fn new(
        of: (u64, u64),
        slots: Vec<Option<Tensor>>,
        params: HashMap<u64, usize>,
    ) -> Self {
        Self { of, slots, params }
    }

    /// Gradients of parameters that come from elsewhere than a tape.
    pub(crate) fn from_params<'a>(
        given: impl IntoIterator<Item = (&'a Param, &'a Tensor)>,
    ) -> Self {
        let given = given.into_iter().enumerate();
        let (params, slots) = given
            .map(|(slot, (param, gradient))| ((param.id(), slot), Some(gradient.clone())))
            .unzip();
        Self { of: (0, 0), slots, params }
    }

    /// The gradient of a leaf; `None` if the output does not depend on it, or if it belongs to
    /// another tape or another pass of the tape.
    pub fn get(&self, leaf: &Var) -> Option<&Tensor> {
        let place = leaf.place()?;
        if self.of != (leaf.tape().id(), place.generation) {
            return None;
        }
        self.slots.get(place.slot)?.as_ref()
    }

    /// The gradient of a parameter; `None` if the output does not depend on it.
    pub fn of(&self, param: &Param) -> Option<&Tensor> {
        self.slots.get(*self.params.get(&param.id())?)?.as_ref()
    }

    /// Replaces the gradient of a parameter (for hooks that clip or project it).
    ///
    /// # Errors
    /// [`Error::Argument`] if the tape was not asked for the parameter; [`Error::Shape`],
    /// [`Error::DType`] and [`Error::DeviceMismatch`] for what cannot be its gradient.
    pub fn set(&mut self, param: &Param, gradient: Tensor) -> Result<()> {
        const OP: &str = "Gradients::set";
        let value = param.value();
        check_gradient(OP, &gradient, value.shape(), value.device())?;
        let slot = self.params.get(&param.id()).and_then(|slot| self.slots.get_mut(*slot));
        let unknown = || format!("the pass has no parameter `{}`", param.name());
        *slot.ok_or_else(|| Error::argument(OP, unknown()))? = Some(gradient);
        Ok(())
    }
}
