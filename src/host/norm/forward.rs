use super::task_rows;
use crate::host::parallel::*;
use crate::host::{HostArgs, lane_max, lane_sum, to_middle, vectorised};
use crate::norm::{NormForwardParams, Normal, Scaled, pivot};

pub(crate) fn norm_forward(args: &mut HostArgs<'_, f32>) {
    let p: NormForwardParams = args.params();
    let (rms, with_bias) = (args.flag("RMS"), args.flag("BIAS"));
    let (x, gain, bias) = (args.reals("x"), args.reals("gain"), args.reals("bias"));
    let (y, stats) = (args.reals_mut("y"), args.reals_mut("stats"));
    let length = p.length as usize;
    let bias = with_bias.then(|| &bias[..length]);
    let eps = p.eps;
    let row = Row { gain: &gain[..length], bias, eps, rms };
    let rows = task_rows(length);
    let tasks = y.par_chunks_mut(rows * length).zip(stats.par_chunks_mut(3 * rows));
    if !args.when("ADD") {
        tasks.zip(x.par_chunks(rows * length)).for_each(|((y, stats), x)| {
            let rows = y.chunks_exact_mut(length).zip(x.chunks_exact(length));
            rows.zip(stats.chunks_exact_mut(3)).for_each(|((y, x), s)| row.normalise(x, y, s));
        });
        return;
    }
    let (residual, total) = (args.reals("residual"), args.reals_mut("sum"));
    let inputs = x.par_chunks(rows * length).zip(residual.par_chunks(rows * length));
    let inputs = inputs.zip(total.par_chunks_mut(rows * length));
    tasks.zip(inputs).for_each(|((y, stats), ((x, residual), total))| {
        total.iter_mut().zip(x.iter().zip(residual)).for_each(|(t, (x, r))| *t = *x + *r);
        let rows = y.chunks_exact_mut(length).zip(total.chunks_exact(length));
        rows.zip(stats.chunks_exact_mut(3)).for_each(|((y, x), s)| row.normalise(x, y, s));
    });
}

/// What all rows share.
struct Row<'a> {
    gain: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
    rms: bool,
}

impl Row<'_> {
    fn normalise(&self, x: &[f32], y: &mut [f32], stats: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || self.loops(x, y, stats),
        );
    }

    #[inline(always)]
    fn loops(&self, x: &[f32], y: &mut [f32], stats: &mut [f32]) {
        let n = x.len() as f32;
        let (pivot, half) = (pivot(x, self.rms), 0.5);
        // Half a deviation is a number, whatever the row.
        let size = lane_max(x, |x| (half * x - half * pivot).abs());
        let s = to_middle(size.max(half * self.eps.sqrt()));
        let row = Scaled::new(pivot, s);
        let mean = || lane_sum([x], |[x]| row.deviation(x)) / n;
        let shift = if self.rms { 0.0 } else { mean() };
        let squares = lane_sum([x], |[x]| {
            let v = row.deviation(x) - shift;
            v * v
        });
        let root = self.eps.sqrt() * s;
        let eps = if s == 1.0 { self.eps } else { root * root };
        let q = (squares / n + eps).sqrt().recip();
        stats.copy_from_slice(&[shift, q, s]);
        let normal = Normal { row, shift, q, s };
        let scaled = y.iter_mut().zip(x.iter().zip(self.gain));
        scaled.for_each(|(y, (x, gain))| *y = normal.at(*x) * *gain);
        if let Some(bias) = self.bias {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y += *b);
        }
    }
}
