//! Gradients of parameters: sums over the batch.

use super::layer::Layer;
use super::params::{EACH, FIXED, MOST, form};
use crate::host::{HostArgs, Real};
use crate::kernel::CostArgs;
use crate::lif::parameters::{TILE, batch_iterations};
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `g[n] = sum over the batch of sums[k, b, n]`
    pub(super) static PARAMETER_SUMS = "recur/parameter_sums";
    params = struct SumParams { columns: u32, neurons: u32, states: u32 };
    oracle = parameter_sums;
    iterations = iterations;
}

/// A sum over the batch, after the places of the parameters before.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let p: SumParams = args.params();
    batch_iterations(p.columns, p.neurons) + MOST as u64
}

fn parameter_sums<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: SumParams = args.params();
    let [columns, neurons, states] = [p.columns, p.neurons, p.states].map(|n| n as usize);
    let (sums, forms) = (args.reals("sums"), args.constant("FORMS"));
    let gradient = args.reals_mut("gradient");
    gradient.fill(R::zero());
    let mut start = 0;
    for k in (0..MOST).filter(|k| form(forms, *k) != FIXED) {
        let count = if form(forms, k) == EACH { neurons } else { 1 };
        for c in 0..columns {
            gradient[start + c % count] += sums[(states + k) * columns + c];
        }
        start += count;
    }
}

/// The gradients of all parameters that are tensors, one behind the other.
pub(super) fn reduce(layer: &Layer, sums: &Tensor) -> Result<Tensor> {
    let device = sums.device();
    let parameters = layer.definition().parameters.len();
    let each = (0..parameters).any(|k| form(layer.forms, k) == EACH);
    let count = layer.packed.as_ref().map_or(0, Tensor::count);
    let gradient = Tensor::empty(device, [count], DType::F32)?;
    let params = SumParams {
        columns: layer.columns() as u32,
        neurons: layer.neurons() as u32,
        states: layer.definition().states.len() as u32,
    };
    let launch = device.launch(&PARAMETER_SUMS).params(&params).constant("FORMS", layer.forms);
    let launch = launch.bind("sums", sums).bind("gradient", &gradient);
    let groups = if each { layer.neurons().div_ceil(TILE) } else { 1 };
    launch.workgroups(groups).layers(parameters as u32).record()?;
    Ok(gradient)
}
