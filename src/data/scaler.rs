//! Columns on a common scale.

use super::Series;
use crate::error::{Error, Result};
use std::ops::Range;
use std::str::FromStr;

/// To what scale columns are brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// From 0 to 1 between smallest and largest value.
    #[default]
    MinMax,
    /// Mean 0, standard deviation 1 (of all values, divided by their number).
    Standard,
    /// As they are.
    None,
}

impl FromStr for Scale {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "min-max" => Ok(Scale::MinMax),
            "standard" => Ok(Scale::Standard),
            "none" => Ok(Scale::None),
            _ => {
                let detail = format!("`{name}`, expected min-max, standard or none");
                Err(Error::argument("scale", detail))
            }
        }
    }
}

impl std::fmt::Display for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scale::MinMax => "min-max",
            Scale::Standard => "standard",
            Scale::None => "none",
        })
    }
}

/// A shift and a factor for each column: `x' = (x - shift) / factor`. Fit it to the rows to train on,
/// so that nothing is known of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    shifts: Vec<f32>,
    factors: Vec<f32>,
}

impl Scaler {
    /// The scaler of these rows of a series. A column that is constant over them is shifted alone.
    ///
    /// # Errors
    /// [`Error::Argument`] without rows, or for rows that do not exist.
    pub fn fit(series: &Series, rows: Range<usize>, scale: Scale) -> Result<Self> {
        let columns = series.columns();
        let values = series.part(rows.clone())?;
        if values.is_empty() {
            let detail = format!("no rows in {rows:?} of {}", series.rows());
            return Err(Error::argument("scaler", detail));
        }
        let fit = |column: usize| fit(values.iter().skip(column).step_by(columns), scale);
        let (shifts, factors) = (0..columns).map(fit).unzip();
        Ok(Self { shifts, factors })
    }

    /// A scaler of known shifts and factors, those of a saved model for instance.
    ///
    /// # Errors
    /// [`Error::Argument`] unless there are as many factors as shifts, all finite, factors above 0.
    pub fn new(shifts: Vec<f32>, factors: Vec<f32>) -> Result<Self> {
        let positive = factors.iter().all(|factor| factor.is_normal() && *factor > 0.0);
        if shifts.len() != factors.len() || !positive || shifts.iter().any(|s| !s.is_finite()) {
            let detail = format!("{} shifts, {} factors", shifts.len(), factors.len());
            let expected = "expected as many of both, all finite, factors above 0";
            return Err(Error::argument("scaler", format!("{detail}: {expected}")));
        }
        Ok(Self { shifts, factors })
    }

    /// The series on the common scale.
    ///
    /// # Errors
    /// [`Error::Shape`] for a series of other columns.
    pub fn apply(&self, series: &Series) -> Result<Series> {
        if series.columns() != self.shifts.len() {
            let detail = format!("{} columns for {}", series.columns(), self.shifts.len());
            return Err(Error::shape("scaler", detail));
        }
        Ok(series.map(|values| self.each(values, |x, shift, factor| (x - shift) / factor)))
    }

    /// Values `[.., N]` back on their own scale, in place.
    pub fn undo(&self, values: &mut [f32]) {
        self.each(values, |x, shift, factor| x * factor + shift);
    }

    /// What is subtracted from each column.
    pub fn shifts(&self) -> &[f32] {
        &self.shifts
    }

    /// What one unit of the common scale is of each column.
    pub fn factors(&self) -> &[f32] {
        &self.factors
    }

    fn each(&self, values: &mut [f32], map: impl Fn(f64, f64, f64) -> f64) {
        for row in values.chunks_mut(self.shifts.len().max(1)) {
            for ((x, shift), factor) in row.iter_mut().zip(&self.shifts).zip(&self.factors) {
                *x = map(f64::from(*x), f64::from(*shift), f64::from(*factor)) as f32;
            }
        }
    }
}

