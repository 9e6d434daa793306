//! What an optimizer is made of: a rule, hooks, a schedule, and groups of parameters.

use super::engine::Engine;
use super::group::{Group, Part, Settings};
use super::rule::Rule;
use super::shaping::Shaping;
use super::{Constraint, Descent, Schedule};
use crate::Param;
use crate::error::Result;
use crate::narrow::positive;
use crate::spectral::SpectralClip;
use std::marker::PhantomData;
use std::sync::Arc;

/// The options of an optimizer with the rule `R`, made by its `builder`. What stands here holds for
/// every rule; the options of one rule stand with it.
///
/// A step is, for every parameter that has a gradient:
///
/// 1. [`orthogonal`](Self::orthogonal) removes the part of the gradient along the parameter;
/// 2. [`pre_clip`](Self::pre_clip) softly clips its singular values;
/// 3. [`clip_norm`](Self::clip_norm) scales all gradients together;
/// 4. the rule updates its moments and gives a direction u;
/// 5. [`post_clip`](Self::post_clip), or the polar factor of [`Muon`](super::Muon), shapes u;
/// 6. `x = (1 - rate decay) x - rate u`, held to the [`constraint`](Self::constraint).
///
/// 4 and 6 are one launch a parameter where nothing stands between them. 2 and 5 run all parameters
/// of one shape together; the last product of 5 and 6 are one launch a matrix, so that the parameter is
/// read and written once, and the shaped direction never is.
#[derive(Debug, Clone)]
#[must_use]
pub struct OptimizerBuilder<R> {
    pub(super) rule: R,
    pub(super) settings: Settings,
    pub(super) clip_norm: Option<f64>,
    /// Whether bad gradients are looked for; by default where directions are shaped.
    pub(super) skips: Option<bool>,
    pub(super) groups: Vec<Group>,
}

impl<R: Rule + Clone> OptimizerBuilder<R> {
    pub(super) fn new(rule: R, rate: f64, weight_decay: f64) -> Self {
        let settings = Settings::new(rate, weight_decay);
        Self { rule, settings, clip_norm: None, skips: None, groups: Vec::new() }
    }

