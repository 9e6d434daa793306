use super::task_rows;
use crate::host::parallel::*;
use crate::host::{HostArgs, lane_max, lane_sum, to_middle, vectorised};
use crate::norm::{NormBackwardParams, Normal};

pub(crate) fn norm_backward(args: &mut HostArgs<'_, f32>) {
    let p: NormBackwardParams = args.params();
    let rms = args.flag("RMS");
    let (x, gain, stats, g) =
        (args.reals("x"), args.reals("gain"), args.reals("stats"), args.reals("g"));
    let gx = args.reals_mut("gx");
    let length = p.length as usize;
    let gain = &gain[..length];
    let rows = task_rows(length);
    gx.par_chunks_mut(rows * length).enumerate().for_each(|(task, gx)| {
        for (k, gx) in gx.chunks_exact_mut(length).enumerate() {
            let r = task * rows + k;
            let (x, g) = (&x[r * length..][..length], &g[r * length..][..length]);
            vectorised(
                #[inline(always)]
                || backward_row(Normal::new(x, &stats[3 * r..], rms), [x, gain, g], gx, rms),
            );
        }
    });
}

#[inline(always)]
fn backward_row(normal: Normal<f32>, [x, gain, g]: [&[f32]; 3], gx: &mut [f32], rms: bool) {
    let n = x.len() as f32;
    let sized = |gx: &mut [f32], t: f32| {
        gx.iter_mut().zip(g.iter().zip(gain)).for_each(|(h, (g, gain))| *h = t * *g * *gain);
    };
    sized(gx, 1.0);
    // Sums of numbers beyond the middle would leave the range of f32.
    let t = to_middle(lane_max(gx, |h| h.abs())).min(1.0);
    if t != 1.0 {
        sized(gx, t);
    }
    let plain = if rms { 0.0 } else { lane_sum([gx], |[h]| h) / n };
    let along = lane_sum([gx, x], |[h, x]| h * normal.at(x)) / n;
    let (q, s, back) = (normal.q, normal.s, t.recip());
    gx.iter_mut().zip(x).for_each(|(h, x)| {
        let v = q * (*h - plain - normal.at(*x) * along);
        *h = if s < 1.0 { v * (s * back) } else { v * s * back };
    });
}
