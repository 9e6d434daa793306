//! Equations as a user writes them: names, and expressions with operators.

use super::expression::{Id, Op, Program};
use crate::elementwise::{Activation, Binary, Unary};
use crate::error::{Error, Result};
use crate::lif::Surrogate;
use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What a step of a neuron is written in: see [`Neuron::define`](crate::neuron::Neuron::define).
#[derive(Debug, Default)]
pub struct Equations {
    written: RefCell<Written>,
}

/// What has been written so far.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) program: Program,
    pub(super) inputs: Vec<String>,
    pub(super) states: Vec<(String, f32)>,
    pub(super) parameters: Vec<(String, f32)>,
    pub(super) surrogates: Vec<Surrogate>,
    pub(super) next: Vec<Option<Id>>,
    pub(super) emits: Vec<Id>,
    /// The first thing that was wrong.
    wrong: Option<String>,
}

/// A number of a step: an input, a state before the step, a parameter, or what was made of them.
/// `+ - * /` and the methods make others; constants are `f32`.
#[derive(Debug, Clone, Copy)]
pub struct Expr<'a> {
    of: &'a Equations,
    id: Id,
}

impl Equations {
    /// An input of the step.
    pub fn input(&self, name: &str) -> Expr<'_> {
        self.told(name, 0.0, |written| {
            written.inputs.push(name.into());
            Op::Input(written.inputs.len() - 1)
        })
    }

    /// A state, as it is before the step. It begins as `initial` where a scan is given none.
    pub fn state(&self, name: &str, initial: f32) -> Expr<'_> {
        self.told(name, initial, |written| {
            written.states.push((name.into(), initial));
            written.next.push(None);
            Op::State(written.states.len() - 1)
        })
    }

    /// A parameter: a number, `value` unless a scan is told another, or a tensor.
    pub fn param(&self, name: &str, value: f32) -> Expr<'_> {
        self.told(name, value, |written| {
            written.parameters.push((name.into(), value));
            Op::Parameter(written.parameters.len() - 1)
        })
    }

    /// Something that has a name and begins as `value`.
    fn told(&self, name: &str, value: f32, note: impl FnOnce(&mut Written) -> Op) -> Expr<'_> {
        let mut written = self.written.borrow_mut();
        written.name(name);
        written.finite(name, value);
        let op = note(&mut written);
        drop(written);
        self.push(op)
    }

    /// A constant.
    pub fn constant(&self, value: f32) -> Expr<'_> {
        self.written.borrow_mut().finite("a constant", value);
        self.push(Op::Constant(value))
    }

    /// A spike: 1 where `distance >= 0`, else 0. Backward takes the surrogate at the distance for its
    /// derivative. The two sides of a difference are compared with each other.
    pub fn fire<'a>(&'a self, distance: Expr<'a>, surrogate: Surrogate) -> Expr<'a> {
        self.spike(distance, surrogate, false)
    }

    /// Likewise where `distance > 0`.
    pub fn fire_above<'a>(&'a self, distance: Expr<'a>, surrogate: Surrogate) -> Expr<'a> {
        self.spike(distance, surrogate, true)
    }

    fn spike<'a>(&'a self, distance: Expr<'a>, surrogate: Surrogate, strict: bool) -> Expr<'a> {
        let distance = self.own(distance);
        let sides = match self.written.borrow().program.ops[distance] {
            Op::Binary(Binary::Sub, of, over) => Some((of, over)),
            _ => None,
        };
        let (of, over) = sides.unwrap_or_else(|| (distance, self.push(Op::Constant(0.0)).id));
        let mut written = self.written.borrow_mut();
        if !surrogate.is_sound() {
            let allowed = "positive parameters whose slopes f32 holds";
            written.fail(format!("{surrogate:?}: allowed are {allowed}"));
        }
        written.surrogates.push(surrogate);
        let number = written.surrogates.len() - 1;
        drop(written);
        self.push(Op::Fire { number, of, over, strict })
    }

    /// The same number, which passes no gradient.
    pub fn detach<'a>(&'a self, x: Expr<'a>) -> Expr<'a> {
        let id = self.own(x);
        self.push(Op::Detach(id))
    }

    /// What a state is after the step.
    pub fn next(&self, state: Expr<'_>, value: Expr<'_>) {
        let (state, value) = (self.own(state), self.own(value));
        let mut written = self.written.borrow_mut();
        match written.program.ops[state] {
            Op::State(k) if written.next[k].is_none() => written.next[k] = Some(value),
            Op::State(k) => {
                let name = written.states[k].0.clone();
                written.fail(format!("the state `{name}` has two next values"));
            }
            _ => written.fail("a next value is given to what is no state".into()),
        }
    }

    /// Gives a number out, at every step. The first that is given out is the neuron's spikes, where it has
    /// some.
    pub fn emit(&self, x: Expr<'_>) {
        let id = self.own(x);
        self.written.borrow_mut().emits.push(id);
    }

    fn op(&self, id: Id) -> Op {
        self.written.borrow().program.ops[id]
    }

    fn push(&self, op: Op) -> Expr<'_> {
        Expr { of: self, id: self.written.borrow_mut().program.push(op) }
    }

    /// The place of an expression, if it is one of these equations.
    fn own(&self, x: Expr<'_>) -> Id {
        if std::ptr::eq(x.of, self) {
            return x.id;
        }
        self.written.borrow_mut().fail("an expression of other equations".into());
        self.push(Op::Constant(0.0)).id
    }

    /// What was written, if it is whole.
    pub(super) fn finish(self, op: &'static str) -> Result<Written> {
        let mut written = self.written.into_inner();
        if written.emits.is_empty() {
            written.fail("nothing is given out (`emit`)".into());
        }
        if written.inputs.is_empty() {
            written.fail("there is no input".into());
        }
        if let Some(k) = written.next.iter().position(Option::is_none) {
            let name = written.states[k].0.clone();
            written.fail(format!("the state `{name}` has no next value"));
        }
        match written.wrong.take() {
            Some(detail) => Err(Error::argument(op, detail)),
            None => Ok(written),
        }
    }
}

