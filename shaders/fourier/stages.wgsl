// Stages of a Stockham transform: each takes every line of `points` points from one place to another,
// R points at a time in registers, and leaves the outcome in order.
//
// Before stage s, points hold transforms of `run` points, run = the product of the radices before.
// Butterfly j reads points j + q gap, gap = points / R, turns them by exp(-2 pi i k q / (R run)),
// k = j mod run, and writes to (j - k) R + k + q run.
//
// Where points stand: in workgroup memory (condition TILE), else in a scratch buffer.

import package::shared::complex::cmul;
import package::fourier::butterfly::{
    Two, Three, Four, Five, Seven, Eight,
    butterfly2, butterfly3, butterfly4, butterfly5, butterfly7, butterfly8,
};
import package::fourier::spectrum::{p, table, radix_of};

@if(TILE) var<workgroup> tile: array<vec2<f32>, 2048>;
@if(!TILE) @group(0) @binding(3) var<storage, read_write> scratch: array<vec2<f32>>;

@if(TILE) fn point_at(i: u32) -> vec2<f32> { return tile[i]; }
@if(!TILE) fn point_at(i: u32) -> vec2<f32> { return scratch[i]; }
@if(TILE) fn set_point(i: u32, v: vec2<f32>) { tile[i] = v; }
@if(!TILE) fn set_point(i: u32, v: vec2<f32>) { scratch[i] = v; }

struct Stage {
    radix: u32,
    run: u32,
    gap: u32,
    // From one root of this stage to the next in the table.
    stride: u32,
    // From one point of a line to the next.
    pitch: u32,
}

fn stage_of(s: u32, run: u32, pitch: u32) -> Stage {
    let radix = radix_of(s);
    let gap = p.points / radix;
    return Stage(radix, run, gap, gap / run, pitch);
}

// A radix as a bit of a mask: prime ones above 8 share one.
fn bit_of(radix: u32) -> u32 {
    return 1u << select(9u, radix, radix <= 8u);
}

// Whether this stage has a radix, in a transform of the radices of `mask`: where that is a constant, what
// does not occur is not compiled.
fn is_of(s: Stage, radix: u32, mask: u32) -> bool {
    return (mask & bit_of(radix)) != 0u && bit_of(s.radix) == bit_of(radix);
}

// Point q of butterfly j of the line that starts at `start`, turned by q of `k`.
fn turned_point(s: Stage, start: u32, j: u32, k: u32, q: u32) -> vec2<f32> {
    return cmul(table[k * q * s.stride], point_at(start + (j + q * s.gap) * s.pitch));
}

// Where butterfly j writes its first outcome; the others follow at `run` points each.
fn first_place(s: Stage, to: u32, j: u32) -> u32 {
    let k = j % s.run;
    return to + ((j - k) * s.radix + k) * s.pitch;
}

fn take2(s: Stage, start: u32, j: u32) -> Two {
    let k = j % s.run;
    return butterfly2(Two(point_at(start + j * s.pitch), turned_point(s, start, j, k, 1u)));
}

fn give2(s: Stage, to: u32, j: u32, v: Two) {
    let at = first_place(s, to, j);
    set_point(at, v.a);
    set_point(at + s.run * s.pitch, v.b);
}

fn take3(s: Stage, start: u32, j: u32) -> Three {
    let k = j % s.run;
    return butterfly3(Three(
        point_at(start + j * s.pitch), turned_point(s, start, j, k, 1u), turned_point(s, start, j, k, 2u),
    ));
}

fn give3(s: Stage, to: u32, j: u32, v: Three) {
    let at = first_place(s, to, j);
    let next = s.run * s.pitch;
    set_point(at, v.a);
    set_point(at + next, v.b);
    set_point(at + 2u * next, v.c);
}

fn take4(s: Stage, start: u32, j: u32) -> Four {
    let k = j % s.run;
    return butterfly4(Four(
        point_at(start + j * s.pitch), turned_point(s, start, j, k, 1u),
        turned_point(s, start, j, k, 2u), turned_point(s, start, j, k, 3u),
    ));
}

fn give4(s: Stage, to: u32, j: u32, v: Four) {
    let at = first_place(s, to, j);
    let next = s.run * s.pitch;
    set_point(at, v.a);
    set_point(at + next, v.b);
    set_point(at + 2u * next, v.c);
    set_point(at + 3u * next, v.d);
}

fn take5(s: Stage, start: u32, j: u32) -> Five {
    let k = j % s.run;
    return butterfly5(Five(
        point_at(start + j * s.pitch), turned_point(s, start, j, k, 1u),
        turned_point(s, start, j, k, 2u), turned_point(s, start, j, k, 3u),
        turned_point(s, start, j, k, 4u),
    ));
}

fn give5(s: Stage, to: u32, j: u32, v: Five) {
    let at = first_place(s, to, j);
    let next = s.run * s.pitch;
    set_point(at, v.a);
    set_point(at + next, v.b);
    set_point(at + 2u * next, v.c);
    set_point(at + 3u * next, v.d);
    set_point(at + 4u * next, v.e);
}

fn take7(s: Stage, start: u32, j: u32) -> Seven {
    let k = j % s.run;
    return butterfly7(Seven(
        point_at(start + j * s.pitch), turned_point(s, start, j, k, 1u),
        turned_point(s, start, j, k, 2u), turned_point(s, start, j, k, 3u),
        turned_point(s, start, j, k, 4u), turned_point(s, start, j, k, 5u),
        turned_point(s, start, j, k, 6u),
    ));
}

fn give7(s: Stage, to: u32, j: u32, v: Seven) {
    let at = first_place(s, to, j);
    let next = s.run * s.pitch;
    set_point(at, v.a);
    set_point(at + next, v.b);
    set_point(at + 2u * next, v.c);
    set_point(at + 3u * next, v.d);
    set_point(at + 4u * next, v.e);
    set_point(at + 5u * next, v.f);
    set_point(at + 6u * next, v.g);
}

fn take8(s: Stage, start: u32, j: u32) -> Eight {
    let k = j % s.run;
    return butterfly8(Eight(
        point_at(start + j * s.pitch), turned_point(s, start, j, k, 1u),
        turned_point(s, start, j, k, 2u), turned_point(s, start, j, k, 3u),
        turned_point(s, start, j, k, 4u), turned_point(s, start, j, k, 5u),
        turned_point(s, start, j, k, 6u), turned_point(s, start, j, k, 7u),
    ));
}

fn give8(s: Stage, to: u32, j: u32, v: Eight) {
    let at = first_place(s, to, j);
    let next = s.run * s.pitch;
    set_point(at, v.a);
    set_point(at + next, v.b);
    set_point(at + 2u * next, v.c);
    set_point(at + 3u * next, v.d);
    set_point(at + 4u * next, v.e);
    set_point(at + 5u * next, v.f);
    set_point(at + 6u * next, v.g);
    set_point(at + 7u * next, v.h);
}

// Outcome `output` of butterfly j of a prime radix, as a dense sum over its points.
fn dense(s: Stage, start: u32, j: u32, output: u32) -> vec2<f32> {
    let turn = j % s.run * s.stride + output * s.gap;
    var sum: vec2<f32>;
    var root = 0u;
    for (var q = 0u; q < s.radix; q++) {
        sum += cmul(table[root], point_at(start + (j + q * s.gap) * s.pitch));
        root += turn;
        root -= select(0u, p.points, root >= p.points);
    }
    return sum;
}
