//! The smooth neuron, whose spikes are the surrogate's primitive: the same formulas with a real s.
//! Only gradient checks run it.

use super::backward::Task;
use super::{Layer, Options};
use crate::host::Real;
use crate::lif::neuron::{FULL, HARD, SOFT, SPATIAL};
use crate::lif::surrogate::Surrogate;

/// `v` after a step whose spike is the real number `s`.
fn after<R: Real>(o: &Options<R>, h: R, s: R, threshold: R) -> R {
    match o.reset {
        HARD => h * (R::one() - s) + o.v_reset * s,
        SOFT => h - threshold * s,
        _ => h,
    }
}

pub(super) fn forward<R: Real>(
    layer: &Layer<'_, R>,
    code: u32,
    x: &[R],
    state: &mut [R],
    save: &mut [R],
    spikes: &mut [R],
) {
    let o = &layer.options;
    let surrogate = Surrogate::from_code(code, o.alpha);
    for (i, (x, spike)) in x.iter().zip(spikes).enumerate() {
        let c = i % o.columns;
        let neuron = layer.neuron(c);
        let raw = neuron.decay * state[c] + (neuron.rest + neuron.gain * *x);
        if let Some(save) = save.get_mut(i) {
            *save = raw;
        }
        let h = o.limited(raw);
        *spike = surrogate.primitive(h - neuron.threshold);
        state[c] = after(o, h, *spike, neuron.threshold);
    }
}

pub(super) fn backward<R: Real>(
    layer: &Layer<'_, R>,
    task: &Task<'_, R>,
    gx: &mut [R],
    sums: &mut [R],
) {
    let o = &layer.options;
    let surrogate = Surrogate::from_code(task.code, o.alpha);
    let (carry, learned) = sums.split_at_mut(o.columns);
    learned.fill(R::zero());
    for (i, gx) in gx.iter_mut().enumerate().rev() {
        let c = i % o.columns;
        let neuron = layer.neuron(c);
        let (raw, a) = (task.saved[i], carry[c]);
        let h = o.limited(raw);
        let u = h - neuron.threshold;
        let (s, d) = (surrogate.primitive(u), surrogate.derivative(u));
        let (keep, jump) = match o.reset {
            HARD => (R::one() - s, o.v_reset - h),
            SOFT => (R::one(), -neuron.threshold),
            _ => (R::one(), R::zero()),
        };
        let jump = if task.gradient == FULL { jump } else { R::zero() };
        let q = task.gs.map_or(R::zero(), |gs| gs[i]) + a * jump;
        let inside = !o.clamp || (raw > o.low && raw < o.high);
        let gh = if inside { a * keep + q * d } else { R::zero() };
        *gx = neuron.gain * gh;
        carry[c] = if task.gradient == SPATIAL { R::zero() } else { neuron.decay * gh };
        if learned.is_empty() {
            continue;
        }
        let before = if i < o.columns {
            learned[3 * o.columns + c] = gh;
            R::zero()
        } else {
            let h = o.limited(task.saved[i - o.columns]);
            after(o, h, surrogate.primitive(h - neuron.threshold), neuron.threshold)
        };
        let x = if task.tied || task.learn & 4 != 0 { task.x[i] } else { R::zero() };
        learned[c] += gh * (before - o.v_rest());
        if task.tied {
            learned[c] -= gh * x;
        }
        learned[o.columns + c] -= q * d + if o.reset == SOFT { a * s } else { R::zero() };
        learned[2 * o.columns + c] += gh * x;
    }
}
