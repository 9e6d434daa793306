//! Gates on the bins of spectra.

use super::super::bins::{BackwardParams, Params};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};

pub(in super::super) fn gate<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (bins, width) = (p.bins as usize, 2 * p.inner as usize);
    let (z, m) = (args.reals(0), args.reals(1));
    let planes = args.reals_mut(2).par_chunks_mut(bins * width).zip(z.par_chunks(bins * width));
    planes.for_each(|(y, z)| {
        let rows = y.chunks_exact_mut(width).zip(z.chunks_exact(width)).zip(m);
        for ((y, z), m) in rows {
            y.iter_mut().zip(z).for_each(|(y, z)| *y = *m * *z);
        }
    });
}

pub(in super::super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BackwardParams = args.params();
    let (bins, width) = (p.bins as usize, 2 * p.inner as usize);
    let (z, m, g) = (args.reals(0), args.reals(1), args.reals(2));
    let plane = bins * width;
    let span = p.chunk as usize * plane;
    let chunks =
        args.reals_mut(3).par_chunks_mut(span).zip(args.reals_mut(4).par_chunks_mut(plane / 2));
    let inputs = z.par_chunks(span).zip(g.par_chunks(span));
    chunks.zip(inputs).for_each(|((gz, sums), (z, g))| {
        sums.fill(R::zero());
        let planes =
            gz.chunks_exact_mut(plane).zip(z.chunks_exact(plane)).zip(g.chunks_exact(plane));
        for ((gz, z), g) in planes {
            for (f, m) in m.iter().enumerate() {
                let row = f * width..(f + 1) * width;
                let (gz, z, g) = (&mut gz[row.clone()], &z[row.clone()], &g[row]);
                gz.iter_mut().zip(g).for_each(|(gz, g)| *gz = *m * *g);
                let sums = &mut sums[f * width / 2..][..width / 2];
                let pairs = z.chunks_exact(2).zip(g.chunks_exact(2));
                for (sum, (z, g)) in sums.iter_mut().zip(pairs) {
                    *sum += g[0] * z[0] + g[1] * z[1];
                }
            }
        }
    });
}
