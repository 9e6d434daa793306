//! Windows of a series, for forecasting.

use super::{Batches, Series};
use crate::error::{Error, Result};
use std::ops::Range;
use std::str::FromStr;

/// How the rows of a series are divided: first those to train on, then those to validate with, then
/// those to test with.
///
/// As text: shares between colons (`7:2:1`, `0.6:0.2:0.2`), or numbers of rows between commas
/// (`8640,2880,2880`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parts {
    /// By shares of all rows. Borders are rounded down.
    Shares([f64; 3]),
    /// So many rows each; rows after them are left out.
    Rows([usize; 3]),
}

/// One of the three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To train on.
    Train,
    /// To choose settings with.
    Validation,
    /// To test with.
    Test,
}

impl Parts {
    /// The rows of each part, of `rows` rows in all.
    ///
    /// # Errors
    /// [`Error::Argument`] for shares that are negative, not finite or all 0, and for more rows than
    /// there are.
    pub fn of(self, rows: usize) -> Result<[Range<usize>; 3]> {
        let [first, second, third] = match self {
            Parts::Rows([train, validation, test]) => {
                let second = train.saturating_add(validation);
                [train, second, second.saturating_add(test)]
            }
            Parts::Shares(shares) => {
                let sum: f64 = shares.iter().sum();
                if shares.iter().any(|share| !(share.is_finite() && *share >= 0.0)) || sum <= 0.0 {
                    let detail =
                        format!("shares of {shares:?}, expected numbers that are not negative");
                    return Err(Error::argument("parts", detail));
                }
                // 0.7 + 0.2 of 10 rows is 9, though it falls short of it in f64.
                let border = |share: f64| (rows as f64 * (share / sum) + 1e-9) as usize;
                [border(shares[0]), border(shares[0] + shares[1]), rows]
            }
        };
        if third > rows {
            let detail = format!("{third} rows asked for, the series has {rows}");
            return Err(Error::argument("parts", detail));
        }
        Ok([0..first, first..second, second..third])
    }
}

impl FromStr for Parts {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let three = |mark: char| -> Option<[&str; 3]> {
            text.split(mark).map(str::trim).collect::<Vec<_>>().try_into().ok()
        };
        let parsed = if let Some([a, b, c]) = three(':') {
            let share = |text: &str| text.parse::<f64>().ok();
            share(a).zip(share(b)).zip(share(c)).map(|((a, b), c)| Parts::Shares([a, b, c]))
        } else if let Some([a, b, c]) = three(',') {
            let rows = |text: &str| text.parse::<usize>().ok();
            rows(a).zip(rows(b)).zip(rows(c)).map(|((a, b), c)| Parts::Rows([a, b, c]))
        } else {
            None
        };
        parsed.ok_or_else(|| {
            let expected = "expected shares such as 7:2:1 or rows such as 8640,2880,2880";
            Error::argument("parts", format!("`{text}`, {expected}"))
        })
    }
}

/// All windows of L values and the H values that follow them. A window lies in one part entirely: no
/// value that is trained on, seen or target, is in a window of another part.
#[derive(Debug, Clone)]
pub struct Windows {
    series: Series,
    look_back: usize,
    horizon: usize,
    /// The first rows of the windows of each part.
    starts: [Range<usize>; 3],
}

