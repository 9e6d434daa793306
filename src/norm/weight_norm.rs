//! Weights as directions and lengths.

use crate::host::{HostArgs, Real, to_middle};
use crate::kernel::{Cost, CostArgs};
use crate::reduce::{RowIterations, WALKERS, over_columns};
use crate::{DType, Error, Result, Tensor, Var};

crate::kernel! {
    /// `w = v length / ||v||`
    pub(super) static WEIGHT_NORM = "norm/weight_norm";
    params = WeightNormParams;
    oracle = weight_norm_oracle;
    variants = WALKERS;
    cost = |args| Cost { bytes: args.all_bytes(), flops: 3.0 * args.words_of("v") as f64 };
    iterations = iterations;
}

crate::kernel! {
    /// Its gradients.
    pub(super) static WEIGHT_NORM_BACKWARD = "norm/weight_norm_backward";
    params = WeightNormParams;
    oracle = weight_norm_backward_oracle;
    variants = WALKERS;
    cost = |args| Cost { bytes: args.all_bytes(), flops: 5.0 * args.words_of("v") as f64 };
    iterations = iterations;
}

crate::params! {
    pub(super) struct WeightNormParams {
        rows: u32,
        columns: u32,
    }
}

/// Three walks over a column, and two folds.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let column = RowIterations::of(args, args.params::<WeightNormParams>().rows);
    3 * column.walk() + 2 * column.fold
}

fn weight_norm_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WeightNormParams = args.params();
    let columns = p.columns as usize;
    let (v, length) = (args.reals("v"), args.reals("length_of"));
    let (w, norm) = (args.reals_mut("w"), args.reals_mut("norm"));
    let (norm, scale) = norm.split_at_mut(columns);
    scale.fill(R::zero());
    for row in v.chunks_exact(columns) {
        scale.iter_mut().zip(row).for_each(|(size, v)| *size = size.max(v.abs()));
    }
    scale.iter_mut().for_each(|size| *size = to_middle(*size));
    norm.fill(R::zero());
    for row in v.chunks_exact(columns) {
        let scaled = row.iter().zip(&*scale).map(|(v, s)| *v * *s);
        norm.iter_mut().zip(scaled).for_each(|(sum, v)| *sum += v * v);
    }
    norm.iter_mut().for_each(|norm| *norm = norm.sqrt());
    for (w, v) in w.chunks_exact_mut(columns).zip(v.chunks_exact(columns)) {
        for (n, (w, v)) in w.iter_mut().zip(v).enumerate() {
            // A column of zeros stays one.
            let norm = if norm[n] == R::zero() { R::one() } else { norm[n] };
            *w = *v * scale[n] / norm * length[n];
        }
    }
}

fn weight_norm_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: WeightNormParams = args.params();
    let columns = p.columns as usize;
    let (v, length, norm, g) =
        (args.reals("v"), args.reals("length_of"), args.reals("norm"), args.reals("g"));
    let (gv, of_length) = (args.reals_mut("gv"), args.reals_mut("g_length"));
    let (norm, scale) = norm.split_at(columns);
    // Where the norm is 0 there is no direction to turn.
    let inverse_of = |norm: R| if norm == R::zero() { norm } else { norm.recip() };
    let unit = |v: R, n: usize| v * scale[n] * inverse_of(norm[n]);
    of_length.fill(R::zero());
    for (v, g) in v.chunks_exact(columns).zip(g.chunks_exact(columns)) {
        for (n, (v, g)) in v.iter().zip(g).enumerate() {
            of_length[n] += unit(*v, n) * *g;
        }
    }
    for (row, gv) in gv.chunks_exact_mut(columns).enumerate() {
        for (n, gv) in gv.iter_mut().enumerate() {
            let at = row * columns + n;
            let across = g[at] - of_length[n] * unit(v[at], n);
            *gv = length[n] * inverse_of(norm[n]) * across * scale[n];
        }
    }
}

const OP: &str = "weight_norm";

impl Var {
    /// Columns of given lengths: `w[k, n] = v[k, n] length[n] / ||v[:, n]||`, `v [K, N]`,
    /// `length [N]`. A column of zeros stays one, and its gradients are 0. One launch a direction.
    ///
    /// Source: Salimans and Kingma 2016, Weight Normalization, equations 2 and 3.
    ///
    /// # Errors
    /// [`Error::Shape`] where these shapes are not met; [`Error::DType`] for other elements than
    /// f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn weight_norm(&self, length: &Var) -> Result<Var> {
        let (v, length_value) = (self.value().clone(), length.value().clone());
        let params = check(&v, &length_value)?;
        let columns = params.columns as usize;
        let w = Tensor::empty(v.device(), *v.shape(), DType::F32)?;
        let norm = Tensor::empty(v.device(), [2, columns], DType::F32)?;
        if columns > 0 {
            let launch = over_columns(v.device(), &WEIGHT_NORM, &params, columns);
            launch
                .bind("v", &v)
                .bind("length_of", &length_value)
                .bind("w", &w)
                .bind("norm", &norm)
                .record()?;
        }
        self.tape().record_one(OP, &[self, length], w, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            let gv = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
            let of_length = Tensor::empty(g.device(), [columns], DType::F32)?;
            if columns > 0 {
                let launch = over_columns(g.device(), &WEIGHT_NORM_BACKWARD, &params, columns);
                let launch = launch
                    .bind("v", &v)
                    .bind("length_of", &length_value)
                    .bind("norm", &norm)
                    .bind("g", &g);
                launch.bind("gv", &gv).bind("g_length", &of_length).record()?;
            }
            bw.give(0, gv);
            bw.give(1, of_length);
            Ok(())
        })
    }
}

fn check(v: &Tensor, length: &Tensor) -> Result<WeightNormParams> {
    v.same_device(OP, length)?;
    v.expect(OP, DType::F32)?;
    length.expect(OP, DType::F32)?;
    match (v.shape().dims(), length.shape().dims()) {
        (&[rows, columns], &[lengths]) if lengths == columns => {
            Ok(WeightNormParams { rows: rows as u32, columns: columns as u32 })
        }
        _ => {
            let detail = format!("{} with lengths of {}", v.shape(), length.shape());
            Err(Error::shape(OP, format!("{detail}, not [K, N] with [N]")))
        }
    }
}
