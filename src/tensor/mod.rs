//! Tensors: typed, shaped memory of a device, and the kernels that fill, copy and add to it.

mod accumulate;
mod copy;
mod fill;
mod items;

pub(crate) use accumulate::{accumulate, add_to};
pub use copy::copy;
pub use fill::{full, full_like};
pub(crate) use items::{BY_FOUR, Items, launch_items};

use crate::device::Device;
use crate::dispatch::{Bind, Bound, ReadInner, Storage, TableKey};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::gpu::wgpu;
use crate::host::Array;
use crate::kernel::Kernel;
use crate::shape::{IntoShape, Shape};
use half::f16;
use std::sync::Arc;

/// The kernels of this room.
pub const KERNELS: &[&Kernel] = &[&accumulate::ACCUMULATE, &copy::COPY, &fill::FILL];

/// A tensor: device, memory, shape and element type. Contiguous and row-major; reshaping is free,
/// there are no strides. A cheap handle; clones share the memory, which goes back to the device's
/// pool with the last of them.
///
/// ```
/// use spikegrad::{Device, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
/// assert_eq!(x.reshape([4])?.to_vec::<f32>()?, [1.0, 2.0, 3.0, 4.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Tensor {
    device: Device,
    storage: Arc<Storage>,
    shape: Shape,
    dtype: DType,
}

/// A Rust type that tensors are filled from and read into.
pub trait Element: Copy + Send + Sync + 'static {
    /// The element type of a tensor made from it.
    const DTYPE: DType;
    #[doc(hidden)]
    fn pack(values: &[Self]) -> Array;
    #[doc(hidden)]
    fn unpack(array: &Array, dtype: DType, count: usize) -> Option<Vec<Self>>;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
    fn pack(values: &[Self]) -> Array {
        Array::Single(values.to_vec())
    }
    fn unpack(array: &Array, dtype: DType, count: usize) -> Option<Vec<Self>> {
        match (array, dtype) {
            (Array::Words(words), DType::F16) => {
                Some(halves(words, count).map(f16::to_f32).collect())
            }
            _ => array.reals(count),
        }
    }
}

impl Element for f64 {
    const DTYPE: DType = DType::F32;
    fn pack(values: &[Self]) -> Array {
        Array::Double(values.to_vec())
    }
    fn unpack(array: &Array, dtype: DType, count: usize) -> Option<Vec<Self>> {
        match (array, dtype) {
            (Array::Words(words), DType::F16) => {
                Some(halves(words, count).map(f16::to_f64).collect())
            }
            _ => array.reals(count),
        }
    }
}

impl Element for f16 {
    const DTYPE: DType = DType::F16;
    fn pack(values: &[Self]) -> Array {
        let word = |pair: &[f16]| {
            let high = pair.get(1).map_or(0, |v| u32::from(v.to_bits()));
            u32::from(pair[0].to_bits()) | high << 16
        };
        Array::Words(values.chunks(2).map(word).collect())
    }
    fn unpack(array: &Array, dtype: DType, count: usize) -> Option<Vec<Self>> {
        match (array, dtype) {
            (Array::Words(words), DType::F16) => Some(halves(words, count).collect()),
            _ => None,
        }
    }
}

impl Element for u32 {
    const DTYPE: DType = DType::U32;
    fn pack(values: &[Self]) -> Array {
        Array::Words(values.to_vec())
    }
    fn unpack(array: &Array, dtype: DType, count: usize) -> Option<Vec<Self>> {
        match (array, dtype) {
            (Array::Words(words), DType::U32) => Some(words[..count].to_vec()),
            _ => None,
        }
    }
}

fn halves(words: &[u32], count: usize) -> impl Iterator<Item = f16> {
    let pair = |w: &u32| [f16::from_bits(*w as u16), f16::from_bits((*w >> 16) as u16)];
    words.iter().flat_map(pair).take(count)
}

