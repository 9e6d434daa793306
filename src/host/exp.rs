//! An exponential that vectorises.

use super::Real;

/// `e^x` for `x <= 0`, NaN of NaN: in f32 to two units in the last place and 0 below -87, in f64 the
/// library's.
#[inline(always)]
pub(crate) fn exp<R: Real>(x: R) -> R {
    if size_of::<R>() == 4 { R::lit(f64::from(single(x.f32()))) } else { x.exp() }
}

/// Cody and Waite's reduction, then the series of e^r on |r| < 0.35.
#[inline(always)]
fn single(x: f32) -> f32 {
    /// 1.5 2^23: adding it leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // Both comparisons let NaN through.
    let held = if x < -87.0 { -87.0 } else { x };
    let shifted = held * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = held - n * LN2_HIGH - n * LN2_LOW;
    let tail = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)));
    let e = 1.0 + (r + r * r * (0.5 + r * (1.0 / 6.0 + r * tail)));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { e * power }
}

#[cfg(test)]
mod tests {
    #[test]
    fn close_to_the_library() {
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            let expected = f64::from(x).exp();
            let found = f64::from(super::single(x));
            assert!((found - expected).abs() <= 2.5e-7 * expected, "e^{x} is {found:e}");
        }
        assert_eq!(super::single(0.0), 1.0);
        assert_eq!(super::single(-1e30), 0.0);
        assert_eq!(super::single(f32::NEG_INFINITY), 0.0);
        assert!(super::single(f32::NAN).is_nan());
    }
}
