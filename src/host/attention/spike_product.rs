//! Products of packed spikes: spikes select rows, population counts count.

use crate::attention::HeadParams;
use crate::host::linalg::{View, multiply};
use crate::host::parallel::*;
use crate::host::{HostArgs, all_finite, vectorised};
use std::borrow::Cow;

/// Extents of a launch.
#[derive(Clone, Copy)]
struct Sizes {
    steps: usize,
    lanes: usize,
    k: usize,
    n: usize,
    first: usize,
    count: usize,
    chunk: usize,
}

impl Sizes {
    fn new(p: &HeadParams) -> Self {
        let [steps, lanes, k, n] = [p.steps, p.lanes, p.k, p.n].map(|v| v as usize);
        let [first, count, chunk] = [p.lane_first, p.lane_count, p.chunk].map(|v| v as usize);
        Self { steps, lanes, k, n, first, count, chunk }
    }

    fn covered(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// `y += sum of rows`, of a matrix with rows as long as `y`.
#[inline(always)]
fn add_rows(y: &mut [f32], matrix: &[f32], rows: impl Iterator<Item = usize>) {
    let n = y.len();
    let mut held = [0; 4];
    let mut count = 0;
    for row in rows {
        held[count] = row * n;
        count += 1;
        if count == 4 {
            let [a, b, c, d] = held.map(|at| &matrix[at..][..n]);
            for i in 0..n {
                y[i] += (a[i] + b[i]) + (c[i] + d[i]);
            }
            count = 0;
        }
    }
    for at in &held[..count] {
        let row = &matrix[*at..][..n];
        for i in 0..n {
            y[i] += row[i];
        }
    }
}

/// `y += sum of products` with rows of a matrix that holds what is not finite: 0 times that is NaN.
fn add_products<'a>(y: &mut [f32], rows: impl Iterator<Item = (u32, &'a [f32])>) {
    for (bit, row) in rows {
        let spike = bit as f32;
        y.iter_mut().zip(row).for_each(|(y, v)| *y += spike * v);
    }
}

/// The places of the ones of a word.
#[inline(always)]
fn ones(mut word: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (word != 0).then(|| {
            let place = word.trailing_zeros() as usize;
            word &= word - 1;
            place
        })
    })
}

/// Transposes 32 words of 32 bits: bit c of word r becomes bit r of word c.
#[inline(always)]
fn transpose(words: &mut [u32; 32]) {
    let mut mask = 0x0000_FFFF;
    let mut width = 16;
    while width != 0 {
        for i in (0..32).filter(|i| i & width == 0) {
            let moved = (words[i] >> width ^ words[i + width]) & mask;
            words[i + width] ^= moved;
            words[i] ^= moved << width;
        }
        width >>= 1;
        mask ^= mask << width;
    }
}

/// Tokens times a matrix of their lane.
pub(crate) fn spike_rows(args: &mut HostArgs<'_, f32>) {
    let p: HeadParams = args.params();
    let s = Sizes::new(&p);
    let transposed = args.flag("B_T");
    let b = if args.when("TOKENS") {
        Cow::Owned(tokens(args.words("b"), s, transposed))
    } else {
        floats(args.reals("b"), s, transposed)
    };
    let (scale, finite) = (p.scale, all_finite(&b));
    let dense = args.when("DENSE").then(|| args.reals("a"));
    let words = if dense.is_some() { &[][..] } else { args.words("a") };
    let c = args.reals_mut("c");
    let taken = match dense {
        Some(_) => dense_tokens(s),
        None => packed_tokens(s),
    };
    c[..s.steps * s.lanes * s.n].par_chunks_mut(taken * s.lanes * s.n).enumerate().for_each(
        |(part, c)| match dense {
            Some(a) => dense_rows(&a[part * taken * s.lanes * s.k..], &b, c, s, scale),
            None => vectorised(
                #[inline(always)]
                || packed_rows(words, part * taken, (&b, finite), c, s, scale),
            ),
        },
    );
}

/// Tokens that a task takes: a word's, or less where they would make too few tasks.
fn packed_tokens(s: Sizes) -> usize {
    if s.steps >= 64 * threads() { 32 } else { 8 }
}

/// Likewise of floats: few enough that a product runs on the task's own thread.
fn dense_tokens(s: Sizes) -> usize {
    ((1 << 17) / (s.k * s.n).max(1)).clamp(4, 256)
}

