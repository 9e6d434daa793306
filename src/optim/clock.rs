//! The count of steps, and what follows from it: shared by an optimizer and its captured steps.

use super::group::Part;
use super::low_rank::HELD;
use super::numbers::{Inputs, Numbers};
use crate::Tensor;
use crate::dispatch::{BeforeReplay, Memory};
use crate::error::Result;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What goes on from step to step.
#[derive(Debug)]
pub(super) struct Clock {
    /// The first holds what no other chose.
    pub(super) parts: Vec<Part>,
    pub(super) numbers: Numbers,
    /// Root of the factor, norm, skip, skipped steps.
    pub(super) clip_state: Tensor,
    /// Each parameter's part and moments.
    moments: Vec<(usize, Vec<Tensor>)>,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    steps: u64,
    /// A rate in place of the first part's schedule.
    rate: Option<f64>,
}

impl Clock {
    pub(super) fn new(
        parts: Vec<Part>,
        numbers: Numbers,
        clip_state: Tensor,
        moments: Vec<(usize, Vec<Tensor>)>,
    ) -> Self {
        Self { parts, numbers, clip_state, moments, now: Mutex::default() }
    }

    /// Counts a step and writes its numbers: learning rate and bias corrections.
    pub(super) fn tick(&self) -> Result<()> {
        let mut now = self.now();
        let inputs = self.inputs(&now);
        self.numbers.write(&inputs, &self.clip_state)?;
        self.cleared(&inputs).try_for_each(Tensor::clear)?;
        now.steps = now.next();
        Ok(())
    }

    /// The numbers of the next step.
    fn inputs(&self, now: &Now) -> Vec<Inputs> {
        let inputs =
            |(i, part): (usize, &Part)| part.inputs(now.next(), now.rate.filter(|_| i == 0));
        self.parts.iter().enumerate().map(inputs).collect()
    }

    /// The moments that start anew at a step.
    fn cleared(&self, inputs: &[Inputs]) -> impl Iterator<Item = &Tensor> {
        self.moments.iter().filter(|(part, _)| inputs[*part].restart).flat_map(|(_, m)| m)
    }

    pub(super) fn steps(&self) -> u64 {
        self.now().steps
    }

    pub(super) fn set_steps(&self, steps: u64) {
        self.now().steps = steps;
    }

    pub(super) fn set_rate(&self, rate: Option<f64>) {
        self.now().rate = rate;
    }

    pub(super) fn learning_rate(&self) -> f64 {
        let now = self.now();
        now.rate.unwrap_or_else(|| self.parts[0].settings.schedule.at(now.steps))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    fn next(&self) -> u64 {
        self.steps.saturating_add(1)
    }
}

impl BeforeReplay for Clock {
    fn prepare(&self) -> Result<()> {
        self.tick()
    }

    fn memory(&self) -> Vec<Memory> {
        let inputs = self.inputs(&self.now());
        let tensors = self.numbers.tensors().into_iter().chain(self.cleared(&inputs));
        tensors.map(|tensor| tensor.storage().memory.clone()).collect()
    }

    fn undo(&self) {
        let mut now = self.now();
        now.steps = now.steps.saturating_sub(1);
    }
}

impl Part {
    /// The numbers of a step, at a rate other than the schedule's if given.
    fn inputs(&self, step: u64, rate: Option<f64>) -> Inputs {
        let Part { rule, settings } = self;
        let schedule = settings.schedule;
        let rate = rate.unwrap_or_else(|| schedule.at(step));
        let mut inputs = rule.numbers(step, rate);
        // H_rc(u) = r H_c(u / r): the radius itself stays, and can be a constant of the clip.
        let (warmup, peak) = (schedule.warmup_steps(), schedule.peak());
        let ratio = settings.shapes.radius_ratio(warmup, (step, rate), peak);
        let held = if settings.shapes.low_rank.is_some() { HELD } else { 1.0 };
        inputs.shrink = held / ratio;
        inputs.factor *= ratio;
        inputs
    }
}
