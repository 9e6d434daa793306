//! The squared error of firing rates.

use super::total;
use crate::elementwise::full;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, difference_times};
use crate::kernel::{CostArgs, Needs, Variant, few_iterations};
use crate::reduce::{
    Fold, Op, Pass, RowIterations, SHARERS, Split, Term, fold, over_time, rows_shared, steps,
    walked,
};
use crate::{DType, Error, Result, Shape, Tensor, Var};

crate::kernel! {
    /// Rates, and their squared errors in parts.
    pub(super) static RATE_MSE = "loss/rate_mse";
    params = struct RateMseParams {
        steps: u32,
        columns: u32,
        span: u32,
        parts: u32,
        wanted: f32,
    };
    oracle = rate_mse_oracle;
    variants = VARIANTS;
    iterations = iterations;
}

crate::kernel! {
    /// `gs[t, n] = 2 g (rate[n] - wanted) / (steps columns)`
    pub(super) static RATE_MSE_BACKWARD = "loss/rate_mse_backward";
    params = struct RateMseBackwardParams {
        steps: u32,
        columns: u32,
        wanted: f32,
    };
    oracle = rate_mse_backward_oracle;
    iterations = few_iterations;
}

const fn variant(name: &'static str, conditions: &'static [&'static str], needs: Needs) -> Variant {
    Variant { name, conditions, needs }
}

/// Floats, then packed spikes: each those of [`ROWS`](crate::reduce::ROWS).
const VARIANTS: &[Variant] = &[
    variant("invocation", &[], Needs::NOTHING),
    variant("workgroup", &["WORKGROUP"], Needs::NOTHING),
    variant("subgroups", &["WORKGROUP"], Needs::SUBGROUPS),
    variant("bits, invocation", &["BITS"], Needs::NOTHING),
    variant("bits, workgroup", &["BITS", "WORKGROUP"], Needs::NOTHING),
    variant("bits, subgroups", &["BITS", "WORKGROUP"], Needs::SUBGROUPS),
];

/// The steps that one invocation of the backward kernel writes.
const BACKWARD_STEPS: u32 = 16;

/// The squared error of firing rates: for `spikes[T, ..]`, f32 or packed,
/// `mean_n (rate_n - target)^2` with `rate_n = mean_t spikes[t, n]`: a scalar. Two launches, and one
/// for the gradient `2 (rate_n - target) / (T N)`, the same at every step.
///
/// # Errors
/// [`Error::Shape`] for no steps or no columns; [`Error::DType`] for other elements;
/// [`Error::Argument`] for a target that is not finite.
pub fn rate_mse(spikes: &Var, target: f32) -> Result<Var> {
    let (steps, rest) = steps("rate_mse", spikes.shape())?;
    let columns = rest.count();
    if spikes.dtype() != DType::Bits {
        spikes.value().expect("rate_mse", DType::F32)?;
    }
    if columns == 0 {
        return Err(Error::shape("rate_mse", format!("no columns in {}", spikes.shape())));
    }
    if !target.is_finite() {
        return Err(Error::argument("rate_mse", format!("a target of {target}")));
    }
    let (rate, parts) = forward(spikes.value(), steps, columns, target)?;
    let y = total(&parts, 1.0)?;
    let shape: Shape = *spikes.shape();
    let params =
        RateMseBackwardParams { steps: steps as u32, columns: columns as u32, wanted: target };
    spikes.tape().record_one("rate_mse", &[spikes], y, move |bw| {
        if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
            let gs = Tensor::empty(rate.device(), shape, DType::F32)?;
            let launch = rate.device().launch(&RATE_MSE_BACKWARD).params(&params);
            let launch = launch.bind("rate", &rate).bind("g", gradient).bind("gs", &gs);
            let items = columns * steps.div_ceil(BACKWARD_STEPS as usize);
            launch.constant("SPAN", BACKWARD_STEPS).items(items).record()?;
            bw.give(0, gs);
        }
        Ok(())
    })
}

/// The walks over an invocation's share of the columns of a part, twice over their rates, and two folds.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let p: RateMseParams = args.params();
    let part = RowIterations::of(args, p.span);
    part.walk() * (2 + column_iterations(args.when("BITS"), p.steps)) + 2 * part.fold
}

/// The iterations of a walk over one column.
fn column_iterations(bits: bool, steps: u32) -> u64 {
    // Sums of floats may be looked at again.
    if bits { u64::from(steps.div_ceil(32)) + 1 } else { 2 * RowIterations::alone(steps).chains() }
}

