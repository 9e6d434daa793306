//! Gradients of several micro-batches, added up.

use super::OP;
use crate::error::{Error, Result};
use crate::optim::Optimizer;
use crate::tensor::add_to;
use crate::{Capture, DType, Device, Gradients, Param, Tensor};

/// The sums, and the recorded steps that use them up.
pub(super) struct Gather {
    /// How many micro-batches make a step.
    pub(super) parts: usize,
    /// How many of them are in the sums.
    pub(super) held: usize,
    params: Vec<Param>,
    sums: Vec<Tensor>,
    /// Which parameters got gradients.
    found: Vec<bool>,
    /// A step for each set of parameters that had gradients.
    updates: Vec<(Vec<bool>, Capture)>,
}

impl Gather {
    pub(super) fn new(parts: usize, params: Vec<Param>) -> Result<Self> {
        if parts == 0 {
            return Err(Error::argument(OP, "steps of 0 micro-batches"));
        }
        let zeros = |p: &Param| Tensor::zeros(p.value().device(), *p.value().shape(), DType::F32);
        let sums = params.iter().map(zeros).collect::<Result<_>>()?;
        let found = vec![false; params.len()];
        Ok(Self { parts, held: 0, params, sums, found, updates: Vec::new() })
    }

    /// The part of a gradient that a micro-batch contributes.
    pub(super) fn share(&self) -> f32 {
        (1.0 / self.parts as f64) as f32
    }

    /// Adds gradients to the sums; which parameters had one.
    pub(super) fn add(&self, gradients: &Gradients) -> Result<Vec<bool>> {
        let add = |(param, sum): (&Param, &Tensor)| {
            let Some(gradient) = gradients.of(param) else { return Ok(false) };
            add_to(sum, gradient)?;
            Ok(true)
        };
        self.params.iter().zip(&self.sums).map(add).collect()
    }

    /// Counts a micro-batch; after the last, steps.
    pub(super) fn count(
        &mut self,
        found: &[bool],
        device: &Device,
        optimizer: &mut dyn Optimizer,
    ) -> Result<()> {
        self.found.iter_mut().zip(found).for_each(|(all, now)| *all |= now);
        self.held += 1;
        if self.held < self.parts {
            return Ok(());
        }
        self.held = 0;
        let found = std::mem::replace(&mut self.found, vec![false; self.params.len()]);
        if let Some((_, update)) = self.updates.iter().find(|(of, _)| *of == found) {
            return update.replay();
        }
        let ((), update) = device.capture(|| self.update(&found, optimizer))?;
        self.updates.push((found, update));
        Ok(())
    }

    /// A step along the sums, which are empty then.
    fn update(&self, found: &[bool], optimizer: &mut dyn Optimizer) -> Result<()> {
        let all = self.params.iter().zip(&self.sums).zip(found);
        let given = all.filter(|(_, found)| **found).map(|(pair, _)| pair);
        optimizer.step(&Gradients::from_params(given))?;
        self.sums.iter().try_for_each(Tensor::clear)
    }

    /// Lets go of what is held.
    #[cfg(feature = "checkpoint")]
    pub(super) fn begin(&mut self) -> Result<()> {
        self.held = 0;
        self.found.fill(false);
        self.sums.iter().try_for_each(Tensor::clear)
    }

    /// Launches of the step that is replayed most often.
    pub(super) fn launches(&self) -> usize {
        self.updates.first().map_or(0, |(_, update)| update.launches())
    }
}
