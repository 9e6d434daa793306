//! The operator: checks, forward, and the node on the tape.

use super::backward::{PARAMETERS, STATE, Saved, X};
use super::drivers::Driver;
use super::forward::{self, Forward, stacked};
use super::layer::{Layer, Options};
use crate::error::{Error, Result};
use crate::layout::concat;
use crate::lif::{Spikes, check_parameter};
use crate::tape::Var;
use crate::{DType, Shape, Tensor};

/// What a scan gives: what is emitted, and the states after the last step.
pub(crate) struct Output {
    pub(crate) emits: Vec<Var>,
    pub(crate) state: Var,
}

/// What a scan begins with.
pub(crate) enum Start<'a> {
    /// States `[states, …]`.
    Given(&'a Var),
    /// Numbers, one a state.
    Initial(&'a [f32]),
}

impl Driver {
    /// Runs the neuron over all steps of its inputs `[T, …]`, with parameters that are tensors, in its
    /// order, where these are given.
    pub(crate) fn run(
        &'static self,
        options: &Options,
        inputs: &[&Var],
        start: Start<'_>,
        parameters: &[Option<&Var>],
    ) -> Result<Output> {
        let first = self.check(options, inputs, &start)?;
        let shape = *first.shape();
        let counts = self.counts(first, parameters)?;
        let packed = pack(parameters)?;
        let value = packed.as_ref().map(|v| v.value().clone());
        let x = stack(inputs, &shape)?;
        let layer = Layer::new(self, options, shape, x.value(), &counts, value);
        let none = x.detach();
        let mut vars = [&none; 3];
        vars[X] = &x;
        if let Start::Given(state) = start {
            vars[STATE] = state;
        }
        vars[PARAMETERS] = packed.as_ref().unwrap_or(&none);
        let keep = x.tape().is_on() && vars.iter().any(|v| v.has_gradient());
        let (state, resumes) = begin(&layer, &start)?;
        if shape.count() == 0 {
            return nothing(&layer, &x, state, &start);
        }
        let out = forward::run(&layer, state, resumes, keep)?;
        self.record(layer, &x, &vars, out)
    }

    /// The node on the tape, and what is emitted as variables of their own.
    fn record(
        &'static self,
        layer: Layer,
        x: &Var,
        vars: &[&Var; 3],
        out: Forward,
    ) -> Result<Output> {
        let shape = layer.shape;
        let dense = layer.dense();
        let outputs = [Some(out.state), out.spikes, out.dense].into_iter().flatten().collect();
        let recorded = match out.saved {
            Some(forward) => {
                let saved = Saved { layer, forward };
                x.tape().record(self.op, vars, outputs, |bw| saved.backward(bw))?
            }
            None => x.tape().record(self.op, vars, outputs, |_| Ok(()))?,
        };
        let mut recorded = recorded.into_iter();
        let Some(state) = recorded.next() else {
            return Err(Error::argument(self.op, "no output was recorded"));
        };
        let mut emits: Vec<Var> = recorded.collect();
        if dense > 0
            && let Some(all) = emits.pop()
        {
            for k in 0..dense {
                let one = match dense {
                    1 => all.clone(),
                    _ => all.slice(&[k..k + 1, 0..all.shape()[1], 0..all.shape()[2]])?,
                };
                emits.push(one.reshape(shape)?);
            }
        }
        Ok(Output { emits, state })
    }

    /// Refuses wrong inputs and options; gives the first input.
    fn check<'a>(
        &self,
        options: &Options,
        inputs: &[&'a Var],
        start: &Start<'_>,
    ) -> Result<&'a Var> {
        let definition = &self.definition;
        let wrong = |detail: String| Err(Error::argument(self.op, detail));
        let [first, others @ ..] = inputs else {
            return wrong(format!("no input, expected {}", definition.inputs.join(", ")));
        };
        if inputs.len() != definition.inputs.len() {
            let names = definition.inputs.join(", ");
            return wrong(format!("{} inputs, expected {names}", inputs.len()));
        }
        if options.output == Spikes::Bits && !definition.spikes {
            return wrong("what is emitted first is no spike, and is given out as f32".into());
        }
        if options.output == Spikes::Bits && options.smooth {
            return wrong("a smooth neuron gives f32".into());
        }
        first.value().expect(self.op, DType::F32)?;
        if first.shape().rank() == 0 {
            return Err(Error::shape(self.op, "the input has no time axis"));
        }
        for other in others {
            other.expect_beside(self.op, first)?;
            if other.shape() != first.shape() {
                let detail = format!("inputs of {} and {}", first.shape(), other.shape());
                return Err(Error::shape(self.op, detail));
            }
        }
        if let Start::Given(state) = start {
            state.expect_beside(self.op, first)?;
            let expected = first.shape().with(0, definition.states.len())?;
            if *state.shape() != expected {
                let detail = format!(
                    "a state of {} for an input of {}, expected {expected}",
                    state.shape(),
                    first.shape(),
                );
                return Err(Error::shape(self.op, detail));
            }
        }
        if options.smooth {
            first.device().expect_host(format!("{}: a smooth neuron", self.op))?;
        }
        Ok(first)
    }

    /// The elements of each parameter that is a tensor, 0 for the others.
    fn counts(&self, x: &Var, parameters: &[Option<&Var>]) -> Result<Vec<usize>> {
        let trailing = &x.shape().dims()[1..];
        let last = trailing.last().copied().unwrap_or(1);
        let mut counts = Vec::with_capacity(parameters.len());
        for (name, value) in self.definition.parameters.iter().zip(parameters) {
            if let Some(value) = value {
                check_parameter(self.op, name, value, x, last)?;
            }
            counts.push(value.map_or(0, |v| v.shape().count()));
        }
        Ok(counts)
    }
}

