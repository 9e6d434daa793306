//! The kernels of a product with packed spikes.

use super::params::{BITS_VARIANTS, Params, cost, turns};
use super::twin;
use crate::kernel;

kernel! {
    /// `C[t, b, :] = act(sum_k S[t, b, k] W[k, :] + bias)`
    pub(super) static BITS_MATMUL = "linalg/bits_matmul";
    params = Params;
    oracle = twin::bits;
    variants = BITS_VARIANTS;
    cost = cost;
    turns = turns;
}

kernel! {
    /// `C[k, :] = sum_{t, b} S[t, b, k] G[t, b, :]`
    pub(super) static BITS_MATMUL_TN = "linalg/bits_matmul_tn";
    params = Params;
    oracle = twin::bits_transposed;
    variants = BITS_VARIANTS;
    cost = cost;
    turns = turns;
}
