//! The currents of SpikF-GO's embedding, as lines in the values of the nodes.

use crate::dispatch::Launch;
use crate::elementwise::Binary;
use crate::host::{HostArgs, Real};
use crate::{DType, Error, Result, Tensor, Var, kernel, reduce};

/// What is known of the embedding: of its channels, and of the nodes' values.
struct Tokens<'a, R> {
    mean: &'a [R],
    variance: &'a [R],
    channel: &'a [R],
    step: &'a [R],
    p: TokenLineParams,
}

/// Of one channel and window: `1 / sqrt(mean square + eps)`, and `a e`, b and `a e mean + b` times it.
struct Token<R> {
    scale: R,
    slope: R,
    level: R,
    centre: R,
}

impl<'a, R: Real> Tokens<'a, R> {
    fn new(args: &HostArgs<'a, R>) -> Self {
        let [mean, variance, channel, step] =
            ["mean", "variance", "channel", "step_of"].map(|name| args.reals(name));
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
        // Squares leave f32 where the outcome does not.
        let hypot = |a: R, b: R| Binary::Hypot.apply(a, b);
        let root = hypot(centre, slope * self.variance[b].sqrt());
        let scale = hypot(root, R::lit(self.p.eps.into()).sqrt()).recip();
        Token { scale, slope: slope * scale, level: level * scale, centre: centre * scale }
    }

    fn ramp(&self, t: usize) -> R {
        R::one() + R::lit(self.p.rise.into()) * R::lit(t as f64)
    }
}

fn token_lines_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let tokens = Tokens::new(args);
    let [steps, batch, channels] =
        [tokens.p.steps, tokens.p.batch, tokens.p.channels].map(|v| v as usize);
    for (row, line) in args.reals_mut("lines").chunks_exact_mut(2 * channels).enumerate() {
        let (t, b) = (row / batch, row % batch);
        for c in 0..channels {
            let token = tokens.token(b, c);
            let [_, _, _, norm] = tokens.channel(c);
            let gamma = tokens.step[t * channels + c] * tokens.ramp(t);
            let beta = tokens.step[(steps + t) * channels + c] * tokens.ramp(t);
            line[c] = gamma * norm * token.slope;
            line[channels + c] = gamma * norm * token.level + beta;
        }
    }
}

fn token_lines_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let tokens = Tokens::new(args);
    let [steps, batch, channels] =
        [tokens.p.steps, tokens.p.batch, tokens.p.channels].map(|v| v as usize);
    let g = args.reals("g");
    let (of_channel, of_step) = (args.reals_mut("g_channel"), args.reals_mut("g_step"));
    let of_moments = args.reals_mut("g_moments");
    let half = R::lit(0.5);
    of_step.fill(R::zero());
    for c in 0..channels {
        let [e, a, _, weight] = tokens.channel(c);
        let mut sums = [R::zero(); 3];
        for b in 0..batch {
            let token = tokens.token(b, c);
            let (mut of_slope, mut of_level) = (R::zero(), R::zero());
            for t in 0..steps {
                let at = 2 * (t * batch + b) * channels + c;
                let ramp = tokens.ramp(t);
                let (slope, shift) = (ramp * g[at], ramp * g[at + channels]);
                let own = t * channels + c;
                of_step[own] += weight * (slope * token.slope + shift * token.level);
                of_step[own + steps * channels] += shift;
                of_slope += tokens.step[own] * slope;
                of_level += tokens.step[own] * shift;
            }
            let of_norm = of_slope * token.slope + of_level * token.level;
            // Of the logarithm of the root.
            let of_root = -weight * of_norm;
            let of_centre = of_root * token.centre * token.scale;
            let of_spread = of_root * token.slope * token.scale * tokens.variance[b];
            sums[0] += of_slope * weight * token.scale + of_spread + of_centre * tokens.mean[b];
            sums[1] += of_level * weight * token.scale + of_centre;
            sums[2] += of_norm;
            of_moments[b * channels + c] = of_root * token.centre * token.slope;
            of_moments[(batch + b) * channels + c] = half * of_root * token.slope * token.slope;
        }
        of_channel[c] = sums[0] * a;
        of_channel[channels + c] = sums[0] * e;
        of_channel[2 * channels + c] = sums[1];
        of_channel[3 * channels + c] = sums[2];
    }
}

kernel! {
    /// The lines.
    pub(super) static TOKEN_LINES = "fourier/token_lines";
    params = TokenLineParams;
    oracle = token_lines_oracle;
}

