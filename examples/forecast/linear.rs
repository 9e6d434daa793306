//! What a forecaster should beat.

use super::dataset::Dataset;
use super::scores::Forecasts;
use rayon::prelude::*;
use spikegrad::data::{Part, Windows};

/// The last value, over and over.
pub fn persistence(data: &Dataset) -> Forecasts {
    forecast(data, |seen, forecast| forecast.fill(seen[seen.len() - 1]))
}

/// One linear map for all columns, from the L - 1 earlier values and a constant to the H later ones,
/// all as differences to the last value: ridge regression on all windows to train on.
pub struct Ridge {
    /// `[L, H]`, the constant's row last.
    weights: Vec<f64>,
    horizon: usize,
}

/// The penalty on the squared weights.
const LAMBDA: f64 = 1.0;

impl Ridge {
    /// By the normal equations in f64.
    pub fn fit(windows: &Windows) -> Self {
        let (inputs, horizon) = (windows.look_back(), windows.horizon());
        let columns: Vec<Moments> = (0..windows.series().columns())
            .into_par_iter()
            .map(|column| Moments::of(windows, column))
            .collect();
        // Added up in the columns' order: the same bits on any number of threads.
        let mut sum = Moments::zero(inputs, horizon);
        columns.iter().for_each(|one| sum.add(one));
        for i in 0..inputs {
            sum.square[i * inputs + i] += LAMBDA;
        }
        solve(&mut sum.square, &mut sum.cross, inputs, horizon);
        Self { weights: sum.cross, horizon }
    }

    pub fn forecast(&self, data: &Dataset) -> Forecasts {
        forecast(data, |seen, forecast| {
            let last = seen[seen.len() - 1];
            let mut sums = self.weights[self.weights.len() - self.horizon..].to_vec();
            for (x, row) in
                seen.iter().zip(self.weights.chunks_exact(self.horizon)).take(seen.len() - 1)
            {
                sums.iter_mut().zip(row).for_each(|(sum, w)| *sum += (x - last) * w);
            }
            forecast.iter_mut().zip(sums).for_each(|(y, sum)| *y = last + sum);
        })
    }
}

/// Inputs and targets of all windows of one column, multiplied out: X^T X `[L, L]`, of which the
/// lower half is kept, and X^T Y `[L, H]`.
struct Moments {
    square: Vec<f64>,
    cross: Vec<f64>,
}

impl Moments {
    fn zero(inputs: usize, horizon: usize) -> Self {
        Self { square: vec![0.0; inputs * inputs], cross: vec![0.0; inputs * horizon] }
    }

    fn of(windows: &Windows, column: usize) -> Self {
        let (inputs, horizon) = (windows.look_back(), windows.horizon());
        let starts = windows.starts(Part::Train);
        let rows = starts.start..starts.end - 1 + inputs + horizon;
        let values = self::column(windows, column, rows);
        let mut sums = Self::zero(inputs, horizon);
        let (mut x, mut y) = (vec![1.0; inputs], vec![0.0; horizon]);
        for window in values.windows(inputs + horizon) {
            let last = window[inputs - 1];
            x.iter_mut().zip(&window[..inputs - 1]).for_each(|(x, value)| *x = value - last);
            y.iter_mut().zip(&window[inputs..]).for_each(|(y, value)| *y = value - last);
            for (i, a) in x.iter().enumerate() {
                let square = &mut sums.square[i * inputs..][..=i];
                square.iter_mut().zip(&x).for_each(|(sum, b)| *sum += a * b);
                let cross = &mut sums.cross[i * horizon..][..horizon];
                cross.iter_mut().zip(&y).for_each(|(sum, b)| *sum += a * b);
            }
        }
        sums
    }

    fn add(&mut self, other: &Self) {
        self.square.iter_mut().zip(&other.square).for_each(|(sum, x)| *sum += x);
        self.cross.iter_mut().zip(&other.cross).for_each(|(sum, x)| *sum += x);
    }
}

/// Solves `A W = B` by the Cholesky factor L of A `[n, n]`, whose lower half is given; B `[n, m]`
/// becomes W. The penalty keeps A positive.
fn solve(a: &mut [f64], b: &mut [f64], n: usize, m: usize) {
    for j in 0..n {
        let (above, rows) = a.split_at_mut(j * n);
        let pivot = &mut rows[..n];
        for (k, row) in above.chunks_exact(n).enumerate() {
            let dot: f64 = pivot[..k].iter().zip(&row[..k]).map(|(x, y)| x * y).sum();
            pivot[k] = (pivot[k] - dot) / row[k];
        }
        let square: f64 = pivot[..j].iter().map(|x| x * x).sum();
        pivot[j] = (pivot[j] - square).sqrt();
    }
    // L Z = B from the first row on, then L^T W = Z from the last one.
    for i in 0..n {
        (0..i).for_each(|k| subtract(b, m, i, k, a[i * n + k]));
        b[i * m..][..m].iter_mut().for_each(|x| *x /= a[i * n + i]);
    }
    for i in (0..n).rev() {
        (i + 1..n).for_each(|k| subtract(b, m, i, k, a[k * n + i]));
        b[i * m..][..m].iter_mut().for_each(|x| *x /= a[i * n + i]);
    }
}

/// Subtracts `factor` times row `k` of `b [.., m]` from its row `i`.
fn subtract(b: &mut [f64], m: usize, i: usize, k: usize, factor: f64) {
    let (low, high) = b.split_at_mut(i.max(k) * m);
    let (target, source) = match i > k {
        true => (&mut high[..m], &low[k * m..][..m]),
        false => (&mut low[i * m..][..m], &high[..m]),
    };
    target.iter_mut().zip(source).for_each(|(x, y)| *x -= factor * y);
}

/// The values of a column in these rows.
fn column(windows: &Windows, column: usize, rows: std::ops::Range<usize>) -> Vec<f64> {
    let series = windows.series();
    let columns = series.columns();
    let values = &series.values()[rows.start * columns..rows.end * columns];
    values.iter().skip(column).step_by(columns).map(|x| f64::from(*x)).collect()
}

/// The forecasts of all judged windows, each column by itself.
fn forecast(data: &Dataset, each: impl Fn(&[f64], &mut [f64]) + Sync) -> Forecasts {
    let windows = &data.windows;
    let (columns, horizon, look_back) = (data.columns(), windows.horizon(), windows.look_back());
    let starts = windows.starts(data.judged);
    let by_column: Vec<Vec<f64>> = (0..columns)
        .into_par_iter()
        .map(|c| {
            let values = column(windows, c, starts.start..starts.end - 1 + look_back);
            let mut forecasts = vec![0.0; starts.len() * horizon];
            let windows = values.windows(look_back).zip(forecasts.chunks_exact_mut(horizon));
            windows.for_each(|(seen, forecast)| each(seen, forecast));
            forecasts
        })
        .collect();
    let rows = 0..starts.len() * horizon;
    let values = rows.flat_map(|row| by_column.iter().map(move |c| c[row] as f32)).collect();
    Forecasts { values, horizon, columns }
}
