//! Neurons by equations, forward and backward, at the shapes of the LIF scan: that of the comparisons, which
//! the LIF scan is too, and one with two states.

use crate::harness::Suite;
use crate::input;
use crate::lif::{DEVIATION, SHAPES};
use spikegrad::lif::{Spikes, Surrogate};
use spikegrad::neuron::{Equations, Neuron, Synaptic};
use spikegrad::{Result, Tape, Var};

pub fn measure(suite: &mut Suite) {
    let shapes = if suite.options.quick { &SHAPES[..2] } else { &SHAPES };
    for shape in shapes {
        both_ways(suite, *shape, "leaky", |x| {
            let out = Neuron::define("leaky", leaky)?.scan(&[x])?;
            Ok(out.emitted.into_iter().next().unwrap_or(out.state))
        });
        both_ways(suite, *shape, "synaptic", |x| {
            let neuron = Synaptic::new(0.5, 0.9).detach_reset(false).output(Spikes::Bits);
            Ok(neuron.scan(x, None)?.spikes)
        });
    }
}

/// [`neuron`](crate::lif::neuron) of the LIF scan.
fn leaky(n: &Equations) {
    let (x, v) = (n.input("x"), n.state("v", 0.0));
    let (decay, threshold) = (n.param("decay", 0.9), n.param("threshold", 1.0));
    let h = decay * v + x;
    let s = n.fire(h - threshold, Surrogate::Atan(2.0));
    n.next(v, h - s * threshold);
    n.emit(s);
}

fn both_ways(suite: &mut Suite, [t, b, n]: [usize; 3], name: &str, scan: fn(&Var) -> Result<Var>) {
    suite.case("neuron", name, &format!("{t}x{b}x{n}"), |device| {
        let x = input::scaled_normal(device, [t, b, n], DEVIATION)?;
        let cotangent = input::normal(device, [t, b, n])?;
        Ok(move || {
            let tape = Tape::new();
            scan(&tape.leaf(&x))?.backward_from(&cotangent).map(drop)
        })
    });
}
