//! The transform of one line.

use super::lanes::Lanes;
use super::planners;
use super::source::Source;
use crate::fourier::spectrum::{LineParams, Mode};
use crate::host::vectorised;
use realfft::{ComplexToReal, RealToComplex};
use rustfft::Fft;
use rustfft::num_complex::Complex;
use std::sync::Arc;

/// Words of an outcome below which other threads are not woken.
pub(super) const SERIAL: usize = 1 << 13;
/// Words of the outcomes of complex lines that one call transforms: they stay near for their factor.
const CALL: usize = 1 << 11;

/// A planned transform of one line.
pub(super) enum Line {
    Forward(Arc<dyn Fft<f32>>),
    Inverse(Arc<dyn Fft<f32>>),
    RealForward(Arc<dyn RealToComplex<f32>>),
    RealInverse(Arc<dyn ComplexToReal<f32>>),
}

impl Line {
    /// The plan of what the kernel loads and stores in these modes.
    pub(super) fn plan(p: &LineParams, load: u32, store: u32) -> Self {
        let mut plans = planners();
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
    pub(super) fn words(&self) -> [usize; 2] {
        match self {
            Line::Forward(_) | Line::Inverse(_) => [2, 2],
            Line::RealForward(_) => [1, 2],
            Line::RealInverse(_) => [2, 1],
        }
    }

    fn is_complex(&self) -> bool {
        matches!(self, Line::Forward(_) | Line::Inverse(_))
    }

    /// The lines of a call: complex lines that follow each other are transformed together.
    pub(super) fn at_once(&self, p: &LineParams) -> usize {
        if self.is_complex() { (CALL / (2 * p.count as usize)).max(1) } else { 1 }
    }

    /// The plan by lanes of lines that stand side by side: of as many points as lines have elements.
    pub(super) fn lanes(&self, p: &LineParams) -> Option<Lanes> {
        Lanes::plan(match self {
            Line::Forward(_) | Line::Inverse(_) => p.count as usize,
            Line::RealForward(_) | Line::RealInverse(_) => p.length as usize,
        })
    }

    pub(super) fn scratch(&self, p: &LineParams) -> Scratch {
        let complex = match self {
            Line::Forward(f) | Line::Inverse(f) => f.get_immutable_scratch_len(),
            Line::RealForward(f) => f.get_scratch_len(),
            Line::RealInverse(f) => f.get_scratch_len(),
        };
        let words = match self {
            Line::Forward(_) | Line::Inverse(_) => self.at_once(p) * 2 * p.load_extent as usize,
            Line::RealForward(_) => p.load_extent as usize,
            Line::RealInverse(_) => 2 * p.load_extent as usize,
        };
        Scratch { complex: vec![Complex::default(); complex], line: vec![0.0; words] }
    }

    /// Transforms the points from `at` of `x` on to `y`, with the factors: a line, or complex lines that
    /// follow each other. What is not finite makes its line NaN.
    pub(super) fn run(
        &self,
        p: &LineParams,
        (x, at): (Source<'_>, usize),
        y: &mut [f32],
        scratch: &mut Scratch,
    ) {
        self.finite_lines(p, (x, at), y, scratch);
        let [read, written] = self.words();
        let (read, written) = (read * p.load_extent as usize, written * p.store_extent as usize);
        for (l, y) in y.chunks_mut(written).enumerate() {
            // The first outcome is the sum of all points; of half a spectrum, of real parts alone.
            let seen = self.is_real_inverse() || !y.iter().take(2).all(|v| v.is_finite());
            if seen && !x.is_finite(at + l * read, read) {
                y.fill(f32::NAN);
            }
        }
    }

    fn is_real_inverse(&self) -> bool {
        matches!(self, Line::RealInverse(_))
    }

    fn finite_lines(
        &self,
        p: &LineParams,
        (x, at): (Source<'_>, usize),
        y: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (scale, middle) = (p.scale, p.middle);
        let Scratch { complex: work, line } = scratch;
        if !(self.is_complex() && scale == 1.0) {
            let words = if self.is_complex() { y.len() } else { line.len() };
            let line = &mut line[..words];
            vectorised(
                #[inline(always)]
                || x.read(at, scale, line),
            );
        }
        match self {
            Line::Forward(f) | Line::Inverse(f) => {
                // Factors before the transform: its outcomes are still on their way to memory.
                let x = if scale == 1.0 { &x.numbers()[at..] } else { line };
                let (x, z) = (bytemuck::cast_slice(&x[..y.len()]), bytemuck::cast_slice_mut(y));
                f.process_immutable_with_scratch(x, z, work);
            }
            Line::RealForward(f) => {
                let outcome = f.process_with_scratch(line, bytemuck::cast_slice_mut(y), work);
                debug_assert!(outcome.is_ok());
                weighted(y, p.length, middle);
            }
            Line::RealInverse(f) => {
                weighted(line, p.length, middle);
                // What stands there has no part in the outcome; the crate refuses it.
                line[1] = 0.0;
                if p.length.is_multiple_of(2) {
                    line[p.length as usize + 1] = 0.0;
                }
                let outcome = f.process_with_scratch(bytemuck::cast_slice_mut(line), y, work);
                debug_assert!(outcome.is_ok());
            }
        }
    }
}

pub(super) struct Scratch {
    complex: Vec<Complex<f32>>,
    /// A real line or half a spectrum, which its transform overwrites; the complex lines of a call.
    line: Vec<f32>,
}

fn scaled(y: &mut [f32], scale: f32) {
    if scale != 1.0 {
        vectorised(
            #[inline(always)]
            || y.iter_mut().for_each(|v| *v *= scale),
        );
    }
}

/// The bins of half a spectrum, except those without a partner, times `middle`.
fn weighted(y: &mut [f32], length: u32, middle: f32) {
    let end = if length.is_multiple_of(2) { length as usize } else { length as usize + 1 };
    if let Some(bins) = y.get_mut(2..end) {
        scaled(bins, middle);
    }
}