/// The tokens from `first` on that `c` has rows for; `finite`: whether all of `b` is.
#[inline(always)]
fn packed_rows(
    words: &[u32],
    first: usize,
    (b, finite): (&[f32], bool),
    c: &mut [f32],
    s: Sizes,
    scale: f32,
) {
    let Sizes { lanes, k, n, .. } = s;
    let blocks = k.div_ceil(32);
    let mut masks = vec![[0u32; 32]; blocks];
    for lane in s.covered() {
        let words = &words[(first / 32 * lanes + lane) * k..][..k];
        for (mask, words) in masks.iter_mut().zip(words.chunks(32)) {
            mask[..words.len()].copy_from_slice(words);
            mask[words.len()..].fill(0);
            transpose(mask);
        }
        let matrix = &b[lane * k * n..][..k * n];
        for (i, row) in c.chunks_exact_mut(lanes * n).enumerate() {
            let y = &mut row[lane * n..][..n];
            y.fill(0.0);
            let token = first % 32 + i;
            if finite {
                let channels = masks.iter().enumerate();
                let channels = channels.flat_map(|(w, m)| ones(m[token]).map(move |c| 32 * w + c));
                add_rows(y, matrix, channels);
            } else {
                let rows = matrix.chunks_exact(n).enumerate();
                add_products(y, rows.map(|(c, row)| (masks[c / 32][token] >> (c % 32) & 1, row)));
            }
            for y in y {
                *y *= scale;
            }
        }
    }
}

/// All tokens that `c` has rows for, of `a` from its start.
fn dense_rows(a: &[f32], b: &[f32], c: &mut [f32], s: Sizes, scale: f32) {
    let Sizes { lanes, k, n, .. } = s;
    let count = c.len() / (lanes * n);
    let mut left = vec![0.0; count * k];
    let mut out = vec![0.0; count * n];
    for lane in s.covered() {
        for (row, left) in left.chunks_exact_mut(k).enumerate() {
            left.copy_from_slice(&a[(row * lanes + lane) * k..][..k]);
        }
        let right = View::new(&b[lane * k * n..][..k * n], k, n, false);
        multiply(View::new(&left, count, k, false), right, &mut out, false);
        for (row, out) in c.chunks_exact_mut(lanes * n).zip(out.chunks_exact(n)) {
            for (c, v) in row[lane * n..][..n].iter_mut().zip(out) {
                *c = *v * scale;
            }
        }
    }
}

/// The matrices of all lanes as `[L, k, n]`.
fn floats(b: &[f32], s: Sizes, transposed: bool) -> Cow<'_, [f32]> {
    let Sizes { k, n, .. } = s;
    if !transposed {
        return Cow::Borrowed(b);
    }
    let mut out = vec![0.0; s.lanes * k * n];
    out.par_chunks_exact_mut(k * n).zip(b.par_chunks_exact(k * n)).for_each(|(out, b)| {
        for (i, row) in out.chunks_exact_mut(n).enumerate() {
            row.iter_mut().enumerate().for_each(|(j, v)| *v = b[j * k + i]);
        }
    });
    Cow::Owned(out)
}

/// Packed tokens as matrices `[L, k, n]`: k tokens of n channels, or n tokens of k channels.
fn tokens(words: &[u32], s: Sizes, transposed: bool) -> Vec<f32> {
    let Sizes { k, n, lanes, .. } = s;
    let levels = [0.0, 1.0];
    let channels = if transposed { k } else { n };
    let mut out = vec![0.0; lanes * k * n];
    out.par_chunks_exact_mut(k * n).enumerate().for_each(|(lane, out)| {
        for (i, row) in out.chunks_exact_mut(n).enumerate() {
            for (j, v) in row.iter_mut().enumerate() {
                let (t, c) = if transposed { (j, i) } else { (i, j) };
                let word = words[(t / 32 * lanes + lane) * channels + c];
                *v = levels[(word >> (t % 32) & 1) as usize];
            }
        }
    });
    out
}

/// Channels of a lane that a task takes.
const CHANNELS: usize = 16;

/// Runs `sum(chunk's tokens, lane, first channel, rows of C)` over C `[chunks, L, k, n]` in parallel.
fn each_block(
    s: Sizes,
    c: &mut [f32],
    sum: impl Fn(std::ops::Range<usize>, usize, usize, &mut [f32]) + Sync,
) {
    let parts = s.steps.div_ceil(s.chunk);
    let matrices = c[..parts * s.lanes * s.k * s.n].par_chunks_exact_mut(s.k * s.n).enumerate();
    matrices.for_each(|(i, matrix)| {
        let (part, lane) = (i / s.lanes, i % s.lanes);
        if !s.covered().contains(&lane) {
            return;
        }
        let steps = part * s.chunk..s.steps.min((part + 1) * s.chunk);
        let blocks = matrix.par_chunks_mut(CHANNELS * s.n).enumerate();
        blocks.for_each(|(block, rows)| sum(steps.clone(), lane, block * CHANNELS, rows));
    });
}

