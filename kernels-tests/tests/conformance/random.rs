//! Conformance of the `random` family.