impl Tensor {
    /// A tensor whose memory holds anything: every element must be written before it is read.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than the device's largest buffer or more than 2^31 words;
    /// [`Error::OutOfMemory`]; [`Error::DeviceLost`].
    pub fn empty(device: &Device, shape: impl IntoShape, dtype: DType) -> Result<Self> {
        let shape = shape.into_shape()?;
        let words = checked_words(&shape, dtype)?;
        let storage = device.stream().allocate(dtype == DType::F32, words)?;
        Ok(Self { device: device.clone(), storage, shape, dtype })
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn zeros(device: &Device, shape: impl IntoShape, dtype: DType) -> Result<Self> {
        let tensor = Self::empty(device, shape, dtype)?;
        tensor.clear()?;
        Ok(tensor)
    }

    /// A tensor with the given elements, row by row.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shape has another number of elements; those of [`Tensor::empty`].
    pub fn from_slice<E: Element>(
        device: &Device,
        values: &[E],
        shape: impl IntoShape,
    ) -> Result<Self> {
        let tensor = Self::empty(device, shape, E::DTYPE)?;
        if values.len() != tensor.count() {
            let detail = format!("{} values for shape {}", values.len(), tensor.shape);
            return Err(Error::shape("from_slice", detail));
        }
        device.stream().upload(&tensor.storage, E::pack(values), true)?;
        Ok(tensor)
    }

    /// A tensor of packed spikes from one value a spike, in the order of the shape.
    ///
    /// # Errors
    /// Those of [`Tensor::from_slice`].
    pub fn from_bools(device: &Device, spikes: &[bool], shape: impl IntoShape) -> Result<Self> {
        let tensor = Self::empty(device, shape, DType::Bits)?;
        if spikes.len() != tensor.count() {
            let detail = format!("{} spikes for shape {}", spikes.len(), tensor.shape);
            return Err(Error::shape("from_bools", detail));
        }
        let row = tensor.row();
        let mut words = vec![0u32; tensor.words()];
        for (i, _) in spikes.iter().enumerate().filter(|(_, s)| **s) {
            let (t, n) = (i / row, i % row);
            words[t / 32 * row + n] |= 1 << (t % 32);
        }
        device.stream().upload(&tensor.storage, Array::Words(words), true)?;
        Ok(tensor)
    }

    /// A tensor in a buffer of the caller's, on a device that both share
    /// ([`Device::from_wgpu`]). Nothing is copied; the buffer stays the caller's and is not counted in
    /// [`Device::memory`].
    ///
    /// The elements are the first ones of the buffer, row by row: floats and words of 4 bytes, f16 in
    /// pairs, packed spikes as [`DType::Bits`] says. It holds at least as many bytes, rounded up to 16,
    /// and has the usages `STORAGE`, `COPY_SRC` and `COPY_DST`.
    ///
    /// Hand it over unmapped: whether a mapped buffer is another `wgpu` instance's cannot be found out,
    /// since `wgpu` counts its buffers by instance. That of any other device is found out by an error
    /// that its own device hears of; where that has no callback, `wgpu` panics, which ends here, but is
    /// printed.
    ///
    /// # Errors
    /// [`Error::Argument`] for a buffer that is too small or lacks a usage; [`Error::DeviceMismatch`]
    /// for one of another device; [`Error::Gpu`] for one that is destroyed; [`Error::Unsupported`] on
    /// the host; [`Error::Limit`].
    pub fn from_buffer(
        device: &Device,
        buffer: wgpu::Buffer,
        shape: impl IntoShape,
        dtype: DType,
    ) -> Result<Self> {
        let shape = shape.into_shape()?;
        let words = checked_words(&shape, dtype)?;
        let storage = device.stream().adopt(buffer, dtype == DType::F32, words)?;
        Ok(Self { device: device.clone(), storage, shape, dtype })
    }

    /// Its buffer, for a pass of the caller's own on [`Device::wgpu`]'s queue. What was recorded is
    /// submitted first, so the pass sees it, and what is recorded after the pass was submitted sees the
    /// pass.
    ///
    /// The elements lie as in [`from_buffer`](Self::from_buffer); the buffer may be longer. It stays
    /// valid, and no other tensor's, when this one is gone. Call this for every pass anew: it counts as
    /// a write ([`Error::Changed`]).
    ///
    /// # Errors
    /// [`Error::Unsupported`] on the host; [`Error::Argument`] in a capture; device loss.
    pub fn buffer(&self) -> Result<wgpu::Buffer> {
        self.device.stream().lend(&self.storage)
    }

    /// The device it lives on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Its extents.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Its element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The number of elements.
    pub fn count(&self) -> usize {
        self.shape.count()
    }

    /// The 4-byte words of its memory.
    pub fn words(&self) -> usize {
        self.dtype.words(&self.shape)
    }

    /// Elements of one step of the leading axis.
    fn row(&self) -> usize {
        self.shape.iter().skip(1).product::<usize>().max(1)
    }

    /// The same elements in another shape. Free: both share the memory.
    ///
    /// Packed spikes keep their leading axis.
    ///
    /// # Errors
    /// [`Error::Shape`] if the number of elements differs.
    pub fn reshape(&self, shape: impl IntoShape) -> Result<Self> {
        let shape = shape.into_shape()?;
        let leading_kept = self.dtype != DType::Bits || shape.first() == self.shape.first();
        if shape.count() != self.count() || !leading_kept {
            return Err(Error::shape("reshape", format!("{} cannot become {shape}", self.shape)));
        }
        Ok(Self { shape, ..self.clone() })
    }

    /// The same words as elements of another type of the same size (f32 and u32 excepted: their
    /// memory differs on the host).
    pub(crate) fn with_words_as(&self, dtype: DType, shape: Shape) -> Self {
        Self { dtype, shape, ..self.clone() }
    }

    /// Zeroes every element.
    ///
    /// # Errors
    /// Device loss.
    pub fn clear(&self) -> Result<()> {
        self.device.stream().clear(&self.storage, self.words())
    }

    /// A tensor with memory of its own and the same elements.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn duplicate(&self) -> Result<Self> {
        let copy = Self::empty(&self.device, self.shape, self.dtype)?;
        copy.copy_from(self)?;
        Ok(copy)
    }

