//! Conformance of the `spectral` family.
