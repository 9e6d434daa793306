//! Stochastic gradient descent.

use super::core::{Core, Options, Slot, common_methods, common_options};
use super::{Optimizer, Schedule, twin};
use crate::error::{Error, Result};
use crate::kernel::{CostArgs, Kernel, shader};
use crate::{Cost, Gradients, Param, Tensor};

/// One step of gradient descent with momentum, in place.
pub(super) static SGD: Kernel =
    Kernel::new("optim", "sgd", shader!("optim/sgd"), crate::twin!(twin::sgd))
        .params::<Params>()
        .cost(cost);

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) count: u32,
    pub(super) nesterov: u32,
    pub(super) momentum: f32,
    pub(super) decay: f32,
    pub(super) scale: f32,
}

/// Three tensors read, two written.
fn cost(args: &CostArgs<'_>) -> Cost {
    let count = f64::from(args.params::<Params>().count);
    Cost { bytes: 20.0 * count, flops: 8.0 * count }
}

/// Gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al. 2013):
///
/// ```text
/// v = momentum v + g
/// x = (1 - lr decay) x - lr v                     or, with Nesterov's,  - lr (g + momentum v)
/// ```
///
/// `g` is the gradient after clipping. See [`Optimizer`] for how to use it.
#[derive(Debug)]
pub struct Sgd {
    core: Core<1>,
    momentum: f64,
    nesterov: bool,
}

/// Options of [`Sgd`]; made by [`Sgd::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct SgdBuilder {
    options: Options,
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    /// Options: learning rate 0.01, momentum 0.9, no decay, no clipping.
    pub fn builder() -> SgdBuilder {
        SgdBuilder { options: Options::new(0.01, 0.0), momentum: 0.9, nesterov: false }
    }

    fn update(&self, slot: &Slot<1>, gradient: &Tensor) -> Result<()> {
        let x = slot.param.value();
        let params = Params {
            count: x.count() as u32,
            nesterov: self.nesterov.into(),
            momentum: self.momentum as f32,
            decay: slot.decay,
            scale: slot.scale,
        };
        let launch = x.device().launch(&SGD).params(&params).bind(x).bind(&slot.moments[0]);
        let launch = launch.bind(gradient).bind(&self.core.control).bind(&self.core.clip_state);
        launch.items(x.count(), 64).record()
    }
}

impl SgdBuilder {
    common_options!();

    /// The momentum, 0.9 by default.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Nesterov's momentum, off by default.
    pub fn nesterov(mut self, on: bool) -> Self {
        self.nesterov = on;
        self
    }

    /// The optimizer of `params`, at rest.
    ///
    /// # Errors
    /// [`Error::Argument`] for numbers outside their domains, no parameters, or two of one name;
    /// [`Error::DType`] for parameters that are not f32; [`Error::DeviceMismatch`].
    pub fn build(self, params: &[Param]) -> Result<Sgd> {
        if !(0.0..1.0).contains(&self.momentum) {
            let detail = format!("momentum {}, allowed are 0 to below 1", self.momentum);
            return Err(Error::argument("sgd", detail));
        }
        let core = Core::new("sgd", ["v"], &self.options, params)?;
        Ok(Sgd { core, momentum: self.momentum, nesterov: self.nesterov })
    }
}

impl Optimizer for Sgd {
    fn tick(&mut self) -> Result<()> {
        self.core.tick(|_| [0.0; 3])
    }

    fn step(&self, gradients: &Gradients) -> Result<()> {
        self.core.step(gradients, |slot, gradient| self.update(slot, gradient))
    }

    common_methods!();
}
