// Backward of lif_forward, from the last step to the first, in one launch. a = dL/dv[t]:
//
//     d = surrogate(h - threshold),   keep = dv/dh,   jump = dv/ds (0 if the reset is detached)
//     q = gs[t] + a jump,   gh = (a keep + q d) [low < h_raw < high],   gx[t] = gain gh
//     gdecay += gh (v[t-1] - v_rest),   gthreshold -= q d + [soft] a s,   ggain += gh x[t]
//     a <- decay gh                                       (a <- 0 in the spatial gradient)
//
// gs, gx: [T, columns]. h: [T, columns], the membrane before the clamp; under CHECKPOINTS instead
// checkpoints: [ceil(T / EVERY), columns], from which h is recomputed EVERY steps at a time, with
// the spikes of `words`. x: read where h is recomputed or a gradient of the gain is wanted. decay,
// threshold, gain: as in forward. sums: [columns], dL/dv[T-1] in (UPSTREAM & 2), dL/dv[-1] out;
// with LEARN [5, columns]: below that row the sums over t for decay, threshold and gain, and gh[0].
// UPSTREAM: 1 = gs is given, 2 = dL/dv[T-1] is. LEARN: 1 = decay, 2 = threshold, 4 = gain. Without
// checkpoints the sum for decay leaves gh[0] v[-1] to the reader (lif_parameters).
// One invocation a column; loads go eight steps ahead. MARCH: as in lif_forward.

import package::shared::finite::{keep_nan, limited};
import package::shared::index::{Group, group_index};
import package::lif::membrane::{
    LifParams, Neuron, charge, fires, after_spike, RESET_HARD, RESET_SOFT, TIED
};
import package::shared::forms::{EACH, FIXED, SCALAR};
import package::shared::part::part;
import package::shared::surrogate::surrogate;

override MARCH: bool = false;
override WG: u32 = select(128u, 256u, MARCH);
override RESET: u32 = 2u;
override GRADIENT: u32 = 0u;
override STRICT: bool = false;
override CLAMP: bool = false;
override SURROGATE: u32 = 0u;
override UPSTREAM: u32 = 1u;
override LEARN: u32 = 0u;
override EVERY: u32 = 16u;
override DECAY: u32 = 0u;
override THRESHOLD: u32 = 0u;
override GAIN: u32 = 0u;

// GRADIENT
const FULL: u32 = 0u;
const DETACHED: u32 = 1u;
const SPATIAL: u32 = 2u;

@group(0) @binding(0) var<storage, read> gs: array<f32>;
@if(!CHECKPOINTS) @group(0) @binding(1) var<storage, read> saved: array<f32>;
@if(CHECKPOINTS) @group(0) @binding(1) var<storage, read> checkpoints: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> decay: array<f32>;
@group(0) @binding(4) var<storage, read> threshold: array<f32>;
@if(!CHECKPOINTS) @group(0) @binding(5) var<storage, read> gain: array<f32>;
@if(CHECKPOINTS) @group(0) @binding(5) var<storage, read> words: array<u32>;
@group(0) @binding(6) var<storage, read_write> gx: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: LifParams;

// What goes from step to step, backwards.
struct Carry {
    a: f32,
    // gh of the step after, whose v[t-1] is this step's v
    gh: f32,
    decay: f32,
    threshold: f32,
    gain: f32,
}

fn neuron_of(c: u32) -> Neuron {
    let n = c % p.neurons;
    var one: Neuron;
    one.decay = p.decay;
    if DECAY != FIXED {
        one.decay = decay[select(n, 0u, DECAY == SCALAR)];
    }
    one.threshold = p.threshold;
    if THRESHOLD != FIXED {
        one.threshold = threshold[select(n, 0u, THRESHOLD == SCALAR)];
    }
    one.gain = p.gain;
    if GAIN == TIED {
        one.gain = 1.0 - one.decay;
    }
    @if(!CHECKPOINTS) {
        if GAIN == SCALAR || GAIN == EACH {
            one.gain = gain[select(n, 0u, GAIN == SCALAR)];
        }
    }
    one.rest = select(0.0, (1.0 - one.decay) * p.v_reset, RESET == RESET_HARD);
    return one;
}

fn held(raw: f32) -> f32 {
    return select(raw, limited(raw, p.low, p.high), CLAMP);
}

fn v_rest() -> f32 {
    return select(0.0, p.v_reset, RESET == RESET_HARD);
}

