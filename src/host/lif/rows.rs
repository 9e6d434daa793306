//! One step of a block of columns: the loops that vectorise.

use super::Options;
use super::block::{Neuron, Pick};
use crate::host::keep_nan;
use crate::lif::params::{HARD, SOFT};
use crate::lif::surrogate::Slope;

/// The membrane after charging, before the clamp.
#[inline(always)]
fn charge(neuron: &Neuron, v: f32, x: f32) -> f32 {
    neuron.decay * v + (neuron.rest + neuron.gain * x)
}

#[inline(always)]
pub(super) fn limit<const CLAMP: bool>(o: &Options, raw: f32) -> f32 {
    if CLAMP {
        // Both comparisons let NaN through.
        let above = if raw < o.low { o.low } else { raw };
        if above > o.high { o.high } else { above }
    } else {
        raw
    }
}

/// Where the membrane goes after a spike.
#[inline(always)]
pub(super) fn spiked(reset: u32, h: f32, threshold: f32, v_reset: f32) -> f32 {
    match reset {
        HARD => v_reset,
        SOFT => h - threshold,
        _ => h,
    }
}

/// Charges, fires and resets: `v` becomes the next membrane, `raw` the charged one; `emit` gets each
/// column's spike.
#[inline(always)]
pub(super) fn forward_row<P: Pick, const RESET: u32, const CLAMP: bool>(
    o: &Options,
    neurons: P,
    x: &[f32],
    v: &mut [f32],
    raw: &mut [f32],
    mut emit: impl FnMut(usize, bool),
) {
    // Copies: behind a reference the compiler must expect a store to change them.
    let (o, n) = (*o, x.len());
    let (v, raw, neurons) = (&mut v[..n], &mut raw[..n], neurons.cut(n));
    for i in 0..n {
        let neuron = neurons.at(i);
        let charged = charge(&neuron, v[i], x[i]);
        raw[i] = charged;
        let h = limit::<CLAMP>(&o, charged);
        let s = h >= neuron.fire_at;
        emit(i, s);
        let after = spiked(RESET, h, neuron.threshold, o.v_reset);
        v[i] = if s { after } else { h };
    }
}

/// How the reset enters the gradient: `RESET` and `GRADIENT` in one number.
pub(super) const PATH_NONE: u32 = 0;
pub(super) const PATH_SOFT: u32 = 1;
pub(super) const PATH_HARD: u32 = 2;
pub(super) const PATH_SPATIAL: u32 = 3;

/// The rows of one step of backward.
pub(super) struct Backward<'a> {
    /// The membrane before the clamp.
    pub(super) raw: &'a [f32],
    /// dL/ds.
    pub(super) upstream: &'a [f32],
    /// dL/dx, out.
    pub(super) gx: &'a mut [f32],
    /// dL/dv after this step in, before it out.
    pub(super) carry: &'a mut [f32],
    /// dL/dh and dL/dthreshold, out, if parameters are learned.
    pub(super) gh: &'a mut [f32],
    pub(super) gthreshold: &'a mut [f32],
}

/// What a backward row needs to know besides its path.
#[derive(Clone, Copy)]
pub(super) struct Slopes {
    pub(super) slope: Slope<f32>,
    /// Whether dv/dh is 1 where it spiked, as without a hard reset; else it is 0.
    pub(super) kept: bool,
    /// Whether anything comes back through the spike: an upstream gradient, or the reset.
    pub(super) fires: bool,
    /// Whether the reset is a soft one, whose size is the threshold.
    pub(super) soft: bool,
}

#[inline(always)]
pub(super) fn backward_row<
    P: Pick,
    const CODE: u32,
    const PATH: u32,
    const CLAMP: bool,
    const LEARN: bool,
>(
    o: &Options,
    slopes: &Slopes,
    neurons: P,
    rows: Backward<'_>,
) {
    let (o, slopes, n) = (*o, *slopes, rows.raw.len());
    let (raw, upstream) = (&rows.raw[..n], &rows.upstream[..n]);
    let (gx, carry, neurons) = (&mut rows.gx[..n], &mut rows.carry[..n], neurons.cut(n));
    let learned = if LEARN { n } else { 0 };
    let (all_gh, gthreshold) = (&mut rows.gh[..learned], &mut rows.gthreshold[..learned]);
    for i in 0..n {
        let neuron = neurons.at(i);
        let h = limit::<CLAMP>(&o, raw[i]);
        let a = if PATH == PATH_SPATIAL { 0.0 } else { carry[i] };
        let s = h >= neuron.fire_at;
        let jump = match PATH {
            PATH_SOFT => -neuron.threshold,
            PATH_HARD => o.v_reset - h,
            _ => 0.0,
        };
        let through = if PATH == PATH_SOFT || PATH == PATH_HARD { a * jump } else { 0.0 };
        let slope = slopes.slope.at::<CODE>(h - neuron.threshold);
        // Nothing where nothing comes through the spike, never 0 times the surrogate of a NaN.
        let fire = if slopes.fires { (upstream[i] + through) * slope } else { 0.0 };
        // Selects, never products with 0: an infinite gradient must not become NaN.
        let passed = if s && !slopes.kept { fire } else { a + fire };
        let inside = !CLAMP || !o.clamp || (raw[i] > o.low && raw[i] < o.high);
        let gh = if inside { passed } else { keep_nan(raw[i], 0.0) };
        gx[i] = neuron.gain * gh;
        if PATH != PATH_SPATIAL {
            carry[i] = neuron.decay * gh;
        }
        if LEARN {
            all_gh[i] = gh;
            gthreshold[i] = -(if s && slopes.soft { fire + a } else { fire });
        }
    }
}
