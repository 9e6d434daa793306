//! All channels to all channels.

use super::params::{Params, check_bias, tap_turns};
use super::twin;
use crate::elementwise::Activation;
use crate::kernel::{Kernel, shader};
use crate::linalg::linear;
use crate::{DType, Error, Result, Tensor, Var};

/// What the taps see.
pub(super) static UNFOLD_TIME: Kernel =
    Kernel::new("conv", "unfold_time", shader!("conv/unfold_time"), crate::twin!(twin::unfold))
        .params::<Params>();

/// Its adjoint.
pub(super) static FOLD_TIME: Kernel =
    Kernel::new("conv", "fold_time", shader!("conv/fold_time"), crate::twin!(twin::fold))
        .params::<Params>()
        .turns(tap_turns);

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
        let p = Params::new(OP, x, taps, dilation)?;
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
fn unfold(x: &Var, p: &Params) -> Result<Var> {
    let p = *p;
    let [steps, batch, taps, channels] = [p.steps, p.batch, p.taps, p.channels].map(|v| v as usize);
    let y = Tensor::empty(x.device(), [steps, batch, taps, channels], DType::F32)?;
    if y.count() > 0 {
        let launch = x.device().launch(&UNFOLD_TIME).params(&p);
        launch.bind_next(x.value()).bind_next(&y).items_of(y.count(), 256).record()?;
    }
    x.tape().record_one(OP, &[x], y, move |bw| {
        if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
            let gx = Tensor::empty(g.device(), [steps, batch, channels], DType::F32)?;
            if gx.count() > 0 {
                let launch = g.device().launch(&FOLD_TIME).params(&p);
                launch.bind_next(g).bind_next(&gx).items_of(gx.count(), 256).record()?;
            }
            bw.give(0, gx);
        }
        Ok(())
    })
}
