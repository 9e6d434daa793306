// gz = g G of the complex gate, the gate taken as constant; with STE also through g = s_r + s_i - s_r s_i:
// ds_r = (1 - s_i) Re(conj(G) z), ds_i = (1 - s_r) Re(conj(G) z), back through both membranes,
// dv[t] = dh[t+1] (1 - 1/tau), dh[t] = (ds[t] - h[t] dv[t]) s'(h[t]) + dv[t] (1 - s[t]), dx = dh / tau
// (arctangent surrogate; with DETACH the reset is a constant, and - h dv falls away)
//
// z, upstream: [T, columns] pairs; gate: [ceil(T / 32), columns]; gz: [T, columns] pairs, output.
// One invocation a column. With STE it goes forward in time first and leaves h in gz, then back.

import package::shared::index::item_index;
import package::shared::gate::{GateParams, charge_both, fires_both};
import package::shared::surrogate::{surrogate, ATAN};

override WG: u32 = 128u;
override STE: bool = false;
override DETACH: bool = false;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read> gate: array<u32>;
@group(0) @binding(2) var<storage, read> upstream: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> gz: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: GateParams;

fn slope(h: f32) -> f32 {
    return surrogate(ATAN, p.alpha, h - p.threshold);
}

fn membranes(c: u32) {
    var v: vec2<f32>;
    for (var t = 0u; t < p.steps; t++) {
        let at = t * p.columns + c;
        let h = charge_both(v, z[at], p.gain);
        v = h * (1.0 - fires_both(h, p.threshold));
        gz[at] = h;
    }
}

@compute @workgroup_size(WG)
fn complex_gate_backward(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let c = item_index(group, groups, local, WG);
    if c >= p.columns {
        return;
    }
    if STE {
        membranes(c);
    }
    var dh: vec2<f32>;
    for (var back = 0u; back < p.steps; back++) {
        let t = p.steps - 1u - back;
        let at = t * p.columns + c;
        let open = f32((gate[t / 32u * p.columns + c] >> (t % 32u)) & 1u);
        let g = upstream[at];
        var value = open * g;
        if STE {
            let h = gz[at];
            let s = fires_both(h, p.threshold);
            let dg = dot(g, z[at]);
            var ds = dg * (1.0 - s.yx);
            let dv = dh * (1.0 - p.gain);
            if !DETACH {
                ds -= h * dv;
            }
            dh = ds * vec2<f32>(slope(h.x), slope(h.y)) + dv * (1.0 - s);
            value += dh * p.gain;
        }
        gz[at] = value;
    }
}
