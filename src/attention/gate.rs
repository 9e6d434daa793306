//! Gates from spikes.

use super::{Gate, OP};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::Variant;
use crate::{DType, Error, Result, Tensor, kernel};

fn spike_gate<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SpikeGateParams = args.params();
    let [batch, channels, groups] = [p.batch, p.channels, p.groups].map(|n| n as usize);
    let width = channels / groups;
    let row = batch * groups;
    let gate = args.words_mut("gate");
    if !args.when("BITS") {
        let spikes = args.reals("spikes");
        gate.par_iter_mut().enumerate().for_each(|(i, gate)| {
            // Position and batch row are one axis; so are they and the groups.
            let spikes = &spikes[i * width..][..width];
            let count = spikes.iter().filter(|x| **x > R::zero()).count();
            *gate = u32::from(count >= p.least as usize);
        });
        return;
    }
    let spikes = args.words("spikes");
    gate.par_chunks_mut(32 * row).enumerate().for_each(|(word, gate)| {
        for g in 0..row {
            let words = &spikes[word * batch * channels + g * width..][..width];
            let counts = spikes_of_steps(words);
            for (gate, count) in gate.iter_mut().skip(g).step_by(row).zip(counts) {
                *gate = u32::from(count >= p.least);
            }
        }
    });
}

/// The spikes of each of 32 steps.
fn spikes_of_steps(words: &[u32]) -> [u32; 32] {
    let mut counts = [0; 32];
    for word in words {
        for (t, count) in counts.iter_mut().enumerate() {
            *count += word >> t & 1;
        }
    }
    counts
}

kernel! {
    /// `gate[s, b, h] = [enough channels spike]`
    pub(super) static SPIKE_GATE = "attention/spike_gate";
    params = SpikeGateParams;
    oracle = spike_gate;
    variants = VARIANTS;
    iterations = |args| {
        let p: SpikeGateParams = args.params();
        u64::from(p.channels / p.groups.max(1)) + 2
    };
}

const VARIANTS: &[Variant] = &[Variant::portable("f32", &[]), Variant::portable("bits", &["BITS"])];

crate::params! {
    pub(super) struct SpikeGateParams {
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
    let params = SpikeGateParams { steps, batch, channels, groups, least };
    let launch = device.launch(&SPIKE_GATE).when("BITS", spikes.dtype() == DType::Bits);
    let launch = launch.params(&params).bind("spikes", spikes).bind("gate", &out);
    launch.items(out.count()).record()?;
    Ok(out)
}
