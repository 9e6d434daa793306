//! Conformance of the `reduce` family.
