// What the Fourier transforms have in common: parameters, bindings, how points are read and written.
//
// A launch transforms `lines` lines of N = `count` points each. Of a tensor [outer, extent, inner], a
// line is (outer, ., inner), and point i of it stands at outer * extent * inner + i * inner + inner's
// index. A transform of `points` points does it: those beyond N are zero (Bluestein). Where a line is
// cut in `subs` parts (the two passes over long lines), point m of part c is point
// m * step + c * sub of the whole. Inverse transforms are forward ones between two conjugations.
//
// table: roots of unity exp(-2 pi i k / points), and from the given places on: the chirp
// exp(-pi i m^2 / N) and the transform of its reciprocal, over `points`; half a circle of
// exp(-2 pi i k / length); what turns points between two passes.
// Reals may be spikes packed along time (condition BITS): step t of element n is bit t % 32 of word
// (t / 32) row + n, row = step_lines * extent.

import package::shared::complex::{conj, cmul, tainted, turned};

struct Params {
    // Radices of the stages, 6 bits each, 5 a word.
    radices: vec4<u32>,
    stages: u32,
    // Lines, in all their parts.
    lines: u32,
    subs: u32,
    points: u32,
    // The points of a line that are read …
    loaded: u32,
    // … and those that are written.
    count: u32,
    // The samples of a real line; of a complex one its points.
    length: u32,
    load_inner: u32,
    load_extent: u32,
    load_step: u32,
    load_sub: u32,
    store_inner: u32,
    store_extent: u32,
    store_step: u32,
    store_sub: u32,
    chirp_at: u32,
    spectrum_at: u32,
    roots_at: u32,
    twiddles_at: u32,
    // Of packed spikes the lines of a step.
    step_lines: u32,
    // What every result is multiplied by, …
    scale: f32,
    // … and what the bins of half a spectrum are, except the first, and the middle of an even line.
    middle: f32,
    // The first line of the launch.
    first: u32,
    padding: u32,
}

@if(!BITS) @group(0) @binding(0) var<storage, read> x: array<f32>;
// Spikes packed along time.
@if(BITS) @group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<f32>>;
@group(1) @binding(0) var<uniform> p: Params;

// The radix of stage s.
fn radix_of(s: u32) -> u32 {
    return (p.radices[s / 5u] >> (6u * (s % 5u))) & 63u;
}

// Whether bin i has no partner at the negative frequency, and no imaginary part.
fn is_edge(i: u32) -> bool {
    return i == 0u || 2u * i == p.length;
}

// How the points of a line are read: as they are, conjugated, as reals, as pairs of reals; or from
// half a spectrum, conjugated: all points, or those whose transform is the pairs of reals.
const COMPLEX: u32 = 0u;
const CONJUGATE: u32 = 1u;
const REAL: u32 = 2u;
const PAIRS: u32 = 3u;
const HALF: u32 = 4u;
const HALF_PAIRS: u32 = 5u;
// How they are written, further: to the next pass, turned; multiplied by the chirp's transform.
const TURNED: u32 = 6u;
const CONVOLVED: u32 = 7u;

// Where element i of a line begins, in a tensor of elements of one word.
fn place(line: u32, inner: u32, extent: u32, i: u32) -> u32 {
    let outer = line / inner;
    return (outer * extent + i) * inner + (line - outer * inner);
}

@if(!BITS) fn read_complex(line: u32, i: u32) -> vec2<f32> {
    let at = 2u * place(line, p.load_inner, p.load_extent, i);
    return vec2<f32>(x[at], x[at + 1u]);
}
@if(BITS) fn read_complex(line: u32, i: u32) -> vec2<f32> {
    return vec2<f32>();
}

