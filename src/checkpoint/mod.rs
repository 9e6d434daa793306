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
//!
//! The whole state of a training run is saved and resumed by
//! [`TrainStep`](crate::train::TrainStep::save).
//!
//! Files that other programs wrote are listed and read by [`Stored`].

mod numbers;
mod stored;

pub use stored::{Stored, StoredTensor};

use crate::error::{Error, Result};
use crate::file;
use crate::optim::Optimizer;
use crate::{Param, Tensor};
use half::f16;
use numbers::stored_as;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Named tensors and notes: what is saved, and where a file is loaded to.
///
/// The same list serves both ways: [`save`](Self::save) reads the tensors, [`load`](Self::load)
/// overwrites their elements in place, so that parameters, optimizers and captured steps all see
/// them. Floats keep their bits (f32, on the oracle f64, f16); packed spikes are stored as booleans.
/// Any safetensors reader can open the file; the notes stand in its metadata as JSON.
///
/// Files of other types are read as well: floats of 16, 32 and 64 bits are rounded to the type of the
/// tensor, whole numbers are taken where it has the same value.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Checkpoint {
    tensors: Vec<(String, Tensor)>,
    notes: BTreeMap<String, String>,
    edited: bool,
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

    /// Loads without a look at the checksum: a file of this crate that another program has changed
    /// still has the checksum of before the change. Off by default, since damage is then not noticed.
    pub fn edited(mut self, on: bool) -> Self {
        self.edited = on;
        self
    }

    /// Saves: the bytes go to a temporary file beside `path`, to the disk, and only then to the name
    /// `path`. A crash at any moment leaves the old file or the new one (and perhaps the temporary one,
    /// `.NAME.PROCESS-COUNT.tmp`). Where several save to one path, one after another wins with a whole
    /// file. If `path` is a link, what it points at is replaced.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Argument`] for two tensors of one name, and for the name `__metadata__`,
    /// which the format has for itself; device loss.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        file::replace(path, &self.bytes(path)?)
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
        let failed = |e: safetensors::SafeTensorError| Error::format(path, e.to_string());
        let views = stored.iter().map(|(name, kind, shape, bytes)| {
            Ok((*name, TensorView::new(*kind, shape.clone(), bytes).map_err(failed)?))
        });
        let views = views.collect::<Result<Vec<_>>>()?;
        let contents = views.iter().map(|(name, view)| (*name, view));
        let metadata = HashMap::from([(KEY.to_string(), entry(&self.notes, contents))]);
        serialize(views, Some(metadata)).map_err(failed)
    }

    fn check_names(&self) -> Result<()> {
        let mut names: Vec<&str> = self.tensors.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let wrong = |detail: String| Err(Error::argument("checkpoint", detail));
        if names.contains(&"__metadata__") {
            return wrong(
                "no tensor can be called `__metadata__`: so the format calls its notes".into(),
            );
        }
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => wrong(format!("two tensors are called `{}`", pair[0])),
            None => Ok(()),
        }
    }

    /// Loads a file that holds exactly these tensors and returns its notes. Nothing is overwritten
    /// unless everything fits.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged or [edited](Self::edited) file, or one whose
    /// names, shapes or types differ, with all that differs; device loss.
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
    /// [`Error::Io`]; [`Error::Format`] for a damaged or [edited](Self::edited) file.
    pub fn notes(path: impl AsRef<Path>) -> Result<Notes> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        let file = Contents::of(path, &bytes)?;
        file.check(path)?;
        Ok(Notes { path: path.into(), notes: file.notes })
    }

    /// Takes a file as it is now, after another program has changed it: it is saved again, with the
    /// checksum of what it holds, and is then read everywhere.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is not whole.
    pub fn accept_edits(path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        let file = Contents::of(path, &bytes)?;
        let mut metadata = file.metadata.clone();
        let tensors = file.tensors.tensors();
        let contents = tensors.iter().map(|(name, view)| (name.as_str(), view));
        metadata.insert(KEY.into(), entry(&file.notes, contents));
        let written = serialize(tensors, Some(metadata));
        file::replace(path, &written.map_err(|e| Error::format(path, e.to_string()))?)
    }

    fn load_from(&self, path: &Path, exact: bool) -> Result<Notes> {
        self.check_names()?;
        let bytes = fs::read(path).map_err(|e| Error::io(path, &e))?;
        let file = Contents::of(path, &bytes)?;
        if !self.edited {
            file.check(path)?;
        }
        let differences = self.differences(&file.tensors, exact);
        if !differences.is_empty() {
            return Err(Error::format(path, differences.join("; ")));
        }
        for (name, tensor) in &self.tensors {
            if let Ok(view) = file.tensors.tensor(name) {
                numbers::write(view.dtype(), view.data(), tensor)?;
            }
        }
        Ok(Notes { path: path.into(), notes: file.notes })
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
            if let Some(hindrance) = numbers::hindrance(view.dtype(), view.data(), tensor) {
                found.push(format!("`{name}` {hindrance}"));
            }
        }
        let expected = |name: &&str| self.tensors.iter().any(|(n, _)| n == name);
        let mut more: Vec<&str> = file.names().into_iter().filter(|n| !expected(n)).collect();
        more.sort_unstable();
        if exact {
            let hint = "was not expected (`load_part` leaves out what is not asked for)";
            found.extend(more.iter().map(|name| format!("`{name}` {hint}")));
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

/// What stands in a file.
struct Contents<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
    notes: BTreeMap<String, String>,
    /// As it was saved; files of other programs have none.
    checksum: Option<String>,
}

