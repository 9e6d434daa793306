//! Surrogate derivatives, as data: one table for the shader fragment and the CPU.

use crate::host::{Real, exp, keep_nan};
use std::f64::consts::FRAC_PI_2;

/// What takes the place of the derivative of the spike, which is zero or infinite, in backward.
///
/// With `u = membrane - threshold`; each is the derivative of a smooth step
/// ([`primitive`](Self::primitive)).
///
/// | surrogate | derivative | peak | mass |
/// |---|---|---|---|
/// | `Atan(a)` | `(a/2) / (1 + (pi/2 a u)^2)` | a/2 | 1 |
/// | `Sigmoid(k)` | `k sigmoid(ku) (1 - sigmoid(ku))` | k/4 | 1 |
/// | `FastSigmoid(k)` | `1 / (1 + k abs(u))^2` | 1 | 2/k |
/// | `Triangle(g)` | `max(0, g - abs(u)) / g^2` | 1/g | 1 |
/// | `Rectangle(w)` | `1/w` where `abs(u) <= w/2` | 1/w | 1 |
///
/// A large peak with a reset that passes gradient makes the temporal Jacobian exceed one.
/// Sources: `Atan` Fang et al. 2021; `FastSigmoid` Zenke and Ganguli 2018; `Triangle` Bellec et al.
/// 2018; `Rectangle` Wu et al. 2018.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Surrogate {
    /// `(a/2) / (1 + (pi/2 a u)^2)`
    Atan(f32),
    /// `k sigmoid(ku) (1 - sigmoid(ku))`
    Sigmoid(f32),
    /// `1 / (1 + k abs(u))^2`
    FastSigmoid(f32),
    /// `max(0, g - abs(u)) / g^2`
    Triangle(f32),
    /// `1/w` where `abs(u) <= w/2`
    Rectangle(f32),
}

pub(crate) const ATAN: u32 = 0;
pub(crate) const SIGMOID: u32 = 1;
pub(crate) const FAST_SIGMOID: u32 = 2;
pub(crate) const TRIANGLE: u32 = 3;
pub(crate) const RECTANGLE: u32 = 4;

impl Default for Surrogate {
    fn default() -> Self {
        Surrogate::Atan(2.0)
    }
}

impl Surrogate {
    /// Its number in `shared/surrogate.wgsl`.
    pub(crate) fn code(self) -> u32 {
        match self {
            Surrogate::Atan(_) => ATAN,
            Surrogate::Sigmoid(_) => SIGMOID,
            Surrogate::FastSigmoid(_) => FAST_SIGMOID,
            Surrogate::Triangle(_) => TRIANGLE,
            Surrogate::Rectangle(_) => RECTANGLE,
        }
    }

    /// Its parameter.
    pub fn parameter(self) -> f32 {
        match self {
            Surrogate::Atan(a)
            | Surrogate::Sigmoid(a)
            | Surrogate::FastSigmoid(a)
            | Surrogate::Triangle(a)
            | Surrogate::Rectangle(a) => a,
        }
    }

    /// Whether its parameter is positive, and f32 holds all that is computed from it.
    pub(crate) fn is_sound(self) -> bool {
        let a = self.parameter();
        let constants = match self {
            Surrogate::Atan(_) => [a / 2.0, std::f32::consts::FRAC_PI_2 * a],
            Surrogate::Triangle(_) => [a * a, (a * a).recip()],
            Surrogate::Rectangle(_) => [a / 2.0, a.recip()],
            Surrogate::Sigmoid(_) | Surrogate::FastSigmoid(_) => [a, a],
        };
        a > 0.0 && constants.iter().all(|v| v.is_normal())
    }

    /// The surrogate of a number and its parameter.
    pub(crate) fn from_code(code: u32, parameter: f32) -> Self {
        match code {
            SIGMOID => Surrogate::Sigmoid(parameter),
            FAST_SIGMOID => Surrogate::FastSigmoid(parameter),
            TRIANGLE => Surrogate::Triangle(parameter),
            RECTANGLE => Surrogate::Rectangle(parameter),
            _ => Surrogate::Atan(parameter),
        }
    }

    /// The derivative at `u = membrane - threshold`.
    pub fn derivative<R: Real>(self, u: R) -> R {
        let slope = Slope::new(self.parameter());
        match self {
            Surrogate::Atan(_) => slope.at::<ATAN>(u),
            Surrogate::Sigmoid(_) => slope.at::<SIGMOID>(u),
            Surrogate::FastSigmoid(_) => slope.at::<FAST_SIGMOID>(u),
            Surrogate::Triangle(_) => slope.at::<TRIANGLE>(u),
            Surrogate::Rectangle(_) => slope.at::<RECTANGLE>(u),
        }
    }

