//! Firing rates and spike counts: the mean and the sum over time.

use super::axes::Pass;
use super::fold::{Fold, Op, fold};
use super::spread::spread;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::{DType, Error, Result, Shape, Tensor, Var};

crate::kernel! {
    /// `y[n] = (spikes of column n) / divisor`
    pub(super) static RATE_BITS = "reduce/rate_bits";
    params = struct RateParams { steps: u32, columns: u32, divisor: f32 };
    oracle = rate_bits_oracle;
    iterations = |args| u64::from(args.params::<RateParams>().steps.div_ceil(32)) + 1;
}

fn rate_bits_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RateParams = args.params();
    let (x, y) = (args.words("x"), args.reals_mut("y"));
    let columns = p.columns as usize;
    y.par_iter_mut().enumerate().for_each(|(n, y)| {
        let count: u32 = (0..p.steps.div_ceil(32) as usize)
            .map(|w| x[w * columns + n])
            .map(|w| w.count_ones())
            .sum();
        *y = R::lit(f64::from(count)) / R::lit(f64::from(p.divisor));
    });
}

/// The mean over the leading axis, time: `[T, ..] -> [..]`, of f32 or of packed spikes. In spikes a
/// step.
///
/// # Errors
/// [`Error::Shape`] for no axis or no steps; [`Error::DType`] for other elements.
pub fn rate(x: &Tensor) -> Result<Tensor> {
    let (steps, _) = steps("rate", x.shape())?;
    over_time("rate", x, steps as f32)
}

/// The sum over the leading axis, time: `[T, ..] -> [..]`, of f32 or of packed spikes.
///
/// # Errors
/// Those of [`rate`].
pub fn spike_count(x: &Tensor) -> Result<Tensor> {
    over_time("spike_count", x, 1.0)
}

/// The sum over time, divided.
pub(crate) fn over_time(op: &'static str, x: &Tensor, divisor: f32) -> Result<Tensor> {
    let (steps, rest) = steps(op, x.shape())?;
    let columns = rest.count();
    if x.dtype() != DType::Bits {
        x.expect(op, DType::F32)?;
        let pass = Pass { outer: 1, length: steps, inner: columns };
        return fold(x, pass, Fold { divisor, ..Fold::of(Op::Sum) })?.reshape(rest);
    }
    let y = Tensor::empty(x.device(), rest, DType::F32)?;
    if columns > 0 {
        let params = RateParams { steps: steps as u32, columns: columns as u32, divisor };
        let launch = x.device().launch(&RATE_BITS).params(&params);
        launch.bind("x", x).bind("y", &y).items(columns).record()?;
    }
    Ok(y)
}

/// The steps, and the shape of one.
pub(crate) fn steps(op: &'static str, shape: &Shape) -> Result<(usize, Shape)> {
    match shape.split_first() {
        Some((steps, rest)) if *steps > 0 => Ok((*steps, Shape::new(rest)?)),
        _ => Err(Error::shape(op, format!("no time steps in shape {shape}"))),
    }
}

impl Var {
    /// The mean over the leading axis, time; see [`reduce::rate`](crate::reduce::rate).
    ///
    /// # Errors
    /// Those of [`reduce::rate`](crate::reduce::rate).
    pub fn rate(&self) -> Result<Var> {
        let (steps, _) = steps("rate", self.shape())?;
        self.record_over_time("rate", steps as f32)
    }

    /// The sum over the leading axis, time; see [`reduce::spike_count`](crate::reduce::spike_count).
    ///
    /// # Errors
    /// Those of [`reduce::rate`](crate::reduce::rate).
    pub fn spike_count(&self) -> Result<Var> {
        self.record_over_time("spike_count", 1.0)
    }

    fn record_over_time(&self, op: &'static str, divisor: f32) -> Result<Var> {
        let y = over_time(op, self.value(), divisor)?;
        let shape = *self.shape();
        let pass = Pass { outer: 1, length: shape[0], inner: y.count() };
        self.tape().record_one(op, &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = spread(gradient, pass, divisor)?.reshape(shape)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }
}
