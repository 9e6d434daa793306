//! The oracle of the products: three loops.

use super::params::ProductParams;
use crate::elementwise::Activation;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, pack_halves};

/// One row of a sum of outer products: `sum over l of a(l) b(l, j)`, j < n.
pub(super) fn row<R: Real>(
    n: usize,
    depth: impl Iterator<Item = usize>,
    a: impl Fn(usize) -> R,
    b: impl Fn(usize, usize) -> R,
) -> Vec<R> {
    let mut sums = vec![R::zero(); n];
    for l in depth {
        let x = a(l);
        sums.iter_mut().enumerate().for_each(|(j, sum)| *sum += x * b(l, j));
    }
    sums
}

/// The rows at some places of C, many at a time.
pub(super) fn rows<P: Sync, R: Real>(
    places: &[P],
    row: impl Fn(&P) -> (usize, Vec<R>) + Sync + Send,
) -> Vec<(usize, Vec<R>)> {
    let mut rows = vec![(0, Vec::new()); places.len()];
    rows.par_iter_mut().zip(places).for_each(|(found, place)| *found = row(place));
    rows
}

/// Writes rows of C from their sums: `act(sum + bias)`, or that added to what is there; if `pre`, also what
/// the activation is applied to.
pub(super) fn write<R: Real>(
    args: &mut HostArgs<'_, R>,
    rows: Vec<(usize, Vec<R>)>,
    [pre, add]: [bool; 2],
) {
    let p: ProductParams = args.params();
    let n = p.n as usize;
    let bias = args.reals("bias");
    let activation = Activation::from_code(args.constant("ACT"), p.slope);
    let mut extra = pre.then(|| args.reals_mut("extra"));
    let mut c = if args.is_real("c") { Ok(args.reals_mut("c")) } else { Err(args.words_mut("c")) };
    for (row, mut sums) in rows {
        if p.has_bias != 0 {
            sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += *bias);
        }
        if let Some(extra) = &mut extra {
            extra[row * n..][..n].copy_from_slice(&sums);
        }
        sums.iter_mut().for_each(|sum| *sum = activation.apply(*sum));
        match &mut c {
            Ok(c) => {
                let c = c[row * n..][..n].iter_mut().zip(sums);
                c.for_each(|(c, y)| *c = if add { *c + y } else { y });
            }
            // Rows are whole words.
            Err(c) => pack_halves(&sums, &mut c[row * n / 2..][..n / 2]),
        }
    }
}
