//! Functions of one number, and arithmetic with a constant.

use super::table::functions;
use crate::host::{HostArgs, Real, each, keep_nan, limited};
use crate::tensor::{BY_FOUR, launch_items};
use crate::{DType, Error, Result, Tensor, Var};

crate::params! {
    pub(super) struct UnaryParams {
        items: u32,
        first: f32,
        second: f32,
    }
}

crate::kernel! {
    /// `y[i] = f(x[i])`
    pub(super) static UNARY = "elementwise/unary";
    params = UnaryParams;
    oracle = unary_oracle;
    modules = UNARY_MODULE;
    variants = BY_FOUR;
    cost = |args| args.one_operation_each("y");
}

crate::kernel! {
    /// `gx[i] = g[i] f'(x[i])`
    pub(super) static UNARY_BACKWARD = "elementwise/unary_backward";
    params = UnaryParams;
    oracle = unary_backward_oracle;
    modules = UNARY_MODULE;
    variants = BY_FOUR;
    cost = |args| args.one_operation_each("gx");
}

fn unary_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnaryParams = args.params();
    let f = Unary::of(args.constant("OP"), [p.first, p.second]);
    let x = args.reals("x");
    each(args.reals_mut("y"), |i| f.apply(x[i]));
}

fn unary_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnaryParams = args.params();
    let f = Unary::of(args.constant("OP"), [p.first, p.second]);
    let (saved, g) = (args.reals("saved"), args.reals("g"));
    each(args.reals_mut("gx"), |i| g[i] * f.slope_from(saved[i]));
}

functions! {
    /// A function of one number. NaN of NaN, and so is the derivative.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Unary by unary;
    module UNARY_MODULE = "elementwise::unary", "\
// Functions of one number with up to two constants, and their derivatives from what was saved: the
// argument, or the value. Made of the table in `elementwise/unary.rs`.

import package::shared::curves::{power, power_slope};
import package::shared::finite::{keep_nan, limited, root_of, sign_of};
import package::shared::math::{atan_of, exp_of, ln_of};

",
        "fn evaluate(kind: u32, first: f32, second: f32, x: f32) -> f32",
        "fn derivative(kind: u32, first: f32, second: f32, saved: f32) -> f32";

    /// `scale x + shift`
    0 Affine affine[scale: scale, shift: shift] where {
        /// The factor.
        scale: f32,
        /// The summand.
        shift: f32,
    } {
        value(x) = scale * x + shift, "first * x + second";
        derivative(x) = scale, "first";
        second(x) = R::zero();
    }
    /// `e^x`; below -87 it is 0 on GPUs
    1 Exp exp[] {
        value(x) = x.exp(), "exp_of(x)";
        derivative(y) = y, "y";
        second(x) = x.exp();
    }
    /// `ln x`: -infinity of 0, NaN below
    2 Ln ln[] {
        value(x) = x.ln(), "ln_of(x)";
        derivative(x) = x.recip(), "1.0 / x";
        second(x) = -(x * x).recip();
    }
    /// `sqrt x`, NaN below 0; the derivative at 0 is taken as 0
    3 Sqrt sqrt[] {
        value(x) = x.sqrt(), "root_of(x)";
        derivative(y) = keep_nan(y, if y > R::zero() { R::lit(0.5) / y } else { R::zero() }),
            "keep_nan(y, select(0.0, 0.5 / y, y > 0.0))";
        second(x) = {
            let y = x.sqrt();
            keep_nan(y, if y > R::zero() { R::lit(-0.25) / (x * y) } else { R::zero() })
        };
    }
    /// `x^2`
    4 Square square[] {
        value(x) = x * x, "x * x";
        derivative(x) = x + x, "2.0 * x";
        second(x) = R::lit(2.0);
    }
    /// `|x|`, derivative 0 at 0
    5 Abs abs[] {
        value(x) = x.abs(), "abs(x)";
        derivative(x) = sign(x), "sign_of(x)";
        second(x) = R::zero();
    }
    /// `1 / x`
    6 Recip recip[] {
        value(x) = x.recip(), "1.0 / x";
        derivative(y) = -y * y, "-y * y";
        second(x) = R::lit(2.0) / (x * x * x);
    }
    /// -1, 0 or 1; no gradient passes
    7 Sign sign[] {
        value(x) = sign(x), "sign_of(x)";
        derivative(x) = R::zero(), "0.0";
        second(x) = R::zero();
    }
    /// `x` limited to `low ..= high`, which may be infinite; the derivative is 1 within and at the ends,
    /// else 0
    8 Clamp clamp[low: low, high: high] where {
        /// The least value.
        low: f32,
        /// The greatest value.
        high: f32,
    } {
        value(x) = limited(x, low, high), "limited(x, first, second)";
        derivative(x) = keep_nan(x, if x >= low && x <= high { R::one() } else { R::zero() }),
            "keep_nan(x, select(0.0, 1.0, x >= first && x <= second))";
        second(x) = R::zero();
    }
    /// `x^exponent`: of `x < 0` for whole exponents only, else NaN. `x^0` is 1
    9 Power power[0: exponent] where (f32) {
        value(x) = x.powf(exponent), "power(x, first)";
        derivative(x) = power_slope(x, exponent), "power_slope(x, first)";
        second(x) = power_bend(x, exponent);
    }
    /// `arctan x`
    10 Atan atan[] {
        value(x) = x.atan(), "atan_of(x)";
        derivative(x) = (R::one() + x * x).recip(), "1.0 / (1.0 + x * x)";
        second(x) = R::lit(-2.0) * x / ((R::one() + x * x) * (R::one() + x * x));
    }
}

