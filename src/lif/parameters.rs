//! Gradients of decay, threshold and gain: sums over the batch.

use super::backward::{DECAY, GAIN, Saved, THRESHOLD};
use super::neuron::{EACH, FIXED, Save};
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::tape::Backward;
use crate::{DType, Result, Tensor};

/// `g[n] = sum over the batch of sums[k, b, n]`
pub(super) static LIF_PARAMETERS: Kernel = Kernel::new(
    "lif",
    "lif_parameters",
    shader!("lif/lif_parameters"),
    crate::twin!(twin::parameters),
)
.params::<Params>()
.turns(|args| {
    // Over all columns by a workgroup, or over the batch by its eighths.
    let p: Params = args.params();
    u64::from(p.columns.div_ceil(p.neurons.saturating_mul(8).clamp(1, 256))) + 12
});

crate::params! {
    pub(super) struct Params {
        columns: u32,
        neurons: u32,
    }
}

/// The rows that backward leaves: dL/dv0, decay, threshold, gain, gh of the first step.
pub(super) const ROWS: usize = 5;

/// Gives the gradients of the parameters that are learned.
pub(super) fn reduce(
    saved: &Saved,
    bw: &mut Backward<'_>,
    learn: [bool; 3],
    sums: &Tensor,
) -> Result<()> {
    let scan = &saved.scan;
    let device = sums.device();
    let values = [&scan.decay, &scan.threshold, &scan.gain];
    let forms = [scan.forms.decay, scan.forms.threshold, scan.forms.gain];
    let mut gradients = Vec::with_capacity(3);
    let mut reduced = [FIXED; 3];
    for (i, learned) in learn.into_iter().enumerate() {
        gradients.push(match values[i] {
            Some(value) if learned => {
                reduced[i] = forms[i];
                Tensor::empty(device, value.shape(), DType::F32)?
            }
            _ => Tensor::empty(device, [1], DType::F32)?,
        });
    }
    // With checkpoints the sums hold the share of the first state already.
    let v0 = saved.v0.as_ref().filter(|_| learn[0] && scan.lif.save == Save::Membrane);
    let params = Params { columns: scan.params.columns, neurons: scan.params.neurons };
    let mut launch = device.launch(&LIF_PARAMETERS).params(&params);
    for (name, form) in ["DECAY", "THRESHOLD", "GAIN"].into_iter().zip(reduced) {
        launch = launch.constant(name, form);
    }
    launch = launch.constant("STATE", u32::from(v0.is_some()));
    launch = launch.bind_next(sums).bind_next(v0.unwrap_or(sums));
    for gradient in &gradients {
        launch = launch.bind_next(gradient);
    }
    // A workgroup is 32 neurons wide, or one sum.
    let tiled = reduced.contains(&EACH);
    launch = launch.items_of(if tiled { scan.params.neurons as usize } else { 1 }, 32);
    launch.layers(3).record()?;
    for (input, gradient) in [DECAY, THRESHOLD, GAIN].into_iter().zip(gradients) {
        bw.give(input, gradient);
    }
    Ok(())
}
