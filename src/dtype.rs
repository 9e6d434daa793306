//! Element types.

/// The element type of a [`Tensor`](crate::Tensor).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float. On [`Device::oracle`](crate::Device::oracle) it is held as a 64-bit one.
    F32,
    /// 16-bit float, for storage only: kernels compute and accumulate in f32. Two to a word.
    F16,
    /// 32-bit unsigned integer: indices, classes, counters.
    U32,
    /// Spikes, 32 to a word. Words run along the **leading** axis (time): word `w` of neuron `n`
    /// holds steps `32 w .. 32 w + 31`, least significant bit first, tail bits zero.
    Bits,
}

impl DType {
    /// The 4-byte words that elements of this type take in a tensor of shape `dims`; the largest number
    /// where they are too many for one.
    pub fn words(self, dims: &[usize]) -> usize {
        let count = crate::shape::product;
        match self {
            DType::F32 | DType::U32 => count(dims),
            DType::F16 => count(dims).div_ceil(2),
            DType::Bits => match dims.split_first() {
                Some((t, rest)) => t.div_ceil(32).saturating_mul(count(rest)),
                None => 1,
            },
        }
    }

    /// The name in messages: `f32`, `f16`, `u32`, `bits`.
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::U32 => "u32",
            DType::Bits => "bits",
        }
    }
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
