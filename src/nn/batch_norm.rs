//! Normalisation of channels over a batch.

use super::Module;
use crate::elementwise::{self, Binary, Unary};
use crate::error::{Error, Result};
use crate::{Device, Param, Tensor, Var};

const OP: &str = "batch_norm";

/// `y = gain (x - mean) / sqrt(var + 1e-5) + bias` for each channel of `x[.., C]`, over all leading
/// axes.
///
/// In training, mean and biased variance are those of the batch, and the running ones move towards
/// them by a tenth (towards the unbiased variance, as in PyTorch); else the running ones are taken.
/// They are no parameters, but belong into the model's file.
///
/// Source: Ioffe and Szegedy 2015, Batch Normalization.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    gain: Param,
    bias: Param,
    mean: Param,
    variance: Param,
    channels: usize,
}

/// Added to the variance.
const EPS: f32 = 1e-5;
/// How far the running statistics move in a step.
const MOMENTUM: f32 = 0.1;

impl BatchNorm {
    /// The layer for `channels` channels: gain 1, bias 0, running mean 0 and variance 1. `name` is the
    /// prefix of the tensors' names.
    ///
    /// # Errors
    /// [`Error::Argument`] without channels; those of [`Tensor::empty`].
    pub fn new(name: &str, channels: usize, device: &Device) -> Result<Self> {
        if channels == 0 {
            return Err(Error::argument(OP, format!("`{name}` has no channels")));
        }
        let filled = |part: &str, value: f32| {
            let value = crate::elementwise::full(device, [channels], value)?;
            Ok::<_, Error>(Param::new(format!("{name}.{part}"), value))
        };
        Ok(Self {
            gain: filled("gain", 1.0)?,
            bias: filled("bias", 0.0)?,
            mean: filled("mean", 0.0)?,
            variance: filled("variance", 1.0)?,
            channels,
        })
    }

    /// Applies the layer to `x[.., C]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the last axis has the layer's channels, and in training without two
    /// values of each at least; [`Error::DType`] for other elements than f32;
    /// [`Error::DeviceMismatch`].
    pub fn forward(&self, x: &Var, training: bool) -> Result<Var> {
        let (mean, variance) = if training {
            self.of_batch(x)?
        } else {
            (x.tape().constant(self.mean.value()), x.tape().constant(self.variance.value()))
        };
        if x.shape().last() != Some(&self.channels) {
            return Err(Error::shape(OP, format!("{} for {} channels", x.shape(), self.channels)));
        }
        let (gain, bias) = (x.tape().param(&self.gain), x.tape().param(&self.bias));
        // Small tensors take the steps; x is read once.
        let scale = gain.div(&variance.add_scalar(EPS)?.sqrt()?)?;
        let shift = bias.sub(&mean.mul(&scale)?)?;
        x.mul(&scale)?.add(&shift)
    }

    /// Mean and variance of the channels of a batch; the running ones move towards them.
    fn of_batch(&self, x: &Var) -> Result<(Var, Var)> {
        let rank = x.shape().rank();
        let count = x.shape().count() / self.channels;
        if rank == 0 || x.shape().last() != Some(&self.channels) || count < 2 {
            let detail =
                format!("{} for {} channels, each of 2 values or more", x.shape(), self.channels);
            return Err(Error::shape(OP, detail));
        }
        let axes: Vec<usize> = (0..rank - 1).collect();
        let (mean, variance) = (x.mean(&axes, false)?, x.variance(&axes, false, 0)?);
        towards(&self.mean, mean.value(), 1.0)?;
        towards(&self.variance, variance.value(), count as f32 / (count as f32 - 1.0))?;
        Ok((mean, variance))
    }

    /// The running mean and variance, which are saved but not trained.
    pub fn statistics(&self) -> Vec<Param> {
        vec![self.mean.clone(), self.variance.clone()]
    }
}

/// `running += momentum (factor batch - running)`
fn towards(running: &Param, batch: &Tensor, factor: f32) -> Result<()> {
    let scaled =
        |scale: f32, x: &Tensor| elementwise::unary(Unary::Affine { scale, shift: 0.0 }, x);
    let (old, new) = (scaled(1.0 - MOMENTUM, running.value())?, scaled(MOMENTUM * factor, batch)?);
    running.value().copy_from(&elementwise::binary(Binary::Add, &old, &new)?)
}

impl Module for BatchNorm {
    fn params(&self) -> Vec<Param> {
        vec![self.gain.clone(), self.bias.clone()]
    }
}
