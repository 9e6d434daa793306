//! A small spiking language model on the characters of a text.

use super::common::Options;
use super::corpus::{Corpus, Windows};
use super::problem::{Learner, Problem, Score};
use spikegrad::data::{Text, Tokenizer, king_james};
use spikegrad::models::{LanguageModel, SymbolicLight, SymbolicLightConfig};
use spikegrad::nn::{Module, Pass};
use spikegrad::random::Generator;
use spikegrad::{Device, Param, Result, Tensor, Var};

/// Characters of a window.
const CONTEXT: usize = 64;
/// Windows of a step.
const BATCH: usize = 8;
/// Windows of a point of the learning curve, and of the score at the end.
const WINDOWS: [usize; 2] = [96, 768];

/// Characters of a text; its last tenth is left alone, the last tenth of the rest validates.
pub struct TextProblem {
    device: Device,
    name: String,
    corpus: Corpus,
}

impl TextProblem {
    pub fn new(options: &Options) -> Result<Self> {
        let text = match &options.data {
            Some(path) => Text::open(path)?,
            None => king_james()?,
        };
        let tokenizer = Tokenizer::characters(&text.text);
        let corpus = Corpus::new(&text, tokenizer, CONTEXT, true)?;
        Ok(Self { device: options.device.clone(), name: text.name, corpus })
    }

    fn model(&self) -> SymbolicLightConfig {
        let vocabulary = self.corpus.tokenizer.vocabulary();
        SymbolicLightConfig::new(vocabulary).width(64).layers(1).ffn(256).heads(4).window(16)
    }
}

impl Problem for TextProblem {
    fn name(&self) -> &'static str {
        "text"
    }

    fn describe(&self) -> String {
        let (name, train) = (&self.name, self.corpus.train().len());
        format!(
            "text: {name}, {train} characters to train on, {} different ones; SymbolicLight of \
             width 64, one block; {BATCH} windows of {CONTEXT} characters a step",
            self.corpus.tokenizer.vocabulary()
        )
    }

    fn steps(&self) -> u64 {
        500
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn start(&self, seed: u64) -> Result<Box<dyn Learner + '_>> {
        let model = SymbolicLight::new(&self.model(), &mut Generator::new(&self.device, seed)?)?;
        Ok(Box::new(TextLearner { problem: self, model, seed }))
    }
}

struct TextLearner<'a> {
    problem: &'a TextProblem,
    model: SymbolicLight,
    seed: u64,
}

impl TextLearner<'_> {
    fn upload(&self, windows: &Windows) -> Result<[Tensor; 2]> {
        let shape = [CONTEXT, windows.batch];
        let tensor = |values: &[u32]| Tensor::from_slice(&self.problem.device, values, shape);
        Ok([tensor(&windows.tokens)?, tensor(&windows.targets)?])
    }
}

impl Learner for TextLearner<'_> {
    fn params(&self) -> Vec<Param> {
        self.model.params()
    }

    fn batch(&mut self, step: u64) -> Result<[Tensor; 2]> {
        self.upload(&self.problem.corpus.draw(CONTEXT, BATCH, self.seed, step as u32)?)
    }

    fn loss(&self, [tokens, targets]: [&Tensor; 2], pass: &mut Pass<'_>) -> Result<Var> {
        Ok(self.model.training_loss(tokens, targets, pass)?.total)
    }

    /// The second half of each window is scored; the first is context.
    fn validate(&self, all: bool) -> Result<Score> {
        let windows = self.problem.corpus.test_windows(CONTEXT, 48, WINDOWS[usize::from(all)]);
        let (mut nats, mut count) = (0.0, 0);
        for windows in windows {
            let [tokens, targets] = self.upload(&windows)?;
            let loss = self.model.loss_after(CONTEXT / 2, &tokens, &targets)?;
            nats += loss * windows.batch as f64;
            count += windows.batch;
        }
        Ok(Score { loss: nats / count.max(1) as f64, accuracy: None })
    }
}
