//! Functions of one number, and arithmetic with a constant.

use super::cells::one_operation_each;
use super::{CELLS, launch_cells};
use crate::host::{HostArgs, Real, each, keep_nan, limited};
use crate::{DType, Error, Result, Tensor, Var};

crate::params! {
    pub(super) struct UnaryParams {
        cells: u32,
        first: f32,
        second: f32,
    }
}

crate::kernel! {
    /// `y[i] = f(x[i])`
    pub(super) static UNARY = "elementwise/unary";
    params = UnaryParams;
    oracle = unary_oracle;
    variants = CELLS;
    cost = |args| one_operation_each(args, "y");
}

crate::kernel! {
    /// `gx[i] = g[i] f'(x[i])`
    pub(super) static UNARY_BACKWARD = "elementwise/unary_backward";
    params = UnaryParams;
    oracle = unary_backward_oracle;
    variants = CELLS;
    cost = |args| one_operation_each(args, "gx");
}

fn unary_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnaryParams = args.params();
    let f = Unary::from_code(args.constant("OP"), p.first, p.second);
    let x = args.reals("x");
    each(args.reals_mut("y"), |i| f.apply(x[i]));
}

fn unary_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnaryParams = args.params();
    let f = Unary::from_code(args.constant("OP"), p.first, p.second);
    let (saved, g) = (args.reals("saved"), args.reals("g"));
    each(args.reals_mut("gx"), |i| g[i] * f.derivative(saved[i]));
}

/// A function of one number. NaN of NaN, and so is the derivative.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `scale x + shift`
    Affine {
        /// The factor.
        scale: f32,
        /// The summand.
        shift: f32,
    },
    /// `e^x`; below -87 it is 0 on GPUs
    Exp,
    /// `ln x`: -infinity of 0, NaN below
    Ln,
    /// `sqrt x`, NaN below 0; derivative 0 at 0
    Sqrt,
    /// `x^2`
    Square,
    /// `|x|`, derivative 0 at 0
    Abs,
    /// `1 / x`
    Recip,
    /// -1, 0 or 1; derivative 0
    Sign,
    /// `x` limited to `low ..= high`, which may be infinite; derivative 1 within and at the ends
    Clamp {
        /// The least value.
        low: f32,
        /// The greatest value.
        high: f32,
    },
    /// `x^exponent`: of `x < 0` for whole exponents only, else NaN. `x^0` is 1
    Power(f32),
    /// `arctan x`
    Atan,
}

impl Unary {
    /// Its number in `shared/unary.wgsl`.
    pub(super) fn code(self) -> u32 {
        match self {
            Unary::Affine { .. } => 0,
            Unary::Exp => 1,
            Unary::Ln => 2,
            Unary::Sqrt => 3,
            Unary::Square => 4,
            Unary::Abs => 5,
            Unary::Recip => 6,
            Unary::Sign => 7,
            Unary::Clamp { .. } => 8,
            Unary::Power(_) => 9,
            Unary::Atan => 10,
        }
    }

