//! Poisson rate code.

use super::with_steps;
use crate::random::Generator;
use crate::{DType, Result, Tensor};

/// At every step a spike with the probability that the intensity gives, `P(s[t, n] = 1) = x[n]`
/// (limited to [0, 1]): `[...]` becomes `[T, ...]` (Eshraghian et al. 2023, section 3.1, rate
/// coding). `dtype` is [`DType::Bits`] or [`DType::F32`]: the same spikes.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) for no steps; those of
/// [`Generator::bernoulli_each`].
pub fn poisson(
    x: &Tensor,
    steps: usize,
    dtype: DType,
    generator: &mut Generator,
) -> Result<Tensor> {
    generator.bernoulli_each(x, with_steps("poisson", steps, x.shape())?, dtype)
}
