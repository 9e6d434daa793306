//! The CPU twins.

use super::blend::BackwardParams as BlendBackward;
use super::embedding::{Params as EmbeddingParams, PartParams};
use super::shift::{MixParams, Params as ShiftParams};
use super::sort::{BLOCK, Params as DigitParams, RADIX, ScanParams, StartParams};
use super::top_k::{BackwardParams as TopKBackward, Params as TopKParams};
use crate::elementwise::sigmoid;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, above, vectorised};
use crate::reduce::lane_sum;
use std::cmp::Ordering;

/// Elements that one task takes, in whole rows.
const TASK: usize = 1 << 13;

/// Calls `f` with the number of each row of `length` elements and the row, on all threads.
fn each_row<R: Send>(data: &mut [R], length: usize, f: impl Fn(usize, &mut [R]) + Sync) {
    let rows = TASK.div_ceil(length);
    data.par_chunks_mut(rows * length).enumerate().for_each(|(task, data)| {
        for (k, row) in data.chunks_mut(length).enumerate() {
            f(task * rows + k, row);
        }
    });
}

/// `sum += x`
fn add<R: Real>(sum: &mut [R], x: &[R]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x);
}

pub(super) fn embedding<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EmbeddingParams = args.params();
    let (table, tokens, y) = (args.reals(0), args.words(1), args.reals_mut(2));
    let length = y.len() / tokens.len();
    each_row(y, length, |i, y| match tokens[i] < p.vocabulary {
        true => y.copy_from_slice(&table[tokens[i] as usize * length..][..length]),
        false => y.fill(R::zero()),
    });
}

/// The digits of a pass, and the positions in the order so far.
struct Digits<'a> {
    tokens: &'a [u32],
    order: Option<&'a [u32]>,
    p: DigitParams,
}

impl<'a> Digits<'a> {
    fn of<R: Real>(args: &HostArgs<'a, R>) -> Self {
        let first = args.constant_or("FIRST", 0) == 1;
        let order = (!first).then(|| args.words(1));
        Self { tokens: args.words(0), order, p: args.params() }
    }

    fn position(&self, place: usize) -> usize {
        self.order.map_or(place, |order| order[place] as usize)
    }

    fn at(&self, place: usize) -> usize {
        let key = self.tokens[self.position(place)].min(self.p.vocabulary);
        (key >> self.p.shift) as usize % RADIX
    }
}

pub(super) fn digit_counts<R: Real>(args: &mut HostArgs<'_, R>) {
    let digits = Digits::of(args);
    let counts = args.words_mut(2);
    counts.fill(0);
    for place in 0..digits.tokens.len() {
        counts[place / BLOCK * RADIX + digits.at(place)] += 1;
    }
}

pub(super) fn digit_scan<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ScanParams = args.params();
    let counts = args.words_mut(0);
    let mut place = 0;
    for digit in 0..RADIX {
        for block in 0..p.blocks as usize {
            let count = std::mem::replace(&mut counts[block * RADIX + digit], place);
            place += count;
        }
    }
}

pub(super) fn digit_scatter<R: Real>(args: &mut HostArgs<'_, R>) {
    let digits = Digits::of(args);
    let mut places = args.words(2).to_vec();
    let sorted = args.words_mut(3);
    for place in 0..digits.tokens.len() {
        let next = &mut places[place / BLOCK * RADIX + digits.at(place)];
        sorted[*next as usize] = digits.position(place) as u32;
        *next += 1;
    }
}

pub(super) fn token_starts<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: StartParams = args.params();
    let (tokens, order, starts) = (args.words(0), args.words(1), args.words_mut(2));
    let mut next = 0;
    for (place, position) in order.iter().enumerate() {
        let token = tokens[*position as usize].min(p.vocabulary) as usize;
        while next <= token {
            starts[next] = place as u32;
            next += 1;
        }
    }
    starts[next..].fill(order.len() as u32);
}

/// Gradients in the order of their tokens.
struct Segments<'a, R> {
    g: &'a [R],
    order: &'a [u32],
    starts: &'a [u32],
    length: usize,
    piece: usize,
}

impl<R: Real> Segments<'_, R> {
    /// The places of token `v`.
    fn places(&self, v: usize) -> std::ops::Range<usize> {
        self.starts[v] as usize..self.starts[v + 1] as usize
    }

    /// The sum of the rows at some places.
    fn sum(&self, places: std::ops::Range<usize>, sum: &mut [R]) {
        sum.fill(R::zero());
        for position in &self.order[places] {
            add(sum, &self.g[*position as usize * self.length..][..self.length]);
        }
    }
}