/// Spikes transposed times a gradient, within lanes.
pub(crate) fn spike_outer(args: &mut HostArgs<'_, f32>) {
    let p: HeadParams = args.params();
    let s = Sizes::new(&p);
    let (words, g) = (args.words("a"), args.reals("b"));
    let (scale, finite) = (p.scale, all_finite(g));
    each_block(s, args.reals_mut("c"), |steps, lane, first, rows| {
        let place = (steps, lane, first);
        if finite {
            vectorised(
                #[inline(always)]
                || outer_block(words, g, s, place.clone(), rows),
            );
        } else {
            outer_products(words, g, s, place, rows);
        }
        rows.iter_mut().for_each(|v| *v *= scale);
    });
}

#[inline(always)]
fn outer_block(
    words: &[u32],
    g: &[f32],
    s: Sizes,
    (steps, lane, first): (std::ops::Range<usize>, usize, usize),
    rows: &mut [f32],
) {
    rows.fill(0.0);
    let stride = s.lanes * s.n;
    for word in steps.start / 32..steps.end.div_ceil(32) {
        // The lane's gradients of 32 tokens: from row to row there are `lanes` of them.
        let g = &g[word * 32 * stride + lane * s.n..];
        let words = &words[(word * s.lanes + lane) * s.k + first..];
        for (row, word) in rows.chunks_exact_mut(s.n).zip(words) {
            add_rows(row, g, ones(*word).map(|t| t * s.lanes));
        }
    }
}

/// Likewise with gradients that are not all finite.
fn outer_products(
    words: &[u32],
    g: &[f32],
    s: Sizes,
    (steps, lane, first): (std::ops::Range<usize>, usize, usize),
    rows: &mut [f32],
) {
    rows.fill(0.0);
    for (i, row) in rows.chunks_exact_mut(s.n).enumerate() {
        let word = |t: usize| words[(t / 32 * s.lanes + lane) * s.k + first + i];
        let tokens = steps.clone();
        let products = tokens.map(|t| (word(t) >> (t % 32) & 1, &g[(t * s.lanes + lane) * s.n..]));
        add_products(row, products);
    }
}

/// Coincidences of spikes, within lanes.
pub(crate) fn spike_overlap(args: &mut HostArgs<'_, f32>) {
    let p: HeadParams = args.params();
    let s = Sizes::new(&p);
    let (a, b) = (args.words("a"), args.words("b"));
    let scale = p.scale;
    each_block(s, args.reals_mut("c"), |steps, lane, first, rows| {
        let mut counts = vec![0u32; 2 * rows.len()];
        vectorised(
            #[inline(always)]
            || overlap_block(a, b, s, (steps.clone(), lane, first), &mut counts),
        );
        for (v, count) in rows.iter_mut().zip(&counts) {
            *v = *count as f32 * scale;
        }
    });
}

/// Words whose counts a byte holds: 8 a word at the most.
const BYTES: usize = 31;

/// Counts of rows `first ..` to the first half of `counts`; the second half is scratch. Counts gather
/// in the four bytes of a word, so that vector instructions do all of it.
#[inline(always)]
fn overlap_block(
    a: &[u32],
    b: &[u32],
    s: Sizes,
    (steps, lane, first): (std::ops::Range<usize>, usize, usize),
    counts: &mut [u32],
) {
    let (totals, bytes) = counts.split_at_mut(counts.len() / 2);
    let (begin, end) = (steps.start / 32, steps.end.div_ceil(32));
    for chunk in (begin..end).step_by(BYTES) {
        bytes.fill(0);
        for word in chunk..end.min(chunk + BYTES) {
            let at = word * s.lanes + lane;
            let b = &b[at * s.n..][..s.n];
            for (bytes, a) in bytes.chunks_exact_mut(s.n).zip(&a[at * s.k + first..]) {
                let a = *a;
                for (bytes, b) in bytes.iter_mut().zip(b) {
                    *bytes += byte_counts(a & *b);
                }
            }
        }
        for (total, bytes) in totals.iter_mut().zip(&*bytes) {
            let pairs = (bytes & 0x00FF_00FF) + (bytes >> 8 & 0x00FF_00FF);
            *total += (pairs & 0xFFFF) + (pairs >> 16);
        }
    }
}

/// The ones in each byte of a word.
#[inline(always)]
fn byte_counts(word: u32) -> u32 {
    let pairs = word - (word >> 1 & 0x5555_5555);
    let fours = (pairs & 0x3333_3333) + (pairs >> 2 & 0x3333_3333);
    (fours + (fours >> 4)) & 0x0F0F_0F0F
}
