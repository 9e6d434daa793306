//! Dropout.

use super::Generator;
use super::bernoulli::Chance;
use super::threefry::word_of;
use crate::host::{HostArgs, Real, each};
use crate::{DType, Error, Result, Tensor, Var};

crate::params! {
    pub(super) struct DropoutParams {
        count: u32,
        key: [u32; 2],
        threshold: u32,
        scale: f32,
    }
}

crate::kernel! {
    /// `y[e]` = 0 where the mask drops, else `x[e] scale`
    pub(super) static DROPOUT = "random/dropout";
    params = DropoutParams;
    oracle = dropout_oracle;
}

crate::kernel! {
    /// `gx[e]` = 0 where the mask dropped, else `g[e] scale`
    pub(super) static DROPOUT_BACKWARD = "random/dropout_backward";
    params = DropoutParams;
    oracle = dropout_backward_oracle;
}

fn dropout_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let step = args.words("step")[0];
    args.words_mut("used")[0] = step;
    masked(args.params(), step, args.reals("x"), args.reals_mut("y"));
}

fn dropout_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let step = args.words("used")[0];
    masked(args.params(), step, args.reals("g"), args.reals_mut("gx"));
}

fn masked<R: Real>(p: DropoutParams, step: u32, x: &[R], y: &mut [R]) {
    let scale = R::lit(p.scale.into());
    each(y, |e| if word_of(p.key, step, e) < p.threshold { R::zero() } else { x[e] * scale });
}

impl Var {
    /// Each element is dropped (0) with probability `p`, else scaled by `1 / (1 - p)` (Srivastava
    /// et al. 2014). Nothing is saved but the step counter of the draw, four bytes: the mask is made
    /// again in the backward pass. `p = 0` is the identity and draws nothing.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `0 <= p < 1`; [`Error::DType`] for other elements than f32;
    /// [`Error::DeviceMismatch`].
    pub fn dropout(&self, p: f32, generator: &mut Generator) -> Result<Var> {
        if !(0.0..1.0).contains(&p) {
            return Err(Error::argument("dropout", format!("{p} is not in [0, 1)")));
        }
        let x = self.value();
        x.expect("dropout", DType::F32)?;
        x.same_device("dropout", generator.step())?;
        if p == 0.0 {
            return Ok(self.clone());
        }
        let threshold = Chance::new("dropout", p)?.threshold;
        let scale = (1.0 / (1.0 - f64::from(p))) as f32;
        let key = generator.next_key();
        let params = DropoutParams { count: x.count() as u32, key, threshold, scale };
        let y = generator.output(*x.shape(), DType::F32)?;
        let used = generator.output([1], DType::U32)?;
        let launch = generator.device().launch(&DROPOUT).params(&params);
        let launch = launch.bind("step", generator.step()).bind("x", x);
        let launch = launch.bind("y", &y).bind("used", &used);
        launch.items(x.count().div_ceil(2)).record()?;
        self.tape().record_one("dropout", &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = backward(&params, &used, g)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}

fn backward(params: &DropoutParams, used: &Tensor, g: &Tensor) -> Result<Tensor> {
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    let launch = g.device().launch(&DROPOUT_BACKWARD).params(params);
    let launch = launch.bind("used", used).bind("g", g).bind("gx", &gx);
    launch.items(g.count().div_ceil(2)).record()?;
    Ok(gx)
}
