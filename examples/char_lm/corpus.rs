//! The text as tokens, and the windows that are cut from it.

use spikegrad::data::{Text, Tokenizer};
use spikegrad::random::{Generator, GeneratorState};
use spikegrad::{Device, Error, Result};

/// The part of a text that is trained on.
const TRAIN: f64 = 0.9;

/// A text in two parts.
pub struct Corpus {
    pub tokenizer: Tokenizer,
    /// All tokens: those to train on, then those to test with.
    tokens: Vec<u32>,
    train: usize,
}

/// Tokens and the tokens that follow them, `[S, B]` each.
pub struct Windows {
    pub tokens: Vec<u32>,
    pub targets: Vec<u32>,
    pub batch: usize,
}

impl Corpus {
    /// The last tenth of the text is the test. With `validate`, the last tenth of the rest is, and
    /// the test is left alone.
    pub fn new(text: &Text, tokenizer: Tokenizer, context: usize, validate: bool) -> Result<Self> {
        let (train, test) = text.split(TRAIN);
        let train = Text { name: text.name.clone(), text: train.into() };
        let (train, test) = if validate { train.split(TRAIN) } else { (train.text.as_str(), test) };
        let mut tokens = tokenizer.encode(train)?;
        let count = tokens.len();
        tokens.extend(tokenizer.encode(test)?);
        if count < 2 * context || tokens.len() < count + context {
            let detail = format!(
                "{count} tokens to train on, {} to test with: a context of {context} needs {} and {context}",
                tokens.len() - count,
                2 * context
            );
            return Err(Error::format(&text.name, detail));
        }
        Ok(Self { tokenizer, tokens, train: count })
    }

    pub fn train(&self) -> &[u32] {
        &self.tokens[..self.train]
    }

    pub fn test(&self) -> &[u32] {
        &self.tokens[self.train..]
    }

    /// Windows of a training step, drawn from seed and step.
    pub fn draw(&self, context: usize, batch: usize, seed: u64, step: u32) -> Result<Windows> {
        let mut random = Generator::restore(&Device::host(), GeneratorState { seed, step })?;
        let places = (self.train - context) as f32;
        let draws = random.uniform([batch])?.to_vec::<f32>()?;
        let starts: Vec<usize> = draws.iter().map(|draw| (draw * places) as usize).collect();
        Ok(self.windows(&starts, context))
    }

    /// Windows over the test, `batch` at a time. Each is scored on its second half: what stands
    /// before, training text at first, is context. The rest of less than half a window is left out.
    pub fn test_windows(&self, context: usize, batch: usize, most: usize) -> Vec<Windows> {
        let half = context / 2;
        let count = (self.test().len() / (context - half)).min(most);
        let start = |window: usize| self.train + window * (context - half) - half - 1;
        let starts: Vec<usize> = (0..count).map(start).collect();
        starts.chunks(batch).map(|starts| self.windows(starts, context)).collect()
    }

    fn windows(&self, starts: &[usize], context: usize) -> Windows {
        let row = |step: usize| starts.iter().map(move |start| self.tokens[start + step]);
        Windows {
            tokens: (0..context).flat_map(row).collect(),
            targets: (1..=context).flat_map(row).collect(),
            batch: starts.len(),
        }
    }

    /// How many characters some tokens stand for.
    pub fn characters(&self, tokens: &[u32]) -> usize {
        match self.tokenizer {
            // All bytes of UTF-8 but those that go on with a character.
            Tokenizer::Bytes => tokens.iter().filter(|byte| *byte & 0xC0 != 0x80).count(),
            _ => tokens.len(),
        }
    }
}
