// starts[v] = how many tokens are less than v: where those equal to v begin in the sorted order
//
// tokens: [count]; order: [count], positions of the tokens in ascending order of the tokens (those
// outside the vocabulary last); starts: [vocabulary + 1] output.
// One invocation a start, which halves the order.

import package::shared::index::{At, item_index};

struct Params {
    count: u32,
    vocabulary: u32,
}

@group(0) @binding(0) var<storage, read> tokens: array<u32>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read_write> starts: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn token_starts(at: At) {
    let v = item_index(at, 64u);
    if v > p.vocabulary {
        return;
    }
    var low = 0u;
    var high = p.count;
    while low < high {
        let middle = (low + high) / 2u;
        if tokens[order[middle]] < v {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    starts[v] = low;
}
