//! What changes from step to step, in device memory.

use crate::error::Result;
use crate::host::{HostArgs, Real};
use crate::{DType, Device, Tensor};

crate::kernel! {
    /// Bias corrections of the steps that were not skipped, and the rest as it is.
    pub(super) static STEP_NUMBERS = "optim/step_numbers";
    params = struct StepNumbersParams {
        groups: u32,
    };
    oracle = step_numbers_oracle;
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
        let launch = launch.params(&StepNumbersParams { groups: groups.len() as u32 });
        let launch =
            launch.bind("inputs", &self.inputs).bind("clip", clip).bind("numbers", &self.values);
        launch.items(groups.len()).record()
    }
}

fn step_numbers_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let (inputs, clip, numbers) =
        (args.reals("inputs"), args.reals("clip"), args.reals_mut("numbers"));
    for (input, number) in inputs.chunks(INPUTS).zip(numbers.chunks_mut(COUNT)) {
        let mark = if input[12] == R::zero() { number[11] } else { clip[3] };
        number.copy_from_slice(&input[..COUNT]);
        number[11] = mark;
        let t = (input[11] - (clip[3] - mark)).max(R::one());
        let rest = |ln_beta: R| -(t * ln_beta).exp_m1();
        number[1] = rest(input[1]).recip();
        number[2] = rest(input[2]).sqrt().recip();
        if input[13] != R::zero() {
            number[8] = input[8] * number[2];
        }
    }
}
