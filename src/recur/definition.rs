//! A neuron whose equations are known: what it does in a step, and what its gradients are, as programs.

use super::adjoint::{Step, adjoint};
use super::equations::Written;
use super::expression::{Id, Op, Program};

/// What a neuron does in a step, and what its gradients are.
#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) states: Vec<String>,
    pub(crate) parameters: Vec<String>,
    /// The codes of the surrogates of its spikes.
    pub(crate) surrogates: Vec<u32>,
    pub(crate) emits: usize,
    /// Whether what is emitted first is the first spike.
    pub(crate) spikes: bool,
    /// The states after the step, what it emits, and its spikes.
    pub(crate) forward: Program,
    /// The states after the step alone, from spikes that are known.
    pub(crate) again: Program,
    /// The gradients of inputs, states and parameters, from spikes that are known.
    pub(crate) backward: Program,
}

impl Definition {
    /// Of equations whose [first spike](sort) is the one that is emitted first, if one is.
    pub(super) fn new(name: &str, written: &Written) -> Self {
        let spikes = first_spike(written).is_some();
        let Written { program, inputs, states, parameters, surrogates, next, emits, .. } = written;
        let next: Vec<Id> = next.iter().flatten().copied().collect();
        let codes: Vec<u32> = surrogates.iter().map(|s| s.code()).collect();
        let step = Step {
            ops: &program.ops,
            next: &next,
            emits,
            inputs: inputs.len(),
            parameters: parameters.len(),
            surrogates: &codes,
        };
        let backward = adjoint(&step);
        let wanted: Vec<Id> =
            next.iter().chain(emits).copied().chain(fires(program, codes.len())).collect();
        Self {
            name: name.into(),
            inputs: inputs.clone(),
            states: states.iter().map(|(name, _)| name.clone()).collect(),
            parameters: parameters.iter().map(|(name, _)| name.clone()).collect(),
            surrogates: codes,
            emits: emits.len(),
            spikes,
            forward: program.only(&wanted),
            again: program.only(&next),
            backward,
        }
    }

    /// Numbers that a launch is told: parameters, and those of surrogates.
    pub(crate) fn values(&self) -> usize {
        self.parameters.len() + self.surrogates.len()
    }
}

/// The number of the spike that is emitted first.
fn first_spike(written: &Written) -> Option<usize> {
    match written.emits.first().map(|id| written.program.ops[*id]) {
        Some(Op::Fire { number, .. }) => Some(number),
        _ => None,
    }
}

/// Makes the spike that is emitted first number 0.
pub(super) fn sort(written: &mut Written) {
    if let Some(number) = first_spike(written) {
        written.surrogates.swap(0, number);
        written.program.ops.iter_mut().for_each(|op| renumber(op, number));
    }
}

/// Changes number 0 with another.
fn renumber(op: &mut Op, first: usize) {
    if let Op::Fire { number, .. } = op {
        *number = match *number {
            0 => first,
            n if n == first => 0,
            n => n,
        };
    }
}

/// The places of all spikes, in their order.
fn fires(program: &Program, count: usize) -> Vec<Id> {
    let place = |wanted: usize| {
        let is = |op: &Op| matches!(op, Op::Fire { number, .. } if *number == wanted);
        program.ops.iter().position(is)
    };
    (0..count).filter_map(place).collect()
}
