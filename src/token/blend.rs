//! The mix of two paths by a learned share.

use super::rows::TASK;
use crate::elementwise::sigmoid;
use crate::host::parallel::*;
use crate::host::{self, HostArgs, Real};
use crate::reduce::{Fold, LONGEST, Op, Pass, fold};
use crate::tensor::{BY_FOUR, launch_items};
use crate::{DType, Error, Result, Tensor, Var};

crate::kernel! {
    /// `y = al a + (1 - al) b`
    pub(super) static BLEND = "token/blend";
    params = struct BlendParams {
        items: u32,
    };
    oracle = blend_oracle;
    variants = BY_FOUR;
}

crate::kernel! {
    /// The gradients of both, and that of the share in parts.
    pub(crate) static BLEND_BACKWARD = "token/blend_backward";
    params = struct BlendBackwardParams {
        items: u32,
        parts: u32,
        span: u32,
        interleaved: u32,
    };
    oracle = blend_backward_oracle;
    host = host::token::blend_backward;
    variants = BY_FOUR;
    iterations = |args| {
        let p: BlendBackwardParams = args.params();
        u64::from(if p.interleaved == 1 { p.items.div_ceil(p.parts) } else { p.span }) + 2
    };
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
            let (launch, items) = launch_items(a.device(), &BLEND, a.count());
            launch
                .params(&BlendParams { items })
                .bind("a", a)
                .bind("b", b)
                .bind("raw", share)
                .bind("y", &y)
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
    let tuning = device.tuning();
    let (launch, items) = launch_items(device, &BLEND_BACKWARD, g.count());
    let span = (items as usize).div_ceil(tuning.sum_parts).min(LONGEST);
    let parts = (items as usize).div_ceil(span);
    let part = Tensor::empty(device, [parts], DType::F32)?;
    let params = BlendBackwardParams {
        items,
        parts: parts as u32,
        span: span as u32,
        interleaved: u32::from(tuning.interleaved),
    };
    let launch = launch.params(&params).bind("a", a).bind("b", b).bind("raw", raw).bind("g", g);
    launch.bind("ga", &ga).bind("gb", &gb).bind("part", &part).items(parts).record()?;
    let pass = Pass { outer: 1, length: parts, inner: 1 };
    let graw = fold(&part, pass, Fold::of(Op::Sum))?.reshape(*raw.shape())?;
    Ok([ga, gb, graw])
}

fn blend_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let (a, b, raw) = (args.reals("a"), args.reals("b"), args.reals("raw")[0]);
    let (al, rest) = (sigmoid(raw), sigmoid(-raw));
    let y = args.reals_mut("y");
    let inputs = a.par_chunks(TASK).zip(b.par_chunks(TASK));
    y.par_chunks_mut(TASK).zip(inputs).for_each(|(y, (a, b))| {
        y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = al * *a + rest * *b);
    });
}

fn blend_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BlendBackwardParams = args.params();
    let (a, b, raw, g) = (args.reals("a"), args.reals("b"), args.reals("raw")[0], args.reals("g"));
    let (al, rest) = (sigmoid(raw), sigmoid(-raw));
    args.reals_mut("ga").iter_mut().zip(g).for_each(|(ga, g)| *ga = al * *g);
    args.reals_mut("gb").iter_mut().zip(g).for_each(|(gb, g)| *gb = rest * *g);
    let width = g.len() / p.items as usize;
    args.reals_mut("part").iter_mut().enumerate().for_each(|(s, part)| {
        let items = p.items_of(s).flat_map(|c| c * width..(c + 1) * width);
        *part = al * rest * items.map(|i| g[i] * (a[i] - b[i])).sum();
    });
}

impl BlendBackwardParams {
    /// The items of part `s`.
    pub(crate) fn items_of(&self, s: usize) -> impl Iterator<Item = usize> + use<> {
        let [items, parts, span] = [self.items, self.parts, self.span].map(|v| v as usize);
        match self.interleaved {
            0 => (s * span..items.min((s + 1) * span)).step_by(1),
            _ => (s..items).step_by(parts),
        }
    }
}
