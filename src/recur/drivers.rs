//! All neurons that there are, with their kernels.

use super::definition::Definition;
use super::equations::Written;
use crate::kernel::Kernel;
use std::sync::{PoisonError, RwLock};

/// A definition and its kernels.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Its place in the table of all.
    pub(super) number: u32,
    /// Its name: the operator's in errors.
    pub(crate) op: &'static str,
    /// What it was made of.
    written: Written,
    pub(crate) definition: Definition,
    pub(crate) forward: &'static Kernel,
    pub(crate) backward: &'static Kernel,
}

/// All drivers there are. Kernels live as long as the program, as pipelines are kept by their addresses:
/// equations that are written again find what was made of them, before anything is derived.
static DRIVERS: RwLock<Vec<&'static Driver>> = RwLock::new(Vec::new());

/// The driver of equations: the one there is, or a new one with these kernels.
pub(super) fn driver(
    name: &str,
    written: Written,
    kernels: impl FnOnce(&Definition) -> [&'static Kernel; 2],
) -> &'static Driver {
    let find = |drivers: &[&'static Driver]| {
        drivers.iter().copied().find(|d| d.op == name && d.written.is_like(&written))
    };
    if let Some(found) = find(&DRIVERS.read().unwrap_or_else(PoisonError::into_inner)) {
        return found;
    }
    let mut drivers = DRIVERS.write().unwrap_or_else(PoisonError::into_inner);
    // Another thread may have made it meanwhile.
    if let Some(found) = find(&drivers) {
        return found;
    }
    let definition = Definition::new(name, &written);
    let [forward, backward] = kernels(&definition);
    let (number, op) = (drivers.len() as u32, String::leak(name.into()));
    let driver = Driver { number, op, written, definition, forward, backward };
    let driver = &*Box::leak(Box::new(driver));
    drivers.push(driver);
    driver
}

/// The driver of this number.
pub(crate) fn driver_of(number: u32) -> &'static Driver {
    DRIVERS.read().unwrap_or_else(PoisonError::into_inner)[number as usize]
}
