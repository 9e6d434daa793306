//! The CPU twins.

use super::adamw::Params as AdamWParams;
use super::norm::{ClipFactorParams, SquareSumParams};
use super::sgd::Params as SgdParams;
use crate::host::{HostArgs, Real};
use rayon::prelude::*;

/// The fewest elements worth a thread.
const GRAIN: usize = 8192;

/// Factor of the gradient and whether the step is skipped.
fn clipping<R: Real>(clip: &[R]) -> (R, bool) {
    (clip[0], clip[2] != R::zero())
}

pub(super) fn adamw<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: AdamWParams = args.params();
    let (x, m, v) = (args.reals_mut(0), args.reals_mut(1), args.reals_mut(2));
    let (g, control, clip) = (args.reals(3), args.reals(4), args.reals(5));
    let (factor, skipped) = clipping(clip);
    if skipped {
        return;
    }
    let real = |value: f32| R::lit(value.into());
    let (beta1, beta2) = (real(p.beta1), real(p.beta2));
    let (rest1, rest2) = (real(p.rest1), real(p.rest2));
    let (eta, eps) = (control[0] * real(p.scale), real(p.eps));
    let decay = eta * real(p.decay);
    let (c1, c2) = (control[1], control[2]);
    let elements = x.par_iter_mut().zip(m).zip(v).zip(g).with_min_len(GRAIN);
    elements.for_each(|(((x, m), v), g)| {
        let h = factor * *g;
        *m = beta1 * *m + rest1 * h;
        *v = beta2 * *v + rest2 * h * h;
        *x = *x - decay * *x - eta * (*m * c1 / (v.sqrt() * c2 + eps));
    });
}

pub(super) fn sgd<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SgdParams = args.params();
    let (x, v) = (args.reals_mut(0), args.reals_mut(1));
    let (g, control, clip) = (args.reals(2), args.reals(3), args.reals(4));
    let (factor, skipped) = clipping(clip);
    if skipped {
        return;
    }
    let momentum = R::lit(p.momentum.into());
    let eta = control[0] * R::lit(p.scale.into());
    let decay = eta * R::lit(p.decay.into());
    let elements = x.par_iter_mut().zip(v).zip(g).with_min_len(GRAIN);
    elements.for_each(|((x, v), g)| {
        let h = factor * *g;
        *v = momentum * *v + h;
        let update = if p.nesterov != 0 { h + momentum * *v } else { *v };
        *x = *x - decay * *x - eta * update;
    });
}

pub(super) fn square_sum<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SquareSumParams = args.params();
    let g = args.reals(0);
    let partials = args.reals_mut(1);
    let places = &mut partials[p.offset as usize..][..p.groups as usize];
    let chunks = g[..p.count as usize].par_chunks(p.chunk as usize);
    // In blocks, so that a long sum of squares keeps its small terms.
    let block = |block: &[R]| block.iter().map(|g| *g * *g).sum::<R>();
    let sum = |chunk: &[R]| chunk.chunks(64).map(block).sum::<R>();
    places.par_iter_mut().zip(chunks).for_each(|(place, chunk)| *place = sum(chunk));
}

pub(super) fn clip_factor<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ClipFactorParams = args.params();
    let sum: R = args.reals(0)[..p.count as usize].iter().copied().sum();
    let clip = args.reals_mut(1);
    if sum.is_finite() {
        let (norm, most) = (sum.sqrt(), R::lit(p.most.into()));
        clip[..3].copy_from_slice(&[most / norm.max(most), norm, R::zero()]);
    } else {
        clip[..3].copy_from_slice(&[R::zero(), R::zero(), R::one()]);
        clip[3] += R::one();
    }
}
