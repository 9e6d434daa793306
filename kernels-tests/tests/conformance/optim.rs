//! Conformance of the `optim` family.
