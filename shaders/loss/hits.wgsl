// part[i] = number of rows r = i * span .. (i + 1) * span with found[r] = targets[r]
//
// found, targets: [rows]; part: [parts].
// One invocation a part.

import package::shared::index::{At, item_index};

struct Params {
    rows: u32,
    span: u32,
    parts: u32,
}

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> found: array<u32>;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn hits(at: At) {
    let i = item_index(at, WG);
    if i >= p.parts {
        return;
    }
    var count = 0u;
    for (var r = i * p.span; r < min((i + 1u) * p.span, p.rows); r++) {
        count += u32(found[r] == targets[r]);
    }
    part[i] = f32(count);
}
