//! Host buffers: typed arrays that go from hand to hand.

use super::{Precision, Real};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The contents of a host buffer.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// `f32` elements on the fallback device.
    Single(Vec<f32>),
    /// `f32` elements on the oracle.
    Double(Vec<f64>),
    /// Words: `u32` elements, packed bits, pairs of f16.
    Words(Vec<u32>),
}

impl Array {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Array::Single(a) => a.len(),
            Array::Double(a) => a.len(),
            Array::Words(a) => a.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The array as a device would hold it: floats rounded to f32, everything as bytes.
    pub(crate) fn device_bytes(&self, words: usize) -> Vec<u8> {
        match self {
            Array::Single(a) => bytemuck::cast_slice(&a[..words]).to_vec(),
            Array::Double(a) => {
                let single: Vec<f32> = a[..words].iter().map(|v| *v as f32).collect();
                bytemuck::cast_slice(&single).to_vec()
            }
            Array::Words(a) => bytemuck::cast_slice(&a[..words]).to_vec(),
        }
    }

    /// An array of the given kind from a device's bytes.
    pub(crate) fn from_device_bytes(precision: Precision, real: bool, bytes: &[u8]) -> Self {
        let words = bytemuck::pod_collect_to_vec::<u8, u32>(bytes);
        match (real, precision) {
            (false, _) => Array::Words(words),
            (true, Precision::Single) => {
                Array::Single(words.into_iter().map(f32::from_bits).collect())
            }
            (true, Precision::Double) => {
                Array::Double(words.into_iter().map(|w| f64::from(f32::from_bits(w))).collect())
            }
        }
    }

    /// The values as reals, if the array holds reals.
    pub(crate) fn reals<R: Real>(&self, count: usize) -> Option<Vec<R>> {
        match self {
            Array::Single(a) => Some(a[..count].iter().map(|v| R::lit(f64::from(*v))).collect()),
            Array::Double(a) => Some(a[..count].iter().map(|v| R::lit(*v)).collect()),
            Array::Words(_) => None,
        }
    }
}

/// A buffer of the host device. Its array is shared by those who read it, and away while somebody
/// writes it; the lock is held for no longer than it takes to hand it over.
#[derive(Debug)]
pub struct HostBuffer {
    array: Mutex<Option<Arc<Array>>>,
    /// When it was last written, by the clock of the stream's writes.
    pub(crate) written: AtomicU64,
}

impl HostBuffer {
    /// A zeroed buffer of `words` elements, or `None` if the system has no memory for it.
    pub(crate) fn new(precision: Precision, real: bool, words: usize) -> Option<Self> {
        let array = match (real, precision) {
            (true, Precision::Single) => Array::Single(zeroed(words)?),
            (true, Precision::Double) => Array::Double(zeroed(words)?),
            (false, _) => Array::Words(zeroed(words)?),
        };
        let array = Mutex::new(Some(Arc::new(array)));
        Some(Self { array, written: AtomicU64::new(0) })
    }

    fn array(&self) -> MutexGuard<'_, Option<Arc<Array>>> {
        self.array.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The array for reading, unless it is away.
    pub(super) fn share(&self) -> Option<Arc<Array>> {
        self.array().clone()
    }

    /// The array for writing, unless it is away or being read.
    pub(super) fn take(&self) -> Option<Arc<Array>> {
        let mut place = self.array();
        Arc::get_mut(place.as_mut()?)?;
        place.take()
    }

    /// Puts an array back that was taken.
    pub(super) fn put(&self, array: Arc<Array>) {
        *self.array() = Some(array);
    }
}

/// Zeroed memory straight from the system (untouched pages cost nothing), failing softly.
fn zeroed<T: bytemuck::Zeroable + Clone>(len: usize) -> Option<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(len).ok()
}
