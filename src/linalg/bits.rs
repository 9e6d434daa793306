//! Products with packed spikes as left operand.

use super::product::{BITS_VARIANTS, Extra, Left, MatmulKernel, Params, Product, cost, turns};
use super::twin;
use crate::elementwise::Activation;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Tensor};

/// `C[t, b, :] = act(sum_k S[t, b, k] W[k, :] + bias)`
pub(super) static BITS_MATMUL: Kernel =
    Kernel::new("linalg", "bits_matmul", shader!("linalg/bits_matmul"), crate::twin!(twin::bits))
        .params::<Params>()
        .variants(BITS_VARIANTS)
        .cost(cost)
        .turns(turns);

/// `C[k, :] = sum_{t, b} S[t, b, k] G[t, b, :]`
pub(super) static BITS_MATMUL_TN: Kernel = Kernel::new(
    "linalg",
    "bits_matmul_tn",
    shader!("linalg/bits_matmul_tn"),
    crate::twin!(twin::bits_transposed),
)
.params::<Params>()
.variants(BITS_VARIANTS)
.cost(cost)
.turns(turns);

/// Steps, samples (all axes between the first and the last) and features of packed spikes.
pub(super) fn sizes(spikes: &Tensor) -> [usize; 3] {
    match spikes.shape().dims() {
        [steps, lanes @ .., features] => [*steps, lanes.iter().product(), *features],
        _ => [1, 1, spikes.count()],
    }
}

/// `act(S W + bias)` for packed spikes `[T, .., K]` and weights `[K, N]`; sizes are checked.
pub(super) fn forward(
    spikes: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    activation: Activation,
    extra: Extra,
) -> Result<(Tensor, Option<Tensor>)> {
    let [steps, lanes, k] = sizes(spikes);
    let n = w.shape()[1];
    let product = Product {
        a: spikes,
        b: w,
        left: Left::Spikes { steps, lanes },
        b_transposed: false,
        bias,
        activation,
        extra,
        m: steps * lanes,
        n,
        k,
        batches: 1,
        batched: [false; 2],
        kernel: MatmulKernel::Auto,
        output: DType::F32,
        target: None,
    };
    product.run(spikes.shape().with(spikes.shape().rank() - 1, n)?)
}

/// `S^T G` for packed spikes `[T, .., K]` and `G [T, .., N]`, and `G`'s column sums.
pub(super) fn weight_gradient(
    spikes: &Tensor,
    g: &Tensor,
    extra: Extra,
) -> Result<(Tensor, Option<Tensor>)> {
    let [steps, lanes, m] = sizes(spikes);
    let n = g.shape().last().copied().unwrap_or(1);
    let product = Product {
        a: spikes,
        b: g,
        left: Left::SpikesTransposed { steps, lanes },
        b_transposed: false,
        bias: None,
        activation: Activation::Identity,
        extra,
        m,
        n,
        k: steps * lanes,
        batches: 1,
        batched: [false; 2],
        kernel: MatmulKernel::Auto,
        output: DType::F32,
        target: None,
    };
    product.run(crate::Shape::new(&[m, n])?)
}
