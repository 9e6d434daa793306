//! Numbers of a step, read when the next is under way.

use super::OP;
use crate::error::{Error, Result};
use crate::{ReadBack, Tensor};
use std::sync::Arc;

/// What one run of a [`TrainStep`](super::TrainStep) reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbers {
    run: u64,
    names: Arc<[String]>,
    values: Vec<f32>,
}

impl Numbers {
    /// Which run it was; the first is 1.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The loss.
    pub fn loss(&self) -> f32 {
        self.values.first().copied().unwrap_or(f32::NAN)
    }

    /// The number of this name.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is none, with the names that there are.
    pub fn get(&self, name: &str) -> Result<f32> {
        let found = self.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value).ok_or_else(|| {
            let names = self.names.join("`, `");
            Error::argument(OP, format!("no number is called `{name}`, there are `{names}`"))
        })
    }

    /// All numbers with their names, the loss first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f32)> {
        self.names.iter().map(String::as_str).zip(self.values.iter().copied())
    }
}

/// Where a recorded step leaves its numbers.
pub(super) struct Places {
    names: Arc<[String]>,
    tensors: Vec<Tensor>,
}

impl Places {
    pub(super) fn new(numbers: Vec<(String, Tensor)>) -> Self {
        let (names, tensors): (Vec<_>, Vec<_>) = numbers.into_iter().unzip();
        Self { names: names.into(), tensors }
    }

    /// Starts reading them.
    pub(super) fn read(&self, run: u64) -> Result<Late> {
        let reads = self.tensors.iter().map(Tensor::read).collect::<Result<_>>()?;
        Ok(Late { run, names: self.names.clone(), reads })
    }
}

/// Numbers on their way.
pub(super) struct Late {
    run: u64,
    names: Arc<[String]>,
    reads: Vec<ReadBack>,
}

impl Late {
    pub(super) fn wait(self) -> Result<Numbers> {
        let value = |read: ReadBack| Ok(read.wait::<f32>()?.first().copied().unwrap_or(f32::NAN));
        let values = self.reads.into_iter().map(value).collect::<Result<_>>()?;
        Ok(Numbers { run: self.run, names: self.names, values })
    }
}
