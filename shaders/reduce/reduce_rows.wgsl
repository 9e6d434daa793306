// y[o, s] = finish( fold over k in piece s of term(x[o, k]) )
//   fold: sum, max or min (OP); term: x, x^2, (x - center[o])^2 or (x - center[o, k])^2 (TERM);
//   finish: divide by `divisor`, then the square root if ROOT.
//
// x: [outer, length]; center: [outer] or [outer, length], not read by the first two terms;
// y: [outer, splits]. Piece s is elements s * chunk .. (s + 1) * chunk of a row.
// One workgroup a piece: each invocation folds every 256th element in four short chains, then a tree.

import package::shared::finite::{greatest, root_of};
import package::shared::index::{Group, group_index};
import package::shared::reduce::{WIDTH, Place, tree_sum, tree_max};

struct Params {
    outer: u32,
    length: u32,
    splits: u32,
    chunk: u32,
    divisor: f32,
}

override OP: u32 = 0u;
override TERM: u32 = 0u;
override ROOT: u32 = 0u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> center: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// The term of element i, in row o. A minimum is the maximum of the negated terms.
fn term(i: u32, o: u32) -> f32 {
    var v = x[i];
    if TERM == 1u {
        v *= v;
    } else if TERM == 2u {
        v -= center[o];
        v *= v;
    } else if TERM == 3u {
        v -= center[i];
        v *= v;
    }
    return select(v, -v, OP == 2u);
}

fn fold(a: f32, b: f32) -> f32 {
    if OP == 0u {
        return a + b;
    }
    return greatest(a, b);
}

@compute @workgroup_size(WIDTH)
fn reduce_rows(
    at: Group,
    @builtin(local_invocation_index) local: u32,
    @if(SUBGROUPS) @builtin(subgroup_invocation_id) lane: u32,
    @if(SUBGROUPS) @builtin(subgroup_id) subgroup: u32,
    @if(SUBGROUPS) @builtin(num_subgroups) subgroups: u32,
) {
    @if(SUBGROUPS) let place = Place(local, lane, subgroup, subgroups);
    @if(!SUBGROUPS) let place = Place(local, 0u, 0u, 0u);
    let piece = group_index(at);
    if piece >= p.outer * p.splits {
        return;
    }
    let o = piece / p.splits;
    let first = (piece % p.splits) * p.chunk;
    let base = o * p.length;
    let end = base + min(first + p.chunk, p.length);
    // Folding an element twice changes no extremum: those start from the first of the piece.
    var start = 0.0;
    if OP != 0u {
        start = term(base + first, o);
    }
    var chains = vec4<f32>(start);
    var i = base + first + local;
    while i + 3u * WIDTH < end {
        chains.x = fold(chains.x, term(i, o));
        chains.y = fold(chains.y, term(i + WIDTH, o));
        chains.z = fold(chains.z, term(i + 2u * WIDTH, o));
        chains.w = fold(chains.w, term(i + 3u * WIDTH, o));
        i += 4u * WIDTH;
    }
    while i < end {
        chains.x = fold(chains.x, term(i, o));
        i += WIDTH;
    }
    var total = fold(fold(chains.x, chains.y), fold(chains.z, chains.w));
    if OP == 0u {
        total = tree_sum(total, place);
    } else {
        total = tree_max(total, place);
    }
    if local == 0u {
        total = select(total, -total, OP == 2u) / p.divisor;
        if ROOT == 1u {
            total = root_of(total);
        }
        y[piece] = total;
    }
}
