//! How often two channels of a head spike together.

use super::lanes::{HeadParams, Lanes, summed};
use super::operand::{Operand, each_row};
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs, Variant};
use crate::{Result, Tensor, kernel};

/// Chunk by chunk, pair by pair of channels: the tokens of both.
fn spike_overlap<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: HeadParams = args.params();
    let [lanes, k, n] = [p.lanes, p.k, p.n].map(|v| v as usize);
    let [a, b] = ["a", "b"].map(|x| Operand::new(args, x));
    let scale = R::lit(f64::from(p.scale));
    each_row(&p, args.reals_mut("c"), |tokens, lane, i, row| {
        for (j, c) in row.iter_mut().enumerate() {
            let pair =
                |t| a.spike(t, lane * k + i, lanes * k) * b.spike(t, lane * n + j, lanes * n);
            *c = tokens.clone().map(pair).sum::<R>() * scale;
        }
    });
}

kernel! {
    /// `C[l, i, j] = sum_t A[t, l, i] B[t, l, j]`
    pub(in crate::attention) static SPIKE_OVERLAP = "attention/spike_overlap";
    params = HeadParams;
    oracle = spike_overlap;
    host = crate::host::attention::spike_overlap;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| u64::from(args.params::<HeadParams>().chunk) + 128;
}

const VARIANTS: &[Variant] = &[
    Variant::portable("bits", &["TOKENS"]),
    Variant::portable("bits by four", &["TOKENS", "VEC"]),
];

/// Three operations (and, count, add) for 32 tokens of a pair of channels.
fn cost(args: &CostArgs<'_>) -> Cost {
    let Cost { bytes, flops } = super::lanes::cost(args);
    Cost { bytes, flops: flops / 2.0 / 32.0 * 3.0 }
}

/// `A^T B` in `[L, d, d]` of packed tokens `[S, L, d]`; no extent is zero. Counts are exact below 2^24.
pub(super) fn overlap(a: &Tensor, b: &Tensor, lanes: Lanes) -> Result<Tensor> {
    summed(lanes, a, 1.0, |c| {
        let launch = a.device().launch(&SPIKE_OVERLAP);
        let launch = launch.when("VEC", lanes.width.is_multiple_of(4));
        launch.when("TOKENS", true).bind("a", a).bind("b", b).bind("c", c)
    })
}
