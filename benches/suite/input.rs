//! Inputs: the same on every machine, and the same as those of `benches/burn`.

use spikegrad::{Device, IntoShape, Result, Tensor};

/// Uniform in [0, 1): the stream of `benches/burn/src/main.rs`.
pub fn xorshift(mut state: u64) -> impl FnMut() -> f32 {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    }
}

/// The seed of the stream.
pub const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// Standard normal values.
pub fn normal(device: &Device, shape: impl IntoShape) -> Result<Tensor> {
    scaled_normal(device, shape, 1.0)
}

/// Normal values with this standard deviation (Box and Muller).
pub fn scaled_normal(device: &Device, shape: impl IntoShape, deviation: f32) -> Result<Tensor> {
    let shape = shape.into_shape()?;
    let mut uniform = xorshift(SEED);
    let mut value = || {
        let (radius, angle) = (1.0 - uniform(), uniform() * std::f32::consts::TAU);
        (-2.0 * radius.ln()).sqrt() * angle.cos() * deviation
    };
    let values: Vec<f32> = (0..shape.count()).map(|_| value()).collect();
    Tensor::from_slice(device, &values, shape)
}

/// Spikes as floats: ones with probability `rate`, zeros else.
pub fn spikes(device: &Device, shape: impl IntoShape, rate: f32) -> Result<Tensor> {
    let shape = shape.into_shape()?;
    let mut uniform = xorshift(SEED);
    let values: Vec<f32> = (0..shape.count()).map(|_| f32::from(uniform() < rate)).collect();
    Tensor::from_slice(device, &values, shape)
}
