// w[k, n] = v[k, n] length[n] / norm[n], norm[n] = sqrt(sum_k v[k, n]^2)
//
// v, w: [K, N], w output; length: [N]; norm: [2, N] output: norms of the columns times s, and s: 1, or the
// power of two that brings a column to where its squares keep their bits.
// One invocation a column, or one workgroup with the condition WORKGROUP.

import package::shared::finite::root_of;
import package::shared::index::{Group, group_index};
import package::shared::reduce::{LANES, RANGE, Place, row_max, row_sum};
import package::shared::squares::to_middle;

struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<storage, read> v: array<f32>;
@group(0) @binding(1) var<storage, read> length_of: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// The sum of the squares of a lane's elements times s, and the largest of them. Two chains of sums: half
// the rounding of one. A component chosen by number is no place to add to: FXC would unroll the loop, and
// cannot.
fn squares_of(n: u32, first: u32, s: f32) -> vec2<f32> {
    var sums: vec2<f32>;
    var size = 0.0;
    for (var k = first; k < p.rows; k += LANES) {
        let value = s * v[k * p.columns + n];
        let square = value * value;
        sums += select(vec2<f32>(square, 0.0), vec2<f32>(0.0, square), k / LANES % 2u == 1u);
        size = max(size, abs(value));
    }
    return vec2<f32>(sums.x + sums.y, size);
}

@compute @workgroup_size(RANGE)
fn weight_norm(at: Group, @builtin(local_invocation_index) local: u32) {
    let start = Place(local, 0u, 0u, 0u);
    @if(WORKGROUP) let n = group_index(at);
    @if(!WORKGROUP) let n = group_index(at) * RANGE + local;
    let first = local % LANES;
    if n >= p.columns {
        return;
    }
    var squares = squares_of(n, first, 1.0);
    let s = to_middle(row_max(squares.y, start));
    if s != 1.0 {
        squares = squares_of(n, first, s);
    }
    let size = root_of(row_sum(squares.x, start));
    if first == 0u {
        norm[n] = size;
        norm[p.columns + n] = s;
    }
    // A column of zeros stays one.
    let inverse = 1.0 / select(size, 1.0, size == 0.0);
    for (var k = first; k < p.rows; k += LANES) {
        w[k * p.columns + n] = length_of[n] * (s * v[k * p.columns + n] * inverse);
    }
}
