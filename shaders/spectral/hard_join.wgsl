// y = x where no singular value is above the radius, else c O + T / s, as x lies      for each matrix
//
// x, y: [entries, rows, cols]; o, t: [.., m, n], wide, of which `rows` and `cols` are not padding; stats:
// [.., 4] of `matrix_scale`: (s, .., .., c); above: the same of the projector I - Q, (s, ||s (I - Q)||,
// .., ..): nothing is above where its norm is below a half. TALL: x is the transpose of what is wide.
// A matrix that is not finite (s = 0) becomes zeros.
// One invocation an element.

import package::shared::index::{At, item_index};

struct Params {
    entries: u32,
    rows: u32,
    cols: u32,
    m: u32,
    n: u32,
    first: u32,
}

override WG: u32 = 64u;
override TALL: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> o: array<f32>;
@group(0) @binding(2) var<storage, read> t: array<f32>;
@group(0) @binding(3) var<storage, read> stats: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> above: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn hard_join(at: At) {
    let i = item_index(at, WG);
    if i >= p.entries * p.rows * p.cols {
        return;
    }
    let e = p.first + i / (p.rows * p.cols);
    let row = i / p.cols % p.rows;
    let col = i % p.cols;
    let place = (e * p.m + select(row, col, TALL)) * p.n + select(col, row, TALL);
    let fact = stats[e];
    var value = 0.0;
    if fact.x != 0.0 {
        if above[e].y < 0.5 * above[e].x {
            value = x[i];
        } else {
            value = fact.w * o[place] + t[place] / fact.x;
        }
    }
    y[i] = value;
}
