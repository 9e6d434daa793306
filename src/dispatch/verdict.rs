//! Whether what a device wrote can be what a sound device writes, given the outcome of the oracle.
//!
//! Most launches agree within the kernel's tolerance of the largest value of a tensor. That is no
//! measure for a sum whose terms cancel, a comparison of two values that are equal but for rounding,
//! or numbers beyond the ends of f32 on the way. So where elements differ by more, the oracle runs
//! again on inputs that are changed by about as much as f32 rounds: what its outcome then does says
//! how much of the difference rounding explains. A sum follows its terms, so the allowance becomes
//! relative to their magnitudes; a comparison within rounding comes out both ways, so both are right.
//! And it runs in f32's range: what becomes zero or infinite on the way there, and all that follows,
//! is as right as what f64 makes of it.

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
    /// In the range of f32: also with subnormal inputs taken as zero, where there are any.
    ranged: Vec<Vec<Array>>,
}

impl Alternatives {
    /// Runs `oracle`, which changes the arrays that it is given as a launch would, on `before`, and
    /// likewise `ranged`, which is the oracle in the range of f32.
    pub(super) fn new(
        before: &[Array],
        oracle: impl Fn(&mut [Array]),
        ranged: impl Fn(&mut [Array]),
    ) -> Self {
        let draw = |i| [ROUNDING, FINE].map(|size| outcome(&oracle, changed(before, i, size)));
        let inputs = [before.to_vec()].into_iter().chain(flushed(before));
        Self {
            draws: (0..DRAWS).map(draw).collect(),
            ranged: inputs.map(|arrays| outcome(&ranged, arrays)).collect(),
        }
    }

    fn outcomes(&self) -> impl Iterator<Item = &Vec<Array>> {
        self.draws.iter().flatten().chain(&self.ranged)
    }
}

