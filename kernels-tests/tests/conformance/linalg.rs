//! Conformance of the `linalg` family.
