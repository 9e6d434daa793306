//! The mix of two paths, in vector lanes.

use super::parallel::*;
use super::{HostArgs, lane_sum, vectorised};
use crate::elementwise::sigmoid;
use crate::token::BlendBackwardParams;

/// Elements that one task takes.
const TASK: usize = 1 << 13;

pub(crate) fn blend_backward(args: &mut HostArgs<'_, f32>) {
    let p: BlendBackwardParams = args.params();
    let (a, b, raw, g) = (args.reals("a"), args.reals("b"), args.reals("raw")[0], args.reals("g"));
    let (al, rest) = (sigmoid(raw), sigmoid(-raw));
    for (out, factor) in [(args.reals_mut("ga"), al), (args.reals_mut("gb"), rest)] {
        out.par_chunks_mut(TASK).zip(g.par_chunks(TASK)).for_each(|(out, g)| {
            out.iter_mut().zip(g).for_each(|(out, g)| *out = factor * *g);
        });
    }
    debug_assert_eq!(p.interleaved, 0, "the host takes stretches: `Tuning::interleaved`");
    let stretch = p.span as usize * (g.len() / p.items as usize);
    args.reals_mut("part").par_iter_mut().enumerate().for_each(|(s, part)| {
        let mut sum = 0.0;
        let elements = s * stretch..g.len().min((s + 1) * stretch);
        let piece = [a, b, g].map(|x| &x[elements.clone()]);
        vectorised(
            #[inline(always)]
            || sum = lane_sum(piece, |[a, b, g]| g * (a - b)),
        );
        *part = al * rest * sum;
    });
}
