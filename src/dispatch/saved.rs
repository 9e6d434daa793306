//! Whether what a forward pass saved is still there when the backward pass reads it.
//!
//! Every write into a buffer is dated by one clock of the process. While an operator's backward runs,
//! a launch that reads memory which existed when the operator was recorded, and was written since, is
//! refused: the gradient would be of neither value. What was made after the recording (upstream
//! gradients, tables) cannot have been saved, and what the backward itself writes is its own business.

use super::{Memory, Storage};
use crate::error::{Error, Result};
use crate::host::Frame;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static CLOCK: AtomicU64 = AtomicU64::new(0);

/// The date of the last event.
pub(super) fn now() -> u64 {
    CLOCK.load(Ordering::Relaxed)
}

/// A date later than all before it.
pub(crate) fn next_date() -> u64 {
    CLOCK.fetch_add(1, Ordering::Relaxed) + 1
}

impl Memory {
    fn date(&self) -> &AtomicU64 {
        match self {
            Memory::Gpu(buffer) => &buffer.written,
            Memory::Host(buffer) => &buffer.written,
        }
    }

    /// What tells it from other memory.
    pub(super) fn address(&self) -> *const AtomicU64 {
        self.date()
    }

    /// Says that it is written now.
    pub(super) fn touch(&self) {
        self.touch_at(next_date());
    }

    pub(super) fn touch_at(&self, date: u64) {
        self.date().store(date, Ordering::Relaxed);
    }
}

thread_local! {
    static NOW: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// An operator whose backward runs.
#[derive(Debug)]
struct Running {
    op: &'static str,
    recorded: u64,
    began: u64,
    /// Its upstream gradients, which it did not save.
    upstream: Vec<*const Storage>,
    frame: Frame,
}

/// Until it is dropped, launches of the calling code are those of an operator's backward.
#[derive(Debug)]
#[must_use]
pub(crate) struct InBackward {
    outer: Option<Running>,
    not_send: PhantomData<*const ()>,
}

impl InBackward {
    pub(crate) fn enter<'a>(
        op: &'static str,
        recorded: u64,
        upstream: impl Iterator<Item = &'a Arc<Storage>>,
    ) -> Self {
        let (upstream, frame) = (upstream.map(Arc::as_ptr).collect(), Frame::here());
        let running = Running { op, recorded, began: now(), upstream, frame };
        Self { outer: NOW.replace(Some(running)), not_send: PhantomData }
    }
}

impl Drop for InBackward {
    fn drop(&mut self) {
        NOW.set(self.outer.take());
    }
}

/// Refuses memory that an operator saved, and that was written before its backward began.
pub(super) fn check(storage: &Arc<Storage>, reader: &'static str, binding: &str) -> Result<()> {
    NOW.with_borrow(|now| match now {
        Some(now) if now.frame == Frame::here() && now.has_lost(storage) => {
            Err(Error::Changed { op: now.op, reader, binding: binding.into() })
        }
        _ => Ok(()),
    })
}

impl Running {
    fn has_lost(&self, storage: &Arc<Storage>) -> bool {
        let written = storage.memory.date().load(Ordering::Relaxed);
        storage.born < self.recorded
            && written > self.recorded
            && written <= self.began
            && !self.upstream.contains(&Arc::as_ptr(storage))
    }
}
