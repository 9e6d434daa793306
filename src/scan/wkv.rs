//! WKV: options, checks, and the node on the tape.

use super::memory::{NOTHING, state_shape};
use super::plan::{Cut, Plan};
use super::wkv_backward::Saved;
use super::wkv_forward;
use crate::error::{Error, Result};
use crate::tape::Var;
use crate::{DType, Device, Tensor};

/// The operator's name in errors.
const OP: &str = "wkv";

/// The weighted average over the past that takes the place of attention in SpikeGPT and RWKV-4.
///
/// For keys `k[T, …, N]` and values `v`, and for each channel a decay `w' = -e^w` and a bonus `u` of
/// the current step:
///
/// ```text
/// y[t] = (sum_{i<t} e^((t-1-i) w' + k[i]) v[i] + e^(u + k[t]) v[t]) / (the same with v = 1)
/// ```
///
/// The two sums are kept relative to their largest term, so that finite keys of any size do no harm;
/// no exponent that is taken is positive. 12 bytes an element move forward (13.5 where gradients will
/// be wanted: the sums of every eighth step are saved), 21.5 backward.
///
/// Sources: Zhu et al., SpikeGPT (arXiv:2302.13939); Peng et al., RWKV (arXiv:2305.13048).
///
/// ```
/// use spikegrad::scan::Wkv;
/// use spikegrad::{Device, Tape, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let (device, tape) = (Device::host(), Tape::new());
/// let leaf = |values: &[f32], shape: &[usize]| -> spikegrad::Result<_> {
///     Ok(tape.leaf(&Tensor::from_slice(&device, values, shape)?))
/// };
/// let (k, v) = (leaf(&[0.0; 4], &[4, 1])?, leaf(&[1.0, 0.0, 0.0, 1.0], &[4, 1])?);
/// // Without decay and bonus: the mean of all values so far.
/// let (w, u) = (leaf(&[-100.0], &[1])?, leaf(&[0.0], &[1])?);
/// let out = Wkv::new().scan(&k, &v, &w, &u, None)?;
/// assert_eq!(out.y.value().to_vec::<f32>()?, [1.0, 0.5, 0.33333334, 0.5]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Wkv {
    plan: Plan,
}

/// What a WKV scan remembers: `[3, …, N]`, the sums `p` of weighted values and `q` of weights, both
/// divided by `e^o`, and the exponent `o`. It carries no gradient.
#[derive(Debug, Clone)]
#[must_use]
pub struct WkvState {
    memory: Tensor,
}

/// What a WKV scan returns.
#[derive(Debug, Clone)]
#[must_use]
pub struct WkvOutput {
    /// The averages, of the shape of the keys.
    pub y: Var,
    /// The memory after the last step, for the next chunk of the sequence.
    pub state: WkvState,
}

impl WkvState {
    /// The memory of nothing, for keys of shape `[T, …]` whose shape without T is `step`.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn empty(device: &Device, step: &[usize]) -> Result<Self> {
        let shape = state_shape(step)?;
        // Sizes are refused before a list is made of them.
        let count = Tensor::empty(device, shape, DType::F32)?.count() / 3;
        let mut values = vec![0.0f32; 2 * count];
        values.resize(3 * count, NOTHING as f32);
        Ok(Self { memory: Tensor::from_slice(device, &values, shape)? })
    }

    /// From `[3, …]`: p, q and o.
    ///
    /// # Errors
    /// [`Error::Shape`] for another leading axis; [`Error::DType`] unless it is f32.
    pub fn from_tensor(memory: Tensor) -> Result<Self> {
        memory.expect(OP, DType::F32)?;
        if memory.shape().first() != Some(&3) {
            let detail = format!("a state of {}: [3, …] is needed", memory.shape());
            return Err(Error::shape(OP, detail));
        }
        Ok(Self { memory })
    }

    /// `[3, …]`: p, q and o.
    pub fn tensor(&self) -> &Tensor {
        &self.memory
    }
}

impl Wkv {
    /// A scan with the default plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// How it goes through time.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = plan;
        self
    }

    /// Runs it over keys and values `[T, …, N]`, with `w[N]` and `u[N]`, from `state` (nothing if
    /// there is none).
    ///
    /// A sequence may be cut: hand [`WkvOutput::state`] on. The outputs are those of the whole, but
    /// no gradient flows from one part to another (truncated back-propagation). With T = 1 that is
    /// one step of decoding.
    ///
    /// # Errors
    /// [`Error::Shape`] if `k` has no axis, `v` has another shape, `w` or `u` are not `[N]`, or the
    /// state does not fit; [`Error::Argument`] for a wrong [`Plan`]; [`Error::DType`],
    /// [`Error::DeviceMismatch`], [`Error::TapeMismatch`].
    pub fn scan(
        &self,
        k: &Var,
        v: &Var,
        w: &Var,
        u: &Var,
        state: Option<&WkvState>,
    ) -> Result<WkvOutput> {
        check(k, [v, w, u], state)?;
        let step = &k.shape().dims()[1..];
        if k.shape().count() == 0 {
            let y = Tensor::zeros(k.device(), *k.shape(), DType::F32)?;
            let state = match state {
                Some(state) => state.clone(),
                None => WkvState::empty(k.device(), step)?,
            };
            return Ok(WkvOutput { y: k.tape().constant(&y), state });
        }
        let cut = Cut::new(OP, self.plan, k.device(), k.shape())?;
        let inputs = [k, v, w, u];
        let keep = k.tape().is_on() && inputs.iter().any(|input| input.has_gradient());
        let from = state.map(WkvState::tensor);
        let out = wkv_forward::run(&cut, inputs.map(Var::value), from, keep)?;
        let backward = out.saved.map(|memories| Saved {
            cut,
            memories,
            k: k.value().clone(),
            v: v.value().clone(),
        });
        let y = k.tape().record_one(OP, &inputs, out.y, |bw| match backward {
            Some(saved) => saved.backward(bw),
            None => Ok(()),
        })?;
        Ok(WkvOutput { y, state: WkvState { memory: out.last } })
    }
}

/// [`Wkv::scan`] with the default plan.
///
/// # Errors
/// Those of [`Wkv::scan`].
pub fn wkv(k: &Var, v: &Var, w: &Var, u: &Var, state: Option<&WkvState>) -> Result<WkvOutput> {
    Wkv::new().scan(k, v, w, u, state)
}

fn check(k: &Var, others: [&Var; 3], state: Option<&WkvState>) -> Result<()> {
    k.value().expect(OP, DType::F32)?;
    for other in others {
        other.expect_beside(OP, k)?;
    }
    let Some((_, step)) = k.shape().dims().split_first() else {
        return Err(Error::shape(OP, "the keys have no time axis"));
    };
    let [v, w, u] = others;
    if v.shape() != k.shape() {
        let detail = format!("values of {} for keys of {}", v.shape(), k.shape());
        return Err(Error::shape(OP, detail));
    }
    let channels = step.last().copied().unwrap_or(1);
    for (name, each) in [("w", w), ("u", u)] {
        if each.shape().dims() != [channels] {
            let detail = format!("{name} of {} for {channels} channels", each.shape());
            return Err(Error::shape(OP, detail));
        }
    }
    if let Some(state) = state {
        k.value().same_device(OP, &state.memory)?;
        if state.memory.shape() != &state_shape(step)? {
            let detail = format!("a state of {} for keys of {}", state.memory.shape(), k.shape());
            return Err(Error::shape(OP, detail));
        }
    }
    Ok(())
}
