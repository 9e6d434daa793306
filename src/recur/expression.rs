//! Expressions: what happens in a step, as a list of operations of which each may use those before it.

use crate::elementwise::{Activation, Binary, Unary};
use crate::host::Real;
use crate::lif::Surrogate;
pub(crate) use crate::lif::membrane::{choose, part};

/// The place of an operation in its list.
pub(crate) type Id = usize;

/// An operation: a number of a step, or one made of others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Op {
    Constant(f32),
    Input(usize),
    /// A state before the step.
    State(usize),
    /// A parameter, or behind these the parameter of a surrogate.
    Parameter(usize),
    /// The spike of this number: 1 where the first is the second at least, or above it, else 0.
    Fire {
        number: usize,
        of: Id,
        over: Id,
        strict: bool,
    },
    /// dL of a state after the step.
    NextGradient(usize),
    /// dL of what the step emits.
    EmitGradient(usize),
    Unary(Unary, Id),
    /// The derivative of a function, from its argument or its value.
    UnarySlope(Unary, Id),
    Activation(Activation, Id),
    ActivationSlope(Activation, Id),
    Binary(Binary, Id, Id),
    /// The derivative of an operator for its first (0) or second operand.
    BinarySlope(Binary, usize, Id, Id),
    /// 1 where the first is less than the second, else 0.
    Less(Id, Id),
    /// The second where the first is 1, the third where it is 0.
    Choose(Id, Id, Id),
    /// The derivative of the surrogate of this code at a distance, with its parameter.
    Surrogate(u32, Id, Id),
    /// Passes no gradient.
    Detach(Id),
    /// A product that is 0 where the first is, whatever the second.
    Through(Id, Id),
    /// A product that is 0 where either is.
    Part(Id, Id),
}

impl Op {
    /// The operation with its operands at other places.
    pub(crate) fn moved(self, to: &[Id]) -> Op {
        match self {
            Op::Fire { number, of, over, strict } => {
                Op::Fire { number, of: to[of], over: to[over], strict }
            }
            Op::Unary(f, a) => Op::Unary(f, to[a]),
            Op::UnarySlope(f, a) => Op::UnarySlope(f, to[a]),
            Op::Activation(f, a) => Op::Activation(f, to[a]),
            Op::ActivationSlope(f, a) => Op::ActivationSlope(f, to[a]),
            Op::Binary(f, a, b) => Op::Binary(f, to[a], to[b]),
            Op::BinarySlope(f, side, a, b) => Op::BinarySlope(f, side, to[a], to[b]),
            Op::Less(a, b) => Op::Less(to[a], to[b]),
            Op::Choose(s, a, b) => Op::Choose(to[s], to[a], to[b]),
            Op::Surrogate(code, u, alpha) => Op::Surrogate(code, to[u], to[alpha]),
            Op::Detach(a) => Op::Detach(to[a]),
            Op::Through(g, slope) => Op::Through(to[g], to[slope]),
            Op::Part(g, state) => Op::Part(to[g], to[state]),
            leaf => leaf,
        }
    }

    /// Whether the two are the same: 0 and -0 are equal, and not the same.
    pub(crate) fn is(self, other: Op) -> bool {
        self == other && self.constant().map(f32::to_bits) == other.constant().map(f32::to_bits)
    }

    /// Its value, if it is a constant.
    pub(crate) fn constant(self) -> Option<f32> {
        match self {
            Op::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// What it is made of.
    pub(crate) fn operands(self) -> impl Iterator<Item = Id> {
        use Op::*;
        let (a, b, c) = match self {
            Constant(_) | Input(_) | State(_) | Parameter(_) | NextGradient(_)
            | EmitGradient(_) => (None, None, None),
            Unary(_, a)
            | UnarySlope(_, a)
            | Activation(_, a)
            | ActivationSlope(_, a)
            | Detach(a) => (Some(a), None, None),
            Fire { of: a, over: b, .. }
            | Binary(_, a, b)
            | BinarySlope(_, _, a, b)
            | Less(a, b)
            | Surrogate(_, a, b)
            | Through(a, b)
            | Part(a, b) => (Some(a), Some(b), None),
            Choose(a, b, c) => (Some(a), Some(b), Some(c)),
        };
        [a, b, c].into_iter().flatten()
    }
}

/// What a step is told.
#[derive(Clone, Copy)]
pub(crate) struct Leaves<'a, R> {
    pub(crate) inputs: &'a [R],
    pub(crate) states: &'a [R],
    pub(crate) parameters: &'a [R],
    /// Spikes that were saved, if they are not to be found again.
    pub(crate) fired: Option<&'a [R]>,
    pub(crate) next_gradients: &'a [R],
    pub(crate) emit_gradients: &'a [R],
    /// Whether the integral of a surrogate takes the place of its spike.
    pub(crate) smooth: Option<&'a [Surrogate]>,
}

impl<R> Default for Leaves<'_, R> {
    fn default() -> Self {
        Self {
            inputs: &[],
            states: &[],
            parameters: &[],
            fired: None,
            next_gradients: &[],
            emit_gradients: &[],
            smooth: None,
        }
    }
}

