//! Products of matrices of any kind, as products of dense ones.

use super::{View, multiply};
use crate::elementwise::Activation;
use crate::host::parallel::*;
use crate::host::{HostArgs, floats, pack_halves};
use crate::linalg::ProductParams;
use std::borrow::Cow;

/// Elements from which an elementwise pass is worth several threads.
const PARALLEL_ELEMENTS: usize = 1 << 15;

/// A dense product, any layout, batched.
pub(crate) fn matmul(args: &mut HostArgs<'_, f32>) {
    let (before, sums) = (args.flag("PRE"), args.flag("SUMS"));
    dense_with(args, before, sums);
}

/// Likewise by the kernel without a second output.
pub(crate) fn matmul_naive(args: &mut HostArgs<'_, f32>) {
    dense_with(args, false, false);
}

fn dense_with(args: &mut HostArgs<'_, f32>, before: bool, sums: bool) {
    let p: ProductParams = args.params();
    let [m, n, k] = [p.m, p.n, p.k].map(|v| v as usize);
    let (a_t, b_t) = (args.flag("A_T"), args.flag("B_T"));
    let (a, b) = (floats(args, "a"), floats(args, "b"));
    let first = (4 * p.group_first as usize).min(m);
    let rows = (4 * p.groups as usize).min(m - first);
    let add = args.flag("ADD");
    let mut out = Output { add, ..Output::take(args, &p) };
    out.before = before.then(|| args.reals_mut("extra"));
    out.sums = sums.then(|| args.reals_mut("extra"));
    for entry in p.batch_first as usize..(p.batch_first + p.batch) as usize {
        let a = &a[entry * p.stride_a as usize..][..m * k];
        let b = &b[entry * p.stride_b as usize..][..k * n];
        let a = rows_of(a, [m, k], [first, rows], a_t);
        let b = View::new(b, k, n, b_t);
        out.product(View::new(&a, rows, k, a_t), b, entry * m + first);
        if p.group_first == 0 {
            out.column_sums(b, entry);
        }
    }
    out.finish(args);
}

/// Some rows of a matrix (stored transposed or not): borrowed where they follow each other.
fn rows_of(
    data: &[f32],
    [rows, cols]: [usize; 2],
    [first, count]: [usize; 2],
    transposed: bool,
) -> Cow<'_, [f32]> {
    if count == rows {
        return Cow::Borrowed(data);
    }
    if !transposed {
        return Cow::Borrowed(&data[first * cols..][..count * cols]);
    }
    let line = |col: usize| data[col * rows + first..][..count].iter().copied();
    Cow::Owned((0..cols).flat_map(line).collect())
}

/// What a product writes: C, and the second output.
struct Output<'a> {
    n: usize,
    bias: Option<&'a [f32]>,
    activation: Activation,
    /// C is added to.
    add: bool,
    c: Target<'a>,
    before: Option<&'a mut [f32]>,
    sums: Option<&'a mut [f32]>,
}

/// C in place, or to be packed as f16 at the end.
enum Target<'a> {
    Direct(&'a mut [f32]),
    Half(Vec<f32>),
}

impl<'a> Output<'a> {
    fn take(args: &mut HostArgs<'a, f32>, p: &ProductParams) -> Self {
        let c = if args.is_real("c") {
            Target::Direct(args.reals_mut("c"))
        } else {
            Target::Half(vec![0.0; (p.batches * p.m * p.n) as usize])
        };
        Self {
            n: p.n as usize,
            bias: (p.has_bias != 0).then(|| args.reals("bias")),
            activation: Activation::from_code(args.constant("ACT"), p.slope),
            add: false,
            c,
            before: None,
            sums: None,
        }
    }

    /// Rows of C from row `row` on: `act(a b + bias)`, or `c + a b`.
    fn product(&mut self, a: View<'_>, b: View<'_>, row: usize) {
        let n = self.n;
        let range = row * n..(row + a.rows) * n;
        let c = match &mut self.c {
            Target::Direct(c) => &mut c[range.clone()],
            Target::Half(c) => &mut c[range.clone()],
        };
        if let Some(bias) = self.bias.filter(|_| n > 0) {
            over_rows(c, n, |row| row.copy_from_slice(&bias[..n]));
        }
        multiply(a, b, c, self.add || self.bias.is_some());
        if let Some(before) = &mut self.before {
            before[range].copy_from_slice(c);
        }
        if self.activation != Activation::Identity {
            let activation = self.activation;
            over_rows(c, n, |row| row.iter_mut().for_each(|v| *v = activation.apply(*v)));
        }
    }

    /// The sums of b's columns.
    fn column_sums(&mut self, b: View<'_>, place: usize) {
        let n = self.n;
        if let Some(sums) = &mut self.sums {
            column_sums(b.data, &mut sums[place * n..][..n]);
        }
    }

    fn finish(self, args: &mut HostArgs<'_, f32>) {
        if let Target::Half(values) = self.c {
            pack_halves(&values, args.words_mut("c"));
        }
    }
}

