//! What forecasters of multivariate series have in common.

use super::energy::Energy;
use super::training_loss::TrainingLoss;
use crate::error::{Error, Result};
use crate::loss::mse;
use crate::nn::{Activity, InstanceNorm, Module, Pass};
use crate::{DType, Device, Tensor, Var};

/// A model that continues N series by H values from their last L. Series are time-major: a window is
/// `[L, B, N]`, a forecast `[H, B, N]`, B windows at once.
pub trait Forecaster: Module {
    /// What the model is called in its files.
    const NAME: &'static str;

    /// Its extents, as they stand in its files.
    fn fields(&self) -> Vec<(&'static str, String)>;

    /// Where it computes.
    fn device(&self) -> &Device;

    /// L, the values that it sees of each series.
    fn look_back(&self) -> usize;

    /// H, the values that it continues each series by.
    fn horizon(&self) -> usize;

    /// N, the series.
    fn variables(&self) -> usize;

    /// The forecast `[H, B, N]` of `window[L, B, N]`, on the window's tape.
    ///
    /// # Errors
    /// [`Error::Shape`] for a window of other extents, or of no batch; [`Error::DType`] unless it is
    /// f32; [`Error::DeviceMismatch`]; device loss.
    fn forecast(&self, window: &Var, pass: &mut Pass<'_>) -> Result<Var>;

    /// The operations of the forecast of one window, from the rates that a forecast noted in
    /// `activity` (see [`Pass::activity`]).
    ///
    /// # Errors
    /// [`Error::Argument`] for an activity that lacks a place of the model; device loss.
    fn energy(&self, activity: &Activity) -> Result<Energy>;

    /// What the configuration adds to the mean squared error `fit` in training; nothing by default.
    ///
    /// # Errors
    /// Device loss.
    fn penalty(&self, fit: &Var) -> Result<Option<Var>> {
        let _ = fit;
        Ok(None)
    }

    /// The mean squared error of the forecast of `window[L, B, N]` against `target[H, B, N]`, and
    /// with the penalties of the configuration.
    ///
    /// Use a pass of [`training`](Pass::training) to train with.
    ///
    /// # Errors
    /// Those of [`forecast`](Self::forecast) and of [`mse`].
    fn loss(&self, window: &Tensor, target: &Tensor, pass: &mut Pass<'_>) -> Result<TrainingLoss> {
        let (window, target) = (pass.constant(window), pass.constant(target));
        let fit = mse(&self.forecast(&window, pass)?, &target)?;
        Ok(match self.penalty(&fit)? {
            Some(penalty) => TrainingLoss { total: fit.add(&penalty)?, fit },
            None => TrainingLoss::of(fit),
        })
    }

    /// The forecast `[H, B, N]` of `window[L, B, N]`, without noise and without a tape.
    ///
    /// # Errors
    /// Those of [`forecast`](Self::forecast).
    fn predict(&self, window: &Tensor) -> Result<Tensor> {
        let pass = &mut Pass::evaluation();
        let forecast = self.forecast(&pass.constant(window), pass)?;
        Ok(forecast.value().clone())
    }

    /// What a file of the model holds: extents, parameters and buffers. Add an optimizer or notes
    /// as needed.
    #[cfg(feature = "checkpoint")]
    fn checkpoint(&self) -> crate::checkpoint::Checkpoint {
        super::config::checkpoint(Self::NAME, self.fields(), &self.saved())
    }

    /// Loads parameters and buffers from a file of a model of the same extents.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged file, and for a file of another model or
    /// configuration, with all that differs; device loss.
    #[cfg(feature = "checkpoint")]
    fn restore(&self, path: &std::path::Path) -> Result<crate::checkpoint::Notes> {
        super::config::restore(path, Self::NAME, self.fields(), &self.saved())
    }
}

/// The forecast that `make` gives as `[B, N, H]` for the values of the nodes `[B, M]`, where node n L + l is
/// value l of series n. With `norm` both are normalised; see [`InstanceNorm`].
pub(super) fn on_nodes<M: Forecaster>(
    op: &'static str,
    model: &M,
    norm: bool,
    window: &Var,
    make: impl FnOnce(&Var) -> Result<Var>,
) -> Result<Var> {
    let batch = check_window(op, model, window.value())?;
    let norm = norm.then(|| InstanceNorm::of(window.value())).transpose()?;
    let x = norm.as_ref().map_or_else(|| Ok(window.clone()), |norm| norm.apply(window))?;
    let nodes = model.look_back() * model.variables();
    let forecast = make(&x.permute(&[1, 2, 0])?.reshape([batch, nodes])?)?;
    let forecast = forecast.reshape([batch, model.variables(), model.horizon()])?;
    let forecast = forecast.permute(&[2, 0, 1])?;
    norm.map_or_else(|| Ok(forecast.clone()), |norm| norm.undo(&forecast))
}

/// Checks `window[L, B, N]` for a model, and returns B.
fn check_window<M: Forecaster>(op: &'static str, model: &M, window: &Tensor) -> Result<usize> {
    window.expect(op, DType::F32)?;
    if window.device() != model.device() {
        let (left, right) = (model.device().name().into(), window.device().name().into());
        return Err(Error::DeviceMismatch { op, left, right });
    }
    let (steps, variables) = (model.look_back(), model.variables());
    match *window.shape().dims() {
        [l, batch, n] if l == steps && n == variables && batch > 0 => Ok(batch),
        _ => {
            let shape = window.shape();
            let detail = format!("a window of {shape}, expected [{steps}, B, {variables}], B > 0");
            Err(Error::shape(op, detail))
        }
    }
}
