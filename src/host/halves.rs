//! Numbers stored as pairs of f16.

use super::parallel::*;
use super::{HostArgs, Real};
use half::f16;
use std::borrow::Cow;

/// Words that one task takes.
const TASK: usize = 4096;

/// Floats of a binding that holds f32 or pairs of f16.
pub(crate) fn floats<'a, R: Real>(args: &HostArgs<'a, R>, binding: &str) -> Cow<'a, [R]> {
    if args.is_real(binding) {
        return Cow::Borrowed(args.reals(binding));
    }
    Cow::Owned(unpack_halves(args.words(binding)))
}

/// The numbers of pairs of f16.
pub(crate) fn unpack_halves<R: Real>(words: &[u32]) -> Vec<R> {
    let half = |bits: u32| R::lit(f16::from_bits(bits as u16).to_f64());
    let mut values = vec![R::zero(); 2 * words.len()];
    values.par_chunks_mut(2 * TASK).zip(words.par_chunks(TASK)).for_each(|(values, words)| {
        for (pair, w) in values.chunks_exact_mut(2).zip(words) {
            pair.copy_from_slice(&[half(*w), half(*w >> 16)]);
        }
    });
    values
}

/// Numbers as pairs of f16.
pub(crate) fn pack_halves<R: Real>(values: &[R], words: &mut [u32]) {
    let bits = |v: &R| u32::from(f16::from_f64(v.f64()).to_bits());
    for (word, pair) in words.iter_mut().zip(values.chunks(2)) {
        *word = bits(&pair[0]) | pair.get(1).map_or(0, bits) << 16;
    }
}
