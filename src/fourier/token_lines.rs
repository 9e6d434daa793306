//! The currents of SpikF-GO's embedding, as lines in the values of the nodes.

use super::twin;
use crate::kernel::{Kernel, shader};
use crate::reduce::LONGEST;
use crate::{DType, Device, Error, Result, Tensor, Var, reduce};

/// The lines.
pub(super) static TOKEN_LINES: Kernel = Kernel::new(
    "fourier",
    "token_lines",
    shader!("fourier/token_lines"),
    crate::twin!(twin::token::lines),
)
.params::<Params>();

/// Their gradients.
pub(super) static TOKEN_LINES_BACKWARD: Kernel = Kernel::new(
    "fourier",
    "token_lines_backward",
    shader!("fourier/token_lines_backward"),
    crate::twin!(twin::token::backward),
)
.params::<Params>()
.turns(|args| {
    let p: Params = args.params();
    let [steps, batch] = [p.steps, p.batch].map(u64::from);
    2 * steps + batch * (steps + 2) + 2
});

crate::params! {
    /// `shared/token.wgsl`
    pub(super) struct Params {
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
    check_length(mean.device(), steps * batch)?;
    let lines = Tensor::empty(mean.device(), [steps, batch, 2, channels], DType::F32)?;
    let values = inputs.map(|v| v.value().clone());
    if lines.count() > 0 {
        let launch = mean.device().launch(&TOKEN_LINES).params(&params);
        let launch = values.iter().fold(launch, |launch, v| launch.bind_next(v));
        launch.bind_next(&lines).items_of(lines.count() / 2, 64).record()?;
    }
    mean.tape().record_one(OP, &inputs, lines, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let room = |shape: &[usize]| Tensor::zeros(g.device(), shape, DType::F32);
        let of_channel = room(&[4, channels])?;
        let (of_step, of_moments) = (room(&[2, steps, channels])?, room(&[2, batch, channels])?);
        if channels > 0 {
            let launch = g.device().launch(&TOKEN_LINES_BACKWARD).params(&params);
            let launch = values.iter().fold(launch, |launch, v| launch.bind_next(v));
            let launch = launch
                .bind_next(&g)
                .bind_next(&of_channel)
                .bind_next(&of_step)
                .bind_next(&of_moments);
            launch.items_of(channels, 64).record()?;
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

/// One invocation of backward goes through the steps of all windows.
fn check_length(device: &Device, length: usize) -> Result<()> {
    if length <= LONGEST || device.is_host() || !device.capabilities().software {
        return Ok(());
    }
    let what = format!("{OP}: steps times windows on a software adapter");
    Err(Error::Limit { what, asked: length as u64, allowed: LONGEST as u64 })
}

fn check([mean, variance, channel, step]: [&Var; 4]) -> Result<Params> {
    for v in [mean, variance, channel, step] {
        v.value().expect(OP, DType::F32)?;
        mean.value().same_device(OP, v.value())?;
    }
    let shapes = [mean, variance, channel, step].map(|v| v.shape().dims());
    match shapes {
        [&[batch], &[others], &[4, channels], &[2, steps, width]]
            if others == batch && width == channels =>
        {
            Ok(Params {
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