/// The sums of the columns of a row-major matrix.
fn column_sums(data: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    if sums.is_empty() {
        return;
    }
    for row in data.chunks_exact(sums.len()) {
        for (sum, v) in sums.iter_mut().zip(row) {
            *sum += *v;
        }
    }
}

/// Calls `f` with every row of `n` elements.
fn over_rows(data: &mut [f32], n: usize, f: impl Fn(&mut [f32]) + Send + Sync) {
    if data.len() < PARALLEL_ELEMENTS {
        data.chunks_exact_mut(n.max(1)).for_each(f);
    } else {
        let rows = (PARALLEL_ELEMENTS / 4).div_ceil(n.max(1));
        data.par_chunks_mut(rows * n).for_each(|rows| rows.chunks_exact_mut(n).for_each(&f));
    }
}

/// Steps of packed spikes that are unpacked at a time: a panel stays in the second-level cache.
const PANEL_ELEMENTS: usize = 1 << 16;

/// Rows `first .. first + rows` of packed spikes, one real each; row = step * lanes + lane.
fn unpack(words: &[u32], lanes: usize, features: usize, first: usize, panel: &mut [f32]) {
    let levels = [0.0, 1.0];
    for (i, row) in panel.chunks_exact_mut(features.max(1)).enumerate() {
        let (step, lane) = ((first + i) / lanes, (first + i) % lanes);
        let words = &words[(step / 32 * lanes + lane) * features..][..features];
        for (v, word) in row.iter_mut().zip(words) {
            *v = levels[(*word >> (step % 32) & 1) as usize];
        }
    }
}

/// Rows that a panel of packed spikes holds.
fn panel_rows(features: usize) -> usize {
    (PANEL_ELEMENTS / features.max(1)).clamp(64, 4096)
}

/// Packed spikes times weights: panels of rows are unpacked and multiplied.
pub(crate) fn bits_matmul(args: &mut HostArgs<'_, f32>) {
    let p: ProductParams = args.params();
    let [m, n, k, lanes] = [p.m, p.n, p.k, p.lanes].map(|v| v as usize);
    let (words, w) = (args.words("a"), args.reals("b"));
    let before = args.flag("PRE").then(|| args.reals_mut("extra"));
    let mut out = Output { before, ..Output::take(args, &p) };
    let rows = panel_rows(k);
    let mut panel = vec![0.0; rows.min(m) * k];
    let b = View::new(&w[..k * n], k, n, false);
    for (first, count) in covered_rows(&p, rows) {
        let panel = &mut panel[..count * k];
        unpack(words, lanes, k, first, panel);
        out.product(View::new(panel, count, k, false), b, first);
    }
}

/// The rows that a launch covers, at most `most` at a time: all, or single ones of a launch over some
/// groups of four steps.
fn covered_rows(p: &ProductParams, most: usize) -> Vec<(usize, usize)> {
    let [m, lanes, steps] = [p.m, p.lanes, p.steps].map(|v| v as usize);
    let quads = steps.div_ceil(4);
    let groups = p.group_first as usize..(p.group_first + p.groups) as usize;
    if groups.len() == lanes * quads {
        return (0..m).step_by(most).map(|first| (first, most.min(m - first))).collect();
    }
    let steps_of = |g: usize| 4 * (g % quads)..steps.min(4 * (g % quads) + 4);
    groups.flat_map(|g| steps_of(g).map(move |t| (t * lanes + g / quads, 1))).collect()
}

/// Packed spikes transposed times a gradient.
pub(crate) fn bits_matmul_tn(args: &mut HostArgs<'_, f32>) {
    let p: ProductParams = args.params();
    let [m, n, lanes, steps] = [p.m, p.n, p.lanes, p.steps].map(|v| v as usize);
    let (words, g) = (args.words("a"), args.reals("b"));
    let first = (4 * p.group_first as usize).min(m);
    let covered = first * n..(first + 4 * p.groups as usize).min(m) * n;
    let c = args.reals_mut("c");
    let mut product = vec![0.0; m * n];
    transposed_rows(words, g, [steps * lanes, lanes, m, n], &mut product);
    c[covered.clone()].copy_from_slice(&product[covered]);
    if args.flag("SUMS") && first == 0 {
        column_sums(&g[..steps * lanes * n], &mut args.reals_mut("extra")[..n]);
    }
}

/// `c += S^T g` over all rows, panel by panel.
fn transposed_rows(words: &[u32], g: &[f32], [total, lanes, m, n]: [usize; 4], c: &mut [f32]) {
    let rows = panel_rows(m);
    let mut panel = vec![0.0; rows.min(total) * m];
    for first in (0..total).step_by(rows) {
        let count = rows.min(total - first);
        let panel = &mut panel[..count * m];
        unpack(words, lanes, m, first, panel);
        let b = View::new(&g[first * n..][..count * n], count, n, false);
        multiply(View::new(panel, m, count, true), b, &mut c[..m * n], true);
    }
}
