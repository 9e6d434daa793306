// y[t, n] = m x[t, n] + (1 - m) x[t - 1, n]        m = mix[n mod channels]
//   x[-1, n] = previous[n] if PREVIOUS, else 0
//
// x, y: [steps, lane] items; mix: [channels] items; previous: [lane] items, not read unless PREVIOUS.
// An item is one element, or four (condition VEC).
// One invocation an item.

import package::shared::index::{At, item_index};
import package::shared::item::Item;

struct Params {
    items: u32,
    lane: u32,
    channels: u32,
}

override WG: u32 = 64u;
override PREVIOUS: bool = false;

@group(0) @binding(0) var<storage, read> x: array<Item>;
@group(0) @binding(1) var<storage, read> mix_of: array<Item>;
@group(0) @binding(2) var<storage, read> previous: array<Item>;
@group(0) @binding(3) var<storage, read_write> y: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn token_shift(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    var before = Item();
    if i >= p.lane {
        before = x[i - p.lane];
    } else if PREVIOUS {
        before = previous[i];
    }
    let m = mix_of[i % p.channels];
    y[i] = m * x[i] + (1.0 - m) * before;
}