// Real i of a line.
@if(!BITS) fn read_real(line: u32, i: u32) -> f32 {
    return x[place(line, p.load_inner, p.load_extent, i)];
}
@if(BITS) fn read_real(line: u32, i: u32) -> f32 {
    let t = line / p.step_lines;
    let row = p.step_lines * p.load_extent;
    let at = t / 32u * row + place(line - t * p.step_lines, p.load_inner, p.load_extent, i);
    return f32((x[at] >> (t % 32u)) & 1u);
}

// Bin i of half a spectrum, with the factor of its place.
fn read_bin(line: u32, i: u32) -> vec2<f32> {
    let z = tainted(read_complex(line, i));
    return select(p.middle * z, vec2<f32>(z.x, 0.0), is_edge(i));
}

// Point m of part c of a line. What is not finite makes all that comes of the line NaN.
fn load(mode: u32, chirped: bool, line: u32, c: u32, m: u32) -> vec2<f32> {
    let i = m * p.load_step + c * p.load_sub;
    if i >= p.loaded {
        return vec2<f32>();
    }
    var z: vec2<f32>;
    if mode == COMPLEX {
        z = read_complex(line, i);
    }
    if mode == CONJUGATE {
        z = conj(read_complex(line, i));
    }
    if mode == REAL {
        z = vec2<f32>(read_real(line, i), 0.0);
    }
    if mode == PAIRS {
        z = vec2<f32>(read_real(line, 2u * i), read_real(line, 2u * i + 1u));
    }
    if mode == HALF {
        let mirrored = 2u * i > p.length;
        let bin = read_bin(line, select(i, p.length - i, mirrored));
        z = select(conj(bin), bin, mirrored);
    }
    if mode == HALF_PAIRS {
        // (a + conj b) + i w^-i (a - conj b), conjugated
        let a = read_bin(line, i);
        let b = conj(read_bin(line, p.count - i));
        z = conj(a + b) + turned(cmul(table[p.roots_at + i], conj(a - b)));
    }
    z = tainted(z);
    if chirped {
        z = cmul(table[p.chirp_at + i], z);
    }
    return z;
}

// Whether outcome i of a line is written at all.
fn is_stored(mode: u32, i: u32) -> bool {
    if mode == HALF || mode == HALF_PAIRS {
        return 2u * i <= p.length;
    }
    return mode == TURNED || mode == CONVOLVED || i < p.count;
}

// The outcome at point i of a chirped transform, from what the convolution left there.
fn unchirped(i: u32, z: vec2<f32>) -> vec2<f32> {
    return cmul(table[p.chirp_at + i], conj(z));
}

// A bin of a real line, from the bins i and N - i of its pairs.
fn split(i: u32, a: vec2<f32>, mirror: vec2<f32>) -> vec2<f32> {
    // Halved first: a sum of the largest numbers would overflow.
    let b = 0.5 * conj(mirror);
    let c = 0.5 * a;
    return (c + b) + turned(cmul(table[p.roots_at + i], c - b));
}

// Writes outcome k of part c of a line.
fn store(mode: u32, line: u32, c: u32, k: u32, z: vec2<f32>) {
    let i = k * p.store_step + c * p.store_sub;
    let at = place(line, p.store_inner, p.store_extent, i);
    if mode == REAL {
        y[at] = p.scale * z.x;
        return;
    }
    if mode == PAIRS {
        let first = place(line, p.store_inner, p.store_extent, 2u * i);
        y[first] = p.scale * z.x;
        y[first + p.store_inner] = -p.scale * z.y;
        return;
    }
    var v = z;
    if mode == TURNED {
        v = cmul(table[p.twiddles_at + c * k], z);
    }
    if mode == CONVOLVED {
        v = conj(cmul(table[p.spectrum_at + i], z));
    }
    if mode == CONJUGATE {
        v = conj(z);
    }
    if mode == HALF || mode == HALF_PAIRS {
        v = select(p.middle, 1.0, is_edge(i)) * v;
    }
    y[2u * at] = p.scale * v.x;
    y[2u * at + 1u] = p.scale * v.y;
}
