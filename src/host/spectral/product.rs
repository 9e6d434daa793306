//! Symmetric products: the GEMM crate makes panels of rows from the diagonal on, all panels of a launch side
//! by side, and the rest is their mirror image.

use super::Written;
use crate::host::parallel::*;
use crate::host::{HostArgs, Parallelism, floats, gemm};
use crate::spectral::{SymmetricProductParams, upper_tile};

/// The most panels of a matrix: with as many, 54 % of a full product is computed.
const PANELS: usize = 12;

/// The fewest rows of a panel: fewer cost the GEMM crate more than they save.
const LEAST_ROWS: usize = 32;

/// Multiplications from which a launch is worth several threads.
const PARALLEL: usize = 1 << 18;

/// `C = u I + v A + x B + w A B` for each part and matrix. A launch may be over a part of the tiles.
pub(crate) fn symmetric_product(args: &mut HostArgs<'_, f32>) {
    let p: SymmetricProductParams = args.params();
    let [m, k, batch] = [p.m, p.k, p.batch].map(|v| v as usize);
    let rows = args.flag("ROWS");
    let (a, b) = (floats(args, "a"), floats(args, "b"));
    let start = p.second_start as usize * m * m;
    let mut outputs = [Written::take(args, "c", 0), Written::take(args, "second", start)];
    let mut jobs = Vec::new();
    for (part, output) in outputs.iter_mut().enumerate() {
        let named = p.part_first as usize..(p.part_first + p.parts) as usize;
        if !named.contains(&part) {
            continue;
        }
        let all = output.reals()[..batch * m * m].chunks_exact_mut(m * m);
        for (z, c) in all.enumerate() {
            let factors = p.factors(args, part, z);
            let a = &a[(part * batch + z) * m * k..][..m * k];
            let b = &b[z * m * k..][..m * k];
            jobs.push((Job { a, b, rows, m, k, factors }, c));
        }
    }
    let edge = m.div_ceil(p.edge as usize);
    if p.tile_first == 0 && p.tile_count as usize >= jobs.len() * edge * (edge + 1) / 2 {
        run_all(jobs);
    } else {
        for (number, (job, c)) in jobs.into_iter().enumerate() {
            job.run_covered(c, &p, number);
        }
    }
    outputs.into_iter().for_each(Written::finish);
}

/// Whole products: first the panels of all of them, then their mirror images.
fn run_all(mut jobs: Vec<(Job<'_>, &mut [f32])>) {
    jobs.retain(|(job, _)| job.factors.iter().any(|f| *f != 0.0));
    let work: usize = jobs.iter().map(|(job, _)| job.m * job.m * job.k).sum();
    let mut panels = Vec::new();
    for (job, c) in &mut jobs {
        let height = job.panel_rows();
        for (i, panel) in c.chunks_mut(height * job.m).enumerate() {
            panels.push((&*job, i * height, panel));
        }
    }
    if work < PARALLEL {
        panels.into_iter().for_each(|(job, first, panel)| job.panel(first, panel));
        jobs.iter_mut().for_each(|(job, c)| mirror(c, job.m, 0));
        return;
    }
    // The long ones first: the short ones fill what is left of the threads' time.
    panels.sort_by_key(|(_, first, _)| *first);
    let queue = std::sync::Mutex::new(panels.into_iter());
    let next = || queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    on_threads(threads(), &|| {
        while let Some((job, first, panel)) = next() {
            job.panel(first, panel);
        }
    });
    jobs.into_par_iter().for_each(|(job, c)| mirror(c, job.m, 0));
}

/// Rows up to which a mirror image is made by one thread.
const MIRROR: usize = 128;

/// The lower half of a square block on the diagonal from the upper one: its rows, of `m` elements,
/// from column `left` on.
fn mirror(c: &mut [f32], m: usize, left: usize) {
    let rows = c.len() / m;
    if rows <= 16 {
        for i in 1..rows {
            for j in 0..i {
                c[i * m + left + j] = c[j * m + left + i];
            }
        }
        return;
    }
    // Multiples of 16 keep the blocks of both halves together in cache lines.
    let half = (rows / 2).next_multiple_of(16).min(rows - 1);
    let (top, bottom) = c.split_at_mut(half * m);
    if rows <= MIRROR {
        turn(top, bottom, m, [left, left + half]);
        mirror(top, m, left);
        mirror(bottom, m, left + half);
        return;
    }
    bottom.par_chunks_mut(32 * m).enumerate().for_each(|(i, bottom)| {
        turn(top, bottom, m, [left, left + half + 32 * i]);
    });
    join(|| mirror(top, m, left), || mirror(bottom, m, left + half));
}

/// Rows of `to`, from column `column` on, become the columns of `from` from `row` on.
fn turn(from: &[f32], to: &mut [f32], m: usize, [column, row]: [usize; 2]) {
    const BLOCK: usize = 16;
    let (height, width) = (to.len() / m, from.len() / m);
    for top in (0..height).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let across = left..width.min(left + BLOCK);
            for i in top..height.min(top + BLOCK) {
                let line = &mut to[i * m + column..][across.clone()];
                let source = from[left * m + row + i..].iter().step_by(m);
                line.iter_mut().zip(source).for_each(|(y, x)| *y = *x);
            }
        }
    }
}

