//! The LIF layer.

use super::{Layer, Pass, filled};
use crate::error::{Error, Result};
use crate::lif::{Lif, LifOutput, Neurons};
use crate::{Device, Param, Var};

/// A [`Lif`] neuron over all steps of `[T, …, N]`, with decay and threshold learned if asked for.
#[derive(Debug, Clone)]
pub struct LifLayer {
    lif: Lif,
    /// The decay is the sigmoid of this parameter.
    decay: Option<Param>,
    threshold: Option<Param>,
}

/// Options of a [`LifLayer`] that learns; made by [`LifLayer::builder`].
#[derive(Debug, Clone)]
#[must_use]
pub struct LifLayerBuilder {
    lif: Lif,
    decay: Option<(f32, usize)>,
    threshold: Option<(f32, usize)>,
}

impl LifLayer {
    /// The neuron as it is.
    pub fn new(lif: Lif) -> Self {
        Self { lif, decay: None, threshold: None }
    }

    /// Options: nothing is learned.
    pub fn builder(lif: Lif) -> LifLayerBuilder {
        LifLayerBuilder { lif, decay: None, threshold: None }
    }

    /// Spikes and last membrane, from a given one.
    ///
    /// # Errors
    /// Those of [`Lif::scan_with`].
    pub fn scan(&self, x: &Var, state: Option<&Var>) -> Result<LifOutput> {
        let decay = self.decay.as_ref().map(|p| x.tape().param(p).sigmoid()).transpose()?;
        let threshold = self.threshold.as_ref().map(|p| x.tape().param(p));
        let (decay, threshold) = (decay.as_ref(), threshold.as_ref());
        self.lif.scan_with(x, state, &Neurons { decay, threshold, ..Neurons::default() })
    }
}

crate::module!(LifLayer { decay, threshold });

impl Layer for LifLayer {
    /// The spikes of `x[T, …, N]`, from a membrane at zero. A membrane of NaN does not fire, so a loss
    /// of spikes stays finite while its gradients are NaN, which
    /// [`OptimizerBuilder::skip_non_finite`](crate::optim::OptimizerBuilder::skip_non_finite) sees.
    fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        Ok(self.scan(x, None)?.spikes)
    }
}

impl LifLayerBuilder {
    /// Learns the decay, from `decay` on, for each of `neurons` neurons, or one for all with
    /// `neurons = 1`. It is the sigmoid of a parameter, so that it stays between 0 and 1 (PLIF, Fang
    /// et al. 2021).
    pub fn learn_decay(mut self, decay: f32, neurons: usize) -> Self {
        self.decay = Some((decay, neurons));
        self
    }

    /// Learns the threshold, from `threshold` on, for each of `neurons` neurons, or one for all with
    /// `neurons = 1`.
    pub fn learn_threshold(mut self, threshold: f32, neurons: usize) -> Self {
        self.threshold = Some((threshold, neurons));
        self
    }

    /// The layer.
    ///
    /// # Errors
    /// [`Error::Argument`] for a decay that is not between 0 and 1; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn build(self, device: &Device) -> Result<LifLayer> {
        let param =
            |part: &str, value: f32, neurons: usize| filled(part, &[neurons], value, device);
        let decay = match self.decay {
            Some((decay, _)) if !(decay > 0.0 && decay < 1.0) => {
                let detail = format!("a decay of {decay} to learn from, not between 0 and 1");
                return Err(Error::argument("lif", detail));
            }
            Some((decay, neurons)) => {
                let logit = f64::from(decay).ln() - (-f64::from(decay)).ln_1p();
                Some(param("decay", logit as f32, neurons)?)
            }
            None => None,
        };
        let threshold = self.threshold.map(|(value, neurons)| param("threshold", value, neurons));
        Ok(LifLayer { lif: self.lif, decay, threshold: threshold.transpose()? })
    }
}
