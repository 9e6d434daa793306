//! Casts between f32 and packed spikes.

use crate::host::{HostArgs, Real, each};
use crate::kernel::few_iterations;
use crate::{DType, Result, Tensor, Var};

crate::kernel! {
    /// `s = [x > 1/2]`, packed along the leading axis
    pub(super) static PACK = "elementwise/pack";
    params = Packed;
    oracle = pack_oracle;
    iterations = few_iterations;
}

crate::kernel! {
    /// `x = s`, from packed spikes
    pub(super) static UNPACK = "elementwise/unpack";
    params = Packed;
    oracle = unpack_oracle;
    iterations = few_iterations;
}

fn pack_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Packed = args.params();
    let x = args.reals("x");
    let half = R::lit(0.5);
    each(args.words_mut("s"), |w| p.word(w, |e| x[e] > half));
}

fn unpack_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Packed = args.params();
    let s = args.words("s");
    let row = p.row as usize;
    each(args.reals_mut("x"), |i| {
        let (t, n) = (i / row, i % row);
        R::lit(f64::from(s[t / 32 * row + n] >> (t % 32) & 1))
    });
}

crate::params! {
    /// The extents of packed spikes, as parameters of the kernels that run over their words.
    pub(crate) struct Packed {
        /// Steps of the leading axis.
        steps: u32,
        /// Elements of a step.
        row: u32,
        /// Words in all.
        words: u32,
    }
}

impl Packed {
    /// The extents of a tensor `[T, ...]`.
    pub(crate) fn of(spikes: &Tensor) -> Self {
        let steps = spikes.shape().first().copied().unwrap_or(1);
        let row: usize = spikes.shape().iter().skip(1).product();
        let words = DType::Bits.words(spikes.shape());
        Self { steps: steps as u32, row: row as u32, words: words as u32 }
    }

    /// Word `w` of spikes that `spikes` gives for element `e = t row + n`.
    pub(crate) fn word(self, w: usize, spikes: impl Fn(usize) -> bool) -> u32 {
        let (steps, row) = (self.steps as usize, self.row as usize);
        let (first, n) = (w / row * 32, w % row);
        let steps = (first..steps.min(first + 32)).enumerate();
        steps.fold(0, |word, (k, t)| word | u32::from(spikes(t * row + n)) << k)
    }
}

/// Packed spikes `[T, ...]`: a spike where `x` is above 1/2.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than f32; those of [`Tensor::empty`].
pub fn pack(x: &Tensor) -> Result<Tensor> {
    x.expect("pack", DType::F32)?;
    let s = Tensor::empty(x.device(), *x.shape(), DType::Bits)?;
    let launch = x.device().launch(&PACK).params(&Packed::of(&s));
    launch.bind("x", x).bind("s", &s).items(s.words()).record()?;
    Ok(s)
}

/// Packed spikes `[T, ...]` as f32: 1 for a spike, else 0.
///
/// # Errors
/// [`Error::DType`](crate::Error::DType) for other elements than bits; those of [`Tensor::empty`].
pub fn unpack(s: &Tensor) -> Result<Tensor> {
    s.expect("unpack", DType::Bits)?;
    let x = Tensor::empty(s.device(), *s.shape(), DType::F32)?;
    let launch = s.device().launch(&UNPACK).params(&Packed::of(s));
    launch.bind("s", s).bind("x", &x).items(s.words()).record()?;
    Ok(x)
}

impl Var {
    /// f32 as packed spikes ([`pack`]). The gradient passes as it is, in f32.
    ///
    /// # Errors
    /// Those of [`pack`].
    pub fn pack(&self) -> Result<Var> {
        let s = pack(self.value())?;
        self.straight_through("pack", s)
    }

    /// Packed spikes as f32 ([`unpack`]). The gradient passes as it is.
    ///
    /// # Errors
    /// Those of [`unpack`].
    pub fn unpack(&self) -> Result<Var> {
        let x = unpack(self.value())?;
        self.straight_through("unpack", x)
    }
}
