//! Arithmetic of two tensors, with broadcasting.

use super::broadcast::{Strides, strides};
use super::table::functions_of_two;
use super::unary::{Unary, unary};
use crate::host::{HostArgs, Real, each, greatest, keep_nan, least};
use crate::kernel::few_iterations;
use crate::tensor::{BY_FOUR, launch_items};
use crate::{DType, Error, Result, Shape, Tensor, Var};

crate::kernel! {
    /// `y[i] = a[i] op b[i]`
    pub(super) static BINARY = "elementwise/binary";
    params = struct BinaryParams { items: u32 };
    oracle = binary_oracle;
    modules = BINARY_MODULE;
    variants = BY_FOUR;
    cost = |args| args.one_operation_each("y");
}

crate::params! {
    pub(super) struct BroadcastParams {
        count: u32,
        rank: u32,
        padding: [u32; 2],
        strides: Strides,
    }
}

crate::kernel! {
    /// `y[i] = a[..] op b[..]` for operands that are broadcast.
    pub(super) static BINARY_BROADCAST = "elementwise/binary_broadcast";
    params = BroadcastParams;
    oracle = binary_broadcast_oracle;
    modules = BINARY_MODULE;
    cost = |args| args.one_operation_each("y");
    iterations = few_iterations;
}

crate::kernel! {
    /// `gx[i] = g[i] d(a op b)/da`, or `/db`
    pub(super) static BINARY_BACKWARD = "elementwise/binary_backward";
    params = BroadcastParams;
    oracle = binary_backward_oracle;
    modules = BINARY_MODULE;
    cost = |args| args.one_operation_each("gx");
    iterations = few_iterations;
}

fn binary_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let op = Binary::of(args.constant("OP"));
    let (a, b) = (args.reals("a"), args.reals("b"));
    each(args.reals_mut("y"), |i| op.apply(a[i], b[i]));
}

fn binary_broadcast_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BroadcastParams = args.params();
    let op = Binary::of(args.constant("OP"));
    let (a, b) = (args.reals("a"), args.reals("b"));
    each(args.reals_mut("y"), |i| {
        let (at_a, at_b) = p.strides.offsets(p.rank, i);
        op.apply(a[at_a], b[at_b])
    });
}

fn binary_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BroadcastParams = args.params();
    let op = Binary::of(args.constant("OP"));
    let for_b = args.flag("SIDE");
    let (a, b, g) = (args.reals("a"), args.reals("b"), args.reals("g"));
    each(args.reals_mut("gx"), |i| {
        let (at_a, at_b) = p.strides.offsets(p.rank, i);
        let [da, db] = op.derivatives(a[at_a], b[at_b]);
        g[i] * if for_b { db } else { da }
    });
}

functions_of_two! {
    /// An operator of two numbers. NaN if either is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Binary by binary;
    module BINARY_MODULE = "elementwise::binary", "\
// Operators of two numbers, and their derivatives with respect to a (side 0) or b (side 1): made of the
// table in `elementwise/binary.rs`.

import package::shared::complex::{hypot_of, hypot_slope};
import package::shared::finite::{greatest, least, share_of};

",
        "fn combine(kind: u32, a: f32, b: f32) -> f32",
        "fn combine_derivative(kind: u32, side: u32, a: f32, b: f32) -> f32";

    /// `a + b`, with broadcasting
    0 Add add(a, b) {
        value = a + b, "a + b";
        by_a = R::one(), "1.0";
        by_b = R::one(), "1.0";
        second = [R::zero(); 3];
    }
    /// `a - b`, with broadcasting
    1 Sub sub(a, b) {
        value = a - b, "a - b";
        by_a = R::one(), "1.0";
        by_b = -R::one(), "-1.0";
        second = [R::zero(); 3];
    }
    /// `a b`, element by element, with broadcasting
    2 Mul mul(a, b) {
        value = a * b, "a * b";
        by_a = b, "b";
        by_b = a, "a";
        second = [R::zero(), R::one(), R::zero()];
    }
    /// `a / b`, with broadcasting
    3 Div div(a, b) {
        value = a / b, "a / b";
        by_a = b.recip(), "1.0 / b";
        // b^2 may overflow where the quotient does not.
        by_b = -(a / b) / b, "-(a / b) / b";
        second = [R::zero(), -b.recip() / b, R::lit(2.0) * (a / b) / b / b];
    }
    /// The lesser, with broadcasting; where both are equal, each gets half the gradient
    4 Minimum minimum(a, b) {
        value = least(a, b), "least(a, b)";
        by_a = share_of(b, a), "share_of(b, a)";
        by_b = share_of(a, b), "share_of(a, b)";
        second = [R::zero(); 3];
    }
    /// The greater, with broadcasting; where both are equal, each gets half the gradient
    5 Maximum maximum(a, b) {
        value = greatest(a, b), "greatest(a, b)";
        by_a = share_of(a, b), "share_of(a, b)";
        by_b = share_of(b, a), "share_of(b, a)";
        second = [R::zero(); 3];
    }
    /// `sqrt(a^2 + b^2)`, be the squares beyond f32, with broadcasting; no gradient passes where both are 0
    6 Hypot hypot(a, b) {
        value = keep_nan(a, keep_nan(b, a.hypot(b))), "hypot_of(a, b)";
        by_a = hypot_slope(a, b), "hypot_slope(a, b)";
        by_b = hypot_slope(b, a), "hypot_slope(b, a)";
        second = {
            let (u, v, h) = (hypot_slope(a, b), hypot_slope(b, a), a.hypot(b));
            let over = |x: R| if h == R::zero() { h } else { x / h };
            [over(v * v), over(-u * v), over(u * u)]
        };
    }
}

