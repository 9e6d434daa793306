// Gradients of token_lines: of channel and step, summed over the batch, and of mean and variance, of each channel
//
// mean, variance, channel, step: as in token_lines; g: [T, B, 2, E]; g_channel: [4, E], g_step: [2, T, E],
// g_moments: [2, B, E], outputs. One invocation a channel, its sums over t and b in a fixed order.

import package::shared::index::{At, item_index};
import package::fourier::token::{TokenParams, token};

override WG: u32 = 64u;

@group(0) @binding(0) var<storage, read> mean: array<f32>;
@group(0) @binding(1) var<storage, read> variance: array<f32>;
@group(0) @binding(2) var<storage, read> channel: array<f32>;
@group(0) @binding(3) var<storage, read> step_of: array<f32>;
@group(0) @binding(4) var<storage, read> g: array<f32>;
@group(0) @binding(5) var<storage, read_write> g_channel: array<f32>;
@group(0) @binding(6) var<storage, read_write> g_step: array<f32>;
@group(0) @binding(7) var<storage, read_write> g_moments: array<f32>;
@group(1) @binding(0) var<uniform> p: TokenParams;

@compute @workgroup_size(WG)
fn token_lines_backward(at: At) {
    let c = item_index(at, WG);
    if c >= p.channels {
        return;
    }
    let e = channel[c];
    let a = channel[p.channels + c];
    let level = channel[2u * p.channels + c];
    let weight = channel[3u * p.channels + c];
    for (var t = 0u; t < 2u * p.steps; t++) {
        g_step[t * p.channels + c] = 0.0;
    }
    var of_slope = 0.0;
    var of_level = 0.0;
    var of_weight = 0.0;
    for (var b = 0u; b < p.batch; b++) {
        let tok = token(a * e, level, mean[b], variance[b], p.eps);
        // Of the normalised slope and level.
        var slope = 0.0;
        var shift = 0.0;
        for (var t = 0u; t < p.steps; t++) {
            let first = 2u * (t * p.batch + b) * p.channels + c;
            let ramp = 1.0 + p.rise * f32(t);
            let up = ramp * vec2<f32>(g[first], g[first + p.channels]);
            let own = t * p.channels + c;
            g_step[own] += weight * (up.x * tok.slope + up.y * tok.level);
            g_step[own + p.steps * p.channels] += up.y;
            slope += step_of[own] * up.x;
            shift += step_of[own] * up.y;
        }
        let of_norm = slope * tok.slope + shift * tok.level;
        of_weight += of_norm;
        // Of the logarithm of the root.
        let of_root = -weight * of_norm;
        let of_centre = of_root * tok.centre * tok.scale;
        let of_spread = of_root * tok.slope * tok.scale * variance[b];
        of_slope += slope * weight * tok.scale + of_spread + of_centre * mean[b];
        of_level += shift * weight * tok.scale + of_centre;
        g_moments[b * p.channels + c] = of_root * tok.centre * tok.slope;
        g_moments[(p.batch + b) * p.channels + c] = 0.5 * of_root * tok.slope * tok.slope;
    }
    g_channel[c] = of_slope * a;
    g_channel[p.channels + c] = of_slope * e;
    g_channel[2u * p.channels + c] = of_level;
    g_channel[3u * p.channels + c] = of_weight;
}