    /// Overwrites this tensor's elements with those of another of the same shape and type.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::DType`], [`Error::DeviceMismatch`].
    pub fn copy_from(&self, other: &Tensor) -> Result<()> {
        self.same_device("copy_from", other)?;
        if self.shape != other.shape || self.dtype != other.dtype {
            let detail = format!(
                "{} {} cannot be copied to {} {}",
                other.dtype, other.shape, self.dtype, self.shape
            );
            return Err(Error::shape("copy_from", detail));
        }
        self.device.stream().copy(&other.storage, &self.storage, self.words())
    }

    /// Overwrites this tensor's elements in place: every handle, and every captured step, sees the
    /// new ones.
    ///
    /// # Errors
    /// [`Error::Shape`] for another number of values, [`Error::DType`] for another type.
    pub fn write<E: Element>(&self, values: &[E]) -> Result<()> {
        if E::DTYPE != self.dtype {
            return Err(Error::DType {
                op: "write",
                expected: self.dtype.to_string(),
                found: E::DTYPE.to_string(),
            });
        }
        if values.len() != self.count() {
            let detail = format!("{} values for shape {}", values.len(), self.shape);
            return Err(Error::shape("write", detail));
        }
        self.device.stream().upload(&self.storage, E::pack(values), false)
    }

    /// Starts reading the elements back; what is recorded later is not seen.
    ///
    /// # Errors
    /// Device loss; a read within a capture.
    pub fn read(&self) -> Result<ReadBack> {
        let inner = self.device.stream().read(&self.storage, self.words())?;
        Ok(ReadBack { inner, shape: self.shape, dtype: self.dtype })
    }

    /// The elements, read back now: `f32` or `f64` of float tensors, `f16`, `u32`.
    ///
    /// # Errors
    /// [`Error::DType`] for another type; those of [`Tensor::read`].
    pub fn to_vec<E: Element>(&self) -> Result<Vec<E>> {
        self.read()?.wait()
    }

    /// Like [`to_vec`](Self::to_vec), without blocking the caller's thread.
    ///
    /// # Errors
    /// Those of [`to_vec`](Self::to_vec).
    pub async fn to_vec_async<E: Element>(&self) -> Result<Vec<E>> {
        self.read()?.wait_async().await
    }

    /// The only element of a tensor with one.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are more, or none; those of [`to_vec`](Self::to_vec).
    pub fn item(&self) -> Result<f32> {
        if self.count() != 1 {
            return Err(Error::shape(
                "item",
                format!("{} has {} elements, not one", self.shape, self.count()),
            ));
        }
        Ok(self.to_vec::<f32>()?[0])
    }

    /// Packed spikes, one value a spike, in the order of the shape.
    ///
    /// # Errors
    /// [`Error::DType`] if it holds no packed spikes; those of [`Tensor::read`].
    pub fn to_bools(&self) -> Result<Vec<bool>> {
        self.read()?.wait_bools()
    }

    /// Refuses tensors of two devices.
    ///
    /// # Errors
    /// [`Error::DeviceMismatch`].
    pub fn same_device(&self, op: &'static str, other: &Tensor) -> Result<()> {
        if self.device == other.device {
            return Ok(());
        }
        let (left, mut right) = (self.device.to_string(), other.device.to_string());
        if left == right {
            right += ", opened a second time: share one handle and its clones";
        }
        Err(Error::DeviceMismatch { op, left, right })
    }

