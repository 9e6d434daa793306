//! The outcome of a backward pass.

use super::{Param, Var};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// The gradients of leaves and parameters.
#[derive(Debug, Default)]
pub struct Gradients {
    slots: Vec<Option<Tensor>>,
    params: HashMap<u64, usize>,
}

impl Gradients {
    pub(super) fn new(slots: Vec<Option<Tensor>>, params: HashMap<u64, usize>) -> Self {
        Self { slots, params }
    }

    /// The gradient of a leaf; `None` if the output does not depend on it.
    pub fn get(&self, leaf: &Var) -> Option<&Tensor> {
        self.slots.get(leaf.slot()?)?.as_ref()
    }

    /// The gradient of a parameter; `None` if the output does not depend on it.
    pub fn of(&self, param: &Param) -> Option<&Tensor> {
        self.slots.get(*self.params.get(&param.id())?)?.as_ref()
    }

    /// Replaces the gradient of a parameter (for hooks that clip or project it).
    pub fn set(&mut self, param: &Param, gradient: Tensor) {
        if let Some(slot) = self.params.get(&param.id()) {
            self.slots[*slot] = Some(gradient);
        }
    }
}
