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

/// What a file of a model holds: its name, extents and parameters.
#[cfg(feature = "checkpoint")]
pub(super) fn checkpoint(
    name: &str,
    fields: Fields,
    params: &[crate::Param],
) -> crate::checkpoint::Checkpoint {
    let named = crate::checkpoint::Checkpoint::new().note("model", name);
    let noted = fields
        .into_iter()
        .fold(named, |file, (name, value)| file.note(format!("model.{name}"), value));
    noted.params(params)
}

/// Loads parameters from a file of a model of the same name and extents.
#[cfg(feature = "checkpoint")]
pub(super) fn restore(
    path: &std::path::Path,
    name: &str,
    fields: Fields,
    params: &[crate::Param],
) -> Result<crate::checkpoint::Notes> {
    let notes = crate::checkpoint::Checkpoint::notes(path)?;
    let own = [("", name.to_string())].into_iter().chain(fields);
    let mut differences = Vec::new();
    for (name, value) in own {
        let key = if name.is_empty() { "model".into() } else { format!("model.{name}") };
        match notes.get(&key) {
            Some(saved) if saved == value => {}
            Some(saved) => differences.push(format!("`{key}` is {saved}, expected {value}")),
            None => differences.push(format!("the note `{key}` is missing")),
        }
    }
    if !differences.is_empty() {
        return Err(Error::format(path, differences.join("; ")));
    }
    crate::checkpoint::Checkpoint::new().params(params).load_part(path)
}