    /// Refuses a tensor of another element type.
    ///
    /// # Errors
    /// [`Error::DType`].
    pub fn expect(&self, op: &'static str, dtype: DType) -> Result<()> {
        if self.dtype == dtype {
            return Ok(());
        }
        Err(Error::DType { op, expected: dtype.to_string(), found: self.dtype.to_string() })
    }

    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// Whether this is the only handle on its memory, so that it may be overwritten.
    pub(crate) fn is_unshared(&self) -> bool {
        Arc::strong_count(&self.storage) == 1 && !self.storage.is_lent()
    }
}

impl Device {
    /// A table of f32 that the device keeps under `key`, made by the first call.
    pub(crate) fn cached(
        &self,
        key: TableKey,
        values: impl FnOnce() -> Vec<f32>,
    ) -> Result<Tensor> {
        let (storage, words) = self.stream().table(key, values)?;
        let shape = Shape::new(&[words])?;
        Ok(Tensor { device: self.clone(), storage, shape, dtype: DType::F32 })
    }
}

impl Bind for Tensor {
    fn bound(&self) -> Bound {
        let halves = self.dtype == DType::F16;
        Bound { halves, ..Bound::new(&self.storage, self.words()) }
    }
}

fn checked_words(shape: &Shape, dtype: DType) -> Result<usize> {
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    // Shaders index words with 32 bits; half of that leaves room for rounding up.
    const MOST: usize = 1 << 31;
    match elements {
        Some(n) if n <= MOST && dtype.words(shape) <= MOST => Ok(dtype.words(shape)),
        _ => Err(Error::Limit {
            what: format!("elements of a tensor of shape {shape}"),
            asked: elements.map_or(u64::MAX, |n| n as u64),
            allowed: MOST as u64,
        }),
    }
}

/// Elements on their way from the device; [`Tensor::read`] starts them.
///
/// Reading a step's loss one step later costs no wait:
/// keep the `ReadBack`, record the next step, then [`wait`](Self::wait).
#[must_use]
pub struct ReadBack {
    inner: ReadInner,
    shape: Shape,
    dtype: DType,
}

impl ReadBack {
    /// Waits for the elements.
    ///
    /// # Errors
    /// [`Error::DType`] for another type than the tensor's; device loss.
    pub fn wait<E: Element>(self) -> Result<Vec<E>> {
        let (shape, dtype) = (self.shape, self.dtype);
        unpack(&self.array()?, dtype, &shape)
    }

    /// Waits without blocking the caller's thread.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait).
    pub async fn wait_async<E: Element>(self) -> Result<Vec<E>> {
        let array = match self.inner {
            ReadInner::Ready(array) => array,
            ReadInner::Staged(staged, note) => {
                let bytes = staged.wait_async().await?;
                if let Some(note) = note {
                    note.wait_async().await?;
                }
                device_array(self.dtype, &bytes)
            }
        };
        unpack(&array, self.dtype, &self.shape)
    }

    /// Waits for packed spikes, one value a spike.
    ///
    /// # Errors
    /// [`Error::DType`] if the tensor holds no packed spikes; device loss.
    pub fn wait_bools(self) -> Result<Vec<bool>> {
        let (shape, dtype) = (self.shape, self.dtype);
        let wrong = || Error::DType {
            op: "to_bools",
            expected: DType::Bits.to_string(),
            found: dtype.to_string(),
        };
        let Array::Words(words) = self.array()? else { return Err(wrong()) };
        if dtype != DType::Bits {
            return Err(wrong());
        }
        let row = shape.iter().skip(1).product::<usize>().max(1);
        let spike = |i: usize| words[i / row / 32 * row + i % row] >> (i / row % 32) & 1 == 1;
        Ok((0..shape.count()).map(spike).collect())
    }

    fn array(self) -> Result<Array> {
        match self.inner {
            ReadInner::Ready(array) => Ok(array),
            ReadInner::Staged(staged, note) => {
                let bytes = staged.wait()?;
                note.map_or(Ok(()), |note| note.wait())?;
                Ok(device_array(self.dtype, &bytes))
            }
        }
    }
}

fn device_array(dtype: DType, bytes: &[u8]) -> Array {
    Array::from_device_bytes(crate::host::Precision::Single, dtype == DType::F32, bytes)
}

fn unpack<E: Element>(array: &Array, dtype: DType, shape: &Shape) -> Result<Vec<E>> {
    E::unpack(array, dtype, shape.count()).ok_or(Error::DType {
        op: "to_vec",
        expected: E::DTYPE.to_string(),
        found: dtype.to_string(),
    })
}
