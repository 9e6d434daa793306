// Backward of decay_scan, from the last step to the first. With c = the gradient of h[t] through
// h[t+1], which is dL/dh[T-1] of the last state at first:
//
//     a = gh[t] + c,   gu[t] = gain a,   grate += a (h[t-1] - [TIED] u[t]),   c <- lam a
//
// and for a LOGIT grate lam (1 - lam) in the end.
//
// gh, gu: [T, columns]. rate: as in decay_scan. u: [T, columns], read if LEARN. h: [T, columns],
// whose every eighth row is read if LEARN: the rows between are computed again. initial: [columns],
// h[-1], read if LEARN and STATE. carry: [chunks, columns], c before each chunk's last step in
// (if CARRY; else 0), and after its first out; chunk 0 leaves dL/dh[-1]. sums: [chunks, columns],
// grate, if LEARN; added to what they hold if MORE. UPSTREAM: gh is given (else 0). EMIT: gu and sums
// are written.
// Walks (scan/walk.wgsl): c stays in a register; loads go eight steps ahead.

import package::shared::index::{Group, group_index};
import package::scan::decay::{p, Rate, rate_at, advance, decayed, LOGIT};
import package::scan::walk::{SPAN, Walk, walk_at};

override WG: u32 = 64u;
// A multiple of the 8 steps that loads go ahead: see scan/walk.wgsl.
override STRIDE: u32 = 32u;
override FORM: u32 = 0u;
override TIED: bool = false;
override STATE: bool = false;
override CARRY: bool = false;
override UPSTREAM: bool = true;
override LEARN: bool = false;
override MORE: bool = false;
override EMIT: bool = true;

@group(0) @binding(0) var<storage, read> gh: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> h: array<f32>;
@group(0) @binding(4) var<storage, read> initial: array<f32>;
@group(0) @binding(5) var<storage, read_write> gu: array<f32>;
@group(0) @binding(6) var<storage, read_write> carry: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

// What goes from step to step, backwards.
struct Carry {
    c: f32,
    rate: f32,
}

// What the launches before left of sum i.
fn before(i: u32) -> f32 {
    if MORE {
        return sums[i];
    }
    return 0.0;
}

// h before the step whose element stands at i.
fn state_before(i: u32) -> f32 {
    if i >= p.share.columns {
        return h[i - p.share.columns];
    }
    if STATE {
        return initial[i];
    }
    return 0.0;
}

fn upstream_at(i: u32) -> f32 {
    if UPSTREAM {
        return gh[i];
    }
    return 0.0;
}

// The step whose elements stand at i. `difference` is what a change of lam is multiplied by.
fn retreat(one: Rate, last: Carry, i: u32, upstream: f32, difference: f32) -> Carry {
    var to = last;
    let a = upstream + last.c;
    if EMIT {
        gu[i] = select(1.0, one.leak, TIED) * a;
        if LEARN {
            to.rate += a * difference;
        }
    }
    to.c = decayed(one, a);
    return to;
}

fn one_step(one: Rate, i: u32, start: Carry) -> Carry {
    var difference = 0.0;
    if LEARN && EMIT {
        difference = state_before(i) - select(0.0, u[i], TIED);
    }
    return retreat(one, start, i, upstream_at(i), difference);
}

// The eight steps whose first element stands at i.
fn eight_steps(one: Rate, i: u32, start: Carry) -> Carry {
    let row = p.share.columns;
    var upstream: array<f32, 8>;
    var difference: array<f32, 8>;
    for (var k = 0u; k < 8u; k++) {
        upstream[k] = upstream_at(i + k * row);
    }
    if LEARN && EMIT {
        for (var k = 0u; k < 8u; k++) {
            difference[k] = u[i + k * row];
        }
        var now = state_before(i);
        for (var k = 0u; k < 8u; k++) {
            let input = difference[k];
            difference[k] = now - select(0.0, input, TIED);
            now = advance(one, TIED, now, input);
        }
    }
    var to = start;
    for (var j = 0u; j < 8u; j++) {
        let k = 7u - j;
        to = retreat(one, to, i + k * row, upstream[k], difference[k]);
    }
    return to;
}

// The last of `count` steps down to the first, whose element stands at `first`.
fn steps(one: Rate, first: u32, count: u32, start: Carry) -> Carry {
    var to = start;
    var left = count;
    for (; left % 8u != 0u; left--) {
        to = one_step(one, first + (left - 1u) * p.share.columns, to);
    }
    for (; left > 0u; left -= 8u) {
        to = eight_steps(one, first + (left - 8u) * p.share.columns, to);
    }
    return to;
}

@compute @workgroup_size(WG)
fn decay_backward(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at) * WG * p.share.span + local;
    var walks: array<Walk, SPAN>;
    var rates: array<Rate, SPAN>;
    var carries: array<Carry, SPAN>;
    for (var m = 0u; m < p.share.span; m++) {
        let i = item + m * WG;
        walks[m] = walk_at(i, p.share);
        rates[m] = rate_at(FORM, walks[m].column);
        carries[m] = Carry(0.0, 0.0);
        if CARRY && walks[m].end > 0u {
            carries[m].c = carry[i];
        }
    }
    for (var left = (p.share.chunk + STRIDE - 1u) / STRIDE; left > 0u; left--) {
        for (var m = 0u; m < p.share.span; m++) {
            let place = walks[m];
            let t = place.first + (left - 1u) * STRIDE;
            if t < place.end {
                let count = min(STRIDE, place.end - t);
                carries[m] = steps(rates[m], t * p.share.columns + place.column, count, carries[m]);
            }
        }
    }
    for (var m = 0u; m < p.share.span; m++) {
        if walks[m].end > 0u {
            let i = item + m * WG;
            carry[i] = carries[m].c;
            if LEARN && EMIT {
                let one = rates[m];
                let lam = one.keep - one.drop;
                let sum = select(1.0, lam * one.leak, FORM == LOGIT) * carries[m].rate;
                sums[i] = sum + before(i);
            }
        }
    }
}