impl Windows {
    /// The windows of `look_back` and `horizon` values within these parts.
    ///
    /// # Errors
    /// [`Error::Argument`] for a look-back or horizon of 0, for parts that overlap or lie outside the
    /// series, and if no window fits into the rows to train on or to test with. The validation may
    /// have none.
    pub fn new(
        series: Series,
        parts: &[Range<usize>; 3],
        look_back: usize,
        horizon: usize,
    ) -> Result<Self> {
        const OP: &str = "windows";
        let wrong = |detail: String| Err(Error::argument(OP, format!("{}: {detail}", series.name)));
        for (what, steps) in [("look-back", look_back), ("horizon", horizon)] {
            if steps == 0 {
                return wrong(format!("a {what} of 0, expected 1 or more"));
            }
        }
        let ordered = parts[0].end <= parts[1].start && parts[1].end <= parts[2].start;
        if !ordered || parts.iter().any(|part| part.end > series.rows() || part.start > part.end) {
            return wrong(format!("parts {parts:?} of {} rows", series.rows()));
        }
        let length = look_back.saturating_add(horizon);
        let starts = parts.clone().map(|part| {
            let count = (part.len() + 1).saturating_sub(length);
            part.start..part.start + count
        });
        for (what, part) in [("train on", 0), ("test with", 2)] {
            if starts[part].is_empty() {
                let (rows, all) = (parts[part].len(), series.rows());
                return wrong(format!(
                    "{rows} of {all} rows to {what}, fewer than look-back + horizon = {look_back} + {horizon}"
                ));
            }
        }
        Ok(Self { series, look_back, horizon, starts })
    }

    /// The series that the windows are of.
    pub fn series(&self) -> &Series {
        &self.series
    }

    /// L, the values that are seen.
    pub fn look_back(&self) -> usize {
        self.look_back
    }

    /// H, the values to forecast.
    pub fn horizon(&self) -> usize {
        self.horizon
    }

    /// The first rows of a part's windows.
    pub fn starts(&self, part: Part) -> Range<usize> {
        self.starts[part as usize].clone()
    }

    /// Batches of `size` windows to train on, in an order shuffled anew every epoch. What they name is
    /// places in [`starts`](Self::starts).
    pub fn shuffled(&self, size: usize, seed: u64) -> Batches {
        Batches::new(self.starts(Part::Train).len(), size, seed)
    }