/// The inputs, one behind the other.
fn stack(inputs: &[&Var], shape: &Shape) -> Result<Var> {
    let one = stacked(1, shape)?;
    let each: Vec<Var> = inputs.iter().map(|x| x.reshape(one)).collect::<Result<_>>()?;
    match each.as_slice() {
        [one] => Ok(one.clone()),
        all => concat(&all.iter().collect::<Vec<_>>(), 0),
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

/// The states that the launches go on from, and whether they are to be read.
fn begin(layer: &Layer, start: &Start<'_>) -> Result<(Tensor, bool)> {
    let (device, shape) = (layer.x.device(), layer.state_shape()?);
    match start {
        Start::Given(state) => Ok((state.value().duplicate()?, true)),
        Start::Initial(values) if values.iter().all(|v| *v == 0.0) => {
            Ok((Tensor::empty(device, shape, DType::F32)?, false))
        }
        Start::Initial(values) => {
            let columns = layer.columns();
            let all: Vec<f32> =
                values.iter().flat_map(|v| std::iter::repeat_n(*v, columns)).collect();
            // A copy: launches write to it, and a replay begins with it again.
            Ok((Tensor::from_slice(device, &all, shape)?.duplicate()?, true))
        }
    }
}

/// The scan of inputs without elements: nothing is emitted, and the states are those that came in.
fn nothing(layer: &Layer, x: &Var, state: Tensor, start: &Start<'_>) -> Result<Output> {
    let emitted = |k: usize| -> Result<Var> {
        let dtype = if k == 0 && layer.is_packed() { DType::Bits } else { DType::F32 };
        Ok(x.tape().constant(&Tensor::zeros(layer.x.device(), layer.shape, dtype)?))
    };
    let emits = (0..layer.definition().emits).map(emitted).collect::<Result<_>>()?;
    let state = match start {
        Start::Given(state) => (*state).clone(),
        Start::Initial(values) => {
            if values.iter().all(|v| *v == 0.0) {
                state.clear()?;
            }
            x.tape().constant(&state)
        }
    };
    Ok(Output { emits, state })
}
