// X_k = sum_m x_m exp(-2 pi i k m / N) of every line, any N, in one launch      (spectrum.wgsl: reads, writes)
//
// x, y: what LOAD and STORE say (complex numbers as pairs); table: roots of unity, and with CHIRP the
// chirp and its transform (Bluestein: X_k = c_k sum_m (x_m c_m) / c_{k-m}, a cyclic convolution of
// `points` points); scratch: two places of `points` for each line that is being transformed.
// For software adapters: an invocation transforms a line, eight of them side by side, without barriers;
// where lines are few, eight invocations share one (condition TOGETHER). Stages go to and fro between
// the two places. RADICES: the stages that occur, so that others cost nothing. A launch takes the lines
// first .. lines, no more than software adapters let an invocation loop (FFT_LINES in lines.rs).

import package::shared::complex::{cmul, conj, turned};
import package::shared::index::{Group, group_index};
import package::fourier::spectrum::{p, table, load, store, split, unchirped, HALF_PAIRS, HALF};
import package::fourier::stages::{
    Stage, stage_of, is_of, point_at, set_point, take2, give2, take3, give3, take4, give4, take5, give5,
    take7, give7, take8, give8, turned_point, first_place,
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

// Which of the LINES is this invocation's. Barriers want a loop over lines in which no invocation's
// number occurs, be it a remainder that is always 0.
@if(TOGETHER) fn slot_of(local: u32) -> u32 { return 0u; }
@if(!TOGETHER) fn slot_of(local: u32) -> u32 { return local % LINES; }

// One stage of a line, by this lane's butterflies.
fn run_stage(s: Stage, lane: u32, start: u32, to: u32) {
    if is_of(s, 8u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { give8(s, to, j, take8(s, start, j)); }
    }
    if is_of(s, 4u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { give4(s, to, j, take4(s, start, j)); }
    }
    if is_of(s, 2u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { give2(s, to, j, take2(s, start, j)); }
    }
    if is_of(s, 3u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { give3(s, to, j, take3(s, start, j)); }
    }
    if is_of(s, 5u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { give5(s, to, j, take5(s, start, j)); }
    }
    if is_of(s, 7u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { give7(s, to, j, take7(s, start, j)); }
    }
    if is_of(s, 11u, RADICES) {
        for (var j = lane; j < s.gap; j += LANES) { run_dense(s, start, to, j); }
    }
}

// A butterfly of a prime radix, as a dense sum over the pairs of points that share a cosine.
fn run_dense(s: Stage, start: u32, to: u32, j: u32) {
    // 18 pairs of the largest radix, and zeros that the last step of three reads beyond them.
    var sums: array<vec2<f32>, 20>;
    var differences: array<vec2<f32>, 20>;
    let k = j % s.run;
    let half = s.radix / 2u;
    let first = point_at(start + j * s.pitch);
    var total = first;
    for (var q = 1u; q <= half; q++) {
        let a = turned_point(s, start, j, k, q);
        let b = turned_point(s, start, j, k, s.radix - q);
        sums[q - 1u] = a + b;
        differences[q - 1u] = a - b;
        total += a + b;
    }
    let place = first_place(s, to, j);
    let next = s.run * s.pitch;
    set_point(place, total);
    for (var output = 1u; output <= half; output++) {
        let turn = output * s.gap;
        var even = first;
        var odd: vec2<f32>;
        var at = 0u;
        for (var q = 0u; q < half; q += 3u) {
            let one = around(at + turn);
            let two = around(one + turn);
            at = around(two + turn);
            even += table[one].x * sums[q] + table[two].x * sums[q + 1u] + table[at].x * sums[q + 2u];
            odd += table[one].y * differences[q] + table[two].y * differences[q + 1u]
                + table[at].y * differences[q + 2u];
        }
        set_point(place + output * next, even - turned(odd));
        set_point(place + (s.radix - output) * next, even + turned(odd));
    }
}

fn around(root: u32) -> u32 {
    return root - select(0u, p.points, root >= p.points);
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
fn fft_lines(at: Group, @builtin(local_invocation_index) local: u32) {
    let g = group_index(at);
    let lane = local % LANES;
    let slot = slot_of(local);
    let first = g * 2u * p.points * LINES + slot;
    let wanted = select(p.count, p.length / 2u + 1u, STORE == HALF || STORE == HALF_PAIRS);
    for (var line = p.first + g * LINES + slot; line < p.lines; line += at.groups.x * at.groups.y * LINES) {
        var here = vec2<u32>(first, first + p.points * LINES);
        for (var i = lane; i < p.points; i += LANES) {
            set_point(here.x + i * LINES, load(LOAD, CHIRP, line, 0u, i));
        }
        wait();
        here = transform(lane, here);
        if CHIRP {
            for (var i = lane; i < p.points; i += LANES) {
                let z = point_at(here.x + i * LINES);
                set_point(here.x + i * LINES, conj(cmul(table[p.spectrum_at + i], z)));
            }
            wait();
            here = transform(lane, here);
        }
        for (var i = lane; i < wanted; i += LANES) {
            if STORE == HALF_PAIRS {
                let k = select(i, 0u, i == p.count);
                let mirror = select(p.count - i, 0u, i == 0u);
                store(STORE, line, 0u, i, split(i, outcome(here.x, k), outcome(here.x, mirror)));
            } else {
                store(STORE, line, 0u, i, outcome(here.x, i));
            }
        }
        wait();
    }
}
