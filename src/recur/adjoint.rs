//! Reverse mode over expressions: from what a step does, what its gradients are.

use super::expression::{Id, Op, Program};
use crate::elementwise::{Binary, Unary};

/// What a step is: its operations, the states after it, and what it emits.
pub(crate) struct Step<'a> {
    pub(crate) ops: &'a [Op],
    pub(crate) next: &'a [Id],
    pub(crate) emits: &'a [Id],
    pub(crate) inputs: usize,
    pub(crate) parameters: usize,
    /// The code of the surrogate of each spike; its parameter stands behind the parameters.
    pub(crate) surrogates: &'a [u32],
}

/// The gradients of inputs, states and parameters, in this order, given those of the states after the step
/// and of what it emits.
pub(crate) fn adjoint(step: &Step<'_>) -> Program {
    let mut tape = Reverse {
        program: Program { ops: step.ops.to_vec(), outputs: Vec::new() },
        gradients: vec![None; step.ops.len()],
        step,
    };
    for (k, id) in step.next.iter().enumerate() {
        let g = tape.program.push(Op::NextGradient(k));
        tape.add(*id, g);
    }
    for (k, id) in step.emits.iter().enumerate() {
        let g = tape.program.push(Op::EmitGradient(k));
        tape.add(*id, g);
    }
    for id in (0..step.ops.len()).rev() {
        if let Some(g) = tape.gradients[id] {
            tape.back(id, g);
        }
    }
    let mut leaves: Vec<Op> = (0..step.inputs).map(Op::Input).collect();
    leaves.extend((0..step.next.len()).map(Op::State));
    leaves.extend((0..step.parameters).map(Op::Parameter));
    let outputs: Vec<Id> = leaves.into_iter().map(|leaf| tape.of(leaf)).collect();
    tape.program.only(&outputs)
}

struct Reverse<'a> {
    program: Program,
    /// The gradient of each operation of the step, as far as it is known.
    gradients: Vec<Option<Id>>,
    step: &'a Step<'a>,
}

impl Reverse<'_> {
    /// The gradient of a leaf.
    fn of(&mut self, leaf: Op) -> Id {
        let at = self.step.ops.iter().position(|op| *op == leaf);
        match at.and_then(|id| self.gradients[id]) {
            Some(g) => g,
            None => self.program.push(Op::Constant(0.0)),
        }
    }

    fn add(&mut self, to: Id, g: Id) {
        let sum = match self.gradients[to] {
            Some(old) => self.program.push(Op::Binary(Binary::Add, old, g)),
            None => g,
        };
        self.gradients[to] = Some(sum);
    }

    /// Adds `g slope` to the gradient of an operation. To a parameter nothing comes without a gradient or
    /// from rest, however large the other is.
    fn add_product(&mut self, to: Id, g: Id, slope: Id) {
        let is_parameter = matches!(self.step.ops[to], Op::Parameter(_));
        let product =
            if is_parameter { Op::Part(g, slope) } else { Op::Binary(Binary::Mul, g, slope) };
        let product = self.program.push(product);
        self.add(to, product);
    }

    /// `a - b`, exact where either is the constant 0.
    fn difference(&mut self, a: Id, b: Id) -> Id {
        let is_none = |id: Id| self.program.ops[id] == Op::Constant(0.0);
        match (is_none(a), is_none(b)) {
            (_, true) => a,
            (true, _) => self.negated(b),
            _ => self.program.push(Op::Binary(Binary::Sub, a, b)),
        }
    }

    fn negated(&mut self, g: Id) -> Id {
        self.program.push(Op::Unary(Unary::Affine { scale: -1.0, shift: 0.0 }, g))
    }

    /// Hands the gradient of an operation on to what it is made of.
    fn back(&mut self, id: Id, g: Id) {
        match self.step.ops[id] {
            Op::Fire { number, of, over, .. } => self.back_fire(number, of, over, g),
            Op::Unary(f, a) => {
                let saved = if f.saves_value() { id } else { a };
                let slope = match f {
                    Unary::Affine { scale, .. } => Op::Constant(scale),
                    f => Op::UnarySlope(f, saved),
                };
                let slope = self.program.push(slope);
                self.add_product(a, g, slope);
            }
            Op::Activation(f, a) => {
                let saved = if f.saves_value() { id } else { a };
                let slope = self.program.push(Op::ActivationSlope(f, saved));
                self.add_product(a, g, slope);
            }
            Op::Binary(f, a, b) => self.back_binary(f, a, b, g),
            Op::Choose(s, a, b) => {
                let none = self.program.push(Op::Constant(0.0));
                let (to_a, to_b) = (Op::Choose(s, g, none), Op::Choose(s, none, g));
                let (to_a, to_b) = (self.program.push(to_a), self.program.push(to_b));
                self.add(a, to_a);
                self.add(b, to_b);
                let jump = self.difference(a, b);
                let to_s = self.program.push(Op::Binary(Binary::Mul, g, jump));
                self.add(s, to_s);
            }
            _ => {}
        }
    }

    /// The surrogate's derivative takes the place of the step's.
    fn back_fire(&mut self, number: usize, of: Id, over: Id, g: Id) {
        let (code, place) = (self.step.surrogates[number], self.step.parameters + number);
        let distance = self.program.push(Op::Binary(Binary::Sub, of, over));
        let alpha = self.program.push(Op::Parameter(place));
        let slope = self.program.push(Op::Surrogate(code, distance, alpha));
        let q = self.program.push(Op::Through(g, slope));
        self.add(of, q);
        let back = self.negated(q);
        self.add(over, back);
    }

    fn back_binary(&mut self, f: Binary, a: Id, b: Id, g: Id) {
        match f {
            Binary::Add => {
                self.add(a, g);
                self.add(b, g);
            }
            Binary::Sub => {
                self.add(a, g);
                let back = self.negated(g);
                self.add(b, back);
            }
            Binary::Mul => {
                self.add_product(a, g, b);
                self.add_product(b, g, a);
            }
            f => {
                for (side, to) in [a, b].into_iter().enumerate() {
                    let slope = self.program.push(Op::BinarySlope(f, side, a, b));
                    self.add_product(to, g, slope);
                }
            }
        }
    }
}
