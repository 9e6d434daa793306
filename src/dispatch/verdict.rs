//! Whether what a device wrote can be what a sound device writes, given the outcome of the oracle.
//!
//! Most launches agree within the kernel's tolerance of the largest value of a tensor. That is no
//! measure for a sum whose terms cancel, a comparison of two values that are equal but for rounding,
//! or values below the smallest normal number. So where elements differ by more, the oracle runs
//! again on inputs that are changed by about as much as f32 rounds: what its outcome then does says
//! how much of the difference rounding explains. A sum follows its terms, so the allowance becomes
//! relative to their magnitudes; a comparison within rounding comes out both ways, so both are right.

use crate::host::Array;

/// Changes of the inputs, relative: eight units in the last place of f32, and one far below it.
const ROUNDING: f64 = 1.0 / (1 << 20) as f64;
const FINE: f64 = ROUNDING / (1 << 12) as f64;
/// How often inputs are changed: an effect that hangs on the signs shows but once in 2⁸.
const DRAWS: u64 = 8;
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;
const LARGEST: f64 = f32::MAX as f64;

/// What the oracle computes from changed inputs.
pub(super) struct Alternatives {
    /// Of each draw: with changes of the size of rounding, and with fine ones.
    draws: Vec<[Vec<Array>; 2]>,
    /// With subnormal inputs taken as zero, where there are any.
    flushed: Option<Vec<Array>>,
}

impl Alternatives {
    /// Runs `oracle`, which changes the arrays that it is given as a launch would, on `before`.
    pub(super) fn new(before: &[Array], oracle: impl Fn(&mut [Array])) -> Self {
        let run = |mut arrays: Vec<Array>| {
            oracle(&mut arrays);
            arrays
        };
        let draw = |i| [ROUNDING, FINE].map(|size| run(changed(before, i, size)));
        let draws = (0..DRAWS).map(draw).collect();
        Self { draws, flushed: flushed(before).map(run) }
    }

    fn outcomes(&self) -> impl Iterator<Item = &Vec<Array>> {
        self.draws.iter().flatten().chain(&self.flushed)
    }
}

