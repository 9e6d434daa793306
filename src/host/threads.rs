//! The threads that the host's loops run on.
//!
//! All loops of the crate run on one pool of its own, and the thread that asks for them sleeps until
//! they are done. It never lends a hand, as a thread of a rayon pool does that waits: it would take
//! up other work of the caller's meanwhile, on top of a call that has not returned, and that work
//! could ask for what the call holds (a lock of the caller's, a tensor that the loops are writing).
//! And since the pool runs nothing but loops, no work of the caller's ever stands on one of its
//! threads.
//!
//! Why nothing can wait for ever:
//!
//! 1. A thread of the pool runs loops only. Loops take no lock across a wait for other loops, and
//!    wait for loops only, which other threads of the pool (or the waiting one) run.
//! 2. A thread that calls the crate takes the arrays of a launch all at once or none of them
//!    ([`Turns`](super::Turns)), and holds no lock of the crate while it waits for them or for its
//!    loops. So what it waits for, the loops of launches that run, ends by 1.
//! 3. Code that runs within loops (a caller's CPU code that calls the crate) does not wait for arrays: it
//!    gets an error where they are in use.

use rayon::ThreadPool;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::thread::{self, ThreadId};

thread_local! {
    /// Whether the thread is one of the pool's.
    static OURS: Cell<bool> = const { Cell::new(false) };
    /// The launches whose CPU code the thread is calling now.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The number of threads that loops run on: `RAYON_NUM_THREADS`, or as many as the machine has.
pub(crate) fn threads() -> usize {
    static COUNT: LazyLock<usize> = LazyLock::new(|| {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|v| v.trim().parse().ok());
        let here = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
        asked.filter(|n| *n > 0).unwrap_or_else(here)
    });
    *COUNT
}

/// The pool; none where the system has no threads for it.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads());
        let builder = builder.thread_name(|i| format!("spikegrad {i}"));
        let made = builder.start_handler(|_| OURS.set(true)).build();
        made.inspect_err(|e| log::warn!("the host computes on one thread: {e}")).ok()
    });
    POOL.as_ref()
}

/// Runs `work`, which may run loops in parallel, on the pool, and sleeps until it is done.
pub(crate) fn pooled<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if OURS.get() {
        return work();
    }
    match pool() {
        None => work(),
        // A thread of no pool sleeps here too.
        Some(pool) if rayon::current_thread_index().is_none() => pool.install(work),
        Some(pool) => hand_over(pool, work),
    }
}

/// [`pooled`] for a thread of another pool, which would take up other work of that pool if it waited
/// within rayon.
fn hand_over<T: Send>(pool: &ThreadPool, work: impl FnOnce() -> T + Send) -> T {
    struct Desk<T> {
        outcome: Mutex<Option<thread::Result<T>>>,
        done: Condvar,
    }
    let desk = Arc::new(Desk { outcome: Mutex::new(None), done: Condvar::new() });
    let theirs = desk.clone();
    let job = move || {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(work));
        *theirs.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        theirs.done.notify_one();
    };
    let job: Box<dyn FnOnce() + Send + '_> = Box::new(job);
    // SAFETY: the job borrows what `work` borrows, for longer than its type says from here on. This
    // function neither returns nor unwinds before the outcome is there: `spawn` hands the box on or
    // aborts, and the loop below ends with the outcome only. By then `work` has been called, which
    // consumed it; what is left of the job is its handle on the desk, which it owns and whose
    // outcome was taken.
    let job: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(job) };
    pool.spawn(job);
    let mut outcome = desk.outcome.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match outcome.take() {
            Some(Ok(value)) => return value,
            Some(Err(panic)) => {
                drop(outcome);
                std::panic::resume_unwind(panic)
            }
            None => outcome = desk.done.wait(outcome).unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Where a call of the crate comes from: the thread, and the launches whose CPU code it is calling.
///
/// What belongs to "the calling thread" (a capture, its memory) belongs to a frame: a caller's code
/// that waits within rayon may be interrupted by other work of its pool, which is not
/// the work of the capture that its launch is recorded in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    thread: ThreadId,
    depth: u32,
}

impl Frame {
    /// That of the calling code.
    pub(crate) fn here() -> Self {
        Self { thread: thread::current().id(), depth: DEPTH.get() }
    }
}

/// Whether the calling code runs within the loops of a launch.
pub(crate) fn is_nested() -> bool {
    OURS.get() || DEPTH.get() > 0
}

/// Calls CPU code: until the guard is dropped the thread is within its loops.
#[must_use]
pub(crate) struct Loops(());

impl Loops {
    pub(crate) fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self(())
    }
}

impl Drop for Loops {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_another_pool_sleeps_while_its_work_is_done() {
        let other = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let stolen = std::sync::atomic::AtomicBool::new(false);
        other.scope(|scope| {
            scope.spawn(|scope| {
                // Waits for a thread that is free; the only one is in the call below.
                scope.spawn(|_| stolen.store(true, std::sync::atomic::Ordering::SeqCst));
                let name = pooled(|| {
                    thread::sleep(std::time::Duration::from_millis(50));
                    thread::current().name().map(String::from)
                });
                assert!(name.unwrap().starts_with("spikegrad "));
                assert!(!stolen.load(std::sync::atomic::Ordering::SeqCst));
            });
        });
        assert!(stolen.into_inner());
    }

    #[test]
    fn panics_come_back_to_the_caller() {
        let other = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        for from_a_pool in [false, true] {
            let run = || {
                let work = || pooled(|| -> u32 { panic!("on purpose") });
                std::panic::catch_unwind(work).is_err()
            };
            assert!(if from_a_pool { other.install(run) } else { run() });
            assert_eq!(pooled(|| 3), 3);
        }
    }
}
