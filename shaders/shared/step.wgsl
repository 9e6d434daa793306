// A parameter's step along a direction u:
//   x - eta decay x - eta gain factor u     with eta = rate scale, then limited to low .. high (BOX),
//                                           or low atan(x / high) (COMPAND)

import package::shared::item::Item;
import package::shared::finite::{keep_nan, keep_nan_four};
import package::shared::math::atan_of;

const BOX: u32 = 16u;
const COMPAND: u32 = 32u;

struct UpdateConstants {
    mode: u32,
    decay: f32,
    scale: f32,
    gain: f32,
    low: f32,
    high: f32,
}

@if(!VEC)
fn boxed(v: Item, low: f32, high: f32) -> Item {
    return keep_nan(v, clamp(v, low, high));
}

@if(VEC)
fn boxed(v: Item, low: f32, high: f32) -> Item {
    return keep_nan_four(v, clamp(v, vec4(low), vec4(high)));
}

@if(!VEC)
fn compand(v: Item, low: f32, high: f32) -> Item {
    return low * atan_of(v / high);
}

@if(VEC)
fn compand(v: Item, low: f32, high: f32) -> Item {
    let z = v / high;
    return low * vec4(atan_of(z.x), atan_of(z.y), atan_of(z.z), atan_of(z.w));
}

fn stepped(before: Item, u: Item, rate: f32, factor: f32, s: UpdateConstants) -> Item {
    let eta = rate * s.scale;
    let lost = eta * s.decay;
    var after = before;
    // Without decay an infinite parameter stays what it is.
    if lost != 0.0 {
        after -= lost * before;
    }
    after -= eta * s.gain * factor * u;
    if (s.mode & BOX) != 0u {
        after = boxed(after, s.low, s.high);
    }
    if (s.mode & COMPAND) != 0u {
        after = compand(after, s.low, s.high);
    }
    return after;
}
