// step[0] += 1
//
// step: [1] the step counter, read and written in place.
// One invocation.

override WG: u32 = 1u;

@group(0) @binding(0) var<storage, read_write> step: array<u32>;

@compute @workgroup_size(WG)
fn advance() {
    step[0] += 1u;
}
