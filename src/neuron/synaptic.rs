//! The neuron with a synaptic current.

use super::{Equations, Neuron, Reset};
use crate::error::{Error, Result};
use crate::lif::{Spikes, Surrogate};
use crate::tape::Var;

const OP: &str = "synaptic";

/// A leaky membrane that a synaptic current feeds, which leaks itself: snnTorch's `Synaptic`, all steps in
/// one launch a direction.
///
/// With input `x[T, …]`, current `i` and membrane `u`, for each of the T steps:
///
/// ```text
/// r = [u > threshold]                                     of the step before
/// i = alpha i + x
/// c = beta u + i                                          charge
/// u = c | c - r threshold | (1 - r) c                     Reset::None | Subtract | Zero
/// s = [u > threshold]                                     fire, or >= unless strict
/// ```
///
/// The reset follows in the step after the spike, after the decay; with [`Reset::Zero`] the input of that
/// step is lost too. Backward takes the [`Surrogate`] at `u - threshold` for `ds/du`. The reset is a
/// constant to it, as in snnTorch, unless [`detach_reset(false)`](Self::detach_reset) says that it depends
/// on the membrane before.
///
/// Units: decays are what is left after one step, 0 to 1; current, membrane, threshold and input share
/// theirs. Backward keeps the input, both states of every eighth step and spikes and resets as bits, 1.25 bytes a
/// neuron and step beside the input, and computes the steps between again.
///
/// Defaults, snnTorch's: threshold 1, [`Reset::Subtract`], detached, strict, `Atan(2)`; f32 spikes.
///
/// Source: snnTorch 1.0 (Eshraghian et al. 2023), `snn.Synaptic` with `reset_delay=True`.
///
/// ```
/// use spikegrad::neuron::Synaptic;
/// use spikegrad::{Device, Tape, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from_slice(&device, &[0.5f32, 0.0, 0.0, 0.0], [4, 1])?);
/// let out = Synaptic::new(0.5, 1.0).threshold(0.8).trace(true).scan(&x, None)?;
/// assert_eq!(out.spikes.value().to_vec::<f32>()?, [0.0, 0.0, 1.0, 0.0]);
/// let membrane = out.membrane.expect("a trace").value().to_vec::<f32>()?;
/// assert_eq!(membrane[..3], [0.5, 0.75, 0.875]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Synaptic {
    alpha: f32,
    beta: f32,
    threshold: f32,
    reset: Reset,
    strict: bool,
    detach: bool,
    surrogate: Surrogate,
    output: Spikes,
    trace: bool,
    smooth: bool,
}

/// Parameters of a [`Synaptic`] that are tensors: one value `[1]`, or one a neuron `[N]` (the last axis of
/// the input). They take the place of the builder's numbers and get gradients where their variables do.
#[derive(Debug, Clone, Copy, Default)]
pub struct SynapticParameters<'a> {
    /// Decays of the current, to be kept in [0, 1].
    pub alpha: Option<&'a Var>,
    /// Decays of the membrane, to be kept in [0, 1].
    pub beta: Option<&'a Var>,
    /// Thresholds.
    pub threshold: Option<&'a Var>,
}

/// What a scan returns.
#[derive(Debug, Clone)]
#[must_use]
pub struct SynapticOutput {
    /// Spikes, of the input's shape: f32 or bits.
    pub spikes: Var,
    /// The membrane of every step, of the input's shape, with [`Synaptic::trace`].
    pub membrane: Option<Var>,
    /// The states after the last step, `[2, …]`: currents, then membranes, of the input's shape without
    /// its leading axis.
    pub state: Var,
}

impl Synaptic {
    /// The neuron whose current keeps `alpha` and whose membrane keeps `beta` of itself from step to step,
    /// both in [0, 1].
    pub fn new(alpha: f32, beta: f32) -> Self {
        Self {
            alpha,
            beta,
            threshold: 1.0,
            reset: Reset::Subtract,
            strict: true,
            detach: true,
            surrogate: Surrogate::Atan(2.0),
            output: Spikes::F32,
            trace: false,
            smooth: false,
        }
    }

    /// The membrane above which it fires.
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// What a spike takes of the membrane in the step after it.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Fire above the threshold only (`>`), not at it (`>=`).
    pub fn strict(mut self, on: bool) -> Self {
        self.strict = on;
        self
    }

    /// Whether the gradient ignores that a reset depends on the membrane.
    pub fn detach_reset(mut self, on: bool) -> Self {
        self.detach = on;
        self
    }

