//! The forward launch.

use super::neuron::{Save, Spikes};
use super::scan::{Params, Scan};
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, Needs, Variant, shader};
use crate::{DType, Result, Tensor};

/// `h = decay v + …`, `s = [h >= threshold]`, reset; over all steps
pub(super) static LIF_FORWARD: Kernel =
    Kernel::new("lif", "lif_forward", shader!("lif/lif_forward"), crate::twin!(twin::forward))
        .params::<Params>()
        .variants(VARIANTS)
        .cost(cost)
        .thresholds()
        .turns(|args| u64::from(args.params::<Params>().steps) + 16);

const VARIANTS: &[Variant] = &[
    Variant { name: "bits", conditions: &["PACKED"], needs: Needs::NOTHING },
    Variant { name: "f32", conditions: &["DENSE"], needs: Needs::NOTHING },
    Variant { name: "f32 and bits", conditions: &["DENSE", "PACKED"], needs: Needs::NOTHING },
];

/// Input, state, what is saved and the spikes: each moved once.
fn cost(args: &CostArgs<'_>) -> Cost {
    let moved: u64 = args.words[4..].iter().sum::<u64>() + args.words[0];
    Cost { bytes: moved as f64 * 4.0, flops: args.words[0] as f64 * 8.0 }
}

/// What the forward launch wrote.
pub(super) struct Forward {
    pub(super) spikes: Tensor,
    pub(super) state: Tensor,
    /// Membranes or checkpoints, if anything is kept.
    pub(super) saved: Option<Tensor>,
    /// The spikes as bits, if backward wants them.
    pub(super) words: Option<Tensor>,
}

/// Runs the scan over `x` from `v0`; `keep` says whether backward will follow.
pub(super) fn run(scan: &Scan, x: &Tensor, v0: Option<&Tensor>, keep: bool) -> Result<Forward> {
    let device = x.device();
    let state = match v0 {
        Some(v0) => v0.duplicate()?,
        None => Tensor::empty(device, scan.state_shape()?, DType::F32)?,
    };
    let (saved, save) = match (keep, scan.lif.save) {
        (false, _) => (Tensor::empty(device, [1], DType::F32)?, 0),
        (true, Save::Membrane) => (Tensor::empty(device, scan.shape, DType::F32)?, 1),
        (true, Save::Checkpoints(every)) => {
            let rows = scan.steps().div_ceil(every as usize);
            (Tensor::empty(device, [rows, scan.columns()], DType::F32)?, 2)
        }
    };
    let packed = scan.lif.output == Spikes::Bits;
    let both = !packed && save == 2;
    let spikes = Tensor::empty(device, scan.shape, if packed { DType::Bits } else { DType::F32 })?;
    let words = if both {
        Some(Tensor::empty(device, scan.shape, DType::Bits)?)
    } else {
        (save == 2).then(|| spikes.clone())
    };
    let variant = if packed { 0 } else { 1 + usize::from(both) };
    let mut launch = scan.prepare(device, &LIF_FORWARD).variant_at(variant);
    launch = launch.constant("STATE", u32::from(v0.is_some())).constant("SAVE", save);
    if save == 2 {
        launch = launch.constant("EVERY", scan.every());
    }
    launch = launch.bind_next(x).bind_next(scan.decay.as_ref().unwrap_or(x));
    launch = launch.bind_next(scan.threshold.as_ref().unwrap_or(x));
    launch = launch.bind_next(scan.gain.as_ref().unwrap_or(x));
    launch = launch.bind_next(&state).bind_next(&saved).bind_next(&spikes);
    if both && let Some(words) = &words {
        launch = launch.bind_next(words);
    }
    launch.record()?;
    Ok(Forward { spikes, state, saved: keep.then_some(saved), words })
}
