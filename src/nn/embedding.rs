//! The table of token vectors.

use super::{Init, Module};
use crate::random::Generator;
use crate::{Param, Result, Tape, Tensor, Var};

/// Rows of a table `[vocabulary, width]`, looked up by token; see [`Var::embedding`].
#[derive(Debug, Clone)]
pub struct Embedding {
    table: Param,
    padding: Option<u32>,
}

impl Embedding {
    /// The layer, its table drawn from `random`: normal, with the standard deviation `std`. `name`
    /// is the prefix of the parameter's name.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) without tokens or width, and for a deviation
    /// that is negative or not finite; those of
    /// [`Tensor::empty`].
    pub fn new(
        name: &str,
        vocabulary: usize,
        width: usize,
        std: f32,
        random: &mut Generator,
    ) -> Result<Self> {
        let table =
            Init::Normal(std).param(format!("{name}.table"), &[vocabulary, width], random)?;
        Ok(Self { table, padding: None })
    }

    /// The token that is padding: its vectors are zeros, and its row of the table has no gradient.
    #[must_use]
    pub fn padding(self, token: u32) -> Self {
        Self { padding: Some(token), ..self }
    }

    /// The vectors `[.., width]` of `tokens[..]`, unsigned integers.
    ///
    /// # Errors
    /// Those of [`Var::embedding_padded`].
    pub fn forward(&self, tape: &Tape, tokens: &Tensor) -> Result<Var> {
        tape.param(&self.table).embedding_padded(tokens, self.padding)
    }
}

impl Module for Embedding {
    fn params(&self) -> Vec<Param> {
        vec![self.table.clone()]
    }
}
