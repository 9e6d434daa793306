//! Learning rates over time.

use crate::error::Result;
use crate::narrow::not_negative;

/// The learning rate as a function of the step, in f64.
///
/// A linear warm-up over the first `warmup` steps multiplies whatever follows.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Schedule {
    peak: f64,
    floor: f64,
    warmup: u64,
    /// The step at which a cosine reaches its floor; `None` for a constant rate.
    total: Option<u64>,
}

impl Schedule {
    /// `rate` at every step.
    pub fn constant(rate: f64) -> Self {
        Self { peak: rate, floor: rate, warmup: 0, total: None }
    }

    /// Half a cosine from `peak`, after the warm-up, to 0 at step `total` (Loshchilov and Hutter
    /// 2017, without restarts); constant from there on.
    pub fn cosine(peak: f64, total: u64) -> Self {
        Self { peak, floor: 0.0, warmup: 0, total: Some(total) }
    }

    /// A linear rise over the first `steps` steps: step `t` has `t / steps` of the rate.
    pub fn warmup(mut self, steps: u64) -> Self {
        self.warmup = steps;
        self
    }

    /// The rate at the end of a cosine, 0 by default.
    pub fn floor(mut self, rate: f64) -> Self {
        if self.total.is_some() {
            self.floor = rate;
        }
        self
    }

    /// The rate of step `step`; the first step is 1.
    pub fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let Some(total) = self.total else { return self.peak };
        let span = total.saturating_sub(self.warmup).max(1) as f64;
        let part = ((step - self.warmup) as f64 / span).min(1.0);
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (std::f64::consts::PI * part).cos())
    }

    /// The highest rate.
    pub(super) fn peak(&self) -> f64 {
        self.peak
    }

    /// The steps of the warm-up.
    pub(super) fn warmup_steps(&self) -> u64 {
        self.warmup
    }

    /// Refuses rates that are negative or not finite, in f32.
    pub(super) fn check(&self, op: &'static str) -> Result<()> {
        not_negative(op, "learning rate", self.peak)?;
        not_negative(op, "last learning rate of the schedule", self.floor)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn warmup_and_cosine() {
        let s = Schedule::cosine(2.0, 110).warmup(10).floor(0.5);
        assert_eq!(s.at(1), 0.2);
        assert_eq!(s.at(10), 2.0);
        approx::assert_abs_diff_eq!(s.at(60), 1.25, epsilon = 1e-12);
        assert_eq!(s.at(110), 0.5);
        assert_eq!(s.at(1000), 0.5);
        assert_eq!(Schedule::constant(0.3).at(1), 0.3);
        assert_eq!(Schedule::cosine(1.0, 0).at(5), 0.0);
    }
}
