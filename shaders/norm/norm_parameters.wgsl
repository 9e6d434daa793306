// part_gain[s, i] = sum over the rows r of piece s of g[r, i] (x[r, i] - m) q
// part_bias[s, i] = sum over them of g[r, i], if BIAS
//
// x, g: [rows, length]; stats: [rows, 3] of s (m - x[r, 0]) (m = 0 if RMS), q / s and s;
// parts: [splits, length].
// Piece s is rows s * chunk .. (s + 1) * chunk.
// One invocation an element of the parts: neighbours read neighbours in memory.

import package::shared::deviation::{deviation, row_of};
import package::shared::index::{At, item_index};

struct Params {
    rows: u32,
    length: u32,
    splits: u32,
    chunk: u32,
}

override WG: u32 = 64u;
override RMS: bool = false;
override BIAS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> stats: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> part_gain: array<f32>;
@group(0) @binding(4) var<storage, read_write> part_bias: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn norm_parameters(at: At) {
    let out = item_index(at, WG);
    if out >= p.splits * p.length {
        return;
    }
    let column = out % p.length;
    let piece = out / p.length;
    let end = min((piece + 1u) * p.chunk, p.rows);
    // Chains of 32 keep the rounding of many rows small.
    var sums = vec2<f32>(0.0);
    for (var block = piece * p.chunk; block < end; block += 32u) {
        var part = vec2<f32>(0.0);
        for (var row = block; row < min(block + 32u, end); row++) {
            let base = row * p.length;
            let pivot = select(x[base], 0.0, RMS);
            let scaled = row_of(pivot, stats[3u * row + 2u]);
            let n = (deviation(x[base + column], scaled) - stats[3u * row]) * stats[3u * row + 1u];
            let gradient = g[base + column];
            part += vec2(gradient * n, gradient);
        }
        sums += part;
    }
    part_gain[out] = sums.x;
    if BIAS {
        part_bias[out] = sums.y;
    }
}
