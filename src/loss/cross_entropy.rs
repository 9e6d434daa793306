//! Cross-entropy with integer targets.

use super::scores::Scores;
use super::total;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, log_sum_exp, pairwise};
use crate::kernel::{CostArgs, few_iterations};
use crate::reduce::{ROWS, Range, RowIterations, Split, over_elements, over_rows};
use crate::{DType, Error, Result, Tensor, Var};
use std::borrow::Cow;

crate::kernel! {
    /// Losses of rows, summed in parts.
    pub(super) static CROSS_ENTROPY = "loss/cross_entropy";
    params = struct CrossEntropyParams {
        rows: u32,
        classes: u32,
        span: u32,
        parts: u32,
        smoothing: f32,
        sharpness: f32,
    };
    oracle = cross_entropy_oracle;
    variants = ROWS;
    iterations = iterations;
}

crate::kernel! {
    /// `gx = g (softmax(x) - target) / divisor`
    pub(super) static CROSS_ENTROPY_BACKWARD = "loss/cross_entropy_backward";
    params = struct CrossEntropyBackwardParams {
        count: u32,
        classes: u32,
        smoothing: f32,
        divisor: f32,
        sharpness: f32,
    };
    oracle = cross_entropy_backward_oracle;
    iterations = few_iterations;
}

/// Two walks over each row of a part, and three folds.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let p: CrossEntropyParams = args.params();
    1 + u64::from(p.span) * row_iterations(RowIterations::of(args, p.classes))
}

fn row_iterations(row: RowIterations) -> u64 {
    1 + row.walk() + row.chains() + 3 * row.fold
}

/// How the losses of rows become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// Their sum divided by the number of rows that are no padding (0 where all are).
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// Options of [`cross_entropy`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CrossEntropy {
    /// The part of the target's probability that is spread evenly over all classes, in [0, 1).
    /// 0 by default.
    pub smoothing: f32,
    /// The mean by default.
    pub reduction: Reduction,
    /// What the logits are divided by, more than 0. 1 by default.
    pub temperature: f32,
    /// The target of rows that are padding: they have loss 0 and gradient 0, and do not count in the
    /// mean. A class or any other number; none by default.
    pub ignore_index: Option<u32>,
}

impl Default for CrossEntropy {
    fn default() -> Self {
        Self { smoothing: 0.0, reduction: Reduction::Mean, temperature: 1.0, ignore_index: None }
    }
}

/// The cross-entropy between softmax(logits) over the last axis and targets: a scalar.
///
/// For logits `x[.., C]` and targets `t[..]` (u32), with label smoothing `a` (Szegedy et al. 2016,
/// section 7): `loss = log sum_c exp(x_c) - (1 - a) x_t - a / C sum_c x_c`, in two launches; its
/// gradient `softmax(x) - (1 - a) onehot(t) - a / C` in one. With a temperature T the logits are x / T.
///
/// Rows of the target [`ignore_index`](CrossEntropy::ignore_index) are padding: they have loss 0 and
/// gradient 0, and do not count in the mean. Another target that is not below `C` is an error (see
/// [`Device::check_indices`](crate::Device::check_indices)); where that is not checked, its row has
/// loss 0 and gradient 0. [`check_targets`] finds such targets before they are uploaded.
///
/// # Errors
/// [`Error::Shape`] unless the targets have the shape of the logits without the last axis, and there
/// is at least one row and one class; [`Error::DType`]; [`Error::DeviceMismatch`];
/// [`Error::Argument`] for a smoothing outside [0, 1), a temperature that is not positive, or a target
/// out of range.
pub fn cross_entropy(logits: &Var, targets: &Tensor, options: CrossEntropy) -> Result<Var> {
    entropy_of("cross_entropy", Scores::Softmax, logits, targets, options)
}