/// The value of an operation, those of its operands being in `values`.
pub(crate) fn evaluate<R: Real>(op: Op, values: &[R], leaves: &Leaves<'_, R>) -> R {
    let truth = |holds: bool| if holds { R::one() } else { R::zero() };
    match op {
        Op::Constant(value) => R::lit(value.into()),
        Op::Input(k) => leaves.inputs[k],
        Op::State(k) => leaves.states[k],
        Op::Parameter(k) => leaves.parameters[k],
        Op::NextGradient(k) => leaves.next_gradients[k],
        Op::EmitGradient(k) => leaves.emit_gradients[k],
        Op::Fire { number, of, over, strict } => match (leaves.smooth, leaves.fired) {
            (Some(surrogates), _) => surrogates[number].primitive(values[of] - values[over]),
            (None, Some(fired)) => fired[number],
            (None, None) if strict => truth(values[of] > values[over]),
            (None, None) => truth(values[of] >= values[over]),
        },
        Op::Unary(f, a) => f.apply(values[a]),
        Op::UnarySlope(f, a) => f.slope_from(values[a]),
        Op::Activation(f, a) => f.apply(values[a]),
        Op::ActivationSlope(f, a) => f.slope_from(values[a]),
        Op::Binary(f, a, b) => f.apply(values[a], values[b]),
        Op::BinarySlope(f, side, a, b) => f.derivatives(values[a], values[b])[side],
        Op::Less(a, b) => truth(values[a] < values[b]),
        Op::Choose(s, a, b) => choose(values[s], values[a], values[b]),
        Op::Surrogate(code, u, alpha) => {
            Surrogate::from_code(code, values[alpha].f32()).derivative(values[u])
        }
        Op::Detach(a) => values[a],
        Op::Through(g, slope) => through(values[g], values[slope]),
        Op::Part(g, state) => part(values[g], values[state]),
    }
}

/// `g slope`, 0 where no gradient comes, whatever the slope.
#[inline(always)]
pub(crate) fn through<R: Real>(g: R, slope: R) -> R {
    if g == R::zero() { R::zero() } else { g * slope }
}

/// A list of operations, and which of them are wanted.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    pub(crate) outputs: Vec<Id>,
}

impl Program {
    /// Appends an operation, or finds it.
    pub(crate) fn push(&mut self, op: Op) -> Id {
        if let Some(found) = self.ops.iter().position(|old| old.is(op)) {
            return found;
        }
        self.ops.push(op);
        self.ops.len() - 1
    }

    /// The operations that these outputs need, and no others.
    pub(crate) fn only(&self, outputs: &[Id]) -> Program {
        let mut needed = vec![false; self.ops.len()];
        outputs.iter().for_each(|id| needed[*id] = true);
        for id in (0..self.ops.len()).rev() {
            if needed[id] {
                self.ops[id].operands().for_each(|operand| needed[operand] = true);
            }
        }
        let mut place = vec![0; self.ops.len()];
        let mut pruned = Program::default();
        for (id, op) in self.ops.iter().enumerate().filter(|(id, _)| needed[*id]) {
            pruned.ops.push(op.moved(&place));
            place[id] = pruned.ops.len() - 1;
        }
        pruned.outputs = outputs.iter().map(|id| place[*id]).collect();
        pruned
    }

    /// The outputs for these leaves.
    pub(crate) fn run<R: Real>(&self, leaves: &Leaves<'_, R>, values: &mut Vec<R>) {
        values.clear();
        for op in &self.ops {
            let value = evaluate(*op, values, leaves);
            values.push(value);
        }
    }
}