kernel! {
    /// Their gradients.
    pub(super) static TOKEN_LINES_BACKWARD = "fourier/token_lines_backward";
    params = TokenLineParams;
    oracle = token_lines_backward;
    iterations = |args| {
        let p: TokenLineParams = args.params();
        let [steps, batch] = [p.steps, p.batch].map(u64::from);
        2 * steps + batch * (steps + 2) + 2
    };
}

crate::params! {
    /// `fourier/token.wgsl`
    pub(super) struct TokenLineParams {
        steps: u32,
        batch: u32,
        channels: u32,
        eps: f32,
        rise: f32,
    }
}

const OP: &str = "token_lines";
/// Added to the mean square.
const EPS: f32 = 1e-6;
/// How much stronger the last step's current is than the first's.
const RAMP: f32 = 0.02;

/// The currents of SpikF-GO's embedding as lines in the values x of the nodes, for
/// [`node_lines`](super::node_lines): of
///
/// ```text
/// tok = norm u / sqrt(mean over the nodes of u^2 + 1e-6),  u = a e x + b
/// current[t] = (gamma_t tok + beta_t) (1 + 0.02 t / (T - 1))
/// ```
///
/// `mean` and `variance [B]` are those of x over the nodes of a window (biased); `channel [4, E]` has
/// the rows e, a, b and norm, `step [2, T, E]` gamma and beta. The outcome is `[T, B, 2, E]`, slopes
/// before levels. The mean square of a line is one in mean and variance: what has M elements is read
/// for these two alone. One launch, and one backward (three where the moments have gradients).
///
/// # Errors
/// [`Error::Shape`] where these shapes are not met; [`Error::DType`] for other elements than f32;
/// [`Error::Limit`] for more steps and windows than a software adapter walks through;
/// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
pub fn token_lines(mean: &Var, variance: &Var, channel: &Var, step: &Var) -> Result<Var> {
    let inputs = [mean, variance, channel, step];
    let params = check(inputs)?;
    let [steps, batch, channels] =
        [params.steps, params.batch, params.channels].map(|v| v as usize);
    // One invocation of backward goes through the steps of all windows.
    mean.device().launch(&TOKEN_LINES_BACKWARD).params(&params).check_ends()?;
    let lines = Tensor::empty(mean.device(), [steps, batch, 2, channels], DType::F32)?;
    let values = inputs.map(|v| v.value().clone());
    if lines.count() > 0 {
        let launch = mean.device().launch(&TOKEN_LINES).params(&params);
        bound(launch, &values).bind("lines", &lines).items(lines.count() / 2).record()?;
    }
    mean.tape().record_one(OP, &inputs, lines, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let room = |shape: &[usize]| Tensor::zeros(g.device(), shape, DType::F32);
        let of_channel = room(&[4, channels])?;
        let (of_step, of_moments) = (room(&[2, steps, channels])?, room(&[2, batch, channels])?);
        if channels > 0 {
            let launch = g.device().launch(&TOKEN_LINES_BACKWARD).params(&params);
            let launch = bound(launch, &values).bind("g", &g).bind("g_channel", &of_channel);
            let launch = launch.bind("g_step", &of_step).bind("g_moments", &of_moments);
            launch.items(channels).record()?;
        }
        for i in [0, 1] {
            if bw.needs(i) {
                let part = crate::layout::slice(&of_moments, &[i..i + 1, 0..batch, 0..channels])?;
                bw.give(i, reduce::sum(&part, &[0, 2], false)?);
            }
        }
        bw.give(2, of_channel);
        bw.give(3, of_step);
        Ok(())
    })
}

/// A launch with what both kernels read.
fn bound(launch: Launch, [mean, variance, channel, step]: &[Tensor; 4]) -> Launch {
    let launch = launch.bind("mean", mean).bind("variance", variance);
    launch.bind("channel", channel).bind("step_of", step)
}

fn check([mean, variance, channel, step]: [&Var; 4]) -> Result<TokenLineParams> {
    for v in [mean, variance, channel, step] {
        v.value().expect(OP, DType::F32)?;
        mean.value().same_device(OP, v.value())?;
    }
    let shapes = [mean, variance, channel, step].map(|v| v.shape().dims());
    match shapes {
        [&[batch], &[others], &[4, channels], &[2, steps, width]]
            if others == batch && width == channels =>
        {
            Ok(TokenLineParams {
                steps: steps as u32,
                batch: batch as u32,
                channels: channels as u32,
                eps: EPS,
                rise: RAMP / (steps.max(2) - 1) as f32,
            })
        }
        _ => {
            let detail = format!("{shapes:?}, expected [B], [B], [4, E], [2, T, E]");
            Err(Error::shape(OP, detail))
        }
    }
}