    /// What takes the place of the derivative of the spike.
    pub fn surrogate(mut self, surrogate: Surrogate) -> Self {
        self.surrogate = surrogate;
        self
    }

    /// How spikes are given out.
    pub fn output(mut self, spikes: Spikes) -> Self {
        self.output = spikes;
        self
    }

    /// Whether the membrane of every step is given out too, as a variable with a gradient.
    pub fn trace(mut self, on: bool) -> Self {
        self.trace = on;
        self
    }

    /// Spikes become the surrogate's [`primitive`](Surrogate::primitive), real numbers: the smooth neuron
    /// whose exact gradient backward computes if the reset is not detached. For gradient checks, on host
    /// devices only, with f32 output.
    pub fn smooth(mut self, on: bool) -> Self {
        self.smooth = on;
        self
    }

    /// Runs the neuron over all steps of `x[T, …]`, from `state[2, …]` (the currents and the membranes
    /// before the first step, each of the shape of `x` without T; zero if there is none).
    ///
    /// Sequences may be cut into chunks: hand the state on, and the gradients are those of the whole.
    ///
    /// # Errors
    /// [`Error::Argument`] for an option outside its domain; [`Error::Shape`] if `x` has no axis or `state`
    /// another shape; [`Error::DType`] if either is not f32; [`Error::DeviceMismatch`],
    /// [`Error::TapeMismatch`]; [`Error::Unsupported`] for [`smooth`](Self::smooth) on a GPU.
    pub fn scan(&self, x: &Var, state: Option<&Var>) -> Result<SynapticOutput> {
        self.scan_with(x, state, &SynapticParameters::default())
    }

    /// Like [`scan`](Self::scan), with parameters that are tensors. Backward is one launch more if any of
    /// them is learned; several are first put behind each other.
    ///
    /// # Errors
    /// Those of [`scan`](Self::scan); [`Error::Shape`] for a parameter that has neither one value nor one a
    /// neuron (last axis of `x`).
    pub fn scan_with(
        &self,
        x: &Var,
        state: Option<&Var>,
        parameters: &SynapticParameters<'_>,
    ) -> Result<SynapticOutput> {
        self.check()?;
        let named = [
            ("alpha", parameters.alpha),
            ("beta", parameters.beta),
            ("threshold", parameters.threshold),
        ];
        let named: Vec<(&str, &Var)> =
            named.into_iter().filter_map(|(name, v)| v.map(|v| (name, v))).collect();
        let out = self.neuron()?.scan_with(&[x], state, &named)?;
        let mut emitted = out.emitted.into_iter();
        let Some(spikes) = emitted.next() else {
            return Err(Error::argument(OP, "no spikes were emitted"));
        };
        Ok(SynapticOutput { spikes, membrane: emitted.next(), state: out.state })
    }

    /// The equations.
    pub(super) fn neuron(&self) -> Result<Neuron> {
        let fires = if self.strict { Equations::fire_above } else { Equations::fire };
        let neuron = Neuron::define("synaptic", |n| {
            let (x, i, u) = (n.input("x"), n.state("i", 0.0), n.state("u", 0.0));
            let (alpha, beta) = (n.param("alpha", self.alpha), n.param("beta", self.beta));
            let threshold = n.param("threshold", self.threshold);
            let before = fires(n, u - threshold, self.surrogate);
            let r = if self.detach { n.detach(before) } else { before };
            let current = alpha * i + x;
            let membrane = self.reset.of(r, beta * u + current, threshold);
            n.next(i, current);
            n.next(u, membrane);
            n.emit(fires(n, membrane - threshold, self.surrogate));
            if self.trace {
                n.emit(membrane);
            }
        })?;
        Ok(neuron.output(self.output).smooth(self.smooth))
    }

    /// Refuses numbers outside their domains.
    fn check(&self) -> Result<()> {
        let wrong = |detail: String| Err(Error::argument(OP, detail));
        for (name, decay) in [("alpha", self.alpha), ("beta", self.beta)] {
            if !(0.0..=1.0).contains(&decay) {
                return wrong(format!("{name} {decay} is outside [0, 1]"));
            }
        }
        if !self.surrogate.is_sound() {
            let allowed = "positive parameters whose slopes f32 holds";
            return wrong(format!("{:?}: allowed are {allowed}", self.surrogate));
        }
        if !self.threshold.is_finite() {
            return wrong(format!("threshold {}", self.threshold));
        }
        Ok(())
    }
}
