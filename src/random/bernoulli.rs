//! Bernoulli draws, as f32 or as packed spikes.

use super::Generator;
use super::threefry::{unit, word_of};
use crate::elementwise::Packed;
use crate::host::{HostArgs, Real, each};
use crate::kernel::few_iterations;
use crate::{DType, Error, IntoShape, Result, Tensor};

crate::kernel! {
    /// `y[e] = [word < threshold]`
    pub(super) static BERNOULLI = "random/bernoulli";
    params = struct BernoulliParams { count: u32, key: [u32; 2], chance: Chance };
    oracle = bernoulli_oracle;
    tolerance = 0.0;
}

crate::kernel! {
    /// `s[t, n] = [word < threshold]`, packed
    pub(super) static BERNOULLI_BITS = "random/bernoulli_bits";
    params = struct BitsParams { packed: Packed, key: [u32; 2], chance: Chance };
    oracle = bernoulli_bits_oracle;
    iterations = few_iterations;
}

crate::kernel! {
    /// `y[e] = [uniform < probability[e mod period]]`
    pub(super) static BERNOULLI_EACH = "random/bernoulli_each";
    params = struct EachParams { count: u32, key: [u32; 2], period: u32 };
    oracle = bernoulli_each_oracle;
    tolerance = 0.0;
}

crate::kernel! {
    /// `s[t, n] = [uniform < probability[e mod period]]`, packed
    pub(super) static BERNOULLI_EACH_BITS = "random/bernoulli_each_bits";
    params = struct EachBitsParams { packed: Packed, key: [u32; 2], period: u32 };
    oracle = bernoulli_each_bits_oracle;
    iterations = few_iterations;
}

fn one_if<R: Real>(condition: bool) -> R {
    if condition { R::one() } else { R::zero() }
}

fn bernoulli_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BernoulliParams = args.params();
    let step = args.words("step")[0];
    each(args.reals_mut("y"), |e| one_if(p.chance.holds(word_of(p.key, step, e))));
}

fn bernoulli_bits_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BitsParams = args.params();
    let step = args.words("step")[0];
    each(args.words_mut("s"), |w| p.packed.word(w, |e| p.chance.holds(word_of(p.key, step, e))));
}

/// Uniform numbers are compared in f32 in both precisions: they are the same bits everywhere.
fn bernoulli_each_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EachParams = args.params();
    let step = args.words("step")[0];
    let chances = args.reals("probability");
    each(args.reals_mut("y"), |e| {
        one_if(unit(word_of(p.key, step, e)) < chances[e % p.period as usize].f32())
    });
}

fn bernoulli_each_bits_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EachBitsParams = args.params();
    let step = args.words("step")[0];
    let chances = args.reals("probability");
    let chance = |e: usize| chances[e % p.period as usize].f32();
    each(args.words_mut("s"), |w| p.packed.word(w, |e| unit(word_of(p.key, step, e)) < chance(e)));
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
        if dtype == DType::Bits {
            let params = BitsParams { packed: Packed::of(&y), key, chance };
            let launch = self.device().launch(&BERNOULLI_BITS).params(&params);
            launch.bind("step", self.step()).bind("s", &y).items(y.words()).record()?;
        } else {
            let params = BernoulliParams { count: y.count() as u32, key, chance };
            let launch = self.device().launch(&BERNOULLI).params(&params);
            let launch = launch.bind("step", self.step()).bind("y", &y);
            launch.items(y.count().div_ceil(2)).record()?;
        }
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
        if dtype == DType::Bits {
            let params = EachBitsParams { packed: Packed::of(&y), key, period };
            let launch = self.device().launch(&BERNOULLI_EACH_BITS).params(&params);
            let launch = launch.bind("step", self.step()).bind("probability", p).bind("s", &y);
            launch.items(y.words()).record()?;
        } else {
            let params = EachParams { count: y.count() as u32, key, period };
            let launch = self.device().launch(&BERNOULLI_EACH).params(&params);
            let launch = launch.bind("step", self.step()).bind("probability", p).bind("y", &y);
            launch.items(y.count().div_ceil(2)).record()?;
        }
        Ok(y)
    }
}

fn check_dtype(op: &'static str, dtype: DType) -> Result<()> {
    match dtype {
        DType::F32 | DType::Bits => Ok(()),
        other => Err(Error::DType { op, expected: "f32 or bits".into(), found: other.to_string() }),
    }
}
