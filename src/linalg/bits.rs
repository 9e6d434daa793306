//! Products with packed spikes as left operand.

use super::params::{Extra, Left, MatmulKernel, Product};
use crate::elementwise::Activation;
use crate::{DType, Result, Tensor};

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
