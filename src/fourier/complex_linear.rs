//! Complex linear layers: products with the real matrix of a complex one.

use super::complex::numbers;
use super::twin;
use crate::elementwise::Activation;
use crate::kernel::{Cost, Kernel, shader};
use crate::linalg::linear;
use crate::{DType, Error, Result, Tensor, Var};

/// The blocks `(wr wi; -wi wr)` of a complex matrix.
pub(super) static COMPLEX_WEIGHT: Kernel = Kernel::new(
    "fourier",
    "complex_weight",
    shader!("fourier/complex_weight"),
    crate::twin!(twin::weight::spread),
)
.params::<Params>();

/// Its gradient.
pub(super) static COMPLEX_WEIGHT_BACKWARD: Kernel = Kernel::new(
    "fourier",
    "complex_weight_backward",
    shader!("fourier/complex_weight_backward"),
    crate::twin!(twin::weight::gather),
)
.params::<Params>()
.cost(|args| Cost { bytes: args.all_bytes(), flops: args.words[0] as f64 / 2.0 });

crate::params! {
    pub(super) struct Params {
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
    run(&COMPLEX_WEIGHT, w, &m, [k, n])?;
    Ok(m)
}

/// The gradient of `[2, K, N]` from that of its real matrix.
pub(super) fn gathered(g: &Tensor, k: usize, n: usize) -> Result<Tensor> {
    let gw = Tensor::empty(g.device(), [2, k, n], DType::F32)?;
    run(&COMPLEX_WEIGHT_BACKWARD, g, &gw, [k, n])?;
    Ok(gw)
}

fn run(kernel: &'static Kernel, x: &Tensor, y: &Tensor, [k, n]: [usize; 2]) -> Result<()> {
    let params = Params { rows: k as u32, columns: n as u32 };
    let launch = x.device().launch(kernel).params(&params);
    launch.bind_next(x).bind_next(y).items_of(k * n, 64).record()
}
