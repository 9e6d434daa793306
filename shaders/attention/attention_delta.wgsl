// delta[r] = sum over c of go[r, c] o[r, c]
//
// order: rows (attention/gated.wgsl); o: compact rows [B, H, S, quads] of the output; go: its gradient,
// [S, B, H d]; go_rows: open rows of go, compact, channels from d on zero, output; stats: [2, B, H, S],
// of which the second half is output.
// One invocation a query of a head. Silent rows of go are not read.

import package::attention::gated::{p, order, queries_of, open_count, position_of};
import package::shared::index::{At, item_index};

override WG: u32 = 64u;

@group(0) @binding(1) var<storage, read> o: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> go: array<f32>;
@group(0) @binding(3) var<storage, read_write> go_rows: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> stats: array<f32>;

fn channel(row: u32, c: u32) -> f32 {
    if c >= p.width {
        return 0.0;
    }
    return go[row + c];
}

@compute @workgroup_size(WG)
fn attention_delta(at: At) {
    let item = item_index(at, WG);
    let r = item % p.steps;
    let bh = item / p.steps;
    let size = p.batch * p.heads * p.steps;
    if item >= size {
        return;
    }
    let queries = queries_of(bh);
    if r >= open_count(queries) {
        return;
    }
    let row = (position_of(queries, r) * p.batch * p.heads + bh) * p.width;
    var delta = 0.0;
    for (var c = 0u; c < p.quads; c++) {
        let x = vec4<f32>(
            channel(row, 4u * c), channel(row, 4u * c + 1u),
            channel(row, 4u * c + 2u), channel(row, 4u * c + 3u),
        );
        go_rows[item * p.quads + c] = x;
        delta += dot(x, o[item * p.quads + c]);
    }
    stats[size + item] = delta;
}
