//! Transforms along an axis with others inside it: lines that stand side by side.

use super::super::lines::Params;
use super::Precise;
use super::lanes::{LANES, Lanes, Point};
use super::lines::{Line, SERIAL, Scratch};
use super::source::Source;
use crate::host::parallel::*;
use crate::host::{columns, vectorised};

/// Reals of a row that are taken at a time: as many real lines, or half as many complex ones.
const WORDS: usize = 2 * LANES;
/// Lines that are gathered at a time, where they are.
const GATHERED: usize = 16;

/// A part of a matrix `[points, inner]`: some of its columns.
struct Block<'a, R> {
    /// Where the matrix begins in what is read.
    at: usize,
    /// The first column.
    start: usize,
    /// The part's rows of the outcome.
    rows: Vec<&'a mut [R]>,
}

pub(super) fn transform<R: Precise>(p: &Params, line: &Line<R>, x: Source<'_, R>, y: &mut [R]) {
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
            let work = |scratch: &mut Gather<R>, block| gather(p, line, scratch, (x, block));
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
fn in_lanes<R: Precise>(
    p: &Params,
    line: &Line<R>,
    lanes: &Lanes<R>,
    points: &mut [Point<R>],
    (x, Block { at, start, mut rows }): (Source<'_, R>, Block<'_, R>),
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
struct Rows<'a, R> {
    x: Source<'a, R>,
    pitch: usize,
    /// Where the first row's columns begin.
    at: usize,
    words: usize,
}

impl<R: Precise> Rows<'_, R> {
    /// The words of a row, zeros beyond them.
    #[inline(always)]
    fn get<const N: usize>(&self, row: usize) -> [R; N] {
        let mut out = [R::zero(); N];
        let at = self.at + row * self.pitch;
        if self.words == N {
            self.x.read(at, R::one(), &mut out);
        } else {
            self.x.read(at, R::one(), &mut out[..self.words]);
        }
        out
    }
}

/// Some columns of the rows that are written.
struct RowsMut<'r, 'a, R> {
    rows: &'r mut [&'a mut [R]],
    first: usize,
    words: usize,
}

impl<R: Precise> RowsMut<'_, '_, R> {
    #[inline(always)]
    fn set<const N: usize>(&mut self, row: usize, values: &[R; N]) {
        let y = &mut self.rows[row][self.first..][..self.words];
        if self.words == N {
            y.copy_from_slice(values);
        } else {
            y.copy_from_slice(&values[..self.words]);
        }
    }
}

#[inline(always)]
fn apart<R: Precise>(words: &[R]) -> Point<R> {
    let mut z = Point::default();
    for l in 0..LANES {
        (z.re[l], z.im[l]) = (words[2 * l], words[2 * l + 1]);
    }
    z
}

#[inline(always)]
fn together<R: Precise>(re: &[R; LANES], im: &[R; LANES], scale: R, words: &mut [R]) {
    for l in 0..LANES {
        (words[2 * l], words[2 * l + 1]) = (re[l] * scale, im[l] * scale);
    }
}

#[inline(always)]
fn load<R: Precise>(p: &Params, line: &Line<R>, x: &Rows<'_, R>, points: &mut [Point<R>]) {
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
fn load_half<R: Precise>(p: &Params, x: &Rows<'_, R>, points: &mut [Point<R>]) {
    let n = points.len();
    for k in 0..=n / 2 {
        let row = x.get::<{ 2 * WORDS }>(k);
        let (mut a, mut b) = (apart(&row[..WORDS]), apart(&row[WORDS..]));
        let edge = k == 0 || 2 * k == n;
        let weight = if edge { R::one() } else { R::lit(p.middle.into()) };
        let turn = if edge { R::zero() } else { weight };
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
fn store<R: Precise>(p: &Params, line: &Line<R>, points: &[Point<R>], y: &mut RowsMut<'_, '_, R>) {
    let scale = R::lit(p.scale.into());
    let mut row = [R::zero(); WORDS];
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
fn store_half<R: Precise>(p: &Params, scale: R, points: &[Point<R>], y: &mut RowsMut<'_, '_, R>) {
    let n = points.len();
    let mut row = [R::zero(); 2 * WORDS];
    for k in 0..=n / 2 {
        let (low, high) = (&points[k], &points[(n - k) % n]);
        let (mut a, mut b) = (Point::default(), Point::default());
        for l in 0..LANES {
            (a.re[l], a.im[l]) = (low.re[l] + high.re[l], low.im[l] - high.im[l]);
            (b.re[l], b.im[l]) = (low.im[l] + high.im[l], high.re[l] - low.re[l]);
        }
        let edge = k == 0 || 2 * k == n;
        let weight = if edge { scale } else { scale * R::lit(p.middle.into()) };
        let (first, second) = row.split_at_mut(WORDS);
        together(&a.re, &a.im, weight * R::lit(0.5), first);
        together(&b.re, &b.im, weight * R::lit(0.5), second);
        y.set(k, &row);
    }
}

/// Lines brought together: where they are too long for lanes, or too few, or of a large prime factor.
struct Gather<R> {
    x: Vec<R>,
    y: Vec<R>,
    line: Scratch<R>,
}

impl<R: Precise> Gather<R> {
    fn new(p: &Params, line: &Line<R>) -> Self {
        let [read, written] = line.words();
        Self {
            x: vec![R::zero(); GATHERED * p.load_extent as usize * read],
            y: vec![R::zero(); GATHERED * p.store_extent as usize * written],
            line: line.scratch(p),
        }
    }
}

fn gather<R: Precise>(
    p: &Params,
    line: &Line<R>,
    scratch: &mut Gather<R>,
    (x, Block { at, start, mut rows }): (Source<'_, R>, Block<'_, R>),
) {
    let [read, written] = line.words();
    let inner = p.load_inner as usize;
    let (from, to) = (p.load_extent as usize, p.store_extent as usize);
    let end = rows.first().map_or(0, |r| r.len() / written);
    for first in (0..end).step_by(GATHERED) {
        let lanes = GATHERED.min(end - first);
        let mut row = [R::zero(); 2 * GATHERED];
        let row = &mut row[..lanes * read];
        for m in 0..from {
            x.read(at + (m * inner + start + first) * read, R::one(), row);
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
fn spread<R: Copy>(row: &[R], lines: &mut [R], [lanes, extent]: [usize; 2], words: usize) {
    for (l, element) in row.chunks_exact(words).take(lanes).enumerate() {
        lines[l * extent * words..][..words].copy_from_slice(element);
    }
}

/// `row[l] = lines[l * extent]`, elements of `words` words.
fn collect<R: Copy>(lines: &[R], row: &mut [R], [lanes, extent]: [usize; 2], words: usize) {
    for (l, element) in row.chunks_exact_mut(words).take(lanes).enumerate() {
        element.copy_from_slice(&lines[l * extent * words..][..words]);
    }
}
