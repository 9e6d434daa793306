//! Positional spike codes of central pattern generators: constants, made once on the host.

use crate::narrow::positive;
use crate::{DType, Device, Result, Tensor};

/// Above this an oscillation is a spike.
const THRESHOLD: f64 = 0.8;
/// The ratio of the fastest to the slowest frequency.
const SPAN: f64 = 1e4;

/// Codes of CPG-PE: channel i of position t fires where `sin(t w_i) > 0.8`, i even, or
/// `cos(t w_i) > 0.8`, i odd, `w_i = 10000^{-2 floor(i / 2) / channels}`.
///
/// Packed bits `[steps, positions, channels]`; t runs over all `steps positions`, steps outermost.
///
/// Source: Lv et al. 2024, Advancing Spiking Neural Networks for Sequential Modeling with Central
/// Pattern Generators; released code.
///
/// # Errors
/// [`Error::Limit`](crate::Error::Limit) for too large a tensor.
pub fn cpg_codes(
    device: &Device,
    steps: usize,
    positions: usize,
    channels: usize,
) -> Result<Tensor> {
    codes(device, [steps, positions, channels], |t, i| {
        let angle = t * SPAN.powf(-2.0 * (i / 2) as f64 / channels as f64);
        if i % 2 == 0 { angle.sin() } else { angle.cos() }
    })
}

/// Codes of SpikF-GO: of each of `pairs` frequencies, the angle of position t is
/// `t 10000^{-i / pairs} / tau`; channel i fires where its cosine is above 0.8, channel `pairs + i`
/// where its sine is.
///
/// With `tau` = 10000, as released, the angle is below 1 for any t below 10000, and the codes
/// hardly change; `tau` = 1 gives rhythms. Packed bits `[steps, positions, 2 pairs]`.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for a tau that is not above 0;
/// [`Error::Limit`](crate::Error::Limit) for too large a tensor.
pub fn cpg_pairs(
    device: &Device,
    steps: usize,
    positions: usize,
    pairs: usize,
    tau: f64,
) -> Result<Tensor> {
    positive("cpg_pairs", "tau", tau)?;
    codes(device, [steps, positions, pairs.saturating_mul(2)], |t, i| {
        let angle = t * SPAN.powf(-((i % pairs) as f64) / pairs as f64) / tau;
        if i < pairs { angle.cos() } else { angle.sin() }
    })
}

fn codes(
    device: &Device,
    [steps, positions, channels]: [usize; 3],
    oscillation: impl Fn(f64, usize) -> f64,
) -> Result<Tensor> {
    let shape = [steps, positions, channels];
    // Sizes are refused before a list is made of them.
    let count = Tensor::empty(device, shape, DType::Bits)?.count();
    let all = if count == 0 { 0 } else { steps * positions };
    let spike = |t: usize, i: usize| oscillation(t as f64, i) > THRESHOLD;
    let spikes = (0..all).flat_map(|t| (0..channels).map(move |i| (t, i)));
    let spikes: Vec<bool> = spikes.map(|(t, i)| spike(t, i)).collect();
    Tensor::from_bools(device, &spikes, shape)
}
