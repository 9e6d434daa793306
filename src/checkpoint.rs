//! Weights and training state as safetensors.
//!
//! ```
//! use spikegrad::checkpoint::Checkpoint;
//! use spikegrad::{Device, Param, Tensor};
//! # fn main() -> spikegrad::Result<()> {
//! # let path = std::env::temp_dir().join(format!("spikegrad-{}.safetensors", std::process::id()));
//! let device = Device::host();
//! let weight = Param::new("weight", Tensor::from_slice(&device, &[1.0f32, 2.0], [2])?);
//! let params = [weight];
//! Checkpoint::new().params(&params).note("epoch", 3).save(&path)?;
//!
//! params[0].value().clear()?;
//! let notes = Checkpoint::new().params(&params).load(&path)?;
//! assert_eq!(params[0].value().to_vec::<f32>()?, [1.0, 2.0]);
//! assert_eq!(notes.parse::<u32>("epoch")?, 3);
//! # std::fs::remove_file(&path).unwrap();
//! # Ok(())
//! # }
//! ```

use crate::error::{Error, Result};
use crate::optim::Optimizer;
use crate::{DType, Param, Tensor};
use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Named tensors and notes: what is saved, and where a file is loaded to.
///
/// The same list serves both ways: [`save`](Self::save) reads the tensors, [`load`](Self::load)
/// overwrites their elements in place, so that parameters, optimizers and captured steps all see
/// them. Floats keep their bits (f32, on the oracle f64, f16); packed spikes are stored as booleans.
/// Any safetensors reader can open the file; the notes stand in its metadata as JSON.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Checkpoint {
    tensors: Vec<(String, Tensor)>,
    notes: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor.
    pub fn tensor(mut self, name: impl Into<String>, tensor: &Tensor) -> Self {
        self.tensors.push((name.into(), tensor.clone()));
        self
    }

    /// Adds parameters under their names.
    pub fn params(mut self, params: &[Param]) -> Self {
        self.tensors.extend(params.iter().map(|p| (p.name().to_string(), p.value().clone())));
        self
    }

    /// Adds an optimizer's tensors under `name.`, and its step count as the note `name.steps`. After
    /// loading, hand that note to [`Optimizer::set_steps`].
    pub fn optimizer(mut self, name: &str, optimizer: &dyn Optimizer) -> Self {
        let state = optimizer.state().into_iter();
        self.tensors.extend(state.map(|(tensor, t)| (format!("{name}.{tensor}"), t)));
        self.note(format!("{name}.steps"), optimizer.steps())
    }

    /// Adds a note: anything that can be written as text and parsed again.
    pub fn note(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.notes.insert(key.into(), value.to_string());
        self
    }

    /// Saves: the bytes go to a temporary file beside `path`, to the disk, and only then to the name
    /// `path`. A crash at any moment leaves the old file or the new one.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Argument`] for two tensors of one name; device loss.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        replace_file(path, &self.bytes(path)?)
    }

    fn bytes(&self, path: &Path) -> Result<Vec<u8>> {
        self.check_names()?;
        // All reads are started before the first is waited for.
        let reads = self.tensors.iter().map(|(_, tensor)| tensor.read());
        let reads = reads.collect::<Result<Vec<_>>>()?;
        let mut stored = Vec::with_capacity(reads.len());
        for ((name, tensor), read) in self.tensors.iter().zip(reads) {
            let kind = stored_as(tensor);
            let bytes = match kind {
                Dtype::F64 => bytemuck::pod_collect_to_vec(&read.wait::<f64>()?),
                Dtype::F32 => bytemuck::pod_collect_to_vec(&read.wait::<f32>()?),
                Dtype::F16 => bytemuck::pod_collect_to_vec(&read.wait::<f16>()?),
                Dtype::U32 => bytemuck::pod_collect_to_vec(&read.wait::<u32>()?),
                _ => read.wait_bools()?.into_iter().map(u8::from).collect(),
            };
            stored.push((name.as_str(), kind, tensor.shape().to_vec(), bytes));
        }
        let notes = serde_json::json!(self.notes).to_string();
        let contents = stored.iter().map(|(name, _, _, bytes)| (*name, bytes.as_slice()));
        let checksum = checksum(&notes, contents);
        // One entry: the order of several would change from run to run.
        let entry = serde_json::json!({ "checksum": checksum, "notes": self.notes }).to_string();
        let metadata = HashMap::from([("spikegrad".to_string(), entry)]);
        let failed = |e: safetensors::SafeTensorError| Error::format(path, e.to_string());
        let views = stored.iter().map(|(name, kind, shape, bytes)| {
            Ok((*name, TensorView::new(*kind, shape.clone(), bytes).map_err(failed)?))
        });
        serialize(views.collect::<Result<Vec<_>>>()?, Some(metadata)).map_err(failed)
    }

    fn check_names(&self) -> Result<()> {
        let mut names: Vec<&str> = self.tensors.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                let detail = format!("two tensors are called `{}`", pair[0]);
                Err(Error::argument("checkpoint", detail))
            }
            None => Ok(()),
        }
    }

    /// Loads a file that holds exactly these tensors and returns its notes. Nothing is overwritten
    /// unless everything fits.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged file, or one whose names, shapes or types
    /// differ, with all that differs; device loss.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Notes> {
        self.load_from(path.as_ref(), true)
    }

    /// Like [`load`](Self::load), but the file may hold more: weights out of a whole training state.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn load_part(&self, path: impl AsRef<Path>) -> Result<Notes> {
        self.load_from(path.as_ref(), false)
    }

    /// The notes of a file, whatever tensors it holds: to learn what to load it into.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged file.
    pub fn notes(path: impl AsRef<Path>) -> Result<Notes> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        let (_, notes) = parse(path, &bytes)?;
        Ok(Notes { path: path.into(), notes })
    }

    fn load_from(&self, path: &Path, exact: bool) -> Result<Notes> {
        self.check_names()?;
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        let (file, notes) = parse(path, &bytes)?;
        let differences = self.differences(&file, exact);
        if !differences.is_empty() {
            return Err(Error::format(path, differences.join("; ")));
        }
        for (name, tensor) in &self.tensors {
            if let Ok(view) = file.tensor(name) {
                restore(tensor, &view)?;
            }
        }
        Ok(Notes { path: path.into(), notes })
    }

    /// What is wrong with a file, in words.
    fn differences(&self, file: &SafeTensors<'_>, exact: bool) -> Vec<String> {
        let mut found = Vec::new();
        for (name, tensor) in &self.tensors {
            let Ok(view) = file.tensor(name) else {
                found.push(format!("`{name}` is missing"));
                continue;
            };
            let (dims, wanted) = (view.shape(), tensor.shape());
            if dims != wanted.dims() {
                found.push(format!("`{name}` has shape {dims:?}, expected {wanted}"));
            }
            let widened = (view.dtype(), stored_as(tensor)) == (Dtype::F32, Dtype::F64);
            if view.dtype() != stored_as(tensor) && !widened {
                let (kind, wanted) = (view.dtype(), stored_as(tensor));
                found.push(format!("`{name}` holds {kind:?}, expected {wanted:?}"));
            }
        }
        let expected = |name: &&str| self.tensors.iter().any(|(n, _)| n == name);
        let mut more: Vec<&str> = file.names().into_iter().filter(|n| !expected(n)).collect();
        more.sort_unstable();
        if exact {
            found.extend(more.iter().map(|name| format!("`{name}` was not expected")));
        }
        found
    }
}