impl Written {
    /// Whether the equations are the same, whatever the numbers of states, parameters and surrogates.
    pub(super) fn is_like(&self, other: &Written) -> bool {
        let names = |all: &[(String, f32)], others: &[(String, f32)]| {
            all.iter().map(|(name, _)| name).eq(others.iter().map(|(name, _)| name))
        };
        let codes = |all: &Written| all.surrogates.iter().map(|s| s.code()).collect::<Vec<_>>();
        let (ops, others) = (&self.program.ops, &other.program.ops);
        ops.len() == others.len()
            && ops.iter().zip(others).all(|(op, other)| op.is(*other))
            && (&self.next, &self.emits, &self.inputs) == (&other.next, &other.emits, &other.inputs)
            && names(&self.states, &other.states)
            && names(&self.parameters, &other.parameters)
            && codes(self) == codes(other)
    }

    fn fail(&mut self, detail: String) {
        self.wrong.get_or_insert(detail);
    }

    /// Names are what errors and parameters go by.
    fn name(&mut self, name: &str) {
        let states = self.states.iter().map(|(name, _)| name);
        let parameters = self.parameters.iter().map(|(name, _)| name);
        let taken = self.inputs.iter().chain(states).chain(parameters).any(|old| old == name);
        if taken {
            self.fail(format!("the name `{name}` is used twice"));
        }
        if name.is_empty() {
            self.fail("an empty name".into());
        }
    }

    fn finite(&mut self, name: &str, value: f32) {
        if !value.is_finite() {
            self.fail(format!("{name} is {value}"));
        }
    }
}

