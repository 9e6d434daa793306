//! Conformance of the `lif` family.