// Step t, whose elements stand at i: writes gx[i].
fn retreat(one: Neuron, last: Carry, i: u32, raw: f32, s: bool, upstream: f32) -> Carry {
    var to = last;
    let h = held(raw);
    if (LEARN & 1u) != 0u {
        let v = select(h, after_spike(RESET, h, one.threshold, p.v_reset), s);
        to.decay += part(last.gh, v - v_rest());
    }
    let d = surrogate(SURROGATE, p.alpha, h - one.threshold);
    var q = upstream;
    if GRADIENT == FULL && RESET == RESET_HARD {
        q += last.a * (p.v_reset - h);
    }
    if GRADIENT == FULL && RESET == RESET_SOFT {
        q -= last.a * one.threshold;
    }
    // Nothing where nothing comes through the spike, never 0 times the surrogate of a NaN.
    let jumps = GRADIENT == FULL && (RESET == RESET_HARD || RESET == RESET_SOFT);
    let fire = select(0.0, q * d, jumps || (UPSTREAM & 1u) != 0u);
    var gh = fire + select(last.a, 0.0, s && RESET == RESET_HARD);
    if CLAMP {
        gh = keep_nan(raw, select(0.0, gh, raw > p.low && raw < p.high));
    }
    gx[i] = one.gain * gh;
    if (LEARN & 2u) != 0u {
        to.threshold -= fire + select(0.0, last.a, s && RESET == RESET_SOFT);
    }
    if (LEARN & 4u) != 0u {
        to.gain += gh * x[i];
    }
    if (LEARN & 1u) != 0u && GAIN == TIED {
        to.decay -= gh * x[i];
    }
    to.a = select(one.decay * gh, 0.0, GRADIENT == SPATIAL);
    to.gh = gh;
    return to;
}

fn upstream_at(i: u32) -> f32 {
    if (UPSTREAM & 1u) == 0u {
        return 0.0;
    }
    return gs[i];
}

// Step t of column c.
@if(!CHECKPOINTS)
fn walk_one(one: Neuron, c: u32, t: u32, start: Carry) -> Carry {
    let i = t * p.columns + c;
    let raw = saved[i];
    let s = fires(held(raw), one.threshold, STRICT);
    return retreat(one, start, i, raw, s, upstream_at(i));
}

// Steps t + 7 down to t of column c.
@if(!CHECKPOINTS)
fn walk_eight(one: Neuron, c: u32, t: u32, start: Carry) -> Carry {
    let row = p.columns;
    let i = t * row + c;
    var carry = start;
    var raws: array<f32, 8>;
    var ups: array<f32, 8>;
    for (var k = 0u; k < 8u; k++) {
        raws[k] = saved[i + k * row];
        ups[k] = upstream_at(i + k * row);
    }
    for (var j = 0u; j < 8u; j++) {
        let k = 7u - j;
        let s = fires(held(raws[k]), one.threshold, STRICT);
        carry = retreat(one, carry, i + k * row, raws[k], s, ups[k]);
    }
    return carry;
}

// The steps of a chunk of column c, computed again. EVERY divides 32: a chunk lies within a word.
@if(CHECKPOINTS)
fn walk_chunk(one: Neuron, c: u32, chunk: u32, start: Carry) -> Carry {
    let row = p.columns;
    let first = chunk * EVERY;
    let base = first * row + c;
    let word = words[first / 32u * row + c] >> (first % 32u);
    let before = checkpoints[chunk * row + c];
    var carry = start;
    var v = before;
    var raws: array<f32, 32>;
    for (var k = 0u; k < EVERY; k++) {
        if first + k < p.steps {
            let raw = charge(one, v, x[base + k * row]);
            let h = held(raw);
            let s = ((word >> k) & 1u) != 0u;
            v = select(h, after_spike(RESET, h, one.threshold, p.v_reset), s);
            raws[k] = raw;
        }
    }
    for (var j = 0u; j < EVERY; j++) {
        let k = EVERY - 1u - j;
        if first + k < p.steps {
            let i = base + k * row;
            let s = ((word >> k) & 1u) != 0u;
            carry = retreat(one, carry, i, raws[k], s, upstream_at(i));
        }
    }
    if (LEARN & 1u) != 0u {
        carry.decay += part(carry.gh, before - v_rest());
    }
    carry.gh = 0.0;
    return carry;
}

@compute @workgroup_size(WG)
fn lif_backward(at: Group, @builtin(local_invocation_index) local: u32) {
    let c = group_index(at) * WG + local;
    let live = c < p.columns;
    let one = neuron_of(c);
    var carry = Carry(0.0, 0.0, 0.0, 0.0, 0.0);
    if (UPSTREAM & 2u) != 0u && GRADIENT != SPATIAL && live {
        carry.a = sums[c];
    }
    @if(!CHECKPOINTS) {
        var t = p.steps;
        for (; t % 8u != 0u; t--) {
            if live {
                carry = walk_one(one, c, t - 1u, carry);
            }
        }
        for (; t > 0u; t -= 8u) {
            if MARCH && t % 32u == 0u {
                workgroupBarrier();
            }
            if live {
                carry = walk_eight(one, c, t - 8u, carry);
            }
        }
    }
    @if(CHECKPOINTS) {
        for (var chunk = (p.steps + EVERY - 1u) / EVERY; chunk > 0u; chunk--) {
            if MARCH && chunk * EVERY % 32u == 0u {
                workgroupBarrier();
            }
            if live {
                carry = walk_chunk(one, c, chunk - 1u, carry);
            }
        }
    }
    if live {
        store_sums(c, carry);
    }
}

fn store_sums(c: u32, carry: Carry) {
    let row = p.columns;
    sums[c] = carry.a;
    if LEARN != 0u {
        sums[row + c] = carry.decay - select(0.0, part(carry.gh, v_rest()), (LEARN & 1u) != 0u);
        sums[2u * row + c] = carry.threshold;
        sums[3u * row + c] = carry.gain;
        sums[4u * row + c] = carry.gh;
    }
}
