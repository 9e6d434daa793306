//! The options of a LIF layer.

use super::Surrogate;
use super::params::{DETACHED, FULL, HARD, NONE, SOFT, SPATIAL};
use crate::error::{Error, Result};
use crate::tape::Var;

/// What happens to the membrane after a spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reset {
    /// `v = value`. The leak then pulls towards `value` as well.
    Hard(f32),
    /// `v = h - threshold`.
    Soft,
    /// `v = h`.
    None,
}

/// What the input is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gain {
    /// A number.
    Fixed(f32),
    /// `1 - decay = 1/tau`: SpikingJelly's `decay_input`. It follows a learned decay.
    Leak,
}

/// How spikes are given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spikes {
    /// One f32 a spike, 0 or 1.
    #[default]
    F32,
    /// One bit a spike, packed along time ([`DType::Bits`](crate::DType::Bits)).
    Bits,
}

/// What is kept for backward, in bytes a neuron and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Save {
    /// The membrane of every step: 4.
    #[default]
    Membrane,
    /// The membrane before every C-th step, and the spikes as bits: 4/C + 1/8. Backward computes the
    /// steps between again, from the input. C is a power of two up to 32.
    Checkpoints(u32),
}

/// Through what the gradient flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gradient {
    /// Back-propagation through time.
    #[default]
    Full,
    /// Through the input of the same step only; the membrane's path through time is cut (SLTT, Meng
    /// et al. 2023). The state gets no gradient.
    Spatial,
}

/// A leaky integrate-and-fire neuron, all steps in one launch a direction.
///
/// With input `x[T, …]` and state `v`, for each of the T steps:
///
/// ```text
/// h = decay v + (1 - decay) v_rest + gain x      charge; v_rest = v_reset (hard) or 0
/// h = clamp(h, low, high)                        optional
/// s = [h >= threshold]                           fire, or > if strict
/// v = v_reset where s (hard) | h - threshold s (soft) | h (none)
/// ```
///
/// and backward, with `d` the [`Surrogate`] at `h - threshold` and `a = dL/dv`:
///
/// ```text
/// q = gs + a ds,   gh = a dh + q d,   gx = gain gh,   a <- decay gh
/// ```
///
/// where `dh = dv/dh` (`1 - s` hard, else 1) and `ds = dv/ds` (`v_reset - h` hard, `-threshold`
/// soft, 0 with [`detach_reset`](Self::detach_reset)). A clamp passes gradient strictly inside its
/// bounds.
///
/// The default: decay 1/2, threshold 1, hard reset to 0, detached, gain 1, `Atan(2)`, f32 spikes.
///
/// ```
/// use spikegrad::lif::{Lif, Reset, Spikes, Surrogate};
/// use spikegrad::{Device, Tape, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from_slice(&device, &[0.6f32; 8], [4, 2])?);
/// let lif = Lif::new().tau(10.0).reset(Reset::Soft).surrogate(Surrogate::Atan(2.0));
/// let out = lif.scan(&x, None)?;
/// assert_eq!(out.spikes.value().to_vec::<f32>()?, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
/// let packed = lif.output(Spikes::Bits).scan(&x, Some(&out.state))?;
/// assert_eq!(packed.spikes.value().words(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Lif {
    pub(super) decay: f64,
    pub(super) threshold: f32,
    pub(super) gain: Gain,
    pub(super) reset: Reset,
    pub(super) strict: bool,
    pub(super) clamp: Option<(f32, f32)>,
    pub(super) surrogate: Surrogate,
    pub(super) detach: bool,
    pub(super) gradient: Gradient,
    pub(super) output: Spikes,
    pub(super) save: Save,
    pub(super) smooth: bool,
}

impl Default for Lif {
    fn default() -> Self {
        Self {
            decay: 0.5,
            threshold: 1.0,
            gain: Gain::Fixed(1.0),
            reset: Reset::Hard(0.0),
            strict: false,
            clamp: None,
            surrogate: Surrogate::Atan(2.0),
            detach: true,
            gradient: Gradient::Full,
            output: Spikes::F32,
            save: Save::Membrane,
            smooth: false,
        }
    }
}

impl Lif {
    /// The default neuron.
    pub fn new() -> Self {
        Self::default()
    }

    /// SpikingJelly's multi-step `LIFNode` with its ATan surrogate, also SpikeGPT's: tau 2, input
    /// divided by tau, reset not detached.
    pub fn spikingjelly() -> Self {
        Self::new().tau(2.0).gain(Gain::Leak).detach_reset(false)
    }

    /// SymbolicLight's encoder, along the token axis: decay 0.95, membrane clamped to [-3, 3],
    /// sigmoid of slope 10, reset not detached.
    pub fn symboliclight() -> Self {
        let lif = Self::new().decay(0.95).clamp(-3.0, 3.0);
        lif.surrogate(Surrogate::Sigmoid(10.0)).detach_reset(false)
    }

    /// SpikF-GO's encoder, decoder and gates: tau 2, input divided by tau, `Atan(4)`, detached.
    pub fn spikf_go() -> Self {
        Self::new().tau(2.0).gain(Gain::Leak).surrogate(Surrogate::Atan(4.0))
    }

    /// The hidden layers of SNN-delays on SHD: membrane time constant 10.05 ms over 10 ms bins,
    /// `Atan(5)`, detached.
    pub fn snn_delays() -> Self {
        Self::new().tau(1.005).surrogate(Surrogate::Atan(5.0))
    }

