//! A weight compander.

use crate::elementwise::Unary;
use crate::error::{Error, Result};
use crate::narrow::positive;
use crate::{DType, Param, Tape, Tensor, Var};

/// A weight that is a bounded function of what is trained: `w = a atan(v / b)`, after the weight
/// compander of Goh et al. The raw weight v and the two scales are parameters; where |v| is large
/// against b, its gradient fades, and `|w| < a pi / 2` whatever v is.
///
/// ```
/// use spikegrad::elementwise::Activation;
/// use spikegrad::nn::{Compander, Module};
/// use spikegrad::{Device, Tape, Tensor, linalg};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let start = Tensor::from_slice(&device, &[0.5f32, -0.25, 0.0, 1.0], [2, 2])?;
/// let weight = Compander::new(&start, 1.0, 1.0)?;
/// assert_eq!(weight.params().len(), 3);
///
/// let tape = Tape::new();
/// let x = tape.constant(&Tensor::from_slice(&device, &[1.0f32, 2.0], [1, 2])?);
/// let y = linalg::linear(&x, &weight.weight(&tape)?, None, Activation::Identity)?;
/// assert!((y.value().to_vec::<f32>()?[0] - 0.5).abs() < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Compander {
    raw: Param,
    outer: Param,
    inner: Param,
}

impl Compander {
    /// A weight that starts as `start`, with scales that start as `a` and `b`. Its parameters are
    /// `raw`, `a` and `b`.
    ///
    /// # Errors
    /// [`Error::Argument`] for scales that are not positive and finite, or an element of `start`
    /// that is not within `a pi / 2`; [`Error::DType`] unless it is f32; device loss.
    pub fn new(start: &Tensor, a: f32, b: f32) -> Result<Self> {
        const OP: &str = "compander";
        start.expect(OP, DType::F32)?;
        for scale in [a, b] {
            positive(OP, "scale", scale)?;
        }
        let weights = start.to_vec::<f64>()?;
        let bound = f64::from(a) * std::f64::consts::FRAC_PI_2;
        if let Some(weight) = weights.iter().find(|w| w.is_nan() || w.abs() >= bound * (1.0 - 1e-6))
        {
            let detail = format!("a start at {weight}, which is not within {bound}");
            return Err(Error::argument(OP, detail));
        }
        // On the host, in f64: the tangent is steep.
        let raw = weights.iter().map(|w| f64::from(b) * (w / f64::from(a)).tan());
        let device = start.device();
        let raw = Tensor::from_slice(device, &raw.collect::<Vec<f64>>(), start.shape().dims())?;
        let scale = |name: &str, value: f32| {
            Ok::<_, Error>(Param::new(name, Tensor::from_slice(device, &[value], [1])?))
        };
        let raw = Param::new("raw", raw);
        Ok(Self { raw, outer: scale("a", a)?, inner: scale("b", b)? })
    }

    /// The weight, of the shape it started with.
    ///
    /// # Errors
    /// Those of [`Var::mul`].
    pub fn weight(&self, tape: &Tape) -> Result<Var> {
        let [raw, a, b] = [&self.raw, &self.outer, &self.inner].map(|param| tape.param(param));
        raw.div(&b)?.unary(Unary::Atan)?.mul(&a)
    }
}

crate::module!(Compander { raw, outer: "a", inner: "b" });
