//! Files of which nothing is known.

use super::numbers;
use crate::error::{Error, Result};
use crate::{DType, Device, Tensor};
use safetensors::tensor::{Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A safetensors file, whoever wrote it: its tensors are listed and read by name.
///
/// Opening reads the list alone, and a tensor is read when it is asked for: files may be larger than
/// memory. Nothing is compared with a checksum.
///
/// ```
/// use spikegrad::checkpoint::{Checkpoint, Stored};
/// use spikegrad::{DType, Device, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// # let path = std::env::temp_dir().join(format!("spikegrad-stored-{}", std::process::id()));
/// let device = Device::host();
/// let weight = Tensor::from_slice(&device, &[1.0f32, 2.0], [2, 1])?;
/// Checkpoint::new().tensor("layer.weight", &weight).save(&path)?;
///
/// let file = Stored::open(&path)?;
/// for tensor in file.tensors() {
///     println!("{} {} {:?}", tensor.name, tensor.kind, tensor.shape); // layer.weight F32 [2, 1]
/// }
/// let halved = file.read("layer.weight", &device, DType::F16)?;
/// assert_eq!((halved.dtype(), halved.to_vec::<f32>()?), (DType::F16, vec![1.0, 2.0]));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    /// Read by one thread at a time, since reading moves its position.
    file: Mutex<File>,
    /// Where the first tensor starts.
    start: u64,
    header: Metadata,
}

/// The most bytes that the format allows for the list of tensors.
const LIST: u64 = 100_000_000;

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredTensor {
    /// Its name.
    pub name: String,
    /// The type of its elements as the format calls it: `F32`, `BF16`, `I64`, …
    pub kind: String,
    /// Its extents, outermost first.
    pub shape: Vec<usize>,
}

impl Stored {
    /// Opens a file and reads what it lists.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is no safetensors file, or not all of one.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |e: std::io::Error| Error::io(path, &e);
        let damaged = |e: String| Error::format(path, format!("no sound safetensors file: {e}"));
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if length < 8 {
            return Err(damaged(format!("{length} bytes")));
        }
        let mut size = [0; 8];
        file.read_exact(&mut size).map_err(failed)?;
        let size = u64::from_le_bytes(size);
        let start = size.checked_add(8).filter(|start| *start <= length && size <= LIST);
        let start = start.ok_or_else(|| damaged(format!("a list of {size} bytes")))?;
        let mut text = vec![0; size as usize];
        file.read_exact(&mut text).map_err(failed)?;
        let header: Metadata = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        let held = header.data_len() as u64;
        if held != length - start {
            let found = length - start;
            return Err(damaged(format!("{found} bytes of tensors, the list says {held}")));
        }
        Ok(Self { path: path.into(), file: Mutex::new(file), start, header })
    }

    /// Its tensors, in the order in which they stand in the file.
    pub fn tensors(&self) -> impl Iterator<Item = StoredTensor> {
        self.header.offset_keys().into_iter().filter_map(|name| {
            let info = self.header.info(&name)?;
            Some(StoredTensor { name, kind: info.dtype.to_string(), shape: info.shape.clone() })
        })
    }

    /// What the file says beside its tensors, sorted.
    pub fn metadata(&self) -> BTreeMap<&str, &str> {
        let all = self.header.metadata().iter().flatten();
        all.map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// A tensor with the numbers of the file, as elements of `dtype`: floats of 16, 32 and 64 bits
    /// (`BF16` too) become F32 or F16, rounded; whole numbers become U32, F32 or F16 of the same
    /// value; booleans become packed spikes.
    ///
    /// # Errors
    /// [`Error::Format`] if there is no tensor of this name, or if it holds what `dtype` cannot (with
    /// the first such element); [`Error::Shape`] for more axes than a tensor has; [`Error::Io`];
    /// device loss and memory.
    pub fn read(&self, name: &str, device: &Device, dtype: DType) -> Result<Tensor> {
        let wrong = |detail: String| Error::format(&self.path, format!("`{name}` {detail}"));
        let info = self.header.info(name).ok_or_else(|| wrong("is missing".into()))?;
        let bytes = self.bytes(info)?;
        let tensor = Tensor::empty(device, info.shape.as_slice(), dtype)?;
        if let Some(detail) = numbers::hindrance(info.dtype, &bytes, &tensor) {
            return Err(wrong(detail));
        }
        numbers::write(info.dtype, &bytes, &tensor)?;
        Ok(tensor)
    }

    fn bytes(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0; to - from];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = file.seek(SeekFrom::Start(self.start + from as u64));
        read.and_then(|_| file.read_exact(&mut bytes)).map_err(|e| Error::io(&self.path, &e))?;
        Ok(bytes)
    }
}