/// The notes of a loaded file.
#[derive(Debug, Clone)]
pub struct Notes {
    path: PathBuf,
    notes: BTreeMap<String, String>,
}

impl Notes {
    /// A note as it was written.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.notes.get(key).map(String::as_str)
    }

    /// A note as a value.
    ///
    /// # Errors
    /// [`Error::Format`] if it is missing or reads otherwise.
    pub fn parse<T: FromStr>(&self, key: &str) -> Result<T> {
        let text = self
            .get(key)
            .ok_or_else(|| Error::format(&self.path, format!("the note `{key}` is missing")))?;
        text.parse().map_err(|_| {
            let wanted = std::any::type_name::<T>();
            Error::format(&self.path, format!("the note `{key}` is `{text}`, no {wanted}"))
        })
    }

    /// All notes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.notes.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// A file's tensors and notes, checked against its checksum.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<(SafeTensors<'a>, BTreeMap<String, String>)> {
    let damaged = |e| Error::format(path, format!("no sound safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let entry = header.metadata().as_ref().and_then(|m| m.get("spikegrad"));
    let notes = entry.map_or_else(|| Ok(BTreeMap::new()), |e| read_notes(path, e, &file))?;
    Ok((file, notes))
}

/// The type that a tensor has in a file.
fn stored_as(tensor: &Tensor) -> Dtype {
    match tensor.dtype() {
        DType::F32 if tensor.device().is_oracle() => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::U32 => Dtype::U32,
        DType::Bits => Dtype::BOOL,
    }
}

fn restore(tensor: &Tensor, view: &TensorView<'_>) -> Result<()> {
    let data = view.data();
    match view.dtype() {
        Dtype::F64 => tensor.write(&bytemuck::pod_collect_to_vec::<u8, f64>(data)),
        Dtype::F32 => tensor.write(&bytemuck::pod_collect_to_vec::<u8, f32>(data)),
        Dtype::F16 => tensor.write(&bytemuck::pod_collect_to_vec::<u8, f16>(data)),
        Dtype::U32 => tensor.write(&bytemuck::pod_collect_to_vec::<u8, u32>(data)),
        _ => {
            let spikes: Vec<bool> = data.iter().map(|b| *b != 0).collect();
            tensor.copy_from(&Tensor::from_bools(tensor.device(), &spikes, tensor.shape())?)
        }
    }
}

/// Reads the notes and compares the checksum.
fn read_notes(
    path: &Path,
    entry: &str,
    file: &SafeTensors<'_>,
) -> Result<BTreeMap<String, String>> {
    let damaged = |detail: &str| Error::format(path, format!("damaged: {detail}"));
    let entry: serde_json::Value =
        serde_json::from_str(entry).map_err(|_| damaged("the notes are no JSON"))?;
    let notes: BTreeMap<String, String> = serde_json::from_value(entry["notes"].clone())
        .map_err(|_| damaged("the notes are no table of texts"))?;
    let tensors = file.tensors();
    let contents = tensors.iter().map(|(name, view)| (name.as_str(), view.data()));
    let found = checksum(&serde_json::json!(notes).to_string(), contents);
    if entry["checksum"] != found.as_str() {
        return Err(damaged("the contents do not have the checksum that was saved with them"));
    }
    Ok(notes)
}

/// A sum over notes and tensors that does not depend on their order in the file: 64-bit FNV-1a of
/// each, added up. It finds accidents, not forgeries.
fn checksum<'a>(notes: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let hash = |name: &str, bytes: &[u8]| {
        let all = name.bytes().chain([0]).chain(bytes.iter().copied());
        all.fold(0xCBF2_9CE4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
    };
    let tensors = tensors.map(|(name, bytes)| hash(name, bytes));
    let sum = tensors.fold(hash("", notes.as_bytes()), u64::wrapping_add);
    format!("{sum:016x}")
}

/// Writes `bytes` to a temporary file beside `path`, flushes it to the disk and renames it.
fn replace_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |e: std::io::Error| Error::io(path, &e);
    let Some(name) = path.file_name() else {
        return Err(Error::Io { path: path.into(), message: "names no file".into() });
    };
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = folder.join(format!(".{}.tmp", name.to_string_lossy()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    if let Err(e) = write() {
        let _ = fs::remove_file(&temporary);
        return Err(failed(e));
    }
    // The new name is on the disk only with its folder; other systems cannot open one.
    #[cfg(unix)]
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed)?;
    Ok(())
}
