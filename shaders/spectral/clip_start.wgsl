// m0 = m1 = p I + q S                                              for each matrix, (p, q) = start[e]
//
// s, m0, m1: [entries, m, m / 4] vectors of four; start: [entries] pairs. Both outputs are written,
// for matrices whose first iteration is an even or an odd one (BOTH); else m0 alone.
// One invocation a vector.

import package::shared::index::item_index;

struct Params {
    entries: u32,
    m: u32,
}

override WG: u32 = 64u;
override BOTH: bool = false;

@group(0) @binding(0) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> start: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> m0: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> m1: array<vec4<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn clip_start(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = item_index(group, groups, local, WG);
    let quads = p.m / 4u;
    if i >= p.entries * p.m * quads {
        return;
    }
    let pair = start[i / (p.m * quads)];
    let row = i / quads % p.m;
    let col = 4u * (i % quads);
    let diagonal = vec4<u32>(col, col + 1u, col + 2u, col + 3u) == vec4<u32>(row);
    let v = pair.y * s[i] + select(vec4<f32>(0.0), vec4<f32>(pair.x), diagonal);
    m0[i] = v;
    if BOTH {
        m1[i] = v;
    }
}
