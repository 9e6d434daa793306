//! The twin of `lif_parameters`.

use crate::host::{HostArgs, Real};
use crate::lif::neuron::{FIXED, SCALAR};
use crate::lif::parameters::Params;

pub(in crate::lif) fn parameters<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (columns, neurons) = (p.columns as usize, p.neurons as usize);
    let sums = args.reals(0);
    let v0 = args.reals(1);
    let has_state = args.constant_or("STATE", 0) != 0;
    for (k, name) in ["DECAY", "THRESHOLD", "GAIN"].into_iter().enumerate() {
        let form = args.constant_or(name, FIXED);
        if form == FIXED {
            continue;
        }
        let row = &sums[(k + 1) * columns..(k + 2) * columns];
        let mut totals = vec![R::zero(); neurons];
        for (b, batch) in row.chunks_exact(neurons).enumerate() {
            for (n, (total, sum)) in totals.iter_mut().zip(batch).enumerate() {
                *total += *sum;
                if has_state && k == 0 {
                    let c = b * neurons + n;
                    *total += sums[4 * columns + c] * v0[c];
                }
            }
        }
        let gradient = args.reals_mut(2 + k);
        if form == SCALAR {
            gradient[0] = totals.into_iter().sum();
        } else {
            gradient.copy_from_slice(&totals);
        }
    }
}
