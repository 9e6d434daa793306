//! The kernels of a product of dense matrices.

use super::params::{DENSE_VARIANTS, Params, cost, turns};
use super::twin;
use crate::kernel;

kernel! {
    /// Register tiles, no workgroup memory.
    pub(super) static MATMUL = "linalg/matmul";
    params = Params;
    oracle = twin::dense;
    variants = DENSE_VARIANTS;
    cost = cost;
    turns = turns;
}

kernel! {
    /// Tiles in workgroup memory.
    pub(super) static MATMUL_TILED = "linalg/matmul_tiled";
    params = Params;
    oracle = twin::dense;
    variants = DENSE_VARIANTS;
    cost = cost;
    turns = |args| 2 * turns(args);
}

kernel! {
    /// One output an invocation.
    pub(super) static MATMUL_NAIVE = "linalg/matmul_naive";
    params = Params;
    oracle = twin::naive;
    cost = cost;
    turns = |args| 1 + u64::from(args.params::<Params>().k);
}
