//! How far forecasts are off.

/// Forecasts of all windows of a part, window by window: `[W, H, N]`.
pub struct Forecasts {
    pub values: Vec<f32>,
    pub horizon: usize,
    pub columns: usize,
}

impl Forecasts {
    /// The forecast of column `column` in window `window`, `lead` steps after its last value.
    pub fn at(&self, window: usize, lead: usize, column: usize) -> f32 {
        self.values[(window * self.horizon + lead - 1) * self.columns + column]
    }

    /// The mean absolute error of each lead, from 1 to H.
    pub fn error_by_lead(&self, truth: &[f32]) -> Vec<f64> {
        let mut sums = vec![0.0; self.horizon];
        let rows = self.values.chunks_exact(self.columns).zip(truth.chunks_exact(self.columns));
        for (row, (x, y)) in rows.enumerate() {
            let error: f64 = x.iter().zip(y).map(|(x, y)| f64::from((x - y).abs())).sum();
            sums[row % self.horizon] += error;
        }
        let each = (self.values.len() / self.horizon.max(1)).max(1) as f64;
        sums.iter().map(|sum| sum / each).collect()
    }
}

/// Mean absolute error, root of the mean squared error, and the part of the variance around the
/// mean of all targets that is explained.
#[derive(Debug, Clone, Copy)]
pub struct Score {
    pub mae: f64,
    pub rmse: f64,
    pub r2: f64,
}

impl Score {
    pub fn of(forecasts: &[f32], truth: &[f32]) -> Self {
        let count = truth.len().max(1) as f64;
        let mean = truth.iter().map(|y| f64::from(*y)).sum::<f64>() / count;
        let (mut absolute, mut square, mut spread) = (0.0, 0.0, 0.0);
        for (x, y) in forecasts.iter().zip(truth) {
            let (x, y) = (f64::from(*x), f64::from(*y));
            absolute += (x - y).abs();
            square += (x - y) * (x - y);
            spread += (y - mean) * (y - mean);
        }
        Self { mae: absolute / count, rmse: (square / count).sqrt(), r2: 1.0 - square / spread }
    }
}
