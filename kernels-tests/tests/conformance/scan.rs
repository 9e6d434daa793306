//! Conformance of the `scan` family.
