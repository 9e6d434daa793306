// A linear recurrence over T steps:
//
//     h[t] = lam h[t-1] + gain u[t],   gain = 1 or (TIED) 1 - lam              (scan/decay.wgsl)
//
// u, h: [T, columns]. rate: lam or its logit, [heads], read unless FORM is FIXED. starts:
// [chunks, columns], h before each chunk, read if STATE (else 0). last: without EMIT, h is not written
// and last [chunks, columns] is h at each chunk's end; with EMIT, last [columns] is h of the last step.
// Walks (scan/walk.wgsl): h stays in a register; loads go eight steps ahead.

import package::shared::index::{Group, group_index};
import package::scan::decay::{p, Rate, rate_at, advance};
import package::scan::walk::{SPAN, Walk, walk_at};

override WG: u32 = 64u;
// A multiple of the 8 steps that loads go ahead: see scan/walk.wgsl.
override STRIDE: u32 = 32u;
override FORM: u32 = 0u;
override TIED: bool = false;
override STATE: bool = false;
override EMIT: bool = true;

@group(0) @binding(0) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read> starts: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> last: array<f32>;

// Four inputs, one row apart.
fn inputs(i: u32) -> vec4<f32> {
    let row = p.share.columns;
    return vec4(u[i], u[i + row], u[i + 2u * row], u[i + 3u * row]);
}

// The step whose element stands at i.
fn step(one: Rate, i: u32, before: f32, input: f32) -> f32 {
    let now = advance(one, TIED, before, input);
    if EMIT {
        h[i] = now;
    }
    return now;
}

fn four(one: Rate, i: u32, start: f32, inputs: vec4<f32>) -> f32 {
    let row = p.share.columns;
    var now = step(one, i, start, inputs.x);
    now = step(one, i + row, now, inputs.y);
    now = step(one, i + 2u * row, now, inputs.z);
    return step(one, i + 3u * row, now, inputs.w);
}

// `count` steps whose first element stands at `first`; h after them. Written out, not in loops, whose
// iterations software adapters count.
fn steps(one: Rate, first: u32, count: u32, start: f32) -> f32 {
    let row = p.share.columns;
    var now = start;
    var i = first;
    var left = count;
    for (; left >= 8u; left -= 8u) {
        let early = inputs(i);
        let late = inputs(i + 4u * row);
        now = four(one, i, now, early);
        now = four(one, i + 4u * row, now, late);
        i += 8u * row;
    }
    for (; left > 0u; left--) {
        now = step(one, i, now, u[i]);
        i += row;
    }
    return now;
}

@compute @workgroup_size(WG)
fn decay_scan(at: Group, @builtin(local_invocation_index) local: u32) {
    let item = group_index(at) * WG * p.share.span + local;
    var walks: array<Walk, SPAN>;
    var rates: array<Rate, SPAN>;
    var now: array<f32, SPAN>;
    for (var m = 0u; m < p.share.span; m++) {
        let i = item + m * WG;
        walks[m] = walk_at(i, p.share);
        rates[m] = rate_at(FORM, walks[m].column);
        now[m] = 0.0;
        if STATE && walks[m].end > 0u {
            now[m] = starts[i];
        }
    }
    for (var done = 0u; done < p.share.chunk; done += STRIDE) {
        for (var m = 0u; m < p.share.span; m++) {
            let place = walks[m];
            let t = place.first + done;
            if t < place.end {
                let count = min(STRIDE, place.end - t);
                now[m] = steps(rates[m], t * p.share.columns + place.column, count, now[m]);
            }
        }
    }
    for (var m = 0u; m < p.share.span; m++) {
        let place = walks[m];
        if place.end > 0u && !EMIT {
            last[item + m * WG] = now[m];
        } else if place.end == p.share.steps || (place.end > 0u && p.share.chunks == 1u) {
            last[place.column] = now[m];
        }
    }
}
