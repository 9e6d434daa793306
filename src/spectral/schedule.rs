//! Polynomials of the iterations, made in f64.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Coefficients `a, b, c` of `a x + b x^3 + c x^5`.
pub(super) type Quintic = [f64; 3];

/// Where the iteration ends: the Pade quintic, which converges with the third power of the error.
const LIMIT: Quintic = [1.875, -1.25, 0.375];

/// The largest power of two that the bound `alpha` has a row of its own for.
const GRID: usize = 40;

/// The residual that is left where the number of steps follows the bound, unless another is asked for.
pub(super) const RESIDUAL: f64 = 2e-7;

pub(super) fn evaluate([a, b, c]: Quintic, x: f64) -> f64 {
    let q = x * x;
    x * (a + q * (b + q * c))
}

/// The odd quintic that is nearest to 1 on `[low, high]` in the largest error, by exchange of its four
/// extrema (Amsel et al. 2025, algorithm 2).
pub(super) fn minimax(low: f64, high: f64) -> Quintic {
    if low / high >= 1.0 - 5e-6 {
        let [a, b, c] = LIMIT;
        return [a / high, b / high.powi(3), c / high.powi(5)];
    }
    let (mut q, mut r) = ((3.0 * low + high) / 4.0, (low + 3.0 * high) / 4.0);
    let (mut found, mut error) = (LIMIT, f64::INFINITY);
    // Converges quadratically; the count is only a bound.
    for _ in 0..100 {
        let row = |x: f64, sign: f64| [x, x.powi(3), x.powi(5), sign, 1.0];
        let [a, b, c, e] = solve([row(low, 1.0), row(q, -1.0), row(r, 1.0), row(high, -1.0)]);
        found = [a, b, c];
        let root = (9.0 * b * b - 20.0 * a * c).max(0.0).sqrt();
        q = ((-3.0 * b - root) / (10.0 * c)).sqrt();
        r = ((-3.0 * b + root) / (10.0 * c)).sqrt();
        if (e - error).abs() <= 1e-15 {
            break;
        }
        error = e;
    }
    found
}

/// Solves four equations, `[coefficients.., right side]`, by elimination with pivots.
fn solve(mut rows: [[f64; 5]; 4]) -> [f64; 4] {
    for i in 0..4 {
        let largest = (i..4).max_by(|x, y| rows[*x][i].abs().total_cmp(&rows[*y][i].abs()));
        rows.swap(i, largest.unwrap_or(i));
        let pivot = rows[i];
        for (_, row) in rows.iter_mut().enumerate().filter(|(r, _)| *r != i) {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(pivot).for_each(|(v, p)| *v -= factor * p);
        }
    }
    std::array::from_fn(|i| rows[i][4] / rows[i][i])
}

/// The next interval after `p` on `[low, 2 - low']`, whose values lie as far above 1 as below.
fn next(p: Quintic, low: f64) -> (f64, f64) {
    let low = evaluate(p, low);
    (low, 2.0 - low)
}

/// `count` minimax quintics for square roots of eigenvalues in `[1 / alpha, 1]`.
fn quintics(alpha: f64, count: usize) -> Vec<Quintic> {
    let (mut low, mut high) = (alpha.sqrt().recip(), 1.0);
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        let p = minimax(low, high);
        (low, high) = next(p, low);
        made.push(p);
    }
    made
}

/// The odd cubic that is nearest to 1 on `[low, high]`: as far below at both ends as above between.
fn cubic(low: f64, high: f64) -> Quintic {
    let square = low * low + low * high + high * high;
    let ends = low * high * (low + high);
    let between = 2.0 / 3.0 * square * (square / 3.0).sqrt();
    let b = 2.0 / (ends + between);
    [b * square, -b, 0.0]
}

/// The fewest minimax polynomials for `alpha` that leave the residual: quintics, and a cubic at the end
/// where that does, which saves a product.
fn schedule(alpha: f64, residual: f64) -> Vec<Quintic> {
    let (mut low, mut high) = (alpha.sqrt().recip(), 1.0);
    let mut made = Vec::new();
    loop {
        let last = cubic(low, high);
        if 1.0 - evaluate(last, low) <= residual {
            made.push(last);
            return made;
        }
        let p = minimax(low, high);
        (low, high) = next(p, low);
        made.push(p);
        if 1.0 - low <= residual {
            return made;
        }
    }
}

