//! The table of a sum modulo a prime.

use spikegrad::data::Batches;
use spikegrad::{Device, Result, Tensor};

/// Some of the pairs `(a, b)` and their sums modulo p, on a device.
pub struct Pairs {
    pub count: usize,
    /// `[2, count]`: `a`, and `p + b`: the places of the ones in one-hot inputs of length `2 p`.
    pub tokens: Tensor,
    /// `[count]`
    pub sums: Tensor,
    /// The sums, on the host.
    pub targets: Vec<u32>,
}

/// All pairs in an order drawn from `seed`: the first `part` of them to train on, the others to test.
pub fn split(modulus: usize, part: f64, seed: u64, device: &Device) -> Result<[Pairs; 2]> {
    let order = Batches::new(modulus * modulus, 1, seed).order(0);
    let (train, test) = order.split_at((part * order.len() as f64) as usize);
    Ok([pairs(modulus, train, device)?, pairs(modulus, test, device)?])
}

fn pairs(modulus: usize, chosen: &[usize], device: &Device) -> Result<Pairs> {
    let first = chosen.iter().map(|pair| (pair / modulus) as u32);
    let second = chosen.iter().map(|pair| (pair % modulus + modulus) as u32);
    let tokens: Vec<u32> = first.chain(second).collect();
    let sum = |pair: &usize| ((pair / modulus + pair % modulus) % modulus) as u32;
    let targets: Vec<u32> = chosen.iter().map(sum).collect();
    Ok(Pairs {
        count: chosen.len(),
        tokens: Tensor::from_slice(device, &tokens, [2, chosen.len()])?,
        sums: Tensor::from_slice(device, &targets, [chosen.len()])?,
        targets,
    })
}
