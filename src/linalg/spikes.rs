//! The kernels of a product with packed spikes.

use super::oracle::{row, rows, write};
use super::params::{BITS_VARIANTS, ProductParams, cost, iterations};
use crate::elementwise::ACTIVATION_MODULE;
use crate::host::linalg;
use crate::host::{HostArgs, Real};
use crate::kernel;

/// Whether channel `i` of a lane spikes in a step, 1 or 0.
fn spike<R: Real>(words: &[u32], [lanes, width]: [usize; 2], token: usize, i: usize) -> R {
    let (step, lane) = (token / lanes, token % lanes);
    let word = words[(step / 32 * lanes + lane) * width + i];
    R::lit(f64::from(word >> (step % 32) & 1))
}

/// The tokens of a group of four steps of a lane.
fn tokens(p: &ProductParams, group: usize) -> impl Iterator<Item = usize> + use<> {
    let [steps, lanes] = [p.steps, p.lanes].map(|v| v as usize);
    let (lane, quad) = (group / steps.div_ceil(4), group % steps.div_ceil(4));
    (4 * quad..steps.min(4 * quad + 4)).map(move |step| step * lanes + lane)
}

/// The rows of some groups of four steps, chunk by chunk of the depth.
fn bits_matmul<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ProductParams = args.params();
    let [m, n, k, lanes, chunk] = [p.m, p.n, p.k, p.lanes, p.chunk].map(|v| v as usize);
    let (words, w) = (args.words("a"), args.reals("b"));
    let groups = p.group_first as usize..(p.group_first + p.groups) as usize;
    let covered: Vec<usize> = groups.flat_map(|group| tokens(&p, group)).collect();
    let parts = 0..k.div_ceil(chunk).max(1);
    let places: Vec<_> = parts.flat_map(|part| covered.iter().map(move |t| (part, *t))).collect();
    let rows = rows(&places, |&(part, token)| {
        let depth = part * chunk..k.min((part + 1) * chunk);
        let spike = |l| spike(words, [lanes, k], token, l);
        (part * m + token, row(n, depth, spike, |l, j| w[l * n + j]))
    });
    let pre = args.flag("PRE");
    write(args, rows, [pre, false]);
}

/// Some rows of C, chunk by chunk of the depth, which is counted in groups of four steps.
fn bits_matmul_tn<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ProductParams = args.params();
    let [m, n, lanes] = [p.m, p.n, p.lanes].map(|v| v as usize);
    let (words, g) = (args.words("a"), args.reals("b"));
    let (groups, chunk) = (lanes * p.steps.div_ceil(4) as usize, (p.chunk as usize / 4).max(1));
    let depth = |part: usize| {
        let groups = part * chunk..groups.min((part + 1) * chunk);
        groups.flat_map(|group| tokens(&p, group))
    };
    let parts = 0..groups.div_ceil(chunk).max(1);
    let first = (4 * p.group_first as usize).min(m);
    let last = (first + 4 * p.groups as usize).min(m);
    let places: Vec<_> =
        parts.clone().flat_map(|part| (first..last).map(move |i| (part, i))).collect();
    let gradient = |token: usize, j: usize| g[token * n + j];
    let rows = rows(&places, |&(part, i)| {
        let spike = |token| spike(words, [lanes, m], token, i);
        (part * m + i, row(n, depth(part), spike, gradient))
    });
    let c = args.reals_mut("c");
    rows.into_iter().for_each(|(row, sums)| c[row * n..][..n].copy_from_slice(&sums));
    if args.flag("SUMS") && first == 0 {
        let extra = args.reals_mut("extra");
        for part in parts {
            let sums = row(n, depth(part), |_| R::one(), gradient);
            extra[part * n..][..n].copy_from_slice(&sums);
        }
    }
}

kernel! {
    /// `C[t, b, :] = act(sum_k S[t, b, k] W[k, :] + bias)`
    pub(super) static BITS_MATMUL = "linalg/bits_matmul";
    params = ProductParams;
    oracle = bits_matmul;
    host = linalg::bits_matmul;
    modules = ACTIVATION_MODULE;
    variants = BITS_VARIANTS;
    cost = cost;
    iterations = iterations;
}

kernel! {
    /// `C[k, :] = sum_{t, b} S[t, b, k] G[t, b, :]`
    pub(super) static BITS_MATMUL_TN = "linalg/bits_matmul_tn";
    params = ProductParams;
    oracle = bits_matmul_tn;
    host = linalg::bits_matmul_tn;
    variants = BITS_VARIANTS;
    cost = cost;
    iterations = iterations;
}
