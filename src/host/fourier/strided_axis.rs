//! Transforms along an axis with others inside it: lines that stand side by side.

use super::lanes::{LANES, Lanes, Point};
use super::line::{Line, SERIAL, Scratch};
use super::source::Source;
use crate::fourier::spectrum::LineParams;
use crate::host::parallel::*;
use crate::host::{columns, vectorised};

/// Reals of a row that are taken at a time: as many real lines, or half as many complex ones.
const WORDS: usize = 2 * LANES;
/// Lines that are gathered at a time, where they are.
const GATHERED: usize = 16;

/// A part of a matrix `[points, inner]`: some of its columns.
struct Block<'a> {
    /// Where the matrix begins in what is read.
    at: usize,
    /// The first column.
    start: usize,
    /// The part's rows of the outcome.
    rows: Vec<&'a mut [f32]>,
}

pub(super) fn transform(p: &LineParams, line: &Line, x: Source<'_>, y: &mut [f32]) {
    let [read, written] = line.words();
    let inner = p.load_inner as usize;
    let serial = y.len() < SERIAL;
    let outer = p.lines as usize / inner;
    let width = width(outer, inner, serial);
    let matrices = y.chunks_exact_mut(p.store_extent as usize * inner * written);
    let matrix = p.load_extent as usize * inner * read;
    let mut blocks = Vec::new();
    for (o, y) in matrices.enumerate() {
        let cut = columns::cut_mut(y, inner * written, width * written).into_iter().enumerate();
        let at = o * matrix;
        blocks.extend(cut.map(|(b, rows)| Block { at, start: b * width, rows }));
    }
    match line.lanes(p).filter(|_| inner >= LANES) {
        Some(lanes) => {
            let places = 2 * lanes.points();
            let work = |points: &mut Vec<_>, block| in_lanes(p, line, &lanes, points, (x, block));
            each(blocks, serial, || vec![Point::default(); places], work);
        }
        None => {
            let work = |scratch: &mut Gather, block| gather(p, line, scratch, (x, block));
            each(blocks, serial, || Gather::new(p, line), work);
        }
    }
}

/// The columns of a block: all, or a share for each thread.
fn width(outer: usize, inner: usize, serial: bool) -> usize {
    let threads = threads();
    if serial || outer >= 4 * threads || outer.is_multiple_of(threads) {
        return inner;
    }
    inner.div_ceil(threads).next_multiple_of(WORDS)
}

fn each<T: Send, S>(
    blocks: Vec<T>,
    serial: bool,
    scratch: impl Fn() -> S + Send + Sync,
    work: impl Fn(&mut S, T) + Send + Sync,
) {
    if serial {
        let mut scratch = scratch();
        blocks.into_iter().for_each(|block| work(&mut scratch, block));
    } else {
        blocks.into_par_iter().for_each_init(scratch, work);
    }
}

/// Eight complex lines or sixteen real ones at a time.
fn in_lanes(
    p: &LineParams,
    line: &Line,
    lanes: &Lanes,
    points: &mut [Point],
    (x, Block { at, start, mut rows }): (Source<'_>, Block<'_>),
) {
    let [read, written] = line.words();
    let inner = p.load_inner as usize;
    let columns = rows.first().map_or(0, |r| r.len() / written);
    let step = if read == written { LANES } else { WORDS };
    let (from, to) = points.split_at_mut(lanes.points());
    for first in (0..columns).step_by(step) {
        let many = step.min(columns - first);
        let begin = at + (start + first) * read;
        let columns = Rows { x, pitch: inner * read, at: begin, words: many * read };
        vectorised(
            #[inline(always)]
            || load(p, line, &columns, from),
        );
        let z = lanes.run([&mut *from, &mut *to]);
        // The sum of all points: where it is not finite, lines are looked at one by one.
        if !z[0].is_finite() {
            let columns = first * written..(first + many) * written;
            let rows = rows.iter_mut().map(|row| &mut row[columns.clone()]).collect();
            let apart = Block { at, start: start + first, rows };
            gather(p, line, &mut Gather::new(p, line), (x, apart));
            continue;
        }
        let mut y = RowsMut { rows: &mut rows, first: first * written, words: many * written };
        vectorised(
            #[inline(always)]
            || store(p, line, z, &mut y),
        );
    }
}

