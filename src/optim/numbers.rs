//! What changes from step to step, in device memory.

use super::twin;
use crate::error::Result;
use crate::kernel::{Kernel, shader};
use crate::{DType, Device, Tensor};

/// Bias corrections of the steps that were not skipped, and the rest as it is.
pub(super) static STEP_NUMBERS: Kernel = Kernel::new(
    "optim",
    "step_numbers",
    shader!("optim/step_numbers"),
    crate::twin!(twin::step_numbers),
)
.params::<Params>();

crate::params! {
    pub(super) struct Params {
        groups: u32,
    }
}

/// Numbers of a group on the device; where each stands is said in `shared/numbers.wgsl`.
pub(super) const COUNT: usize = 12;
/// Numbers of a group that the host writes.
pub(super) const INPUTS: usize = 14;

/// The numbers of one group at one step, before the device corrects them for skipped steps.
#[derive(Debug, Clone, Copy)]
pub struct Inputs {
    pub(super) rate: f64,
    /// Decay rates whose bias is corrected; 0 for none.
    pub(super) betas: [f64; 2],
    /// Multiplies the update, apart from the rate.
    pub(super) factor: f64,
    /// Weight and decay rate of the slow moment.
    pub(super) mix: f64,
    pub(super) beta3: f64,
    /// A gradient's square may be this many second moments; 0 for no limit.
    pub(super) spikes: f64,
    pub(super) eps: f64,
    /// Multiplies a direction that is written for another kernel.
    pub(super) shrink: f64,
    /// Which mask is drawn.
    pub(super) draw: u64,
    /// Steps since the last restart, this one included.
    pub(super) age: u64,
    /// Whether the moments start anew at this step.
    pub(super) restart: bool,
    /// Whether the second correction is applied to eps too.
    pub(super) eps_inside: bool,
}

impl Inputs {
    /// Those of a rule that has none, at step `step`.
    pub(super) fn new(step: u64, rate: f64) -> Self {
        Self {
            rate,
            betas: [0.0; 2],
            factor: 1.0,
            mix: 0.0,
            beta3: 0.0,
            spikes: 0.0,
            eps: 0.0,
            shrink: 1.0,
            draw: 0,
            age: step,
            restart: false,
            eps_inside: false,
        }
    }

    fn row(&self) -> [f64; INPUTS] {
        // The logarithm of 0, as far down as makes no difference.
        let ln = |beta: f64| beta.ln().max(-1e3);
        let [beta1, beta2] = self.betas.map(ln);
        let flag = |on: bool| f64::from(u8::from(on));
        // Where the count of steps starts anew, so does that of skipped ones.
        let (restart, inside) = (flag(self.restart && self.age == 1), flag(self.eps_inside));
        [
            self.rate,
            beta1,
            beta2,
            self.factor,
            self.mix,
            self.beta3,
            1.0 - self.beta3,
            self.spikes,
            self.eps,
            self.shrink,
            self.draw as f64,
            self.age as f64,
            restart,
            inside,
        ]
    }
}

/// The numbers of all groups of an optimizer.
#[derive(Debug)]
pub(super) struct Numbers {
    inputs: Tensor,
    /// `[groups, COUNT]`
    pub(super) values: Tensor,
}

impl Numbers {
    pub(super) fn new(device: &Device, groups: usize) -> Result<Self> {
        let inputs = Tensor::zeros(device, [groups, INPUTS], DType::F32)?;
        Ok(Self { inputs, values: Tensor::zeros(device, [groups, COUNT], DType::F32)? })
    }

    /// The rate 1 and nothing else, for one group.
    pub(super) fn unit(device: &Device) -> Result<Self> {
        let numbers = Self::new(device, 1)?;
        let mut values = [0.0; COUNT];
        (values[0], values[3]) = (1.0, 1.0);
        numbers.values.write(&values)?;
        Ok(numbers)
    }

    /// The tensors that [`write`](Self::write) writes.
    pub(super) fn tensors(&self) -> [&Tensor; 2] {
        [&self.inputs, &self.values]
    }

    /// Writes those of the next step, corrected by the steps that `clip` counts as skipped.
    pub(super) fn write(&self, groups: &[Inputs], clip: &Tensor) -> Result<()> {
        let rows: Vec<f64> = groups.iter().flat_map(Inputs::row).collect();
        self.inputs.write(&rows)?;
        let launch = self.inputs.device().launch(&STEP_NUMBERS);
        let launch = launch.params(&Params { groups: groups.len() as u32 });
        let launch = launch.bind_next(&self.inputs).bind_next(clip).bind_next(&self.values);
        launch.items_of(groups.len(), 64).record()
    }
}
