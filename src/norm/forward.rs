//! Rows normalised, and their statistics.

use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, Needs, Variant, shader};
use crate::reduce::{RowTurns, rows_shared, walked};
use crate::{DType, Result, Tensor};

/// `y = (x - mean) / sqrt(variance + eps) gain + bias`
pub(super) static NORM_FORWARD: Kernel = Kernel::new(
    "norm",
    "norm_forward",
    shader!("norm/norm_forward"),
    crate::twin!(twin::norm_forward),
)
.params::<Params>()
.variants(VARIANTS)
.cost(cost)
.turns(turns);

const fn variant(name: &'static str, conditions: &'static [&'static str], needs: Needs) -> Variant {
    Variant { name, conditions, needs }
}

/// Those of [`ROWS`](crate::reduce::ROWS), without and with a residual.
const VARIANTS: &[Variant] = &[
    variant("invocation", &[], Needs::NOTHING),
    variant("workgroup", &["WORKGROUP"], Needs::NOTHING),
    variant("subgroups", &["WORKGROUP"], Needs::SUBGROUPS),
    variant("add, invocation", &["ADD"], Needs::NOTHING),
    variant("add, workgroup", &["ADD", "WORKGROUP"], Needs::NOTHING),
    variant("add, subgroups", &["ADD", "WORKGROUP"], Needs::SUBGROUPS),
];

crate::params! {
    pub(super) struct Params {
        rows: u32,
        length: u32,
        eps: f32,
        // The square root of eps.
        root: f32,
    }
}

/// Everything moved once; eight operations an element.
fn cost(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.all_bytes(), flops: 8.0 * args.words[0] as f64 }
}

/// Four walks over a row, three of them in chains, and three folds.
fn turns(args: &CostArgs<'_>) -> u64 {
    let row = RowTurns::of(args, args.params::<Params>().length);
    3 * row.chains() + row.walk() + 3 * row.fold
}

/// A normalisation: what does not change from call to call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Norm {
    pub(super) rows: usize,
    pub(super) length: usize,
    pub(super) eps: f32,
    /// Without a mean.
    pub(super) rms: bool,
}

/// The outcome, and what backward needs.
pub(super) struct Normalised {
    pub(super) y: Tensor,
    /// What was normalised: x, or x + residual.
    pub(super) x: Tensor,
    /// For each row the mean, counted from the row's first element, and `1 / sqrt(variance + eps)`, of
    /// the row times the third number: 1, unless its squares would leave the range of f32.
    pub(super) stats: Tensor,
}

/// Normalises the rows of x, or of x + residual.
pub(super) fn forward(
    norm: Norm,
    x: &Tensor,
    residual: Option<&Tensor>,
    gain: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Normalised> {
    let device = x.device();
    let y = Tensor::empty(device, *x.shape(), DType::F32)?;
    let stats = Tensor::empty(device, [norm.rows, 3], DType::F32)?;
    let sum = match residual {
        Some(_) => Tensor::empty(device, *x.shape(), DType::F32)?,
        None => x.clone(),
    };
    if x.count() > 0 {
        let Norm { rows, length, eps, .. } = norm;
        let root = f64::from(eps).sqrt() as f32;
        let params = Params { rows: rows as u32, length: length as u32, eps, root };
        let launch = device.launch(&NORM_FORWARD).params(&params);
        let launch = launch.when("ADD", residual.is_some());
        let shared = rows_shared(device, &launch, norm.length);
        let launch = walked(launch, shared, norm.rows)
            .constant("RMS", u32::from(norm.rms))
            .constant("BIAS", u32::from(bias.is_some()))
            .bind_next(x)
            .bind_next(gain)
            .bind_next(bias.unwrap_or(gain))
            .bind_next(&y)
            .bind_next(&stats);
        let launch = match residual {
            Some(residual) => launch.bind_next(residual).bind_next(&sum),
            None => launch,
        };
        launch.record()?;
    }
    Ok(Normalised { y, x: sum, stats })
}