    /// The windows at these places of a part, B of them: the values `[L, B, N]` that are seen and
    /// those `[H, B, N]` to forecast, time-major.
    ///
    /// # Errors
    /// [`Error::Argument`] for a window that does not exist.
    pub fn batch(&self, part: Part, places: &[usize]) -> Result<(Vec<f32>, Vec<f32>)> {
        let starts = self.starts(part);
        if let Some(place) = places.iter().find(|place| **place >= starts.len()) {
            let detail = format!("window {place} of {} of this part", starts.len());
            return Err(Error::argument("batch", detail));
        }
        let starts: Vec<usize> = places.iter().map(|place| starts.start + place).collect();
        let rows = |steps: Range<usize>| {
            let mut values = Vec::with_capacity(steps.len() * starts.len() * self.series.columns());
            for step in steps {
                for start in &starts {
                    values.extend_from_slice(self.series.row(start + step));
                }
            }
            values
        };
        Ok((rows(0..self.look_back), rows(self.look_back..self.look_back + self.horizon)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A series of the columns `t` and `t + 1000`.
    fn series(rows: usize) -> Series {
        let values = (0..rows).flat_map(|t| [t as f32, t as f32 + 1000.0]).collect();
        Series::new("s", vec!["a".into(), "b".into()], None, values).unwrap()
    }

    fn windows(rows: usize, parts: Parts, look_back: usize, horizon: usize) -> Result<Windows> {
        let parts = parts.of(rows)?;
        Windows::new(series(rows), &parts, look_back, horizon)
    }

    #[test]
    fn parts_of_known_sets() {
        let of = |text: &str, rows| text.parse::<Parts>().unwrap().of(rows).unwrap();
        assert_eq!(of("7:2:1", 2016), [0..1411, 1411..1814, 1814..2016]);
        assert_eq!(of("0.6:0.2:0.2", 335), [0..201, 201..268, 268..335]);
        assert_eq!(of("7:2:1", 10), [0..7, 7..9, 9..10]);
        assert_eq!(of("1:0:1", 9), [0..4, 4..4, 4..9]);
        assert_eq!(of("8640, 2880, 2880", 17420), [0..8640, 8640..11520, 11520..14400]);
        for bad in ["", "7:2", "7:2:x", "1,2", "1,2,-3", "7:2:1:1", "1.5,2,3"] {
            let error = bad.parse::<Parts>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("parts: `{bad}`, expected shares")), "{error}");
        }
        assert!(Parts::Shares([0.0; 3]).of(9).is_err());
        assert!(Parts::Shares([-1.0, 2.0, 3.0]).of(9).is_err());
        assert!(Parts::Shares([1.0, f64::INFINITY, 1.0]).of(9).is_err());
        let most = Parts::Rows([5, usize::MAX, 5]).of(9).unwrap_err().to_string();
        assert!(most.contains("the series has 9"), "{most}");
    }

    /// Every window is in one part, and every row that fits is in one.
    #[test]
    fn no_value_is_in_two_parts() {
        let windows = windows(100, Parts::Shares([7.0, 2.0, 1.0]), 4, 3).unwrap();
        let seen = [Part::Train, Part::Validation, Part::Test].map(|part| {
            let places: Vec<usize> = (0..windows.starts(part).len()).collect();
            let (window, target) = windows.batch(part, &places).unwrap();
            assert_eq!(window.len(), 4 * 2 * places.len());
            let rows = window.iter().chain(&target).map(|x| *x as usize % 1000);
            rows.collect::<HashSet<_>>()
        });
        let all = |rows: Range<usize>| rows.collect::<HashSet<_>>();
        assert_eq!(seen, [all(0..70), all(70..90), all(90..100)]);
    }

    #[test]
    fn batches_are_time_major() {
        let windows = windows(20, Parts::Rows([10, 0, 10]), 2, 3).unwrap();
        let (window, target) = windows.batch(Part::Train, &[4, 0]).unwrap();
        assert!(windows.batch(Part::Train, &[4, 0, 99]).is_err());
        assert_eq!(window, [4.0, 1004.0, 0.0, 1000.0, 5.0, 1005.0, 1.0, 1001.0]);
        assert_eq!(target[..4], [6.0, 1006.0, 2.0, 1002.0]);
        assert_eq!(target.len(), 3 * 2 * 2);
        assert_eq!(windows.batch(Part::Test, &[0]).unwrap().0, [10.0, 1010.0, 11.0, 1011.0]);
        assert!(windows.starts(Part::Validation).is_empty());
        assert!(windows.batch(Part::Validation, &[0]).is_err());
        let batches = windows.shuffled(4, 3);
        assert_eq!((batches.count(), batches.epoch(0)[0].len()), (1, 4));
        assert_ne!(windows.shuffled(4, 4).order(0), batches.order(0));
    }

    #[test]
    fn bad_input() {
        let error = |rows, parts, l, h| windows(rows, parts, l, h).unwrap_err().to_string();
        let thirds = Parts::Shares([1.0; 3]);
        assert_eq!(error(30, thirds, 0, 3), "windows: s: a look-back of 0, expected 1 or more");
        assert_eq!(error(30, thirds, 3, 0), "windows: s: a horizon of 0, expected 1 or more");
        let short = "windows: s: 10 of 30 rows to train on, fewer than look-back + horizon = 6 + 5";
        assert_eq!(error(30, thirds, 6, 5), short);
        assert!(windows(30, thirds, 6, 4).is_ok());
        assert!(error(30, Parts::Rows([20, 5, 5]), 6, 5).contains("5 of 30 rows to test with"));
        assert!(windows(30, Parts::Rows([15, 0, 15]), 6, 5).is_ok());
        assert!(error(9, thirds, usize::MAX, 2).contains("to train on"));
        let outside = Windows::new(series(9), &[0..3, 3..6, 6..10], 1, 1).unwrap_err();
        assert!(outside.to_string().contains("of 9 rows"), "{outside}");
        assert!(Windows::new(series(9), &[0..5, 3..6, 6..9], 1, 1).is_err());
    }
}
