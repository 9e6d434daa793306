//! The table of token vectors.

use super::{Init, Layer, Pass};
use crate::random::Generator;
use crate::{Param, Result, Var};

/// Rows of a table `[vocabulary, width]`, looked up by token; see [`Var::embedding`].
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Param,
    padding: Option<u32>,
}

impl Embedding {
    /// The layer, its table drawn from `random`: normal, with the standard deviation `std`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without tokens or width, and for a deviation
    /// that is negative or not finite; those of
    /// [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(vocabulary: usize, width: usize, std: f32, random: &mut Generator) -> Result<Self> {
        let table = Init::Normal(std).param("table", &[vocabulary, width], random)?;
        Ok(Self { table, padding: None })
    }

    /// The token that is padding: its vectors are zeros, and its row of the table has no gradient.
    #[must_use]
    pub fn padding(self, token: u32) -> Self {
        Self { padding: Some(token), ..self }
    }
}

crate::module!(Embedding { table });

impl Layer for Embedding {
    /// The vectors `[.., width]` of tokens `[..]`, unsigned integers.
    fn forward(&self, tokens: &Var, _: &mut Pass<'_>) -> Result<Var> {
        tokens.tape().param(&self.table).embedding_padded(tokens.value(), self.padding)
    }
}
