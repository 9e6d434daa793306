//! Products of square matrices, by the GEMM crate.

mod apply;
mod product;

pub(crate) use apply::apply_product;
pub(crate) use product::symmetric_product;

use super::{HostArgs, Real, pack_halves, unpack_halves};

/// A part of C from its first matrix on: reals in place, or unpacked from f16 and packed at the end.
pub(crate) enum Written<'a, R> {
    Reals(&'a mut [R]),
    Halves(&'a mut [u32], Vec<R>),
}

impl<'a, R: Real> Written<'a, R> {
    pub(crate) fn take(args: &mut HostArgs<'a, R>, binding: &str, start: usize) -> Self {
        if args.is_real(binding) {
            let all = args.reals_mut(binding);
            let start = start.min(all.len());
            return Self::Reals(&mut all[start..]);
        }
        let words = args.words_mut(binding);
        let start = (start / 2).min(words.len());
        let words = &mut words[start..];
        let values = unpack_halves(words);
        Self::Halves(words, values)
    }

    pub(crate) fn reals(&mut self) -> &mut [R] {
        match self {
            Self::Reals(values) => values,
            Self::Halves(_, values) => values,
        }
    }

    pub(crate) fn finish(self) {
        if let Self::Halves(words, values) = self {
            pack_halves(&values, words);
        }
    }
}
