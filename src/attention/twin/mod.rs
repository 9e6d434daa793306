//! The CPU twins.

pub(super) mod cache;
