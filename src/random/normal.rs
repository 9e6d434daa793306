//! Standard normal numbers.

use super::Generator;
use super::threefry::word_of;
use crate::host::{HostArgs, Real, each};
use crate::{DType, IntoShape, Result, Tensor};
use std::sync::OnceLock;

crate::kernel! {
    /// `y[e]` standard normal
    pub(super) static NORMAL = "random/draw_normal";
    params = struct NormalParams { count: u32, key: [u32; 2] };
    oracle = draw_normal_oracle;
    tolerance = 0.0;
}

/// Draws are made in f32 in both precisions: they are the same bits everywhere.
fn draw_normal_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NormalParams = args.params();
    let step = args.words("step")[0];
    let table = args.reals("table");
    each(args.reals_mut("y"), |e| {
        let word = word_of(p.key, step, e);
        let magnitude = word & 0x7fff_ffff;
        let octave = (magnitude.leading_zeros() - 1).min(31);
        // The bits after the first one, at the top.
        let rest = magnitude.checked_shl(octave + 2).unwrap_or(0);
        let at = 2 * (octave * 32 + (rest >> 27)) as usize;
        let fraction = (rest >> 15 & 0xfff) as f32;
        let value = table[at].f32() + table[at + 1].f32() * fraction;
        R::lit(if word >> 31 == 1 { -value } else { value }.into())
    });
}

impl Generator {
    /// Standard normal numbers, the same bits on every device.
    ///
    /// A word is split into a sign and a 31-bit tail probability, whose quantile is read off a
    /// table of 1,024 line segments (an error below 5e-5 within a segment, none in its mean).
    /// The largest magnitude is 6.3.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    pub fn normal(&mut self, shape: impl IntoShape) -> Result<Tensor> {
        let y = self.output(shape, DType::F32)?;
        let params = NormalParams { count: y.count() as u32, key: self.next_key() };
        let launch = self.device().launch(&NORMAL).params(&params);
        let launch = launch.bind("step", self.step()).bind("table", self.table()).bind("y", &y);
        launch.items(y.count().div_ceil(2)).record()?;
        Ok(y)
    }
}

const OCTAVES: usize = 32;
const SEGMENTS: usize = 32;
/// Values that the fraction within a segment takes.
const FRACTIONS: f64 = 4096.0;

/// (base, slope) of each segment, octave by octave: octave `o` holds the two-sided tail
/// probabilities from `2^-(o+1)` to `2^-o`, in equal segments.
pub(super) fn quantile_table() -> &'static [f32] {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let segment = |i: usize| {
            let start = libm::exp2(-((i / SEGMENTS) as f64) - 1.0);
            let width = start / SEGMENTS as f64;
            line(start + (i % SEGMENTS) as f64 * width, width)
        };
        (0..OCTAVES * SEGMENTS).flat_map(segment).collect()
    })
}

/// The line over the tail probabilities `start .. start + width`: its ends' slope, rounded, and the
/// base that gives it the quantile's mean (by Simpson's rule).
fn line(start: f64, width: f64) -> [f32; 2] {
    let (a, b) = (tail_quantile(start), tail_quantile(start + width));
    let middle = tail_quantile(start + 0.5 * width);
    let slope = round_to_11_bits((b - a) / FRACTIONS);
    let mean = (a + 4.0 * middle + b) / 6.0;
    [(mean - f64::from(slope) * 0.5 * (FRACTIONS - 1.0)) as f32, slope]
}

/// Eleven significant bits: a product with a 12-bit integer is then exact in f32.
fn round_to_11_bits(x: f64) -> f32 {
    let bits = (x as f32).to_bits();
    f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff)
}

/// The `z >= 0` with `P(|Z| > z) = tail`, by Newton's method on the logarithm of the tail, which is
/// concave and close to a parabola.
///
/// All functions come from `libm`, so that the table is the same on every host.
fn tail_quantile(tail: f64) -> f64 {
    if tail >= 1.0 {
        return 0.0;
    }
    let mut z = libm::sqrt(-2.0 * libm::log(tail)) * 0.9;
    for _ in 0..60 {
        let upper = libm::erfc(z * std::f64::consts::FRAC_1_SQRT_2);
        let density = 2.0 * libm::exp(-0.5 * z * z) / libm::sqrt(2.0 * std::f64::consts::PI);
        let step = upper * libm::log(upper / tail) / density;
        z = (z + step).max(0.0);
        if step.abs() < 1e-13 {
            break;
        }
    }
    z
}

#[cfg(test)]
mod tests {
    use super::{quantile_table, tail_quantile};

    #[test]
    fn quantiles() {
        // Two-sided tails at one, two and three standard deviations, and the quartiles.
        let known = [
            (0.317_310_507_862_914_2, 1.0),
            (0.045_500_263_896_358_4, 2.0),
            (0.002_699_796_063_260_2, 3.0),
            (0.5, 0.674_489_750_196_081_7),
        ];
        for (tail, z) in known {
            approx::assert_abs_diff_eq!(tail_quantile(tail), z, epsilon = 1e-12);
        }
    }

    #[test]
    fn lines_are_close() {
        let table = quantile_table();
        let mut worst = 0.0f64;
        for (i, line) in table.chunks(2).enumerate() {
            let start = libm::exp2(-((i / 32) as f64) - 1.0);
            for f in 0..=64 {
                let fraction = f64::from(f) * 64.0;
                let tail = start * (1.0 + ((i % 32) as f64 + fraction / 4096.0) / 32.0);
                let found = f64::from(line[0]) + f64::from(line[1]) * fraction;
                worst = worst.max((found - tail_quantile(tail)).abs());
            }
        }
        assert!(worst < 5e-5, "{worst:e}");
    }

    #[test]
    fn slopes_are_short_and_values_fall() {
        let table = quantile_table();
        assert_eq!(table.len(), 2048);
        for line in table.chunks(2) {
            assert_eq!(line[1].to_bits() & 0x1fff, 0);
            assert!(line[0] > 0.0 && line[1] < 0.0);
        }
    }
}
