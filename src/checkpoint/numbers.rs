//! Numbers of a file as elements of a tensor.

use crate::error::Result;
use crate::{DType, Tensor};
use half::{bf16, f16};
use safetensors::tensor::Dtype;

/// The type that a tensor is saved as.
pub(super) fn stored_as(tensor: &Tensor) -> Dtype {
    match tensor.dtype() {
        DType::F32 if tensor.device().is_oracle() => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::U32 => Dtype::U32,
        DType::Bits => Dtype::BOOL,
    }
}

/// What hinders these numbers from being the elements of a tensor of this type, if anything does.
///
/// Floats are rounded to floats, but a finite number does not become infinite; whole numbers become
/// what has the same value; booleans are spikes.
pub(super) fn hindrance(kind: Dtype, bytes: &[u8], tensor: &Tensor) -> Option<String> {
    let wanted = stored_as(tensor);
    if kind == wanted || (is_float(kind), wanted) == (true, Dtype::F64) {
        return None;
    }
    /// Below it `values` are exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let fits: fn(f64) -> bool = match wanted {
        Dtype::F16 if is_float(kind) => |v| !v.is_finite() || f16::from_f64(v).is_finite(),
        Dtype::F32 if is_float(kind) => |v| !v.is_finite() || (v as f32).is_finite(),
        Dtype::F16 if is_whole(kind) => |v| f64::from(f16::from_f64(v)) == v,
        Dtype::F32 if is_whole(kind) => |v| v.abs() < EXACT && f64::from(v as f32) == v,
        Dtype::F64 if is_whole(kind) => |v| v.abs() < EXACT,
        Dtype::U32 if is_whole(kind) => |v| (0.0..=f64::from(u32::MAX)).contains(&v),
        _ => return Some(format!("holds {kind}, expected {wanted}")),
    };
    let (at, value) = values(kind, bytes).enumerate().find(|(_, value)| !fits(*value))?;
    Some(format!("holds {kind}, expected {wanted}, and element {at} is {value:?}"))
}

/// Overwrites the elements of a tensor by numbers without a [`hindrance`].
pub(super) fn write(kind: Dtype, bytes: &[u8], tensor: &Tensor) -> Result<()> {
    // The same type keeps its bits, which NaNs would lose on the way through f64.
    match (kind, stored_as(tensor)) {
        (Dtype::F64, Dtype::F64) => tensor.write(&bytemuck::pod_collect_to_vec::<u8, f64>(bytes)),
        (Dtype::F32, Dtype::F32) => tensor.write(&bytemuck::pod_collect_to_vec::<u8, f32>(bytes)),
        (Dtype::F16, Dtype::F16) => tensor.write(&bytemuck::pod_collect_to_vec::<u8, f16>(bytes)),
        (Dtype::U32, Dtype::U32) => tensor.write(&bytemuck::pod_collect_to_vec::<u8, u32>(bytes)),
        (_, Dtype::F64) => tensor.write(&values(kind, bytes).collect::<Vec<_>>()),
        (_, Dtype::F32) => tensor.write(&values(kind, bytes).map(|v| v as f32).collect::<Vec<_>>()),
        (_, Dtype::F16) => {
            tensor.write(&values(kind, bytes).map(f16::from_f64).collect::<Vec<_>>())
        }
        (_, Dtype::U32) => tensor.write(&values(kind, bytes).map(|v| v as u32).collect::<Vec<_>>()),
        _ => {
            let spikes: Vec<bool> = bytes.iter().map(|b| *b != 0).collect();
            tensor.copy_from(&Tensor::from_bools(tensor.device(), &spikes, tensor.shape())?)
        }
    }
}

fn is_float(kind: Dtype) -> bool {
    matches!(kind, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
}

fn is_whole(kind: Dtype) -> bool {
    use Dtype::{I8, I16, I32, I64, U8, U16, U32, U64};
    matches!(kind, U8 | I8 | U16 | I16 | U32 | I32 | U64 | I64)
}

/// Floats and whole numbers one after another. Whole numbers of 64 bits are rounded.
fn values(kind: Dtype, bytes: &[u8]) -> Box<dyn Iterator<Item = f64> + '_> {
    fn each<'a, const N: usize, T: Into<f64>>(
        bytes: &'a [u8],
        read: impl Fn([u8; N]) -> T + 'a,
    ) -> Box<dyn Iterator<Item = f64> + 'a> {
        Box::new(bytes.as_chunks::<N>().0.iter().map(move |b| read(*b).into()))
    }
    match kind {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, f16::from_le_bytes),
        Dtype::BF16 => each(bytes, bf16::from_le_bytes),
        Dtype::U8 => each(bytes, u8::from_le_bytes),
        Dtype::I8 => each(bytes, i8::from_le_bytes),
        Dtype::U16 => each(bytes, u16::from_le_bytes),
        Dtype::I16 => each(bytes, i16::from_le_bytes),
        Dtype::U32 => each(bytes, u32::from_le_bytes),
        Dtype::I32 => each(bytes, i32::from_le_bytes),
        Dtype::U64 => each(bytes, |b| u64::from_le_bytes(b) as f64),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        _ => Box::new(std::iter::empty()),
    }
}
