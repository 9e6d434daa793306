//! Gates from spikes.

use super::twin;
use super::{Gate, OP};
use crate::kernel::Variant;
use crate::{DType, Error, Result, Tensor, kernel};

kernel! {
    /// `gate[s, b, h] = [enough channels spike]`
    pub(super) static SPIKE_GATE = "attention/spike_gate";
    params = Params;
    oracle = twin::spike_gate;
    variants = VARIANTS;
    turns = |args| {
        let p: Params = args.params();
        u64::from(p.channels / p.groups.max(1)) + 2
    };
}

const VARIANTS: &[Variant] = &[Variant::portable("f32", &[]), Variant::portable("bits", &["BITS"])];

crate::params! {
    pub(super) struct Params {
        steps: u32,
        batch: u32,
        channels: u32,
        groups: u32,
        least: u32,
    }
}

/// The gate of `spikes [S, B, C]`: `[S, B]`, or `[S, B, heads]` for [`Gate::Head`].
pub(super) fn gate_of(spikes: &Tensor, gate: Gate, heads: usize) -> Result<Tensor> {
    let &[steps, batch, channels] = spikes.shape().dims() else {
        return Err(Error::shape(OP, format!("spikes of {}, not [S, B, C]", spikes.shape())));
    };
    if spikes.dtype() != DType::Bits {
        spikes.expect(OP, DType::F32)?;
    }
    let (groups, least) = match gate {
        Gate::Position => (1, 1),
        Gate::Head => (heads, 1),
        Gate::AtLeast(least) => (1, least),
    };
    if !channels.is_multiple_of(groups) {
        let detail = format!("{channels} channels of spikes do not fall into {heads} heads");
        return Err(Error::shape(OP, detail));
    }
    let device = spikes.device();
    let out = match gate {
        Gate::Head => Tensor::empty(device, [steps, batch, groups], DType::U32)?,
        _ => Tensor::empty(device, [steps, batch], DType::U32)?,
    };
    if out.count() == 0 {
        return Ok(out);
    }
    if channels == 0 && least > 0 {
        out.clear()?;
        return Ok(out);
    }
    let [steps, batch, channels, groups] = [steps, batch, channels, groups].map(|n| n as u32);
    let params = Params { steps, batch, channels, groups, least };
    let launch = device.launch(&SPIKE_GATE).when("BITS", spikes.dtype() == DType::Bits);
    let launch = launch.params(&params).bind("spikes", spikes).bind("gate", &out);
    launch.items(out.count()).record()?;
    Ok(out)
}
