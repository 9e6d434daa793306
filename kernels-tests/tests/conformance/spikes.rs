//! What tests of spiking neurons share.

use spikegrad::{DType, Tensor};

/// Whether each neuron fired at each step.
pub fn bits(spikes: &Tensor) -> Vec<bool> {
    if spikes.dtype() == DType::Bits {
        return spikes.to_bools().unwrap();
    }
    let all = spikes.to_vec::<f32>().unwrap();
    assert!(all.iter().all(|s| *s == 0.0 || *s == 1.0), "spikes are 0 or 1");
    all.iter().map(|s| *s == 1.0).collect()
}

/// The size of all terms of a sum over the gradient of the input.
pub fn terms(input: &Tensor) -> f64 {
    input.to_vec::<f64>().unwrap().iter().map(|g| g.abs()).sum()
}

/// Gradients of parameters are sums whose terms cancel: what rounding leaves is relative to the
/// terms, not to the sum.
pub fn close_sums(what: &str, found: &Tensor, expected: &Tensor, terms: f64, tolerance: f64) {
    let (found, expected) = (found.to_vec::<f64>().unwrap(), expected.to_vec::<f64>().unwrap());
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        let allowed = 1e-5 * b.abs() + tolerance * terms / expected.len() as f64;
        assert!((a - b).abs() <= allowed, "{what}: element {i} is {a:e}, should be {b:e}");
    }
}