pub(super) fn embedding_parts<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PartParams = args.params();
    let (g, tokens, order, starts) = (args.reals(0), args.words(1), args.words(2), args.words(3));
    let parts = args.reals_mut(4);
    let (length, piece) = (g.len() / tokens.len(), p.piece as usize);
    let inside = starts[p.vocabulary as usize] as usize;
    let segments = Segments { g, order, starts, length, piece };
    let token = |place: usize| tokens[order[place] as usize] as usize;
    parts.par_chunks_mut(2 * length).enumerate().for_each(|(s, parts)| {
        let (first, end) = (s * piece, inside.min((s + 1) * piece));
        if first >= end {
            return;
        }
        let (head, tail) = parts.split_at_mut(length);
        let before = segments.places(token(first));
        if before.start < first {
            segments.sum(first..end.min(before.end), head);
        }
        let after = segments.places(token(end - 1));
        if after.start >= first && after.end > end {
            segments.sum(after.start..end, tail);
        }
    });
}

pub(super) fn embedding_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PartParams = args.params();
    let (g, order, starts) = (args.reals(0), args.words(1), args.words(2));
    let (parts, table) = (args.reals(3), args.reals_mut(4));
    let length = table.len() / p.vocabulary as usize;
    let segments = Segments { g, order, starts, length, piece: p.piece as usize };
    each_row(table, length, |v, row| {
        let places = segments.places(v);
        if places.is_empty() {
            return row.fill(R::zero());
        }
        let (first, last) = (places.start / segments.piece, (places.end - 1) / segments.piece);
        if first == last {
            return segments.sum(places, row);
        }
        row.copy_from_slice(&parts[(2 * first + 1) * length..][..length]);
        for s in first + 1..=last {
            add(row, &parts[2 * s * length..][..length]);
        }
    });
}

pub(super) fn token_shift<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShiftParams = args.params();
    let (x, mix) = (args.reals(0), args.reals(1));
    let previous = (args.constant_or("PREVIOUS", 0) == 1).then(|| args.reals(2));
    let y = args.reals_mut(3);
    let channels = mix.len();
    let batch = (p.lane / p.channels) as usize;
    each_row(y, channels, |r, y| {
        let before = before(x, previous, r, batch, channels);
        let x = &x[r * channels..][..channels];
        y.iter_mut().zip(x.iter().zip(mix)).for_each(|(y, (x, m))| *y = *m * *x);
        if let Some(before) = before {
            let terms = before.iter().zip(mix);
            y.iter_mut().zip(terms).for_each(|(y, (x, m))| *y += (R::one() - *m) * *x);
        }
    });
}

/// Row `r` of x one token earlier.
fn before<'a, R>(
    x: &'a [R],
    previous: Option<&'a [R]>,
    r: usize,
    batch: usize,
    channels: usize,
) -> Option<&'a [R]> {
    match r.checked_sub(batch) {
        Some(r) => Some(&x[r * channels..][..channels]),
        None => previous.map(|x| &x[r * channels..][..channels]),
    }
}

pub(super) fn token_shift_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let (mix, g) = (args.reals(0), args.reals(1));
    let (gx, gprevious) = (args.reals_mut(2), args.reals_mut(3));
    let p: ShiftParams = args.params();
    let channels = mix.len();
    let batch = (p.lane / p.channels) as usize;
    let lane = batch * channels;
    each_row(gx, channels, |r, gx| {
        let now = &g[r * channels..][..channels];
        gx.iter_mut().zip(now.iter().zip(mix)).for_each(|(gx, (g, m))| *gx = *m * *g);
        if let Some(next) = g.get((r + batch) * channels..).filter(|g| !g.is_empty()) {
            let terms = next.iter().zip(mix);
            gx.iter_mut().zip(terms).for_each(|(gx, (g, m))| *gx += (R::one() - *m) * *g);
        }
    });
    if args.constant_or("PREVIOUS", 0) == 1 {
        let terms = g[..lane].iter().zip(mix.iter().cycle());
        gprevious.iter_mut().zip(terms).for_each(|(gp, (g, m))| *gp = (R::one() - *m) * *g);
    }
}