/// The fewest classic steps for `alpha` that leave the residual.
fn classic_steps(alpha: f64, residual: f64) -> usize {
    let (mut low, mut steps) = (alpha.sqrt().recip(), 0);
    while 1.0 - low > residual {
        low *= 1.5 - 0.5 * low * low;
        steps += 1;
    }
    steps.max(1)
}

/// The schedules that the device chooses from by the bound `alpha`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedules {
    quintic: bool,
    most: usize,
    /// `[grid, most, 4]`: (a, b, c, 1), or zeros before the first step.
    table: Vec<f64>,
}

impl Schedules {
    /// The schedules of these options, made once a process.
    pub(super) fn cached(quintic: bool, most: usize, residual: Option<f64>) -> Arc<Self> {
        type Made = HashMap<(bool, usize, Option<u64>), Arc<Schedules>>;
        static MADE: OnceLock<Mutex<Made>> = OnceLock::new();
        let mut made =
            MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let entry = made.entry((quintic, most, residual.map(f64::to_bits)));
        entry.or_insert_with(|| Arc::new(Self::new(quintic, most, residual))).clone()
    }

    /// Those that make every iteration whatever the bound.
    pub(super) fn fixed(&self) -> Arc<Self> {
        Self::cached(self.quintic, self.most, None)
    }

    /// `most` iterations whatever the bound, or at most so many, as the bound asks for to leave a
    /// residual.
    fn new(quintic: bool, most: usize, residual: Option<f64>) -> Self {
        let rows = if quintic || residual.is_some() { GRID + 1 } else { 1 };
        let mut table = vec![0.0; rows * most * 4];
        for (j, row) in table.chunks_exact_mut(most * 4).enumerate() {
            let alpha = 2f64.powi(j as i32);
            let mut made = match (quintic, residual) {
                (true, None) => quintics(alpha, most),
                (true, Some(residual)) => schedule(alpha, residual),
                (false, None) => vec![[0.0; 3]; most],
                (false, Some(residual)) => vec![[0.0; 3]; classic_steps(alpha, residual)],
            };
            made.truncate(most);
            // Later iterations of the launches: all matrices end together.
            for (cell, [a, b, c]) in row[(most - made.len()) * 4..].chunks_exact_mut(4).zip(made) {
                cell.copy_from_slice(&[a, b, c, 1.0]);
            }
        }
        Self { quintic, most, table }
    }

    /// Iterations that are launched.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Rows of the table: row `j` serves `alpha <= 2^j`.
    pub(super) fn grid(&self) -> usize {
        self.table.len() / (4 * self.most)
    }

    /// Launches of products an iteration.
    pub(super) fn products(&self) -> usize {
        if self.quintic { 3 } else { 2 }
    }

    pub(super) fn table(&self) -> &[f64] {
        &self.table
    }
}

/// The coefficients of the Polar Express for singular values from `low` to 1: `count` minimax
/// quintics, each but the last divided by the safety factor (Amsel et al. 2025, algorithm 3).
pub(super) fn express(low: f64, count: usize, cushion: f64, safety: f64) -> Vec<Quintic> {
    let (mut low, mut high) = (low, 1.0);
    let mut made = Vec::with_capacity(count);
    for i in 0..count {
        let mut p = minimax(low.max(cushion * high), high);
        if cushion * high > low {
            // The low end lies outside of the interval that was solved for: centre the values.
            let centre = 2.0 / (evaluate(p, low) + evaluate(p, high));
            p = p.map(|v| v * centre);
        }
        if i + 1 < count {
            p = [p[0] / safety, p[1] / safety.powi(3), p[2] / safety.powi(5)];
        }
        (low, high) = next(p, low);
        made.push(p);
    }
    made
}

/// The fewest iterations for `alpha` that leave the residual: about `ln alpha / ln (9 / 4) + 4` classic
/// ones.
pub(super) fn steps_for(quintic: bool, alpha: f64, residual: f64) -> usize {
    if quintic { schedule(alpha, residual).len() } else { classic_steps(alpha, residual) }
}

#[cfg(test)]
mod tests {
    use super::{
        RESIDUAL, Schedules, classic_steps, cubic, evaluate, express, minimax, quintics, schedule,
    };

