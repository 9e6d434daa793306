//! Neurons on the driver of recurrences, forward and backward, at the shapes of the LIF scan.

use crate::harness::Suite;
use crate::input;
use crate::lif::{DEVIATION, SHAPES};
use spikegrad::Tape;
use spikegrad::lif::Spikes;
use spikegrad::neuron::Synaptic;

pub fn measure(suite: &mut Suite) {
    let shapes = if suite.options.quick { &SHAPES[..2] } else { &SHAPES };
    for [t, b, n] in shapes.iter().copied() {
        suite.case("neuron", "synaptic", &format!("{t}x{b}x{n}"), |device| {
            let x = input::scaled_normal(device, [t, b, n], DEVIATION)?;
            let cotangent = input::normal(device, [t, b, n])?;
            let neuron = Synaptic::new(0.5, 0.9).detach_reset(false).output(Spikes::Bits);
            Ok(move || {
                let tape = Tape::new();
                let spikes = neuron.scan(&tape.leaf(&x), None)?.spikes;
                spikes.backward_from(&cotangent).map(drop)
            })
        });
    }
}
