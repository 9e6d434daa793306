//! The last product: the GEMM crate adds it to what a parameter keeps.

use crate::elementwise::UpdateConstants;
use crate::host::parallel::*;
use crate::host::{HostArgs, floats, gemm};
use crate::spectral::ApplyProductParams;

/// Multiplications from which a matrix is worth several threads.
const PARALLEL: usize = 1 << 18;

/// `r Z X`, or a step along it. A launch may be over a part of the rows.
pub(crate) fn apply_product(args: &mut HostArgs<'_, f32>) {
    let p: ApplyProductParams = args.params();
    let [m, n, k, rows, cols] = [p.m, p.n, p.k, p.rows, p.cols].map(|v| v as usize);
    let (tall, scaled) = (args.flag("TALL"), args.flag("SCALED"));
    let (a, b, start) = (floats(args, "a"), floats(args, "b"), args.reals("start"));
    let steps = args.when("UPDATE");
    let ApplyProductParams { mode, decay, scale, gain, low, high, .. } = p;
    let constants = UpdateConstants { mode, decay, scale, gain, low, high };
    let y = args.reals_mut("y");
    // What y loses, what it keeps of the rest, and what it takes of the product.
    let (mut lost, mut rates) = (0.0, [0.0, 1.0]);
    if steps {
        if args.reals("clip")[2] != 0.0 {
            return;
        }
        let [decay, gain] = constants.rates(&args.reals("numbers")[p.numbers as usize..]);
        (lost, rates) = (decay, [1.0, -gain]);
    }
    let first = (4 * p.group_first as usize).min(rows);
    let count = (4 * p.groups as usize).min(rows - first);
    let one = |(z, y): (usize, &mut [f32]), threads: bool| {
        let e = p.first as usize + z;
        let factor = if scaled { start[8 * e + 2] } else { 1.0 };
        let job = Job {
            a: &a[e * m * k..][..m * k],
            b: &b[e * k * n..][..k * n],
            tall,
            depth: k,
            strides: [m, n],
            rates: [rates[0], rates[1] * factor],
            threads,
        };
        let y = &mut y[first * cols..][..count * cols];
        UpdateConstants::decayed(y, lost);
        job.run(first, cols, y);
        if steps {
            constants.constrain(y);
        }
    };
    let all = y[..p.entries as usize * rows * cols].par_chunks_exact_mut(rows * cols).enumerate();
    if all.len() > 1 {
        all.for_each(|entry| one(entry, false));
    } else {
        all.for_each(|entry| one(entry, true));
    }
}

/// One product.
struct Job<'a> {
    a: &'a [f32],
    b: &'a [f32],
    tall: bool,
    depth: usize,
    /// Rows of A that are stored side by side if `tall`, and columns of B.
    strides: [usize; 2],
    rates: [f32; 2],
    threads: bool,
}

impl Job<'_> {
    /// `y = keep y + take A B` for the rows from `first` on and `cols` columns.
    fn run(&self, first: usize, cols: usize, y: &mut [f32]) {
        let Self { a, b, depth: k, strides: [m, n], rates: [keep, take], .. } = *self;
        let rows = y.len() / cols.max(1);
        if rows == 0 {
            return;
        }
        assert!(a.len() == m * k && b.len() == k * n, "operands of a product");
        assert!(first + rows <= m && cols <= n && y.len() == rows * cols, "rows of a product");
        let (a, row, col) =
            if self.tall { (&a[first..], 1, m as isize) } else { (&a[first * k..], k as isize, 1) };
        let many = self.threads && rows * cols * k >= PARALLEL;
        // SAFETY: with these strides the product reads rows first .. first + rows of A and columns
        // 0 .. cols of B, and writes all of y, which is borrowed for writing: all within what was
        // asserted above.
        product(many, |parallelism| unsafe {
            gemm(
                [rows, cols, k],
                y.as_mut_ptr(),
                cols as isize,
                keep != 0.0,
                a.as_ptr(),
                [col, row],
                b.as_ptr(),
                [1, n as isize],
                [keep, take],
                parallelism,
            );
        });
    }
}
