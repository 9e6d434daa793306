//! A layer over an input: what the launches of both directions share.

use super::neuron::{Gain, Lif, Neurons, Save};
use super::params::{EACH, FIXED, LifParams, SCALAR, TIED};
use crate::dispatch::Launch;
use crate::kernel::Kernel;
use crate::tape::Var;
use crate::{Device, Result, Shape, Tensor};

/// Where each parameter comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forms {
    pub(super) decay: u32,
    pub(super) threshold: u32,
    pub(super) gain: u32,
}

/// A scan: what both directions share.
pub(super) struct Scan {
    pub(super) lif: Lif,
    pub(super) shape: Shape,
    pub(super) params: LifParams,
    pub(super) forms: Forms,
    pub(super) decay: Option<Tensor>,
    pub(super) threshold: Option<Tensor>,
    pub(super) gain: Option<Tensor>,
}

impl Scan {
    pub(super) fn new(lif: &Lif, shape: Shape, neurons: &Neurons<'_>) -> Self {
        let value = |v: Option<&Var>| v.map(|v| v.value().clone());
        let form = |v: &Option<Tensor>| match v {
            None => FIXED,
            Some(v) if v.count() == 1 => SCALAR,
            Some(_) => EACH,
        };
        let (decay, threshold) = (value(neurons.decay), value(neurons.threshold));
        let gain = value(neurons.gain);
        let (fixed_gain, gain_form) = match (lif.gain, &gain, &decay) {
            (_, Some(_), _) => (1.0, form(&gain)),
            (Gain::Fixed(gain), ..) => (gain, FIXED),
            (Gain::Leak, _, None) => ((1.0 - lif.decay) as f32, FIXED),
            (Gain::Leak, _, Some(_)) => (1.0, TIED),
        };
        let (low, high) = lif.clamp.unwrap_or((f32::MIN, f32::MAX));
        let params = LifParams {
            columns: shape.iter().skip(1).product::<usize>() as u32,
            steps: shape.first().copied().unwrap_or(0) as u32,
            neurons: if shape.rank() > 1 { shape[shape.rank() - 1] as u32 } else { 1 },
            decay: lif.decay as f32,
            threshold: lif.threshold,
            gain: fixed_gain,
            v_reset: lif.reset.value(),
            low,
            high,
            alpha: lif.surrogate.parameter(),
            relaxed: if lif.smooth { 1 + lif.surrogate_code() } else { 0 },
        };
        let forms = Forms { decay: form(&decay), threshold: form(&threshold), gain: gain_form };
        Self { lif: *lif, shape, params, forms, decay, threshold, gain }
    }

    pub(super) fn columns(&self) -> usize {
        self.params.columns as usize
    }

    pub(super) fn steps(&self) -> usize {
        self.params.steps as usize
    }

    /// Steps between checkpoints.
    pub(super) fn every(&self) -> u32 {
        if let Save::Checkpoints(every) = self.lif.save { every } else { 0 }
    }

    /// The shape without its leading axis.
    pub(super) fn state_shape(&self) -> Result<Shape> {
        Shape::new(&self.shape.dims()[1..])
    }

    /// What both directions set alike: parameters, constants and grid.
    pub(super) fn prepare(&self, device: &Device, kernel: &'static Kernel) -> Launch {
        let mut launch = device.launch(kernel).params(&self.params).items(self.columns());
        if self.steps() >= device.tuning().march_from {
            launch = launch.constant("MARCH", true);
        }
        launch
            .constant("RESET", self.lif.reset.code())
            .constant("STRICT", self.lif.strict)
            .constant("CLAMP", self.lif.clamp.is_some())
            .constant("DECAY", self.forms.decay)
            .constant("THRESHOLD", self.forms.threshold)
            .constant("GAIN", self.forms.gain)
    }
}