/// Some columns of the rows that are read.
struct Rows<'a> {
    x: Source<'a>,
    pitch: usize,
    /// Where the first row's columns begin.
    at: usize,
    words: usize,
}

impl Rows<'_> {
    /// The words of a row, zeros beyond them.
    #[inline(always)]
    fn get<const N: usize>(&self, row: usize) -> [f32; N] {
        let mut out = [0.0; N];
        let at = self.at + row * self.pitch;
        if self.words == N {
            self.x.read(at, 1.0, &mut out);
        } else {
            self.x.read(at, 1.0, &mut out[..self.words]);
        }
        out
    }
}

/// Some columns of the rows that are written.
struct RowsMut<'r, 'a> {
    rows: &'r mut [&'a mut [f32]],
    first: usize,
    words: usize,
}

impl RowsMut<'_, '_> {
    #[inline(always)]
    fn set<const N: usize>(&mut self, row: usize, values: &[f32; N]) {
        let y = &mut self.rows[row][self.first..][..self.words];
        if self.words == N {
            y.copy_from_slice(values);
        } else {
            y.copy_from_slice(&values[..self.words]);
        }
    }
}

#[inline(always)]
fn apart(words: &[f32]) -> Point {
    let mut z = Point::default();
    for l in 0..LANES {
        (z.re[l], z.im[l]) = (words[2 * l], words[2 * l + 1]);
    }
    z
}

#[inline(always)]
fn together(re: &[f32; LANES], im: &[f32; LANES], scale: f32, words: &mut [f32]) {
    for l in 0..LANES {
        (words[2 * l], words[2 * l + 1]) = (re[l] * scale, im[l] * scale);
    }
}

#[inline(always)]
fn load(p: &LineParams, line: &Line, x: &Rows<'_>, points: &mut [Point]) {
    match line {
        Line::Forward(_) => {
            for (m, z) in points.iter_mut().enumerate() {
                *z = apart(&x.get::<WORDS>(m));
            }
        }
        Line::Inverse(_) => {
            for (m, z) in points.iter_mut().enumerate() {
                *z = apart(&x.get::<WORDS>(m)).swapped();
            }
        }
        Line::RealForward(_) => {
            for (m, z) in points.iter_mut().enumerate() {
                let row = x.get::<WORDS>(m);
                z.re.copy_from_slice(&row[..LANES]);
                z.im.copy_from_slice(&row[LANES..]);
            }
        }
        Line::RealInverse(_) => load_half(p, x, points),
    }
}

/// From the spectra A, B of two reals: Z_k = A_k + i B_k, Z_{n-k} = conj A_k + i conj B_k.
#[inline(always)]
fn load_half(p: &LineParams, x: &Rows<'_>, points: &mut [Point]) {
    let n = points.len();
    for k in 0..=n / 2 {
        let row = x.get::<{ 2 * WORDS }>(k);
        let (mut a, mut b) = (apart(&row[..WORDS]), apart(&row[WORDS..]));
        let edge = k == 0 || 2 * k == n;
        let weight = if edge { 1.0 } else { p.middle };
        let turn = if edge { 0.0 } else { weight };
        let (mut low, mut high) = (Point::default(), Point::default());
        for l in 0..LANES {
            (a.re[l], b.re[l]) = (a.re[l] * weight, b.re[l] * weight);
            (a.im[l], b.im[l]) = (a.im[l] * turn, b.im[l] * turn);
            (low.re[l], low.im[l]) = (a.re[l] - b.im[l], a.im[l] + b.re[l]);
            (high.re[l], high.im[l]) = (a.re[l] + b.im[l], b.re[l] - a.im[l]);
        }
        points[(n - k) % n] = high.swapped();
        points[k] = low.swapped();
    }
}

