//! Attention on spikes without a softmax: both forms, and dense f32 products of the same sizes.

use crate::harness::{Row, Suite};
use crate::input;
use spikegrad::attention::{Form, SpikeProduct};
use spikegrad::linalg::{Layout, matmul};
use spikegrad::{Device, Result, Tape, Tensor, elementwise};

/// Samples, heads, channels of a head.
const SAMPLES: usize = 1;
const HEADS: usize = 8;
const WIDTH: usize = 64;

/// The share of ones.
const RATE: f32 = 0.2;

pub fn measure(suite: &mut Suite) {
    let lengths: &[usize] =
        if suite.options.quick { &[64, 1024] } else { &[16, 64, 256, 1024, 4096] };
    for &s in lengths {
        for form in [Form::Linear, Form::Quadratic] {
            // At S = 4096 the scores of eight heads are 537 MB.
            if form == Form::Linear || s <= 1024 {
                spikes(suite, s, form);
            }
        }
        dense(suite, s);
        backward(suite, s);
    }
}

fn total(suite: &mut Suite, series: &str, s: usize, rows: &[Row]) {
    if !rows.is_empty() {
        let time: f64 = rows.iter().map(|r| r.median).sum();
        suite.point("spike product", series, s as f64, time / 1e6);
    }
}

fn spikes(suite: &mut Suite, s: usize, form: Form) {
    let shape = format!("{s}x{SAMPLES}x{HEADS}x{WIDTH} {form:?}");
    let rows = suite.case("attention", "spike product", &shape, |device| {
        let x = tokens(device, s)?;
        Ok(move || attend(&Tape::off(), &x, form).map(drop))
    });
    total(suite, &format!("{form:?}").to_lowercase(), s, &rows);
}

fn tokens(device: &Device, s: usize) -> Result<Tensor> {
    elementwise::pack(&input::spikes(device, [s, SAMPLES, HEADS * WIDTH], RATE)?)
}

fn attend(tape: &Tape, x: &Tensor, form: Form) -> Result<spikegrad::Var> {
    let x = tape.leaf(x);
    SpikeProduct::new(HEADS).form(form).attend(&x, &x, &x)
}

/// The products of the linear form on f32, with heads already in front: what packing is compared to.
fn dense(suite: &mut Suite, s: usize) {
    let shape = format!("{s}x{SAMPLES}x{HEADS}x{WIDTH} dense f32");
    let rows = suite.case("attention", "dense product", &shape, |device| {
        let x = input::spikes(device, [SAMPLES * HEADS, s, WIDTH], RATE)?;
        Ok(move || {
            let overlap = matmul(&x, &x, Layout::TN)?;
            matmul(&x, &overlap, Layout::NN).map(drop)
        })
    });
    total(suite, "dense f32", s, &rows);
}

fn backward(suite: &mut Suite, s: usize) {
    let shape = format!("{s}x{SAMPLES}x{HEADS}x{WIDTH} forward and backward");
    suite.case("attention", "spike product", &shape, |device| {
        let x = tokens(device, s)?;
        let cotangent = input::normal(device, [s, SAMPLES, HEADS * WIDTH])?;
        Ok(move || attend(&Tape::new(), &x, Form::Linear)?.backward_from(&cotangent).map(drop))
    });
}