    /// The published coefficients, from the same algorithm.
    #[test]
    fn polar_express_is_reproduced() {
        let published = [
            [8.287_212, -23.595_887, 17.300_387],
            [4.107_059, -2.947_850, 0.544_843],
            [3.948_691, -2.908_902, 0.551_819],
            [3.318_420, -2.488_488, 0.510_049],
            [2.300_652, -1.668_904, 0.418_807],
            [1.891_301, -1.267_996, 0.376_804],
            [1.875_001, -1.250_002, 0.375_000],
            [1.875, -1.25, 0.375],
        ];
        for (ours, theirs) in express(1e-3, 8, 0.024_073, 1.0).iter().zip(published) {
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 2e-5 * b.abs(), "{ours:?} {theirs:?}");
            }
        }
    }

    /// The error of a minimax polynomial has four extrema of one size and alternating sign.
    #[test]
    fn minimax_equioscillates() {
        for low in [1e-3, 0.03, 0.3, 0.9] {
            let p = minimax(low, 1.0);
            let error = 1.0 - evaluate(p, low);
            let worst = (0..=10_000).map(|i| low + (1.0 - low) * f64::from(i) / 1e4);
            let worst = worst.map(|x| (1.0 - evaluate(p, x)).abs()).fold(0.0, f64::max);
            assert!((worst - error).abs() < 1e-9 * worst, "{low}: {worst} {error}");
            assert!((evaluate(p, 1.0) - 1.0 - error).abs() < 1e-9, "{low}");
        }
    }

    #[test]
    fn steps_grow_with_the_logarithm_of_the_bound() {
        assert_eq!(quintics(1000.0, 3).len(), 3);
        assert!((quintics(30.0, 1)[0][0] - 4.4189).abs() < 1e-4);
        let alphas = [1.0, 10.0, 300.0, 1e4];
        assert_eq!(alphas.map(|alpha| classic_steps(alpha, RESIDUAL)), [1, 7, 11, 16]);
        assert_eq!(alphas.map(|alpha| schedule(alpha, RESIDUAL).len()), [1, 3, 4, 6]);
        assert_eq!(alphas.map(|alpha| classic_steps(alpha, 1e-3)), [1, 6, 10, 14]);
        assert_eq!(alphas.map(|alpha| schedule(alpha, 1e-3).len()), [1, 2, 4, 5]);
    }

    /// Whatever the bound, the last polynomial leaves what was asked for, and not much less work does.
    #[test]
    fn schedules_leave_their_residual() {
        for residual in [RESIDUAL, 1e-3, 1e-2] {
            for alpha in [1.0, 1.5, 2.0, 7.0, 30.0, 100.0, 401.0, 1e3, 5e3, 1e5, 1e9] {
                let made = schedule(alpha, residual);
                let through = |x: f64| made.iter().fold(x, |x, p| evaluate(*p, x));
                let low = alpha.sqrt().recip();
                let worst = (0..=20_000).map(|i| low + (1.0 - low) * f64::from(i) / 2e4);
                let worst = worst.map(|x| (1.0 - through(x)).abs()).fold(0.0, f64::max);
                assert!(worst <= residual * (1.0 + 1e-9) + 1e-12, "{alpha}: {worst:e}");
                let fewer = quintics(alpha, made.len() - 1);
                let left = 1.0 - fewer.iter().fold(low, |x, p| evaluate(*p, x));
                assert!(alpha == 1.0 || left > residual, "{alpha}: {left:e} with fewer");
            }
        }
        let p = cubic(0.7, 1.2);
        assert!((evaluate(p, 0.7) - evaluate(p, 1.2)).abs() < 1e-15);
        let top = (p[0] / (-3.0 * p[1])).sqrt();
        assert!((evaluate(p, top) + evaluate(p, 0.7) - 2.0).abs() < 1e-15);
    }

    #[test]
    fn rows_end_together() {
        let schedules = Schedules::new(true, 6, Some(RESIDUAL));
        for (j, row) in schedules.table().chunks_exact(24).enumerate() {
            let active: Vec<bool> = row.chunks_exact(4).map(|c| c[3] == 1.0).collect();
            let steps = active.iter().filter(|a| **a).count();
            assert_eq!(steps, schedule(2f64.powi(j as i32), RESIDUAL).len().min(6));
            assert!(active.iter().rev().take(steps).all(|a| *a));
        }
    }
}
