//! The decay scan and its kin: options, checks, and the node on the tape.

use super::decay_backward::Saved;
use super::decay_forward;
use super::params::{FIXED, LOGIT, VALUE};
use super::plan::{Cut, Plan};
use super::rate::Scan;
use crate::error::{Error, Result};
use crate::tape::Var;
use crate::{DType, Tensor};

/// What a channel keeps of its state from one step to the next: `lam`, in [0, 1].
///
/// A tensor holds one value a head: `[H]`, or `[]` for one. H divides the channels (the last axis of
/// the input), and head `i` is channels `i N/H .. (i + 1) N/H`; with H = N each channel has its own.
#[derive(Debug, Clone, Copy)]
pub enum Decay<'a> {
    /// A number for all channels.
    Fixed(f32),
    /// Values in [0, 1], which nothing enforces.
    Value(&'a Var),
    /// Any values: `lam = sigma(raw)`, and `1 - lam = sigma(-raw)` without cancellation.
    Logit(&'a Var),
}

/// What a recurrence returns.
#[derive(Debug, Clone)]
#[must_use]
pub struct DecayOutput {
    /// The state after every step, of the input's shape.
    pub h: Var,
    /// The state after the last step, of the input's shape without its leading axis: what the next
    /// chunk of a sequence starts from. Gradients flow through it.
    pub last: Var,
}

/// A linear recurrence `h[t] = lam h[t-1] + gain u[t]` along the leading axis of `u[T, …, N]`, from
/// `h[-1]` (zero if there is none).
///
/// Backward, with `a` from the last step to the first:
///
/// ```text
/// a = gh[t] + lam a,   gu[t] = gain a,   glam += a (h[t-1] - u[t])      (without u if gain = 1)
/// gh[-1] = lam a,      graw = glam lam (1 - lam), summed over the head's channels and the batch
/// ```
///
/// 8 bytes an element move in each direction; 4.5 more in backward where `lam` is learned.
///
/// ```
/// use spikegrad::scan::{Decay, Recurrence};
/// use spikegrad::{Device, Tape, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let tape = Tape::new();
/// let u = tape.leaf(&Tensor::from_slice(&Device::host(), &[1.0f32, 0.0, 0.0], [3, 1])?);
/// let out = Recurrence::integrator().scan(&u, Decay::Fixed(0.5), None)?;
/// assert_eq!(out.h.value().to_vec::<f32>()?, [1.0, 0.5, 0.25]);
/// let out = Recurrence::average().scan(&u, Decay::Fixed(0.75), Some(&out.last))?;
/// assert_eq!(out.h.value().to_vec::<f32>()?, [0.4375, 0.328125, 0.24609375]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Recurrence {
    op: &'static str,
    /// Whether the gain is `1 - lam`.
    tied: bool,
    plan: Plan,
}

impl Recurrence {
    /// `h[t] = lam h[t-1] + u[t]`.
    pub fn integrator() -> Self {
        Self { op: "integrator", tied: false, plan: Plan::Auto }
    }

    /// `h[t] = lam h[t-1] + (1 - lam) u[t]`.
    pub fn average() -> Self {
        Self { op: "average", tied: true, plan: Plan::Auto }
    }

