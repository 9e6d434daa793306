//! Vectors: their only singular value is their norm.

use super::batch::Batch;
use super::norm::Facts;
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `y = x / sqrt(1 + (||x|| / c)^2)`
pub(super) static VECTOR_CLIP: Kernel = Kernel::new(
    "spectral",
    "vector_clip",
    shader!("spectral/vector_clip"),
    crate::twin!(twin::vector_clip),
)
.params::<Params>();

crate::params! {
    pub(super) struct Params {
        entries: u32,
        count: u32,
        first: u32,
    }
}

/// Clips every vector of a batch; `compat` leaves those within the radius as they are.
pub(super) fn clip(batch: &Batch<'_>, facts: &Facts, compat: bool) -> Result<Vec<Tensor>> {
    let clip = |(x, first): (&Tensor, usize)| {
        let y = Tensor::empty(batch.device(), batch.shape, DType::F32)?;
        let (entries, count) = (batch.entries as u32, batch.count() as u32);
        let params = Params { entries, count, first: first as u32 };
        let launch = batch.device().launch(&VECTOR_CLIP).params(&params);
        let launch = launch.constant("COMPAT", u32::from(compat));
        launch
            .bind_next(x)
            .bind_next(&facts.facts)
            .bind_next(&y)
            .items_of(y.count(), 64)
            .record()?;
        Ok(y)
    };
    batch.parts().map(clip).collect()
}
