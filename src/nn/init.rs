//! Initial values of parameters.

use crate::error::{Error, Result};
use crate::narrow::{finite, not_negative};
use crate::random::Generator;
use crate::{Device, Param, Tensor, elementwise};

const OP: &str = "init";

/// How a parameter starts. The same generator gives the same bits on every device: draws are scaled on
/// the host.
///
/// The fans of a weight are counted as the crate's layers keep them, outputs last: `[.., inputs,
/// outputs]` has `fan_in = .. * inputs` and `fan_out = .. * outputs`, where `..` are the taps of a
/// convolution.
///
/// ```
/// use spikegrad::nn::Init;
/// use spikegrad::{Device, random::Generator};
/// # fn main() -> spikegrad::Result<()> {
/// let mut random = Generator::new(&Device::host(), 0)?;
/// let weight = Init::Kaiming(2f32.sqrt()).param("layer.weight", &[64, 10], &mut random)?;
/// let square = Init::Orthogonal(1.0).tensor(&[8, 8], &mut random)?;
/// let length: f32 = square.to_vec::<f32>()?[..8].iter().map(|w| w * w).sum();
/// assert!((length - 1.0).abs() < 1e-5);
/// # let _ = weight;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// This value everywhere; nothing is drawn.
    Constant(f32),
    /// Uniform in `± bound`.
    Uniform(f32),
    /// Normal with mean 0 and this standard deviation.
    Normal(f32),
    /// Normal with the standard deviation `gain / sqrt(fan_in)`: with gain `sqrt(2)` a rectified layer
    /// keeps the size of its input (He et al. 2015).
    Kaiming(f32),
    /// Uniform in `± gain sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio 2010).
    Xavier(f32),
    /// Orthonormal columns, or rows where there are fewer of them, times the gain (Saxe et al. 2014).
    /// All axes but the last count as rows.
    Orthogonal(f32),
}

impl Init {
    /// A tensor of this shape.
    ///
    /// # Errors
    /// [`Error::Argument`] for an extent of zero, a scale that is negative or not finite, a constant that
    /// is not finite, and fans or an orthogonal matrix of a shape with less than two axes; those of
    /// [`Tensor::empty`].
    pub fn tensor(self, shape: &[usize], random: &mut Generator) -> Result<Tensor> {
        if shape.contains(&0) {
            return Err(Error::argument(OP, format!("{self:?} of the shape {shape:?}")));
        }
        match self {
            Init::Constant(value) => {
                elementwise::full(random.device(), shape, finite(OP, "constant", value)?)
            }
            Init::Uniform(bound) => uniform(not_negative(OP, "bound", bound)?, shape, random),
            Init::Normal(std) => {
                normal(not_negative(OP, "standard deviation", std)?, shape, random)
            }
            Init::Kaiming(gain) => {
                let gain = not_negative(OP, "gain", gain)?;
                let [fan_in, _] = self.fans(shape)?;
                normal(gain / fan_in.sqrt(), shape, random)
            }
            Init::Xavier(gain) => {
                let gain = not_negative(OP, "gain", gain)?;
                let [fan_in, fan_out] = self.fans(shape)?;
                uniform(gain * (6.0 / (fan_in + fan_out)).sqrt(), shape, random)
            }
            Init::Orthogonal(gain) => {
                let gain = not_negative(OP, "gain", gain)?;
                self.fans(shape)?;
                orthogonal(gain, shape, random)
            }
        }
    }

    /// A parameter of this name and shape.
    ///
    /// # Errors
    /// Those of [`tensor`](Self::tensor).
    pub fn param(
        self,
        name: impl Into<String>,
        shape: &[usize],
        random: &mut Generator,
    ) -> Result<Param> {
        let name = name.into();
        let value = self.tensor(shape, random).map_err(|e| match e {
            Error::Argument { op, detail } => Error::argument(op, format!("`{name}`: {detail}")),
            other => other,
        })?;
        Ok(Param::new(name, value))
    }

    /// Inputs of an output, and outputs of an input.
    fn fans(self, shape: &[usize]) -> Result<[f32; 2]> {
        let [taps @ .., inputs, outputs] = shape else {
            let detail = format!("{self:?} of the shape {shape:?}, expected two axes or more");
            return Err(Error::argument(OP, detail));
        };
        let taps: f32 = taps.iter().map(|extent| *extent as f32).product();
        Ok([taps * *inputs as f32, taps * *outputs as f32])
    }
}

/// A parameter of one value, of which nothing is drawn.
pub(crate) fn filled(
    name: impl Into<String>,
    shape: &[usize],
    value: f32,
    device: &Device,
) -> Result<Param> {
    Ok(Param::new(name, elementwise::full(device, shape, value)?))
}

fn uniform(bound: f32, shape: &[usize], random: &mut Generator) -> Result<Tensor> {
    let unit = random.uniform(shape)?.to_vec::<f32>()?;
    let values: Vec<f32> = unit.iter().map(|u| (2.0 * u - 1.0) * bound).collect();
    Tensor::from_slice(random.device(), &values, shape)
}