/// What `run` makes of `arrays`.
fn outcome(run: impl Fn(&mut [Array]), mut arrays: Vec<Array>) -> Vec<Array> {
    run(&mut arrays);
    arrays
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

/// The elements of a binding in which `device` and the oracle differ by more than `tolerance`, relative
/// to the largest value.
pub(super) fn differences(device: &Array, oracle: &Array, tolerance: f64) -> Vec<usize> {
    match (device, oracle) {
        (Array::Double(device), Array::Double(values)) => {
            let allowed = allowance(oracle, tolerance);
            let pairs = device.iter().zip(values).enumerate();
            pairs.filter(|(_, (a, b))| !close(**a, **b, allowed)).map(|(i, _)| i).collect()
        }
        (Array::Words(device), Array::Words(oracle)) => {
            let pairs = device.iter().zip(oracle).enumerate();
            pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect()
        }
        // The shadow check holds reals in f64 alone.
        _ => (0..oracle.len()).collect(),
    }
}

/// Whether rounding explains the difference in element `i` of binding `binding`; `allowed` is the
/// [`allowance`] of the binding.
pub(super) fn explained(
    alternatives: &Alternatives,
    (binding, i): (usize, usize),
    device: &Array,
    oracle: &Array,
    (tolerance, allowed): (f64, f64),
) -> bool {
    match (device, oracle) {
        (Array::Double(device), Array::Double(oracle)) => {
            let real = |arrays: &Vec<Array>| match &arrays[binding] {
                Array::Double(values) => values[i],
                _ => f64::NAN,
            };
            let outcomes = alternatives.outcomes().map(real);
            let rates =
                alternatives.draws.iter().map(|draw| rate(oracle[i], draw.each_ref().map(real)));
            let rate = rates.fold(0.0, f64::max);
            let range = alternatives.ranged.iter().map(|a| moved(oracle[i], real(a)));
            let range = range.fold(0.0, f64::max);
            within(device[i], oracle[i], outcomes, allowed)
                || close(device[i], oracle[i], allowed + tolerance * rate + range)
        }
        (Array::Words(device), Array::Words(oracle)) => {
            let word = |arrays: &Vec<Array>| match &arrays[binding] {
                Array::Words(words) => words[i],
                _ => 0,
            };
            let undecided = alternatives.outcomes().fold(0, |m, a| m | (word(a) ^ oracle[i]));
            (device[i] ^ oracle[i]) & !undecided == 0
        }
        _ => false,
    }
}

/// By how much an outcome moves when its inputs move by all of their size. Nothing where it jumps:
/// then the ratio grows as the change of the inputs shrinks.
fn rate(oracle: f64, outcomes: [f64; 2]) -> f64 {
    let (oracle, [coarse, fine]) = (held(oracle), outcomes.map(held));
    let (coarse, fine) = ((coarse - oracle).abs() / ROUNDING, (fine - oracle).abs() / FINE);
    if fine > 16.0 * coarse { 0.0 } else { coarse.min(fine) }
}

/// By how much f32's range moves an outcome that it holds: a subnormal number on the way becomes zero,
/// or where it does not it keeps so few bits that it may as well move the other way.
fn moved(oracle: f64, ranged: f64) -> f64 {
    if ranged.abs() <= LARGEST && oracle.abs() <= LARGEST { (ranged - oracle).abs() } else { 0.0 }
}

/// Whether `device` lies between the least and the largest outcome of the oracle that f32 holds, or
/// is undefined or infinite as one of them is.
fn within(device: f64, oracle: f64, outcomes: impl Iterator<Item = f64>, allowed: f64) -> bool {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for outcome in std::iter::once(oracle).chain(outcomes) {
        if outcome.abs() <= LARGEST {
            (low, high) = (low.min(outcome), high.max(outcome));
        } else if close(device, outcome, allowed) {
            return true;
        }
    }
    (low - allowed..=high + allowed).contains(&device)
}

/// What a tensor's elements may differ by: a part of the largest of them that f32 holds, and what is
/// lost where subnormals are taken as zero.
pub(super) fn allowance(oracle: &Array, tolerance: f64) -> f64 {
    let Array::Double(oracle) = oracle else { return 0.0 };
    let held = oracle.iter().map(|v| v.abs()).filter(|v| *v <= LARGEST);
    tolerance * held.fold(0.0, f64::max) + SMALLEST
}

/// Whether two values agree. Beyond the range of f32 a device has infinity.
fn close(device: f64, oracle: f64, allowed: f64) -> bool {
    if device.is_nan() || oracle.is_nan() {
        return device.is_nan() && oracle.is_nan();
    }
    if oracle.is_infinite() {
        return device == oracle;
    }
    (held(device) - held(oracle)).abs() <= allowed
}

/// A value within the range of f32.
fn held(value: f64) -> f64 {
    value.clamp(-LARGEST, LARGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Ranged, Real};

    /// What makes the outcome of a launch from its input, in both ranges.
    struct Oracle {
        double: fn(&[f64]) -> f64,
        ranged: fn(&[Ranged]) -> Ranged,
    }

    /// The oracle of a generic function.
    macro_rules! oracle {
        ($function:ident) => {
            Oracle { double: $function::<f64>, ranged: $function::<Ranged> }
        };
    }

    /// Writes the second array, of one element, from the first.
    fn write<R: Real>(make: fn(&[R]) -> R) -> impl Fn(&mut [Array]) {
        move |arrays| {
            let made = R::view(&arrays[0]).map(make);
            arrays[1] = Array::Double(made.iter().map(|v| v.f64()).collect());
        }
    }

    /// The verdict on `device`.
    fn agrees(input: &[f64], device: f64, oracle: &Oracle) -> bool {
        let before = [Array::Double(input.to_vec()), Array::Double(vec![0.0])];
        let (double, ranged) = (write(oracle.double), write(oracle.ranged));
        let mut after = before.to_vec();
        double(&mut after);
        let (device, oracle) = (Array::Double(vec![device]), &after[1]);
        let alternatives = Alternatives::new(&before, double, ranged);
        differences(&device, oracle, 1e-4).is_empty()
            || explained(&alternatives, (1, 0), &device, oracle, (1e-4, allowance(oracle, 1e-4)))
    }

    fn first<R: Real>(v: &[R]) -> R {
        v[0]
    }

    fn sum<R: Real>(v: &[R]) -> R {
        v.iter().copied().sum()
    }

    fn product<R: Real>(v: &[R]) -> R {
        v.iter().fold(R::one(), |product, v| product * *v)
    }

    fn fires<R: Real>(v: &[R]) -> R {
        if v[0] >= R::one() { R::one() } else { R::zero() }
    }

    #[test]
    fn sums_are_judged_by_their_terms() {
        let (terms, sum) = ([1000.0, -1000.0 + 1e-9, 3.0, -3.0], oracle!(sum));
        assert!(agrees(&terms, 0.05, &sum));
        assert!(!agrees(&terms, 1.0, &sum));
        assert!(!agrees(&terms, f64::NAN, &sum));
        assert!(!agrees(&[1e-3, 2e-3], 3.01e-3, &sum));
    }

    #[test]
    fn comparisons_within_rounding_come_out_both_ways() {
        let fires = oracle!(fires);
        assert!(agrees(&[1.0], 0.0, &fires) && agrees(&[1.0 - 1e-8], 1.0, &fires));
        assert!(!agrees(&[1.001], 0.0, &fires) && !agrees(&[0.999], 1.0, &fires));
        assert!(!agrees(&[1.0], 2.0, &fires) && !agrees(&[1.0], -1.0, &fires));
    }

    #[test]
    fn beyond_the_range_is_infinity_and_below_it_zero() {
        let (first, product) = (oracle!(first), oracle!(product));
        assert!(agrees(&[1e30, 1e30], f64::INFINITY, &product));
        assert!(!agrees(&[1e30, 1e30], LARGEST / 2.0, &product));
        assert!(!agrees(&[1e30, 1e30], f64::NAN, &product));
        assert!(!agrees(&[1e10, 1e10], f64::INFINITY, &product));
        assert!(agrees(&[1e-20, 1e-20], 0.0, &product));
        assert!(!agrees(&[1e-18, 1e-18], 0.0, &product));
        // A subnormal input may count as zero, also where that shows.
        assert!(agrees(&[1e-39, 1e38], 0.0, &product) && agrees(&[1e-39, 1e38], 0.1, &product));
        assert!(!agrees(&[1e-37, 1e38], 0.0, &product));
        assert!(!agrees(&[f64::INFINITY], LARGEST, &first));
    }

    /// What lies beyond the range on the way shows in the outcome, and excuses nothing else.
    #[test]
    fn intermediates_have_the_range_of_f32() {
        let product = oracle!(product);
        let below = [1e-20, 1e-19, 1e38];
        assert!(agrees(&below, 0.0, &product) && agrees(&below, 0.1, &product));
        assert!(!agrees(&below, 0.21, &product) && !agrees(&below, -0.1, &product));
        let few_bits = f64::from(3e-43f32 * 0.1) * 1e38;
        assert!((few_bits / 3e-6 - 1.0).abs() > 1e-3);
        assert!(agrees(&[f64::from(3e-43f32), f64::from(0.1f32), 1e38], few_bits, &product));
        assert!(!agrees(&[1e-18, 1e-19, 1e38], 0.0, &product));
        let beyond = [1e20, 1e20, 1e-30];
        assert!(agrees(&beyond, f64::INFINITY, &product) && agrees(&beyond, 1e10, &product));
        assert!(!agrees(&beyond, 1e12, &product) && !agrees(&beyond, f64::NAN, &product));
        assert!(!agrees(&beyond, f64::NEG_INFINITY, &product));
        assert!(agrees(&[1e20, 1e20, 0.0], f64::NAN, &product));
    }
}