    /// How it goes through time.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    fn named(mut self, op: &'static str) -> Self {
        self.op = op;
        self
    }

    /// Runs it over `u[T, …, N]`, f32 or bits, from `initial[…, N]`.
    ///
    /// Sequences may be cut: hand [`DecayOutput::last`] on, and the gradients are those of the whole.
    /// With T = 1 that is one step of decoding.
    ///
    /// # Errors
    /// [`Error::Shape`] if `u` has no axis, `initial` another shape than `u` without T, or the decay
    /// is no `[H]` with H a divisor of N; [`Error::Argument`] for a fixed decay outside [0, 1] or a
    /// wrong [`Plan`]; [`Error::DType`], [`Error::DeviceMismatch`], [`Error::TapeMismatch`].
    pub fn scan(&self, u: &Var, decay: Decay<'_>, initial: Option<&Var>) -> Result<DecayOutput> {
        let unpacked;
        let u = if u.dtype() == DType::Bits {
            unpacked = u.unpack()?;
            &unpacked
        } else {
            u
        };
        self.check(u, decay, initial)?;
        if u.shape().count() == 0 {
            return nothing(u, initial);
        }
        let scan = self.prepare(u, decay)?;
        let none = u.detach();
        let rate = match decay {
            Decay::Fixed(_) => &none,
            Decay::Value(v) | Decay::Logit(v) => v,
        };
        let inputs = [u, rate, initial.unwrap_or(&none)];
        let start = initial.map(Var::value);
        let (h, last) = decay_forward::run(&scan, u.value(), start)?;
        let learned = u.tape().is_on() && rate.has_gradient();
        let saved = Saved {
            scan,
            history: learned.then(|| (u.value().clone(), h.clone())),
            initial: start.filter(|_| learned).cloned(),
        };
        let outputs = u.tape().record(self.op, &inputs, vec![h, last], |bw| saved.backward(bw))?;
        pair(self.op, outputs)
    }

    fn prepare(&self, u: &Var, decay: Decay<'_>) -> Result<Scan> {
        let cut = Cut::new(self.op, self.plan, u.device(), u.shape())?;
        let (form, rate, fixed) = match decay {
            Decay::Fixed(value) => (FIXED, None, value),
            Decay::Value(v) => (VALUE, Some(v.value().clone()), 0.0),
            Decay::Logit(v) => (LOGIT, Some(v.value().clone()), 0.0),
        };
        Ok(Scan { cut, form, tied: self.tied, rate, fixed })
    }

    fn check(&self, u: &Var, decay: Decay<'_>, initial: Option<&Var>) -> Result<()> {
        u.value().expect(self.op, DType::F32)?;
        let Some((_, trailing)) = u.shape().dims().split_first() else {
            return Err(Error::shape(self.op, "the input has no time axis"));
        };
        if let Some(initial) = initial {
            initial.expect_beside(self.op, u)?;
            if initial.shape().dims() != trailing {
                let detail = format!(
                    "an initial state of {} for an input of {}",
                    initial.shape(),
                    u.shape()
                );
                return Err(Error::shape(self.op, detail));
            }
        }
        match decay {
            Decay::Fixed(value) if !(0.0..=1.0).contains(&value) => {
                Err(Error::argument(self.op, format!("a decay of {value} is outside [0, 1]")))
            }
            Decay::Fixed(_) => Ok(()),
            Decay::Value(rate) | Decay::Logit(rate) => {
                rate.expect_beside(self.op, u)?;
                let channels = trailing.last().copied().unwrap_or(1);
                let heads = rate.shape().count();
                if rate.shape().rank() > 1 || heads == 0 || !channels.is_multiple_of(heads) {
                    let detail = format!("decays of {} for {channels} channels", rate.shape());
                    return Err(Error::shape(self.op, detail));
                }
                Ok(())
            }
        }
    }
}

fn pair(op: &'static str, vars: Vec<Var>) -> Result<DecayOutput> {
    let found: Result<[Var; 2], _> = vars.try_into();
    let [h, last] = found.map_err(|_| Error::argument(op, "two outputs were recorded"))?;
    Ok(DecayOutput { h, last })
}

/// The scan of an input without elements: the state that came in.
fn nothing(u: &Var, initial: Option<&Var>) -> Result<DecayOutput> {
    let h = u.tape().constant(&Tensor::zeros(u.device(), *u.shape(), DType::F32)?);
    let last = match initial {
        Some(initial) => initial.clone(),
        None => {
            let zeros = Tensor::zeros(u.device(), &u.shape().dims()[1..], DType::F32)?;
            u.tape().constant(&zeros)
        }
    };
    Ok(DecayOutput { h, last })
}

impl Var {
    /// The decay path of SymbolicLight: `h[t] = lam h[t-1] + (1 - lam) u[t]` with `lam = sigma(raw)`,
    /// along the leading axis of `u[T, …, N]`; `raw[H]` holds one value a head of N/H contiguous
    /// channels, and may have a gradient. `initial[…, N]` is `h[-1]`, zero if there is none.
    ///
    /// The causal convolution of `u` with `(1 - lam) lam^k`, plus `lam^(t+1) h[-1]`; see
    /// [`Recurrence`].
    ///
    /// # Errors
    /// Those of [`Recurrence::scan`].
    pub fn decay_scan(&self, raw: &Var, initial: Option<&Var>) -> Result<DecayOutput> {
        Recurrence::average().named("decay_scan").scan(self, Decay::Logit(raw), initial)
    }

    /// A leaky integrator that never fires: `h[t] = beta h[t-1] + u[t]`; see [`Recurrence`].
    ///
    /// # Errors
    /// Those of [`Recurrence::scan`].
    pub fn leaky_integrate(&self, beta: Decay<'_>, initial: Option<&Var>) -> Result<DecayOutput> {
        Recurrence::integrator().named("leaky_integrate").scan(self, beta, initial)
    }

    /// The trace of spikes that eligibility and spike-timing rules use: `h[t] = lam h[t-1] + s[t]`,
    /// of f32 or packed spikes; see [`Recurrence`].
    ///
    /// # Errors
    /// Those of [`Recurrence::scan`].
    pub fn trace(&self, lam: Decay<'_>, initial: Option<&Var>) -> Result<DecayOutput> {
        Recurrence::integrator().named("trace").scan(self, lam, initial)
    }

    /// The exponential moving average `h[t] = lam h[t-1] + (1 - lam) u[t]`; see [`Recurrence`].
    ///
    /// # Errors
    /// Those of [`Recurrence::scan`].
    pub fn moving_average(&self, lam: Decay<'_>, initial: Option<&Var>) -> Result<DecayOutput> {
        Recurrence::average().named("moving_average").scan(self, lam, initial)
    }
}
