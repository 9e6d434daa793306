// X_k = sum_m x_m exp(-2 pi i k m / N) of every line, or part of a line      (spectrum.wgsl: reads, writes)
//
// x, y: what LOAD and STORE say (complex numbers as pairs); table: roots of unity, and with chirps
// (CHIRP bit 0: at the reads, bit 1: a convolution in between, bit 2: at the writes) what Bluestein's
// transform needs. Lines that do not fit are transformed in two passes over their parts.
// A workgroup of 256 takes as many lines as 2048 points of workgroup memory (16 KiB) hold; each
// invocation keeps its 8 points or so in registers between the barriers of a stage. RADICES: the stages
// that occur: with all of them some compilers take seconds.

import package::shared::complex::{cmul, conj};
import package::shared::index::{Group, group_index};
import package::fourier::spectrum::{
    p, table, load, store, split, unchirped, is_stored, HALF_PAIRS,
};
import package::fourier::stages::{
    Stage, stage_of, is_of, point_at, set_point, take2, give2, take3, give3, take4, give4, take5, give5,
    take7, give7, take8, give8, dense, first_place,
};

override LOAD: u32 = 0u;
override STORE: u32 = 0u;
override CHIRP: u32 = 0u;
override RADICES: u32 = 0xffffffffu;

const WG: u32 = 256u;
const TILE_POINTS: u32 = 2048u;

// Of a radix R, an invocation has butterflies local, local + 256, …: at most 8 / R of them, rounded up.
// Where each begins in the tile, and which it is of its line; beyond the last, the last.
struct Turn {
    line: u32,
    j: u32,
    here: bool,
}

fn turn_of(s: Stage, lines: u32, b: u32) -> Turn {
    let last = lines * s.gap - 1u;
    let i = min(b, last);
    let line = i / s.gap;
    return Turn(line * p.points, i - line * s.gap, b <= last);
}

fn stage2(s: Stage, lines: u32, local: u32) {
    let t0 = turn_of(s, lines, local);
    let t1 = turn_of(s, lines, local + WG);
    let t2 = turn_of(s, lines, local + 2u * WG);
    let t3 = turn_of(s, lines, local + 3u * WG);
    let v0 = take2(s, t0.line, t0.j);
    let v1 = take2(s, t1.line, t1.j);
    let v2 = take2(s, t2.line, t2.j);
    let v3 = take2(s, t3.line, t3.j);
    workgroupBarrier();
    if t0.here { give2(s, t0.line, t0.j, v0); }
    if t1.here { give2(s, t1.line, t1.j, v1); }
    if t2.here { give2(s, t2.line, t2.j, v2); }
    if t3.here { give2(s, t3.line, t3.j, v3); }
}

fn stage3(s: Stage, lines: u32, local: u32) {
    let t0 = turn_of(s, lines, local);
    let t1 = turn_of(s, lines, local + WG);
    let t2 = turn_of(s, lines, local + 2u * WG);
    let v0 = take3(s, t0.line, t0.j);
    let v1 = take3(s, t1.line, t1.j);
    let v2 = take3(s, t2.line, t2.j);
    workgroupBarrier();
    if t0.here { give3(s, t0.line, t0.j, v0); }
    if t1.here { give3(s, t1.line, t1.j, v1); }
    if t2.here { give3(s, t2.line, t2.j, v2); }
}

fn stage4(s: Stage, lines: u32, local: u32) {
    let t0 = turn_of(s, lines, local);
    let t1 = turn_of(s, lines, local + WG);
    let v0 = take4(s, t0.line, t0.j);
    let v1 = take4(s, t1.line, t1.j);
    workgroupBarrier();
    if t0.here { give4(s, t0.line, t0.j, v0); }
    if t1.here { give4(s, t1.line, t1.j, v1); }
}

fn stage5(s: Stage, lines: u32, local: u32) {
    let t0 = turn_of(s, lines, local);
    let t1 = turn_of(s, lines, local + WG);
    let v0 = take5(s, t0.line, t0.j);
    let v1 = take5(s, t1.line, t1.j);
    workgroupBarrier();
    if t0.here { give5(s, t0.line, t0.j, v0); }
    if t1.here { give5(s, t1.line, t1.j, v1); }
}

fn stage7(s: Stage, lines: u32, local: u32) {
    let t0 = turn_of(s, lines, local);
    let t1 = turn_of(s, lines, local + WG);
    let v0 = take7(s, t0.line, t0.j);
    let v1 = take7(s, t1.line, t1.j);
    workgroupBarrier();
    if t0.here { give7(s, t0.line, t0.j, v0); }
    if t1.here { give7(s, t1.line, t1.j, v1); }
}

