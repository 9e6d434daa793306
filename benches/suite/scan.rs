//! Linear recurrences over time: the decay scan and WKV, forward and backward, by length at a fixed
//! amount of work, and with few columns.

use crate::harness::{Row, Suite};
use crate::input;
use spikegrad::scan::{Wkv, WkvState};
use spikegrad::{Device, Result, Tape, Tensor};

/// Lengths of the sequences.
const STEPS: [usize; 6] = [64, 256, 1024, 4096, 16_384, 65_536];

/// Columns that are too few to keep a device busy, at the greatest length.
const FEW: [usize; 2] = [1, 8];

/// Columns of a small model, at the greatest length.
const CHANNELS: usize = 256;

/// One of the operators.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Decay,
    Wkv,
}

impl Operator {
    fn name(self) -> &'static str {
        match self {
            Operator::Decay => "decay",
            Operator::Wkv => "wkv",
        }
    }

    /// Bytes an element that forward must move: what goes in and what comes out.
    fn bytes(self) -> f64 {
        match self {
            Operator::Decay => 8.0,
            Operator::Wkv => 12.0,
        }
    }
}

pub fn measure(suite: &mut Suite) {
    let work = if suite.options.quick { 1 << 19 } else { 1 << 22 };
    let few = if suite.options.quick { &FEW[..1] } else { &FEW };
    for operator in [Operator::Decay, Operator::Wkv] {
        for steps in STEPS {
            if let Some(fraction) = both_ways(suite, operator, steps, work / steps) {
                suite.point("scan", operator.name(), steps as f64, fraction);
            }
        }
        if !suite.options.quick {
            both_ways(suite, operator, STEPS[STEPS.len() - 1], CHANNELS);
        }
        for columns in few {
            both_ways(suite, operator, STEPS[STEPS.len() - 1], *columns);
        }
    }
    decoding(suite);
}

/// Forward alone, as in inference, and with backward, where all that can be learned is. The percentage
/// of the copy that forward reaches.
fn both_ways(suite: &mut Suite, operator: Operator, steps: usize, columns: usize) -> Option<f64> {
    let name = operator.name();
    let shape = format!("{steps}x{columns}");
    let forward = suite.case("scan", name, &format!("{shape} forward"), |device| {
        let inputs = Inputs::new(device, [steps, 1, columns])?;
        Ok(move || inputs.forward(&Tape::off(), operator).map(drop))
    });
    let fraction = whole(suite, operator, &shape, [steps, columns], &forward);
    suite.case("scan", name, &format!("{shape} with backward"), |device| {
        let inputs = Inputs::new(device, [steps, 1, columns])?;
        Ok(move || {
            let y = inputs.forward(&Tape::new(), operator)?;
            y.backward_from(&inputs.gradient).map(drop)
        })
    });
    fraction
}

/// All launches of forward together: chunks take three, of which only what an element must move at
/// the least is counted.
fn whole(
    suite: &mut Suite,
    operator: Operator,
    shape: &str,
    [steps, columns]: [usize; 2],
    rows: &[Row],
) -> Option<f64> {
    if rows.is_empty() {
        return None;
    }
    let nanoseconds: f64 = rows.iter().map(|row| row.fastest).sum();
    let bytes = operator.bytes() * (steps * columns) as f64;
    let fraction = 100.0 * suite.roofline.fraction(bytes, 0.0, nanoseconds)?;
    suite.figure(format!("{} {shape}, forward, of the copy", operator.name()), fraction, "%");
    Some(fraction)
}

/// What goes into either operator.
struct Inputs {
    x: Tensor,
    v: Tensor,
    channel: Tensor,
    gradient: Tensor,
}

impl Inputs {
    fn new(device: &Device, shape: [usize; 3]) -> Result<Self> {
        Ok(Self {
            x: input::normal(device, shape)?,
            v: input::normal(device, shape)?,
            channel: input::normal(device, [shape[2]])?,
            gradient: input::normal(device, shape)?,
        })
    }

    fn forward(&self, tape: &Tape, operator: Operator) -> Result<spikegrad::Var> {
        let [x, v, w, u] = [&self.x, &self.v, &self.channel, &self.channel].map(|t| tape.leaf(t));
        match operator {
            Operator::Decay => Ok(x.decay_scan(&w, None)?.h),
            Operator::Wkv => Ok(Wkv::new().scan(&x, &v, &w, &u, None)?.y),
        }
    }
}

/// One token a call.
fn decoding(suite: &mut Suite) {
    let columns = 1024;
    suite.case("scan", "wkv", &format!("1x{columns} decoding"), |device| {
        let inputs = Inputs::new(device, [1, 1, columns])?;
        let state = WkvState::empty(device, &[1, columns])?;
        Ok(move || {
            let tape = Tape::off();
            let [x, v, channel] = [&inputs.x, &inputs.v, &inputs.channel].map(|t| tape.constant(t));
            Wkv::new().scan(&x, &v, &channel, &channel, Some(&state)).map(drop)
        })
    });
}
