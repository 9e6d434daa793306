//! AdamW.

use super::core::{Core, Options, Slot, common_methods, common_options};
use super::{Optimizer, Schedule, twin};
use crate::error::{Error, Result};
use crate::kernel::{CostArgs, Kernel, shader};
use crate::{Cost, Gradients, Param, Tensor};

/// One AdamW update in place.
pub(super) static ADAMW: Kernel =
    Kernel::new("optim", "adamw", shader!("optim/adamw"), crate::twin!(twin::adamw))
        .params::<Params>()
        .cost(cost);

#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) count: u32,
    pub(super) beta1: f32,
    pub(super) beta2: f32,
    /// `1 - beta1`, rounded once: the difference of the rounded `beta1` would be wrong by 1e-5.
    pub(super) rest1: f32,
    pub(super) rest2: f32,
    pub(super) eps: f32,
    pub(super) decay: f32,
    pub(super) scale: f32,
}

/// Four tensors read, three written.
fn cost(args: &CostArgs<'_>) -> Cost {
    let count = f64::from(args.params::<Params>().count);
    Cost { bytes: 28.0 * count, flops: 17.0 * count }
}

/// AdamW (Loshchilov and Hutter 2019), one launch a parameter, everything in place:
///
/// ```text
/// m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
/// x = (1 - lr decay) x - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
/// ```
///
/// `g` is the gradient after clipping. See [`Optimizer`] for how to use it.
#[derive(Debug)]
pub struct AdamW {
    core: Core<2>,
    betas: [f64; 2],
    eps: f64,
}

/// Options of [`AdamW`]; made by [`AdamW::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct AdamWBuilder {
    options: Options,
    betas: [f64; 2],
    eps: f64,
}

impl AdamW {
    /// Options: learning rate 1e-3, betas 0.9 and 0.999, eps 1e-8, decay 0.01 on parameters with two
    /// axes and more, no clipping.
    pub fn builder() -> AdamWBuilder {
        AdamWBuilder { options: Options::new(1e-3, 0.01), betas: [0.9, 0.999], eps: 1e-8 }
    }

    fn update(&self, slot: &Slot<2>, gradient: &Tensor) -> Result<()> {
        let x = slot.param.value();
        let params = Params {
            count: x.count() as u32,
            beta1: self.betas[0] as f32,
            beta2: self.betas[1] as f32,
            rest1: (1.0 - self.betas[0]) as f32,
            rest2: (1.0 - self.betas[1]) as f32,
            eps: self.eps as f32,
            decay: slot.decay,
            scale: slot.scale,
        };
        let [m, v] = &slot.moments;
        let launch = x.device().launch(&ADAMW).params(&params).bind(x).bind(m).bind(v);
        let launch = launch.bind(gradient).bind(&self.core.control).bind(&self.core.clip_state);
        launch.items(x.count(), 64).record()
    }
}

impl AdamWBuilder {
    common_options!();

    /// The decay rates of both moments, 0.9 and 0.999 by default.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.betas = [beta1, beta2];
        self
    }

    /// What is added to the root of the second moment, 1e-8 by default.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// The optimizer of `params`, its moments zero.
    ///
    /// # Errors
    /// [`Error::Argument`] for numbers outside their domains, no parameters, or two of one name;
    /// [`Error::DType`] for parameters that are not f32; [`Error::DeviceMismatch`].
    pub fn build(self, params: &[Param]) -> Result<AdamW> {
        if self.betas.iter().any(|beta| !(0.0..1.0).contains(beta)) {
            let [beta1, beta2] = self.betas;
            let detail = format!("betas {beta1} and {beta2}, allowed are 0 to below 1");
            return Err(Error::argument("adamw", detail));
        }
        // A smaller eps is zero in f32 arithmetic, where 0 / 0 would follow.
        if !(self.eps >= 1e-30 && self.eps.is_finite()) {
            let detail = format!("eps {}, allowed are 1e-30 and more", self.eps);
            return Err(Error::argument("adamw", detail));
        }
        let core = Core::new("adamw", ["m", "v"], &self.options, params)?;
        Ok(AdamW { core, betas: self.betas, eps: self.eps })
    }
}

impl Optimizer for AdamW {
    fn tick(&mut self) -> Result<()> {
        let [beta1, beta2] = self.betas;
        self.core.tick(|t| {
            let rest = |beta: f64| 1.0 - beta.powf(t as f64);
            [1.0 / rest(beta1), 1.0 / rest(beta2).sqrt(), 0.0]
        })
    }

    fn step(&self, gradients: &Gradients) -> Result<()> {
        self.core.step(gradients, |slot, gradient| self.update(slot, gradient))
    }

    common_methods!();
}
