//! Dropout.

use super::bernoulli::Chance;
use super::{Generator, twin};
use crate::kernel::{Kernel, shader};
use crate::{DType, Error, Result, Tensor, Var};

/// `y[e]` = 0 where the mask drops, else `x[e] scale`
pub(super) static DROPOUT: Kernel =
    Kernel::new("random", "dropout", shader!("random/dropout"), crate::twin!(twin::dropout))
        .params::<Params>();

/// `gx[e]` = 0 where the mask dropped, else `g[e] scale`
pub(super) static DROPOUT_BACKWARD: Kernel = Kernel::new(
    "random",
    "dropout_backward",
    shader!("random/dropout_backward"),
    crate::twin!(twin::dropout_backward),
)
.params::<Params>();

crate::params! {
    pub(super) struct Params {
        count: u32,
        key: [u32; 2],
        threshold: u32,
        scale: f32,
    }
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
        let params = Params { count: x.count() as u32, key, threshold, scale };
        let y = generator.output(*x.shape(), DType::F32)?;
        let used = generator.output([1], DType::U32)?;
        let launch = generator.device().launch(&DROPOUT).params(&params);
        let launch = launch.bind_next(generator.step()).bind_next(x).bind_next(&y).bind_next(&used);
        launch.items_of(x.count().div_ceil(2), 256).record()?;
        self.tape().record_one("dropout", &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0) {
                let gx = backward(&params, &used, g)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }
}

fn backward(params: &Params, used: &Tensor, g: &Tensor) -> Result<Tensor> {
    let gx = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
    let launch = g.device().launch(&DROPOUT_BACKWARD).params(params);
    launch
        .bind_next(used)
        .bind_next(g)
        .bind_next(&gx)
        .items_of(g.count().div_ceil(2), 256)
        .record()?;
    Ok(gx)
}
