//! The CPU twins.

use super::activate::Params as ActivateParams;
use super::binary::BroadcastParams;
use super::bits::Packed;
use super::fill::Params as FillParams;
use super::fma_peak::{CHAINS, Params as FmaParams, STEPS};
use super::unary::{Params as UnaryParams, Unary};
use super::{Activation, Binary};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use half::f16;

/// Elements that one task computes.
const CHUNK: usize = 8192;

/// `y[i] = f(i)`, in parallel.
pub(crate) fn each<T: Send>(y: &mut [T], f: impl Fn(usize) -> T + Sync) {
    y.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, y)| {
        for (k, y) in y.iter_mut().enumerate() {
            *y = f(chunk * CHUNK + k);
        }
    });
}

pub(super) fn fill<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: FillParams = args.params();
    args.reals_mut(0).fill(R::lit(f64::from(p.value)));
}

pub(super) fn copy<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals(0);
    args.reals_mut(1).copy_from_slice(x);
}

pub(super) fn accumulate<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals(1);
    let sum = args.reals_mut(0);
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += *x;
    }
}

pub(super) fn unary<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnaryParams = args.params();
    let f = Unary::from_code(args.constant_or("OP", 0), p.first, p.second);
    let x = args.reals(0);
    each(args.reals_mut(1), |i| f.apply(x[i]));
}

pub(super) fn unary_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UnaryParams = args.params();
    let f = Unary::from_code(args.constant_or("OP", 0), p.first, p.second);
    let (saved, g) = (args.reals(0), args.reals(1));
    each(args.reals_mut(2), |i| g[i] * f.derivative(saved[i]));
}

pub(super) fn activate<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivateParams = args.params();
    let f = Activation::from_code(args.constant_or("KIND", 0), p.slope);
    let x = args.reals(0);
    each(args.reals_mut(1), |i| f.apply(x[i]));
}

pub(super) fn activate_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ActivateParams = args.params();
    let f = Activation::from_code(args.constant_or("KIND", 0), p.slope);
    let (x, g) = (args.reals(0), args.reals(1));
    each(args.reals_mut(2), |i| g[i] * f.derivative(x[i]));
}

pub(super) fn binary<R: Real>(args: &mut HostArgs<'_, R>) {
    let op = Binary::from_code(args.constant_or("OP", 0));
    let (a, b) = (args.reals(0), args.reals(1));
    each(args.reals_mut(2), |i| op.apply(a[i], b[i]));
}

pub(super) fn binary_broadcast<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BroadcastParams = args.params();
    let op = Binary::from_code(args.constant_or("OP", 0));
    let (a, b) = (args.reals(0), args.reals(1));
    each(args.reals_mut(2), |i| {
        let (at_a, at_b) = p.strides.offsets(p.rank, i);
        op.apply(a[at_a], b[at_b])
    });
}

pub(super) fn binary_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BroadcastParams = args.params();
    let op = Binary::from_code(args.constant_or("OP", 0));
    let for_b = args.constant_or("SIDE", 0) == 1;
    let (a, b, g) = (args.reals(0), args.reals(1), args.reals(2));
    each(args.reals_mut(3), |i| {
        let (at_a, at_b) = p.strides.offsets(p.rank, i);
        let (da, db) = op.derivatives(a[at_a], b[at_b]);
        g[i] * if for_b { db } else { da }
    });
}

pub(super) fn to_half<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals(0);
    // In two roundings, as on a device whose input is f32 already.
    let bits = |i: usize| {
        let value = x.get(i).map_or(0.0, |x| x.f32());
        let held = if value.is_finite() { value.clamp(-65504.0, 65504.0) } else { value };
        u32::from(f16::from_f32(held).to_bits())
    };
    each(args.words_mut(1), |i| bits(2 * i) | bits(2 * i + 1) << 16);
}

pub(super) fn from_half<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.words(0);
    each(args.reals_mut(1), |i| {
        R::lit(f16::from_bits((x[i / 2] >> (16 * (i % 2))) as u16).to_f64())
    });
}

pub(super) fn pack<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Packed = args.params();
    let x = args.reals(0);
    let half = R::lit(0.5);
    each(args.words_mut(1), |w| p.word(w, |e| x[e] > half));
}

pub(super) fn unpack<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Packed = args.params();
    let s = args.words(0);
    let row = p.row as usize;
    each(args.reals_mut(1), |i| {
        let (t, n) = (i / row, i % row);
        R::lit(f64::from(s[t / 32 * row + n] >> (t % 32) & 1))
    });
}

/// Elements that a thread works on at a time: their chains hide the latency of a multiply-add and
/// still fit the registers.
const FMA_GROUP: usize = 3;

pub(super) fn fma_peak<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: FmaParams = args.params();
    let arch = pulp::Arch::new();
    args.reals_mut(0).par_chunks_mut(FMA_GROUP).enumerate().for_each(|(i, y)| {
        let first = i * FMA_GROUP;
        if matches!(arch, pulp::Arch::Scalar) {
            fma_chains(p, first, y, |v: R, a, b| v * a + b);
        } else {
            // With vector instructions there is a fused one.
            arch.dispatch(
                #[inline(always)]
                || fma_chains(p, first, y, |v: R, a, b| v.mul_add(a, b)),
            );
        }
    });
}

#[inline(always)]
fn fma_chains<R: Real>(p: FmaParams, first: usize, y: &mut [R], step: impl Fn(R, R, R) -> R) {
    let (factor, addend) = (R::lit(p.factor.into()), R::lit(p.addend.into()));
    let start = |i: usize, k: usize| R::lit((i % 256) as f64) + R::lit(k as f64);
    let mut chains: [[R; CHAINS as usize]; FMA_GROUP] =
        std::array::from_fn(|j| std::array::from_fn(|k| start(first + j, k)));
    for _ in 0..p.rounds * STEPS {
        for v in chains.as_flattened_mut() {
            *v = step(*v, factor, addend);
        }
    }
    for (y, chains) in y.iter_mut().zip(chains) {
        *y = chains.into_iter().sum();
    }
}