/// Rates, and the parts of the mean of their squared errors.
fn forward(spikes: &Tensor, steps: usize, columns: usize, wanted: f32) -> Result<(Tensor, Tensor)> {
    let device = spikes.device();
    let bits = spikes.dtype() == DType::Bits;
    let iterations = column_iterations(bits, steps as u32);
    let alone = Split::in_units(device, columns, 1, iterations);
    let params = |split: Split| RateMseParams {
        steps: steps as u32,
        columns: columns as u32,
        span: split.chunk as u32,
        parts: split.parts as u32,
        wanted,
    };
    let launch = device.launch(&RATE_MSE).params(&params(alone)).when("BITS", bits);
    let shared = rows_shared(device, &launch, columns);
    // Enough columns for workgroups; the last of them may be partly idle.
    let split = if shared { Split::in_units(device, columns, SHARERS, iterations) } else { alone };
    let launch = walked(launch, shared, split.parts).params(&params(split));
    if !launch.ends() {
        return of_long_trains(spikes, steps, columns, wanted);
    }
    let rate = Tensor::empty(device, [columns], DType::F32)?;
    let part = Tensor::empty(device, [split.parts], DType::F32)?;
    launch.bind("s", spikes).bind("rate", &rate).bind("part", &part).record()?;
    Ok((rate, part))
}

/// Likewise, of trains that one invocation cannot walk along.
fn of_long_trains(
    spikes: &Tensor,
    steps: usize,
    columns: usize,
    wanted: f32,
) -> Result<(Tensor, Tensor)> {
    let rate = over_time("rate_mse", spikes, steps as f32)?.reshape([columns])?;
    let wanted = full(spikes.device(), [1], wanted)?;
    let square =
        Fold { term: Term::Deviation(&wanted), divisor: columns as f32, ..Fold::of(Op::Sum) };
    let part = fold(&rate, Pass { outer: 1, length: columns, inner: 1 }, square)?;
    Ok((rate, part.reshape([1])?))
}

/// In f64, which holds every sum of f32 numbers.
fn rate_mse_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RateMseParams = args.params();
    let (steps, columns, span) = (p.steps as usize, p.columns as usize, p.span as usize);
    let spikes = match args.is_real("s") {
        true => Spikes::Floats(args.reals("s")),
        false => Spikes::Packed(args.words("s")),
    };
    let (rate, part) = (args.reals_mut("rate"), args.reals_mut("part"));
    let wanted = f64::from(p.wanted);
    rate.par_chunks_mut(span).zip(part).enumerate().for_each(|(i, (rate, part))| {
        let mut counts = vec![0.0; rate.len()];
        spikes.count(&mut counts, steps, columns, i * span);
        let mut square = 0.0;
        for (rate, count) in rate.iter_mut().zip(counts) {
            *rate = R::lit(count / steps as f64);
            square += (rate.f64() - wanted) * (rate.f64() - wanted);
        }
        *part = R::lit(square / columns as f64);
    });
}

/// A spike train `[steps, columns]`.
enum Spikes<'a, R> {
    Floats(&'a [R]),
    Packed(&'a [u32]),
}

impl<R: Real> Spikes<'_, R> {
    /// Counts the spikes of neighbouring columns from `first` on.
    fn count(&self, counts: &mut [f64], steps: usize, columns: usize, first: usize) {
        match self {
            Spikes::Floats(s) => {
                for row in s.chunks_exact(columns).take(steps) {
                    let both = counts.iter_mut().zip(&row[first..]);
                    both.for_each(|(sum, s)| *sum += s.f64());
                }
            }
            Spikes::Packed(s) => {
                for row in s.chunks_exact(columns) {
                    let both = counts.iter_mut().zip(&row[first..]);
                    both.for_each(|(sum, s)| *sum += f64::from(s.count_ones()));
                }
            }
        }
    }
}

fn rate_mse_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RateMseBackwardParams = args.params();
    let (rate, g, gs) = (args.reals("rate"), args.reals("g")[0], args.reals_mut("gs"));
    let scale = g / R::lit(0.5 * f64::from(p.steps) * f64::from(p.columns));
    let wanted = R::lit(f64::from(p.wanted));
    gs.par_chunks_mut(rate.len()).for_each(|gs| {
        for (gs, rate) in gs.iter_mut().zip(rate) {
            *gs = difference_times(*rate, wanted, scale);
        }
    });
}
