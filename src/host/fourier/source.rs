//! What is transformed: numbers, or packed spikes as reals.

use crate::fourier::spectrum::LineParams;
use crate::host::{HostArgs, all_finite};

/// The elements of a tensor.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Numbers(&'a [f32]),
    /// Packed along time: words, and the elements of a step.
    Spikes(&'a [u32], usize),
}

impl<'a> Source<'a> {
    /// Binding 0.
    pub(super) fn of(p: &LineParams, args: &HostArgs<'a, f32>) -> Self {
        if args.is_real("x") {
            Source::Numbers(args.reals("x"))
        } else {
            Source::Spikes(args.words("x"), p.step_lines as usize * p.load_extent as usize)
        }
    }

    /// Numbers as they are; none of spikes, which are reals only.
    pub(super) fn numbers(self) -> &'a [f32] {
        match self {
            Source::Numbers(x) => x,
            Source::Spikes(..) => &[],
        }
    }

    /// Whether `count` elements from `at` on are finite.
    pub(super) fn is_finite(self, at: usize, count: usize) -> bool {
        match self {
            Source::Numbers(x) => all_finite(&x[at..][..count]),
            Source::Spikes(..) => true,
        }
    }

    /// `out.len()` elements from `at` on, all of one step, times `scale`.
    #[inline(always)]
    pub(super) fn read(self, at: usize, scale: f32, out: &mut [f32]) {
        match self {
            Source::Numbers(x) => {
                let x = &x[at..][..out.len()];
                out.iter_mut().zip(x).for_each(|(out, x)| *out = *x * scale);
            }
            Source::Spikes(words, row) => {
                let (t, n) = (at / row, at % row);
                let words = &words[t / 32 * row + n..][..out.len()];
                for (out, word) in out.iter_mut().zip(words) {
                    *out = if word >> (t % 32) & 1 == 1 { scale } else { 0.0 };
                }
            }
        }
    }
}