/// The cross-entropy of softmax(scores).
pub(super) fn entropy_of(
    op: &'static str,
    scores: Scores,
    logits: &Var,
    targets: &Tensor,
    options: CrossEntropy,
) -> Result<Var> {
    let (rows, classes) = check(op, logits.value(), targets)?;
    if !(0.0..1.0).contains(&options.smoothing) {
        let detail = format!("a label smoothing of {}, not in [0, 1)", options.smoothing);
        return Err(Error::argument(op, detail));
    }
    let sharpness = options.temperature.recip();
    if !(sharpness.is_normal() && sharpness > 0.0) {
        let detail = format!("a temperature of {}, allowed are more than 0", options.temperature);
        return Err(Error::argument(op, detail));
    }
    let wanted = Targets::of(op, targets, classes, options.ignore_index, options.reduction)?;
    let (targets, divisor) = (&wanted.targets, wanted.divisor);
    let x = logits.value().clone();
    let stats = Tensor::empty(x.device(), [rows, 2], DType::F32)?;
    let parts = forward((&x, scores), targets, &stats, (classes, options))?;
    let y = total(&parts, divisor)?;
    let targets = targets.clone();
    let params = CrossEntropyBackwardParams {
        count: x.count() as u32,
        classes: classes as u32,
        smoothing: options.smoothing,
        divisor,
        sharpness,
    };
    let y = logits.tape().record_one(op, &[logits], y, move |bw| {
        if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
            let gx = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
            let launch = x.device().launch(&CROSS_ENTROPY_BACKWARD).params(&params);
            let launch = launch.constant("KIND", scores as u32);
            let launch = launch
                .bind("x", &x)
                .bind("targets", &targets)
                .bind("stats", &stats)
                .bind("g", gradient)
                .bind("gx", &gx);
            over_elements(x.device(), launch, x.count()).record()?;
            bw.give(0, gx);
        }
        Ok(())
    })?;
    wanted.mean(y)
}

/// The targets of a loss, checked, and how its mean is made of the sum.
pub(super) struct Targets {
    pub(super) targets: Tensor,
    /// What the kernels divide by.
    pub(super) divisor: f32,
    /// What the sum is multiplied with where only the device knows how many rows count.
    share: Option<Tensor>,
}

impl Targets {
    pub(super) fn of(
        op: &'static str,
        targets: &Tensor,
        classes: usize,
        ignore_index: Option<u32>,
        reduction: Reduction,
    ) -> Result<Self> {
        let range = Range { op, what: "target", below: classes, padding: ignore_index };
        if reduction == Reduction::Mean && ignore_index.is_some() {
            let (targets, share) = range.counted(targets)?;
            return Ok(Self { targets, divisor: 1.0, share: Some(share) });
        }
        let divisor = match reduction {
            Reduction::Mean => targets.count() as f32,
            Reduction::Sum => 1.0,
        };
        Ok(Self { targets: range.checked(targets)?, divisor, share: None })
    }

    /// The loss from what the kernels made.
    pub(super) fn mean(&self, y: Var) -> Result<Var> {
        match &self.share {
            Some(share) => y.mul(&y.tape().constant(&share.reshape(y.shape())?)),
            None => Ok(y),
        }
    }
}

/// The losses in parts; the largest logit and the logarithm of the sum of each row in `stats`.
fn forward(
    (x, scores): (&Tensor, Scores),
    t: &Tensor,
    stats: &Tensor,
    (classes, options): (usize, CrossEntropy),
) -> Result<Tensor> {
    let rows = t.count();
    let split =
        Split::in_units(x.device(), rows, 1, row_iterations(RowIterations::alone(classes as u32)));
    let part = Tensor::empty(x.device(), [split.parts], DType::F32)?;
    let params = CrossEntropyParams {
        rows: rows as u32,
        classes: classes as u32,
        span: split.chunk as u32,
        parts: split.parts as u32,
        smoothing: options.smoothing,
        sharpness: options.temperature.recip(),
    };
    over_rows(x.device(), &CROSS_ENTROPY, &params, [split.parts, classes])
        .constant("KIND", scores as u32)
        .bind("x", x)
        .bind("targets", t)
        .bind("stats", stats)
        .bind("part", &part)
        .record()?;
    Ok(part)
}

/// The rows and classes of logits that go with targets.
pub(super) fn check(op: &'static str, logits: &Tensor, targets: &Tensor) -> Result<(usize, usize)> {
    logits.expect(op, DType::F32)?;
    targets.expect(op, DType::U32)?;
    logits.same_device(op, targets)?;
    let fits = |(_, rows): &(&usize, &[usize])| targets.shape().dims() == *rows;
    let split = logits.shape().split_last().filter(fits);
    match split {
        Some((classes, _)) if logits.count() > 0 => Ok((targets.count(), *classes)),
        _ => {
            let (x, t) = (logits.shape(), targets.shape());
            let detail = match x.split_last() {
                Some((_, rows)) if logits.count() > 0 => {
                    format!("logits {x} with targets {t}, expected targets {rows:?}")
                }
                _ => format!("logits {x}, expected [.., classes], one row and one class at least"),
            };
            Err(Error::shape(op, detail))
        }
    }
}

