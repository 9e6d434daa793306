//! Planning: how a line of N points is transformed, and the tables it takes. On the host, in f64.

use crate::{Error, Result};
use rustfft::FftPlannerScalar;
use rustfft::num_complex::Complex64;
use std::f64::consts::PI;

/// The points that workgroup memory holds (16 KiB).
pub(super) const TILE_POINTS: usize = 2048;

/// The largest prime that is a radix of its own; longer lines with larger prime factors are
/// transformed by Bluestein's algorithm.
pub(super) const LARGEST_RADIX: usize = 37;

/// The longest complex line on an adapter: two passes of [`TILE_POINTS`], half of that where a prime
/// factor is large. A real line may be twice as long where it is even.
pub(super) const LONGEST: usize = TILE_POINTS * TILE_POINTS / 2;

/// Whether the matrix of the transform is faster than any plan for real lines of N points, where it is
/// for all up to `any` points, and up to `prime` where a prime factor is above [`LARGEST_RADIX`].
pub(super) fn dense_pays(n: usize, [any, prime]: [usize; 2]) -> bool {
    n <= any || (n <= prime && radices(n).is_none())
}

/// The most stages of a plan.
const MOST_STAGES: usize = 20;

/// The radices of a transform of `points` points, largest composites first; `None` where a prime
/// factor is above [`LARGEST_RADIX`].
pub(crate) fn radices(points: usize) -> Option<Vec<usize>> {
    let twos = points.trailing_zeros() as usize;
    let mut rest = points >> twos;
    let mut found = match (twos / 3, twos % 3) {
        (eights, 0) => vec![8; eights],
        (0, 1) => vec![2],
        // 8 * 2 = 4 * 4
        (eights, 1) => [vec![8; eights - 1], vec![4; 2]].concat(),
        (eights, _) => [vec![8; eights], vec![4]].concat(),
    };
    for prime in [7, 5, 3, 11, 13, 17, 19, 23, 29, 31, LARGEST_RADIX] {
        while rest.is_multiple_of(prime) {
            found.push(prime);
            rest /= prime;
        }
    }
    (rest == 1 && found.len() <= MOST_STAGES).then_some(found)
}

/// The radices in the shader's form: 6 bits each, 5 a word.
pub(super) fn packed(radices: &[usize]) -> [u32; 4] {
    let mut words = [0; 4];
    for (i, radix) in radices.iter().enumerate() {
        words[i / 5] |= (*radix as u32) << (6 * (i % 5));
    }
    words
}

/// The radices that occur, as bits; the shader's `bit_of`.
pub(super) fn occurring(radices: &[usize]) -> u32 {
    radices.iter().map(|r| 1 << if *r <= 8 { *r } else { 9 }).fold(0, |mask, bit: u32| mask | bit)
}

/// The least convenient number of points on which a cyclic convolution holds a linear one of N.
pub(super) fn convolution_points(n: usize) -> usize {
    let least = 2 * n - 1;
    let fit = |odd: usize| odd * least.div_ceil(odd).next_power_of_two();
    [1, 3, 5].into_iter().map(fit).min().unwrap_or(least)
}

/// How lines of N points are transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// The points that are transformed: N, or more for Bluestein.
    pub(super) points: usize,
    /// Whether Bluestein's algorithm does it.
    pub(super) chirp: bool,
    /// The passes over long lines: points = first * second.
    pub(super) passes: Option<[usize; 2]>,
}

impl Plan {
    /// The plan of a software adapter: one launch, whatever N.
    pub(super) fn whole(n: usize) -> Result<Self> {
        check_length(n)?;
        let chirp = radices(n).is_none();
        let points = if chirp { convolution_points(n) } else { n };
        Ok(Self { points, chirp, passes: None })
    }

    /// The plan of hardware: one launch where workgroup memory holds the line, else two passes.
    pub(super) fn tiled(n: usize) -> Result<Self> {
        let whole = Self::whole(n)?;
        if whole.points <= TILE_POINTS {
            return Ok(whole);
        }
        if !whole.chirp
            && let Some(passes) = halves(n)
        {
            return Ok(Self { passes: Some(passes), ..whole });
        }
        let points = convolution_points(n);
        Ok(Self { points, chirp: true, passes: halves(points) })
    }

    /// The iterations of the loops of `fft_lines` over one line, if one invocation takes them all.
    pub(super) fn iterations(&self) -> usize {
        let stages: usize = radices(self.points)
            .unwrap_or_default()
            .into_iter()
            .map(|radix| {
                let half = radix / 2;
                let dense = if radix > 8 { half + half * (1 + half.div_ceil(3)) } else { 0 };
                self.points / radix * (1 + dense)
            })
            .sum();
        // Read, written, and between two transforms multiplied by the chirp's.
        let transforms = 1 + usize::from(self.chirp);
        (1 + transforms) * (self.points + 1) + transforms * (stages + MOST_STAGES)
    }
}

