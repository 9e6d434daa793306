//! Extents of a model as notes of a checkpoint.

use crate::error::{Error, Result};
use std::fmt::Display;

/// What a model's extents are called in its files, and what they are.
pub(super) type Fields = Vec<(&'static str, String)>;

pub(super) fn field(name: &'static str, value: impl Display) -> (&'static str, String) {
    (name, value.to_string())
}

/// Refuses extents of zero.
pub(super) fn all_positive(op: &'static str, extents: &[(&str, usize)]) -> Result<()> {
    match extents.iter().find(|(_, extent)| *extent == 0) {
        Some((name, _)) => Err(Error::argument(op, format!("{name} is 0, expected 1 or more"))),
        None => Ok(()),
    }
}

/// Refuses a width that cannot be cut into heads.
pub(super) fn whole_heads(op: &'static str, width: usize, heads: usize) -> Result<()> {
    if width.is_multiple_of(heads) {
        return Ok(());
    }
    Err(Error::argument(op, format!("a width of {width} cannot be cut into {heads} heads")))
}
