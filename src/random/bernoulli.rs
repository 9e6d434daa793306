//! Bernoulli draws, as f32 or as packed spikes.

use super::{Generator, twin};
use crate::elementwise::Packed;
use crate::kernel::{Kernel, few_turns, shader};
use crate::{DType, Error, IntoShape, Result, Tensor};

/// `y[e] = [word < threshold]`
pub(super) static BERNOULLI: Kernel =
    Kernel::new("random", "bernoulli", shader!("random/bernoulli"), crate::twin!(twin::bernoulli))
        .params::<Params>()
        .tolerance(0.0);

/// `s[t, n] = [word < threshold]`, packed
pub(super) static BERNOULLI_BITS: Kernel = Kernel::new(
    "random",
    "bernoulli_bits",
    shader!("random/bernoulli_bits"),
    crate::twin!(twin::bernoulli_bits),
)
.params::<BitsParams>()
.turns(few_turns);

/// `y[e] = [uniform < probability[e mod period]]`
pub(super) static BERNOULLI_EACH: Kernel = Kernel::new(
    "random",
    "bernoulli_each",
    shader!("random/bernoulli_each"),
    crate::twin!(twin::bernoulli_each),
)
.params::<EachParams>()
.tolerance(0.0);

/// `s[t, n] = [uniform < probability[e mod period]]`, packed
pub(super) static BERNOULLI_EACH_BITS: Kernel = Kernel::new(
    "random",
    "bernoulli_each_bits",
    shader!("random/bernoulli_each_bits"),
    crate::twin!(twin::bernoulli_each_bits),
)
.params::<EachBitsParams>()
.turns(few_turns);

crate::params! {
    pub(super) struct Params {
        count: u32,
        key: [u32; 2],
        chance: Chance,
    }
}

crate::params! {
    pub(super) struct BitsParams {
        packed: Packed,
        key: [u32; 2],
        chance: Chance,
    }
}

crate::params! {
    pub(super) struct EachParams {
        count: u32,
        key: [u32; 2],
        period: u32,
    }
}

crate::params! {
    pub(super) struct EachBitsParams {
        packed: Packed,
        key: [u32; 2],
        period: u32,
    }
}

crate::params! {
    /// A probability as a comparison of integers.
    pub(super) struct Chance {
        /// The event is a word below it.
        threshold: u32,
        /// 1: every word is the event.
        certain: u32,
    }
}

impl Chance {
    /// The chance `p`, in steps of 2^-32.
    pub(super) fn new(op: &'static str, p: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::argument(op, format!("{p} is no probability")));
        }
        let threshold = (f64::from(p) * 4_294_967_296.0).round();
        let certain = u32::from(threshold >= 4_294_967_296.0);
        Ok(Self { threshold: threshold as u32, certain })
    }

    /// Whether a word is the event.
    pub(super) fn holds(self, word: u32) -> bool {
        word < self.threshold || self.certain == 1
    }
}

impl Generator {
    /// 1 with probability `p`, else 0; p is met to 2^-32. `dtype` is [`DType::F32`], or
    /// [`DType::Bits`] for packed spikes (the same draws).
    ///
    /// # Errors
    /// [`Error::Argument`] unless p is in [0, 1]; [`Error::DType`] for other element types; those of
    /// [`Tensor::empty`].
    pub fn bernoulli(&mut self, p: f32, shape: impl IntoShape, dtype: DType) -> Result<Tensor> {
        let chance = Chance::new("bernoulli", p)?;
        check_dtype("bernoulli", dtype)?;
        let y = self.output(shape, dtype)?;
        let key = self.next_key();
        let launch = if dtype == DType::Bits {
            let params = BitsParams { packed: Packed::of(&y), key, chance };
            self.device().launch(&BERNOULLI_BITS).params(&params).items_of(y.words(), 256)
        } else {
            let params = Params { count: y.count() as u32, key, chance };
            self.device().launch(&BERNOULLI).params(&params).items_of(y.count().div_ceil(2), 256)
        };
        launch.bind_next(self.step()).bind_next(&y).record()?;
        Ok(y)
    }

    /// 1 with the probability that stands in `p`, else 0: uniform numbers of 24 bits are compared
    /// with it, so that a probability of 0 or less never holds and one of 1 or more always does.
    /// The shape of `p` is the last axes of `shape`; it is repeated along the others.
    ///
    /// # Errors
    /// [`Error::Shape`] unless the shape of p ends `shape`; [`Error::DType`] unless p is f32 and
    /// `dtype` f32 or bits; [`Error::DeviceMismatch`]; those of [`Tensor::empty`].
    pub fn bernoulli_each(
        &mut self,
        p: &Tensor,
        shape: impl IntoShape,
        dtype: DType,
    ) -> Result<Tensor> {
        let shape = shape.into_shape()?;
        p.expect("bernoulli_each", DType::F32)?;
        p.same_device("bernoulli_each", self.step())?;
        check_dtype("bernoulli_each", dtype)?;
        if !shape.ends_with(p.shape()) {
            let detail = format!("{} is not the end of {shape}", p.shape());
            return Err(Error::shape("bernoulli_each", detail));
        }
        let y = self.output(shape, dtype)?;
        let (key, period) = (self.next_key(), p.count() as u32);
        if y.count() == 0 {
            return Ok(y);
        }
        let launch = if dtype == DType::Bits {
            let params = EachBitsParams { packed: Packed::of(&y), key, period };
            self.device().launch(&BERNOULLI_EACH_BITS).params(&params).items_of(y.words(), 256)
        } else {
            let params = EachParams { count: y.count() as u32, key, period };
            self.device()
                .launch(&BERNOULLI_EACH)
                .params(&params)
                .items_of(y.count().div_ceil(2), 256)
        };
        launch.bind_next(self.step()).bind_next(p).bind_next(&y).record()?;
        Ok(y)
    }
}

fn check_dtype(op: &'static str, dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::Bits => Ok(()),
        other => Err(Error::DType { op, expected: "f32 or bits".into(), found: other.to_string() }),
    }
}
