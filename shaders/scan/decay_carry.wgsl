// From what each chunk of a linear recurrence leaves to what each starts from, in place:
//
//     x[0] = initial,   x[i] = lam^length x[i-1] + left[i-1]
//
// or, REVERSE, from the last chunk to the first. All chunks but the last are equally long.
//
// initial: [columns], read if STATE (else 0). rate: as in decay_scan. carry: [chunks, columns], left
// in, x out.
// One invocation a column; loads go eight chunks ahead.

import package::shared::index::{At, item_index};
import package::scan::decay::{p, value_at, decay_over};

override WG: u32 = 64u;
override FORM: u32 = 0u;
override STATE: bool = false;
override REVERSE: bool = false;

@group(0) @binding(0) var<storage, read> initial: array<f32>;
@group(0) @binding(2) var<storage, read_write> carry: array<f32>;

// The chunk that is reached after i others.
fn place(i: u32) -> u32 {
    return select(i, p.share.chunks - 1u - i, REVERSE);
}

@compute @workgroup_size(WG)
fn decay_carry(at: At) {
    let c = item_index(at, WG);
    if c >= p.share.columns {
        return;
    }
    let value = value_at(FORM, c);
    let whole = decay_over(FORM, value, p.share.chunk);
    // Only a reverse scan goes on from the last chunk, the one that may be shorter.
    let short = decay_over(FORM, value, p.share.steps - (p.share.chunks - 1u) * p.share.chunk);
    var x = 0.0;
    if STATE {
        x = initial[c];
    }
    for (var i = 0u; i < p.share.chunks; i += 8u) {
        let count = min(8u, p.share.chunks - i);
        var left: array<f32, 8>;
        for (var k = 0u; k < 8u; k++) {
            left[k] = carry[place(i + min(k, count - 1u)) * p.share.columns + c];
        }
        for (var k = 0u; k < 8u; k++) {
            if k < count {
                carry[place(i + k) * p.share.columns + c] = x;
                x = select(whole, short, REVERSE && i + k == 0u) * x + left[k];
            }
        }
    }
}
