//! Gradients of decay, threshold and gain: sums over the batch.

use super::layer::Scan;
use super::params::{EACH, FIXED, SCALAR};
use crate::host::{HostArgs, Real};
use crate::kernel::CostArgs;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `g[n] = sum over the batch of sums[k, b, n]`
    pub(super) static LIF_PARAMETERS = "lif/lif_parameters";
    params = struct NeuronParams { columns: u32, neurons: u32 };
    oracle = lif_parameters;
    iterations = iterations;
}

fn iterations(args: &CostArgs<'_>) -> u64 {
    let p: NeuronParams = args.params();
    batch_iterations(p.columns, p.neurons)
}

/// The iterations of a sum as in `shared/batch.wgsl`: a lane's share, over all columns by a workgroup or over
/// the batch by its eighths, and the tree.
pub(crate) fn batch_iterations(columns: u32, neurons: u32) -> u64 {
    u64::from(columns.div_ceil(neurons.saturating_mul(8).clamp(1, 256))) + 12
}

/// The parameters, in the order of the rows below the first.
const NAMES: [&str; 3] = ["DECAY", "THRESHOLD", "GAIN"];
const GRADIENTS: [&str; 3] = ["gdecay", "gthreshold", "ggain"];

fn lif_parameters<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NeuronParams = args.params();
    let (columns, neurons) = (p.columns as usize, p.neurons as usize);
    let (sums, v0) = (args.reals("sums"), args.reals("v0"));
    let has_state = args.flag("STATE");
    for (k, (name, gradient)) in NAMES.into_iter().zip(GRADIENTS).enumerate() {
        let form = args.constant(name);
        if form == FIXED {
            continue;
        }
        let gradient = args.reals_mut(gradient);
        gradient.fill(R::zero());
        for c in 0..columns {
            let mut share = sums[(k + 1) * columns + c];
            if has_state && k == 0 {
                share += sums[4 * columns + c] * v0[c];
            }
            gradient[if form == SCALAR { 0 } else { c % neurons }] += share;
        }
    }
}

/// The rows that backward leaves: dL/dv0, decay, threshold, gain, gh of the first step.
pub(super) const ROWS: usize = 5;

/// Neurons of a workgroup (`shared/batch.wgsl`).
pub(crate) const TILE: usize = 32;

/// The gradients of the parameters that are learned. `v0`: the first state, where its share of the
/// decay is still to be added.
pub(super) fn reduce(
    scan: &Scan,
    v0: Option<&Tensor>,
    learn: [bool; 3],
    sums: &Tensor,
) -> Result<[Option<Tensor>; 3]> {
    let values = [&scan.decay, &scan.threshold, &scan.gain];
    let forms = [scan.forms.decay, scan.forms.threshold, scan.forms.gain];
    let params = NeuronParams { columns: scan.params.columns, neurons: scan.params.neurons };
    let mut launch = sums.device().launch(&LIF_PARAMETERS).params(&params);
    launch = launch.constant("STATE", v0.is_some()).bind("sums", sums).bind_if("v0", v0);
    let mut gradients = [const { None }; 3];
    let mut groups = 1;
    for i in 0..3 {
        let value = values[i].as_ref().filter(|_| learn[i]);
        if let Some(value) = value {
            gradients[i] = Some(Tensor::empty(sums.device(), value.shape(), DType::F32)?);
            if forms[i] == EACH {
                groups = (scan.params.neurons as usize).div_ceil(TILE);
            }
        }
        launch = launch.constant(NAMES[i], if value.is_some() { forms[i] } else { FIXED });
        launch = launch.bind_if(GRADIENTS[i], gradients[i].as_ref());
    }
    launch.workgroups(groups).layers(3).record()?;
    Ok(gradients)
}
