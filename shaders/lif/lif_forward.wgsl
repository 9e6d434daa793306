// A leaky integrate-and-fire neuron over all T steps in one launch:
//
//     h[t] = clamp(decay v[t-1] + (1 - decay) v_rest + gain x[t])
//     s[t] = [h[t] >= threshold],   v[t] = reset(h[t], s[t])            (lif/membrane.wgsl)
//
// x: [T, columns]; column c is neuron c % neurons. decay, threshold, gain: [1] or [neurons], read
// only in the forms SCALAR and EACH. state: [columns], v[-1] in (if STATE), v[T-1] out. save: the
// membrane before the clamp [T, columns] (SAVE = 1), or v before every EVERY-th step
// [ceil(T / EVERY), columns] (SAVE = 2). spikes: [T, columns], 0 or 1. words: [ceil(T / 32), columns],
// bit t % 32 of word t / 32.
// One invocation a column; v stays in a register; loads, which do not depend on v, go eight steps
// ahead; a word is written once. MARCH: the lanes of a workgroup wait for each other every 32 steps.
// A software adapter would take a few lanes through all steps before the next, and lose the caches.

import package::shared::finite::limited;
import package::shared::index::{Group, group_index};
import package::lif::membrane::{
    LifParams, Neuron, charge, fires, after_spike, RESET_HARD, TIED
};
import package::shared::forms::{FIXED, SCALAR};

override MARCH: bool = false;
override WG: u32 = select(128u, 256u, MARCH);
override RESET: u32 = 2u;
override STRICT: bool = false;
override CLAMP: bool = false;
override STATE: bool = false;
override SAVE: u32 = 0u;
override EVERY: u32 = 16u;
override DECAY: u32 = 0u;
override THRESHOLD: u32 = 0u;
override GAIN: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> decay: array<f32>;
@group(0) @binding(2) var<storage, read> threshold: array<f32>;
@group(0) @binding(3) var<storage, read> gain: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;
@group(0) @binding(5) var<storage, read_write> save: array<f32>;
@if(!DENSE) @group(0) @binding(6) var<storage, read_write> words: array<u32>;
@if(DENSE) @group(0) @binding(6) var<storage, read_write> spikes: array<f32>;
@if(DENSE && PACKED) @group(0) @binding(7) var<storage, read_write> words: array<u32>;
@group(1) @binding(0) var<uniform> p: LifParams;

// The membrane after a step, or some, and the spikes of it.
struct Step {
    v: f32,
    spikes: u32,
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
    } else if GAIN != FIXED {
        one.gain = gain[select(n, 0u, GAIN == SCALAR)];
    }
    one.rest = select(0.0, (1.0 - one.decay) * p.v_reset, RESET == RESET_HARD);
    return one;
}

// The step whose elements stand at i.
fn advance(one: Neuron, i: u32, v: f32, input: f32) -> Step {
    let raw = charge(one, v, input);
    if SAVE == 1u {
        save[i] = raw;
    }
    let h = select(raw, limited(raw, p.low, p.high), CLAMP);
    let s = fires(h, one.threshold, STRICT);
    @if(DENSE) {
        spikes[i] = select(0.0, 1.0, s);
    }
    let reset = after_spike(RESET, h, one.threshold, p.v_reset);
    return Step(select(h, reset, s), select(0u, 1u, s));
}

// Saves the membrane before step t, if it is one of those that are.
fn checkpoint(c: u32, t: u32, v: f32) {
    if SAVE == 2u && t % EVERY == 0u {
        save[t / EVERY * p.columns + c] = v;
    }
}

// Steps first .. end of column c; the membrane after them, and their spikes as a word.
fn walk(one: Neuron, c: u32, first: u32, end: u32, start: f32) -> Step {
    let row = p.columns;
    var v = start;
    var word = 0u;
    var i = first * row + c;
    var t = first;
    for (; t + 8u <= end; t += 8u) {
        var inputs: array<f32, 8>;
        var eight = 0u;
        for (var k = 0u; k < 8u; k++) {
            inputs[k] = x[i + k * row];
        }
        for (var k = 0u; k < 8u; k++) {
            // t is a multiple of 8: most of these are known to be false.
            if k % EVERY == 0u {
                checkpoint(c, t + k, v);
            }
            let step = advance(one, i + k * row, v, inputs[k]);
            v = step.v;
            eight |= step.spikes << k;
        }
        word |= eight << (t % 32u);
        i += 8u * row;
    }
    for (; t < end; t++) {
        checkpoint(c, t, v);
        let step = advance(one, i, v, x[i]);
        v = step.v;
        word |= step.spikes << (t % 32u);
        i += row;
    }
    return Step(v, word);
}

@compute @workgroup_size(WG)
fn lif_forward(at: Group, @builtin(local_invocation_index) local: u32) {
    let c = group_index(at) * WG + local;
    let live = c < p.columns;
    let one = neuron_of(c);
    var v = 0.0;
    if STATE && live {
        v = state[c];
    }
    for (var first = 0u; first < p.steps; first += 32u) {
        if MARCH {
            workgroupBarrier();
        }
        if live {
            let walked = walk(one, c, first, min(first + 32u, p.steps), v);
            v = walked.v;
            @if(PACKED) {
                words[first / 32u * p.columns + c] = walked.spikes;
            }
        }
    }
    if live {
        state[c] = v;
    }
}