/// One symmetric product.
#[derive(Clone, Copy)]
struct Job<'a> {
    a: &'a [f32],
    b: &'a [f32],
    rows: bool,
    m: usize,
    k: usize,
    factors: [f32; 4],
}

impl Job<'_> {
    /// The tiles of the launch that lie in matrix `number`, counted over parts and matrices.
    fn run_covered(self, c: &mut [f32], p: &SymmetricProductParams, number: usize) {
        let edge = p.edge as usize;
        let n = self.m.div_ceil(edge);
        let tiles = n * (n + 1) / 2;
        let first = (p.tile_first as usize).saturating_sub(number * tiles);
        let end = ((p.tile_first + p.tile_count) as usize).saturating_sub(number * tiles);
        let mut whole = c.to_vec();
        run_all(vec![(self, &mut whole)]);
        for tile in first..end.min(tiles) {
            let (i, j) = upper_tile(tile, n);
            for (top, left) in [(i, j), (j, i)] {
                let columns = left * edge..self.m.min((left + 1) * edge);
                for row in top * edge..self.m.min((top + 1) * edge) {
                    let line = row * self.m + columns.start..row * self.m + columns.end;
                    c[line.clone()].copy_from_slice(&whole[line]);
                }
            }
        }
    }

    /// Rows of a panel: a multiple of 16.
    fn panel_rows(&self) -> usize {
        self.m.div_ceil(PANELS).max(LEAST_ROWS).next_multiple_of(16)
    }

    /// Rows from `first` on, columns from `first` on.
    fn panel(&self, first: usize, panel: &mut [f32]) {
        let [u, v, w, x] = self.factors;
        for (i, line) in panel.chunks_exact_mut(self.m).enumerate() {
            let row = first + i;
            let line = &mut line[first..];
            line.fill(0.0);
            for (factor, from) in [(v, self.a), (x, self.b)] {
                if factor != 0.0 {
                    let from = &from[row * self.m + first..(row + 1) * self.m];
                    line.iter_mut().zip(from).for_each(|(y, f)| *y += factor * *f);
                }
            }
            line[i] += u;
        }
        if w != 0.0 {
            self.multiply(first, panel, w);
        }
    }

    /// `panel += w A B`, rows and columns from `first` on.
    fn multiply(&self, first: usize, panel: &mut [f32], w: f32) {
        let (m, k) = (self.m, self.k);
        let rows = panel.len() / m;
        let cols = m - first;
        assert!(self.a.len() == m * k && self.b.len() == m * k, "operands of a product");
        assert!(panel.len() == rows * m && first + rows <= m, "a panel of rows");
        let (row_stride, col_stride, b) = if self.rows {
            (1, k as isize, &self.b[first * k..])
        } else {
            (m as isize, 1, &self.b[first..])
        };
        // SAFETY: with these strides the product reads rows first .. first + rows of A, which has m
        // of k elements, and columns first .. m of B (rows of what is stored, if `rows`), and writes
        // columns first .. m of the rows of `panel`, which is borrowed for writing: all within what
        // was asserted above.
        unsafe {
            gemm(
                [rows, cols, k],
                panel.as_mut_ptr().add(first),
                m as isize,
                true,
                self.a.as_ptr().add(first * k),
                [1, k as isize],
                b.as_ptr(),
                [col_stride, row_stride],
                [1.0, w],
                Parallelism::None,
            );
        }
    }
}
