//! Checking gradients: against finite differences, and by the adjoint identity.

use super::{Tape, Var, var::backward_from_many};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The outcome of a gradient check.
#[derive(Debug, Clone, PartialEq)]
pub struct GradCheck {
    /// The largest difference, relative to the largest derivative of the same input (at least 1e-3
    /// of the largest of all).
    pub error: f64,
    /// Where it is: (input, element).
    pub place: (usize, usize),
    /// The derivative that the tape gave there.
    pub analytic: f64,
    /// The central difference there.
    pub numeric: f64,
}

/// Compares the gradients of `function` with central differences in f64, on
/// [`Device::oracle`](crate::Device::oracle).
///
/// `function` gets one leaf an input and may return several outputs; each is multiplied by fixed
/// pseudo-random coefficients before it is summed, so that an upstream gradient that is dropped, or
/// taken as one, fails. `step` is the difference, 1e-5 for smooth functions of order one.
///
/// ```
/// use spikegrad::tape::gradient_check;
/// # fn main() -> spikegrad::Result<()> {
/// let x = (vec![0.3, -0.7, 1.1], [3].as_slice());
/// let outcome = gradient_check(&[x], 1e-5, |v| Ok(vec![v[0].mul(&v[0])?]))?;
/// assert!(outcome.error < 1e-7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of `function`.
pub fn gradient_check(
    inputs: &[(Vec<f64>, &[usize])],
    step: f64,
    function: impl Fn(&[Var]) -> Result<Vec<Var>>,
) -> Result<GradCheck> {
    let device = Device::oracle();
    let mut values: Vec<Vec<f64>> = inputs.iter().map(|(v, _)| v.clone()).collect();
    let shapes: Vec<&[usize]> = inputs.iter().map(|(_, s)| *s).collect();
    let tape = Tape::new();
    let leaves = leaves(&device, &tape, &values, &shapes)?;
    let outputs = function(&leaves)?;
    let seeds: Vec<Tensor> = outputs
        .iter()
        .enumerate()
        .map(|(i, o)| Tensor::from_slice(&device, &coefficients(o.shape(), i), *o.shape()))
        .collect::<Result<_>>()?;
    let pairs: Vec<(&Var, &Tensor)> = outputs.iter().zip(&seeds).collect();
    let gradients = backward_from_many(&pairs)?;
    let mut analytic = Vec::new();
    for (leaf, value) in leaves.iter().zip(&values) {
        analytic.push(match gradients.get(leaf) {
            Some(g) if g.shape() == leaf.shape() => g.to_vec::<f64>()?,
            Some(g) => {
                let detail = format!("gradient {} of an input {}", g.shape(), leaf.shape());
                return Err(Error::shape("gradient_check", detail));
            }
            None => vec![0.0; value.len()],
        });
    }
    let mut numeric = Vec::new();
    for i in 0..values.len() {
        let mut column = Vec::new();
        for j in 0..values[i].len() {
            let at = values[i][j];
            let mut ends = [0.0; 2];
            for (end, sign) in ends.iter_mut().zip([1.0, -1.0]) {
                values[i][j] = at + sign * step;
                *end = weighted_sum(&device, &values, &shapes, &function)?;
            }
            values[i][j] = at;
            column.push((ends[0] - ends[1]) / (2.0 * step));
        }
        numeric.push(column);
    }
    Ok(worst(&analytic, &numeric))
}

fn leaves(
    device: &Device,
    tape: &Tape,
    values: &[Vec<f64>],
    shapes: &[&[usize]],
) -> Result<Vec<Var>> {
    let leaf = |(v, s): (&Vec<f64>, &&[usize])| Ok(tape.leaf(&Tensor::from_slice(device, v, *s)?));
    values.iter().zip(shapes).map(leaf).collect()
}

fn weighted_sum(
    device: &Device,
    values: &[Vec<f64>],
    shapes: &[&[usize]],
    function: &impl Fn(&[Var]) -> Result<Vec<Var>>,
) -> Result<f64> {
    let outputs = function(&leaves(device, &Tape::off(), values, shapes)?)?;
    let mut sum = 0.0;
    for (i, output) in outputs.iter().enumerate() {
        let values = output.value().to_vec::<f64>()?;
        sum += values.iter().zip(coefficients(output.shape(), i)).map(|(v, c)| v * c).sum::<f64>();
    }
    Ok(sum)
}

/// Fixed coefficients in [0.5, 1.5), different for every output and element.
fn coefficients(shape: &Shape, output: usize) -> Vec<f64> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64.wrapping_mul(output as u64 + 1);
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 24) as f64 + 0.5
    };
    (0..shape.count()).map(|_| next()).collect()
}

fn worst(analytic: &[Vec<f64>], numeric: &[Vec<f64>]) -> GradCheck {
    let largest = |c: &Vec<f64>| c.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    let all = numeric.iter().map(largest).fold(0.0, f64::max);
    let mut found = GradCheck { error: 0.0, place: (0, 0), analytic: 0.0, numeric: 0.0 };
    for (i, (a, n)) in analytic.iter().zip(numeric).enumerate() {
        let scale = largest(n).max(all * 1e-3).max(1e-12);
        for (j, (a, n)) in a.iter().zip(n).enumerate() {
            let error = (a - n).abs() / scale;
            if error > found.error || error.is_nan() {
                found = GradCheck { error, place: (i, j), analytic: *a, numeric: *n };
            }
        }
    }
    found
}

/// How far a linear operator and its backward are from being adjoint: the relative gap between
/// `<y, A x>` and `<A^T y, x>`, on any device.
///
/// # Errors
/// Those of `operator`; [`Error::Shape`] if `y` does not have the output's shape.
pub fn adjoint_gap(
    x: &Tensor,
    y: &Tensor,
    operator: impl FnOnce(&Var) -> Result<Var>,
) -> Result<f64> {
    let tape = Tape::new();
    let leaf = tape.leaf(x);
    let output = operator(&leaf)?;
    let dot = |a: &Tensor, b: &Tensor| -> Result<(f64, f64)> {
        let (a, b) = (a.to_vec::<f64>()?, b.to_vec::<f64>()?);
        let sum = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        Ok((sum, a.iter().zip(&b).map(|(a, b)| (a * b).abs()).sum()))
    };
    let (forward, size) = dot(y, output.value())?;
    let gradients = output.backward_from(y)?;
    let (backward, _) = match gradients.get(&leaf) {
        Some(gradient) => dot(gradient, x)?,
        None => (0.0, 0.0),
    };
    Ok((forward - backward).abs() / size.max(f64::MIN_POSITIVE))
}
