//! The real matrix of a complex one, and back.

use super::super::complex_linear::Params;
use crate::host::{HostArgs, Real};

pub(in super::super) fn spread<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let columns = p.columns as usize;
    let (re, im) = args.reals(0).split_at(p.rows as usize * columns);
    let m = args.reals_mut(1);
    if columns == 0 {
        return;
    }
    let rows = re.chunks_exact(columns).zip(im.chunks_exact(columns));
    for (pair, (re, im)) in m.chunks_exact_mut(4 * columns).zip(rows) {
        let (upper, lower) = pair.split_at_mut(2 * columns);
        let places = upper.chunks_exact_mut(2).zip(lower.chunks_exact_mut(2));
        for ((upper, lower), (re, im)) in places.zip(re.iter().zip(im)) {
            upper.copy_from_slice(&[*re, *im]);
            lower.copy_from_slice(&[-*im, *re]);
        }
    }
}

pub(in super::super) fn gather<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let columns = p.columns as usize;
    let g = args.reals(0);
    let (re, im) = args.reals_mut(1).split_at_mut(p.rows as usize * columns);
    if columns == 0 {
        return;
    }
    let rows = re.chunks_exact_mut(columns).zip(im.chunks_exact_mut(columns));
    for (pair, (re, im)) in g.chunks_exact(4 * columns).zip(rows) {
        let (upper, lower) = pair.split_at(2 * columns);
        let blocks = upper.chunks_exact(2).zip(lower.chunks_exact(2));
        for ((upper, lower), (re, im)) in blocks.zip(re.iter_mut().zip(im)) {
            *re = upper[0] + lower[1];
            *im = upper[1] - lower[0];
        }
    }
}