/// `a / sqrt(a^2 + b^2)`, 0 where both are.
fn hypot_slope<R: Real>(a: R, b: R) -> R {
    let h = keep_nan(a, keep_nan(b, a.hypot(b)));
    if h == R::zero() { h } else { a / h }
}

/// 1 where the first is the greater, 1/2 where both are equal, else 0; NaN if either is.
fn share_of<R: Real>(first: R, second: R) -> R {
    if first == second {
        R::lit(0.5)
    } else if first > second {
        R::one()
    } else {
        keep_nan(first, keep_nan(second, R::zero()))
    }
}

/// `a op b`, element by element; shapes broadcast (extents equal or 1, aligned at the last axis).
///
/// # Errors
/// [`Error::Shape`] where the shapes do not broadcast; [`Error::DType`] for other elements than
/// f32; [`Error::DeviceMismatch`].
pub fn binary(op: Binary, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let shape = check(op, a, b)?;
    let device = a.device();
    let y = Tensor::empty(device, shape, DType::F32)?;
    if a.count() == y.count() && b.count() == y.count() {
        let (launch, items) = launch_items(device, &BINARY, y.count());
        let launch = launch.constant("OP", op.code()).params(&BinaryParams { items });
        launch.bind("a", a).bind("b", b).bind("y", &y).record()?;
        return Ok(y);
    }
    let params = broadcast_params(&shape, a, b);
    let launch = device.launch(&BINARY_BROADCAST).constant("OP", op.code()).params(&params);
    launch.bind("a", a).bind("b", b).bind("y", &y).items(y.count()).record()?;
    Ok(y)
}

fn check(op: Binary, a: &Tensor, b: &Tensor) -> Result<Shape> {
    a.same_device(op.name(), b)?;
    a.expect(op.name(), DType::F32)?;
    b.expect(op.name(), DType::F32)?;
    a.shape().broadcast(b.shape()).ok_or_else(|| {
        let detail = format!(
            "{} and {} do not broadcast, expected extents that are equal or 1 from the last axis on",
            a.shape(),
            b.shape()
        );
        Error::shape(op.name(), detail)
    })
}

fn broadcast_params(out: &Shape, a: &Tensor, b: &Tensor) -> BroadcastParams {
    let (strides, rank) = strides(out, a.shape(), b.shape());
    BroadcastParams { count: out.count() as u32, rank, padding: [0; 2], strides }
}

/// Which operand a gradient is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// The gradient of one operand: `g` times the derivative in one launch at most, then summed over
/// the axes along which the operand was broadcast.
fn gradient(op: Binary, side: Side, a: &Tensor, b: &Tensor, g: &Tensor) -> Result<Tensor> {
    let full = match (op, side) {
        (Binary::Add, _) | (Binary::Sub, Side::A) => g.clone(),
        (Binary::Sub, Side::B) => {
            // The smaller tensor is negated.
            let sum = crate::reduce::sum_to(g, b.shape())?;
            return unary(Unary::Affine { scale: -1.0, shift: 0.0 }, &sum);
        }
        (Binary::Mul, Side::A) => binary(Binary::Mul, g, b)?,
        (Binary::Mul, Side::B) => binary(Binary::Mul, g, a)?,
        (Binary::Div, Side::A) => binary(Binary::Div, g, b)?,
        _ => binary_backward(op, side, a, b, g)?,
    };
    let target = if side == Side::A { a.shape() } else { b.shape() };
    crate::reduce::sum_to(&full, target)
}

fn binary_backward(op: Binary, side: Side, a: &Tensor, b: &Tensor, g: &Tensor) -> Result<Tensor> {
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    let params = broadcast_params(g.shape(), a, b);
    let launch = g.device().launch(&BINARY_BACKWARD).constant("OP", op.code());
    let launch = launch.constant("SIDE", side == Side::B).params(&params);
    let launch = launch.bind("a", a).bind("b", b).bind("g", g).bind("gx", &gx);
    launch.items(g.count()).record()?;
    Ok(gx)
}

impl Var {
    /// `self op other`, element by element; shapes broadcast (extents equal or 1, aligned at the
    /// last axis). A gradient is summed over the axes along which its operand was broadcast.
    ///
    /// # Errors
    /// [`Error::Shape`] where the shapes do not broadcast; [`Error::DType`] for other elements than
    /// f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn binary(&self, op: Binary, other: &Var) -> Result<Var> {
        let y = binary(op, self.value(), other.value())?;
        let (a, b) = (self.value().clone(), other.value().clone());
        self.tape().record_one(op.name(), &[self, other], y, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            for (i, side) in [Side::A, Side::B].into_iter().enumerate() {
                if bw.needs(i) {
                    bw.give(i, gradient(op, side, &a, &b, &g)?);
                }
            }
            Ok(())
        })
    }
}
