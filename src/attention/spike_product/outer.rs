//! Spikes transposed times a gradient, in each head.

use super::lanes::{HeadParams, Lanes, cost, summed};
use super::operand::{Operand, each_row};
use crate::host::{HostArgs, Real};
use crate::kernel::Variant;
use crate::{Result, Tensor, kernel};

/// Chunk by chunk: each spike times the gradient of its token.
fn spike_outer<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: HeadParams = args.params();
    let [lanes, k, n] = [p.lanes, p.k, p.n].map(|v| v as usize);
    let (a, g) = (Operand::new(args, "a"), args.reals("b"));
    let scale = R::lit(f64::from(p.scale));
    each_row(&p, args.reals_mut("c"), |tokens, lane, i, row| {
        for t in tokens {
            let spike = a.spike(t, lane * k + i, lanes * k);
            let g = &g[(t * lanes + lane) * n..][..n];
            row.iter_mut().zip(g).for_each(|(c, g)| *c += spike * *g);
        }
        row.iter_mut().for_each(|c| *c *= scale);
    });
}

kernel! {
    /// `C[l, i, :] = scale sum_t A[t, l, i] G[t, l, :]`
    pub(in crate::attention) static SPIKE_OUTER = "attention/spike_outer";
    params = HeadParams;
    oracle = spike_outer;
    host = crate::host::attention::spike_outer;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| u64::from(args.params::<HeadParams>().chunk) + 128;
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
