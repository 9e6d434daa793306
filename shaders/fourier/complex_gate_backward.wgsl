// gu = g G of the complex gate, the gate taken as constant; with STE also through g = s_r + s_i - s_r s_i:
// ds_r = (1 - s_i) Re(conj(G) u), ds_i = (1 - s_r) Re(conj(G) u), back through both membranes,
// dv[t] = dh[t+1] (1 - 1/tau), dh[t] = (ds[t] - h[t] dv[t]) s'(h[t]) + dv[t] (1 - s[t]), du = dh / tau
// (arctangent surrogate; with DETACH the reset is a constant, and - h dv falls away)
// with AFFINE gz = weight gu, and sums of gu z and of gu over steps and rows, else gz = gu;
// with RESIDUAL G is scale times the upstream, and the sum of Re(conj(upstream) g u)
//
// z, upstream: [T, columns] pairs; gate: [ceil(T / 32), columns]; affine, scale: as in complex_gate;
// gz: [T, columns] pairs, output; sums: output, with AFFINE [chunks, 2, channels] pairs, for weights and
// shifts, with RESIDUAL [chunks, channels], for scale. What is not used may be bound to anything.
// One invocation a channel and chunk of rows. With STE it goes forward in time first and leaves h in gz, then
// back.

import package::shared::index::{At, item_index};
import package::fourier::gate::{GateParams, charge_both, fires_both};
import package::shared::surrogate::{surrogate, ATAN};

override WG: u32 = 128u;
override STE: bool = false;
override DETACH: bool = false;
override AFFINE: bool = false;
override RESIDUAL: bool = false;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> gate: array<u32>;
@group(0) @binding(2) var<storage, read> upstream: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> affine: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> scale: array<f32>;
@group(0) @binding(5) var<storage, read_write> gz: array<vec2<f32>>;
@group(0) @binding(6) var<storage, read_write> sums: array<f32>;
@group(1) @binding(0) var<uniform> p: GateParams;

// The sums of an invocation.
var<private> of_weight: vec2<f32>;
var<private> of_shift: vec2<f32>;
var<private> of_scale: f32;

fn slope(h: f32) -> f32 {
    return surrogate(ATAN, p.alpha, h - p.threshold);
}

fn gated(at: u32, e: u32) -> vec2<f32> {
    if AFFINE {
        return affine[e] * z[at] + affine[p.channels + e];
    }
    return z[at];
}

fn membranes(c: u32, e: u32) {
    var v: vec2<f32>;
    for (var t = 0u; t < p.steps; t++) {
        let at = t * p.columns + c;
        let h = charge_both(v, gated(at, e), p.gain);
        v = select(h, vec2<f32>(), fires_both(h, p.threshold));
        gz[at] = h;
    }
}

fn column(c: u32, e: u32) {
    if STE {
        membranes(c, e);
    }
    var dh: vec2<f32>;
    for (var back = 0u; back < p.steps; back++) {
        let t = p.steps - 1u - back;
        let at = t * p.columns + c;
        let open = ((gate[t / 32u * p.columns + c] >> (t % 32u)) & 1u) != 0u;
        let u = gated(at, e);
        var g = upstream[at];
        if RESIDUAL {
            of_scale += select(0.0, dot(g, u), open);
            g *= scale[0];
        }
        var value = select(vec2<f32>(), g, open);
        if STE {
            let h = gz[at];
            let s = fires_both(h, p.threshold);
            let dg = dot(g, u);
            var ds = select(vec2<f32>(dg), vec2<f32>(), s.yx);
            let dv = dh * (1.0 - p.gain);
            if !DETACH {
                ds -= h * dv;
            }
            dh = ds * vec2<f32>(slope(h.x), slope(h.y)) + select(dv, vec2<f32>(), s);
            value += dh * p.gain;
        }
        if AFFINE {
            of_weight += value * z[at];
            of_shift += value;
            value *= affine[e];
        }
        gz[at] = value;
    }
}

@compute @workgroup_size(WG)
fn complex_gate_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.chunks * p.channels {
        return;
    }
    let chunk = i / p.channels;
    let e = i - chunk * p.channels;
    let last = min((chunk + 1u) * p.chunk, p.columns / p.channels);
    for (var row = chunk * p.chunk; row < last; row++) {
        column(row * p.channels + e, e);
    }
    if AFFINE {
        let first = 4u * chunk * p.channels + 2u * e;
        sums[first] = of_weight.x;
        sums[first + 1u] = of_weight.y;
        sums[first + 2u * p.channels] = of_shift.x;
        sums[first + 2u * p.channels + 1u] = of_shift.y;
    } else if RESIDUAL {
        sums[i] = of_scale;
    }
}
