//! The twins of the launches that join chunks.

use super::decay::grid;
use super::rate::of_channels;
use super::wkv;
use crate::host::{HostArgs, Real, greatest, least};
use crate::scan::wkv::{EVERY, NOTHING};

pub(in crate::scan) fn decay_carry<R: Real>(args: &mut HostArgs<'_, R>) {
    let grid = grid(args);
    let rates = of_channels(args);
    let initial = (args.constant_or("STATE", 0) != 0).then(|| args.reals(0));
    let reverse = args.constant_or("REVERSE", 0) != 0;
    let carry = args.reals_mut(2);
    let mut x = match initial {
        Some(initial) => initial[..grid.columns].to_vec(),
        None => vec![R::zero(); grid.columns],
    };
    for i in 0..grid.chunks {
        let chunk = if reverse { grid.chunks - 1 - i } else { i };
        let start = chunk * grid.chunk;
        let length = grid.chunk.min(grid.steps - start);
        let row = &mut carry[chunk * grid.columns..(chunk + 1) * grid.columns];
        for (c, (x, left)) in x.iter_mut().zip(row).enumerate() {
            let next = rates[c % grid.channels].over(length) * *x + *left;
            *left = std::mem::replace(x, next);
        }
    }
}

pub(in crate::scan) fn wkv_carry<R: Real>(args: &mut HostArgs<'_, R>) {
    let grid = wkv::grid(args);
    let columns = grid.columns;
    let initial = (args.constant_or("STATE", 0) != 0).then(|| args.reals(0));
    let w = args.reals(1);
    let carry = args.reals_mut(2);
    for c in 0..columns {
        let decay = wkv::decay_of(w[c % grid.channels]) * R::lit(grid.chunk as f64);
        let [mut p, mut q, mut o] = match initial {
            Some(m) => [m[c], m[columns + c], m[2 * columns + c]],
            None => [R::zero(), R::zero(), R::lit(NOTHING)],
        };
        for memory in carry.chunks_exact_mut(3 * columns) {
            let left = [memory[c], memory[columns + c], memory[2 * columns + c]];
            (memory[c], memory[columns + c], memory[2 * columns + c]) = (p, q, o);
            let (past, now) = wkv::weights(o + decay - left[2]);
            p = past * p + now * left[0];
            q = past * q + now * left[1];
            o = greatest(o + decay, left[2]);
        }
    }
}

pub(in crate::scan) fn wkv_carry_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let grid = wkv::grid(args);
    let columns = grid.columns;
    let saved = args.reals(0);
    let carry = args.reals_mut(1);
    let (all_gp, all_gq) = carry.split_at_mut(grid.chunks * columns);
    let decays = &saved[grid.steps.div_ceil(EVERY) * 3 * columns..];
    for c in 0..columns {
        let decay = decays[c] * R::lit(grid.chunk as f64);
        let exponent = |i: usize| saved[(i * grid.chunk / EVERY * 3 + 2) * columns + c];
        let (mut gp, mut gq) = (R::zero(), R::zero());
        for i in (0..grid.chunks).rev() {
            let at = i * columns + c;
            let left = (all_gp[at], all_gq[at]);
            (all_gp[at], all_gq[at]) = (gp, gq);
            let through = if i + 1 < grid.chunks {
                least(decay + exponent(i) - exponent(i + 1), R::zero()).exp()
            } else {
                R::zero()
            };
            gp = through * gp + left.0;
            gq = through * gq + left.1;
        }
    }
}
