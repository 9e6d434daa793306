//! All channels to all channels.

use super::params::{TapParams, back, check_bias, tap_iterations};
use crate::elementwise::Activation;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::linalg::linear;
use crate::{DType, Error, Result, Tensor, Var};

crate::kernel! {
    /// What the taps see.
    pub(super) static UNFOLD_TIME = "conv/unfold_time";
    params = TapParams;
    oracle = unfold_time_oracle;
}

crate::kernel! {
    /// Its adjoint.
    pub(super) static FOLD_TIME = "conv/fold_time";
    params = TapParams;
    oracle = fold_time_oracle;
    iterations = tap_iterations;
}

const OP: &str = "causal_conv";

impl Var {
    /// A causal convolution:
    /// `y[t, b, o] = act(bias[o] + sum_{k, c} w[k, c, o] x[t - (K - 1 - k) dilation, b, c])`, x before
    /// the first step being 0. `x [T, B, C]`, `w [K, C, O]`, `bias [O]`, `y [T, B, O]`.
    ///
    /// What the taps see is written side by side, `[T, B, K C]`; the rest is one [`linear`] layer.
    ///
    /// # Errors
    /// [`Error::Shape`] where these shapes are not met; [`Error::Argument`] without taps, for a
    /// dilation of 0, or taps over more than 2^24 steps; [`Error::DType`] for other elements than
    /// f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn causal_conv(
        &self,
        w: &Var,
        bias: Option<&Var>,
        dilation: usize,
        activation: Activation,
    ) -> Result<Var> {
        let x = self.value();
        x.same_device(OP, w.value())?;
        w.value().expect(OP, DType::F32)?;
        let &[taps, inputs, outputs] = w.shape().dims() else {
            let detail = format!("weights {}, expected [taps, channels, outputs]", w.shape());
            return Err(Error::shape(OP, detail));
        };
        let p = TapParams::new(OP, x, taps, dilation)?;
        if p.channels as usize != inputs {
            let (x, w) = (x.shape(), w.shape());
            let detail = format!("x {x} with weights {w}, expected x [T, B, {inputs}]");
            return Err(Error::shape(OP, detail));
        }
        if let Some(bias) = bias {
            check_bias(OP, x, bias, outputs)?;
        }
        let seen = if taps == 1 { self.clone() } else { unfold(self, &p)? };
        let [steps, batch] = [p.steps, p.batch].map(|v| v as usize);
        let seen = seen.reshape([steps, batch, taps * inputs])?;
        linear(&seen, &w.reshape([taps * inputs, outputs])?, bias, activation)
    }
}

/// `[T, B, K, C]`
fn unfold(x: &Var, p: &TapParams) -> Result<Var> {
    let p = *p;
    let [steps, batch, taps, channels] = [p.steps, p.batch, p.taps, p.channels].map(|v| v as usize);
    let y = Tensor::empty(x.device(), [steps, batch, taps, channels], DType::F32)?;
    if y.count() > 0 {
        let launch = x.device().launch(&UNFOLD_TIME).params(&p);
        launch.bind("x", x.value()).bind("y", &y).items(y.count()).record()?;
    }
    x.tape().record_one(OP, &[x], y, move |bw| {
        if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
            let gx = Tensor::empty(g.device(), [steps, batch, channels], DType::F32)?;
            if gx.count() > 0 {
                let launch = g.device().launch(&FOLD_TIME).params(&p);
                launch.bind("g", g).bind("y", &gx).items(gx.count()).record()?;
            }
            bw.give(0, gx);
        }
        Ok(())
    })
}

fn unfold_time_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TapParams = args.params();
    let (taps, channels, batch) = (p.taps as usize, p.channels as usize, p.batch as usize);
    let x = args.reals("x");
    args.reals_mut("y").par_chunks_mut(taps * channels).enumerate().for_each(|(row, y)| {
        for (k, y) in y.chunks_exact_mut(channels).enumerate() {
            match row.checked_sub(back(&p, k) * batch) {
                Some(from) => y.copy_from_slice(&x[from * channels..][..channels]),
                None => y.fill(R::zero()),
            }
        }
    });
}

fn fold_time_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TapParams = args.params();
    let (taps, channels, batch) = (p.taps as usize, p.channels as usize, p.batch as usize);
    let rows = p.steps as usize * batch;
    let g = args.reals("g");
    args.reals_mut("y").par_chunks_mut(channels).enumerate().for_each(|(row, y)| {
        y.fill(R::zero());
        for k in 0..taps {
            let from = row + back(&p, k) * batch;
            if from < rows {
                let g = &g[(from * taps + k) * channels..][..channels];
                y.iter_mut().zip(g).for_each(|(y, g)| *y += *g);
            }
        }
    });
}
