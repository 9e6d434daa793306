//! Conformance of the `layout` family.