impl<'a> Contents<'a> {
    fn of(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let unsound = |e| Error::format(path, format!("no sound safetensors file: {e}"));
        let damaged = |detail: &str| Error::format(path, format!("damaged: {detail}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(unsound)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(unsound)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let Some(entry) = metadata.get(KEY) else {
            if let Some((key, _)) = metadata.iter().find(|(_, value)| is_entry(value)) {
                return Err(damaged(&format!("the checksum stands at `{key}`, expected `{KEY}`")));
            }
            return Ok(Self { tensors, metadata, notes: BTreeMap::new(), checksum: None });
        };
        let entry: serde_json::Value =
            serde_json::from_str(entry).map_err(|_| damaged("the notes are no JSON"))?;
        let notes = serde_json::from_value(entry["notes"].clone())
            .map_err(|_| damaged("the notes are no table of texts"))?;
        let checksum = entry["checksum"].as_str().unwrap_or_default().to_string();
        Ok(Self { tensors, metadata, notes, checksum: Some(checksum) })
    }

    fn check(&self, path: &Path) -> Result<()> {
        let tensors = self.tensors.tensors();
        let now = checksum(&self.notes, tensors.iter().map(|(name, view)| (name.as_str(), view)));
        if self.checksum.as_ref().is_none_or(|saved| *saved == now) {
            return Ok(());
        }
        let detail = "the contents do not have the checksum that was saved with them: the file is \
            damaged, or another program changed it and kept the checksum of before the change \
            (`Checkpoint::edited` reads it all the same, `Checkpoint::accept_edits` mends it)";
        Err(Error::format(path, detail))
    }
}

/// Where the crate's entry stands in a file's metadata.
const KEY: &str = "spikegrad";

/// The crate's entry in a file's metadata: one, since the order of several would change from run to
/// run.
fn entry<'a>(
    notes: &BTreeMap<String, String>,
    contents: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> String {
    serde_json::json!({ "checksum": checksum(notes, contents), "notes": notes }).to_string()
}

/// Whether a text of a file's metadata is such an entry.
fn is_entry(text: &str) -> bool {
    let entry: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    entry["checksum"].is_string() && entry["notes"].is_object()
}

/// A sum over notes and tensors that does not depend on their order in the file: the
/// [checksum](file::checksum) of each, added up. A tensor is its name, type, shape and elements.
fn checksum<'a>(
    notes: &BTreeMap<String, String>,
    contents: impl Iterator<Item = (&'a str, &'a TensorView<'a>)>,
) -> String {
    let hash = |name: String, bytes: &[u8]| {
        file::checksum(file::START, name.into_bytes().into_iter().chain(bytes.iter().copied()))
    };
    let notes = serde_json::json!(notes).to_string();
    let tensors = contents.map(|(name, view)| {
        hash(format!("{name}\0{}{:?}\0", view.dtype(), view.shape()), view.data())
    });
    let sum = tensors.fold(hash("\0".into(), notes.as_bytes()), u64::wrapping_add);
    format!("{sum:016x}")
}