impl<'a> Expr<'a> {
    fn with(self, op: Op) -> Expr<'a> {
        self.of.push(op)
    }

    /// The constant 0, of the same equations.
    pub(crate) fn zero(self) -> Expr<'a> {
        self.with(Op::Constant(0.0))
    }

    fn unary(self, f: Unary) -> Expr<'a> {
        self.with(Op::Unary(f, self.id))
    }

    fn binary(self, f: Binary, other: Expr<'a>) -> Expr<'a> {
        let other = self.of.own(other);
        let (of, over) = (self.constant(), self.of.op(other).constant());
        if f == Binary::Div && over == Some(0.0) {
            self.of.written.borrow_mut().fail("a division by zero".into());
        } else if let (Some(a), Some(b)) = (of, over) {
            // Compilers of shaders do so too, and refuse what is not finite.
            return self.of.constant(f.apply(a, b));
        }
        self.with(Op::Binary(f, self.id, other))
    }

    fn constant(self) -> Option<f32> {
        self.of.op(self.id).constant()
    }

    /// `e^x`.
    pub fn exp(self) -> Self {
        self.unary(Unary::Exp)
    }

    /// `ln x`: -infinity of 0, NaN below.
    pub fn ln(self) -> Self {
        self.unary(Unary::Ln)
    }

    /// `sqrt x`, NaN below 0; the derivative at 0 is taken as 0.
    pub fn sqrt(self) -> Self {
        self.unary(Unary::Sqrt)
    }

    /// `x^2`.
    pub fn square(self) -> Self {
        self.unary(Unary::Square)
    }

    /// `|x|`, derivative 0 at 0.
    pub fn abs(self) -> Self {
        self.unary(Unary::Abs)
    }

    /// `x` to the power of a constant.
    pub fn power(self, exponent: f32) -> Self {
        self.of.written.borrow_mut().finite("an exponent", exponent);
        self.unary(Unary::Power(exponent))
    }

    /// `x` within bounds, which may be infinite; no gradient passes beyond them.
    pub fn clamp(self, low: f32, high: f32) -> Self {
        let mut written = self.of.written.borrow_mut();
        if low.is_nan() || high.is_nan() {
            written.fail("a limit is NaN".into());
        } else if low > high {
            written.fail(format!("the limit {low} is above {high}"));
        }
        drop(written);
        self.unary(Unary::Clamp { low, high })
    }

    /// `tanh x`.
    pub fn tanh(self) -> Self {
        self.with(Op::Activation(Activation::Tanh, self.id))
    }

    /// `1 / (1 + e^-x)`.
    pub fn sigmoid(self) -> Self {
        self.with(Op::Activation(Activation::Sigmoid, self.id))
    }

    /// The lesser of two; where both are equal, each gets half the gradient.
    pub fn min(self, other: Self) -> Self {
        self.binary(Binary::Minimum, other)
    }

    /// The greater of two; where both are equal, each gets half the gradient.
    pub fn max(self, other: Self) -> Self {
        self.binary(Binary::Maximum, other)
    }

    /// 1 where this is less than the other, else 0; no gradient passes.
    pub fn less(self, other: Self) -> Self {
        let other = self.of.own(other);
        self.with(Op::Less(self.id, other))
    }

    /// `yes` where this, a spike or a comparison, is 1, `no` where it is 0, and with `s` other than these
    /// `s yes + (1 - s) no`.
    pub fn choose(self, yes: Self, no: Self) -> Self {
        let (yes, no) = (self.of.own(yes), self.of.own(no));
        self.with(Op::Choose(self.id, yes, no))
    }
}

macro_rules! operator {
    ($($trait:ident $method:ident $op:ident,)*) => {$(
        impl<'a> $trait<Expr<'a>> for Expr<'a> {
            type Output = Expr<'a>;
            fn $method(self, other: Expr<'a>) -> Expr<'a> {
                self.binary(Binary::$op, other)
            }
        }

        impl<'a> $trait<f32> for Expr<'a> {
            type Output = Expr<'a>;
            fn $method(self, other: f32) -> Expr<'a> {
                self.binary(Binary::$op, self.of.constant(other))
            }
        }

        impl<'a> $trait<Expr<'a>> for f32 {
            type Output = Expr<'a>;
            fn $method(self, other: Expr<'a>) -> Expr<'a> {
                other.of.constant(self).binary(Binary::$op, other)
            }
        }
    )*};
}

operator! {
    Add add Add,
    Sub sub Sub,
    Mul mul Mul,
    Div div Div,
}

impl<'a> Neg for Expr<'a> {
    type Output = Expr<'a>;
    fn neg(self) -> Expr<'a> {
        if let Some(value) = self.constant() {
            return self.of.constant(-value);
        }
        self.unary(Unary::Affine { scale: -1.0, shift: 0.0 })
    }
}
