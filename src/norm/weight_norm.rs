//! Weights as directions and lengths.

use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::reduce::{RowTurns, WALKERS, over_columns};
use crate::{DType, Error, Result, Tensor, Var};

/// `w = v length / ||v||`
pub(super) static WEIGHT_NORM: Kernel = Kernel::new(
    "norm",
    "weight_norm",
    shader!("norm/weight_norm"),
    crate::twin!(twin::weight_norm),
)
.params::<Params>()
.variants(WALKERS)
.cost(|args| Cost { bytes: args.all_bytes(), flops: 3.0 * args.words[0] as f64 })
.turns(turns);

/// Its gradients.
pub(super) static WEIGHT_NORM_BACKWARD: Kernel = Kernel::new(
    "norm",
    "weight_norm_backward",
    shader!("norm/weight_norm_backward"),
    crate::twin!(twin::weight_norm_backward),
)
.params::<Params>()
.variants(WALKERS)
.cost(|args| Cost { bytes: args.all_bytes(), flops: 5.0 * args.words[0] as f64 })
.turns(turns);

crate::params! {
    pub(super) struct Params {
        rows: u32,
        columns: u32,
    }
}

/// Three walks over a column, and two folds.
fn turns(args: &CostArgs<'_>) -> u64 {
    let column = RowTurns::of(args, args.params::<Params>().rows);
    3 * column.walk() + 2 * column.fold
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
                .bind_next(&v)
                .bind_next(&length_value)
                .bind_next(&w)
                .bind_next(&norm)
                .record()?;
        }
        self.tape().record_one(OP, &[self, length], w, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            let gv = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
            let of_length = Tensor::empty(g.device(), [columns], DType::F32)?;
            if columns > 0 {
                let launch = over_columns(g.device(), &WEIGHT_NORM_BACKWARD, &params, columns);
                let launch =
                    launch.bind_next(&v).bind_next(&length_value).bind_next(&norm).bind_next(&g);
                launch.bind_next(&gv).bind_next(&of_length).record()?;
            }
            bw.give(0, gv);
            bw.give(1, of_length);
            Ok(())
        })
    }
}

fn check(v: &Tensor, length: &Tensor) -> Result<Params> {
    v.same_device(OP, length)?;
    v.expect(OP, DType::F32)?;
    length.expect(OP, DType::F32)?;
    match (v.shape().dims(), length.shape().dims()) {
        (&[rows, columns], &[lengths]) if lengths == columns => {
            Ok(Params { rows: rows as u32, columns: columns as u32 })
        }
        _ => {
            let detail = format!("{} with lengths of {}", v.shape(), length.shape());
            Err(Error::shape(OP, format!("{detail}, not [K, N] with [N]")))
        }
    }
}
