//! The backward launch.

use super::neuron::{SPATIAL, Save, TIED};
use super::scan::{Params, Scan};
use super::{parameters, twin};
use crate::kernel::{Cost, CostArgs, Kernel, Needs, Variant, shader};
use crate::tape::Backward;
use crate::{DType, Result, Tensor};

/// `gx` from `gs` and the saved membrane, from the last step to the first
pub(super) static LIF_BACKWARD: Kernel =
    Kernel::new("lif", "lif_backward", shader!("lif/lif_backward"), crate::twin!(twin::backward))
        .params::<Params>()
        .variants(VARIANTS)
        .cost(cost)
        .turns(|args| {
            let steps = u64::from(args.params::<Params>().steps);
            match args.constant_or("EVERY", 0) {
                0 => steps + 16,
                // Each chunk is walked along twice.
                every => steps.div_ceil(every) * (2 * every + 3) + 2,
            }
        });

const VARIANTS: &[Variant] = &[
    Variant { name: "membrane", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "checkpoints", conditions: &["CHECKPOINTS"], needs: Needs::NOTHING },
];

/// The upstream gradient, what was saved, the input where it is read, the gradients.
fn cost(args: &CostArgs<'_>) -> Cost {
    let set = |name: &str| args.constants.iter().find(|c| c.0 == name).map_or(0, |c| c.1 as u32);
    let checkpoints = set("EVERY") != 0;
    let learn = set("LEARN");
    let reads_x = checkpoints || learn & 4 != 0 || learn & 1 != 0 && set("GAIN") == TIED;
    let mut moved = args.words[1] + args.words[6] + args.words[7];
    moved += if set("UPSTREAM") & 1 != 0 { args.words[0] } else { 0 };
    moved += if reads_x { args.words[2] } else { 0 };
    moved += if checkpoints { args.words[5] } else { 0 };
    Cost { bytes: moved as f64 * 4.0, flops: args.words[6] as f64 * 14.0 }
}

/// The places of the inputs of the recorded operator.
pub(super) const X: usize = 0;
pub(super) const STATE: usize = 1;
pub(super) const DECAY: usize = 2;
pub(super) const THRESHOLD: usize = 3;
pub(super) const GAIN: usize = 4;

/// What forward keeps.
pub(super) struct Saved {
    pub(super) scan: Scan,
    /// Membranes, or checkpoints.
    pub(super) membrane: Tensor,
    /// The spikes, with checkpoints.
    pub(super) words: Option<Tensor>,
    /// The input, where it is read again.
    pub(super) x: Option<Tensor>,
    /// The first state, where the decay is learned.
    pub(super) v0: Option<Tensor>,
}

impl Saved {
    /// Gives the gradients of all inputs.
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let scan = &self.scan;
        let device = self.membrane.device();
        let learn = [DECAY, THRESHOLD, GAIN].map(|input| bw.needs(input));
        let state_shape = scan.state_shape()?;
        let rows = if learn.contains(&true) { parameters::ROWS } else { 1 };
        let sums = Tensor::empty(device, [rows, scan.columns()], DType::F32)?;
        // Its first row is a tensor of its own: dL/dv at the end before, at the start after.
        let carry = sums.with_words_as(DType::F32, state_shape);
        if let Some(upstream) = bw.upstream(1)
            && scan.lif.gradient_code() != SPATIAL
        {
            carry.copy_from(upstream)?;
        }
        let gx = Tensor::empty(device, scan.shape, DType::F32)?;
        self.launch(bw, learn, &gx, &sums)?;
        if rows > 1 {
            parameters::reduce(&self, bw, learn, &sums)?;
        }
        bw.give(X, gx);
        bw.give(STATE, carry);
        Ok(())
    }

    fn launch(
        &self,
        bw: &Backward<'_>,
        learn: [bool; 3],
        gx: &Tensor,
        sums: &Tensor,
    ) -> Result<()> {
        let scan = &self.scan;
        let any = &self.membrane;
        let upstream =
            u32::from(bw.upstream(0).is_some()) | u32::from(bw.upstream(1).is_some()) << 1;
        let learn = learn.iter().rev().fold(0, |mask, on| mask << 1 | u32::from(*on));
        let checkpoints = matches!(scan.lif.save, Save::Checkpoints(_));
        let mut launch = scan.prepare(any.device(), &LIF_BACKWARD);
        launch = launch.variant_at(usize::from(checkpoints));
        launch = launch.constant("GRADIENT", scan.lif.gradient_code());
        launch = launch.constant("SURROGATE", scan.lif.surrogate_code());
        launch = launch.constant("UPSTREAM", upstream).constant("LEARN", learn);
        if checkpoints {
            launch = launch.constant("EVERY", scan.every());
        }
        launch = launch.bind_next(bw.upstream(0).unwrap_or(any)).bind_next(any);
        launch = launch.bind_next(self.x.as_ref().unwrap_or(any));
        launch = launch.bind_next(scan.decay.as_ref().unwrap_or(any));
        launch = launch.bind_next(scan.threshold.as_ref().unwrap_or(any));
        launch = match &self.words {
            Some(words) => launch.bind_next(words),
            None => launch.bind_next(scan.gain.as_ref().unwrap_or(any)),
        };
        launch.bind_next(gx).bind_next(sums).record()
    }
}
