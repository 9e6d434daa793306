//! What a driver reports outside of any call.

use super::lock::lock;
use crate::error::{Error, Result};
use std::cell::Cell;
use std::sync::Mutex;

/// What the driver reported outside of any call.
#[derive(Debug, Default)]
pub(super) struct Faults {
    lost: Mutex<Option<String>>,
    uncaptured: Mutex<Option<String>>,
}

thread_local! {
    /// Whether the thread asks a buffer for what it must refuse.
    static ASKS: Cell<bool> = const { Cell::new(false) };
}

/// Does something that a device of the crate may hear of, and is not to be told.
pub(super) fn unheard<T>(work: impl FnOnce() -> T) -> T {
    struct Ends(bool);
    impl Drop for Ends {
        fn drop(&mut self) {
            ASKS.set(self.0);
        }
    }
    let _ends = Ends(ASKS.replace(true));
    work()
}

impl Faults {
    /// Device loss, or the first error since the last look.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(reason) = lock(&self.lost).clone() {
            return Err(Error::DeviceLost { reason });
        }
        match lock(&self.uncaptured).take() {
            Some(message) => Err(Error::Gpu { message }),
            None => Ok(()),
        }
    }

    pub(super) fn report(&self, message: String) {
        if ASKS.get() {
            return;
        }
        lock(&self.uncaptured).get_or_insert(message);
    }

    pub(super) fn lose(&self, reason: wgpu::DeviceLostReason, text: &str) {
        let reason = match reason {
            wgpu::DeviceLostReason::Destroyed => "destroyed".to_string(),
            wgpu::DeviceLostReason::Unknown => format!("driver: {text}"),
        };
        lock(&self.lost).get_or_insert(reason);
    }
}
