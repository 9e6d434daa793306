//! Complex linear layers: products with the real matrix of a complex one.

use super::complex::numbers;
use crate::elementwise::Activation;
use crate::host::{HostArgs, Real};
use crate::kernel::Cost;
use crate::linalg::linear;
use crate::{DType, Error, Result, Tensor, Var, kernel};

fn complex_weight<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ComplexLinearParams = args.params();
    let columns = p.columns as usize;
    let (re, im) = args.reals("w").split_at(p.rows as usize * columns);
    let m = args.reals_mut("m");
    if columns == 0 {
        return;
    }
    let rows = re.chunks_exact(columns).zip(im.chunks_exact(columns));
    for (pair, (re, im)) in m.chunks_exact_mut(4 * columns).zip(rows) {
        let (upper, lower) = pair.split_at_mut(2 * columns);
        let places = upper.chunks_exact_mut(2).zip(lower.chunks_exact_mut(2));
        for ((upper, lower), (re, im)) in places.zip(re.iter().zip(im)) {
            upper.copy_from_slice(&[*re, *im]);
            lower.copy_from_slice(&[-*im, *re]);
        }
    }
}

fn complex_weight_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ComplexLinearParams = args.params();
    let columns = p.columns as usize;
    let g = args.reals("g");
    let (re, im) = args.reals_mut("gw").split_at_mut(p.rows as usize * columns);
    if columns == 0 {
        return;
    }
    let rows = re.chunks_exact_mut(columns).zip(im.chunks_exact_mut(columns));
    for (pair, (re, im)) in g.chunks_exact(4 * columns).zip(rows) {
        let (upper, lower) = pair.split_at(2 * columns);
        let blocks = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for ((upper, lower), (re, im)) in blocks.zip(re.iter_mut().zip(im)) {
            *re = upper[0] + lower[1];
            *im = upper[1] - lower[0];
        }
    }
}

kernel! {
    /// The blocks `(wr wi; -wi wr)` of a complex matrix.
    pub(super) static COMPLEX_WEIGHT = "fourier/complex_weight";
    params = ComplexLinearParams;
    oracle = complex_weight;
}

kernel! {
    /// Its gradient.
    pub(super) static COMPLEX_WEIGHT_BACKWARD = "fourier/complex_weight_backward";
    params = ComplexLinearParams;
    oracle = complex_weight_backward;
    cost = |args| Cost { bytes: args.all_bytes(), flops: args.words_of("g") as f64 / 2.0 };
}

crate::params! {
    pub(super) struct ComplexLinearParams {
        rows: u32,
        columns: u32,
    }
}

const OP: &str = "complex_linear";

/// `y = act(x w + b)` over the complex numbers: `x [.., K, 2]`, `w [2, K, N]` and `bias [2, N]` with
/// the real parts first, `y [.., N, 2]`. The activation acts on real and imaginary parts by
/// themselves.
///
/// `yr = xr wr - xi wi + br`, `yi = xi wr + xr wi + bi`: one real product `[.., 2 K] x [2 K, 2 N]`
/// with the matrix of blocks `(wr wi; -wi wr)`, which takes no more multiplications. Gradients:
/// `gx = g w^H`, `gw = x^H g`, `gb` the column sums.
///
/// # Errors
/// [`Error::Shape`] where these shapes are not met; [`Error::DType`] for other elements than f32;
/// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
pub fn complex_linear(x: &Var, w: &Var, bias: Option<&Var>, activation: Activation) -> Result<Var> {
    let (k, n) = check(x.value(), w.value(), bias.map(Var::value))?;
    let mut dims = x.shape().dims().to_vec();
    dims.truncate(dims.len() - 2);
    let flat = x.reshape([dims.as_slice(), &[2 * k]].concat())?;
    let bias = match bias {
        Some(b) => Some(b.transpose()?.reshape([2 * n])?),
        None => None,
    };
    let y = linear(&flat, &spread(w, k, n)?, bias.as_ref(), activation)?;
    y.reshape([dims.as_slice(), &[n, 2]].concat())
}

/// Checks everything and returns the extents of the matrix.
pub(super) fn check(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<(usize, usize)> {
    let numbers = numbers(OP, x)?;
    w.expect(OP, DType::F32)?;
    let &[2, k, n] = w.shape().dims() else {
        return Err(Error::shape(
            OP,
            format!("weights {}, expected [2, inputs, outputs]", w.shape()),
        ));
    };
    if numbers.last() != Some(&k) {
        let (x, w) = (x.shape(), w.shape());
        let detail = format!("x {x} with weights {w}, expected x [.., {k}, 2]");
        return Err(Error::shape(OP, detail));
    }
    match bias {
        Some(b) if *b.shape() != [2, n] => {
            let detail = format!("bias {}, expected [2, {n}]", b.shape());
            Err(Error::shape(OP, detail))
        }
        _ => Ok((k, n)),
    }
}

/// The real matrix `[2 K, 2 N]` of a complex one.
fn spread(w: &Var, k: usize, n: usize) -> Result<Var> {
    let m = blocks(w.value(), k, n)?;
    w.tape().record_one(OP, &[w], m, move |bw| {
        if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
            let gw = gathered(g, k, n)?;
            bw.give(0, gw);
        }
        Ok(())
    })
}

/// The real matrix `[2 K, 2 N]` of `[2, K, N]`.
pub(super) fn blocks(w: &Tensor, k: usize, n: usize) -> Result<Tensor> {
    let m = Tensor::empty(w.device(), [2 * k, 2 * n], DType::F32)?;
    let params = ComplexLinearParams { rows: k as u32, columns: n as u32 };
    let launch = w.device().launch(&COMPLEX_WEIGHT).params(&params);
    launch.bind("w", w).bind("m", &m).items(k * n).record()?;
    Ok(m)
}

/// The gradient of `[2, K, N]` from that of its real matrix.
pub(super) fn gathered(g: &Tensor, k: usize, n: usize) -> Result<Tensor> {
    let gw = Tensor::empty(g.device(), [2, k, n], DType::F32)?;
    let params = ComplexLinearParams { rows: k as u32, columns: n as u32 };
    let launch = g.device().launch(&COMPLEX_WEIGHT_BACKWARD).params(&params);
    launch.bind("g", g).bind("gw", &gw).items(k * n).record()?;
    Ok(gw)
}
