//! Sums for the twins' loops.

use super::{Real, vectorised};

/// Terms that are added side by side, and the terms of a chain: short chains keep the rounding of
/// long sums small.
const LANES: usize = 16;
const CHAIN: usize = 64;

/// The sum of the terms of all elements, in vector lanes where it is called within
/// [`vectorised`](super::vectorised).
#[inline(always)]
pub(crate) fn sum_of<R: Real>(x: &[R], term: impl Fn(R) -> R) -> R {
    let mut sum = R::zero();
    for block in x.chunks(LANES * CHAIN) {
        let mut lanes = [R::zero(); LANES];
        let (rows, rest) = block.as_chunks::<LANES>();
        for row in rows {
            lanes.iter_mut().zip(row).for_each(|(lane, v)| *lane += term(*v));
        }
        sum += lanes.into_iter().sum::<R>() + rest.iter().map(|v| term(*v)).sum::<R>();
    }
    sum
}

/// Whether all numbers are finite.
pub(crate) fn all_finite<R: Real>(x: &[R]) -> bool {
    let mut sum = R::zero();
    vectorised(
        #[inline(always)]
        || sum = sum_of(x, |v| v - v),
    );
    sum == R::zero()
}
