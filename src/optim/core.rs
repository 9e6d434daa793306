//! What every optimizer holds: parameters, schedule, control tensor, clipping.

use super::Schedule;
use super::norm::Clip;
use crate::error::{Error, Result};
use crate::{Bind, DType, Device, Gradients, Param, Tensor};
use std::collections::HashSet;
use std::sync::Arc;

/// A choice of parameters.
type Filter = Arc<dyn Fn(&Param) -> bool + Send + Sync>;

/// What the builders of all optimizers collect.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) schedule: Schedule,
    pub(super) weight_decay: f64,
    pub(super) decays: Filter,
    pub(super) scales: Vec<(Filter, f64)>,
    pub(super) clip_norm: Option<f64>,
}

impl Options {
    pub(super) fn new(rate: f64, weight_decay: f64) -> Self {
        Self {
            schedule: Schedule::constant(rate),
            weight_decay,
            decays: Arc::new(|param| param.value().shape().rank() > 1),
            scales: Vec::new(),
            clip_norm: None,
        }
    }

    fn check(&self, op: &'static str) -> Result<()> {
        if !self.schedule.is_sound() {
            let detail = format!("{:?} has a rate that is negative or not finite", self.schedule);
            return Err(Error::argument(op, detail));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            let detail = format!("weight decay {}, allowed are 0 and more", self.weight_decay);
            return Err(Error::argument(op, detail));
        }
        match self.clip_norm {
            Some(norm) if norm.is_nan() || norm <= 0.0 => {
                Err(Error::argument(op, format!("clip norm {norm}, allowed is more than 0")))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("schedule", &self.schedule)
            .field("weight_decay", &self.weight_decay)
            .field("clip_norm", &self.clip_norm)
            .finish_non_exhaustive()
    }
}

/// A parameter with the optimizer's tensors of its shape, and its group's numbers.
#[derive(Debug)]
pub(super) struct Slot<const N: usize> {
    pub(super) param: Param,
    pub(super) moments: [Tensor; N],
    pub(super) decay: f32,
    pub(super) scale: f32,
}

/// The common part of an optimizer with `N` tensors a parameter.
#[derive(Debug)]
pub(super) struct Core<const N: usize> {
    op: &'static str,
    slots: Vec<Slot<N>>,
    names: [&'static str; N],
    schedule: Schedule,
    steps: u64,
    /// Learning rate and up to three numbers of the optimizer.
    pub(super) control: Tensor,
    clip: Option<Clip>,
    /// Factor, norm, skip, skipped steps.
    pub(super) clip_state: Tensor,
}

impl<const N: usize> Core<N> {
    pub(super) fn new(
        op: &'static str,
        names: [&'static str; N],
        options: &Options,
        params: &[Param],
    ) -> Result<Self> {
        options.check(op)?;
        let device = checked_device(op, params)?;
        let mut slots = Vec::with_capacity(params.len());
        for param in params {
            let value = param.value();
            let zeros = || Tensor::zeros(device, *value.shape(), DType::F32);
            let moments = (0..N).map(|_| zeros()).collect::<Result<Vec<_>>>()?;
            let Ok(moments) = moments.try_into() else { continue };
            let decays = (options.decays)(param);
            let scales = options.scales.iter().filter(|(chosen, _)| chosen(param));
            slots.push(Slot {
                param: param.clone(),
                moments,
                decay: if decays { options.weight_decay as f32 } else { 0.0 },
                scale: scales.map(|(_, factor)| factor).product::<f64>() as f32,
            });
        }
        let clip = options.clip_norm.map(|norm| Clip::new(device, norm, params.len()));
        Ok(Self {
            op,
            slots,
            names,
            schedule: options.schedule,
            steps: 0,
            control: Tensor::zeros(device, [4], DType::F32)?,
            clip: clip.transpose()?,
            clip_state: Tensor::from_slice(device, &[1.0f32, 0.0, 0.0, 0.0], [4])?,
        })
    }

    /// Counts a step and writes its numbers.
    pub(super) fn tick(&mut self, numbers: impl FnOnce(u64) -> [f64; 3]) -> Result<()> {
        let step = self.steps + 1;
        let [a, b, c] = numbers(step);
        self.control.write(&[self.schedule.at(step), a, b, c])?;
        self.steps = step;
        Ok(())
    }

    /// Clips, then calls `update` for each parameter with a gradient.
    pub(super) fn step(
        &self,
        gradients: &Gradients,
        update: impl Fn(&Slot<N>, &Tensor) -> Result<()>,
    ) -> Result<()> {
        if self.steps == 0 {
            return Err(Error::argument(self.op, "step before the first tick"));
        }
        let mut found = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let Some(gradient) = gradients.of(&slot.param) else { continue };
            if gradient.shape() != slot.param.value().shape() {
                let (name, value) = (slot.param.name(), slot.param.value().shape());
                let detail = format!("gradient {} for `{name}` {value}", gradient.shape());
                return Err(Error::shape(self.op, detail));
            }
            found.push((slot, apart(gradient, slot.param.value())?));
        }
        if let Some(clip) = &self.clip {
            clip.record(found.iter().map(|(_, gradient)| gradient), &self.clip_state)?;
        }
        found.iter().try_for_each(|(slot, gradient)| update(slot, gradient))
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    pub(super) fn learning_rate(&self) -> f64 {
        self.schedule.at(self.steps)
    }

    pub(super) fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![(format!("{}.clip", self.op), self.clip_state.clone())];
        for slot in &self.slots {
            for (name, moment) in self.names.iter().zip(&slot.moments) {
                state.push((format!("{}.{name}.{}", self.op, slot.param.name()), moment.clone()));
            }
        }
        state
    }

    pub(super) fn gradient_norm(&self) -> Result<f32> {
        Ok(self.clip_state.to_vec::<f32>()?[1])
    }

    pub(super) fn skipped(&self) -> Result<u64> {
        Ok(self.clip_state.to_vec::<f32>()?[3] as u64)
    }
}

/// The gradient in memory of its own: that of `|x|^2 / 2` may be `x` itself, which the update of `x`
/// cannot read.
fn apart(gradient: &Tensor, value: &Tensor) -> Result<Tensor> {
    if gradient.bound().memory.same(&value.bound().memory) {
        return gradient.duplicate();
    }
    Ok(gradient.clone())
}

/// The device that all parameters live on.
fn checked_device<'a>(op: &'static str, params: &'a [Param]) -> Result<&'a Device> {
    let Some(first) = params.first() else {
        return Err(Error::argument(op, "no parameters"));
    };
    let mut names = HashSet::new();
    for param in params {
        param.value().expect(op, DType::F32)?;
        first.value().same_device(op, param.value())?;
        if !names.insert(param.name()) {
            let detail = format!("two parameters are called `{}`", param.name());
            return Err(Error::argument(op, detail));
        }
    }
    Ok(first.value().device())
}

/// The part of a builder that all optimizers share.
macro_rules! common_options {
    () => {
        /// The learning rate, the same at every step.
        pub fn learning_rate(mut self, rate: f64) -> Self {
            self.options.schedule = Schedule::constant(rate);
            self
        }

        /// The learning rate as a function of the step.
        pub fn schedule(mut self, schedule: Schedule) -> Self {
            self.options.schedule = schedule;
            self
        }

        /// The decoupled weight decay, per unit of learning rate.
        pub fn weight_decay(mut self, decay: f64) -> Self {
            self.options.weight_decay = decay;
            self
        }

        /// Which parameters decay: by default those with two axes and more.
        pub fn decay_only(
            mut self,
            chosen: impl Fn(&Param) -> bool + Send + Sync + 'static,
        ) -> Self {
            self.options.decays = std::sync::Arc::new(chosen);
            self
        }

        /// Multiplies the learning rate of the chosen parameters. Factors of several calls multiply.
        pub fn scale_rate(
            mut self,
            factor: f64,
            chosen: impl Fn(&Param) -> bool + Send + Sync + 'static,
        ) -> Self {
            self.options.scales.push((std::sync::Arc::new(chosen), factor));
            self
        }

        /// Clips the norm of all gradients together to `norm`, and skips steps whose norm is not
        /// finite. With infinity nothing is clipped, and such steps are skipped all the same.
        pub fn clip_norm(mut self, norm: f64) -> Self {
            self.options.clip_norm = Some(norm);
            self
        }
    };
}
pub(super) use common_options;

/// The methods of [`Optimizer`](super::Optimizer) that are those of the core.
macro_rules! common_methods {
    () => {
        fn steps(&self) -> u64 {
            self.core.steps()
        }

        fn set_steps(&mut self, steps: u64) {
            self.core.set_steps(steps);
        }

        fn learning_rate(&self) -> f64 {
            self.core.learning_rate()
        }

        fn state(&self) -> Vec<(String, Tensor)> {
            self.core.state()
        }

        fn gradient_norm(&self) -> Result<f32> {
            self.core.gradient_norm()
        }

        fn skipped(&self) -> Result<u64> {
            self.core.skipped()
        }
    };
}
pub(super) use common_methods;
