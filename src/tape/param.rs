//! Trainable parameters.

use crate::tensor::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};

/// A named tensor that an optimizer updates in place. Clones share it.
#[derive(Debug, Clone)]
pub struct Param {
    name: String,
    value: Tensor,
    id: u64,
}

impl Param {
    /// A parameter with this value.
    pub fn new(name: impl Into<String>, value: Tensor) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { name: name.into(), value, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Its name: what it is saved under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same parameter under `prefix.name`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.name = format!("{prefix}.{}", self.name);
        self
    }

    /// Its value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}