    /// What errors call it: the method that makes it.
    fn name(self) -> &'static str {
        match self {
            Unary::Affine { .. } => "affine",
            Unary::Exp => "exp",
            Unary::Ln => "ln",
            Unary::Sqrt => "sqrt",
            Unary::Square => "square",
            Unary::Abs => "abs",
            Unary::Recip => "recip",
            Unary::Sign => "sign",
            Unary::Clamp { .. } => "clamp",
            Unary::Power(_) => "power",
            Unary::Atan => "atan",
        }
    }

    /// The function of a number and its two constants.
    pub(super) fn from_code(code: u32, first: f32, second: f32) -> Self {
        match code {
            1 => Unary::Exp,
            2 => Unary::Ln,
            3 => Unary::Sqrt,
            4 => Unary::Square,
            5 => Unary::Abs,
            6 => Unary::Recip,
            7 => Unary::Sign,
            8 => Unary::Clamp { low: first, high: second },
            9 => Unary::Power(first),
            10 => Unary::Atan,
            _ => Unary::Affine { scale: first, shift: second },
        }
    }

    fn constants(self) -> (f32, f32) {
        match self {
            Unary::Affine { scale, shift } => (scale, shift),
            Unary::Clamp { low, high } => (low, high),
            Unary::Power(exponent) => (exponent, 0.0),
            _ => (0.0, 0.0),
        }
    }

    /// Whether the derivative is cheaper from the output than from the input.
    fn saves_output(self) -> bool {
        matches!(self, Unary::Exp | Unary::Sqrt | Unary::Recip)
    }

    /// Its value at `x`.
    pub(super) fn apply<R: Real>(self, x: R) -> R {
        let real = |v: f32| R::lit(v.into());
        match self {
            Unary::Affine { scale, shift } => real(scale) * x + real(shift),
            Unary::Exp => x.exp(),
            Unary::Ln => x.ln(),
            Unary::Sqrt => x.sqrt(),
            Unary::Square => x * x,
            Unary::Abs => x.abs(),
            Unary::Recip => x.recip(),
            Unary::Sign => sign(x),
            Unary::Clamp { low, high } => limited(x, real(low), real(high)),
            Unary::Power(exponent) => x.powf(real(exponent)),
            Unary::Atan => x.atan(),
        }
    }

    /// Its derivative, from the output where [`saves_output`](Self::saves_output), else the input.
    pub(super) fn derivative<R: Real>(self, saved: R) -> R {
        let real = |v: f32| R::lit(v.into());
        let when =
            |condition: bool, value: R| keep_nan(saved, if condition { value } else { R::zero() });
        match self {
            Unary::Affine { scale, .. } => real(scale),
            Unary::Exp => saved,
            Unary::Ln => saved.recip(),
            Unary::Sqrt => when(saved > R::zero(), R::lit(0.5) / saved),
            Unary::Square => saved + saved,
            Unary::Abs => sign(saved),
            Unary::Recip => -saved * saved,
            Unary::Sign => R::zero(),
            Unary::Clamp { low, high } => when(saved >= real(low) && saved <= real(high), R::one()),
            // Nothing for the constant x^0, never 0 times an infinity.
            Unary::Power(0.0) => R::zero(),
            Unary::Power(e) => real(e) * saved.powf(real(e) - R::one()),
            Unary::Atan => (R::one() + saved * saved).recip(),
        }
    }
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
    let (first, second) = f.constants();
    // A limit may be infinite: there is none on that side.
    let sound = |v: f32| v.is_finite() || matches!(f, Unary::Clamp { .. }) && !v.is_nan();
    if !sound(first) || !sound(second) {
        return Err(Error::argument(f.name(), format!("{f:?}: the constant is not finite")));
    }
    if matches!(f, Unary::Clamp { low, high } if low > high) {
        return Err(Error::argument("clamp", format!("{first} is above {second}")));
    }
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let (launch, cells) = launch_cells(x.device(), &UNARY, x.count());
    let launch = launch.constant("OP", f.code()).params(&UnaryParams { cells, first, second });
    launch.bind("x", x).bind("y", &y).record()?;
    Ok(y)
}

fn unary_backward(f: Unary, saved: &Tensor, g: &Tensor) -> Result<Tensor> {
    let (first, second) = f.constants();
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    let (launch, cells) = launch_cells(g.device(), &UNARY_BACKWARD, g.count());
    let launch = launch.constant("OP", f.code()).params(&UnaryParams { cells, first, second });
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
        let saved = if f.saves_output() { y.clone() } else { self.value().clone() };
        self.tape().record_one(f.name(), &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = unary_backward(f, &saved, g)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}

/// Methods of [`Var`] that are one [`Unary`] each.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($($argument:ident),*) = $f:expr;)*) => {
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
    /// `scale x + shift`
    affine(scale, shift) = Unary::Affine { scale, shift };
    /// `min(x, c)`; the derivative is 1 where both are equal
    minimum_scalar(c) = Unary::Clamp { low: f32::NEG_INFINITY, high: c };
    /// `max(x, c)`; the derivative is 1 where both are equal
    maximum_scalar(c) = Unary::Clamp { low: c, high: f32::INFINITY };
    /// `x` limited to `low ..= high`; the derivative is 1 within and at the ends, else 0
    clamp(low, high) = Unary::Clamp { low, high };
    /// `x^exponent`: of `x < 0` for whole exponents only, else NaN. `x^0` is 1
    power(exponent) = Unary::Power(exponent);
    /// `-x`
    neg() = Unary::Affine { scale: -1.0, shift: 0.0 };
    /// `e^x`; below -87 it is 0 on GPUs
    exp() = Unary::Exp;
    /// `ln x`: -infinity of 0, NaN below
    ln() = Unary::Ln;
    /// `sqrt x`, NaN below 0; the derivative at 0 is taken as 0
    sqrt() = Unary::Sqrt;
    /// `x^2`
    square() = Unary::Square;
    /// `|x|`, derivative 0 at 0
    abs() = Unary::Abs;
    /// `1 / x`
    recip() = Unary::Recip;
    /// -1, 0 or 1; no gradient passes
    sign() = Unary::Sign;
}
