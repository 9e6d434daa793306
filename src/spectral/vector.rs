//! Vectors: their only singular value is their norm.

use super::batch::Batch;
use super::norm::MatrixStats;

use crate::host::{HostArgs, Real};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// `y = x / sqrt(1 + (||x|| / c)^2)`
    pub(super) static VECTOR_CLIP = "spectral/vector_clip";
    params = struct VectorClipParams {
        entries: u32,
        count: u32,
        first: u32,
    };
    oracle = vector_clip_oracle;
}

/// Clips every vector of a batch; `compat` leaves those within the radius as they are.
pub(super) fn clip(batch: &Batch<'_>, stats: &MatrixStats, compat: bool) -> Result<Vec<Tensor>> {
    let clip = |(x, first): (&Tensor, usize)| {
        let y = Tensor::empty(batch.device(), batch.shape, DType::F32)?;
        let (entries, count) = (batch.entries as u32, batch.count() as u32);
        let params = VectorClipParams { entries, count, first: first as u32 };
        let launch = batch.device().launch(&VECTOR_CLIP).params(&params);
        let launch = launch.constant("COMPAT", compat);
        launch.bind("x", x).bind("stats", &stats.values).bind("y", &y).items(y.count()).record()?;
        Ok(y)
    };
    batch.parts().map(clip).collect()
}

/// Vectors scaled by their norm.
fn vector_clip_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: VectorClipParams = args.params();
    let compat = args.flag("COMPAT");
    let (x, stats) = (args.reals("x"), args.reals("stats"));
    let count = p.count as usize;
    let y = args.reals_mut("y");
    let vectors = y.chunks_exact_mut(count).zip(x.chunks_exact(count)).zip(p.first as usize..);
    for ((y, x), entry) in vectors.take(p.entries as usize) {
        let [enter, norm, radius, c] = std::array::from_fn(|i| stats[4 * entry + i]);
        if enter == R::zero() {
            y.fill(R::zero());
            continue;
        }
        let within = compat && norm <= radius;
        let [enter, factor] = if within { [R::one(); 2] } else { [enter, c / norm.hypot(radius)] };
        y.iter_mut().zip(x).for_each(|(y, x)| *y = (enter * *x) * factor);
    }
}
