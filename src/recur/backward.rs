//! The backward launches.

use super::forward::{self, stacked};
use super::layer::Layer;
use super::parameters;
use super::params::{OF_DENSE, OF_SPIKES};
use crate::tape::Backward;
use crate::{DType, Result, Tensor};

/// The places of the inputs of the recorded operator.
pub(super) const X: usize = 0;
pub(super) const STATE: usize = 1;
pub(super) const PARAMETERS: usize = 2;

/// The places of its outputs: the state, then what is emitted.
pub(super) const OUT_STATE: usize = 0;

/// What forward keeps.
pub(super) struct Saved {
    pub(super) layer: Layer,
    pub(super) forward: forward::Saved,
}

impl Saved {
    /// Gives the gradients of all inputs.
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let layer = &self.layer;
        let device = layer.x.device();
        let learn = layer.packed.is_some() && bw.needs(PARAMETERS);
        let definition = layer.definition();
        let rows = definition.states.len() + if learn { definition.parameters.len() } else { 0 };
        let sums = Tensor::empty(device, [rows, layer.columns()], DType::F32)?;
        // Its first rows are a tensor of their own: dL/ds at the end before, at the start after.
        let carry = sums.with_words_as(DType::F32, layer.state_shape()?);
        if let Some(upstream) = bw.upstream(OUT_STATE) {
            carry.copy_from(upstream)?;
        }
        let shape = stacked(definition.inputs.len(), &layer.shape)?;
        let gx = Tensor::empty(device, shape, DType::F32)?;
        self.launch(bw, learn, &gx, &sums)?;
        if learn {
            bw.give(PARAMETERS, parameters::reduce(layer, &sums)?);
        }
        bw.give(X, gx);
        bw.give(STATE, carry);
        Ok(())
    }

    fn launch(&self, bw: &Backward<'_>, learn: bool, gx: &Tensor, sums: &Tensor) -> Result<()> {
        let layer = &self.layer;
        let packed = usize::from(layer.is_packed());
        let gs = if packed == 1 { bw.upstream(OUT_STATE + 1) } else { None };
        let gy = if layer.dense() > 0 { bw.upstream(OUT_STATE + 1 + packed) } else { None };
        let upstream = [(OF_SPIKES, gs), (OF_DENSE, gy)];
        let upstream: u32 = upstream.iter().filter(|(_, g)| g.is_some()).map(|(bit, _)| bit).sum();
        let mut resume = u32::from(bw.upstream(OUT_STATE).is_some());
        for part in layer.parts().iter().rev() {
            let launch = layer.prepare(layer.driver.backward, part, resume);
            let launch = launch.constant("LEARN", learn).constant("UPSTREAM", upstream);
            let launch = launch.bind_if("gs", gs).bind_if("gy", gy);
            let launch = launch.bind("checkpoints", &self.forward.states);
            let launch = launch.bind_if("words", self.forward.words.as_ref());
            launch.bind("gx", gx).bind("sums", sums).record()?;
            resume = 2;
        }
        Ok(())
    }
}
