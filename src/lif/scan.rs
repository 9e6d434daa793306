//! The operator: checks, forward, and the node on the tape.

use super::OP;
use super::backward::{self, Saved};
use super::forward;
use super::layer::Scan;
use super::neuron::{Gain, Lif, Neurons, Save};
use super::params::TIED;
use crate::error::{Error, Result};
use crate::tape::Var;
use crate::{DType, Tensor};

/// What a scan returns.
#[derive(Debug, Clone)]
#[must_use]
pub struct LifOutput {
    /// Spikes, of the input's shape: f32 or bits.
    pub spikes: Var,
    /// The membrane after the last step, of the input's shape without its leading axis.
    pub state: Var,
}

impl Lif {
    /// Runs the neuron over all steps of `x[T, …]`, from `state` (the membrane before the first
    /// step, of the shape of `x` without T; zero if there is none).
    ///
    /// Sequences may be cut into chunks: hand the state on, and the gradients are those of the
    /// whole.
    ///
    /// # Errors
    /// [`Error::Argument`] for an option outside its domain; [`Error::Shape`] if `x` has no axis or
    /// `state` another shape; [`Error::DType`] if either is not f32; [`Error::DeviceMismatch`],
    /// [`Error::TapeMismatch`]; [`Error::Unsupported`] for [`smooth`](Self::smooth) on a GPU;
    /// [`Error::Limit`] for more than 32,768 steps on a software adapter, which would cut them short.
    pub fn scan(&self, x: &Var, state: Option<&Var>) -> Result<LifOutput> {
        self.scan_with(x, state, &Neurons::default())
    }

    /// Like [`scan`](Self::scan), with parameters that are tensors. Backward is one launch, two if a
    /// parameter is learned.
    ///
    /// # Errors
    /// Those of [`scan`](Self::scan); [`Error::Shape`] for a parameter that has neither one value
    /// nor one a neuron (last axis of `x`); [`Error::Argument`] for a gain tensor together with
    /// [`Gain::Leak`] or [`Save::Checkpoints`] (multiply the input instead).
    pub fn scan_with(
        &self,
        x: &Var,
        state: Option<&Var>,
        neurons: &Neurons<'_>,
    ) -> Result<LifOutput> {
        self.check()?;
        self.check_inputs(x, state, neurons)?;
        let scan = Scan::new(self, *x.shape(), neurons);
        if x.shape().count() == 0 {
            return nothing(&scan, x, state);
        }
        let none = x.detach();
        let inputs = [Some(x), state, neurons.decay, neurons.threshold, neurons.gain]
            .map(|input| input.unwrap_or(&none));
        let keep = x.tape().is_on() && inputs.iter().any(|v| v.has_gradient());
        let v0 = state.map(Var::value);
        let out = forward::run(&scan, x.value(), v0, keep)?;
        let outputs = vec![out.spikes, out.state];
        let [spikes, state] = match out.saved {
            Some(membrane) => {
                let saved = keep_for_backward(scan, &inputs, membrane, out.words, v0);
                let vars = x.tape().record(OP, &inputs, outputs, |bw| saved.backward(bw))?;
                pair(vars)?
            }
            None => pair(x.tape().record(OP, &inputs, outputs, |_| Ok(()))?)?,
        };
        Ok(LifOutput { spikes, state })
    }

    fn check_inputs(&self, x: &Var, state: Option<&Var>, neurons: &Neurons<'_>) -> Result<()> {
        x.value().expect(OP, DType::F32)?;
        let dims = x.shape().dims();
        let Some((steps, trailing)) = dims.split_first() else {
            return Err(Error::shape(OP, "the input has no time axis"));
        };
        check_steps(self, x, *steps)?;
        if let Some(state) = state {
            state.expect_beside(OP, x)?;
            if state.shape().dims() != trailing {
                let detail = format!("a state of {} for an input of {}", state.shape(), x.shape());
                return Err(Error::shape(OP, detail));
            }
        }
        let last = trailing.last().copied().unwrap_or(1);
        let named =
            [("decay", neurons.decay), ("threshold", neurons.threshold), ("gain", neurons.gain)];
        for (name, value) in named {
            if let Some(value) = value {
                check_parameter(OP, name, value, x, last)?;
            }
        }
        if neurons.gain.is_some() && (self.gain == Gain::Leak || self.save != Save::Membrane) {
            let detail = "a gain tensor goes with neither Gain::Leak nor Save::Checkpoints";
            return Err(Error::argument(OP, detail));
        }
        if self.smooth { x.device().expect_host("a smooth LIF neuron") } else { Ok(()) }
    }
}

/// Refuses a parameter of a neuron that has neither one value nor one for each of `neurons`.
pub(crate) fn check_parameter(
    op: &'static str,
    name: &str,
    value: &Var,
    x: &Var,
    neurons: usize,
) -> Result<()> {
    value.expect_beside(op, x)?;
    if value.shape().count() == 1 || value.shape().dims() == [neurons] {
        return Ok(());
    }
    Err(Error::shape(op, format!("{name} of {} for {neurons} neurons", value.shape())))
}

/// The most steps of a scan where a device ends long loops.
const MOST_STEPS: usize = 1 << 15;

/// Refuses scans that a software adapter would cut short in silence, in either direction.
fn check_steps(lif: &Lif, x: &Var, steps: usize) -> Result<()> {
    let Some(iterations) = x.device().capabilities().max_iterations else { return Ok(()) };
    let allowed = match lif.save {
        Save::Membrane => MOST_STEPS,
        Save::Checkpoints(every) => {
            let whole = (iterations - 2) / (2 * u64::from(every) + 3) * u64::from(every);
            MOST_STEPS.min(whole as usize)
        }
    };
    if steps <= allowed {
        return Ok(());
    }
    let what = format!("{OP}: steps of a scan on a software adapter (hand its state on instead)");
    Err(Error::Limit { what, asked: steps as u64, allowed: allowed as u64 })
}

/// What backward needs, and nothing else: other handles would keep memory alive.
fn keep_for_backward(
    scan: Scan,
    inputs: &[&Var; 5],
    membrane: Tensor,
    words: Option<Tensor>,
    v0: Option<&Tensor>,
) -> Saved {
    let learned = |input: usize| inputs[input].has_gradient();
    let reads_x = scan.lif.save != Save::Membrane
        || learned(backward::GAIN)
        || learned(backward::DECAY) && scan.forms.gain == TIED;
    let x = reads_x.then(|| inputs[backward::X].value().clone());
    let v0 = v0.filter(|_| learned(backward::DECAY)).cloned();
    Saved { scan, membrane, words, x, v0 }
}

fn pair(vars: Vec<Var>) -> Result<[Var; 2]> {
    vars.try_into().map_err(|_| Error::argument(OP, "two outputs were recorded"))
}

/// The scan of an input without elements: no spikes, and the state that came in.
fn nothing(scan: &Scan, x: &Var, state: Option<&Var>) -> Result<LifOutput> {
    let dtype = match scan.lif.output {
        super::Spikes::F32 => DType::F32,
        super::Spikes::Bits => DType::Bits,
    };
    let spikes = x.tape().constant(&Tensor::zeros(x.device(), scan.shape, dtype)?);
    let state = match state {
        Some(state) => state.clone(),
        None => {
            let zeros = Tensor::zeros(x.device(), scan.state_shape()?, DType::F32)?;
            x.tape().constant(&zeros)
        }
    };
    Ok(LifOutput { spikes, state })
}
