//! The range of an axis, and its ticks.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// An axis whose values are brought to 0 to 1 before they are drawn: whatever their size, the drawing
/// library computes with small numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    /// Between ticks, and the multiples of it that are marked.
    step: f64,
    ticks: Range<i64>,
}

impl Axis {
    /// An axis of finite values, with at most about `most` ticks, at whole numbers if all values are.
    pub(super) fn of(values: impl Iterator<Item = f64>, most: usize) -> Self {
        let mut whole = true;
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            whole &= value.fract() == 0.0;
            (low.min(value), high.max(value))
        });
        let (low, high) = if low > high { (0.0, 1.0) } else { widened(low, high) };
        // Halves, because the distance of two finite numbers may not be finite.
        let rough = (high / 2.0 - low / 2.0) / (most as f64 / 2.0);
        let unit = 10f64.powi(rough.log10().floor() as i32);
        let nice = [1.0, 2.0, 5.0, 10.0].map(|nice| nice * unit);
        let step = nice.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let step = if whole { step.max(1.0) } else { step };
        // An end that is a multiple but for rounding is marked.
        let (first, last) = ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor());
        Self { low, high, step, ticks: first as i64..last as i64 + 1 }
    }

    /// An axis of whole numbers from 0 to `high`.
    pub(super) fn whole(high: usize, most: usize) -> Self {
        Self::of([0.0, high.max(1) as f64].into_iter(), most)
    }

    /// Where a value stands: 0 at the lower end, 1 at the upper one.
    pub(super) fn place(&self, value: f64) -> f64 {
        (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }

    /// What is drawn, with `margin` at both ends, and the places of the ticks.
    pub(super) fn coordinate(&self, margin: f64) -> Coordinate {
        let places = self.ticks.clone().map(|tick| self.place(tick as f64 * self.step));
        Coordinate { range: -margin..1.0 + margin, ticks: places.collect() }
    }

    /// The number of the tick at a place.
    pub(super) fn label(&self, place: f64) -> String {
        let distance = |tick: &i64| (self.place(*tick as f64 * self.step) - place).abs();
        let nearest = self.ticks.clone().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.map_or(String::new(), |tick| self.number(tick as f64 * self.step))
    }

    /// A number as exact as the ticks are apart.
    fn number(&self, value: f64) -> String {
        let exponent = |value: f64| value.abs().log10().floor() as i32;
        // A little more, lest 0.1 + 0.2 be found below 0.3.
        let step = exponent(self.step * 1.000_001);
        let most = self.low.abs().max(self.high.abs());
        match value {
            0.0 => "0".into(),
            _ if (1e-4..1e6).contains(&most) => format!("{value:.*}", (-step).max(0) as usize),
            _ => {
                let digits = (exponent(value * 1.000_001) - step).clamp(0, 16);
                format!("{value:.*e}", digits as usize)
            }
        }
    }
}

/// Places from 0 to 1, some of which are marked.
pub(super) struct Coordinate {
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Ranged for Coordinate {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (first, last): (i32, i32)) -> i32 {
        let part = (place - self.range.start) / (self.range.end - self.range.start);
        first + (part * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// A range with some extent: equal values, or values that differ by rounding alone, stand in its middle.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let most = low.abs().max(high.abs());
    if high / 2.0 - low / 2.0 > (most * 1e-9).max(1e-300) {
        return (low, high);
    }
    let half = if most == 0.0 { 0.5 } else { (most / 2.0).max(1e-299) };
    ((low - half).max(f64::MIN), (high + half).min(f64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Axis;

    fn labels(values: &[f64]) -> Vec<String> {
        let axis = Axis::of(values.iter().copied(), 8);
        let ticks = axis.ticks.clone();
        assert!((1..=12).contains(&ticks.clone().count()), "{values:?}: {axis:?}");
        let places: Vec<f64> = ticks.map(|t| axis.place(t as f64 * axis.step)).collect();
        assert!(places.iter().all(|p| (-1e-6..=1.0 + 1e-6).contains(p)), "{values:?}: {places:?}");
        places.into_iter().map(|place| axis.label(place)).collect()
    }

    #[test]
    fn ticks_of_any_size() {
        assert_eq!(labels(&[0.0, 0.5, 1.0]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[1.0, 2.0, 4.0]), ["1", "2", "3", "4"]);
        assert_eq!(labels(&[0.0, 0.0]), ["0"]);
        assert_eq!(labels(&[]), ["0", "1"]);
        assert_eq!(labels(&[0.0, 600.0]), ["0", "100", "200", "300", "400", "500", "600"]);
        assert_eq!(labels(&[-0.3, 0.3])[..3], ["-0.3", "-0.2", "-0.1"]);
        assert_eq!(labels(&[0.0, 3e-7])[..3], ["0", "5e-8", "1.0e-7"]);
        assert_eq!(labels(&[1e7, 3e7])[..2], ["1.0e7", "1.5e7"]);
        assert_eq!(labels(&[2.5e-6, 2.5e-6 + 1e-9])[1], "2.5002e-6");
    }

    #[test]
    fn every_range_has_ticks_that_differ() {
        let ulp = |v: f64| [v, f64::from_bits(v.to_bits() + 1)];
        let ranges = [
            [-1.7e308, 1.7e308],
            [f64::MIN, f64::MAX],
            [1e308, 1e308],
            [f64::MAX, f64::MAX],
            [5e-324, 5e-324],
            [0.0, 5e-324],
            [-5e-324, 1e-310],
            [1e-300, 1e300],
            [1e20, 1e20],
            ulp(1.0),
            ulp(1e300),
            [1.0, 1.0 + 1e-8],
            [0.9999, 1.0001],
            [-1e-9, 1e9],
        ];
        for range in ranges {
            let mut found = labels(&range);
            let zero = |label: &&String| label.parse() == Ok(0.0);
            assert!(found.iter().filter(zero).all(|label| label == "0"), "{range:?}: {found:?}");
            let count = found.len();
            found.dedup();
            assert_eq!(found.len(), count, "{range:?}: {found:?}");
        }
    }
}
