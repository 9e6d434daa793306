// Surrogate derivatives of the spike, by number: what backward puts in the place of the derivative
// of the step function at u = membrane - threshold. The numbers are `Surrogate::code` in Rust; `a`
// is the surrogate's parameter. 0 at an infinite distance, NaN of NaN.

import package::shared::finite::{is_not_finite, keep_nan};
import package::shared::math::exp_below;

const ATAN: u32 = 0u;
const SIGMOID: u32 = 1u;
const FAST_SIGMOID: u32 = 2u;
const TRIANGLE: u32 = 3u;
const RECTANGLE: u32 = 4u;

fn surrogate(kind: u32, a: f32, u: f32) -> f32 {
    let r = abs(u);
    // At this distance each of them is zero to f32, and squares would overflow.
    if is_not_finite(u) || r > 1e18 {
        return keep_nan(u, 0.0);
    }
    switch kind {
        case SIGMOID: {
            let e = exp_below(-a * r);
            return a * e / ((1.0 + e) * (1.0 + e));
        }
        case FAST_SIGMOID: {
            let q = 1.0 + a * r;
            return 1.0 / (q * q);
        }
        case TRIANGLE: { return max(0.0, a - r) / (a * a); }
        case RECTANGLE: { return select(0.0, 1.0 / a, r <= 0.5 * a); }
        default: {
            let k = 1.5707963 * a * r;
            return 0.5 * a / (1.0 + k * k);
        }
    }
}
