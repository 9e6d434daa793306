// Gradients of mix_diag: ga_k = go_k 1[o_k > 0], gw_k = sum_rows ga_k conj(o_{k-1}), gb_k = sum_rows ga_k,
// go_k = g 1[o_k > threshold] + ga_{k+1} conj(w_{k+1}), gx = g + ga_1 conj(w_1)
//
// x, e, w: as in mix_diag; g: [rows, E] pairs; gx: [rows, E] pairs, output (unless SKIP_X; then it may be
// bound to anything); gw: [chunks, 13, E] output: sums over the rows of a chunk, of the 12 rows of w, then
// of e (if OUTER).
// One invocation a channel and chunk of rows: layers are computed again in registers.

import package::shared::index::{At, item_index};
import package::shared::complex::cmul_conj;
import package::fourier::graph::{Layer, layers, reached};

struct Params {
    rows: u32,
    channels: u32,
    threshold: f32,
    // Rows of a chunk.
    chunk: u32,
    chunks: u32,
}

override WG: u32 = 64u;
override OUTER: bool = false;
override SKIP_X: bool = false;

@group(0) @binding(0) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> g: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> gx: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> gw: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn layer_of(k: u32, c: u32) -> Layer {
    let at = 4u * k * p.channels + c;
    return Layer(
        vec2<f32>(w[at], w[at + p.channels]),
        vec2<f32>(w[at + 2u * p.channels], w[at + 3u * p.channels]),
    );
}

fn write(at: u32, l: Layer) {
    gw[at] = l.w.x;
    gw[at + p.channels] = l.w.y;
    gw[at + 2u * p.channels] = l.b.x;
    gw[at + 3u * p.channels] = l.b.y;
}

@compute @workgroup_size(WG)
fn mix_diag_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.channels * p.chunks {
        return;
    }
    let chunk = i / p.channels;
    let c = i - chunk * p.channels;
    let l1 = layer_of(0u, c);
    let l2 = layer_of(1u, c);
    let l3 = layer_of(2u, c);
    var scale = 1.0;
    if OUTER {
        scale = e[c];
    }
    var g1: Layer;
    var g2: Layer;
    var g3: Layer;
    var ge = 0.0;
    for (var row = chunk * p.chunk; row < min(p.rows, (chunk + 1u) * p.chunk); row++) {
        let place = row * p.channels + c;
        var s: vec2<f32>;
        if OUTER {
            s = x[row];
        } else {
            s = x[place];
        }
        let v = scale * s;
        let o = layers(v, l1, l2, l3);
        let up = g[place];
        let a3 = reached(o.c, up, vec2<f32>(), p.threshold);
        let a2 = reached(o.b, up, cmul_conj(a3, l3.w), p.threshold);
        let a1 = reached(o.a, up, cmul_conj(a2, l2.w), p.threshold);
        let gv = up + cmul_conj(a1, l1.w);
        if !SKIP_X {
            gx[place] = gv;
        }
        g3 = Layer(g3.w + cmul_conj(a3, o.b), g3.b + a3);
        g2 = Layer(g2.w + cmul_conj(a2, o.a), g2.b + a2);
        g1 = Layer(g1.w + cmul_conj(a1, v), g1.b + a1);
        ge += dot(s, gv);
    }
    let first = 13u * chunk * p.channels + c;
    write(first, g1);
    write(first + 4u * p.channels, g2);
    write(first + 8u * p.channels, g3);
    gw[first + 12u * p.channels] = ge;
}