/// Refuses targets that are not below the number of classes: for data on the host, before it is
/// uploaded.
///
/// # Errors
/// [`Error::Argument`] with the first such target and its place.
pub fn check_targets(targets: &[u32], classes: usize) -> Result<()> {
    Range { op: "check_targets", what: "target", below: classes, padding: None }
        .check_slice(targets)
}

/// Cross-entropy on firing rates: the mean over time of `outputs[T, .., C]` (spikes as f32 or packed,
/// or any readout) are the logits.
///
/// # Errors
/// Those of [`Var::rate`] and of [`cross_entropy`].
pub fn rate_cross_entropy(outputs: &Var, targets: &Tensor, options: CrossEntropy) -> Result<Var> {
    cross_entropy(&outputs.rate()?, targets, options)
}

/// Cross-entropy on spike counts: the sum over time of `outputs[T, .., C]` are the logits.
///
/// # Errors
/// Those of [`rate_cross_entropy`].
pub fn count_cross_entropy(outputs: &Var, targets: &Tensor, options: CrossEntropy) -> Result<Var> {
    cross_entropy(&outputs.spike_count()?, targets, options)
}

fn cross_entropy_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: CrossEntropyParams = args.params();
    let (x, targets) = (args.reals("x"), args.words("targets"));
    let (stats, part) = (args.reals_mut("stats"), args.reals_mut("part"));
    let (classes, span) = (p.classes as usize, p.span as usize);
    let a = R::lit(f64::from(p.smoothing));
    let scores = Scores::from_code(args.constant("KIND"));
    let sharpness = R::lit(f64::from(p.sharpness));
    let row_loss = |r: usize, stats: &mut [R]| {
        let x = scored(&x[r * classes..][..classes], scores, sharpness);
        let (largest, sum) = log_sum_exp(&x);
        stats.copy_from_slice(&[largest, sum.ln()]);
        let Some(hit) = x.get(targets[r] as usize) else { return R::zero() };
        let loss = sum.ln() - (R::one() - a) * (*hit - largest);
        // Without smoothing a class of -infinity is none: not 0 times its logit.
        if p.smoothing == 0.0 {
            return loss;
        }
        // Half a difference is a number, whatever the scores, and so is their mean.
        let (half, even) = (R::lit(0.5), a / R::lit(0.5 * classes as f64));
        loss - pairwise(0, classes, &|c| (half * x[c] - half * largest) * even)
    };
    let rows = stats.par_chunks_mut(2 * span).zip(part).enumerate();
    rows.for_each(|(i, (stats, part))| {
        let losses = stats.chunks_mut(2).enumerate().map(|(k, s)| row_loss(i * span + k, s));
        let losses: Vec<R> = losses.collect();
        *part = pairwise(0, losses.len(), &|k| losses[k]);
    });
}

/// The scores of a row of logits.
fn scored<R: Real>(x: &[R], scores: Scores, sharpness: R) -> Cow<'_, [R]> {
    if scores == Scores::Softmax && sharpness == R::one() {
        return Cow::Borrowed(x);
    }
    x.iter().map(|x| scores.of(*x * sharpness)).collect()
}

fn cross_entropy_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: CrossEntropyBackwardParams = args.params();
    let (x, targets, stats) = (args.reals("x"), args.words("targets"), args.reals("stats"));
    let (g, gx) = (args.reals("g")[0], args.reals_mut("gx"));
    let classes = p.classes as usize;
    let (a, divisor) = (R::lit(f64::from(p.smoothing)), R::lit(f64::from(p.divisor)));
    let scores = Scores::from_code(args.constant("KIND"));
    let sharpness = R::lit(f64::from(p.sharpness));
    gx.par_chunks_mut(classes).enumerate().for_each(|(r, gx)| {
        let target = targets[r] as usize;
        if target >= classes {
            gx.fill(R::zero());
            return;
        }
        let (largest, log_sum) = (stats[2 * r], stats[2 * r + 1]);
        for (c, gx) in gx.iter_mut().enumerate() {
            let z = x[r * classes + c] * sharpness;
            let probability = (scores.of(z) - largest - log_sum).exp();
            let hit = if c == target { R::one() - a } else { R::zero() };
            let slope = g * sharpness * scores.slope(z);
            *gx = slope * (probability - hit - a / R::lit(classes as f64)) / divisor;
        }
    });
}
