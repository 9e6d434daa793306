//! The whole state of a run in one file.

use super::{OP, TrainStep};
use crate::checkpoint::{Checkpoint, Notes};
use crate::error::{Error, Result};
use crate::nn::Module;
use crate::optim::Optimizer;
use crate::random::{Generator, GeneratorState};
use std::path::Path;

/// What optimizers' tensors and steps are saved under.
const OPTIMIZER: &str = "optimizer";

impl<O: Optimizer> TrainStep<O> {
    /// Saves all that the rest of a run depends on: what the model [saves](Module::saved), the optimizer's
    /// state and steps, on which its schedule depends, and the generator's. For further notes there is
    /// [`checkpoint`](Self::checkpoint).
    ///
    /// # Errors
    /// Those of [`checkpoint`](Self::checkpoint) and of [`Checkpoint::save`].
    pub fn save(&self, path: impl AsRef<Path>, model: &dyn Module) -> Result<()> {
        self.checkpoint(Checkpoint::new().params(&model.saved()))?.save(path)
    }

    /// What a file of a model, with any notes, holds besides: the state of the step.
    ///
    /// # Errors
    /// [`Error::Argument`] between the micro-batches of a step; device loss.
    pub fn checkpoint(&self, model: Checkpoint) -> Result<Checkpoint> {
        if let Some(gather) = self.gather.as_ref().filter(|gather| gather.held > 0) {
            let detail = format!("{} of {} micro-batches are gathered", gather.held, gather.parts);
            return Err(Error::argument(OP, format!("cannot be saved while {detail}")));
        }
        let GeneratorState { seed, step } = self.random.state()?;
        let file = model.optimizer(OPTIMIZER, &self.optimizer);
        Ok(file.note("random.seed", seed).note("random.step", step))
    }

    /// Goes on from a file that [`save`](Self::save) or [`checkpoint`](Self::checkpoint) made, with the bits
    /// of a run that was not stopped; returns its notes. Steps are recorded anew.
    ///
    /// # Errors
    /// Those of [`Checkpoint::load`], for a file of another model or optimizer; nothing is changed then.
    pub fn resume(&mut self, path: impl AsRef<Path>, model: &dyn Module) -> Result<Notes> {
        let path = path.as_ref();
        let noted = Checkpoint::notes(path)?;
        let steps = noted.parse(&format!("{OPTIMIZER}.steps"))?;
        let seed = match noted.get("random.seed") {
            Some(_) => noted.parse("random.seed")?,
            None => self.random.state()?.seed,
        };
        let state = GeneratorState { seed, step: noted.parse("random.step")? };
        let random = Generator::restore(&self.device, state)?;
        let file = Checkpoint::new().params(&model.saved()).optimizer(OPTIMIZER, &self.optimizer);
        let notes = file.load(path)?;
        self.optimizer.set_steps(steps);
        self.begin_with(random)?;
        Ok(notes)
    }
}