    /// The learning rate, the same at every step.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.settings.schedule = Schedule::constant(rate);
        self
    }

    /// The learning rate as a function of the step.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.settings.schedule = schedule;
        self
    }

    /// The decoupled weight decay, per unit of learning rate.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.settings.weight_decay = decay;
        self
    }

    /// Which parameters decay: by default those with two axes and more.
    pub fn decay_only(mut self, chosen: impl Fn(&Param) -> bool + Send + Sync + 'static) -> Self {
        self.settings.decays = Arc::new(chosen);
        self
    }

    /// Multiplies the learning rate of the chosen parameters. Factors of several calls multiply.
    pub fn scale_rate(
        mut self,
        factor: f64,
        chosen: impl Fn(&Param) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.settings.scales.push((Arc::new(chosen), factor));
        self
    }

    /// Clips the norm of all gradients together to `norm`, and skips steps whose norm is not
    /// finite. With infinity nothing is clipped, and such steps are skipped all the same.
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.clip_norm = Some(norm);
        self
    }

    /// Whether steps with gradients that are not finite are skipped without
    /// [`clip_norm`](Self::clip_norm) too, which always does, and counted
    /// ([`Optimizer::skipped`](super::Optimizer::skipped)). It reads every gradient once more: off by
    /// default, but on where [`pre_clip`](Self::pre_clip), [`post_clip`](Self::post_clip) or a matrix
    /// rule shapes any parameter's direction, beside whose work that is little.
    pub fn skip_non_finite(mut self, on: bool) -> Self {
        self.skips = Some(on);
        self
    }

    /// Whether the part of the gradient along the parameter is removed before anything else, and
    /// the rest scaled to the norm that the gradient had (Prieto et al. 2025, "perp-grad"), for
    /// every parameter by itself:
    /// `g' = s (g - (w.g / w.w) w)`, s so that `|g'| = |g|`. A gradient that is parallel to its
    /// parameter to a thousandth becomes 0. Off by default.
    pub fn orthogonal(mut self, on: bool) -> Self {
        self.settings.orthogonal = on;
        self
    }

    /// Softly clips the singular values of every gradient, before the norm of all is clipped and
    /// before the moments (SPECTRA's pre-clipping): of a matrix; of tensors with more axes, all but that
    /// of the [outputs](crate::Orientation) are one; the norm of a vector. Steps are checked for
    /// gradients that are not finite before it. Its authors advise against it together with [`post_clip`](Self::post_clip).
    pub fn pre_clip(mut self, clip: SpectralClip) -> Self {
        self.settings.shapes.before = Some(clip);
        self
    }

    /// Softly clips the singular values of every direction (SPECTRA's post-clipping):
    /// `x = (1 - rate decay) x - rate gain H_c(u)`, gain `sqrt(max(1, outputs / inputs))` and 1 for
    /// vectors, so that the spectral norm of a step is at most `rate gain c`. While the schedule
    /// warms up, the radius is `c peak / rate`, so that its product with the rate stays the same.
    ///
    /// Give parameters that shall go unclipped (as the authors do with those that are no matrices)
    /// a group of their own.
    ///
    /// ```
    /// use spikegrad::optim::{AdamW, Schedule};
    /// use spikegrad::spectral::SpectralClip;
    /// let spectra = AdamW::builder()
    ///     .schedule(Schedule::cosine(1e-3, 10_000).warmup(500))
    ///     .post_clip(SpectralClip::new(10.0));
    /// let with_vectors_unclipped = spectra.clone().group(
    ///     "vectors",
    ///     |param| param.value().shape().rank() != 2,
    ///     AdamW::builder().schedule(Schedule::cosine(1e-3, 10_000).warmup(500)),
    /// );
    /// # let _ = with_vectors_unclipped;
    /// ```
    pub fn post_clip(mut self, clip: SpectralClip) -> Self {
        self.settings.shapes.after = Some(Shaping::Clip(clip));
        self
    }

    /// The steps in which [`post_clip`](Self::post_clip) makes up for a rate below the schedule's
    /// peak; those of the schedule's warm-up by default, 0 for a constant radius.
    pub fn clip_warmup(mut self, steps: u64) -> Self {
        self.settings.shapes.warmup = Some(steps);
        self
    }

    /// What parameters are held to after every step; nothing by default.
    pub fn constraint(mut self, constraint: Constraint) -> Self {
        self.settings.constraint = constraint;
        self
    }

    /// Lets the chosen parameters be updated as `builder` says: with a rule, rate, decay and hooks of
    /// their own. Of several groups that choose a parameter, the one that was added last gets it.
    ///
    /// What concerns all gradients together ([`clip_norm`](Self::clip_norm),
    /// [`skip_non_finite`](Self::skip_non_finite)), and further groups, are not taken from `builder`.
    ///
    /// ```
    /// use spikegrad::optim::{AdamW, Constraint, Sgd};
    /// use spikegrad::{Device, Param, Tensor};
    /// # fn main() -> spikegrad::Result<()> {
    /// let device = Device::host();
    /// let weight = Param::new("weight", Tensor::from_slice(&device, &[1.0f32, 2.0], [2, 1])?);
    /// let decay = Param::new("decay", Tensor::from_slice(&device, &[0.9f32], [1])?);
    /// let bounds = Constraint::Box { low: 0.0, high: 1.0 };
    /// let decays = Sgd::builder().learning_rate(0.1).constraint(bounds);
    /// let optimizer = AdamW::builder()
    ///     .group("decays", |param| param.name() == "decay", decays)
    ///     .build(&[weight, decay])?;
    /// # let _ = optimizer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn group<Q: Rule + Clone>(
        mut self,
        name: impl Into<String>,
        chosen: impl Fn(&Param) -> bool + Send + Sync + 'static,
        builder: OptimizerBuilder<Q>,
    ) -> Self {
        let (name, chosen, part) = (name.into(), Arc::new(chosen), builder.part());
        self.groups.push(Group { name, chosen, part });
        self
    }

    /// Whether singular values of any group are clipped, or directions shaped.
    fn shapes_any(&self) -> bool {
        let groups = self.groups.iter().map(|group| &group.part.settings);
        let mut all =
            groups.chain(std::iter::once(&self.settings)).map(|settings| &settings.shapes);
        all.any(|shapes| shapes.before.is_some() || shapes.any_after())
    }

    fn part(self) -> Part {
        Part { rule: Arc::new(self.rule), settings: self.settings }
    }

    /// The optimizer of `params`, its state at rest.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for numbers outside their domains, no parameters, two of one name, one of
    /// two names (it would take two steps), or a group without any; [`Error::DType`](crate::Error::DType) for parameters that
    /// are not f32;
    /// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch).
    pub fn build(self, params: &[Param]) -> Result<Descent<R>> {
        let op = self.rule.name();
        self.settings.check(op)?;
        self.rule.check()?;
        for Group { part, .. } in &self.groups {
            part.settings.check(part.rule.name())?;
            part.rule.check()?;
        }
        let most = match self.clip_norm {
            // Infinity, which only looks for gradients that are not finite, is the largest f32.
            Some(norm) => Some(positive(op, "clip norm", norm.min(f64::from(f32::MAX)))?),
            None if self.skips.unwrap_or_else(|| self.shapes_any()) => Some(f32::MAX),
            None => None,
        };
        let groups = self.groups.clone();
        let engine = Engine::new(self.part(), groups, most, params)?;
        Ok(Descent { engine, rule: PhantomData })
    }
}
