// A linear recurrence over T steps:
//
//     h[t] = lam h[t-1] + gain u[t],   gain = 1 or (TIED) 1 - lam              (shared/decay.wgsl)
//
// u, h: [T, columns]. rate: lam or its logit, [heads], read unless FORM is FIXED. starts:
// [chunks, columns], h before each chunk, read if STATE (else 0). last: if EMIT, h is written and
// last [columns] is h[T-1]; else h is not written and last [chunks, columns] is h at each chunk's end.
// One invocation a column and chunk; h stays in a register; loads go eight steps ahead. MARCH: the
// lanes of a workgroup wait for each other every 32 steps, as in lif_forward.

import package::shared::index::item_index;
import package::shared::decay::{p, Rate, rate_at};

override MARCH: bool = false;
override WG: u32 = select(64u, 256u, MARCH);
override FORM: u32 = 0u;
override TIED: bool = false;
override STATE: bool = false;
override EMIT: bool = true;

@group(0) @binding(0) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read> starts: array<f32>;
@group(0) @binding(3) var<storage, read_write> h: array<f32>;
@group(0) @binding(4) var<storage, read_write> last: array<f32>;

fn advance(one: Rate, before: f32, input: f32) -> f32 {
    let share = select(1.0, one.leak, TIED) * input;
    return one.keep * before + (share - one.drop * before);
}

// `count` steps whose first element stands at `first`; h after them.
fn walk(one: Rate, first: u32, count: u32, start: f32) -> f32 {
    let row = p.columns;
    var now = start;
    var i = first;
    var left = count;
    for (; left >= 8u; left -= 8u) {
        var inputs: array<f32, 8>;
        for (var k = 0u; k < 8u; k++) {
            inputs[k] = u[i + k * row];
        }
        for (var k = 0u; k < 8u; k++) {
            now = advance(one, now, inputs[k]);
            if EMIT {
                h[i + k * row] = now;
            }
        }
        i += 8u * row;
    }
    for (; left > 0u; left--) {
        now = advance(one, now, u[i]);
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
    let item = item_index(group, groups, local, WG);
    let live = item < p.columns * p.chunks;
    let c = item % p.columns;
    let chunk = item / p.columns;
    let one = rate_at(FORM, c);
    let first = chunk * p.chunk;
    let end = min(first + p.chunk, p.steps);
    var now = 0.0;
    if STATE && live {
        now = starts[item];
    }
    for (var done = 0u; done < p.chunk; done += 32u) {
        if MARCH {
            workgroupBarrier();
        }
        let t = first + done;
        if live && t < end {
            now = walk(one, t * p.columns + c, min(32u, end - t), now);
        }
    }
    if live && (!EMIT || end == p.steps) {
        last[select(item, c, EMIT)] = now;
    }
}
