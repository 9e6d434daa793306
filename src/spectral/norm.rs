//! What must be known of each matrix first: largest element, Frobenius norm, whether it is finite.

use super::batch::Batch;
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::reduce::{ROWS, RowTurns, over_rows};
use crate::{DType, Result, Tensor};

/// `(max |x|, sum of squares, fault)` of each chunk
pub(super) static NORM_PARTS: Kernel = Kernel::new(
    "spectral",
    "norm_parts",
    shader!("spectral/norm_parts"),
    crate::twin!(twin::norm_parts),
)
.params::<PartsParams>()
.variants(ROWS)
.cost(parts_cost)
.turns(|args| {
    let chunk = RowTurns::of(args, args.params::<PartsParams>().chunk);
    chunk.walk() + chunk.chains() + 3 * chunk.fold
});

/// `(s, ||s x||, s c, c)` of each matrix
pub(super) static MATRIX_SCALE: Kernel = Kernel::new(
    "spectral",
    "matrix_scale",
    shader!("spectral/matrix_scale"),
    crate::twin!(twin::matrix_scale),
)
.params::<ScaleParams>()
.turns(|args| 2 + 2 * u64::from(args.params::<ScaleParams>().chunks));

crate::params! {
    pub(super) struct PartsParams {
        count: u32,
        chunk: u32,
        chunks: u32,
        entries: u32,
        first: u32,
    }
}

crate::params! {
    pub(super) struct ScaleParams {
        entries: u32,
        chunks: u32,
        radius: f32,
        margin: f32,
        eps: f32,
    }
}

/// Every element is read once.
fn parts_cost(args: &CostArgs<'_>) -> Cost {
    let p: PartsParams = args.params();
    let count = f64::from(p.count) * f64::from(p.entries);
    Cost { bytes: 4.0 * count, flops: 3.0 * count }
}

/// The most chunks of a matrix: one invocation folds them.
const MOST_CHUNKS: usize = 64;
/// The fewest elements worth a chunk.
const LEAST_CHUNK: usize = 4096;

/// How a matrix is scaled before anything is computed from it: always by the power of two s that brings
/// its largest element to [1, 2), so that nothing leaves the range, whatever the scale of the matrix.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scale<'a> {
    /// That alone; c is the radius times the element of the tensor.
    Own(f32, Option<&'a Tensor>),
    /// Then to the Frobenius norm `1 / margin`, or what `||x|| / (margin ||x|| + eps)` is of x as it was.
    Unit { margin: f32, eps: f32 },
}

impl Scale<'_> {
    /// That alone, where there is no radius.
    pub(super) const ALONE: Self = Self::Own(0.0, None);
}

/// What is known of each matrix of a batch.
#[derive(Debug)]
pub(super) struct Facts {
    /// `[total, 4]`: (s, ||s x||, s c, c), or with [`Scale::Unit`] (s, ||s x||, .., what else x is
    /// multiplied with).
    pub(super) facts: Tensor,
    /// `[total]`: 1 where an element is not finite.
    pub(super) flags: Tensor,
    /// Whether matrices are scaled to a norm.
    pub(super) unit: bool,
}

impl Facts {
    pub(super) fn new(batch: &Batch<'_>, scale: Scale<'_>) -> Result<Self> {
        let device = batch.device();
        let chunk = batch.count().div_ceil(MOST_CHUNKS).max(LEAST_CHUNK);
        let chunks = batch.count().div_ceil(chunk).max(1);
        let parts = Tensor::empty(device, [batch.total(), chunks, 4], DType::F32)?;
        for (tensor, first) in batch.parts() {
            let params = PartsParams {
                count: batch.count() as u32,
                chunk: chunk as u32,
                chunks: chunks as u32,
                entries: batch.entries as u32,
                first: first as u32,
            };
            let launch = over_rows(device, &NORM_PARTS, &params, [batch.entries * chunks, chunk]);
            launch.bind_next(tensor).bind_next(&parts).record()?;
        }
        let facts = Tensor::empty(device, [batch.total(), 4], DType::F32)?;
        let flags = Tensor::empty(device, [batch.total()], DType::F32)?;
        let (unit, radius, factor, [margin, eps]) = match scale {
            Scale::Own(radius, factor) => (false, radius, factor, [0.0; 2]),
            Scale::Unit { margin, eps } => (true, 0.0, None, [margin, eps]),
        };
        let (entries, chunks) = (batch.total() as u32, chunks as u32);
        let params = ScaleParams { entries, chunks, radius, margin, eps };
        let launch = device.launch(&MATRIX_SCALE).params(&params);
        let launch = launch
            .constant("UNIT", u32::from(unit))
            .constant("DYNAMIC", u32::from(factor.is_some()));
        let launch = launch.bind_next(&parts).bind_next(factor.unwrap_or(&parts));
        launch.bind_next(&facts).bind_next(&flags).items_of(batch.total(), 64).record()?;
        Ok(Self { facts, flags, unit })
    }
}
