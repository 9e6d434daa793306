//! Chains of multiply-adds in vector registers.

use crate::elementwise::{CHAINS, FmaPeakParams, STEPS};
use crate::host::HostArgs;
use crate::host::parallel::*;

/// Elements that a thread works on at a time: their chains hide the latency of a multiply-add and
/// still fit the registers.
const GROUP: usize = 3;

pub(crate) fn fma_peak(args: &mut HostArgs<'_, f32>) {
    let p: FmaPeakParams = args.params();
    let arch = pulp::Arch::new();
    args.reals_mut("y").par_chunks_mut(GROUP).enumerate().for_each(|(i, y)| {
        let first = i * GROUP;
        if matches!(arch, pulp::Arch::Scalar) {
            chains(p, first, y, |v, a, b| v * a + b);
        } else {
            // With vector instructions there is a fused one.
            arch.dispatch(
                #[inline(always)]
                || chains(p, first, y, f32::mul_add),
            );
        }
    });
}

#[inline(always)]
fn chains(p: FmaPeakParams, first: usize, y: &mut [f32], step: impl Fn(f32, f32, f32) -> f32) {
    let start = |i: usize, k: usize| (i % 256) as f32 + k as f32;
    let mut chains: [[f32; CHAINS as usize]; GROUP] =
        std::array::from_fn(|j| std::array::from_fn(|k| start(first + j, k)));
    for _ in 0..p.rounds * STEPS {
        for v in chains.as_flattened_mut() {
            *v = step(*v, p.factor, p.addend);
        }
    }
    for (y, chains) in y.iter_mut().zip(chains) {
        *y = chains.into_iter().sum();
    }
}
