//! Tokens times a matrix of their head.

use super::lanes::{HeadParams, Lanes, cost, over_lanes};
use super::operand::Operand;
use crate::dispatch::Launch;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::Variant;
use crate::{DType, Result, Tensor, kernel};

/// Sums of products.
fn spike_rows<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: HeadParams = args.params();
    let [lanes, k, n] = [p.lanes, p.k, p.n].map(|v| v as usize);
    let (dense, tokens, transposed) = (args.when("DENSE"), args.when("TOKENS"), args.flag("B_T"));
    let [a, b] = ["a", "b"].map(|x| Operand::new(args, x));
    // Element (i, j) of a lane's matrix.
    let element = |lane: usize, i: usize, j: usize| match (tokens, transposed) {
        (true, false) => b.spike(i, lane * n + j, lanes * n),
        (true, true) => b.spike(j, lane * k + i, lanes * k),
        (false, false) => b.reals[(lane * k + i) * n + j],
        (false, true) => b.reals[(lane * n + j) * k + i],
    };
    let scale = R::lit(f64::from(p.scale));
    let rows = args.reals_mut("c").par_chunks_mut(n).enumerate();
    let covered = p.lane_first as usize..(p.lane_first + p.lane_count) as usize;
    rows.for_each(|(row, c)| {
        let (t, lane) = (row / lanes, row % lanes);
        if !covered.contains(&lane) {
            return;
        }
        c.fill(R::zero());
        for i in 0..k {
            let x = match dense {
                true => a.reals[row * k + i],
                false => a.spike(t, lane * k + i, lanes * k),
            };
            c.iter_mut().enumerate().for_each(|(j, c)| *c += x * element(lane, i, j));
        }
        c.iter_mut().for_each(|c| *c *= scale);
    });
}

kernel! {
    /// `C[t, l, :] = scale sum_k A[t, l, k] B[l, k, :]`
    pub(in crate::attention) static SPIKE_ROWS = "attention/spike_rows";
    params = HeadParams;
    oracle = spike_rows;
    host = crate::host::attention::spike_rows;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| u64::from(args.params::<HeadParams>().k) + 128;
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
        let launch = self.compiled().constant("B_T", self.transposed);
        let launch = launch.constant("TAIL", !self.k.is_multiple_of(4));
        let launch = launch.bind("a", self.a).bind("b", self.b).bind("c", &c);
        over_lanes(device, launch, &params, [lanes.steps, self.n, 1]).record()?;
        Ok(c)
    }
}