/// The arrays with every real made larger or smaller by `size`, relative.
fn changed(arrays: &[Array], draw: u64, size: f64) -> Vec<Array> {
    let mut word = (draw + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut factor = || {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        if word >> 63 == 0 { 1.0 + size } else { 1.0 - size }
    };
    each_real(arrays, |v| v * factor())
}

/// The arrays with zero for subnormals of f32, if they hold any.
fn flushed(arrays: &[Array]) -> Option<Vec<Array>> {
    let mut any = false;
    let flushed = each_real(arrays, |v| {
        let tiny = v != 0.0 && v.abs() < SMALLEST;
        any |= tiny;
        if tiny { 0.0 } else { v }
    });
    any.then_some(flushed)
}

fn each_real(arrays: &[Array], mut change: impl FnMut(f64) -> f64) -> Vec<Array> {
    let change = |array: &Array| match array {
        Array::Double(values) => Array::Double(values.iter().map(|v| change(*v)).collect()),
        other => other.clone(),
    };
    arrays.iter().map(change).collect()
}

/// The elements of a binding in which `device` and `twin` differ by more than `tolerance`, relative
/// to the largest value.
pub(super) fn differences(device: &Array, twin: &Array, tolerance: f64) -> Vec<usize> {
    match (device, twin) {
        (Array::Double(device), Array::Double(values)) => {
            let allowed = allowance(twin, tolerance);
            let pairs = device.iter().zip(values).enumerate();
            pairs.filter(|(_, (a, b))| !close(**a, **b, allowed)).map(|(i, _)| i).collect()
        }
        (Array::Words(device), Array::Words(twin)) => {
            let pairs = device.iter().zip(twin).enumerate();
            pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect()
        }
        // The shadow check holds reals in f64 alone.
        _ => (0..twin.len()).collect(),
    }
}

/// Whether rounding explains the difference in element `i` of binding `binding`; `allowed` is the
/// [`allowance`] of the binding.
pub(super) fn explained(
    alternatives: &Alternatives,
    (binding, i): (usize, usize),
    device: &Array,
    twin: &Array,
    (tolerance, allowed): (f64, f64),
) -> bool {
    match (device, twin) {
        (Array::Double(device), Array::Double(twin)) => {
            let real = |arrays: &Vec<Array>| match &arrays[binding] {
                Array::Double(values) => values[i],
                _ => f64::NAN,
            };
            let outcomes = alternatives.outcomes().map(real);
            let rates =
                alternatives.draws.iter().map(|draw| rate(twin[i], draw.each_ref().map(real)));
            let rate = rates.fold(0.0, f64::max);
            within(device[i], twin[i], outcomes, allowed)
                || close(device[i], twin[i], allowed + tolerance * rate)
        }
        (Array::Words(device), Array::Words(twin)) => {
            let word = |arrays: &Vec<Array>| match &arrays[binding] {
                Array::Words(words) => words[i],
                _ => 0,
            };
            let undecided = alternatives.outcomes().fold(0, |m, a| m | (word(a) ^ twin[i]));
            (device[i] ^ twin[i]) & !undecided == 0
        }
        _ => false,
    }
}

/// By how much an outcome moves when its inputs move by all of their size. Nothing where it jumps:
/// then the ratio grows as the change of the inputs shrinks.
fn rate(twin: f64, outcomes: [f64; 2]) -> f64 {
    let (twin, [coarse, fine]) = (held(twin), outcomes.map(held));
    let (coarse, fine) = ((coarse - twin).abs() / ROUNDING, (fine - twin).abs() / FINE);
    if fine > 16.0 * coarse { 0.0 } else { coarse.min(fine) }
}

/// Whether `device` lies between the least and the largest outcome of the oracle, or is undefined as
/// one of them is.
fn within(device: f64, twin: f64, outcomes: impl Iterator<Item = f64>, allowed: f64) -> bool {
    let (mut low, mut high, mut undefined) = (twin, twin, false);
    for outcome in outcomes {
        undefined |= outcome.is_nan();
        (low, high) = (low.min(outcome), high.max(outcome));
    }
    if device.is_nan() {
        return undefined;
    }
    close(device, low, allowed) || close(device, high, allowed) || (low..=high).contains(&device)
}

/// What a tensor's elements may differ by: a part of the largest of them that f32 holds, and what is
/// lost where subnormals are taken as zero.
pub(super) fn allowance(twin: &Array, tolerance: f64) -> f64 {
    let Array::Double(twin) = twin else { return 0.0 };
    let held = twin.iter().map(|v| v.abs()).filter(|v| *v <= LARGEST);
    tolerance * held.fold(0.0, f64::max) + SMALLEST
}

/// Whether two values agree. Beyond the range of f32 a device has infinity.
fn close(device: f64, twin: f64, allowed: f64) -> bool {
    if device.is_nan() || twin.is_nan() {
        return device.is_nan() && twin.is_nan();
    }
    if twin.is_infinite() {
        return device == twin;
    }
    (held(device) - held(twin)).abs() <= allowed
}

/// A value within the range of f32.
fn held(value: f64) -> f64 {
    value.clamp(-LARGEST, LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on `device` where `oracle` makes the outcome, the second array, of the first.
    fn agrees(input: &[f64], device: f64, oracle: impl Fn(&[f64]) -> f64) -> bool {
        let run = |arrays: &mut [Array]| {
            if let Array::Double(values) = &arrays[0] {
                arrays[1] = Array::Double(vec![oracle(values)]);
            }
        };
        let before = [Array::Double(input.to_vec()), Array::Double(vec![0.0])];
        let mut after = before.to_vec();
        run(&mut after);
        let (device, twin) = (Array::Double(vec![device]), &after[1]);
        let alternatives = Alternatives::new(&before, run);
        differences(&device, twin, 1e-4).is_empty()
            || explained(&alternatives, (1, 0), &device, twin, (1e-4, allowance(twin, 1e-4)))
    }

    fn sum(values: &[f64]) -> f64 {
        values.iter().sum()
    }

    #[test]
    fn sums_are_judged_by_their_terms() {
        let terms = [1000.0, -1000.0 + 1e-9, 3.0, -3.0];
        assert!(agrees(&terms, 0.05, sum));
        assert!(!agrees(&terms, 1.0, sum));
        assert!(!agrees(&terms, f64::NAN, sum));
        assert!(!agrees(&[1e-3, 2e-3], 3.01e-3, sum));
    }

    #[test]
    fn comparisons_within_rounding_come_out_both_ways() {
        let fires = |v: &[f64]| f64::from(v[0] >= 1.0);
        assert!(agrees(&[1.0], 0.0, fires) && agrees(&[1.0 - 1e-8], 1.0, fires));
        assert!(!agrees(&[1.001], 0.0, fires) && !agrees(&[0.999], 1.0, fires));
        assert!(!agrees(&[1.0], 2.0, fires) && !agrees(&[1.0], -1.0, fires));
    }

    #[test]
    fn beyond_the_range_is_infinity_and_below_it_zero() {
        let square = |v: &[f64]| v[0] * v[0];
        assert!(agrees(&[1e30], f64::INFINITY, square));
        assert!(!agrees(&[1e30], LARGEST / 2.0, square) && !agrees(&[1e30], f64::NAN, square));
        assert!(!agrees(&[1e10], f64::INFINITY, square));
        assert!(agrees(&[1e-20], 0.0, square) && !agrees(&[1e-18], 0.0, square));
        // A subnormal input may count as zero, also where that shows.
        let large = |v: &[f64]| v[0] * 1e38;
        assert!(agrees(&[1e-39], 0.0, large) && agrees(&[1e-39], 0.1, large));
        assert!(!agrees(&[1e-37], 0.0, large));
        assert!(!agrees(&[f64::INFINITY], LARGEST, |v| v[0]));
    }
}
