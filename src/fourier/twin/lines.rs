//! Transforms of whole lines.

use super::super::lines::{Mode, Params};
use super::Precise;
use crate::host::{HostArgs, columns};
use rayon::prelude::*;
use realfft::{ComplexToReal, RealToComplex};
use rustfft::Fft;
use rustfft::num_complex::Complex;
use std::sync::Arc;

/// Words below which other threads are not woken.
const SERIAL: usize = 1 << 14;
/// Lines of an inner axis that are brought together at a time: a cache line of single words.
const SIDE_BY_SIDE: usize = 16;

/// A planned transform of one line.
enum Line<R> {
    Forward(Arc<dyn Fft<R>>),
    Inverse(Arc<dyn Fft<R>>),
    RealForward(Arc<dyn RealToComplex<R>>),
    RealInverse(Arc<dyn ComplexToReal<R>>),
}

impl<R: Precise> Line<R> {
    fn plan(p: &Params, load: u32, store: u32) -> Self {
        let mut plans = R::planners();
        let (points, length) = (p.count as usize, p.length as usize);
        if load == Mode::Real as u32 || load == Mode::Pairs as u32 {
            Line::RealForward(plans.real.plan_fft_forward(length))
        } else if store == Mode::Real as u32 || store == Mode::Pairs as u32 {
            Line::RealInverse(plans.real.plan_fft_inverse(length))
        } else if load == Mode::Conjugate as u32 {
            Line::Inverse(plans.complex.plan_fft_inverse(points))
        } else {
            Line::Forward(plans.complex.plan_fft_forward(points))
        }
    }

    /// Words of an element before and after.
    fn words(&self) -> [usize; 2] {
        match self {
            Line::Forward(_) | Line::Inverse(_) => [2, 2],
            Line::RealForward(_) => [1, 2],
            Line::RealInverse(_) => [2, 1],
        }
    }

    fn scratch(&self, p: &Params) -> Scratch<R> {
        let complex = match self {
            Line::Forward(f) | Line::Inverse(f) => f.get_immutable_scratch_len(),
            Line::RealForward(f) => f.get_scratch_len(),
            Line::RealInverse(f) => f.get_scratch_len(),
        };
        let words = match self {
            Line::Forward(_) | Line::Inverse(_) => 0,
            Line::RealForward(_) => p.load_extent as usize,
            Line::RealInverse(_) => 2 * p.load_extent as usize,
        };
        Scratch { complex: vec![Complex::default(); complex], line: vec![R::zero(); words] }
    }

    /// Transforms the points of `x` to `y`, with the factors.
    fn run(&self, p: &Params, x: &[R], y: &mut [R], scratch: &mut Scratch<R>) {
        let (scale, middle) = (R::lit(p.scale.into()), R::lit(p.middle.into()));
        let Scratch { complex: work, line } = scratch;
        match self {
            Line::Forward(f) | Line::Inverse(f) => {
                let (x, z) = (bytemuck::cast_slice(x), bytemuck::cast_slice_mut(y));
                f.process_immutable_with_scratch(x, z, work);
                scaled(y, scale);
            }
            Line::RealForward(f) => {
                line.copy_from_slice(x);
                let outcome = f.process_with_scratch(line, bytemuck::cast_slice_mut(y), work);
                debug_assert!(outcome.is_ok());
                weighted(y, p.length, scale, scale * middle);
            }
            Line::RealInverse(f) => {
                line.copy_from_slice(x);
                weighted(line, p.length, scale, scale * middle);
                // What stands there has no part in the outcome; the crate refuses it.
                line[1] = R::zero();
                if p.length.is_multiple_of(2) {
                    line[p.length as usize + 1] = R::zero();
                }
                let outcome = f.process_with_scratch(bytemuck::cast_slice_mut(line), y, work);
                debug_assert!(outcome.is_ok());
            }
        }
    }
}

struct Scratch<R> {
    complex: Vec<Complex<R>>,
    line: Vec<R>,
}

fn scaled<R: Precise>(y: &mut [R], scale: R) {
    if scale != R::one() {
        y.iter_mut().for_each(|v| *v *= scale);
    }
}

