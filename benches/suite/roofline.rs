//! What the device can reach: a copy kernel for bandwidth, an FMA kernel for arithmetic, both
//! measured in the run that uses them.

use crate::harness::{Row, Suite};
use spikegrad::{DType, Tensor, elementwise};

/// The two roofs.
#[derive(Debug, Clone, Default)]
pub struct Roofline {
    /// (bytes moved, bytes per nanosecond) of copies of growing size.
    pub copies: Vec<(f64, f64)>,
    /// Floating-point operations per nanosecond.
    pub flops: f64,
}

impl Roofline {
    /// The most gigabytes per second for work that moves `bytes`: the best rate of any copy of at
    /// least that size, so that data that fits a cache is measured against the cache.
    pub fn bandwidth(&self, bytes: f64) -> f64 {
        let largest = self.copies.iter().map(|(size, _)| *size).fold(0.0, f64::max);
        let fits = self.copies.iter().filter(|(size, _)| *size >= bytes.min(largest));
        fits.map(|(_, rate)| *rate).fold(0.0, f64::max)
    }

    /// The share of the roofline that work of this cost reaches: the time of the slower bound over
    /// the time it took.
    pub fn fraction(&self, bytes: f64, flops: f64, nanoseconds: f64) -> Option<f64> {
        let bandwidth = self.bandwidth(bytes);
        let memory = if bandwidth > 0.0 { bytes / bandwidth } else { 0.0 };
        let arithmetic = if self.flops > 0.0 { flops / self.flops } else { 0.0 };
        let bound = memory.max(arithmetic);
        (bound > 0.0 && nanoseconds > 0.0).then(|| bound / nanoseconds)
    }
}

/// Bytes that the copies move (read and written together).
fn copy_sizes(quick: bool) -> &'static [usize] {
    if quick { &[1 << 20, 16 << 20] } else { &[1 << 18, 1 << 20, 4 << 20, 16 << 20, 64 << 20] }
}

/// Measures both roofs, each by the fastest of its repeats. A `--filter` does not leave them out: every fraction rests on them.
pub fn measure(suite: &mut Suite) {
    let filter = if suite.options.list { None } else { suite.options.filter.take() };
    for bytes in copy_sizes(suite.options.quick) {
        let n = bytes / 8;
        let rows = suite.case("elementwise", "copy", &crate::text::size(*bytes), |device| {
            let x = Tensor::zeros(device, [n], DType::F32)?;
            Ok(move || elementwise::copy(&x).map(drop))
        });
        if let [row] = rows.as_slice() {
            let rate = row.bytes / row.fastest;
            suite.roofline.copies.push((row.bytes, rate));
            suite.point("bandwidth", "copy", row.bytes, rate);
        }
    }
    // Long enough that neither the launch nor the final sums count.
    let (items, rounds) =
        if suite.device.capabilities().software { (1 << 15, 128) } else { (1 << 19, 256) };
    let rows = suite.case("elementwise", "fma_peak", &format!("{items} x {rounds}"), |device| {
        let device = device.clone();
        Ok(move || elementwise::fma_peak(&device, items, rounds).map(drop))
    });
    if let [row] = rows.as_slice() {
        suite.roofline.flops = row.flops / row.fastest;
    }
    suite.options.filter = suite.options.filter.take().or(filter);
    refresh(suite);
}

/// Products of more than this many times the rate of the multiply-adds: no other work on the machine slows
/// all repeats of one and none of the other that much.
const BEYOND: f64 = 3.0;

/// A matrix product cannot be faster than multiply-adds in registers. One that is says that these are not
/// compiled to what the device has, and that no fraction of the roofline can be trusted.
pub fn check(suite: &mut Suite) {
    let roof = suite.roofline.flops;
    let products = suite.rows.iter().filter(|row| row.family == "linalg");
    let best = products.map(|row| row.flops / row.fastest).fold(0.0, f64::max);
    if suite.device.is_host() && best > BEYOND * roof {
        let error = format!("{roof:.1} GFLOP/s, but a product reaches {best:.1}");
        suite.fail("elementwise/fma_peak", &error);
    }
}

/// The first rows were measured before the roofs were known.
fn refresh(suite: &mut Suite) {
    let roofline = suite.roofline.clone();
    let fraction = |r: &Row| roofline.fraction(r.bytes, r.flops, r.median);
    suite.rows.iter_mut().for_each(|r| r.roofline = fraction(r));
}
