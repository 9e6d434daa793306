//! Elementwise kernels: bound by memory, one operation an element.

use crate::harness::Suite;
use crate::input;
use spikegrad::elementwise::{self, Activation, Binary, Unary};

pub fn measure(suite: &mut Suite) {
    let n = if suite.options.quick { 1 << 20 } else { 1 << 22 };
    let shape = format!("{n}");
    suite.case("elementwise", "binary", &shape, |device| {
        let (a, b) = (input::normal(device, [n])?, input::normal(device, [n])?);
        Ok(move || elementwise::binary(Binary::Mul, &a, &b).map(drop))
    });
    suite.case("elementwise", "binary_broadcast", &format!("{}x1024 * 1024", n / 1024), |device| {
        let (a, b) = (input::normal(device, [n / 1024, 1024])?, input::normal(device, [1024])?);
        Ok(move || elementwise::binary(Binary::Mul, &a, &b).map(drop))
    });
    suite.case("elementwise", "unary", &shape, |device| {
        let x = input::normal(device, [n])?;
        Ok(move || elementwise::unary(Unary::Exp, &x).map(drop))
    });
    suite.case("elementwise", "activate", &shape, |device| {
        let x = input::normal(device, [n])?;
        Ok(move || {
            let y = elementwise::activate(Activation::Gelu, &x)?;
            elementwise::activate_backward(Activation::Gelu, &x, &y).map(drop)
        })
    });
    suite.case("elementwise", "pack", &format!("{}x1024", n / 1024), |device| {
        let x = input::spikes(device, [n / 1024, 1024], 0.1)?;
        Ok(move || elementwise::unpack(&elementwise::pack(&x)?).map(drop))
    });
    suite.case("elementwise", "to_half", &shape, |device| {
        let x = input::normal(device, [n])?;
        Ok(move || elementwise::from_half(&elementwise::to_half(&x)?).map(drop))
    });
}
