//! Dropout as a layer.

use super::{Layer, Pass};
use crate::Var;
use crate::error::{Error, Result};

/// In training, drops each element with some probability and scales the others; see [`Var::dropout`].
/// Elsewhere the identity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    p: f32,
}

impl Dropout {
    /// With the probability `p`.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `0 <= p < 1`.
    pub fn new(p: f32) -> Result<Self> {
        if (0.0..1.0).contains(&p) {
            return Ok(Self { p });
        }
        Err(Error::argument("dropout", format!("{p} is not in [0, 1)")))
    }
}

crate::module!(Dropout {});

impl Layer for Dropout {
    fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        match pass.noise() {
            Some(random) => x.dropout(self.p, random),
            None => Ok(x.clone()),
        }
    }
}
