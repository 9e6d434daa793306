//! Layer normalisation, and root-mean-square normalisation.

use super::backward::{input, parameters};
use super::forward::{Norm, forward};
use crate::narrow::positive;
use crate::{DType, Error, Result, Var};

impl Var {
    /// Layer normalisation over the last axis (Ba, Kiros and Hinton 2016): for each row of
    /// `x[.., N]`, `y = (x - mean) / sqrt(variance + eps) gain + bias` with the mean and the biased
    /// variance of the row, `gain` and `bias` `[N]`.
    ///
    /// The mean is counted from an element of the row and the variance taken around it, so that an
    /// offset that all elements share costs no accuracy. Backward is one launch for `x`, and two
    /// stages in a fixed order for `gain` and `bias`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar, or a gain or a bias that is not `[N]`; [`Error::DType`] unless
    /// all are f32; [`Error::Argument`] unless `eps` is positive and finite;
    /// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn layer_norm(&self, gain: &Var, bias: Option<&Var>, eps: f32) -> Result<Var> {
        record("layer_norm", self, None, gain, bias, (eps, false))
    }

    /// The layer normalisation of `x + residual`, two tensors of one shape, in one launch: the sum
    /// is read once and written once. Else like [`layer_norm`](Self::layer_norm); both summands get
    /// the same gradient.
    ///
    /// # Errors
    /// Those of [`layer_norm`](Self::layer_norm); [`Error::Shape`] where the shapes differ.
    pub fn add_layer_norm(
        &self,
        residual: &Var,
        gain: &Var,
        bias: Option<&Var>,
        eps: f32,
    ) -> Result<Var> {
        record("add_layer_norm", self, Some(residual), gain, bias, (eps, false))
    }

    /// Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019): for each row of
    /// `x[.., N]`, `y = x / sqrt(mean(x^2) + eps) gain`, `gain` `[N]`.
    ///
    /// # Errors
    /// Those of [`layer_norm`](Self::layer_norm).
    pub fn rms_norm(&self, gain: &Var, eps: f32) -> Result<Var> {
        record("rms_norm", self, None, gain, None, (eps, true))
    }
}

fn record(
    op: &'static str,
    x: &Var,
    residual: Option<&Var>,
    gain: &Var,
    bias: Option<&Var>,
    (eps, rms): (f32, bool),
) -> Result<Var> {
    let (rows, length) = check(op, x, residual, gain, bias, eps)?;
    let norm = Norm { rows, length, eps, rms };
    let saved =
        forward(norm, x.value(), residual.map(Var::value), gain.value(), bias.map(Var::value))?;
    let y = saved.y.clone();
    let inputs: Vec<&Var> = [x, gain].into_iter().chain(residual).chain(bias).collect();
    let of_residual = residual.map(|_| 2);
    let of_bias = bias.map(|_| inputs.len() - 1);
    let gain = gain.value().clone();
    x.tape().record_one(op, &inputs, y, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let wanted = |place: Option<usize>| place.filter(|i| bw.needs(*i));
        let (of_residual, of_bias) = (wanted(of_residual), wanted(of_bias));
        if bw.needs(1) || of_bias.is_some() {
            let (of_gain, sums) = parameters(norm, &saved, &g, of_bias.is_some())?;
            bw.give(1, of_gain);
            if let (Some(place), Some(sums)) = (of_bias, sums) {
                bw.give(place, sums);
            }
        }
        if bw.needs(0) || of_residual.is_some() {
            let gx = input(norm, &saved, &gain, &g)?;
            if let Some(place) = of_residual {
                bw.give(place, gx.clone());
            }
            bw.give(0, gx);
        }
        Ok(())
    })
}

/// Checks everything; returns the number of rows and their length.
fn check(
    op: &'static str,
    x: &Var,
    residual: Option<&Var>,
    gain: &Var,
    bias: Option<&Var>,
    eps: f32,
) -> Result<(usize, usize)> {
    let Some((&length, leading)) = x.shape().split_last() else {
        return Err(Error::shape(op, "a scalar has no last axis"));
    };
    let others = residual.map(|r| ("residual", r, *x.shape()));
    let row = crate::Shape::new(&[length])?;
    let vectors = [("gain", gain, row)].into_iter().chain(bias.map(|b| ("bias", b, row)));
    x.value().expect(op, DType::F32)?;
    for (name, other, shape) in vectors.chain(others) {
        other.value().expect(op, DType::F32)?;
        x.value().same_device(op, other.value())?;
        if *other.shape() != shape {
            let detail = format!("{name} {} for an input of {}", other.shape(), x.shape());
            return Err(Error::shape(op, detail));
        }
    }
    positive(op, "eps", eps)?;
    Ok((leading.iter().product(), length))
}
