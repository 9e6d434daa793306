// part[s, c] = sum over the rows r of piece s of g[r, c] (x[r, c] - x[r - batch, c])
//   x[r - batch] = previous[r] for r < batch if PREVIOUS, else 0
//
// x, g: [rows, channels], rows = steps * batch; previous: [batch, channels]; part: [splits, channels].
// Piece s is rows s * chunk .. (s + 1) * chunk.
// One invocation an element of the parts: neighbours read neighbours in memory.

import package::shared::index::{At, item_index};

struct Params {
    rows: u32,
    channels: u32,
    batch: u32,
    splits: u32,
    chunk: u32,
}

override WG: u32 = 64u;
override PREVIOUS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> previous: array<f32>;
@group(0) @binding(2) var<storage, read> g: array<f32>;
@group(0) @binding(3) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn token_shift_mix(at: At) {
    let out = item_index(at, WG);
    if out >= p.splits * p.channels {
        return;
    }
    let c = out % p.channels;
    let piece = out / p.channels;
    let end = min((piece + 1u) * p.chunk, p.rows);
    // Chains of 32 keep the rounding of many rows small.
    var total = 0.0;
    for (var block = piece * p.chunk; block < end; block += 32u) {
        var sum = 0.0;
        for (var row = block; row < min(block + 32u, end); row++) {
            let i = row * p.channels + c;
            var before = 0.0;
            if row >= p.batch {
                before = x[i - p.batch * p.channels];
            } else if PREVIOUS {
                before = previous[i];
            }
            sum += g[i] * (x[i] - before);
        }
        total += sum;
    }
    part[out] = total;
}
