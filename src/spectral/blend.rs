//! Weighted sums of work matrices.

use super::batch::TASK;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `y = p a + q b + r c`
    pub(super) static MATRIX_BLEND = "spectral/matrix_blend";
    params = struct MatrixBlendParams {
        items: u32,
        p: f32,
        q: f32,
        r: f32,
    };
    oracle = matrix_blend_oracle;
}

/// `p a + q b + r c` for tensors of one shape whose elements are a multiple of 4; `r = 0` without `c`.
pub(super) fn blend(
    [p, q, r]: [f32; 3],
    a: &Tensor,
    b: &Tensor,
    c: Option<&Tensor>,
) -> Result<Tensor> {
    let y = Tensor::empty(a.device(), *a.shape(), DType::F32)?;
    let items = a.count() / 4;
    let r = if c.is_some() { r } else { 0.0 };
    let params = MatrixBlendParams { items: items as u32, p, q, r };
    let launch =
        a.device().launch(&MATRIX_BLEND).params(&params).bind("a", a).bind("b", b).bind_if("c", c);
    launch.bind("y", &y).items(items).record()?;
    Ok(y)
}

/// `p a + q b + r c`.
fn matrix_blend_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let params: MatrixBlendParams = args.params();
    let [p, q, r] = [params.p, params.q, params.r].map(|f| R::lit(f64::from(f)));
    let (a, b, c) = (args.reals("a"), args.reals("b"), args.reals("c"));
    let y = &mut args.reals_mut("y")[..4 * params.items as usize];
    y.par_chunks_mut(TASK).enumerate().for_each(|(task, y)| {
        let at = task * TASK..task * TASK + y.len();
        let pairs = y.iter_mut().zip(&a[at.clone()]).zip(&b[at.clone()]);
        if r == R::zero() {
            pairs.for_each(|((y, a), b)| *y = p * *a + q * *b);
        } else {
            pairs.zip(&c[at]).for_each(|(((y, a), b), c)| *y = p * *a + q * *b + r * *c);
        }
    });
}
