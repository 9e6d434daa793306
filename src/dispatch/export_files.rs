//! A folder of exported launches: `launches.json`, `tensors.bin`, and a file a text.

use super::export::{ExportedBinding, ExportedLaunch};
use crate::error::{Error, Result};
use crate::file;
use crate::gpu::{Access, Element};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// The layout of the folder that a reader must know.
const VERSION: u32 = 1;

/// Writes launches to `folder`, which is made if it is not there, for programs in other languages:
///
/// - `launches.json`: `{ "version": 1, "launches": [ … ] }`. A launch has `kernel` (the entry point),
///   `family`, `variant`, `needs` (names of features), `wgsl` (a file), `constants`, `workgroup_size`,
///   `groups`, `params` and `bindings`. A binding has `name`, `access` (`read`, `write`), `element` (`f32`,
///   `u32`, `f16`), `before`, `after` (or null), `tolerance` and `mismatch`: see
///   [`ExportedLaunch`](crate::ExportedLaunch). Tensors and parameters are `{ "at", "bytes" }` in
/// - `tensors.bin`, little-endian, each at a multiple of 16 bytes;
/// - `KERNEL-N.wgsl`: each text once, its constants in place.
///
/// # Errors
/// [`Error::Io`] where the folder or a file cannot be written.
pub fn write_launches(folder: impl AsRef<Path>, launches: &[ExportedLaunch]) -> Result<()> {
    let folder = folder.as_ref();
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
    let mut files = Files::default();
    let listed: Vec<Value> = launches.iter().map(|launch| files.launch(launch)).collect();
    let list = json!({ "version": VERSION, "launches": listed });
    let put = |name: &str, bytes: &[u8]| file::replace(&folder.join(name), bytes);
    for (text, name) in &files.texts {
        put(name, text.as_bytes())?;
    }
    put("tensors.bin", &files.tensors)?;
    put("launches.json", list.to_string().as_bytes())
}

/// What has been put into the files so far.
#[derive(Default)]
struct Files {
    tensors: Vec<u8>,
    /// Names by text.
    texts: HashMap<String, String>,
    /// Texts a kernel.
    counts: HashMap<&'static str, usize>,
}

impl Files {
    fn launch(&mut self, launch: &ExportedLaunch) -> Value {
        let kernel = launch.kernel;
        let constants: serde_json::Map<_, _> =
            launch.constants.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
        json!({
            "kernel": kernel.name,
            "family": kernel.family,
            "variant": kernel.variants[launch.variant].name,
            "needs": launch.needs.names(),
            "wgsl": self.text(kernel.name, &launch.wgsl),
            "constants": constants,
            "workgroup_size": launch.workgroup_size,
            "groups": launch.groups,
            "params": self.bytes(&launch.params),
            "bindings": launch.bindings.iter().map(|b| self.binding(b)).collect::<Vec<_>>(),
        })
    }

    fn binding(&mut self, binding: &ExportedBinding) -> Value {
        let after = binding.after.as_ref().map_or(Value::Null, |after| self.bytes(after));
        json!({
            "name": binding.name,
            "access": match binding.access { Access::Read => "read", Access::Write => "write" },
            "element": match binding.element {
                Element::Real => "f32",
                Element::Word => "u32",
                Element::Half => "f16",
            },
            "before": self.bytes(&binding.before),
            "after": after,
            "tolerance": binding.tolerance,
            "mismatch": binding.mismatch,
        })
    }

    fn text(&mut self, kernel: &'static str, text: &str) -> String {
        if let Some(name) = self.texts.get(text) {
            return name.clone();
        }
        let count = self.counts.entry(kernel).or_default();
        let name = format!("{kernel}-{count}.wgsl");
        *count += 1;
        self.texts.insert(text.into(), name.clone());
        name
    }

    fn bytes(&mut self, bytes: &[u8]) -> Value {
        let at = self.tensors.len().next_multiple_of(16);
        self.tensors.resize(at, 0);
        self.tensors.extend_from_slice(bytes);
        json!({ "at": at, "bytes": bytes.len() })
    }
}
