//! Text to tokens and back.

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fmt::{Display, Formatter};
use std::str::FromStr;

const OP: &str = "tokenizer";

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tokenizer {
    /// A byte of UTF-8: 256 tokens, any text.
    Bytes,
    /// A character out of a sorted list.
    Characters(Vec<char>),
}

impl Tokenizer {
    /// The characters of `text`.
    pub fn characters(text: &str) -> Self {
        Self::Characters(text.chars().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// How many tokens there are.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Bytes => 256,
            Self::Characters(list) => list.len(),
        }
    }

    /// The tokens of a text.
    ///
    /// # Errors
    /// [`Error::Argument`] for a character that is not in the list, with its position.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let list = match self {
            Self::Bytes => return Ok(text.bytes().map(u32::from).collect()),
            Self::Characters(list) => list,
        };
        let token = |(at, c): (usize, char)| match list.binary_search(&c) {
            Ok(token) => Ok(token as u32),
            Err(_) => {
                let known = list.len();
                let detail =
                    format!("character {c:?} at position {at} is not among the {known} known");
                Err(Error::argument(OP, detail))
            }
        };
        text.chars().enumerate().map(token).collect()
    }

    /// The text of some tokens. Bytes that are no UTF-8 become replacement characters.
    ///
    /// # Errors
    /// [`Error::Argument`] for a token outside the vocabulary, with its position.
    pub fn decode(&self, tokens: &[u32]) -> Result<String> {
        let unknown = |at: usize, token: u32| {
            let detail = format!("token {token} at position {at}: there are {}", self.vocabulary());
            Error::argument(OP, detail)
        };
        let tokens = tokens.iter().copied().enumerate();
        match self {
            Self::Bytes => {
                let byte = |(at, token)| u8::try_from(token).map_err(|_| unknown(at, token));
                let bytes = tokens.map(byte).collect::<Result<Vec<u8>>>()?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Self::Characters(list) => {
                let character = |(at, token)| {
                    list.get(token as usize).copied().ok_or_else(|| unknown(at, token))
                };
                tokens.map(character).collect()
            }
        }
    }
}

/// `bytes`, or `characters ` and the list: what a checkpoint notes.
impl Display for Tokenizer {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Characters(list) => {
                f.write_str("characters ")?;
                list.iter().try_for_each(|c| write!(f, "{c}"))
            }
        }
    }
}

/// Reads what [`Display`] writes.
impl FromStr for Tokenizer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "bytes" {
            return Ok(Self::Bytes);
        }
        let Some(list) = text.strip_prefix("characters ") else {
            return Err(Error::argument(OP, "expected `bytes`, or `characters ` and their list"));
        };
        let list: Vec<char> = list.chars().collect();
        if !list.is_sorted_by(|a, b| a < b) {
            return Err(Error::argument(OP, "the list of characters is not sorted"));
        }
        Ok(Self::Characters(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let text = "床前明月光\n疑是地上霜";
        for tokenizer in [Tokenizer::Bytes, Tokenizer::characters(text)] {
            let tokens = tokenizer.encode(text).expect("known");
            assert!(tokens.iter().all(|t| (*t as usize) < tokenizer.vocabulary()));
            assert_eq!(tokenizer.decode(&tokens).expect("known"), text);
            let again: Tokenizer = tokenizer.to_string().parse().expect("its own notes");
            assert_eq!(again, tokenizer);
        }
        assert_eq!(Tokenizer::characters(text).vocabulary(), 11);
    }

    #[test]
    fn strangers_are_named() {
        let abc = Tokenizer::characters("abc");
        let error = abc.encode("abd").expect_err("d").to_string();
        assert_eq!(error, "tokenizer: character 'd' at position 2 is not among the 3 known");
        let error = abc.decode(&[0, 3]).expect_err("3").to_string();
        assert_eq!(error, "tokenizer: token 3 at position 1: there are 3");
        assert!(Tokenizer::Bytes.decode(&[256]).is_err());
        assert!("characters ba".parse::<Tokenizer>().is_err());
        assert!("words".parse::<Tokenizer>().is_err());
    }
}