    /// SLTT's: tau 1.1, soft reset, triangle, spatial gradient.
    pub fn sltt() -> Self {
        let lif = Self::new().tau(1.1).reset(Reset::Soft).surrogate(Surrogate::Triangle(1.0));
        lif.gradient(Gradient::Spatial)
    }

    /// Max-Former's: tau 2, input divided by tau, sigmoid of slope 4, detached.
    pub fn max_former() -> Self {
        Self::new().tau(2.0).gain(Gain::Leak).surrogate(Surrogate::Sigmoid(4.0))
    }

    /// DeepEISNN's: tau 2, soft reset, sigmoid of slope 4, detached.
    pub fn deep_eisnn() -> Self {
        Self::new().tau(2.0).reset(Reset::Soft).surrogate(Surrogate::Sigmoid(4.0))
    }

    /// What is left of the membrane after one step without input, in [0, 1].
    pub fn decay(mut self, decay: f32) -> Self {
        self.decay = decay.into();
        self
    }

    /// The decay `1 - 1/tau` of a time constant of `tau >= 1` steps.
    pub fn tau(mut self, tau: f32) -> Self {
        self.decay = 1.0 - 1.0 / f64::from(tau);
        self
    }

    /// The membrane at which it fires.
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// What the input is multiplied by.
    pub fn gain(mut self, gain: Gain) -> Self {
        self.gain = gain;
        self
    }

    /// What happens after a spike.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Fire above the threshold only (`>`; snnTorch, Norse), not at it (`>=`; SpikingJelly).
    pub fn strict(mut self, on: bool) -> Self {
        self.strict = on;
        self
    }

    /// Whether the gradient ignores that a reset depends on the membrane.
    pub fn detach_reset(mut self, on: bool) -> Self {
        self.detach = on;
        self
    }

    /// Bounds of the membrane before it is compared with the threshold.
    pub fn clamp(mut self, low: f32, high: f32) -> Self {
        self.clamp = Some((low, high));
        self
    }

    /// What takes the place of the derivative of the spike.
    pub fn surrogate(mut self, surrogate: Surrogate) -> Self {
        self.surrogate = surrogate;
        self
    }

    /// Through what the gradient flows.
    pub fn gradient(mut self, gradient: Gradient) -> Self {
        self.gradient = gradient;
        self
    }

    /// How spikes are given out.
    pub fn output(mut self, spikes: Spikes) -> Self {
        self.output = spikes;
        self
    }

    /// What is kept for backward.
    pub fn save(mut self, save: Save) -> Self {
        self.save = save;
        self
    }

    /// Spikes become the surrogate's [`primitive`](Surrogate::primitive), real numbers: the smooth
    /// neuron whose exact gradient backward computes if the reset is not detached. For gradient
    /// checks, on host devices only, with f32 output and the membrane saved.
    pub fn smooth(mut self, on: bool) -> Self {
        self.smooth = on;
        self
    }

    /// The threshold that was set.
    pub fn threshold_value(&self) -> f32 {
        self.threshold
    }

    /// Refuses numbers outside their domains.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |detail: String| Err(Error::argument(super::OP, detail));
        if !(0.0..=1.0).contains(&self.decay) {
            return wrong(format!("decay {} is outside [0, 1] (tau below 1?)", self.decay));
        }
        if !self.threshold.is_finite() {
            return wrong(format!("threshold {}", self.threshold));
        }
        if let Gain::Fixed(gain) = self.gain
            && !gain.is_finite()
        {
            return wrong(format!("gain {gain}"));
        }
        if let Reset::Hard(value) = self.reset
            && !value.is_finite()
        {
            return wrong(format!("reset to {value}"));
        }
        if let Some((low, high)) = self.clamp
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return wrong(format!("clamp to [{low}, {high}]"));
        }
        if !self.surrogate.is_sound() {
            let allowed = "positive parameters whose slopes f32 holds";
            return wrong(format!("{:?}: allowed are {allowed}", self.surrogate));
        }
        if let Save::Checkpoints(every) = self.save
            && !(every.is_power_of_two() && every <= 32)
        {
            return wrong(format!("checkpoints every {every} steps: 1, 2, 4, 8, 16 or 32"));
        }
        if self.smooth && (self.output == Spikes::Bits || self.save != Save::Membrane) {
            return wrong("a smooth neuron gives f32 and saves the membrane".into());
        }
        Ok(())
    }
}

/// Parameters of a [`Lif`] that are tensors: one value `[1]`, or one a neuron `[N]` (the last axis
/// of the input). They take the place of the builder's numbers and get gradients where their
/// variables do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Neurons<'a> {
    /// Decays, to be kept in [0, 1].
    pub decay: Option<&'a Var>,
    /// Thresholds.
    pub threshold: Option<&'a Var>,
    /// Input gains; not with [`Gain::Leak`] nor with [`Save::Checkpoints`].
    pub gain: Option<&'a Var>,
}

impl Reset {
    /// Its number in `lif/membrane.wgsl`.
    pub(super) fn code(self) -> u32 {
        match self {
            Reset::None => NONE,
            Reset::Soft => SOFT,
            Reset::Hard(_) => HARD,
        }
    }

    /// Where a hard reset goes.
    pub(super) fn value(self) -> f32 {
        if let Reset::Hard(value) = self { value } else { 0.0 }
    }
}

impl Lif {
    pub(super) fn gradient_code(&self) -> u32 {
        match (self.gradient, self.detach) {
            (Gradient::Spatial, _) => SPATIAL,
            (Gradient::Full, true) => DETACHED,
            (Gradient::Full, false) => FULL,
        }
    }

    pub(super) fn surrogate_code(&self) -> u32 {
        self.surrogate.code()
    }
}
