//! The gradients of a normalisation.

use super::forward::{Norm, Normalised};
use super::twin;
use crate::kernel::{CostArgs, Kernel, shader};
use crate::reduce::{Pieces, ROWS, RowTurns, over_rows};
use crate::{DType, Result, Tensor};

/// The gradient of the input.
pub(super) static NORM_BACKWARD: Kernel = Kernel::new(
    "norm",
    "norm_backward",
    shader!("norm/norm_backward"),
    crate::twin!(twin::norm_backward),
)
.params::<Params>()
.variants(ROWS)
.turns(turns);

/// The gradients of gain and bias, in parts.
pub(super) static NORM_PARAMETERS: Kernel = Kernel::new(
    "norm",
    "norm_parameters",
    shader!("norm/norm_parameters"),
    crate::twin!(twin::norm_parameters),
)
.params::<PartParams>()
.turns(|args| Pieces::turns(args.params::<PartParams>().chunk));

crate::params! {
    pub(super) struct Params {
        rows: u32,
        length: u32,
    }
}

crate::params! {
    pub(super) struct PartParams {
        rows: u32,
        length: u32,
        splits: u32,
        chunk: u32,
    }
}

/// Three walks over a row, two of them in chains, and three folds.
fn turns(args: &CostArgs<'_>) -> u64 {
    let row = RowTurns::of(args, args.params::<Params>().length);
    2 * row.chains() + row.walk() + 3 * row.fold
}

/// The gradient of what was normalised.
pub(super) fn input(norm: Norm, saved: &Normalised, gain: &Tensor, g: &Tensor) -> Result<Tensor> {
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    if gx.count() > 0 {
        let params = Params { rows: norm.rows as u32, length: norm.length as u32 };
        over_rows(g.device(), &NORM_BACKWARD, &params, [norm.rows, norm.length])
            .constant("RMS", u32::from(norm.rms))
            .bind_next(&saved.x)
            .bind_next(gain)
            .bind_next(&saved.stats)
            .bind_next(g)
            .bind_next(&gx)
            .record()?;
    }
    Ok(gx)
}

/// The gradients of gain and, if `bias`, of bias.
pub(super) fn parameters(
    norm: Norm,
    saved: &Normalised,
    g: &Tensor,
    bias: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let device = g.device();
    let Norm { rows, length, rms, .. } = norm;
    if g.count() == 0 {
        let zeros = || Tensor::zeros(device, [length], DType::F32);
        return Ok((zeros()?, bias.then(zeros).transpose()?));
    }
    let pieces = Pieces::of(device, rows, length);
    let Pieces { splits, chunk } = pieces;
    let parts = Tensor::empty(device, [splits, length], DType::F32)?;
    let of_bias = Tensor::empty(device, if bias { [splits, length] } else { [1, 1] }, DType::F32)?;
    let params = PartParams {
        rows: rows as u32,
        length: length as u32,
        splits: splits as u32,
        chunk: chunk as u32,
    };
    device
        .launch(&NORM_PARAMETERS)
        .constant("RMS", u32::from(rms))
        .constant("BIAS", u32::from(bias))
        .params(&params)
        .bind_next(&saved.x)
        .bind_next(&saved.stats)
        .bind_next(g)
        .bind_next(&parts)
        .bind_next(&of_bias)
        .items_of(splits * length, 64)
        .record()?;
    let of_bias = bias.then(|| pieces.total(&of_bias)).transpose()?;
    Ok((pieces.total(&parts)?, of_bias))
}
