// Where the operands of a broadcast operator stand.
//
// Axis k (0 is the innermost) has extent dims[k / 4][k % 4] and likewise a stride in a and in b,
// 0 where that operand is broadcast.

struct Strides {
    dims: array<vec4<u32>, 2>,
    a: array<vec4<u32>, 2>,
    b: array<vec4<u32>, 2>,
}

// The offsets of element i in a and in b. The last of the `rank` axes takes what is left without a
// division.
fn offsets(strides: Strides, rank: u32, i: u32) -> vec2<u32> {
    var s = strides;
    var rest = i;
    var at = vec2(0u);
    for (var k = 0u; k + 1u < rank; k++) {
        let extent = s.dims[k / 4u][k % 4u];
        let next = rest / extent;
        at += (rest - next * extent) * vec2(s.a[k / 4u][k % 4u], s.b[k / 4u][k % 4u]);
        rest = next;
    }
    let last = rank - 1u;
    return at + rest * vec2(s.a[last / 4u][last % 4u], s.b[last / 4u][last % 4u]);
}
