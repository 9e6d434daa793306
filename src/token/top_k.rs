//! The mask of the largest: sparsity by rank instead of by a threshold.

use super::rows::each_row;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, above};
use crate::kernel::CostArgs;
use crate::reduce::{ROWS, RowIterations, over_rows};
use crate::{DType, Error, Result, Shape, Tensor, Var};
use std::cmp::Ordering;

crate::kernel! {
    /// 1 for the k largest of a row, else 0.
    pub(super) static TOP_K_MASK = "token/top_k_mask";
    params = struct TopKMaskParams {
        rows: u32,
        length: u32,
        k: u32,
        place_bits: u32,
    };
    oracle = top_k_mask_oracle;
    variants = ROWS;
    iterations = iterations;
}

crate::kernel! {
    /// Its surrogate gradient.
    pub(super) static TOP_K_BACKWARD = "token/top_k_backward";
    params = struct TopKBackwardParams {
        count: u32,
        length: u32,
        a: f32,
    };
    oracle = top_k_backward_oracle;
}

/// A walk over the row, and a fold, for each bit of the k-th largest and of its place, and two more.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let p: TopKMaskParams = args.params();
    let row = RowIterations::of(args, p.length);
    (32 + u64::from(p.place_bits) + 2) * (1 + row.walk() + row.fold)
}

const OP: &str = "top_k_mask";

/// The surrogate's slope at the threshold is half of it: that of the spikes it stands beside.
const ATAN: f32 = 2.0;

/// Counts are added as f32, which holds them exactly to here.
const LONGEST: usize = 1 << 24;

impl Var {
    /// 1 where an element is among the `k` largest of its row (the last axis), else 0, as f32; of
    /// equal ones the first count, so that each row has exactly `k` ones.
    ///
    /// It stands beside the spikes of a [`Lif`](crate::lif::Lif) layer at equal sparsity, and like
    /// them has a surrogate gradient: with `u = x - (the k-th largest of the row)`, which counts as a
    /// constant, `gx = gy s'(u)`, `s'(u) = 1 / (1 + (pi u)^2)`, the derivative of `Atan(2)`
    /// ([`Surrogate`](crate::lif::Surrogate)). [`pack`](Var::pack) makes packed spikes of it.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scalar; [`Error::Argument`] unless `k` is from 1 to the row's length;
    /// [`Error::Limit`] for rows of more than 2^24 elements; [`Error::DType`] unless it is f32.
    pub fn top_k_mask(&self, k: usize) -> Result<Var> {
        let length = check(self, k)?;
        let x = self.value().clone();
        let (y, threshold) = forward(&x, length, k)?;
        self.tape().record_one(OP, &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let gx = backward(&x, &threshold, g, length)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}

/// The length of a row.
fn check(x: &Var, k: usize) -> Result<usize> {
    x.value().expect(OP, DType::F32)?;
    let Some(&length) = x.shape().last() else {
        return Err(Error::shape(OP, "a scalar has no last axis"));
    };
    if length > LONGEST {
        let what = format!("{OP}: elements of a row");
        return Err(Error::Limit { what, asked: length as u64, allowed: LONGEST as u64 });
    }
    if !(1..=length).contains(&k) {
        let detail = format!("the {k} largest of rows of {length} elements");
        return Err(Error::argument(OP, detail));
    }
    Ok(length)
}

/// The mask, and the k-th largest of each row.
fn forward(x: &Tensor, length: usize, k: usize) -> Result<(Tensor, Tensor)> {
    let device = x.device();
    let rows = x.count() / length;
    let y = Tensor::empty(device, *x.shape(), DType::F32)?;
    let threshold = Tensor::empty(device, Shape::new(&[rows])?, DType::F32)?;
    if rows > 0 {
        let params = TopKMaskParams {
            rows: rows as u32,
            length: length as u32,
            k: k as u32,
            place_bits: length.ilog2() + 1,
        };
        let launch = over_rows(device, &TOP_K_MASK, &params, [rows, length]);
        launch.bind("x", x).bind("y", &y).bind("threshold", &threshold).record()?;
    }
    Ok((y, threshold))
}

fn backward(x: &Tensor, threshold: &Tensor, g: &Tensor, length: usize) -> Result<Tensor> {
    let gx = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    if gx.count() > 0 {
        let params = TopKBackwardParams { count: x.count() as u32, length: length as u32, a: ATAN };
        let launch = x.device().launch(&TOP_K_BACKWARD).params(&params);
        launch
            .bind("x", x)
            .bind("threshold", threshold)
            .bind("g", g)
            .bind("gx", &gx)
            .items(x.count())
            .record()?;
    }
    Ok(gx)
}

fn top_k_mask_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TopKMaskParams = args.params();
    let (x, y, threshold) = (args.reals("x"), args.reals_mut("y"), args.reals_mut("threshold"));
    let (length, k) = (p.length as usize, p.k as usize);
    let rows = y.par_chunks_mut(length).zip(x.par_chunks(length)).zip(threshold);
    rows.for_each_init(Vec::new, |values: &mut Vec<R>, ((y, x), threshold)| {
        values.clear();
        values.extend_from_slice(x);
        // A NaN is larger than any number.
        let larger = |a: &R, b: &R| match (above(*a, *b), above(*b, *a)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            _ => Ordering::Equal,
        };
        let (_, least, _) = values.select_nth_unstable_by(k - 1, larger);
        *threshold = *least;
        let larger = x.iter().filter(|x| above(**x, *threshold)).count();
        let mut equal = k.saturating_sub(larger);
        for (y, x) in y.iter_mut().zip(x) {
            let larger = above(*x, *threshold);
            let tie = !larger && !above(*threshold, *x) && equal > 0;
            equal -= usize::from(tie);
            *y = if tie || larger { R::one() } else { R::zero() };
        }
    });
}

fn top_k_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TopKBackwardParams = args.params();
    let (x, threshold, g) = (args.reals("x"), args.reals("threshold"), args.reals("g"));
    let length = p.length as usize;
    let a = R::lit(f64::from(p.a));
    each_row(args.reals_mut("gx"), length, |r, gx| {
        let inputs = x[r * length..].iter().zip(&g[r * length..]);
        for (gx, (x, g)) in gx.iter_mut().zip(inputs) {
            let u = R::FRAC_PI_2() * a * (*x - threshold[r]);
            *gx = *g * R::lit(0.5) * a / (R::one() + u * u);
        }
    });
}
