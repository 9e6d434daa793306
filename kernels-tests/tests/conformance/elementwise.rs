//! Conformance of the `elementwise` family.
