// y[o, s] = finish( fold over k in piece s of term(x[o, k]) )
//   fold: sum, max or min (OP); term: x, x^2, (x - center[o])^2 or (x - center[o, k])^2 (TERM);
//   finish: divide by `divisor`, then the square root if ROOT.
//
// x: [outer, length]; center: [outer] or [outer, length], not read by the first two terms;
// y: [outer, splits]. Piece s is elements s * chunk .. (s + 1) * chunk of a row.
// One workgroup a piece: each invocation folds every 256th element in four short chains, then a tree.

import package::shared::deviation::{deviation, row_of};
import package::shared::finite::greatest;
import package::shared::index::{Group, group_index};
import package::shared::reduce::{WIDTH, Place, tree_sum, tree_max};
import package::shared::second_look::{Finish, finished, may_look_again, second_look};

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

// The term of element i, times `by`, in row o. A minimum is the maximum of the negated terms.
fn term(i: u32, o: u32, by: f32) -> f32 {
    var v = x[i] * by;
    if TERM == 1u {
        v *= v;
    } else if TERM == 2u {
        v = deviation(x[i], row_of(center[o], by));
        v *= v;
    } else if TERM == 3u {
        v = deviation(x[i], row_of(center[i], by));
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

// The fold of an invocation's elements from `first` on, before `end`.
fn fold_lane(first: u32, end: u32, o: u32, start: f32, by: f32) -> f32 {
    var chains = vec4<f32>(start);
    var i = first;
    while i + 3u * WIDTH < end {
        chains.x = fold(chains.x, term(i, o, by));
        chains.y = fold(chains.y, term(i + WIDTH, o, by));
        chains.z = fold(chains.z, term(i + 2u * WIDTH, o, by));
        chains.w = fold(chains.w, term(i + 3u * WIDTH, o, by));
        i += 4u * WIDTH;
    }
    while i < end {
        chains.x = fold(chains.x, term(i, o, by));
        i += WIDTH;
    }
    return fold(fold(chains.x, chains.y), fold(chains.z, chains.w));
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
        start = term(base + first, o, 1.0);
    }
    let own = base + first + local;
    var total = fold_lane(own, end, o, start, 1.0);
    let finish = Finish(p.divisor, ROOT == 1u, TERM != 0u);
    var by = 1.0;
    if OP == 0u {
        total = tree_sum(total, place);
    } else {
        total = tree_max(total, place);
    }
    if OP == 0u && may_look_again(finish) {
        by = second_look(total, finish);
        var again = 0.0;
        if by != 1.0 {
            again = fold_lane(own, end, o, 0.0, by);
        }
        again = tree_sum(again, place);
        total = select(total, again, by != 1.0);
    }
    if local == 0u {
        y[piece] = finished(select(total, -total, OP == 2u), by, finish);
    }
}
