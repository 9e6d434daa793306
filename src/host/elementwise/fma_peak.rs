//! Chains of multiply-adds in vector registers.

use crate::elementwise::{CHAINS, FmaPeakParams, STEPS};
use crate::host::parallel::*;
use crate::host::{HostArgs, Simd, Vectorised, multiply_add, vectorise};

/// Elements of a task: those of a group with every width of registers.
const TASK: usize = WIDE;
/// Elements whose chains run side by side: in twelve registers of eight lanes they hide the latency of
/// a multiply-add and leave room for its operands.
const GROUP: usize = 3;
/// Likewise in registers of sixteen lanes.
const WIDE: usize = 6;

pub(crate) fn fma_peak(args: &mut HostArgs<'_, f32>) {
    let p: FmaPeakParams = args.params();
    args.reals_mut("y").par_chunks_mut(TASK).enumerate().for_each(|(task, y)| {
        vectorise(&mut Task { p, first: task * TASK, y });
    });
}

struct Task<'a> {
    p: FmaPeakParams,
    first: usize,
    y: &'a mut [f32],
}

impl Vectorised for Task<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self) {
        if S::F32_LANES > 8 {
            self.groups::<S, WIDE>();
        } else {
            self.groups::<S, GROUP>();
        }
    }
}

impl Task<'_> {
    #[inline(always)]
    fn groups<S: Simd, const N: usize>(&mut self) {
        for (group, y) in self.y.chunks_mut(N).enumerate() {
            chains::<S, N>(self.p, self.first + group * N, y);
        }
    }
}

#[inline(always)]
fn chains<S: Simd, const N: usize>(p: FmaPeakParams, first: usize, y: &mut [f32]) {
    let start = |i: usize, k: usize| (i % 256) as f32 + k as f32;
    let mut chains: [[f32; CHAINS as usize]; N] =
        std::array::from_fn(|j| std::array::from_fn(|k| start(first + j, k)));
    for _ in 0..p.rounds * STEPS {
        for v in chains.as_flattened_mut() {
            *v = multiply_add::<S>(*v, p.factor, p.addend);
        }
    }
    for (y, chains) in y.iter_mut().zip(chains) {
        *y = chains.into_iter().sum();
    }
}
