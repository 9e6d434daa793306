//! The kernels of a product of dense matrices.

use super::oracle::{row, rows, write};
use super::params::{DENSE_VARIANTS, ProductParams, cost, iterations};
use crate::elementwise::ACTIVATION_MODULE;
use crate::host::linalg;
use crate::host::{HostArgs, Real, floats};
use crate::kernel;

fn matmul<R: Real>(args: &mut HostArgs<'_, R>) {
    let (pre, sums) = (args.flag("PRE"), args.flag("SUMS"));
    product(args, pre, sums);
}

fn matmul_naive<R: Real>(args: &mut HostArgs<'_, R>) {
    product(args, false, false);
}

/// Some rows of C for some entries of the batch, chunk by chunk of the depth.
fn product<R: Real>(args: &mut HostArgs<'_, R>, pre: bool, sums: bool) {
    let p: ProductParams = args.params();
    let [m, n, k, chunk] = [p.m, p.n, p.k, p.chunk].map(|v| v as usize);
    let [stride_a, stride_b] = [p.stride_a, p.stride_b].map(|v| v as usize);
    let (a_t, b_t) = (args.flag("A_T"), args.flag("B_T"));
    let (a, b) = (floats(args, "a"), floats(args, "b"));
    let a_at = |entry: usize, i: usize, l: usize| {
        a[entry * stride_a + if a_t { l * m + i } else { i * k + l }]
    };
    let b_at = |entry: usize, l: usize, j: usize| {
        b[entry * stride_b + if b_t { j * k + l } else { l * n + j }]
    };
    let depth = |part: usize| part * chunk..k.min((part + 1) * chunk);
    let entries = p.batch_first as usize..(p.batch_first + p.batch) as usize;
    let parts =
        (0..k.div_ceil(chunk).max(1)).flat_map(|part| entries.clone().map(move |e| (part, e)));
    let first = (4 * p.group_first as usize).min(m);
    let last = (first + 4 * p.groups as usize).min(m);
    let places: Vec<_> =
        parts.clone().flat_map(|(part, e)| (first..last).map(move |i| (part, e, i))).collect();
    let place = |part: usize, entry: usize| part * p.batches as usize + entry;
    let rows = rows(&places, |&(part, entry, i)| {
        let row = row(n, depth(part), |l| a_at(entry, i, l), |l, j| b_at(entry, l, j));
        (place(part, entry) * m + i, row)
    });
    let add = args.flag("ADD");
    write(args, rows, [pre, add]);
    if sums && first == 0 {
        let extra = args.reals_mut("extra");
        for (part, entry) in parts {
            let sums = row(n, depth(part), |_| R::one(), |l, j| b_at(entry, l, j));
            extra[place(part, entry) * n..][..n].copy_from_slice(&sums);
        }
    }
}

kernel! {
    /// Register tiles, no workgroup memory.
    pub(super) static MATMUL = "linalg/matmul";
    params = ProductParams;
    oracle = matmul;
    host = linalg::matmul;
    modules = ACTIVATION_MODULE;
    variants = DENSE_VARIANTS;
    cost = cost;
    iterations = iterations;
}

kernel! {
    /// Tiles in workgroup memory.
    pub(super) static MATMUL_TILED = "linalg/matmul_tiled";
    params = ProductParams;
    oracle = matmul;
    host = linalg::matmul;
    modules = ACTIVATION_MODULE;
    variants = DENSE_VARIANTS;
    cost = cost;
    iterations = |args| 2 * iterations(args);
}

kernel! {
    /// One output an invocation.
    pub(super) static MATMUL_NAIVE = "linalg/matmul_naive";
    params = ProductParams;
    oracle = matmul_naive;
    host = linalg::matmul_naive;
    modules = ACTIVATION_MODULE;
    cost = cost;
    iterations = |args| 1 + u64::from(args.params::<ProductParams>().k);
}
