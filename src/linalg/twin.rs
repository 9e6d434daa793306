//! The CPU twins: the GEMM crate does the work, in f32 and in f64.

use super::params::Params;
use crate::elementwise::Activation;
use crate::host::parallel::*;
use crate::host::{HostArgs, Named, Real, gemm};
use half::f16;
use std::borrow::Cow;

/// Below this many multiplications a product runs on one thread.
const PARALLEL_PRODUCTS: usize = 1 << 18;

/// Elements from which an elementwise pass is worth several threads.
const PARALLEL_ELEMENTS: usize = 1 << 15;

/// A matrix as the GEMM crate takes it: elements from row to row and from column to column.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, R> {
    data: &'a [R],
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a, R> View<'a, R> {
    /// The matrix `rows` x `cols`, stored row-major, or its transpose so.
    pub(crate) fn new(data: &'a [R], rows: usize, cols: usize, transposed: bool) -> Self {
        Self { data, rows, cols, transposed }
    }

    fn strides(&self) -> (isize, isize) {
        if self.transposed { (1, self.rows as isize) } else { (self.cols as isize, 1) }
    }

    /// Its elements are exactly `data`.
    fn fits(&self) -> bool {
        self.data.len() == self.rows * self.cols
    }
}

/// `c = a b`, or `c += a b` if `add`; c is row-major.
pub(crate) fn multiply<R: Real>(a: View<'_, R>, b: View<'_, R>, c: &mut [R], add: bool) {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    assert!(a.fits() && b.fits() && b.rows == k && c.len() == m * n, "sizes of a product");
    if m == 0 || n == 0 {
        return;
    }
    let many = m * n * k >= PARALLEL_PRODUCTS;
    let ((a_row, a_col), (b_row, b_col)) = (a.strides(), b.strides());
    // SAFETY: the sizes were checked above: with these strides every element that is read or written
    // lies in its slice, and `c` is borrowed for writing.
    product(many, |parallelism| unsafe {
        gemm(
            [m, n, k],
            c.as_mut_ptr(),
            [1, n as isize],
            add,
            a.data.as_ptr(),
            [a_col, a_row],
            b.data.as_ptr(),
            [b_col, b_row],
            [R::one(); 2],
            parallelism,
        );
    });
}

/// A dense product, any layout, batched. The host runs the whole product in one launch; a launch
/// over a part of the rows or of the batch, or with chunks of the depth, comes from a GPU that is
/// being checked.
pub(super) fn dense<R: Real>(args: &mut HostArgs<'_, R>) {
    let (before, sums) = (args.flag("PRE"), args.flag("SUMS"));
    dense_with(args, before, sums);
}

/// Likewise by the kernel without a second output.
pub(super) fn naive<R: Real>(args: &mut HostArgs<'_, R>) {
    dense_with(args, false, false);
}

fn dense_with<R: Real>(args: &mut HostArgs<'_, R>, before: bool, sums: bool) {
    let p: Params = args.params();
    let [m, n, k] = [p.m, p.n, p.k].map(|v| v as usize);
    let (a_t, b_t) = (args.flag("A_T"), args.flag("B_T"));
    let (a, b) = (floats(args, "a"), floats(args, "b"));
    let first = (4 * p.group_first as usize).min(m);
    let rows = (4 * p.groups as usize).min(m - first);
    let chunk = p.chunk as usize;
    let add = args.flag("ADD");
    let mut out = Output { add, ..Output::take(args, &p) };
    out.before = before.then(|| args.reals_mut("extra"));
    out.sums = sums.then(|| args.reals_mut("extra"));
    for part in 0..k.div_ceil(chunk).max(1) {
        let (from, to) = (part * chunk, k.min((part + 1) * chunk));
        for entry in p.batch_first as usize..(p.batch_first + p.batch) as usize {
            let a = &a[entry * p.stride_a as usize..][..m * k];
            let b = &b[entry * p.stride_b as usize..][..k * n];
            let a = part_of(a, [m, k], [first, rows], [from, to - from], a_t);
            let b = part_of(b, [k, n], [from, to - from], [0, n], b_t);
            let place = part * p.batches as usize + entry;
            let b = View::new(&b, to - from, n, b_t);
            out.product(View::new(&a, rows, to - from, a_t), b, place * m + first);
            if p.group_first == 0 {
                out.column_sums(b, place);
            }
        }
    }
    out.finish(args);
}

