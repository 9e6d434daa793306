// X_k = (Z_k + conj Z_{M-k}) / 2 - i exp(-2 pi i k / N) (Z_k - conj Z_{M-k}) / 2, k = 0 ..= M
// (spectrum.wgsl: writes)
//
// x: [lines, M] complex, the transforms of the M = N / 2 pairs of real lines; y: half spectra;
// table: half a circle of roots. What follows two passes over long lines.
// One invocation a bin; neighbours in y are neighbours here.

import package::shared::index::{At, item_index};
import package::fourier::spectrum::{p, read_complex, split, store, HALF_PAIRS};

override WG: u32 = 256u;

@compute @workgroup_size(WG)
fn fft_split(at: At) {
    let item = item_index(at, WG);
    let bins = p.count + 1u;
    if item >= p.lines * bins {
        return;
    }
    let inner = item % p.store_inner;
    let i = item / p.store_inner % bins;
    let line = item / p.store_inner / bins * p.store_inner + inner;
    let z = read_complex(line, select(i, 0u, i == p.count));
    let mirror = read_complex(line, select(p.count - i, 0u, i == 0u));
    store(HALF_PAIRS, line, 0u, i, split(i, z, mirror));
}