/// Shift and factor of one column.
fn fit<'a>(values: impl Iterator<Item = &'a f32> + Clone, scale: Scale) -> (f32, f32) {
    let (shift, factor) = match scale {
        Scale::None => (0.0, 1.0),
        Scale::MinMax => {
            let range = (f32::INFINITY, f32::NEG_INFINITY);
            let (low, high) = values.fold(range, |(low, high), x| (low.min(*x), high.max(*x)));
            (f64::from(low), f64::from(high) - f64::from(low))
        }
        Scale::Standard => {
            let wide = values.map(|x| f64::from(*x));
            let count = wide.clone().count().max(1) as f64;
            let mean = wide.clone().sum::<f64>() / count;
            let square = wide.map(|x| (x - mean) * (x - mean)).sum::<f64>();
            (mean, (square / count).sqrt())
        }
    };
    // Below this a division could leave the range of f32: such a column is as good as constant.
    let least = f64::from(f32::EPSILON) * shift.abs() + f64::from(f32::MIN_POSITIVE);
    let factor = if factor > least { factor.min(f64::from(f32::MAX)) } else { 1.0 };
    (shift as f32, factor as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(columns: usize, values: &[f32]) -> Series {
        let names = (0..columns).map(|i| format!("{i}")).collect();
        Series::new("s", names, None, values.to_vec()).unwrap()
    }

    #[test]
    fn fitted_to_the_first_rows_alone() {
        let s = series(2, &[0.0, 1.0, 4.0, 3.0, 2.0, 5.0, 8.0, 100.0]);
        let scaler = Scaler::fit(&s, 0..3, Scale::MinMax).unwrap();
        let scaled = scaler.apply(&s).unwrap();
        assert_eq!(scaled.values(), [0.0, 0.0, 1.0, 0.5, 0.5, 1.0, 2.0, 24.75]);
        let mut back = scaled.values().to_vec();
        scaler.undo(&mut back);
        assert_eq!(back, s.values());
        assert_eq!(scaler.factors(), [4.0, 4.0]);

        let standard = Scaler::fit(&s, 0..3, Scale::Standard).unwrap().apply(&s).unwrap();
        let first: Vec<f64> =
            standard.part(0..3).unwrap().iter().step_by(2).map(|x| f64::from(*x)).collect();
        let square = first.iter().map(|x| x * x).sum::<f64>() / 3.0;
        assert!(first.iter().sum::<f64>().abs() < 1e-6 && (square - 1.0).abs() < 1e-6);
        assert_eq!(Scaler::fit(&s, 0..3, Scale::None).unwrap().apply(&s).unwrap(), s);
    }

    #[test]
    fn constant_and_extreme_columns_stay_finite() {
        let max = f32::MAX;
        let s = series(4, &[5.0, 0.1, -max, 0.0, 5.0, 0.1, max, 1e-45, 6.0, 0.1, 0.0, 1.0]);
        for scale in [Scale::MinMax, Scale::Standard] {
            let scaler = Scaler::fit(&s, 0..2, scale).unwrap();
            assert_eq!((scaler.factors()[0], scaler.factors()[1]), (1.0, 1.0), "{scale}");
            let scaled = scaler.apply(&s).unwrap();
            assert!(
                scaled.values().iter().all(|x| x.is_finite()),
                "{scale}: {:?}",
                scaled.values()
            );
            assert_eq!(scaled.values()[8], 1.0);
        }
    }

    #[test]
    fn bad_input() {
        let s = series(2, &[0.0; 4]);
        let none = Scaler::fit(&s, 1..1, Scale::MinMax).unwrap_err().to_string();
        assert_eq!(none, "scaler: no rows in 1..1 of 2");
        assert!(Scaler::fit(&s, 5..9, Scale::MinMax).is_err());
        let scaler = Scaler::fit(&s, 0..2, Scale::MinMax).unwrap();
        assert!(scaler.apply(&series(3, &[0.0; 3])).is_err());
        let known = Scaler::new(scaler.shifts().to_vec(), scaler.factors().to_vec()).unwrap();
        assert_eq!(known, scaler);
        assert!(Scaler::new(vec![0.0], vec![]).is_err());
        assert!(Scaler::new(vec![0.0], vec![0.0]).is_err());
        assert!(Scaler::new(vec![f32::NAN], vec![1.0]).is_err());
        assert_eq!("standard".parse::<Scale>().unwrap(), Scale::Standard);
        let wrong = "minmax".parse::<Scale>().unwrap_err().to_string();
        assert_eq!(wrong, "scale: `minmax`, expected min-max, standard or none");
    }
}