/// Rows and columns of a matrix (stored transposed or not): borrowed where that is all of it.
fn part_of<R: Real>(
    data: &[R],
    [rows, cols]: [usize; 2],
    [row, row_count]: [usize; 2],
    [col, col_count]: [usize; 2],
    transposed: bool,
) -> Cow<'_, [R]> {
    let ([outer, outer_count], inner_extent, [inner, inner_count]) = if transposed {
        ([col, col_count], rows, [row, row_count])
    } else {
        ([row, row_count], cols, [col, col_count])
    };
    if inner_count == inner_extent {
        return Cow::Borrowed(&data[outer * inner_extent..][..outer_count * inner_extent]);
    }
    let line = |i: usize| data[i * inner_extent + inner..][..inner_count].iter().copied();
    Cow::Owned((outer..outer + outer_count).flat_map(line).collect())
}

/// Floats of a binding that holds f32 or pairs of f16.
pub(crate) fn floats<'a, R: Real>(args: &HostArgs<'a, R>, binding: impl Named) -> Cow<'a, [R]> {
    if args.is_real(binding) {
        return Cow::Borrowed(args.reals(binding));
    }
    Cow::Owned(unpack_halves(args.words(binding)))
}

/// The numbers of pairs of f16.
pub(crate) fn unpack_halves<R: Real>(words: &[u32]) -> Vec<R> {
    let half = |bits: u32| R::lit(f16::from_bits(bits as u16).to_f64());
    let pair = |w: &u32| [half(*w), half(*w >> 16)];
    words.par_iter().flat_map_iter(pair).collect()
}

/// What a product writes: C, and the second output.
struct Output<'a, R> {
    n: usize,
    bias: Option<&'a [R]>,
    activation: Activation,
    /// C is added to.
    add: bool,
    c: Target<'a, R>,
    before: Option<&'a mut [R]>,
    sums: Option<&'a mut [R]>,
}

/// C in place, or to be packed as f16 at the end.
enum Target<'a, R> {
    Direct(&'a mut [R]),
    Half(Vec<R>),
}

