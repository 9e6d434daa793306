// Sums over a batch, of columns c = b neurons + n: one a neuron (over b), or a single one (over all).
//
// A workgroup is 32 neurons by 8 rows of the batch, or, for a single sum, 256 lanes over all columns; each
// lane adds its share in order, then a fixed tree.

var<workgroup> partial: array<f32, 256>;

// The columns begin, begin + stride, … below end that a lane adds for the sum `place`.
struct Share {
    place: u32,
    begin: u32,
    end: u32,
    stride: u32,
}

fn share_of(tile: u32, local: u32, columns: u32, neurons: u32, single: bool) -> Share {
    if single {
        return Share(0u, local, select(0u, columns, tile == 0u), 256u);
    }
    let n = tile * 32u + local % 32u;
    return Share(n, local / 32u * neurons + n, select(0u, columns, n < neurons), 8u * neurons);
}

// The sum of all lanes of a place, in the lane that writes it.
fn sum_of_lanes(total: f32, local: u32, single: bool) -> f32 {
    partial[local] = total;
    let last = select(32u, 1u, single);
    for (var half = 128u; half >= last; half /= 2u) {
        workgroupBarrier();
        if local < half {
            partial[local] += partial[local + half];
        }
    }
    return partial[local];
}

fn writes(share: Share, local: u32, single: bool) -> bool {
    return share.end != 0u && local < select(32u, 1u, single);
}
