//! Multivariate series.

use super::Csv;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// N series over the same T times, as rows of N values: `[T, N]`, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is called, the name of its file as a rule.
    pub name: String,
    names: Vec<String>,
    dates: Option<Vec<String>>,
    values: Vec<f32>,
}

/// Hourly temperature (°C), dew point (°C) and wind speed (m/s) at the three airports of New York in
/// 2013: 8,730 rows of nine columns. It ships with the crate; `assets/weather/README.md` says where it
/// comes from.
///
/// # Errors
/// None, as long as the crate is whole.
pub fn weather() -> Result<Series> {
    const WEATHER: &[u8] = include_bytes!("../../assets/weather/new-york-2013.csv.gz");
    Series::parse(WEATHER, "new-york-2013.csv.gz")
}

/// The places of the first two names that are one.
pub(super) fn same_names(names: &[String]) -> Option<(usize, usize)> {
    let mut known = HashMap::new();
    names.iter().enumerate().find_map(|(at, name)| Some((known.insert(name, at)?, at)))
}

impl Series {
    /// A series of these columns, and a date for every row, if there are any.
    ///
    /// # Errors
    /// [`Error::Shape`] without columns or rows, and for values or dates that are no multiple of them;
    /// [`Error::Argument`] for a value that is not finite, with its place, and for a name that two
    /// columns have.
    pub fn new(
        name: impl Into<String>,
        names: Vec<String>,
        dates: Option<Vec<String>>,
        values: Vec<f32>,
    ) -> Result<Self> {
        const OP: &str = "series";
        let (columns, count) = (names.len(), values.len());
        if columns == 0 || count == 0 || count % columns != 0 {
            return Err(Error::shape(OP, format!("{count} values in {columns} columns")));
        }
        if let Some(dates) = dates.as_ref().filter(|dates| dates.len() != count / columns) {
            let detail = format!("{} dates for {} rows", dates.len(), count / columns);
            return Err(Error::shape(OP, detail));
        }
        if let Some((first, second)) = same_names(&names) {
            let name = &names[second];
            return Err(Error::argument(
                OP,
                format!("columns {first} and {second} are both `{name}`"),
            ));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let detail = format!("{} at row {}, column {}", values[at], at / columns, at % columns);
            return Err(Error::argument(OP, detail));
        }
        Ok(Self { name: name.into(), names, dates, values })
    }

    /// Reads a csv file, plain or compressed with gzip; whether it has a header and dates is recognised
    /// where it is beyond doubt. [`Csv`] can be told.
    ///
    /// # Errors
    /// Those of [`Csv::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Csv::new().open(path)
    }

    /// Reads the bytes of such a file; `path` is what errors name.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), apart from [`Error::Io`].
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        Csv::new().read(bytes, path)
    }

    /// T, the times.
    pub fn rows(&self) -> usize {
        self.values.len() / self.names.len().max(1)
    }

    /// N, the series.
    pub fn columns(&self) -> usize {
        self.names.len()
    }

    /// What each column is called.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The times as the file writes them.
    pub fn dates(&self) -> Option<&[String]> {
        self.dates.as_deref()
    }

    /// All values `[T, N]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values of these rows.
    ///
    /// # Errors
    /// [`Error::Argument`] for rows that do not exist.
    pub fn part(&self, rows: Range<usize>) -> Result<&[f32]> {
        if rows.start > rows.end || rows.end > self.rows() {
            let detail = format!("rows {rows:?} of {}", self.rows());
            return Err(Error::argument("series", detail));
        }
        Ok(&self.values[rows.start * self.columns()..rows.end * self.columns()])
    }

    /// A row that exists.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns()..(row + 1) * self.columns()]
    }

    /// The first `columns` columns alone.
    pub fn first_columns(&self, columns: usize) -> Self {
        let kept = columns.clamp(1, self.columns());
        let rows = self.values.chunks_exact(self.columns());
        Self {
            name: self.name.clone(),
            names: self.names[..kept].to_vec(),
            dates: self.dates.clone(),
            values: rows.flat_map(|row| &row[..kept]).copied().collect(),
        }
    }

    /// Its values replaced by `map` of all of them.
    pub(super) fn map(&self, map: impl FnOnce(&mut [f32])) -> Self {
        let mut mapped = self.clone();
        map(&mut mapped.values);
        mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_series_is_whole() {
        let weather = weather().expect("the crate is whole");
        assert_eq!((weather.rows(), weather.columns()), (8730, 9));
        assert_eq!(weather.names()[4], "jfk_dew_point");
        let dates = weather.dates().expect("dates");
        assert_eq!(
            (dates[0].as_str(), dates[8729].as_str()),
            ("2013-01-01 06:00", "2013-12-30 23:00")
        );
        assert_eq!(weather.part(0..1).unwrap(), [3.9, -3.3, 4.6, 3.9, -3.3, 5.7, 4.4, -3.3, 6.2]);
        let wind = weather.values().iter().skip(2).step_by(9);
        assert!(wind.copied().fold(0.0, f32::max) < 20.0);
    }

    #[test]
    fn parts_and_columns() {
        let names = ["a", "b", "c"].map(String::from).to_vec();
        let values = (0..12).map(|v| v as f32).collect();
        let series = Series::new("s", names, None, values).unwrap();
        assert_eq!(series.part(1..2).unwrap(), [3.0, 4.0, 5.0]);
        assert_eq!(series.part(3..4).unwrap(), [9.0, 10.0, 11.0]);
        assert!(series.part(4..4).unwrap().is_empty());
        for rows in [3..5, 7..9, 4..usize::MAX] {
            assert!(series.part(rows).is_err());
        }
        let two = series.first_columns(2);
        assert_eq!((two.rows(), two.part(1..3).unwrap()), (4, [3.0, 4.0, 6.0, 7.0].as_slice()));
        assert_eq!(series.first_columns(9), series);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let new = |columns: usize, dates: Option<usize>, values: Vec<f32>| {
            let names = (0..columns).map(|column| column.to_string()).collect();
            let dates = dates.map(|count| vec![String::new(); count]);
            Series::new("s", names, dates, values).unwrap_err().to_string()
        };
        assert_eq!(new(0, None, vec![1.0]), "series: 1 values in 0 columns");
        assert_eq!(new(2, None, vec![1.0; 3]), "series: 3 values in 2 columns");
        assert_eq!(new(2, None, vec![]), "series: 0 values in 2 columns");
        assert_eq!(new(2, Some(1), vec![1.0; 4]), "series: 1 dates for 2 rows");
        assert_eq!(new(2, None, vec![1.0, 2.0, 3.0, f32::NAN]), "series: NaN at row 1, column 1");
        let twice = ["a", "b", "a"].map(String::from).to_vec();
        let twice = Series::new("s", twice, None, vec![1.0; 3]).unwrap_err().to_string();
        assert_eq!(twice, "series: columns 0 and 2 are both `a`");
    }
}
