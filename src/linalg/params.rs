//! What a matrix product is, and the parameters of its kernels.

use crate::elementwise::Activation;
use crate::kernel::{Cost, CostArgs, Variant};
use crate::{DType, Tensor};

crate::params! {
    /// The parameters of every product kernel, as in `linalg/operands.wgsl`.
    pub(crate) struct ProductParams {
        m: u32,
        n: u32,
        k: u32,
        batch_first: u32,
        batch: u32,
        group_first: u32,
        groups: u32,
        batches: u32,
        stride_a: u32,
        stride_b: u32,
        chunk: u32,
        steps: u32,
        lanes: u32,
        has_bias: u32,
        slope: f32,
    }
}

/// How operands are stored and read. Chosen from the operands, not from the adapter.
pub(super) const DENSE_VARIANTS: &[Variant] = &[
    Variant::portable("f32", &[]),
    Variant::portable("f32 by four", &["VEC"]),
    Variant::portable("f16", &["HALF"]),
    Variant::portable("f16 by four", &["HALF", "VEC"]),
    Variant::portable("f16 by four to f16", &["HALF", "VEC", "HALF_OUT"]),
];

/// Likewise for packed spikes.
pub(super) const BITS_VARIANTS: &[Variant] =
    &[Variant::portable("bits", &["BITS"]), Variant::portable("bits by four", &["BITS", "VEC"])];

/// What the left operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A matrix, transposed or not.
    Dense { transposed: bool },
    /// Packed spikes `[steps, lanes, k]`; rows of C are (step, lane).
    Spikes { steps: usize, lanes: usize },
    /// Packed spikes `[steps, lanes, m]`; the depth is (step, lane).
    SpikesTransposed { steps: usize, lanes: usize },
}

/// A second output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    /// `A B + bias` before the activation.
    PreActivation,
    /// The sums of B's columns.
    ColumnSums,
}

/// Which kernel computes a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MatmulKernel {
    /// The one that suits device and sizes.
    #[default]
    Auto,
    /// One output an invocation: the baseline of measurements.
    Naive,
    /// Register tiles without workgroup memory.
    Registers,
    /// Tiles in workgroup memory.
    Tiled,
    /// Cooperative matrices: f16 operands, f32 sums, `[M, K]` times `[K, N]` with extents that are
    /// multiples of 16, no bias, no activation. Only on a device opened with
    /// [`coop_matrix`](crate::DeviceBuilder::coop_matrix).
    Coop,
}

/// A product `act(A B + bias)` with checked sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) a: &'a Tensor,
    pub(super) b: &'a Tensor,
    pub(super) left: Left,
    pub(super) b_transposed: bool,
    pub(super) bias: Option<&'a Tensor>,
    pub(super) activation: Activation,
    pub(super) extra: Extra,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) batches: usize,
    /// Whether every batch entry has an operand of its own.
    pub(super) batched: [bool; 2],
    pub(super) kernel: MatmulKernel,
    /// The type of C.
    pub(super) output: DType,
    /// A C that is added to, instead of a new one.
    pub(super) target: Option<&'a Tensor>,
}

/// The iterations of the loops of a product.
pub(super) fn iterations(args: &CostArgs<'_>) -> u64 {
    u64::from(args.params::<ProductParams>().chunk) + 200
}

/// `2 m n k` operations; every operand moved once.
pub(super) fn cost(args: &CostArgs<'_>) -> Cost {
    let p: ProductParams = args.params();
    let part = f64::from(p.batch) / f64::from(p.batches.max(1))
        * (4.0 * f64::from(p.groups) / f64::from(p.m.max(1))).min(1.0);
    let products = f64::from(p.m) * f64::from(p.n) * f64::from(p.k) * f64::from(p.batches);
    Cost { bytes: args.all_bytes() * part, flops: 2.0 * products * part }
}
