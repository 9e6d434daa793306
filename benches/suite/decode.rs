//! One token at a time: what a step costs, by position.

use crate::harness::{Suite, median};
use crate::input;
use spikegrad::attention::{AttentionCache, SpikeAttention};
use spikegrad::{DType, Device, Result, Tensor};
use std::time::Instant;

/// Heads, channels of a head, window.
const HEADS: usize = 12;
const WIDTH: usize = 64;
const WINDOW: usize = 256;

/// Silent tokens that are appended at a time.
const CHUNK: usize = 4096;

/// Tokens between two waits of the device.
const RUN: usize = 16;

pub fn measure(suite: &mut Suite) {
    for (name, open) in [("all open", 1.0), ("1 in 8 open", 0.125)] {
        for position in [16, 256, 4096, 65_536] {
            step(suite, name, open, position);
        }
    }
}

/// A step at a position, as the caller sees it: with what the launch costs.
fn step(suite: &mut Suite, name: &str, open: f32, position: usize) {
    let shape = format!("1x{}x{WIDTH} W {WINDOW}, {name}, at {position}", HEADS);
    if !suite.wants(&format!("attention/decode {shape}")) {
        return;
    }
    match times(suite, open, position) {
        Ok(times) => {
            let rows = (WINDOW.min(position) + 1) as f64 * (HEADS * WIDTH) as f64;
            let cost = (8.0 * rows * f64::from(open), 4.0 * rows * f64::from(open));
            suite.plain_row("attention", "decode", &shape, &times, cost);
            suite.point("decode", name, position as f64, median(&times) / 1e3);
        }
        Err(e) => suite.fail("decode", &e),
    }
}

fn times(suite: &Suite, open: f32, position: usize) -> Result<Vec<f64>> {
    let device = &suite.device;
    let attention = SpikeAttention::new(HEADS).window(WINDOW);
    let start = prefilled(device, &attention, open, position)?;
    let token = input::normal(device, [1, 1, HEADS * WIDTH])?;
    let gates = (0..RUN).map(|i| gate(device, i, open)).collect::<Result<Vec<_>>>()?;
    suite.effort().repeat(|| {
        let mut cache = start.duplicate()?;
        device.wait()?;
        let begin = Instant::now();
        for spikes in &gates {
            let _ = attention.decode(&mut cache, &token, &token, &token, spikes)?;
        }
        device.wait()?;
        Ok(begin.elapsed().as_nanos() as f64 / RUN as f64)
    })
}

/// Spikes of token `i`, `open` of which have any.
fn gate(device: &Device, i: usize, open: f32) -> Result<Tensor> {
    let spikes = i.is_multiple_of((1.0 / open) as usize);
    Tensor::from_bools(device, &vec![spikes; HEADS * WIDTH], [1, 1, HEADS * WIDTH])
}

/// A cache that has seen `position` tokens, of which the window's are stored.
fn prefilled(
    device: &Device,
    attention: &SpikeAttention,
    open: f32,
    position: usize,
) -> Result<AttentionCache> {
    let channels = HEADS * WIDTH;
    let mut cache = attention.cache(device, 1, channels)?;
    let near = position.min(WINDOW);
    let far = position - near;
    while cache.position() < far {
        let some = CHUNK.min(far - cache.position());
        let nothing = Tensor::zeros(device, [some, 1, channels], DType::F32)?;
        let silent = Tensor::zeros(device, [some, 1, 1], DType::Bits)?;
        attention.extend(&mut cache, &nothing, &nothing, &silent)?;
    }
    let tokens = input::normal(device, [near, 1, channels])?;
    let spikes: Vec<bool> = (0..near).map(|i| i.is_multiple_of((1.0 / open) as usize)).collect();
    let spikes = Tensor::from_bools(device, &spikes, [near, 1, 1])?;
    attention.extend(&mut cache, &tokens, &tokens, &spikes)?;
    Ok(cache)
}
