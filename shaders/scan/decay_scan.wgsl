// A linear recurrence over T steps:
//
//     h[t] = lam h[t-1] + gain u[t],   gain = 1 or (TIED) 1 - lam              (shared/decay.wgsl)
//
// u, h: [T, columns]. rate: lam or its logit, [heads], read unless FORM is FIXED. starts:
// [chunks, columns], h before each chunk, read if STATE (else 0). last: without EMIT, h is not written
// and last [chunks, columns] is h at each chunk's end; with EMIT, last [columns] is h of the last step.
// Walks (shared/walk.wgsl): h stays in a register; loads go eight steps ahead.

import package::shared::index::group_index;
import package::shared::decay::{p, Rate, rate_at, advance};
import package::shared::walk::{SPAN, STRIDE, Walk, walk_at};

override WG: u32 = 64u;
override FORM: u32 = 0u;
override TIED: bool = false;
override STATE: bool = false;
override EMIT: bool = true;

@group(0) @binding(0) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read> starts: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> last: array<f32>;

// `count` steps whose first element stands at `first`; h after them.
fn steps(one: Rate, first: u32, count: u32, start: f32) -> f32 {
    let row = p.share.columns;
    var now = start;
    var i = first;
    var left = count;
    for (; left >= 8u; left -= 8u) {
        var inputs: array<f32, 8>;
        for (var k = 0u; k < 8u; k++) {
            inputs[k] = u[i + k * row];
        }
        for (var k = 0u; k < 8u; k++) {
            now = advance(one, TIED, now, inputs[k]);
            if EMIT {
                h[i + k * row] = now;
            }
        }
        i += 8u * row;
    }
    for (; left > 0u; left--) {
        now = advance(one, TIED, now, u[i]);
        if EMIT {
            h[i] = now;
        }
        i += row;
    }
    return now;
}

@compute @workgroup_size(WG)
fn decay_scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let item = group_index(group, groups) * WG * p.share.span + local;
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
            let at = walks[m];
            let t = at.first + done;
            if t < at.end {
                let count = min(STRIDE, at.end - t);
                now[m] = steps(rates[m], t * p.share.columns + at.column, count, now[m]);
            }
        }
    }
    for (var m = 0u; m < p.share.span; m++) {
        let at = walks[m];
        if at.end > 0u && !EMIT {
            last[item + m * WG] = now[m];
        } else if at.end == p.share.steps || (at.end > 0u && p.share.chunks == 1u) {
            last[at.column] = now[m];
        }
    }
}