fn stage8(s: Stage, lines: u32, local: u32) {
    let t0 = turn_of(s, lines, local);
    let v0 = take8(s, t0.line, t0.j);
    workgroupBarrier();
    if t0.here { give8(s, t0.line, t0.j, v0); }
}

// Outcomes local, local + 256, … of the tile, at most eight.
fn stage_dense(s: Stage, lines: u32, local: u32) {
    let total = lines * p.points;
    var v: array<vec2<f32>, 8>;
    for (var i = 0u; i < 8u; i++) {
        let e = local + i * WG;
        if e < total {
            let line = e / p.points;
            let within = e - line * p.points;
            v[i] = dense(s, line * p.points, within % s.gap, within / s.gap);
        }
    }
    workgroupBarrier();
    for (var i = 0u; i < 8u; i++) {
        let e = local + i * WG;
        if e < total {
            let line = e / p.points;
            let within = e - line * p.points;
            set_point(first_place(s, line * p.points, within % s.gap) + within / s.gap * s.run, v[i]);
        }
    }
}

fn transform(lines: u32, local: u32) {
    var run = 1u;
    for (var i = 0u; i < p.stages; i++) {
        let s = stage_of(i, run, 1u);
        if is_of(s, 2u, RADICES) { stage2(s, lines, local); }
        if is_of(s, 3u, RADICES) { stage3(s, lines, local); }
        if is_of(s, 4u, RADICES) { stage4(s, lines, local); }
        if is_of(s, 5u, RADICES) { stage5(s, lines, local); }
        if is_of(s, 7u, RADICES) { stage7(s, lines, local); }
        if is_of(s, 8u, RADICES) { stage8(s, lines, local); }
        if is_of(s, 11u, RADICES) { stage_dense(s, lines, local); }
        workgroupBarrier();
        run *= s.radix;
    }
}

// Element e of the tile as (line within the tile, point): neighbours in memory are neighbours here.
fn element(e: u32, lines: u32, points: u32, across: bool) -> vec2<u32> {
    if across {
        return vec2<u32>(e % lines, e / lines);
    }
    return vec2<u32>(e / points, e % points);
}

fn outcome(start: u32, i: u32) -> vec2<f32> {
    let z = point_at(start + i);
    if (CHIRP & 4u) != 0u {
        return unchirped(i, z);
    }
    return z;
}

@compute @workgroup_size(WG)
fn fft_tile(at: Group, @builtin(local_invocation_index) local: u32) {
    let most = TILE_POINTS / p.points;
    let first = group_index(at) * most;
    if first >= p.lines {
        return;
    }
    let lines = min(most, p.lines - first);
    let read_across = p.load_inner > 1u || p.load_step > 1u;
    for (var e = local; e < lines * p.points; e += WG) {
        let from_place = element(e, lines, p.points, read_across);
        let whole = (first + from_place.x) / p.subs;
        let c = first + from_place.x - whole * p.subs;
        set_point(from_place.x * p.points + from_place.y, load(LOAD, (CHIRP & 1u) != 0u, whole, c, from_place.y));
    }
    workgroupBarrier();
    // With a convolution twice: one place, so that compilers see the stages once.
    let times = select(1u, 2u, (CHIRP & 2u) != 0u);
    for (var time = 0u; time < times; time++) {
        if time > 0u {
            for (var e = local; e < lines * p.points; e += WG) {
                set_point(e, conj(cmul(table[p.spectrum_at + e % p.points], point_at(e))));
            }
            workgroupBarrier();
        }
        transform(lines, local);
    }
    // Half a spectrum from pairs has one bin more than there are points.
    let outcomes = p.points + select(0u, 1u, STORE == HALF_PAIRS);
    let write_across = p.store_inner > 1u || p.store_step > 1u;
    for (var e = local; e < lines * outcomes; e += WG) {
        let from_place = element(e, lines, outcomes, write_across);
        let whole = (first + from_place.x) / p.subs;
        let c = first + from_place.x - whole * p.subs;
        let i = from_place.y * p.store_step + c * p.store_sub;
        if !is_stored(STORE, i) {
            continue;
        }
        let start = from_place.x * p.points;
        if STORE == HALF_PAIRS {
            let k = select(i, 0u, i == p.count);
            let mirror = select(p.count - i, 0u, i == 0u);
            store(STORE, whole, c, from_place.y, split(i, outcome(start, k), outcome(start, mirror)));
        } else if (CHIRP & 4u) != 0u {
            store(STORE, whole, c, from_place.y, unchirped(i, point_at(start + from_place.y)));
        } else {
            store(STORE, whole, c, from_place.y, point_at(start + from_place.y));
        }
    }
}
