//! The twin of the symmetric products: the GEMM crate makes panels of rows from the diagonal on, and
//! the rest is their mirror image.

use crate::host::{HostArgs, Real};
use crate::spectral::product::Params;
use rayon::prelude::*;

/// Extents up to which a matrix is one panel.
const SMALL: usize = 128;
/// Panels of a larger matrix: with eight, 56 % of a full product is computed.
const PANELS: usize = 8;
/// The fewest rows of a panel.
const LEAST_ROWS: usize = 64;
/// Multiplications from which a panel is worth several threads.
const PARALLEL: usize = 1 << 18;

/// `C = u I + v A + x B + w A B` for each part and matrix. A launch over a part of the tiles comes from
/// a GPU that is being checked.
pub(in crate::spectral) fn symmetric_product<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let [m, k, batch] = [p.m, p.k, p.batch].map(|v| v as usize);
    let (by_plan, rows) = (args.constant("PLAN", 0) != 0, args.constant("ROWS", 0) != 0);
    let (a, b, plan) = (args.reals(0), args.reals(1), args.reals(2));
    let parts = p.part_first as usize..(p.part_first + p.parts) as usize;
    let fixed = [p.u, p.v, p.w, p.x].map(|v| R::lit(f64::from(v)));
    let start = p.second_start as usize * m * m;
    for part in parts {
        let c = if part == 0 { args.reals_mut(3) } else { &mut args.reals_mut(4)[start..] };
        let factors = |z: usize| {
            let at = 4 * ((z * p.steps as usize + p.step as usize) * 2 + part);
            if by_plan { std::array::from_fn(|i| plan[at + i]) } else { fixed }
        };
        let one = |(z, c): (usize, &mut [R]), threads: bool| {
            let a = &a[(part * batch + z) * m * k..][..m * k];
            let b = &b[z * m * k..][..m * k];
            let job = Job { a, b, rows, m, k, factors: factors(z), threads };
            job.run_covered(c, &p, (part - p.part_first as usize) * batch + z);
        };
        let c = &mut c[..batch * m * m];
        if m <= SMALL && batch > 1 {
            c.par_chunks_exact_mut(m * m).enumerate().for_each(|job| one(job, false));
        } else {
            c.chunks_exact_mut(m * m).enumerate().for_each(|job| one(job, true));
        }
    }
}

/// One symmetric product.
struct Job<'a, R> {
    a: &'a [R],
    b: &'a [R],
    rows: bool,
    m: usize,
    k: usize,
    factors: [R; 4],
    threads: bool,
}

/// The tile number `tile` on and above the diagonal of `n x n`, in the order of the shader.
fn upper_tile(tile: usize, n: usize) -> (usize, usize) {
    let (i, j) = (tile / (n + 1), tile % (n + 1));
    if j < n - i { (i, i + j) } else { (n - 1 - i, j - 1) }
}

impl<R: Real> Job<'_, R> {
    /// The tiles of the launch that lie in matrix `number`, counted over parts and matrices.
    fn run_covered(&self, c: &mut [R], p: &Params, number: usize) {
        let edge = p.edge as usize;
        let n = self.m.div_ceil(edge);
        let tiles = n * (n + 1) / 2;
        let first = (p.tile_first as usize).saturating_sub(number * tiles);
        let end = ((p.tile_first + p.tile_count) as usize).saturating_sub(number * tiles);
        if first == 0 && end >= tiles {
            return self.run(c);
        }
        let mut whole = c.to_vec();
        self.run(&mut whole);
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

    fn run(&self, c: &mut [R]) {
        if self.factors.iter().all(|f| *f == R::zero()) {
            return;
        }
        let m = self.m;
        let height = if m <= SMALL { m } else { m.div_ceil(PANELS).max(LEAST_ROWS) };
        for (i, panel) in c.chunks_mut(height * m).enumerate() {
            self.panel(i * height, panel);
        }
        self.mirror(c);
    }

    /// Rows from `first` on, columns from `first` on.
    fn panel(&self, first: usize, panel: &mut [R]) {
        let [u, v, w, x] = self.factors;
        for (i, line) in panel.chunks_exact_mut(self.m).enumerate() {
            let row = first + i;
            let line = &mut line[first..];
            line.fill(R::zero());
            for (factor, from) in [(v, self.a), (x, self.b)] {
                if factor != R::zero() {
                    let from = &from[row * self.m + first..(row + 1) * self.m];
                    line.iter_mut().zip(from).for_each(|(y, f)| *y += factor * *f);
                }
            }
            line[i] += u;
        }
        if w != R::zero() {
            self.multiply(first, panel, w);
        }
    }

    /// `panel += w A B`, rows and columns from `first` on.
    fn multiply(&self, first: usize, panel: &mut [R], w: R) {
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
        let parallelism = if self.threads && rows * cols * k >= PARALLEL {
            gemm::Parallelism::Rayon(0)
        } else {
            gemm::Parallelism::None
        };
        // SAFETY: with these strides the product reads rows first .. first + rows of A, which has m
        // of k elements, and columns first .. m of B (rows of what is stored, if `rows`), and writes
        // columns first .. m of the rows of `panel`, which is borrowed for writing: all within what
        // was asserted above. `R` is f32 or f64, which the crate knows by their type.
        unsafe {
            gemm::gemm(
                rows,
                cols,
                k,
                panel.as_mut_ptr().add(first),
                1,
                m as isize,
                true,
                self.a.as_ptr().add(first * k),
                1,
                k as isize,
                b.as_ptr(),
                col_stride,
                row_stride,
                R::one(),
                w,
                false,
                false,
                false,
                parallelism,
            );
        }
    }

    /// The lower half from the upper one, block by block.
    fn mirror(&self, c: &mut [R]) {
        const BLOCK: usize = 32;
        let m = self.m;
        for top in (0..m).step_by(BLOCK) {
            for left in (0..=top).step_by(BLOCK) {
                for i in top..m.min(top + BLOCK) {
                    for j in left..i.min(left + BLOCK) {
                        c[i * m + j] = c[j * m + i];
                    }
                }
            }
        }
    }
}
