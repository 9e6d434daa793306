//! The affine layer, with its activation in the product's epilogue.

use super::activation_gradient::{from_output, through};
use super::matmul::check_bias;
use super::params::Extra;
use super::{Layout, Matmul, bits, matmul};
use crate::elementwise::Activation;
use crate::{DType, Error, Result, Tensor, Var};

const OP: &str = "linear";

/// `y = act(x w + bias)`: `x [.., K]`, `w [K, N]`, `bias [N]`, `y [.., N]`; one launch.
///
/// `x` is f32, or packed spikes `[T, .., K]`, which are read as they are: no float is written for a
/// spike.
///
/// Gradients, with `gz = gy act'(z)`: `gx = gz w^T`, `gw = x^T gz`, `gbias` the column sums of `gz`,
/// made by the launch that makes `gw`. Two launches, a third for an activation other than the
/// identity (and one more where a GPU splits the depth of `gw`). What is saved for `act'` is the
/// output, except for GELU, SiLU and the squared rectifier, whose derivative is no function of their
/// value, or no stable one: there the launch also writes `z`.
///
/// # Errors
/// [`Error::Shape`] for a `w` that is no matrix, or whose rows are not the last extent of `x`, or a
/// bias that is not `[N]`; [`Error::DType`] for types other than these; [`Error::DeviceMismatch`];
/// [`Error::TapeMismatch`].
pub fn linear(x: &Var, w: &Var, bias: Option<&Var>, activation: Activation) -> Result<Var> {
    let n = check(x.value(), w.value(), bias.map(Var::value))?;
    let inputs: Vec<&Var> = [x, w].into_iter().chain(bias).collect();
    let recorded = x.tape().is_on() && inputs.iter().any(|v| v.has_gradient());
    let extra =
        if recorded && !from_output(activation) { Extra::PreActivation } else { Extra::None };
    let (y, z) = forward(x.value(), w.value(), bias.map(Var::value), activation, extra, n)?;
    let saved = match (z, activation) {
        (Some(z), _) => Some(z),
        (None, Activation::Identity) => None,
        (None, _) => recorded.then(|| y.clone()),
    };
    let (x_value, w_value) = (x.value().clone(), w.value().clone());
    let has_bias = bias.is_some();
    x.tape().record_one(OP, &inputs, y, move |bw| {
        let Some(gy) = bw.upstream(0).cloned() else { return Ok(()) };
        let gz = match &saved {
            Some(saved) => through(activation, &gy, saved)?,
            None => gy,
        };
        if bw.needs(0) {
            bw.give(0, gradient_to_input(&gz, &w_value)?);
        }
        let bias_wanted = has_bias && bw.needs(2);
        if bw.needs(1) || bias_wanted {
            let extra = if bias_wanted { Extra::ColumnSums } else { Extra::None };
            let (gw, sums) = gradient_to_weight(&x_value, &gz, extra)?;
            bw.give(1, gw);
            if let Some(sums) = sums {
                bw.give(2, sums);
            }
        }
        Ok(())
    })
}

/// Checks everything and returns the number of columns.
fn check(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<usize> {
    x.same_device(OP, w)?;
    w.expect(OP, DType::F32)?;
    if !matches!(x.dtype(), DType::F32 | DType::Bits) {
        let (expected, found) = ("f32 or bits".into(), x.dtype().to_string());
        return Err(Error::DType { op: OP, expected, found });
    }
    let least = if x.dtype() == DType::Bits { 2 } else { 1 };
    let &[k, n] = w.shape().dims() else {
        let detail = format!("weights {}, expected [inputs, outputs]", w.shape());
        return Err(Error::shape(OP, detail));
    };
    if x.shape().rank() < least || x.shape().last() != Some(&k) {
        let expected = if least == 2 { format!("[T, .., {k}]") } else { format!("[.., {k}]") };
        let (kind, x, w) = (x.dtype(), x.shape(), w.shape());
        let detail =
            format!("x {x} ({kind}) with weights {w} of {k} inputs, expected x {expected}");
        return Err(Error::shape(OP, detail));
    }
    if let Some(bias) = bias {
        check_bias(OP, bias, x, n)?;
    }
    Ok(n)
}

fn forward(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    extra: Extra,
    n: usize,
) -> Result<(Tensor, Option<Tensor>)> {
    if x.dtype() == DType::Bits {
        return bits::forward(x, w, bias, activation, extra);
    }
    let mut product = Matmul::new().activation(activation);
    if let Some(bias) = bias {
        product = product.bias(bias);
    }
    let (y, z) = product.run_with(&rows(x)?, w, extra)?;
    let shape = x.shape().with(x.shape().rank() - 1, n)?;
    Ok((y.reshape(shape)?, z.map(|z| z.reshape(shape)).transpose()?))
}

/// `gz w^T`
fn gradient_to_input(gz: &Tensor, w: &Tensor) -> Result<Tensor> {
    let k = w.shape().first().copied().unwrap_or(1);
    let gx = matmul(&rows(gz)?, w, Layout::NT)?;
    gx.reshape(gz.shape().with(gz.shape().rank() - 1, k)?)
}

/// `x^T gz`, and the column sums of `gz`
fn gradient_to_weight(x: &Tensor, gz: &Tensor, extra: Extra) -> Result<(Tensor, Option<Tensor>)> {
    if x.dtype() == DType::Bits {
        return bits::weight_gradient(x, gz, extra);
    }
    Matmul::new().layout(Layout::TN).run_with(&rows(x)?, &rows(gz)?, extra)
}

/// All axes but the last as one.
fn rows(t: &Tensor) -> Result<Tensor> {
    let (leading, last) = match t.shape().split_last() {
        Some((last, leading)) => (leading.iter().product(), *last),
        None => (1, 1),
    };
    t.reshape([leading, last])
}
