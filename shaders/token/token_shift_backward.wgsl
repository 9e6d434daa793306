// gx[t, n] = m g[t, n] + (1 - m) g[t + 1, n]       m = mix[n mod channels], g[steps] = 0
// gprevious[n] = (1 - m) g[0, n], if PREVIOUS
//
// mix: [channels] items; g, gx: [steps, lane] items; gprevious: [lane] items.
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

@group(0) @binding(0) var<storage, read> mix_of: array<Item>;
@group(0) @binding(1) var<storage, read> g: array<Item>;
@group(0) @binding(2) var<storage, read_write> gx: array<Item>;
@group(0) @binding(3) var<storage, read_write> gprevious: array<Item>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn token_shift_backward(at: At) {
    let i = item_index(at, WG);
    if i >= p.items {
        return;
    }
    let m = mix_of[i % p.channels];
    var sum = m * g[i];
    if i + p.lane < p.items {
        sum += (1.0 - m) * g[i + p.lane];
    }
    gx[i] = sum;
    if PREVIOUS {
        if i < p.lane {
            gprevious[i] = (1.0 - m) * g[i];
        }
    }
}
