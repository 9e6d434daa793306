// X_k = sum_m x_m exp(-2 pi i k m / N) of every line, any N, in one launch      (spectrum.wgsl: reads, writes)
//
// x, y: what LOAD and STORE say (complex numbers as pairs); table: roots of unity, and with CHIRP the
// chirp and its transform (Bluestein: X_k = c_k sum_m (x_m c_m) / c_{k-m}, a cyclic convolution of
// `points` points); scratch: two places of `points` for each line that is being transformed.
// For software adapters: an invocation transforms a line, eight of them side by side, without barriers;
// where lines are few, eight invocations share one (condition TOGETHER). Stages go to and fro between
// the two places. RADICES: the stages that occur, so that others cost nothing.

import package::shared::complex::{cmul, conj};
import package::shared::index::group_index;
import package::shared::spectrum::{p, table, load, store, split, unchirped, HALF_PAIRS, HALF};
import package::shared::stages::{
    Stage, stage_of, bit_of, point_at, set_point, take2, give2, take3, give3, take4, give4, take5, give5,
    take7, give7, take8, give8, dense, first_place,
};

override LOAD: u32 = 0u;
override STORE: u32 = 0u;
override CHIRP: bool = false;
override RADICES: u32 = 0xffffffffu;

@if(TOGETHER) const LANES: u32 = 8u;
@if(TOGETHER) const LINES: u32 = 1u;
@if(!TOGETHER) const LANES: u32 = 1u;
@if(!TOGETHER) const LINES: u32 = 8u;

@if(TOGETHER) fn wait() { storageBarrier(); }
@if(!TOGETHER) fn wait() {}

fn has(s: Stage, radix: u32) -> bool {
    return (RADICES & bit_of(radix)) != 0u && bit_of(s.radix) == bit_of(radix);
}

// One stage of a line, by this lane's butterflies.
fn run_stage(s: Stage, lane: u32, start: u32, to: u32) {
    if has(s, 8u) {
        for (var j = lane; j < s.gap; j += LANES) { give8(s, to, j, take8(s, start, j)); }
    }
    if has(s, 4u) {
        for (var j = lane; j < s.gap; j += LANES) { give4(s, to, j, take4(s, start, j)); }
    }
    if has(s, 2u) {
        for (var j = lane; j < s.gap; j += LANES) { give2(s, to, j, take2(s, start, j)); }
    }
    if has(s, 3u) {
        for (var j = lane; j < s.gap; j += LANES) { give3(s, to, j, take3(s, start, j)); }
    }
    if has(s, 5u) {
        for (var j = lane; j < s.gap; j += LANES) { give5(s, to, j, take5(s, start, j)); }
    }
    if has(s, 7u) {
        for (var j = lane; j < s.gap; j += LANES) { give7(s, to, j, take7(s, start, j)); }
    }
    if has(s, 11u) {
        for (var j = lane; j < s.gap; j += LANES) {
            for (var output = 0u; output < s.radix; output++) {
                set_point(first_place(s, to, j) + output * s.run * s.pitch, dense(s, start, j, output));
            }
        }
    }
}

// All stages; where the outcome stands. `places`: the two places, from and to.
fn transform(lane: u32, places: vec2<u32>) -> vec2<u32> {
    var at = places;
    var run = 1u;
    for (var i = 0u; i < p.stages; i++) {
        let s = stage_of(i, run, LINES);
        run_stage(s, lane, at.x, at.y);
        wait();
        at = at.yx;
        run *= s.radix;
    }
    return at;
}

fn outcome(start: u32, i: u32) -> vec2<f32> {
    let z = point_at(start + i * LINES);
    if CHIRP {
        return unchirped(i, z);
    }
    return z;
}

@compute @workgroup_size(8)
fn fft_lines(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let g = group_index(group, groups);
    let lane = local % LANES;
    let slot = local % LINES;
    let first = g * 2u * p.points * LINES + slot;
    let wanted = select(p.count, p.length / 2u + 1u, STORE == HALF || STORE == HALF_PAIRS);
    for (var line = g * LINES + slot; line < p.lines; line += groups.x * groups.y * LINES) {
        var at = vec2<u32>(first, first + p.points * LINES);
        for (var i = lane; i < p.points; i += LANES) {
            set_point(at.x + i * LINES, load(LOAD, CHIRP, line, 0u, i));
        }
        wait();
        at = transform(lane, at);
        if CHIRP {
            for (var i = lane; i < p.points; i += LANES) {
                let z = point_at(at.x + i * LINES);
                set_point(at.x + i * LINES, conj(cmul(table[p.spectrum_at + i], z)));
            }
            wait();
            at = transform(lane, at);
        }
        for (var i = lane; i < wanted; i += LANES) {
            if STORE == HALF_PAIRS {
                let k = select(i, 0u, i == p.count);
                let mirror = select(p.count - i, 0u, i == 0u);
                store(STORE, line, 0u, i, split(i, outcome(at.x, k), outcome(at.x, mirror)));
            } else {
                store(STORE, line, 0u, i, outcome(at.x, i));
            }
        }
        wait();
    }
}
