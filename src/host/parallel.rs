//! Parallel loops of the host: rayon's iterators, run on the crate's own pool
//! ([`pooled`](super::threads::pooled)). Twins import this in place of `rayon::prelude`.

use super::Parallelism;
pub(crate) use super::threads::{pooled, threads};
pub(crate) use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator,
};
pub(crate) use rayon::slice::{ParallelSlice, ParallelSliceMut};

use rayon::iter::plumbing::{Producer, ProducerCallback};
use std::sync::{Mutex, PoisonError};

/// Parts of a loop a thread: enough that one which is done early takes over from the others.
const PARTS: usize = 4;

/// How a parallel iterator ends, under rayon's names.
///
/// Rayon's own would be compiled once more for every closure, some twenty functions each time. Here
/// rayon only cuts what is looped over; threads take the parts from a list, and all loops over
/// elements of one type are the same function.
pub(crate) trait Pooled: IndexedParallelIterator {
    /// Calls `work` with every element: one call through a pointer an element, so elements should be
    /// chunks or rows (for single numbers, see [`at_least`](Self::at_least)).
    fn for_each<F: Fn(Self::Item) + Sync + Send>(self, work: F) {
        call_each(self, &work);
    }

    /// Likewise, with something that a thread makes for itself.
    fn for_each_init<T, N, F>(self, init: N, work: F)
    where
        N: Fn() -> T + Sync + Send,
        F: Fn(&mut T, Self::Item) + Sync + Send,
    {
        run(self, 1, init, work);
    }

    /// For elements of little work: no task gets fewer than `least`, and calls are inlined.
    fn at_least(self, least: usize) -> AtLeast<Self> {
        AtLeast(self, least)
    }
}

impl<I: IndexedParallelIterator> Pooled for I {}

/// An iterator with the fewest elements of a task.
pub(crate) struct AtLeast<I>(I, usize);

impl<I: IndexedParallelIterator> AtLeast<I> {
    pub(crate) fn for_each<F: Fn(I::Item) + Sync + Send>(self, work: F) {
        run(self.0, self.1, || (), |(): &mut _, x| work(x));
    }
}

/// Not generic over the work: one function for all loops over the same kind of elements.
fn call_each<I: IndexedParallelIterator>(all: I, work: &(dyn Fn(I::Item) + Sync)) {
    run(all, 1, || (), |(): &mut _, x| work(x));
}

/// Runs a loop, no part of it with fewer elements than `least`.
fn run<I: IndexedParallelIterator, T>(
    all: I,
    least: usize,
    init: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, I::Item) + Sync,
) {
    let elements = all.len();
    all.with_producer(Loop { elements, least, init, work });
}

/// A loop that waits for its elements.
struct Loop<N, F> {
    elements: usize,
    /// The fewest elements of a part.
    least: usize,
    init: N,
    work: F,
}

impl<X, T, N, F> ProducerCallback<X> for Loop<N, F>
where
    N: Fn() -> T + Sync,
    F: Fn(&mut T, X) + Sync,
{
    type Output = ();

    fn callback<P: Producer<Item = X>>(self, elements: P) {
        let Self { elements: count, least, init, work } = self;
        let parts = (count / least.max(1)).clamp(1, PARTS * threads());
        let list = Mutex::new(cut(elements, count, parts).into_iter());
        let next = || list.lock().unwrap_or_else(PoisonError::into_inner).next();
        on_threads(parts, &|| {
            let Some(first) = next() else { return };
            let mut own = init();
            first.into_iter().for_each(|x| work(&mut own, x));
            while let Some(part) = next() {
                part.into_iter().for_each(|x| work(&mut own, x));
            }
        });
    }
}

/// `count` elements in `parts` parts of the same length, or nearly.
fn cut<P: Producer>(elements: P, count: usize, parts: usize) -> Vec<P> {
    let mut cut = Vec::with_capacity(parts);
    let mut rest = elements;
    for part in 1..parts {
        let length = count * part / parts - count * (part - 1) / parts;
        let (one, others) = rest.split_at(length);
        cut.push(one);
        rest = others;
    }
    cut.push(rest);
    cut
}

/// Runs `work` on `count` threads of the pool, or as many as there are; for one, other threads are not
/// woken.
pub(crate) fn on_threads(count: usize, work: &(dyn Fn() + Sync)) {
    let count = count.min(threads());
    if count < 2 {
        return work();
    }
    pooled(|| {
        rayon::scope(|scope| {
            for _ in 1..count {
                scope.spawn(|_| work());
            }
            work();
        });
    });
}

/// Runs both, side by side.
pub(crate) fn join(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    pooled(|| rayon::join(one, other));
}

/// A product by [`gemm`], which is told whether to run on all threads of the pool.
pub(crate) fn product(many: bool, product: impl FnOnce(Parallelism) + Send) {
    if many {
        pooled(|| product(Parallelism::Rayon(0)));
    } else {
        product(Parallelism::None);
    }
}
