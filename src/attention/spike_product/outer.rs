//! Spikes transposed times a gradient, in each head.

use super::lanes::{Lanes, Params, cost, summed};
use crate::attention::twin::spike_product as twin;
use crate::kernel::Variant;
use crate::{Result, Tensor, kernel};

kernel! {
    /// `C[l, i, :] = scale sum_t A[t, l, i] G[t, l, :]`
    pub(in crate::attention) static SPIKE_OUTER = "attention/spike_outer";
    params = Params;
    oracle = twin::outer;
    variants = VARIANTS;
    cost = cost;
    turns = |args| u64::from(args.params::<Params>().chunk) + 128;
}

const VARIANTS: &[Variant] =
    &[Variant::portable("bits", &[]), Variant::portable("bits by four", &["VEC"])];

/// `scale A^T G` in `[L, d, d]`, of packed tokens `a` and f32 `g`, both `[S, L, d]`; no extent is zero.
pub(super) fn outer(a: &Tensor, g: &Tensor, lanes: Lanes, scale: f32) -> Result<Tensor> {
    summed(lanes, a, scale, |c| {
        let launch = a.device().launch(&SPIKE_OUTER);
        let launch = launch.when("VEC", lanes.width.is_multiple_of(4));
        launch.bind("a", a).bind("b", g).bind("c", c)
    })
}
