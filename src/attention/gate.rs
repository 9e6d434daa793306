//! Gates from spikes.

use super::twin;
use super::{Gate, OP};
use crate::kernel::{Kernel, Needs, Variant, shader};
use crate::{DType, Error, Result, Tensor};

/// `gate[s, b, h] = [enough channels spike]`
pub(super) static SPIKE_GATE: Kernel = Kernel::new(
    "attention",
    "spike_gate",
    shader!("attention/spike_gate"),
    crate::twin!(twin::spike_gate),
)
.params::<Params>()
.variants(VARIANTS)
.turns(|args| {
    let p: Params = args.params();
    u64::from(p.channels / p.groups.max(1)) + 2
});

const VARIANTS: &[Variant] = &[
    Variant { name: "f32", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "bits", conditions: &["BITS"], needs: Needs::NOTHING },
];

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
    let launch = device.launch(&SPIKE_GATE).variant_at(usize::from(spikes.dtype() == DType::Bits));
    launch.params(&params).bind_next(spikes).bind_next(&out).items_of(out.count(), 64).record()?;
    Ok(out)
}
