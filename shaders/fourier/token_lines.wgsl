// lines[t, b] = (slope, level) of the current in x                                        (fourier/token.wgsl)
//
// mean, variance: [B]; channel: [4, E], rows e, a, b, norm; step: [2, T, E], gamma and beta;
// lines: [T, B, 2, E] output. One invocation a line.

import package::shared::index::{At, item_index};
import package::fourier::token::{TokenParams, token};

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> mean: array<f32>;
@group(0) @binding(1) var<storage, read> variance: array<f32>;
@group(0) @binding(2) var<storage, read> channel: array<f32>;
@group(0) @binding(3) var<storage, read> step_of: array<f32>;
@group(0) @binding(4) var<storage, read_write> lines: array<f32>;
@group(1) @binding(0) var<uniform> p: TokenParams;

@compute @workgroup_size(WG)
fn token_lines(at: At) {
    let i = item_index(at, WG);
    let row = i / p.channels;
    if row >= p.steps * p.batch {
        return;
    }
    let c = i - row * p.channels;
    let t = row / p.batch;
    let b = row - t * p.batch;
    let level = channel[2u * p.channels + c];
    let tok = token(channel[c] * channel[p.channels + c], level, mean[b], variance[b], p.eps);
    let norm = channel[3u * p.channels + c];
    let ramp = 1.0 + p.rise * f32(t);
    let gamma = step_of[t * p.channels + c] * ramp;
    let beta = step_of[(p.steps + t) * p.channels + c] * ramp;
    let first = 2u * row * p.channels + c;
    lines[first] = gamma * norm * tok.slope;
    lines[first + p.channels] = gamma * norm * tok.level + beta;
}
