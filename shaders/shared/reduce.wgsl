// Folds over the invocations of one workgroup of WIDTH: every invocation gets the outcome.
//
// Without subgroups: a tree in workgroup memory, always in the same order. With subgroups
// (condition SUBGROUPS): one fold a subgroup, then every invocation folds the few partial results;
// nothing is assumed about the size of a subgroup or about which invocations are in it. A NaN is the
// maximum.

import package::shared::finite::{greatest, is_nan, nan_of};

const WIDTH: u32 = 256u;

var<workgroup> tree: array<f32, 256>;

// An invocation's place in its workgroup.
struct Place {
    local: u32,
    lane: u32,
    subgroup: u32,
    subgroups: u32,
}

@if(!SUBGROUPS)
fn tree_sum(value: f32, at: Place) -> f32 {
    workgroupBarrier();
    tree[at.local] = value;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if at.local < half {
            tree[at.local] += tree[at.local + half];
        }
    }
    workgroupBarrier();
    return tree[0];
}

@if(!SUBGROUPS)
fn tree_max(value: f32, at: Place) -> f32 {
    workgroupBarrier();
    tree[at.local] = value;
    for (var half = WIDTH / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if at.local < half {
            tree[at.local] = greatest(tree[at.local], tree[at.local + half]);
        }
    }
    workgroupBarrier();
    return tree[0];
}

@if(SUBGROUPS)
fn tree_sum(value: f32, at: Place) -> f32 {
    let part = subgroupAdd(value);
    workgroupBarrier();
    if at.lane == 0u {
        tree[at.subgroup] = part;
    }
    workgroupBarrier();
    var total = tree[0];
    for (var i = 1u; i < at.subgroups; i++) {
        total += tree[i];
    }
    return total;
}

@if(SUBGROUPS)
fn tree_max(value: f32, at: Place) -> f32 {
    let part = select(subgroupMax(value), nan_of(value), subgroupAny(is_nan(value)));
    workgroupBarrier();
    if at.lane == 0u {
        tree[at.subgroup] = part;
    }
    workgroupBarrier();
    var total = tree[0];
    for (var i = 1u; i < at.subgroups; i++) {
        total = greatest(total, tree[i]);
    }
    return total;
}

// A row of elements is folded by LANES invocations, which take every LANES-th element each: a
// workgroup (condition WORKGROUP), or a single invocation, without any barrier. RANGE invocations
// make a workgroup.
@if(WORKGROUP) const LANES: u32 = 256u;
@if(!WORKGROUP) const LANES: u32 = 1u;
@if(WORKGROUP) const RANGE: u32 = 256u;
@if(!WORKGROUP) const RANGE: u32 = 64u;

// Partial sums over the lanes of a row become their total.
@if(WORKGROUP)
fn row_sum(value: f32, at: Place) -> f32 {
    return tree_sum(value, at);
}

@if(!WORKGROUP)
fn row_sum(value: f32, at: Place) -> f32 {
    return value;
}

@if(WORKGROUP)
fn row_max(value: f32, at: Place) -> f32 {
    return tree_max(value, at);
}

@if(!WORKGROUP)
fn row_max(value: f32, at: Place) -> f32 {
    return value;
}
