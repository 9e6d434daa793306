//! Elementwise loops that were made fast.

mod fma_peak;

pub(crate) use fma_peak::fma_peak;