#[inline(always)]
fn store(p: &LineParams, line: &Line, points: &[Point], y: &mut RowsMut<'_, '_>) {
    let scale = p.scale;
    let mut row = [0.0; WORDS];
    match line {
        Line::Forward(_) => {
            for (k, z) in points.iter().enumerate() {
                together(&z.re, &z.im, scale, &mut row);
                y.set(k, &row);
            }
        }
        Line::Inverse(_) => {
            for (m, z) in points.iter().enumerate() {
                together(&z.im, &z.re, scale, &mut row);
                y.set(m, &row);
            }
        }
        Line::RealForward(_) => store_half(p, scale, points, y),
        Line::RealInverse(_) => {
            for (m, z) in points.iter().enumerate() {
                for l in 0..LANES {
                    (row[l], row[LANES + l]) = (z.im[l] * scale, z.re[l] * scale);
                }
                y.set(m, &row);
            }
        }
    }
}

/// The spectra of two reals, A_k = (Z_k + conj Z_{n-k}) / 2 and B_k = (Z_k - conj Z_{n-k}) / 2i.
#[inline(always)]
fn store_half(p: &LineParams, scale: f32, points: &[Point], y: &mut RowsMut<'_, '_>) {
    let n = points.len();
    let mut row = [0.0; 2 * WORDS];
    for k in 0..=n / 2 {
        let (low, high) = (&points[k], &points[(n - k) % n]);
        let (mut a, mut b) = (Point::default(), Point::default());
        for l in 0..LANES {
            (a.re[l], a.im[l]) = (low.re[l] + high.re[l], low.im[l] - high.im[l]);
            (b.re[l], b.im[l]) = (low.im[l] + high.im[l], high.re[l] - low.re[l]);
        }
        let edge = k == 0 || 2 * k == n;
        let weight = if edge { scale } else { scale * p.middle };
        let (first, second) = row.split_at_mut(WORDS);
        together(&a.re, &a.im, weight * 0.5, first);
        together(&b.re, &b.im, weight * 0.5, second);
        y.set(k, &row);
    }
}

/// Lines brought together: where they are too long for lanes, or too few, or of a large prime factor.
struct Gather {
    x: Vec<f32>,
    y: Vec<f32>,
    line: Scratch,
}

impl Gather {
    fn new(p: &LineParams, line: &Line) -> Self {
        let [read, written] = line.words();
        Self {
            x: vec![0.0; GATHERED * p.load_extent as usize * read],
            y: vec![0.0; GATHERED * p.store_extent as usize * written],
            line: line.scratch(p),
        }
    }
}

fn gather(
    p: &LineParams,
    line: &Line,
    scratch: &mut Gather,
    (x, Block { at, start, mut rows }): (Source<'_>, Block<'_>),
) {
    let [read, written] = line.words();
    let inner = p.load_inner as usize;
    let (from, to) = (p.load_extent as usize, p.store_extent as usize);
    let end = rows.first().map_or(0, |r| r.len() / written);
    for first in (0..end).step_by(GATHERED) {
        let lanes = GATHERED.min(end - first);
        let mut row = [0.0; 2 * GATHERED];
        let row = &mut row[..lanes * read];
        for m in 0..from {
            x.read(at + (m * inner + start + first) * read, 1.0, row);
            spread(row, &mut scratch.x[m * read..], [lanes, from], read);
        }
        for l in 0..lanes {
            let x = (Source::Numbers(&scratch.x), l * from * read);
            let y = &mut scratch.y[l * to * written..][..to * written];
            line.run(p, x, y, &mut scratch.line);
        }
        for (k, row) in rows.iter_mut().enumerate() {
            let row = &mut row[first * written..];
            collect(&scratch.y[k * written..], row, [lanes, to], written);
        }
    }
}

/// `lines[l * extent] = row[l]`, elements of `words` words.
fn spread(row: &[f32], lines: &mut [f32], [lanes, extent]: [usize; 2], words: usize) {
    for (l, element) in row.chunks_exact(words).take(lanes).enumerate() {
        lines[l * extent * words..][..words].copy_from_slice(element);
    }
}

/// `row[l] = lines[l * extent]`, elements of `words` words.
fn collect(lines: &[f32], row: &mut [f32], [lanes, extent]: [usize; 2], words: usize) {
    for (l, element) in row.chunks_exact_mut(words).take(lanes).enumerate() {
        element.copy_from_slice(&lines[l * extent * words..][..words]);
    }
}
