//! Compact rows, put back in their places.

use super::compact::turn;
use super::geometry::Geometry;
use super::orders::Orders;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{DType, Result, Shape, Tensor, kernel};

fn attention_scatter<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let p = orders.p;
    let is_keys = args.flag("KEYS");
    let half = if args.flag("TURN") { p.half as usize } else { 0 };
    let scaled = args.flag("SCALED");
    let factor = if scaled { R::lit(p.scale.into()) } else { R::one() };
    let (table, x, y) = (args.reals("table"), args.reals("x"), args.reals_mut("y"));
    let (stride, width, all_heads) = (p.stride(), p.width as usize, p.all_heads());
    y.par_chunks_mut(width * all_heads).enumerate().for_each(|(s, y)| {
        let mut sum = vec![R::zero(); stride];
        for (bh, y) in y.chunks_exact_mut(width).enumerate() {
            let order = if is_keys { orders.keys(bh) } else { orders.queries(bh) };
            let r = order.before(s);
            if order.before(s + 1) == r {
                y.fill(R::zero());
                continue;
            }
            sum.copy_from_slice(&x[(bh * p.steps as usize + r) * stride..][..stride]);
            if is_keys && s < p.anchors as usize {
                for segment in 0..p.segments as usize {
                    let part = (segment * all_heads + bh) * p.anchors as usize + r;
                    let part = &x[(p.rows() + part) * stride..][..stride];
                    sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += *x);
                }
            }
            let angles = &table[if half == 0 { 0 } else { s * 2 * half }..];
            turn(&sum[..width], y, angles, half, factor, -R::one());
        }
    });
}

kernel! {
    /// `y[position of r] = x[r]`, turned back; zero at silent positions
    pub(super) static ATTENTION_SCATTER = "attention/attention_scatter";
    params = Geometry;
    oracle = attention_scatter;
    iterations = |args| {
        let p: Geometry = args.params();
        u64::from(p.width) * (2 * u64::from(p.segments) + 3) + 1
    };
}

/// What the compact rows are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    /// Of keys, with the parts of anchors, and not of queries.
    pub(super) keys: bool,
    /// The angles to turn back by.
    pub(super) table: Option<&'a Tensor>,
    /// Whether the scale is applied.
    pub(super) scaled: bool,
}

/// A tensor `[S, B, H d]` from compact rows.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    x: &Tensor,
    rows: Rows<'_>,
    shape: Shape,
) -> Result<Tensor> {
    let device = order.device();
    let y = Tensor::empty(device, shape, DType::F32)?;
    let launch = device.launch(&ATTENTION_SCATTER).params(p);
    let launch = launch.constant("KEYS", rows.keys).constant("SCALED", rows.scaled);
    let launch = launch.constant("TURN", rows.table.is_some()).bind_if("table", rows.table);
    let launch = launch.bind("order", order).bind("x", x).bind("y", &y);
    p.moving(device, launch, p.rows()).record()?;
    Ok(y)
}