/// `e x^(e - 1)`: nothing for the constant `x^0`, never 0 times an infinity.
fn power_slope<R: Real>(x: R, e: R) -> R {
    if e == R::zero() { R::zero() } else { e * x.powf(e - R::one()) }
}

/// Its derivative, likewise.
fn power_bend<R: Real>(x: R, e: R) -> R {
    if e == R::zero() { R::zero() } else { e * power_slope(x, e - R::one()) }
}

fn sign<R: Real>(x: R) -> R {
    if x > R::zero() {
        R::one()
    } else if x < R::zero() {
        -R::one()
    } else {
        keep_nan(x, R::zero())
    }
}

/// `f(x)`, element by element.
///
/// # Errors
/// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a constant that is not
/// finite (limits may be infinite) or limits that are crossed.
pub fn unary(f: Unary, x: &Tensor) -> Result<Tensor> {
    x.expect(f.name(), DType::F32)?;
    let [first, second] = f.constants();
    // A limit may be infinite: there is none on that side.
    let sound = |v: f32| v.is_finite() || matches!(f, Unary::Clamp { .. }) && !v.is_nan();
    if !sound(first) || !sound(second) {
        return Err(Error::argument(f.name(), format!("{f:?}: the constant is not finite")));
    }
    if matches!(f, Unary::Clamp { low, high } if low > high) {
        return Err(Error::argument("clamp", format!("{first} is above {second}")));
    }
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, items) = launch_items(x.device(), &UNARY, x.count());
    let launch = launch.constant("OP", f.code()).params(&UnaryParams { items, first, second });
    launch.bind("x", x).bind("y", &y).record()?;
    Ok(y)
}

fn unary_backward(f: Unary, saved: &Tensor, g: &Tensor) -> Result<Tensor> {
    let [first, second] = f.constants();
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    let (launch, items) = launch_items(g.device(), &UNARY_BACKWARD, g.count());
    let launch = launch.constant("OP", f.code()).params(&UnaryParams { items, first, second });
    launch.bind("saved", saved).bind("g", g).bind("gx", &gx).record()?;
    Ok(gx)
}

impl Var {
    /// `f(x)`, element by element.
    ///
    /// # Errors
    /// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a constant that is not
    /// finite (limits may be infinite) or limits that are crossed.
    pub fn unary(&self, f: Unary) -> Result<Var> {
        let y = unary(f, self.value())?;
        // A scaling needs no saved tensor: its gradient is the scaled gradient.
        if let Unary::Affine { scale, .. } = f {
            return self.tape().record_one(f.name(), &[self], y, move |bw| {
                if let Some(g) = bw.upstream(0) {
                    let gx = match scale {
                        1.0 => g.clone(),
                        _ => unary(Unary::Affine { scale, shift: 0.0 }, g)?,
                    };
                    bw.give(0, gx);
                }
                Ok(())
            });
        }
        // Nothing passes a sign, not even a NaN.
        if f == Unary::Sign {
            return self.tape().record_one(f.name(), &[self], y, move |bw| {
                if let Some(g) = bw.upstream(0) {
                    let gx = Tensor::zeros(g.device(), *g.shape(), DType::F32)?;
                    bw.give(0, gx);
                }
                Ok(())
            });
        }
        let saved = if f.saves_value() { y.clone() } else { self.value().clone() };
        self.tape().record_one(f.name(), &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = unary_backward(f, &saved, g)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}

/// Methods of [`Tensor`] and [`Var`] that are a [`Unary`] with some constants.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),*) = $f:expr;)*) => {
        impl Tensor {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Those of [`unary`].
                pub fn $name(&self, $($argument: f32),*) -> Result<Tensor> {
                    unary($f, self)
                }
            )*
        }

        impl Var {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Those of [`unary`](Var::unary).
                pub fn $name(&self, $($argument: f32),*) -> Result<Var> {
                    self.unary($f)
                }
            )*
        }
    };
}

methods! {
    /// `x + c`
    add_scalar(c) = Unary::Affine { scale: 1.0, shift: c };
    /// `x - c`
    sub_scalar(c) = Unary::Affine { scale: 1.0, shift: -c };
    /// `c x`
    mul_scalar(c) = Unary::Affine { scale: c, shift: 0.0 };
    /// `x / c`, as the product with the rounded `1 / c`
    div_scalar(c) = Unary::Affine { scale: c.recip(), shift: 0.0 };
    /// `min(x, c)`; the derivative is 1 where both are equal
    minimum_scalar(c) = Unary::Clamp { low: f32::NEG_INFINITY, high: c };
    /// `max(x, c)`; the derivative is 1 where both are equal
    maximum_scalar(c) = Unary::Clamp { low: c, high: f32::INFINITY };
    /// `-x`
    neg() = Unary::Affine { scale: -1.0, shift: 0.0 };
}
