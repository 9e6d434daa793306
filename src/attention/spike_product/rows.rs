//! Tokens times a matrix of their head.

use super::lanes::{Lanes, Params, cost, launch};
use crate::attention::twin::spike_product as twin;
use crate::dispatch::Launch;
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `C[t, l, :] = scale sum_k A[t, l, k] B[l, k, :]`
    pub(in crate::attention) static SPIKE_ROWS = "attention/spike_rows";
    params = Params;
    oracle = twin::rows;
    variants = VARIANTS;
    cost = cost;
    turns = |args| u64::from(args.params::<Params>().k) + 128;
}

/// How operands are stored and read.
const VARIANTS: &[Variant] = &[
    Variant::portable("bits, f32", &[]),
    Variant::portable("bits, f32, by four", &["VEC"]),
    Variant::portable("f32, f32", &["DENSE"]),
    Variant::portable("f32, f32, by four", &["DENSE", "VEC"]),
    Variant::portable("bits, bits", &["TOKENS"]),
    Variant::portable("bits, bits, by four", &["TOKENS", "VEC"]),
    Variant::portable("f32, bits", &["DENSE", "TOKENS"]),
    Variant::portable("f32, bits, by four", &["DENSE", "TOKENS", "VEC"]),
];

/// A product `scale A B` within lanes.
pub(super) struct Rows<'a> {
    /// `[S, L, k]`, f32 or packed.
    pub(super) a: &'a Tensor,
    /// `[L, k, n]` f32, or packed tokens `[k, L, n]`.
    pub(super) b: &'a Tensor,
    /// B is `[L, n, k]`, or `[n, L, k]`.
    pub(super) transposed: bool,
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) scale: f32,
}

impl Rows<'_> {
    /// A launch under the conditions of the operands.
    fn compiled(&self) -> Launch {
        let launch = self.a.device().launch(&SPIKE_ROWS);
        launch
            .when("DENSE", self.a.dtype() != DType::Bits)
            .when("TOKENS", self.b.dtype() == DType::Bits)
            .when("VEC", self.k.is_multiple_of(4) && self.n.is_multiple_of(4))
    }

    /// `[S, L, n]`; no extent is zero.
    pub(super) fn run(&self, lanes: Lanes) -> Result<Tensor> {
        let device = self.a.device();
        let c = Tensor::empty(device, [lanes.steps, lanes.count, self.n], DType::F32)?;
        let params = lanes.params(self.k, self.n, self.scale);
        launch(device, params, [lanes.steps, self.n, self.k, 1], || {
            let launch = self.compiled().constant("B_T", self.transposed);
            let launch = launch.constant("TAIL", !self.k.is_multiple_of(4));
            launch.bind("a", self.a).bind("b", self.b).bind("c", &c)
        })?;
        Ok(c)
    }
}
