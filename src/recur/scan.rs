//! The operator: checks, forward, and the node on the tape.

use super::backward::{PARAMETERS, STATE, Saved, X};
use super::forward;
use super::layer::{Driver, Layer, Options};
use crate::error::{Error, Result};
use crate::layout::concat;
use crate::lif::{Spikes, check_parameter};
use crate::tape::Var;
use crate::{DType, Tensor};

/// What a recurrence gives.
pub(crate) struct Output {
    pub(crate) spikes: Var,
    pub(crate) trace: Option<Var>,
    pub(crate) state: Var,
}

impl Driver {
    /// Runs the cell over all steps of `x[T, …]`, from `state[states, …]`, with parameters that are
    /// tensors, in the cell's order, where these are given.
    pub(crate) fn run(
        &'static self,
        options: &Options,
        x: &Var,
        state: Option<&Var>,
        parameters: &[Option<&Var>],
    ) -> Result<Output> {
        self.check(options, x, state)?;
        let counts = self.counts(x, parameters)?;
        let packed = pack(parameters)?;
        let value = packed.as_ref().map(|v| v.value().clone());
        let layer = Layer::new(self, options, x.value(), &counts, value);
        if x.shape().count() == 0 {
            return nothing(&layer, x, state);
        }
        let none = x.detach();
        let mut inputs = [&none; 3];
        inputs[X] = x;
        inputs[STATE] = state.unwrap_or(&none);
        inputs[PARAMETERS] = packed.as_ref().unwrap_or(&none);
        let keep = x.tape().is_on() && inputs.iter().any(|v| v.has_gradient());
        let out = forward::run(&layer, state.map(Var::value), keep)?;
        let outputs = [out.spikes, out.state].into_iter().chain(out.trace).collect();
        let vars = match out.saved {
            Some((states, words)) => {
                let saved = Saved { layer, states, words };
                x.tape().record(self.op, &inputs, outputs, |bw| saved.backward(bw))?
            }
            None => x.tape().record(self.op, &inputs, outputs, |_| Ok(()))?,
        };
        let mut vars = vars.into_iter();
        match (vars.next(), vars.next()) {
            (Some(spikes), Some(state)) => Ok(Output { spikes, state, trace: vars.next() }),
            _ => Err(Error::argument(self.op, "two outputs were recorded")),
        }
    }

    fn check(&self, options: &Options, x: &Var, state: Option<&Var>) -> Result<()> {
        let wrong = |detail: String| Err(Error::argument(self.op, detail));
        if !options.surrogate.is_sound() {
            let allowed = "positive parameters whose slopes f32 holds";
            return wrong(format!("{:?}: allowed are {allowed}", options.surrogate));
        }
        if options.smooth && options.output == Spikes::Bits {
            return wrong("a smooth neuron gives f32".into());
        }
        x.value().expect(self.op, DType::F32)?;
        if x.shape().rank() == 0 {
            return Err(Error::shape(self.op, "the input has no time axis"));
        }
        if let Some(state) = state {
            state.expect_beside(self.op, x)?;
            if *state.shape() != x.shape().with(0, self.states)? {
                let detail = format!(
                    "a state of {} for an input of {}, expected {}",
                    state.shape(),
                    x.shape(),
                    x.shape().with(0, self.states)?
                );
                return Err(Error::shape(self.op, detail));
            }
        }
        if options.smooth {
            x.device().expect_host(format!("{}: a smooth neuron", self.op))?;
        }
        Ok(())
    }

    /// The elements of each parameter that is a tensor, 0 for the others.
    fn counts(&self, x: &Var, parameters: &[Option<&Var>]) -> Result<Vec<usize>> {
        let trailing = &x.shape().dims()[1..];
        let last = trailing.last().copied().unwrap_or(1);
        let mut counts = Vec::with_capacity(parameters.len());
        for (name, value) in self.parameters.iter().zip(parameters) {
            if let Some(value) = value {
                check_parameter(self.op, name, value, x, last)?;
            }
            counts.push(value.map_or(0, |v| v.shape().count()));
        }
        Ok(counts)
    }
}

/// The parameters that are tensors, one behind the other.
fn pack(parameters: &[Option<&Var>]) -> Result<Option<Var>> {
    let flat = parameters.iter().flatten().map(|v| v.reshape([v.shape().count()]));
    let flat: Vec<Var> = flat.collect::<Result<_>>()?;
    match flat.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        all => concat(&all.iter().collect::<Vec<_>>(), 0).map(Some),
    }
}

/// The scan of an input without elements: no spikes, and the state that came in.
fn nothing(layer: &Layer, x: &Var, state: Option<&Var>) -> Result<Output> {
    let none = |shape, dtype| -> Result<Var> {
        Ok(x.tape().constant(&Tensor::zeros(x.device(), shape, dtype)?))
    };
    let dtype = if layer.options.output == Spikes::Bits { DType::Bits } else { DType::F32 };
    let state = match state {
        Some(state) => state.clone(),
        None => none(layer.state_shape()?, DType::F32)?,
    };
    let trace = layer.options.trace.then(|| none(layer.shape, DType::F32)).transpose()?;
    Ok(Output { spikes: none(layer.shape, dtype)?, trace, state })
}
