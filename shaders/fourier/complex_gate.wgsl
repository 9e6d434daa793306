// y[t] = g[t] u[t], g = s_r or s_i, s the spikes of the two membranes that u charges      (fourier/gate.wgsl)
// with AFFINE u = weight z + shift, real and imaginary part by themselves, else u = z;
// with RESIDUAL y[t] = base[t] + scale g[t] u[t]
//
// z, base, y: [T, columns] pairs, columns = rows of channels; affine: [2, channels] pairs, weights before
// shifts; scale: one number; gate: [ceil(T / 32), columns] output, bit t % 32 of word t / 32. What is not used
// may be bound to anything.
// One invocation a column; the membranes stay in registers, a word is written once.

import package::shared::index::{At, item_index};
import package::fourier::gate::{GateParams, charge_both, fires_both};

override WG: u32 = 128u;
override AFFINE: bool = false;
override RESIDUAL: bool = false;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> affine: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> base: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> gate: array<u32>;
@group(1) @binding(0) var<uniform> p: GateParams;

@compute @workgroup_size(WG)
fn complex_gate(at: At) {
    let c = item_index(at, WG);
    if c >= p.columns {
        return;
    }
    let e = c % p.channels;
    var v: vec2<f32>;
    var word = 0u;
    for (var t = 0u; t < p.steps; t++) {
        let first = t * p.columns + c;
        var u = z[first];
        if AFFINE {
            u = affine[e] * u + affine[p.channels + e];
        }
        let h = charge_both(v, u, p.gain);
        let s = fires_both(h, p.threshold);
        v = select(h, vec2<f32>(), s);
        let open = s.x || s.y;
        let passed = select(vec2<f32>(), u, open);
        if RESIDUAL {
            y[first] = base[first] + scale[0] * passed;
        } else {
            y[first] = passed;
        }
        word |= u32(open) << (t % 32u);
        if t % 32u == 31u || t + 1u == p.steps {
            gate[t / 32u * p.columns + c] = word;
            word = 0u;
        }
    }
}
