//! Sums over rows, columns and everything.

use crate::harness::Suite;
use crate::input;
use spikegrad::reduce;

pub fn measure(suite: &mut Suite) {
    let n = if suite.options.quick { 1 << 20 } else { 1 << 22 };
    let layouts: [(&str, [usize; 2], &[usize]); 4] = [
        ("rows", [n / 1024, 1024], &[1]),
        ("columns", [n / 1024, 1024], &[0]),
        ("few long rows", [4, n / 4], &[1]),
        ("everything", [n / 1024, 1024], &[0, 1]),
    ];
    for (what, dims, axes) in layouts {
        let shape = format!("{}x{} {what}", dims[0], dims[1]);
        suite.case("reduce", "sum", &shape, |device| {
            let x = input::normal(device, dims)?;
            Ok(move || reduce::sum(&x, axes, false).map(drop))
        });
    }
}
