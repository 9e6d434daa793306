//! Sums for the host's loops.

use super::{Real, greatest, vectorised};

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
        || sum = sum_of(x, |v| v * R::zero()),
    );
    sum == R::zero()
}

/// The sum of `value(first .. end)`, by halves.
pub(crate) fn pairwise<R: Real>(first: usize, end: usize, value: &impl Fn(usize) -> R) -> R {
    if end - first <= 32 {
        return (first..end).map(value).sum();
    }
    let middle = first + (end - first) / 2;
    pairwise(first, middle, value) + pairwise(middle, end, value)
}

/// The sum of `term` over slices of one length, in 16 chains side by side: as wide as vectors are.
#[inline(always)]
pub(crate) fn lane_sum<R: Real, const N: usize>(x: [&[R]; N], term: impl Fn([R; N]) -> R) -> R {
    const LANES: usize = 16;
    let length = x[0].len();
    let full = length - length % LANES;
    let mut lanes = [R::zero(); LANES];
    for at in (0..full).step_by(LANES) {
        let block = x.map(|x| &x[at..at + LANES]);
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(block.map(|b| b[lane]));
        }
    }
    let rest: R = (full..length).map(|i| term(x.map(|x| x[i]))).sum();
    lanes.into_iter().sum::<R>() + rest
}

/// The largest `term`, which is not negative, likewise; a NaN is none.
#[inline(always)]
pub(crate) fn lane_max<R: Real>(x: &[R], term: impl Fn(R) -> R) -> R {
    const LANES: usize = 16;
    let mut lanes = [R::zero(); LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    let most = |a: R, b: R| if b > a { b } else { a };
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, x)| *lane = most(*lane, term(*x)));
    }
    let rest = rest.iter().fold(R::zero(), |a, x| most(a, term(*x)));
    lanes.into_iter().fold(rest, most)
}

/// The largest element, and the sum of exponentials relative to it.
pub(crate) fn log_sum_exp<R: Real>(x: &[R]) -> (R, R) {
    let largest = x.iter().fold(x[0], |m, v| greatest(m, *v));
    (largest, pairwise(0, x.len(), &|k| (x[k] - largest).exp()))
}
