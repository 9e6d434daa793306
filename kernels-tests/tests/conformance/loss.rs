//! Conformance of the `loss` family.