fn normal(std: f32, shape: &[usize], random: &mut Generator) -> Result<Tensor> {
    let values: Vec<f32> = random.normal(shape)?.to_vec::<f32>()?.iter().map(|v| v * std).collect();
    Tensor::from_slice(random.device(), &values, shape)
}

fn orthogonal(gain: f32, shape: &[usize], random: &mut Generator) -> Result<Tensor> {
    let draws = random.normal(shape)?.to_vec::<f64>()?;
    let width = shape.last().copied().unwrap_or(1);
    let rows = draws.len() / width;
    // The vectors to be made orthonormal: the fewer of columns and rows.
    let (count, length) = (rows.min(width), rows.max(width));
    let place = |k: usize, i: usize| if width <= rows { i * width + k } else { k * width + i };
    let mut vectors: Vec<Vec<f64>> =
        (0..count).map(|k| (0..length).map(|i| draws[place(k, i)]).collect()).collect();
    orthonormalise(&mut vectors)?;
    let mut values = vec![0.0; draws.len()];
    for (k, vector) in vectors.iter().enumerate() {
        vector.iter().enumerate().for_each(|(i, v)| values[place(k, i)] = v * f64::from(gain));
    }
    Tensor::from_slice(random.device(), &values, shape)
}

/// Gram and Schmidt's method, each vector twice: rounding of the first time is gone after the second.
fn orthonormalise(vectors: &mut [Vec<f64>]) -> Result<()> {
    for k in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(k);
        let vector = &mut rest[0];
        for other in done.iter().chain(done.iter()) {
            let along = dot(other, vector);
            vector.iter_mut().zip(other).for_each(|(v, o)| *v -= along * o);
        }
        let length = dot(vector, vector).sqrt();
        if length < 1e-12 {
            return Err(Error::argument(OP, "the draws are linearly dependent: draw again"));
        }
        vector.iter_mut().for_each(|v| *v /= length);
    }
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::Init;
    use crate::random::Generator;
    use crate::{Device, Error};

    fn draw(init: Init, shape: &[usize]) -> Vec<f64> {
        let mut random = Generator::new(&Device::host(), 3).unwrap();
        init.tensor(shape, &mut random).unwrap().to_vec().unwrap()
    }

    #[test]
    fn draws_have_their_bounds_and_deviations() {
        let deviation = |v: &[f64]| (v.iter().map(|v| v * v).sum::<f64>() / v.len() as f64).sqrt();
        assert_eq!(draw(Init::Constant(0.5), &[3]), [0.5; 3]);
        assert!(draw(Init::Uniform(0.25), &[50, 50]).iter().all(|v| v.abs() <= 0.25));
        let normal = draw(Init::Normal(0.02), &[50, 50]);
        approx::assert_relative_eq!(deviation(&normal), 0.02, max_relative = 0.05);
        // three taps of 16 inputs
        let kaiming = draw(Init::Kaiming(2.0), &[3, 16, 100]);
        approx::assert_relative_eq!(deviation(&kaiming), 2.0 / 48f64.sqrt(), max_relative = 0.05);
        let bound = (6.0f64 / 160.0).sqrt();
        let xavier = draw(Init::Xavier(1.0), &[60, 100]);
        assert!(xavier.iter().all(|v| v.abs() <= bound + 1e-7));
        approx::assert_relative_eq!(deviation(&xavier), bound / 3f64.sqrt(), max_relative = 0.05);
    }

    #[test]
    fn orthogonal_matrices_of_every_form() {
        for [rows, width] in [[12, 5], [5, 12], [7, 7], [1, 4], [4, 1]] {
            let w = draw(Init::Orthogonal(2.0), &[rows, width]);
            let at = |k: usize, i: usize| {
                if width <= rows { w[i * width + k] } else { w[k * width + i] }
            };
            for a in 0..rows.min(width) {
                for b in 0..rows.min(width) {
                    let sum: f64 = (0..rows.max(width)).map(|i| at(a, i) * at(b, i)).sum();
                    let wanted = if a == b { 4.0 } else { 0.0 };
                    approx::assert_abs_diff_eq!(sum, wanted, epsilon = 1e-5);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_refused_by_name() {
        let mut random = Generator::new(&Device::host(), 0).unwrap();
        let mut refused = |init: Init, shape: &[usize]| {
            let error = init.param("layer.weight", shape, &mut random).unwrap_err();
            assert!(matches!(error, Error::Argument { op: "init", .. }), "{error}");
            assert!(error.to_string().contains("`layer.weight`"), "{error}");
        };
        refused(Init::Normal(1.0), &[2, 0]);
        for scale in [-1.0, f32::NAN, f32::INFINITY] {
            for init in [Init::Uniform, Init::Normal, Init::Kaiming, Init::Xavier, Init::Orthogonal]
            {
                refused(init(scale), &[2, 3]);
            }
        }
        refused(Init::Constant(f32::NAN), &[2]);
        for init in [Init::Kaiming, Init::Xavier, Init::Orthogonal] {
            refused(init(1.0), &[4]);
        }
    }
}
