//! All neurons that there are, with their kernels.

use super::definition::Definition;
use crate::kernel::Kernel;
use std::sync::{PoisonError, RwLock};

/// A definition and its kernels.
#[derive(Debug)]
pub(crate) struct Driver {
    /// Its place in the table of all.
    pub(super) number: u32,
    /// Its name: the operator's in errors.
    pub(crate) op: &'static str,
    pub(crate) definition: Definition,
    pub(crate) forward: &'static Kernel,
    pub(crate) backward: &'static Kernel,
}

/// All drivers there are. Kernels live as long as the program, as pipelines are kept by their addresses: a
/// definition that is written again finds what was made of it.
static DRIVERS: RwLock<Vec<&'static Driver>> = RwLock::new(Vec::new());

/// The driver of a definition: the one there is, or a new one with these kernels.
pub(super) fn driver(
    definition: Definition,
    kernels: impl FnOnce(&Definition) -> [&'static Kernel; 2],
) -> &'static Driver {
    let mut drivers = DRIVERS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = drivers.iter().find(|d| d.definition == definition) {
        return found;
    }
    let [forward, backward] = kernels(&definition);
    let number = drivers.len() as u32;
    let op = String::leak(definition.name.clone());
    let driver = &*Box::leak(Box::new(Driver { number, op, definition, forward, backward }));
    drivers.push(driver);
    driver
}

/// The driver of this number.
pub(crate) fn driver_of(number: u32) -> &'static Driver {
    DRIVERS.read().unwrap_or_else(PoisonError::into_inner)[number as usize]
}
