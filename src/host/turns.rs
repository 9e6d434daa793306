//! Who may use which array of a host device, and when.
//!
//! A launch takes all its arrays at once or none of them, and holds no lock while it uses them.
//! Whoever finds one in use waits in a queue, of which only the first tries: an array is free as soon
//! as the launches that run now are done, and those that come later stand behind.

use super::threads;
use super::{Array, HostBuffer};
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The queue of the host devices of one precision.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    first: u64,
}

/// An array of a launch: which, and whether it is written.
pub(crate) type Wanted<'a> = (&'a HostBuffer, bool);

/// Arrays in use; given back when dropped, after a panic too.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    turns: &'a Turns,
    arrays: Vec<Taken<'a>>,
}

#[derive(Debug)]
struct Taken<'a> {
    from: &'a HostBuffer,
    written: bool,
    array: Arc<Array>,
}

/// The place, in the list that was asked for, of an array that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InUse(pub(crate) usize);

impl Turns {
    /// Takes arrays; waits for those that are in use, unless the caller runs within loops, which
    /// these may be waiting for.
    ///
    /// # Errors
    /// [`InUse`] within loops.
    pub(crate) fn take<'a>(
        &'a self,
        wanted: impl Iterator<Item = Wanted<'a>> + Clone,
    ) -> Result<Held<'a>, InUse> {
        let mut queue = self.queue();
        let nested = threads::is_nested();
        if nested || queue.first == queue.next {
            match self.attempt(wanted.clone()) {
                Err(_) if !nested => {}
                outcome => return outcome,
            }
        }
        let ticket = queue.next;
        queue.next += 1;
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // With the fence in `Held::drop`: an array that is given back after this is seen below, or
        // whoever gives it back sees that somebody waits.
        fence(Ordering::SeqCst);
        loop {
            if queue.first == ticket
                && let Ok(held) = self.attempt(wanted.clone())
            {
                queue.first += 1;
                self.waiting.fetch_sub(1, Ordering::SeqCst);
                self.moved.notify_all();
                return Ok(held);
            }
            queue = self.moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes all or none. Called with the queue locked, so that nobody finds an array in use that
    /// another attempt gives back at once.
    fn attempt<'a>(&'a self, wanted: impl Iterator<Item = Wanted<'a>>) -> Result<Held<'a>, InUse> {
        let mut arrays: Vec<Taken<'a>> = Vec::with_capacity(wanted.size_hint().0);
        for (i, (from, written)) in wanted.enumerate() {
            let array = if written { from.take() } else { from.share() };
            match array {
                Some(array) => arrays.push(Taken { from, written, array }),
                None => {
                    arrays.into_iter().for_each(Taken::give_back);
                    return Err(InUse(i));
                }
            }
        }
        Ok(Held { turns: self, arrays })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken<'_> {
    fn give_back(self) {
        if self.written {
            self.from.put(self.array);
        }
    }
}

impl Held<'_> {
    /// The arrays that were asked for, in their order.
    pub(crate) fn arrays(&mut self) -> impl Iterator<Item = In<'_>> {
        self.arrays.iter_mut().map(|taken| match taken.written {
            false => In::Read(&taken.array),
            // Nobody else has a handle on an array that was taken.
            true => In::Write(Arc::make_mut(&mut taken.array)),
        })
    }
}

/// An array in use.
pub(crate) enum In<'a> {
    Read(&'a Array),
    Write(&'a mut Array),
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.arrays.drain(..).for_each(Taken::give_back);
        fence(Ordering::SeqCst);
        if self.turns.waiting.load(Ordering::SeqCst) > 0 {
            // Whoever waits has looked at the arrays and sleeps, or has not looked yet.
            drop(self.turns.queue());
            self.turns.moved.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Precision;
    use super::*;

    #[test]
    fn arrays_are_taken_all_at_once_or_not_at_all() {
        let turns = Turns::default();
        let make = || HostBuffer::new(Precision::Single, true, 4).unwrap();
        let (a, b) = (make(), make());
        let wanted = |list: &[(usize, bool)]| {
            list.iter().map(|(i, w)| ([&a, &b][*i], *w)).collect::<Vec<_>>().into_iter()
        };
        let readers = [turns.attempt(wanted(&[(0, false)])), turns.attempt(wanted(&[(0, false)]))];
        assert!(readers.iter().all(Result::is_ok));
        assert_eq!(turns.attempt(wanted(&[(1, true), (0, true)])).unwrap_err(), InUse(1));
        // What it had already, it gave back.
        let writer = turns.attempt(wanted(&[(1, true)])).unwrap();
        assert_eq!(turns.attempt(wanted(&[(0, false), (1, false)])).unwrap_err(), InUse(1));
        drop((readers, writer));
        assert!(turns.attempt(wanted(&[(0, true), (1, true)])).is_ok());
    }

    #[test]
    fn within_loops_nobody_waits() {
        let turns = Turns::default();
        let buffer = HostBuffer::new(Precision::Single, true, 4).unwrap();
        let held = turns.take([(&buffer, true)].into_iter()).unwrap();
        let loops = threads::Loops::enter();
        assert_eq!(turns.take([(&buffer, false)].into_iter()).unwrap_err(), InUse(0));
        drop((loops, held));
        assert!(turns.take([(&buffer, false)].into_iter()).is_ok());
    }

    /// Readers that come and go without a pause do not keep a writer out.
    #[test]
    fn a_writer_gets_its_turn() {
        let turns = Turns::default();
        let buffer = HostBuffer::new(Precision::Single, true, 4).unwrap();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let held = turns.take([(&buffer, false)].into_iter()).unwrap();
                        std::thread::sleep(std::time::Duration::from_micros(50));
                        drop(held);
                    }
                });
            }
            for _ in 0..200 {
                let mut held = turns.take([(&buffer, true)].into_iter()).unwrap();
                let Some(In::Write(Array::Single(values))) = held.arrays().next() else {
                    unreachable!("a written array of f32")
                };
                values[0] += 1.0;
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(*buffer.share().unwrap(), Array::Single(vec![200.0, 0.0, 0.0, 0.0]));
    }
}
