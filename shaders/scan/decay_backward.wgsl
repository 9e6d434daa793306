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
// grate, if LEARN. UPSTREAM: gh is given (else 0). EMIT: gu and sums are written.
// One invocation a column and chunk; loads go eight steps ahead. MARCH: as in lif_forward.

import package::shared::index::item_index;
import package::shared::decay::{p, Rate, rate_at, decayed, LOGIT};

override MARCH: bool = false;
override WG: u32 = select(64u, 256u, MARCH);
override FORM: u32 = 0u;
override TIED: bool = false;
override STATE: bool = false;
override CARRY: bool = false;
override UPSTREAM: bool = true;
override LEARN: bool = false;
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

// h before step t of column c.
fn state_before(t: u32, c: u32) -> f32 {
    if t > 0u {
        return h[(t - 1u) * p.columns + c];
    }
    if STATE {
        return initial[c];
    }
    return 0.0;
}

fn upstream_at(i: u32) -> f32 {
    if UPSTREAM {
        return gh[i];
    }
    return 0.0;
}

// The step whose elements stand at i. `difference` is what lam was multiplied by.
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

fn walk_one(one: Rate, t: u32, c: u32, start: Carry) -> Carry {
    let i = t * p.columns + c;
    var difference = 0.0;
    if LEARN && EMIT {
        difference = state_before(t, c) - select(0.0, u[i], TIED);
    }
    return retreat(one, start, i, upstream_at(i), difference);
}

// Steps t + 7 down to t.
fn walk_eight(one: Rate, t: u32, c: u32, start: Carry) -> Carry {
    let row = p.columns;
    let i = t * row + c;
    var upstream: array<f32, 8>;
    var difference: array<f32, 8>;
    for (var k = 0u; k < 8u; k++) {
        upstream[k] = upstream_at(i + k * row);
    }
    if LEARN && EMIT {
        for (var k = 0u; k < 8u; k++) {
            difference[k] = u[i + k * row];
        }
        var now = state_before(t, c);
        for (var k = 0u; k < 8u; k++) {
            let input = difference[k];
            difference[k] = now - select(0.0, input, TIED);
            let share = select(1.0, one.leak, TIED) * input;
            now = one.keep * now + (share - one.drop * now);
        }
    }
    var to = start;
    for (var j = 0u; j < 8u; j++) {
        let k = 7u - j;
        to = retreat(one, to, i + k * row, upstream[k], difference[k]);
    }
    return to;
}

// Steps end - 1 down to first.
fn walk(one: Rate, first: u32, end: u32, c: u32, start: Carry) -> Carry {
    var to = start;
    var t = end;
    for (; (t - first) % 8u != 0u; t--) {
        to = walk_one(one, t - 1u, c, to);
    }
    for (; t > first; t -= 8u) {
        to = walk_eight(one, t - 8u, c, to);
    }
    return to;
}

@compute @workgroup_size(WG)
fn decay_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = item_index(group, groups, local, WG);
    let live = item < p.columns * p.chunks;
    let c = item % p.columns;
    let one = rate_at(FORM, c);
    let first = item / p.columns * p.chunk;
    let end = min(first + p.chunk, p.steps);
    var to = Carry(0.0, 0.0);
    if CARRY && live {
        to.c = carry[item];
    }
    for (var left = (p.chunk + 31u) / 32u; left > 0u; left--) {
        if MARCH {
            workgroupBarrier();
        }
        let t = first + (left - 1u) * 32u;
        if live && t < end {
            to = walk(one, t, min(t + 32u, end), c, to);
        }
    }
    if live {
        carry[item] = to.c;
        if LEARN && EMIT {
            sums[item] = select(1.0, one.lam * one.leak, FORM == LOGIT) * to.rate;
        }
    }
}
