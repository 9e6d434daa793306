//! Values of nodes embedded in channels.

use super::super::nodes::{BackwardParams, Params};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};

pub(in super::super) fn lines<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let [batch, nodes, channels] = [p.batch, p.nodes, p.channels].map(|v| v as usize);
    let (x, lines) = (args.reals(0), args.reals(1));
    let rows = args.reals_mut(2).par_chunks_mut(nodes * channels);
    rows.zip(lines.par_chunks(2 * channels)).enumerate().for_each(|(row, (y, line))| {
        let (slope, level) = line.split_at(channels);
        let x = &x[row % batch * nodes..][..nodes];
        for (y, x) in y.chunks_exact_mut(channels).zip(x) {
            for ((y, slope), level) in y.iter_mut().zip(slope).zip(level) {
                *y = *slope * *x + *level;
            }
        }
    });
}

pub(in super::super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BackwardParams = args.params();
    let [batch, nodes, channels] = [p.batch, p.nodes, p.channels].map(|v| v as usize);
    let (rows, chunk) = ((p.steps * p.batch) as usize, p.chunk as usize);
    let (x, g) = (args.reals(0), args.reals(1));
    args.reals_mut(2).par_chunks_mut(2 * channels).enumerate().for_each(|(place, sums)| {
        let (part, row) = (place / rows, place % rows);
        sums.fill(R::zero());
        let (slope, level) = sums.split_at_mut(channels);
        for m in part * chunk..nodes.min((part + 1) * chunk) {
            let x = x[row % batch * nodes + m];
            let g = &g[(row * nodes + m) * channels..][..channels];
            for ((slope, level), g) in slope.iter_mut().zip(level.iter_mut()).zip(g) {
                *slope += *g * x;
                *level += *g;
            }
        }
    });
}
