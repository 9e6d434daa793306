// m0 = m1 = p I + q S,  first = u I + v S + w S S              for each matrix
//
// s, squares (S S), m0, m1, first: [entries, m, m / 4] vectors of four; the last three f32, or f16
// (HALF_OUT); start: [entries, 2] vectors (p, q, ..), (u, v, w, ..). Both m0 and m1 are written for
// matrices whose first iteration is an even or an odd one (BOTH); else m0 alone. `first` with QUINTIC.
// What a launch does not use may be bound to anything.
// One invocation a vector.

import package::shared::index::{At, item_index};
import package::spectral::quad::{Outcome, stored};

struct Params {
    entries: u32,
    m: u32,
}

override WG: u32 = 64u;
override BOTH: bool = false;
override QUINTIC: bool = false;

@group(0) @binding(0) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> squares: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> start: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> m0: array<Outcome>;
@group(0) @binding(4) var<storage, read_write> m1: array<Outcome>;
@group(0) @binding(5) var<storage, read_write> first: array<Outcome>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn clip_start(at: At) {
    let i = item_index(at, WG);
    let quads = p.m / 4u;
    if i >= p.entries * p.m * quads {
        return;
    }
    let e = i / (p.m * quads);
    let row = i / quads % p.m;
    let col = 4u * (i % quads);
    let diagonal = vec4<u32>(col, col + 1u, col + 2u, col + 3u) == vec4<u32>(row);
    let eye = select(vec4<f32>(0.0), vec4<f32>(1.0), diagonal);
    let begin = start[2u * e];
    let v = begin.x * eye + begin.y * s[i];
    m0[i] = stored(v);
    if BOTH {
        m1[i] = stored(v);
    }
    if QUINTIC {
        let q = start[2u * e + 1u];
        first[i] = stored(q.x * eye + q.y * s[i] + q.z * squares[i]);
    }
}
