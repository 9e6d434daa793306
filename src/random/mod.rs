//! Random tensors from a counter-based generator: the same bits on every device.
//!
//! Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as
//! easy as 1, 2, 3") turns a key, made of seed and stream, and a counter, made of element and step,
//! into two random words. Every [`Generator`] call within a step draws from a stream of its own;
//! the step counter lives in device memory, so that a captured training step draws anew at every
//! replay.

mod bernoulli;
mod dropout;
mod generator;
mod normal;
mod threefry;
mod uniform;

pub use generator::{Generator, GeneratorState};
pub use threefry::threefry;
pub(crate) use threefry::threefry_lanes;

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &generator::ADVANCE,
    &bernoulli::BERNOULLI,
    &bernoulli::BERNOULLI_BITS,
    &bernoulli::BERNOULLI_EACH,
    &bernoulli::BERNOULLI_EACH_BITS,
    &dropout::DROPOUT,
    &dropout::DROPOUT_BACKWARD,
    &normal::NORMAL,
    &uniform::UNIFORM,
];
