//! What backward needs of the output and its gradient.

use super::compact::take_rows;
use super::geometry::Geometry;
use super::orders::Orders;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{DType, Result, Tensor, kernel};

fn attention_delta<R: Real>(args: &mut HostArgs<'_, R>) {
    let orders = Orders::new(args);
    let p = orders.p;
    let (o, go) = (args.reals("o"), args.reals("go"));
    let (rows, stats) = (args.reals_mut("go_rows"), args.reals_mut("stats"));
    take_rows(&orders, true, go, rows, |_, x, y| {
        let (row, padding) = y.split_at_mut(x.len());
        row.copy_from_slice(x);
        padding.fill(R::zero());
    });
    let (steps, stride) = (p.steps as usize, p.stride());
    let deltas = stats[p.rows()..].par_chunks_mut(steps);
    deltas.enumerate().for_each(|(bh, deltas)| {
        let count = orders.queries(bh).count();
        for (r, delta) in deltas.iter_mut().take(count).enumerate() {
            let at = (bh * steps + r) * stride;
            let pairs = o[at..][..stride].iter().zip(&rows[at..][..stride]);
            *delta = pairs.map(|(a, b)| *a * *b).sum();
        }
    });
}

kernel! {
    /// `delta[r] = go[r].o[r]`, and compact rows of `go`
    pub(super) static ATTENTION_DELTA = "attention/attention_delta";
    params = Geometry;
    oracle = attention_delta;
    iterations = |args| u64::from(args.params::<Geometry>().quads) + 1;
}

/// Writes the deltas to the second half of `stats`; gives the open rows of `go`.
pub(super) fn run(
    p: &Geometry,
    order: &Tensor,
    o: &Tensor,
    go: &Tensor,
    stats: &Tensor,
) -> Result<Tensor> {
    let device = order.device();
    let rows = Tensor::empty(device, [p.rows(), p.stride()], DType::F32)?;
    let launch = device.launch(&ATTENTION_DELTA).params(p);
    let launch = launch.bind("order", order).bind("o", o).bind("go", go);
    launch.bind("go_rows", &rows).bind("stats", stats).items(p.rows()).record()?;
    Ok(rows)
}
