//! Drawing the next token.

use crate::Device;
use crate::error::{Error, Result};
use crate::random::Generator;

const OP: &str = "sampler";

/// Draws tokens from logits: temperature, the `k` most likely ones, the most likely ones that
/// together have the probability `p` (nucleus sampling, Holtzman et al. 2020). The same seed draws
/// the same tokens on every device, up to rounding of the logits.
#[derive(Debug, Clone)]
#[must_use]
pub struct Sampler {
    temperature: f64,
    top_k: usize,
    top_p: f64,
    seed: u64,
    draws: u32,
}

impl Sampler {
    /// Temperature 1, all tokens.
    pub fn new(seed: u64) -> Self {
        Self { temperature: 1.0, top_k: usize::MAX, top_p: 1.0, seed, draws: 0 }
    }

    /// Divides the logits; 0 always takes the most likely token.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Only the `k` most likely tokens.
    pub fn top_k(mut self, k: usize) -> Self {
        self.top_k = k;
        self
    }

    /// Only the most likely tokens whose probabilities first add up to `p`.
    pub fn top_p(mut self, p: f64) -> Self {
        self.top_p = p;
        self
    }

    /// Draws a token.
    ///
    /// # Errors
    /// [`Error::Argument`] for a temperature that is negative or not finite, for `k` of 0, for `p`
    /// outside (0, 1], without logits, and for logits that are not finite.
    pub fn draw(&mut self, logits: &[f32]) -> Result<u32> {
        self.check(logits)?;
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let logit = |token: u32| f64::from(logits[token as usize]);
        // Ties go to the lower token.
        order.sort_by(|a, b| logit(*b).total_cmp(&logit(*a)));
        let most = logit(order[0]);
        order.truncate(if self.temperature == 0.0 { 1 } else { self.top_k });
        let weight = |token: &u32| ((logit(*token) - most) / self.temperature.max(1e-9)).exp();
        let mut weights: Vec<f64> = order.iter().map(weight).collect();
        keep_nucleus(&mut weights, self.top_p);
        let mut left = self.uniform()? * weights.iter().sum::<f64>();
        for (token, weight) in order.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return Ok(*token);
            }
        }
        Ok(order[weights.len() - 1])
    }

    /// The next draw, in [0, 1).
    fn uniform(&mut self) -> Result<f64> {
        let state = crate::random::GeneratorState { seed: self.seed, step: self.draws };
        self.draws = self.draws.wrapping_add(1);
        let draw = Generator::restore(&Device::host(), state)?.uniform([1])?;
        Ok(f64::from(draw.item()?))
    }

    fn check(&self, logits: &[f32]) -> Result<()> {
        let wrong = |detail: String| Err(Error::argument(OP, detail));
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return wrong(format!("temperature {}, allowed is 0 and more", self.temperature));
        }
        if self.top_k == 0 {
            return wrong("top-k of 0 leaves no token".into());
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong(format!("top-p {}, allowed is more than 0, at most 1", self.top_p));
        }
        if logits.is_empty() {
            return wrong("no logits".into());
        }
        match logits.iter().position(|logit| !logit.is_finite()) {
            Some(token) => wrong(format!("the logit of token {token} is {}", logits[token])),
            None => Ok(()),
        }
    }
}

/// Drops the tail of falling `weights` beyond the part `p` of their sum.
fn keep_nucleus(weights: &mut Vec<f64>, p: f64) {
    let all = weights.iter().sum::<f64>();
    let mut sum = 0.0;
    let enough = weights.iter().position(|weight| {
        sum += weight;
        sum >= p * all
    });
    weights.truncate(enough.map_or(weights.len(), |last| last + 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(mut sampler: Sampler, logits: &[f32], count: usize) -> Vec<u32> {
        (0..count).map(|_| sampler.draw(logits).expect("sound")).collect()
    }

    #[test]
    fn draws_follow_the_distribution() {
        let p = [0.5f32, 0.3, 0.15, 0.05];
        let logits = p.map(f32::ln);
        let drawn = draws(Sampler::new(3), &logits, 4000);
        for (token, p) in p.iter().enumerate() {
            let share = drawn.iter().filter(|t| **t as usize == token).count() as f32 / 4000.0;
            assert!((share - p).abs() < 0.03, "token {token}: {share} instead of {p}");
        }
        assert_eq!(drawn, draws(Sampler::new(3), &logits, 4000));
        assert_ne!(drawn, draws(Sampler::new(4), &logits, 4000));
    }

    #[test]
    fn cuts_leave_the_most_likely() {
        let logits = [0.1f32, 2.0, 1.9, -1.0];
        assert!(draws(Sampler::new(0).temperature(0.0), &logits, 20).iter().all(|t| *t == 1));
        assert!(draws(Sampler::new(0).top_k(2), &logits, 200).iter().all(|t| *t == 1 || *t == 2));
        assert!(draws(Sampler::new(0).top_p(0.45), &logits, 200).iter().all(|t| *t == 1));
        let both = draws(Sampler::new(0).top_p(0.7), &logits, 200);
        assert!(both.iter().all(|t| *t == 1 || *t == 2) && both.contains(&2));
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |sampler: Sampler, logits: &[f32]| sampler.clone().draw(logits).is_err();
        assert!(refused(Sampler::new(0).temperature(-1.0), &[0.0]));
        assert!(refused(Sampler::new(0).temperature(f64::NAN), &[0.0]));
        assert!(refused(Sampler::new(0).top_k(0), &[0.0]));
        assert!(refused(Sampler::new(0).top_p(0.0), &[0.0]));
        assert!(refused(Sampler::new(0).top_p(1.5), &[0.0]));
        assert!(refused(Sampler::new(0), &[]));
        assert!(refused(Sampler::new(0), &[0.0, f32::NAN]));
    }
}
