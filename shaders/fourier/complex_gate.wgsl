// y[t] = g[t] z[t], g = s_r or s_i, s the spikes of the two membranes that z charges      (shared/gate.wgsl)
//
// z: [T, columns] pairs; y: [T, columns] pairs, output; gate: [ceil(T / 32), columns] output, bit t % 32 of
// word t / 32.
// One invocation a column; the membranes stay in registers, a word is written once.

import package::shared::index::item_index;
import package::shared::gate::{GateParams, charge_both, fires_both};

override WG: u32 = 128u;

@group(0) @binding(0) var<storage, read> z: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> gate: array<u32>;
@group(1) @binding(0) var<uniform> p: GateParams;

@compute @workgroup_size(WG)
fn complex_gate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let c = item_index(group, groups, local, WG);
    if c >= p.columns {
        return;
    }
    var v: vec2<f32>;
    var word = 0u;
    for (var t = 0u; t < p.steps; t++) {
        let at = t * p.columns + c;
        let h = charge_both(v, z[at], p.gain);
        let s = fires_both(h, p.threshold);
        v = h * (1.0 - s);
        let open = max(s.x, s.y);
        y[at] = open * z[at];
        word |= u32(open) << (t % 32u);
        if t % 32u == 31u || t + 1u == p.steps {
            gate[t / 32u * p.columns + c] = word;
            word = 0u;
        }
    }
}
