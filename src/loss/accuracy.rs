//! How many rows are classified rightly.

use super::cross_entropy::check;
use super::total;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::reduce::{Range, Split, argmax};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// Rows whose prediction is their target, in parts.
    pub(super) static HITS = "loss/hits";
    params = struct HitsParams {
        rows: u32,
        span: u32,
        parts: u32,
    };
    oracle = hits_oracle;
    iterations = |args| 2 + u64::from(args.params::<HitsParams>().span);
}

/// The number of rows of `logits[.., C]` whose largest element, the first of equal ones, stands at
/// the row's target: an f32 scalar on the device (exact up to 2^24 rows).
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) unless the targets have the shape of the logits without the
/// last axis, and there is at least one row and one class; [`Error::DType`](crate::Error::DType);
/// [`Error::DeviceMismatch`](crate::Error::DeviceMismatch);
/// [`Error::Argument`](crate::Error::Argument) for a target out of range, as for
/// [`cross_entropy`](super::cross_entropy).
pub fn accuracy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    accuracy_with(logits, targets, None)
}

/// Likewise; rows of the target `ignore_index` are padding, and never classified rightly.
///
/// # Errors
/// Those of [`accuracy`].
pub fn accuracy_with(
    logits: &Tensor,
    targets: &Tensor,
    ignore_index: Option<u32>,
) -> Result<Tensor> {
    let op = "accuracy";
    let (rows, classes) = check(op, logits, targets)?;
    let range = Range { op, what: "target", below: classes, padding: ignore_index };
    let targets = &range.checked(targets)?;
    let found = argmax(logits, logits.shape().rank() - 1, false)?;
    let split = Split::in_units(logits.device(), rows, 1, 1);
    let part = Tensor::empty(logits.device(), [split.parts], DType::F32)?;
    let params =
        HitsParams { rows: rows as u32, span: split.chunk as u32, parts: split.parts as u32 };
    let launch = logits.device().launch(&HITS).params(&params);
    launch
        .bind("found", &found)
        .bind("targets", targets)
        .bind("part", &part)
        .items(split.parts)
        .record()?;
    total(&part, 1.0)
}

fn hits_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: HitsParams = args.params();
    let (found, targets, part) =
        (args.words("found"), args.words("targets"), args.reals_mut("part"));
    let span = p.span as usize;
    let rows = found.par_chunks(span).zip(targets.par_chunks(span));
    part.par_iter_mut().zip(rows).for_each(|(part, (found, targets))| {
        let hits = found.iter().zip(targets).filter(|(found, target)| found == target);
        *part = R::lit(hits.count() as f64);
    });
}
