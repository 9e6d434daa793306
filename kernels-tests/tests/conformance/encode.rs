//! Conformance of the `encode` family.