/// The bins of half a spectrum times `middle`, those without a partner times `edge`.
fn weighted<R: Precise>(y: &mut [R], length: u32, edge: R, middle: R) {
    scaled(y, middle);
    if edge == middle {
        return;
    }
    let factor = edge / middle;
    scaled(&mut y[..2], factor);
    if length > 1 && length.is_multiple_of(2) {
        scaled(&mut y[length as usize..], factor);
    }
}

pub(super) fn transform<R: Precise>(p: &Params, load: u32, store: u32, args: &mut HostArgs<'_, R>) {
    let line = Line::plan(p, load, store);
    let (x, y) = (args.reals(0), args.reals_mut(1));
    if p.load_inner == 1 {
        contiguous(p, &line, x, y);
    } else {
        strided(p, &line, x, y);
    }
}

/// Lines whose points follow each other.
fn contiguous<R: Precise>(p: &Params, line: &Line<R>, x: &[R], y: &mut [R]) {
    let [read, written] = line.words();
    let (read, written) = (read * p.load_extent as usize, written * p.store_extent as usize);
    let run = |scratch: &mut Scratch<R>, (x, y): (&[R], &mut [R])| {
        for (x, y) in x.chunks_exact(read).zip(y.chunks_exact_mut(written)) {
            line.run(p, x, y, scratch);
        }
    };
    if x.len() + y.len() < SERIAL {
        return run(&mut line.scratch(p), (x, y));
    }
    let lines = (SERIAL / 2).div_ceil(read + written);
    let tasks = x.par_chunks(lines * read).zip(y.par_chunks_mut(lines * written));
    tasks.for_each_init(|| line.scratch(p), run);
}

/// Lines that stand side by side: brought together a few at a time.
fn strided<R: Precise>(p: &Params, line: &Line<R>, x: &[R], y: &mut [R]) {
    let [read, written] = line.words();
    let inner = p.load_inner as usize;
    let (from, to) = (p.load_extent as usize, p.store_extent as usize);
    let outer = p.lines as usize / inner;
    let many = outer >= 4 * rayon::current_num_threads();
    let width = if many { inner } else { columns::width(inner, to) };
    let serial = x.len() + y.len() < SERIAL;
    let mut blocks = Vec::new();
    for (o, matrix) in y.chunks_exact_mut(to * inner * written).enumerate() {
        let cut = columns::cut_mut(matrix, inner * written, width * written);
        blocks.extend(cut.into_iter().enumerate().map(|(b, rows)| (o, b * width, rows)));
    }
    let run = |scratch: &mut Gather<R>, (o, start, mut rows): (usize, usize, Vec<&mut [R]>)| {
        let matrix = &x[o * from * inner * read..][..from * inner * read];
        let end = start + rows.first().map_or(0, |r| r.len() / written);
        for first in (start..end).step_by(SIDE_BY_SIDE) {
            let lanes = SIDE_BY_SIDE.min(end - first);
            for (m, row) in matrix.chunks_exact(inner * read).enumerate() {
                spread(&row[first * read..], &mut scratch.x[m * read..], [lanes, from], read);
            }
            for l in 0..lanes {
                let x = &scratch.x[l * from * read..][..from * read];
                let y = &mut scratch.y[l * to * written..][..to * written];
                line.run(p, x, y, &mut scratch.line);
            }
            for (k, row) in rows.iter_mut().enumerate() {
                let row = &mut row[(first - start) * written..];
                collect(&scratch.y[k * written..], row, [lanes, to], written);
            }
        }
    };
    let scratch = || Gather {
        x: vec![R::zero(); SIDE_BY_SIDE * from * read],
        y: vec![R::zero(); SIDE_BY_SIDE * to * written],
        line: line.scratch(p),
    };
    if serial {
        let mut scratch = scratch();
        blocks.into_iter().for_each(|block| run(&mut scratch, block));
    } else {
        blocks.into_par_iter().for_each_init(scratch, run);
    }
}

/// Lines brought together.
struct Gather<R> {
    x: Vec<R>,
    y: Vec<R>,
    line: Scratch<R>,
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