fn check_length(n: usize) -> Result<()> {
    if n <= LONGEST {
        return Ok(());
    }
    let (asked, allowed) = (n as u64, LONGEST as u64);
    Err(Error::Limit { what: "points of a Fourier transform".into(), asked, allowed })
}

/// Two factors as near to each other as there are, if both fit.
fn halves(points: usize) -> Option<[usize; 2]> {
    let root = points.isqrt();
    let first = (1..=root).rev().find(|d| points.is_multiple_of(*d))?;
    (points / first <= TILE_POINTS).then_some([points / first, first])
}

/// What a table holds, besides the roots of unity exp(-2 pi i k / points).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Table {
    pub(super) points: usize,
    /// The chirp of so many points.
    pub(super) chirp: Option<usize>,
    /// The transform of the reciprocal chirp: of (N, points).
    pub(super) spectrum: Option<(usize, usize)>,
    /// Roots of half a circle, of the order of a real line: what splits bins from those of pairs.
    pub(super) roots: Option<usize>,
    /// All roots of this order: what turns points between two passes.
    pub(super) twiddles: Option<usize>,
}

impl Table {
    /// Where the parts begin: chirp, spectrum, roots, twiddles.
    pub(super) fn places(&self) -> [u32; 4] {
        let chirp = self.points;
        let spectrum = chirp + self.chirp.unwrap_or(0);
        let roots = spectrum + self.spectrum.map_or(0, |(_, points)| points);
        let twiddles = roots + self.roots.map_or(0, |order| order / 2 + 1);
        [chirp as u32, spectrum as u32, roots as u32, twiddles as u32]
    }

    /// Its complex numbers, as pairs.
    pub(super) fn values(&self) -> Vec<f32> {
        let mut all: Vec<Complex64> = (0..self.points).map(|k| root(k, self.points)).collect();
        all.extend((0..self.chirp.unwrap_or(0)).map(|m| chirp(m, self.chirp.unwrap_or(1))));
        if let Some((n, points)) = self.spectrum {
            all.extend(reciprocal_spectrum(n, points));
        }
        if let Some(order) = self.roots {
            all.extend((0..order / 2 + 1).map(|k| root(k, order)));
        }
        if let Some(order) = self.twiddles {
            all.extend((0..order).map(|k| root(k, order)));
        }
        all.iter().flat_map(|z| [z.re as f32, z.im as f32]).collect()
    }
}

/// exp(-2 pi i k / n)
pub(crate) fn root(k: usize, n: usize) -> Complex64 {
    Complex64::cis(-2.0 * PI * k as f64 / n as f64)
}

/// exp(-pi i m^2 / n)
fn chirp(m: usize, n: usize) -> Complex64 {
    let (m, n) = (m as u64, n as u64);
    Complex64::cis(-PI * (m * m % (2 * n)) as f64 / n as f64)
}

/// The transform of 1 / chirp, wrapped around, divided by `points`.
fn reciprocal_spectrum(n: usize, points: usize) -> Vec<Complex64> {
    let mut b = vec![Complex64::default(); points];
    for m in 0..n {
        let value = chirp(m, n).conj() / points as f64;
        b[m] = value;
        b[(points - m) % points] = value;
    }
    // Once a plan: not worth a second build of the library's vector kernels, in f64.
    FftPlannerScalar::new().plan_fft_forward(points).process(&mut b);
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radices_multiply_to_the_length() {
        for n in 1..5000 {
            if let Some(found) = radices(n) {
                assert_eq!(found.iter().product::<usize>(), n);
            } else {
                assert!((38..=n).any(|q| n % q == 0 && (2..q).all(|d| q % d != 0)), "{n}");
            }
        }
        assert_eq!(radices(4096), Some(vec![8; 4]));
        assert_eq!(radices(32), Some(vec![8, 4]));
        assert_eq!(radices(16), Some(vec![4, 4]));
        assert_eq!(packed(&[8, 4, 3, 5, 7, 37])[1], 37);
    }

    #[test]
    fn every_length_has_a_plan() {
        let some = (1..3000).chain([1 << 14, 7116, 912_247, (1 << 20) - 3, 1 << 20, 1 << 21]);
        for n in some {
            for plan in [Plan::whole(n).unwrap(), Plan::tiled(n).unwrap()] {
                assert!(plan.points == n || (plan.chirp && plan.points >= 2 * n - 1), "{n}");
                assert!(radices(plan.points).is_some());
            }
            let plan = Plan::tiled(n).unwrap();
            match plan.passes {
                Some([a, b]) => assert!(a * b == plan.points && a.max(b) <= TILE_POINTS, "{n}"),
                None => assert!(plan.points <= TILE_POINTS, "{n}"),
            }
        }
        assert!(Plan::whole(LONGEST + 1).is_err());
    }
}
