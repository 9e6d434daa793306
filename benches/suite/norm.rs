//! Normalisation of rows, forward and backward.

use crate::harness::Suite;
use crate::input;
use spikegrad::{DType, Tape, Tensor, elementwise};

/// Rows and their length: a small character model, and the widths of published ones.
const SHAPES: [[usize; 2]; 3] = [[2048, 160], [2048, 768], [4096, 1536]];

pub fn measure(suite: &mut Suite) {
    let shapes = if suite.options.quick { &SHAPES[..2] } else { &SHAPES };
    for [rows, length] in shapes.iter().copied() {
        suite.case("norm", "layer_norm", &format!("{rows}x{length}"), |device| {
            let x = input::normal(device, [rows, length])?;
            let gain = elementwise::full(device, [length], 1.0)?;
            let bias = Tensor::zeros(device, [length], DType::F32)?;
            Ok(move || {
                let tape = Tape::new();
                let [x, gain, bias] = [&x, &gain, &bias].map(|t| tape.leaf(t));
                let y = x.layer_norm(&gain, Some(&bias), 1e-5)?;
                y.backward_from(x.value()).map(drop)
            })
        });
    }
}
