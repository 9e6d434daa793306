//! The CPU twins.

use super::params::Params;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};

/// How far tap k looks back, in steps.
fn back(p: &Params, k: usize) -> usize {
    (p.taps as usize - 1 - k) * p.dilation as usize
}

pub(super) fn depthwise<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let adjoint = args.constant_or("ADJOINT", 0) == 1;
    let bias = (args.constant_or("BIAS", 0) == 1).then(|| args.reals(2));
    let (steps, channels) = (p.steps as usize, p.channels as usize);
    let row = p.batch as usize * channels;
    let (x, w) = (args.reals(0), args.reals(1));
    args.reals_mut(3).par_chunks_mut(row).enumerate().for_each(|(t, y)| {
        for y in y.chunks_exact_mut(channels) {
            match bias {
                Some(bias) => y.copy_from_slice(bias),
                None => y.fill(R::zero()),
            }
        }
        for (k, w) in w.chunks_exact(channels).enumerate() {
            let distance = back(&p, k);
            let from = if adjoint { t + distance } else { t.wrapping_sub(distance) };
            // What lies before the first step or behind the last is 0.
            if from >= steps {
                continue;
            }
            let x = &x[from * row..][..row];
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                    *y += *w * *x;
                }
            }
        }
    });
}

pub(super) fn depthwise_weights<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (taps, channels, chunk) = (p.taps as usize, p.channels as usize, p.chunk as usize);
    let (rows, batch) = ((p.steps * p.batch) as usize, p.batch as usize);
    let (x, g) = (args.reals(0), args.reals(1));
    let parts = args.reals_mut(2).par_chunks_mut((taps + 1) * channels).enumerate();
    parts.for_each(|(part, sums)| {
        sums.fill(R::zero());
        for (k, sums) in sums.chunks_exact_mut(channels).enumerate() {
            let distance = if k < taps { back(&p, k) * batch } else { 0 };
            for row in (part * chunk).max(distance)..rows.min((part + 1) * chunk) {
                let g = &g[row * channels..][..channels];
                if k == taps {
                    sums.iter_mut().zip(g).for_each(|(sum, g)| *sum += *g);
                    continue;
                }
                let x = &x[(row - distance) * channels..][..channels];
                for ((sum, g), x) in sums.iter_mut().zip(g).zip(x) {
                    *sum += *g * *x;
                }
            }
        }
    });
}

pub(super) fn unfold<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (taps, channels, batch) = (p.taps as usize, p.channels as usize, p.batch as usize);
    let x = args.reals(0);
    args.reals_mut(1).par_chunks_mut(taps * channels).enumerate().for_each(|(row, y)| {
        for (k, y) in y.chunks_exact_mut(channels).enumerate() {
            match row.checked_sub(back(&p, k) * batch) {
                Some(from) => y.copy_from_slice(&x[from * channels..][..channels]),
                None => y.fill(R::zero()),
            }
        }
    });
}

pub(super) fn fold<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (taps, channels, batch) = (p.taps as usize, p.channels as usize, p.batch as usize);
    let rows = p.steps as usize * batch;
    let g = args.reals(0);
    args.reals_mut(1).par_chunks_mut(channels).enumerate().for_each(|(row, y)| {
        y.fill(R::zero());
        for k in 0..taps {
            let from = row + back(&p, k) * batch;
            if from < rows {
                let g = &g[(from * taps + k) * channels..][..channels];
                y.iter_mut().zip(g).for_each(|(y, g)| *y += *g);
            }
        }
    });
}
