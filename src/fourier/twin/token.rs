//! The currents of SpikF-GO's embedding.

use super::super::token_lines::Params;
use crate::host::{HostArgs, Real};

/// What is known of the embedding: of its channels, and of the nodes' values.
struct Tokens<'a, R> {
    mean: &'a [R],
    variance: &'a [R],
    channel: &'a [R],
    step: &'a [R],
    p: Params,
}

/// Of one channel and window: `a e`, `a e mean + b`, and `1 / sqrt(mean square + eps)`.
struct Token<R> {
    slope: R,
    centre: R,
    scale: R,
}

impl<'a, R: Real> Tokens<'a, R> {
    fn new(args: &HostArgs<'a, R>) -> Self {
        let [mean, variance, channel, step] = [0, 1, 2, 3].map(|i| args.reals(i));
        Self { mean, variance, channel, step, p: args.params() }
    }

    /// e, a, b and norm of a channel.
    fn channel(&self, c: usize) -> [R; 4] {
        [0, 1, 2, 3].map(|row| self.channel[row * self.p.channels as usize + c])
    }

    fn token(&self, b: usize, c: usize) -> Token<R> {
        let [e, a, level, _] = self.channel(c);
        let slope = a * e;
        let centre = slope * self.mean[b] + level;
        let square = centre * centre + self.variance[b] * slope * slope;
        Token { slope, centre, scale: (square + R::lit(self.p.eps.into())).sqrt().recip() }
    }

    fn ramp(&self, t: usize) -> R {
        R::one() + R::lit(self.p.rise.into()) * R::lit(t as f64)
    }
}

pub(in super::super) fn lines<R: Real>(args: &mut HostArgs<'_, R>) {
    let tokens = Tokens::new(args);
    let [steps, batch, channels] =
        [tokens.p.steps, tokens.p.batch, tokens.p.channels].map(|v| v as usize);
    for (row, line) in args.reals_mut(4).chunks_exact_mut(2 * channels).enumerate() {
        let (t, b) = (row / batch, row % batch);
        for c in 0..channels {
            let token = tokens.token(b, c);
            let [_, _, level, norm] = tokens.channel(c);
            let gamma = tokens.step[t * channels + c] * tokens.ramp(t);
            let beta = tokens.step[(steps + t) * channels + c] * tokens.ramp(t);
            line[c] = gamma * norm * token.scale * token.slope;
            line[channels + c] = gamma * norm * token.scale * level + beta;
        }
    }
}

pub(in super::super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let tokens = Tokens::new(args);
    let [steps, batch, channels] =
        [tokens.p.steps, tokens.p.batch, tokens.p.channels].map(|v| v as usize);
    let g = args.reals(4);
    let (of_channel, of_step) = (args.reals_mut(5), args.reals_mut(6));
    let of_moments = args.reals_mut(7);
    let two = R::lit(2.0);
    of_step.fill(R::zero());
    for c in 0..channels {
        let [e, a, level, weight] = tokens.channel(c);
        let mut sums = [R::zero(); 3];
        for b in 0..batch {
            let token = tokens.token(b, c);
            let norm = weight * token.scale;
            let (mut of_slope, mut of_level) = (R::zero(), R::zero());
            for t in 0..steps {
                let at = 2 * (t * batch + b) * channels + c;
                let ramp = tokens.ramp(t);
                let (slope, shift) = (ramp * g[at], ramp * g[at + channels]);
                let own = t * channels + c;
                of_step[own] += norm * (slope * token.slope + shift * level);
                of_step[own + steps * channels] += shift;
                of_slope += tokens.step[own] * slope;
                of_level += tokens.step[own] * shift;
            }
            let of_norm = of_slope * token.slope + of_level * level;
            let of_square = -of_norm * norm * token.scale * token.scale / two;
            let of_centre = two * token.centre * of_square;
            let (mean, variance) = (tokens.mean[b], tokens.variance[b]);
            sums[0] +=
                of_slope * norm + two * of_square * variance * token.slope + of_centre * mean;
            sums[1] += of_level * norm + of_centre;
            sums[2] += of_norm * token.scale;
            of_moments[b * channels + c] = of_centre * token.slope;
            of_moments[(batch + b) * channels + c] = of_square * token.slope * token.slope;
        }
        of_channel[c] = sums[0] * a;
        of_channel[channels + c] = sums[0] * e;
        of_channel[2 * channels + c] = sums[1];
        of_channel[3 * channels + c] = sums[2];
    }
}
