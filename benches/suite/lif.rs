//! The LIF scan: forward and backward by shape, by T at a fixed amount of work, and step by step.

use crate::harness::{Row, Suite};
use crate::input;
use spikegrad::lif::{Lif, Reset, Save, Spikes};
use spikegrad::{Device, Result, Tape, Tensor};

/// (T, B, N) of the comparisons with other implementations.
pub const SHAPES: [[usize; 3]; 4] =
    [[16, 64, 512], [64, 32, 1024], [256, 16, 1024], [1024, 8, 512]];

/// The neuron of the comparisons: decay 0.9, soft reset with its gradient, `Atan(2)`.
pub fn neuron() -> Lif {
    Lif::new().decay(0.9).reset(Reset::Soft).detach_reset(false)
}

/// A standard deviation of the input that gives about one spike in ten.
pub const DEVIATION: f32 = 0.85;

pub fn measure(suite: &mut Suite) {
    let shapes = if suite.options.quick { &SHAPES[..2] } else { &SHAPES };
    for shape in shapes {
        both_ways(suite, *shape, "", neuron());
        let small = neuron().output(Spikes::Bits).save(Save::Checkpoints(16));
        both_ways(suite, *shape, " bits, checkpoints", small);
        step_by_step(suite, *shape);
    }
    by_steps(suite);
}

fn both_ways(suite: &mut Suite, [t, b, n]: [usize; 3], what: &str, lif: Lif) -> Vec<Row> {
    suite.case("lif", "scan", &format!("{t}x{b}x{n}{what}"), |device| {
        let pass = Pass::new(device, [t, b, n], lif)?;
        Ok(move || pass.run().map(drop))
    })
}

/// A forward and a backward pass.
pub struct Pass {
    lif: Lif,
    x: Tensor,
    cotangent: Tensor,
}

impl Pass {
    pub fn new(device: &Device, shape: [usize; 3], lif: Lif) -> Result<Self> {
        let x = input::scaled_normal(device, shape, DEVIATION)?;
        Ok(Self { lif, x, cotangent: input::normal(device, shape)? })
    }

    /// The gradient of the input.
    pub fn run(&self) -> Result<Option<Tensor>> {
        let tape = Tape::new();
        let x = tape.leaf(&self.x);
        let spikes = self.lif.scan(&x, None)?.spikes;
        Ok(spikes.backward_from(&self.cotangent)?.get(&x).cloned())
    }
}

/// One step a call, as in inference on a stream.
fn step_by_step(suite: &mut Suite, [_, b, n]: [usize; 3]) {
    suite.case("lif", "step", &format!("1x{b}x{n} step"), |device| {
        let (x, state) = (input::normal(device, [1, b, n])?, input::normal(device, [b, n])?);
        Ok(move || {
            let tape = Tape::off();
            neuron().scan(&tape.constant(&x), Some(&tape.constant(&state))).map(drop)
        })
    });
}

/// T from 16 to 4096 at a fixed T B N: what a step in time costs.
fn by_steps(suite: &mut Suite) {
    let work = if suite.options.quick { 1 << 19 } else { 1 << 22 };
    for t in [16, 64, 256, 1024, 4096] {
        for row in both_ways(suite, [t, 1, work / t], "", neuron()) {
            suite.point("lif", row.kernel.clone(), t as f64, row.median / 1e6);
        }
    }
}