    /// The smooth step whose derivative it is. Put in the place of the spike, it makes backward
    /// exact, and so open to finite differences.
    pub fn primitive<R: Real>(self, u: R) -> R {
        let (a, one, half) = (R::lit(self.parameter().into()), R::one(), R::lit(0.5));
        match self {
            Surrogate::Atan(_) => (R::lit(FRAC_PI_2) * a * u).atan() / R::PI() + half,
            Surrogate::Sigmoid(_) => one / (one + (-a * u).exp()),
            Surrogate::FastSigmoid(_) => u / (one + a * u.abs()) + one / a,
            Surrogate::Triangle(_) => {
                let r = (u / a).max(-one).min(one);
                half + r - half * r * r.abs()
            }
            Surrogate::Rectangle(_) => (u / a + half).max(R::zero()).min(one),
        }
    }
}

/// A surrogate's constants, ready for a loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slope<R> {
    a: R,
    half: R,
    inverse: R,
    scale: R,
}

impl<R: Real> Slope<R> {
    pub(crate) fn new(parameter: f32) -> Self {
        let a = f64::from(parameter);
        let (half, inverse, scale) = (R::lit(a / 2.0), R::lit(1.0 / a), R::lit(FRAC_PI_2 * a));
        Self { a: R::lit(a), half, inverse, scale }
    }

    /// The derivative of surrogate number `CODE` at `u`.
    #[inline(always)]
    pub(crate) fn at<const CODE: u32>(&self, u: R) -> R {
        let one = R::one();
        match CODE {
            SIGMOID => {
                let e = exp(-self.a * u.abs());
                self.a * e / ((one + e) * (one + e))
            }
            FAST_SIGMOID => {
                let q = one + self.a * u.abs();
                one / (q * q)
            }
            TRIANGLE => {
                let height = self.a - u.abs();
                let height = if height < R::zero() { R::zero() } else { height };
                height * (self.inverse * self.inverse)
            }
            RECTANGLE => {
                if u.abs() <= self.half {
                    self.inverse
                } else {
                    keep_nan(u, R::zero())
                }
            }
            _ => {
                let k = self.scale * u;
                self.half / (one + k * k)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Surrogate;

    /// What is positive may have a slope beyond f32, or vanish in it.
    #[test]
    fn slopes_must_fit() {
        type Make = fn(f32) -> Surrogate;
        let all: [Make; 5] = [
            Surrogate::Atan,
            Surrogate::Sigmoid,
            Surrogate::FastSigmoid,
            Surrogate::Triangle,
            Surrogate::Rectangle,
        ];
        for make in all {
            for bad in [0.0, -1.0, 1e-40, f32::INFINITY, f32::NAN] {
                assert!(!make(bad).is_sound(), "{:?}", make(bad));
            }
            for good in [1e-15, 1.0, 1e15] {
                assert!(make(good).is_sound(), "{:?}", make(good));
                for u in [0.0, good, good.recip(), -1e30] {
                    assert!(make(good).derivative(u).is_finite(), "{:?} at {u}", make(good));
                }
            }
        }
        for extreme in [1e-30, 1e30] {
            assert!(!Surrogate::Triangle(extreme).is_sound());
            assert!(Surrogate::Atan(extreme).is_sound());
        }
    }

    #[test]
    fn derivatives_are_those_of_the_primitives() {
        let table = [
            Surrogate::Atan(2.0),
            Surrogate::Sigmoid(4.0),
            Surrogate::FastSigmoid(5.0),
            Surrogate::Triangle(0.7),
            Surrogate::Rectangle(0.9),
        ];
        for surrogate in table {
            assert_eq!(Surrogate::from_code(surrogate.code(), surrogate.parameter()), surrogate);
            for i in -50..50 {
                let (u, d) = (f64::from(i) * 0.0413 + 0.001, 1e-6);
                let slope = (surrogate.primitive(u + d) - surrogate.primitive(u - d)) / (2.0 * d);
                let found = surrogate.derivative(u);
                assert!((found - slope).abs() < 1e-6, "{surrogate:?} at {u}: {found} {slope}");
                let single = f64::from(surrogate.derivative(u as f32));
                assert!((single - found).abs() < 1e-5, "{surrogate:?} at {u} in f32: {single}");
            }
        }
    }
}
