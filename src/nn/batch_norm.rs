//! Normalisation of channels over a batch.

use super::reach::{reach, root_of_eps};
use super::{Layer, Module, Pass, Visitor, filled};
use crate::elementwise::{self, Binary};
use crate::error::{Error, Result};
use crate::{Device, Param, Tensor, Var};

const OP: &str = "batch_norm";

/// `y = gain (x - mean) / sqrt(var + 1e-5) + bias` for each channel of `x[.., C]`, over all leading
/// axes.
///
/// In a pass of training, mean and biased variance are those of the batch, and the running ones move towards
/// them by a tenth (towards the unbiased variance, as in PyTorch); else the running ones are taken.
/// They are buffers of the module: the mean, and the root of the variance, the standard deviation, which
/// f32 holds for values of every size.
///
/// Source: Ioffe and Szegedy 2015, Batch Normalization.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    gain: Param,
    bias: Param,
    mean: Param,
    deviation: Param,
    channels: usize,
}

/// How far the running statistics move in a step.
const MOMENTUM: f64 = 0.1;

impl BatchNorm {
    /// The layer for `channels` channels: gain 1, bias 0, running mean 0 and deviation 1.
    ///
    /// # Errors
    /// [`Error::Argument`] without channels; those of [`Tensor::empty`].
    pub fn new(channels: usize, device: &Device) -> Result<Self> {
        if channels == 0 {
            return Err(Error::argument(OP, "no channels"));
        }
        let filled = |name: &str, value: f32| filled(name, &[channels], value, device);
        Ok(Self {
            gain: filled("gain", 1.0)?,
            bias: filled("bias", 0.0)?,
            mean: filled("mean", 0.0)?,
            deviation: filled("deviation", 1.0)?,
            channels,
        })
    }

    /// Mean and standard deviation of the channels of a batch; the running ones move towards them.
    fn of_batch(&self, x: &Var) -> Result<(Var, Var)> {
        let rank = x.shape().rank();
        let count = x.shape().count() / self.channels;
        if rank == 0 || x.shape().last() != Some(&self.channels) || count < 2 {
            let detail =
                format!("{} for {} channels, each of 2 values or more", x.shape(), self.channels);
            return Err(Error::shape(OP, detail));
        }
        let axes: Vec<usize> = (0..rank - 1).collect();
        let (mean, deviation) = (x.mean(&axes, false)?, x.standard_deviation(&axes, false, 0)?);
        let (kept, unbiased) = (1.0 - MOMENTUM, count as f64 / (count as f64 - 1.0));
        towards(&self.mean, kept, mean.value(), MOMENTUM, Binary::Add)?;
        // Variances are added up.
        let new = (MOMENTUM * unbiased).sqrt();
        towards(&self.deviation, kept.sqrt(), deviation.value(), new, Binary::Hypot)?;
        Ok((mean, deviation))
    }
}

/// `running = kept running + new batch`, or another `sum` of the two.
fn towards(running: &Param, kept: f64, batch: &Tensor, new: f64, sum: Binary) -> Result<()> {
    let (old, new) = (running.value().mul_scalar(kept as f32)?, batch.mul_scalar(new as f32)?);
    running.value().copy_from(&elementwise::binary(sum, &old, &new)?)
}

impl Module for BatchNorm {
    fn visit(&self, visitor: &mut Visitor) {
        visitor.param("gain", &self.gain);
        visitor.param("bias", &self.bias);
        visitor.buffer("mean", &self.mean);
        visitor.buffer("deviation", &self.deviation);
    }
}

impl Layer for BatchNorm {
    /// Of `x[.., C]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the last axis has the layer's channels, and in training without two
    /// values of each at least; [`Error::DType`] for other elements than f32;
    /// [`Error::DeviceMismatch`].
    fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let (mean, deviation) = if pass.is_training() {
            self.of_batch(x)?
        } else {
            (x.tape().constant(self.mean.value()), x.tape().constant(self.deviation.value()))
        };
        if x.shape().last() != Some(&self.channels) {
            return Err(Error::shape(OP, format!("{} for {} channels", x.shape(), self.channels)));
        }
        let (gain, bias) = (x.tape().param(&self.gain), x.tape().param(&self.bias));
        let spread = deviation.hypot(&x.tape().constant(&root_of_eps(x.device())?))?;
        let reach = x.tape().constant(&reach(spread.value())?);
        // Small tensors take most of the steps.
        let scale = gain.div(&spread.mul(&reach)?)?;
        let shift = bias.sub(&mean.mul(&reach)?.mul(&scale)?)?;
        x.mul(&reach)?.mul(&scale)?.add(&shift)
    }
}
