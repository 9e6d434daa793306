//! Sums, means, extrema, variances, standard deviations and norms over axes; softmax.
//!
//! Operators are methods of [`Var`](crate::Var); the functions here are their values without a tape.
//! `axes` may be any set of axes; with `keepdims` they stay, with extent 1. Every reduction is made
//! in an order that depends on shape and device only: the same input gives the same bits.

mod axes;
mod extremum;
mod fold;
mod indices;
mod moment;
mod rate;
mod rows;
mod softmax;
mod split;
mod spread;
mod sum;

pub(crate) use axes::Pass;
pub use extremum::{argmax, argmin, max, min};
pub(crate) use fold::{ColumnParams, Fold, Op, RowParams, Term, fold};
pub use moment::{norm, standard_deviation, variance};
pub(crate) use rate::{over_time, steps};
pub use rate::{rate, spike_count};
pub(crate) use rows::{
    Extents, ROWS, RowIterations, SHARERS, WALKERS, over_columns, over_elements, over_rows,
    rows_shared, walked,
};
pub(crate) use split::{LONGEST, Split};
pub use sum::{mean, sum, sum_to};

use crate::kernel::Kernel;
use crate::{Result, Tensor, layout};
use axes::Axes;
pub(crate) use indices::Range;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &fold::REDUCE_ROWS,
    &fold::REDUCE_COLUMNS,
    &spread::SPREAD,
    &extremum::EXTREMUM,
    &extremum::PLACE_BACK,
    &moment::MOMENT_BACKWARD,
    &softmax::SOFTMAX,
    &softmax::SOFTMAX_BACKWARD,
    &rate::RATE_BITS,
    &indices::CHECK_INDICES,
    &indices::HIDE_INDEX,
];

/// A tensor arranged so that one pass reduces it.
struct Moved {
    x: Tensor,
    pass: Pass,
    /// The permutation that undoes the arrangement.
    back: Vec<usize>,
}

/// x as it is where its reduced axes are neighbours; else with those moved to its end.
fn moved_last(x: &Tensor, axes: &Axes) -> Result<Moved> {
    let rank = x.shape().rank();
    match axes.passes().as_slice() {
        [] => {
            let pass = Pass { outer: x.count(), length: 1, inner: 1 };
            Ok(Moved { x: x.clone(), pass, back: (0..rank).collect() })
        }
        [pass] => Ok(Moved { x: x.clone(), pass: *pass, back: (0..rank).collect() }),
        _ => {
            let order = axes.reduced_last();
            let mut back = vec![0; rank];
            for (to, from) in order.iter().enumerate() {
                back[*from] = to;
            }
            let length = axes.count();
            let outer = x.count() / length.max(1);
            let pass = Pass { outer, length, inner: 1 };
            Ok(Moved { x: layout::permute(x, &order)?, pass, back })
        }
    }
}