impl<'a, R: Real> Output<'a, R> {
    fn take(args: &mut HostArgs<'a, R>, p: &Params) -> Self {
        let c = if args.is_real("c") {
            Target::Direct(args.reals_mut("c"))
        } else {
            Target::Half(vec![R::zero(); (p.batches * p.m * p.n) as usize])
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
    fn product(&mut self, a: View<'_, R>, b: View<'_, R>, row: usize) {
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
    fn column_sums(&mut self, b: View<'_, R>, place: usize) {
        let n = self.n;
        if let Some(sums) = &mut self.sums {
            column_sums(b.data, &mut sums[place * n..][..n]);
        }
    }

    fn finish(self, args: &mut HostArgs<'_, R>) {
        if let Target::Half(values) = self.c {
            pack(&values, args.words_mut("c"));
        }
    }
}

/// The sums of the columns of a row-major matrix.
fn column_sums<R: Real>(data: &[R], sums: &mut [R]) {
    sums.fill(R::zero());
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
fn over_rows<R: Real>(data: &mut [R], n: usize, f: impl Fn(&mut [R]) + Send + Sync) {
    if data.len() < PARALLEL_ELEMENTS {
        data.chunks_exact_mut(n.max(1)).for_each(f);
    } else {
        let rows = (PARALLEL_ELEMENTS / 4).div_ceil(n.max(1));
        data.par_chunks_mut(rows * n).for_each(|rows| rows.chunks_exact_mut(n).for_each(&f));
    }
}

/// Numbers as pairs of f16.
pub(crate) fn pack<R: Real>(values: &[R], words: &mut [u32]) {
    let bits = |v: &R| u32::from(f16::from_f64(v.f64()).to_bits());
    for (word, pair) in words.iter_mut().zip(values.chunks(2)) {
        *word = bits(&pair[0]) | pair.get(1).map_or(0, bits) << 16;
    }
}

/// Steps of packed spikes that are unpacked at a time: a panel stays in the second-level cache.
const PANEL_ELEMENTS: usize = 1 << 16;

/// Rows `first .. first + rows` of packed spikes, one real each; row = step * lanes + lane.
fn unpack<R: Real>(words: &[u32], lanes: usize, features: usize, first: usize, panel: &mut [R]) {
    let levels = [R::zero(), R::one()];
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
pub(super) fn bits<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let [m, n, k, lanes] = [p.m, p.n, p.k, p.lanes].map(|v| v as usize);
    let (words, w) = (args.words("a"), args.reals("b"));
    let chunk = p.chunk as usize;
    let before = args.flag("PRE").then(|| args.reals_mut("extra"));
    let mut out = Output { before, ..Output::take(args, &p) };
    let rows = panel_rows(k);
    let mut panel = vec![R::zero(); rows.min(m) * k];
    for part in 0..k.div_ceil(chunk).max(1) {
        let (from, to) = (part * chunk, k.min((part + 1) * chunk));
        let b = View::new(&w[from * n..to * n], to - from, n, false);
        for (first, count) in covered_rows(&p, rows) {
            let panel = &mut panel[..count * k];
            unpack(words, lanes, k, first, panel);
            let a = part_of(panel, [count, k], [0, count], [from, to - from], false);
            out.product(View::new(&a, count, to - from, false), b, part * m + first);
        }
    }
}

/// The rows that a launch covers, at most `most` at a time: all, or single ones where a GPU splits a
/// large product by groups of four steps.
fn covered_rows(p: &Params, most: usize) -> Vec<(usize, usize)> {
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
pub(super) fn bits_transposed<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let [m, n, lanes, steps] = [p.m, p.n, p.lanes, p.steps].map(|v| v as usize);
    let (words, g) = (args.words("a"), args.reals("b"));
    let depth = lanes * steps.div_ceil(4);
    let chunk = (p.chunk as usize / 4).max(1);
    let first = (4 * p.group_first as usize).min(m);
    let rows = first..(first + 4 * p.groups as usize).min(m);
    let c = args.reals_mut("c");
    let mut sums = (args.flag("SUMS") && first == 0).then(|| args.reals_mut("extra"));
    let mut product = vec![R::zero(); m * n];
    for part in 0..depth.div_ceil(chunk).max(1) {
        product.fill(R::zero());
        let mut sum = vec![R::zero(); n];
        if chunk >= depth {
            transposed_rows(words, g, [steps * lanes, lanes, m, n], &mut product);
            column_sums(g, &mut sum);
        } else {
            let quads = part * chunk..depth.min((part + 1) * chunk);
            transposed_quads(words, g, quads, [steps, lanes, m], &mut product, &mut sum);
        }
        let covered = rows.start * n..rows.end * n;
        c[part * m * n..][covered.clone()].copy_from_slice(&product[covered]);
        if let Some(sums) = &mut sums {
            sums[part * n..][..n].copy_from_slice(&sum);
        }
    }
}

/// A chunk of the depth, as a GPU splits it: groups of four steps of a sample, one after another.
fn transposed_quads<R: Real>(
    words: &[u32],
    g: &[R],
    quads: std::ops::Range<usize>,
    [steps, lanes, m]: [usize; 3],
    c: &mut [R],
    sums: &mut [R],
) {
    let (n, groups) = (sums.len(), steps.div_ceil(4));
    let mut spikes = vec![R::zero(); m];
    for d in quads {
        for step in 4 * (d % groups)..steps.min(4 * (d % groups) + 4) {
            let row = step * lanes + d / groups;
            let g = &g[row * n..][..n];
            sums.iter_mut().zip(g).for_each(|(s, v)| *s += *v);
            unpack(words, lanes, m, row, &mut spikes);
            for (i, _) in spikes.iter().enumerate().filter(|(_, s)| **s != R::zero()) {
                c[i * n..][..n].iter_mut().zip(g).for_each(|(c, v)| *c += *v);
            }
        }
    }
}

/// `c += S^T g` over all rows, panel by panel.
fn transposed_rows<R: Real>(words: &[u32], g: &[R], [total, lanes, m, n]: [usize; 4], c: &mut [R]) {
    let rows = panel_rows(m);
    let mut panel = vec![R::zero(); rows.min(total) * m];
    for first in (0..total).step_by(rows) {
        let count = rows.min(total - first);
        let panel = &mut panel[..count * m];
        unpack(words, lanes, m, first, panel);
        let b = View::new(&g[first * n..][..count * n], count, n, false);
        multiply(View::new(panel, m, count, true), b, &mut c[..m * n], true);
    }
}
