// over i < count with indices[i] = t, where PADDED not those of t = padding:
//   share[0] = 1 / max(1, number of t < below)
//   note = (site, i, t, below) of the first t >= below, if there is one and nothing was noted before;
//   with FRESH, what was noted before is forgotten
//
// indices: [count]; note: [4]; share: [1].
// One workgroup, each invocation every 256th index.

struct Params {
    count: u32,
    below: u32,
    padding: u32,
    site: u32,
}

override PADDED: bool = false;
override FRESH: bool = false;

@group(0) @binding(0) var<storage, read> indices: array<u32>;
@group(0) @binding(1) var<storage, read_write> note: array<u32>;
@group(0) @binding(2) var<storage, read_write> share: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> places: array<u32, 256>;
var<workgroup> counts: array<u32, 256>;

@compute @workgroup_size(256)
fn check_indices(@builtin(local_invocation_index) local: u32) {
    var place = 0xffffffffu;
    var count = 0u;
    // Blocks, so that no loop takes as many iterations as a software adapter allows at the most.
    for (var block = local; block < p.count; block += 65536u) {
        for (var i = block; i < min(block + 65536u, p.count); i += 256u) {
            let t = indices[i];
            if t < p.below {
                count += u32(!(PADDED && t == p.padding));
            } else if !(PADDED && t == p.padding) {
                place = min(place, i);
            }
        }
    }
    places[local] = place;
    counts[local] = count;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if local < half {
            places[local] = min(places[local], places[local + half]);
            counts[local] += counts[local + half];
        }
    }
    if local == 0u {
        share[0] = 1.0 / f32(max(counts[0], 1u));
        if FRESH {
            for (var k = 0u; k < 4u; k++) {
                note[k] = 0u;
            }
        }
        if places[0] != 0xffffffffu && note[0] == 0u {
            note[0] = p.site;
            note[1] = places[0];
            note[2] = indices[places[0]];
            note[3] = p.below;
        }
    }
}