pub(super) fn token_shift_mix<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: MixParams = args.params();
    let (x, g) = (args.reals(0), args.reals(2));
    let previous = (args.constant_or("PREVIOUS", 0) == 1).then(|| args.reals(1));
    let part = args.reals_mut(3);
    let (rows, channels) = (p.rows as usize, p.channels as usize);
    let (batch, chunk) = (p.batch as usize, p.chunk as usize);
    part.par_chunks_mut(channels).enumerate().for_each(|(s, sums)| {
        sums.fill(R::zero());
        for r in s * chunk..rows.min((s + 1) * chunk) {
            let (now, g) = (&x[r * channels..][..channels], &g[r * channels..][..channels]);
            match before(x, previous, r, batch, channels) {
                Some(before) => {
                    let terms = g.iter().zip(now.iter().zip(before));
                    sums.iter_mut().zip(terms).for_each(|(s, (g, (x, b)))| *s += *g * (*x - *b));
                }
                None => {
                    sums.iter_mut().zip(g.iter().zip(now)).for_each(|(s, (g, x))| *s += *g * *x);
                }
            }
        }
    });
}

pub(super) fn blend<R: Real>(args: &mut HostArgs<'_, R>) {
    let (a, b, raw) = (args.reals(0), args.reals(1), args.reals(2)[0]);
    let (al, rest) = (sigmoid(raw), sigmoid(-raw));
    let y = args.reals_mut(3);
    let inputs = a.par_chunks(TASK).zip(b.par_chunks(TASK));
    y.par_chunks_mut(TASK).zip(inputs).for_each(|(y, (a, b))| {
        y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| *y = al * *a + rest * *b);
    });
}

pub(super) fn blend_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BlendBackward = args.params();
    let (a, b, raw, g) = (args.reals(0), args.reals(1), args.reals(2)[0], args.reals(3));
    let (al, rest) = (sigmoid(raw), sigmoid(-raw));
    for (out, factor) in [(args.reals_mut(4), al), (args.reals_mut(5), rest)] {
        out.par_chunks_mut(TASK).zip(g.par_chunks(TASK)).for_each(|(out, g)| {
            out.iter_mut().zip(g).for_each(|(out, g)| *out = factor * *g);
        });
    }
    let width = g.len() / p.cells as usize;
    let (span, parts) = (p.span as usize, p.parts as usize);
    args.reals_mut(6).par_iter_mut().enumerate().for_each(|(s, part)| {
        let mut sum = R::zero();
        if p.interleaved == 1 {
            let cells = (s..p.cells as usize).step_by(parts);
            let elements = cells.flat_map(|c| c * width..(c + 1) * width);
            sum = elements.map(|i| g[i] * (a[i] - b[i])).sum();
        } else {
            let elements = s * span * width..g.len().min((s + 1) * span * width);
            let piece = [a, b, g].map(|x| &x[elements.clone()]);
            vectorised(
                #[inline(always)]
                || sum = lane_sum(piece, |[a, b, g]| g * (a - b)),
            );
        }
        *part = al * rest * sum;
    });
}

pub(super) fn top_k_mask<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TopKParams = args.params();
    let (x, y, threshold) = (args.reals(0), args.reals_mut(1), args.reals_mut(2));
    let (length, k) = (p.length as usize, p.k as usize);
    let rows = y.par_chunks_mut(length).zip(x.par_chunks(length)).zip(threshold);
    rows.for_each_init(Vec::new, |values: &mut Vec<R>, ((y, x), threshold)| {
        values.clear();
        values.extend_from_slice(x);
        // A NaN is larger than any number.
        let larger = |a: &R, b: &R| match (above(*a, *b), above(*b, *a)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            _ => Ordering::Equal,
        };
        let (_, least, _) = values.select_nth_unstable_by(k - 1, larger);
        *threshold = *least;
        let larger = x.iter().filter(|x| above(**x, *threshold)).count();
        let mut equal = k.saturating_sub(larger);
        for (y, x) in y.iter_mut().zip(x) {
            let larger = above(*x, *threshold);
            let tie = !larger && !above(*threshold, *x) && equal > 0;
            equal -= usize::from(tie);
            *y = if tie || larger { R::one() } else { R::zero() };
        }
    });
}

pub(super) fn top_k_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TopKBackward = args.params();
    let (x, threshold, g) = (args.reals(0), args.reals(1), args.reals(2));
    let length = p.length as usize;
    let a = R::lit(f64::from(p.a));
    each_row(args.reals_mut(3), length, |r, gx| {
        let inputs = x[r * length..].iter().zip(&g[r * length..]);
        for (gx, (x, g)) in gx.iter_mut().zip(inputs) {
            let u = R::FRAC_PI_2() * a * (*x - threshold[r]);
            *gx = *g * R::lit(0.5) * a / (R::one() + u * u);
        }
    });
}
