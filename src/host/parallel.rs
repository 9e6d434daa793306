//! Parallel loops of the twins: rayon's iterators, run on the crate's own pool
//! ([`pooled`](super::threads::pooled)). Twins import this in place of `rayon::prelude`.

pub(crate) use super::threads::{pooled, threads};
pub(crate) use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator,
    IntoParallelRefMutIterator,
};
pub(crate) use rayon::slice::{ParallelSlice, ParallelSliceMut};

use rayon::iter::{self, FromParallelIterator, ParallelIterator};

/// How a parallel iterator ends, under rayon's names.
pub(crate) trait Pooled: IndexedParallelIterator {
    /// Calls `work` with every element.
    fn for_each<F: Fn(Self::Item) + Sync + Send>(self, work: F) {
        AtLeast(self, 1).for_each(work);
    }

    /// Likewise, with something that a thread makes for itself.
    fn for_each_init<T, N, F>(self, init: N, work: F)
    where
        N: Fn() -> T + Sync + Send,
        F: Fn(&mut T, Self::Item) + Sync + Send,
    {
        in_parts(self.len() > 1, || ParallelIterator::for_each_init(self, init, work));
    }

    /// No task gets fewer elements than `least`.
    fn at_least(self, least: usize) -> AtLeast<Self> {
        AtLeast(self, least)
    }

    /// The elements for which `keep` holds.
    fn filter<F: Fn(&Self::Item) -> bool + Sync + Send>(
        self,
        keep: F,
    ) -> Uncounted<iter::Filter<Self, F>> {
        Uncounted(ParallelIterator::filter(self, keep))
    }

    /// The elements of what `parts` makes of every element.
    fn flat_map_iter<S: IntoIterator, F: Fn(Self::Item) -> S + Sync + Send>(
        self,
        parts: F,
    ) -> Uncounted<iter::FlatMapIter<Self, F>>
    where
        S::Item: Send,
    {
        Uncounted(ParallelIterator::flat_map_iter(self, parts))
    }
}

impl<I: IndexedParallelIterator> Pooled for I {}

/// An iterator with the fewest elements of a task.
pub(crate) struct AtLeast<I>(I, usize);

impl<I: IndexedParallelIterator> AtLeast<I> {
    pub(crate) fn for_each<F: Fn(I::Item) + Sync + Send>(self, work: F) {
        let Self(elements, least) = self;
        // As rayon splits: in halves, none of them shorter.
        let splits = elements.len() / 2 >= least.max(1);
        in_parts(splits, || ParallelIterator::for_each(elements.with_min_len(least), work));
    }
}

/// An iterator whose length is not known.
pub(crate) struct Uncounted<I>(I);

impl<I: ParallelIterator> Uncounted<I> {
    pub(crate) fn for_each<F: Fn(I::Item) + Sync + Send>(self, work: F) {
        pooled(|| self.0.for_each(work));
    }

    pub(crate) fn collect<C: FromParallelIterator<I::Item> + Send>(self) -> C {
        pooled(|| self.0.collect())
    }
}

/// Runs a loop on the pool if it splits; other threads are not woken for one that does not.
fn in_parts(splits: bool, run: impl FnOnce() + Send) {
    if splits { pooled(run) } else { run() }
}

/// Runs both, side by side.
pub(crate) fn join(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    pooled(|| rayon::join(one, other));
}

/// Runs `work` on every thread of the pool.
pub(crate) fn on_all_threads(work: impl Fn() + Send + Sync) {
    pooled(|| {
        rayon::scope(|scope| {
            for _ in 0..threads() {
                scope.spawn(|_| work());
            }
        });
    });
}

/// A product by [`gemm`], which is told whether to run on all threads of the pool.
pub(crate) fn product(many: bool, product: impl FnOnce(gemm::Parallelism) + Send) {
    if many {
        pooled(|| product(gemm::Parallelism::Rayon(0)));
    } else {
        product(gemm::Parallelism::None);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The files under `folder` that hold `text`.
    fn files_with(folder: &Path, text: &str, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_with(&path, text, found);
            } else if std::fs::read_to_string(&path).is_ok_and(|t| t.contains(text)) {
                found.push(path.display().to_string());
            }
        }
    }

    /// A loop that is run by rayon itself would run on the caller's threads, where it may wait for
    /// ever (see `threads`).
    #[test]
    fn nobody_else_names_rayon() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for name in ["rayon::", "Parallelism::Rayon"] {
            let mut found = Vec::new();
            files_with(&source, name, &mut found);
            found.retain(|f| !f.ends_with("host/parallel.rs") && !f.ends_with("host/threads.rs"));
            assert!(found.is_empty(), "{name} in {found:?}");
        }
    }
}
