//! The mix of two paths by a learned share.

use super::twin;
use crate::elementwise::{CELLS, launch_cells};
use crate::kernel::{Kernel, shader};
use crate::reduce::{Fold, LONGEST, Op, Pass, fold};
use crate::{DType, Error, Result, Tensor, Var};

/// `y = al a + (1 - al) b`
pub(super) static BLEND: Kernel =
    Kernel::new("token", "blend", shader!("token/blend"), crate::twin!(twin::blend))
        .params::<Params>()
        .variants(CELLS);

/// The gradients of both, and that of the share in parts.
pub(super) static BLEND_BACKWARD: Kernel = Kernel::new(
    "token",
    "blend_backward",
    shader!("token/blend_backward"),
    crate::twin!(twin::blend_backward),
)
.params::<BackwardParams>()
.variants(CELLS)
.turns(|args| {
    let p: BackwardParams = args.params();
    u64::from(if p.interleaved == 1 { p.cells.div_ceil(p.parts) } else { p.span }) + 2
});

crate::params! {
    pub(super) struct Params {
        cells: u32,
    }
}

crate::params! {
    pub(super) struct BackwardParams {
        cells: u32,
        parts: u32,
        span: u32,
        interleaved: u32,
    }
}

const OP: &str = "mix";

impl Var {
    /// The mix of two paths `a` (this) and `b` by one learned share: `y = al a + (1 - al) b` with
    /// `al = sigmoid(raw)`, `raw` a scalar or `[1]`. A raw share of 0 takes half of each.
    ///
    /// Gradients: `ga = al gy`, `gb = (1 - al) gy`, `graw = al (1 - al) sum gy (a - b)`: one launch
    /// that reads everything once, and the sum of its parts in a fixed order.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes differ or `raw` has another number of elements than one;
    /// [`Error::DType`] unless all are f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn mix(&self, other: &Var, raw: &Var) -> Result<Var> {
        check(self, other, raw)?;
        let values = [self, other, raw].map(|v| v.value().clone());
        let [a, b, share] = &values;
        let y = Tensor::empty(a.device(), *a.shape(), DType::F32)?;
        if y.count() > 0 {
            let (launch, cells) = launch_cells(a.device(), &BLEND, a.count());
            launch
                .params(&Params { cells })
                .bind_next(a)
                .bind_next(b)
                .bind_next(share)
                .bind_next(&y)
                .record()?;
        }
        self.tape().record_one(OP, &[self, other, raw], y, move |bw| {
            if let Some(g) = bw.upstream(0).cloned() {
                for (i, gradient) in gradients(&values, &g)?.into_iter().enumerate() {
                    bw.give(i, gradient);
                }
            }
            Ok(())
        })
    }
}

fn check(a: &Var, b: &Var, raw: &Var) -> Result<()> {
    for var in [a, b, raw] {
        var.value().expect(OP, DType::F32)?;
        a.value().same_device(OP, var.value())?;
    }
    if a.shape() != b.shape() {
        return Err(Error::shape(OP, format!("{} with {}", a.shape(), b.shape())));
    }
    if raw.value().count() != 1 {
        return Err(Error::shape(OP, format!("a share of shape {}, not one number", raw.shape())));
    }
    Ok(())
}

/// The gradients of both paths and of the raw share.
fn gradients([a, b, raw]: &[Tensor; 3], g: &Tensor) -> Result<[Tensor; 3]> {
    let device = g.device();
    if g.count() == 0 {
        return Ok([a.clone(), b.clone(), Tensor::zeros(device, *raw.shape(), DType::F32)?]);
    }
    let ga = Tensor::empty(device, *a.shape(), DType::F32)?;
    let gb = Tensor::empty(device, *b.shape(), DType::F32)?;
    let software = device.capabilities().software;
    let most = if software { 1 << 10 } else { 1 << 14 };
    let (launch, cells) = launch_cells(device, &BLEND_BACKWARD, g.count());
    let span = (cells as usize).div_ceil(most).min(LONGEST);
    let parts = (cells as usize).div_ceil(span);
    let part = Tensor::empty(device, [parts], DType::F32)?;
    let params = BackwardParams {
        cells,
        parts: parts as u32,
        span: span as u32,
        interleaved: u32::from(!software),
    };
    let launch = launch.params(&params).bind_next(a).bind_next(b).bind_next(raw).bind_next(g);
    launch.bind_next(&ga).bind_next(&gb).bind_next(&part).items_of(parts, 64).record()?;
    let pass = Pass { outer: 1, length: parts, inner: 1 };
    let graw = fold(&part, pass, Fold::of(Op::Sum))?.reshape(*raw.shape())?;
    Ok([ga, gb, graw])
}
