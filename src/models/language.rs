//! What language models have in common.

use super::Sampler;
use super::training_loss::TrainingLoss;
use crate::error::{Error, Result};
use crate::linalg::{Layout, matmul};
use crate::loss::{LinearCrossEntropy, linear_cross_entropy, linear_cross_entropy_with};
use crate::nn::{Module, Pass};
use crate::{DType, Device, Tensor, Var};

const OP: &str = "language_model";

/// What the logits are the product of.
#[derive(Debug)]
pub struct Features {
    /// `[S, B, K]`
    pub x: Var,
    /// `[V, K]`
    pub w: Var,
}

/// A causal model of token sequences. Sequences are time-major: `[S, B]`, S tokens of B texts.
pub trait LanguageModel: Module {
    /// What one-token decode carries from token to token, of a size that does not grow with the
    /// text.
    type State;

    /// What the model is called in its files.
    const NAME: &'static str;

    /// Its extents, as they stand in its files.
    fn fields(&self) -> Vec<(&'static str, String)>;

    /// Where it computes.
    fn device(&self) -> &Device;

    /// How many tokens it knows.
    fn vocabulary(&self) -> usize;

    /// The state before the first token of `batch` texts.
    ///
    /// # Errors
    /// Those of [`Tensor::empty`].
    fn state(&self, batch: usize) -> Result<Self::State>;

    /// Runs over `tokens[S, B]`. With a state, it goes on from there and leaves the state after the
    /// last token; gradients do not flow into the state.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are two axes, [`Error::DType`] unless the tokens are unsigned
    /// integers; [`Error::DeviceMismatch`]; device loss.
    fn features(
        &self,
        tokens: &Tensor,
        state: Option<&mut Self::State>,
        pass: &mut Pass<'_>,
    ) -> Result<Features>;

    /// The mean cross-entropy of `targets[S, B]` in nats, from a state of nothing. The logits of all
    /// positions are never in memory at once.
    ///
    /// Targets of [`Pass::ignore_index`] are padding: texts of different lengths are one batch, the
    /// shorter ones filled up at their ends with any tokens and these targets. Other targets, and
    /// tokens, outside the vocabulary are an error (see
    /// [`Device::check_indices`](crate::Device::check_indices)).
    ///
    /// # Errors
    /// Those of [`features`](Self::features) and of [`linear_cross_entropy_with`].
    fn loss(&self, tokens: &Tensor, targets: &Tensor, pass: &mut Pass<'_>) -> Result<Var> {
        let Features { x, w } = self.features(tokens, None, pass)?;
        let ignore_index = pass.ignore_index;
        let options = LinearCrossEntropy { ignore_index, ..LinearCrossEntropy::default() };
        linear_cross_entropy_with(&x, &w, targets, options)
    }

    /// The loss to train with: [`loss`](Self::loss), and the penalties of the model's configuration.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss).
    fn training_loss(
        &self,
        tokens: &Tensor,
        targets: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Result<TrainingLoss> {
        Ok(TrainingLoss::of(self.loss(tokens, targets, pass)?))
    }

    /// The mean cross-entropy of `targets` in nats over the positions from `from` on only: the first
    /// ones are context. Nothing is padding; with padding, [`loss`](Self::loss) on [`Pass::evaluation`] is
    /// the loss of an evaluation.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss); [`Error::Argument`] if no position is left.
    fn loss_after(&self, from: usize, tokens: &Tensor, targets: &Tensor) -> Result<f64> {
        let steps = tokens.shape().dims().first().copied().unwrap_or(0);
        if from >= steps {
            let detail = format!("no position is left after {from} of {steps}");
            return Err(Error::argument(OP, detail));
        }
        let Features { x, w } = self.features(tokens, None, &mut Pass::evaluation())?;
        let x = x.narrow(0, from..steps)?;
        let targets = &rows(targets, from, steps)?;
        Ok(f64::from(linear_cross_entropy(&x, &w, targets)?.value().item()?))
    }

    /// The logits `[S, B, V]` of all positions: for short texts and for tests.
    ///
    /// # Errors
    /// Those of [`features`](Self::features).
    fn logits(&self, tokens: &Tensor) -> Result<Tensor> {
        let Features { x, w } = self.features(tokens, None, &mut Pass::evaluation())?;
        matmul(x.value(), w.value(), Layout::NT)
    }

    /// Reads `tokens[S, B]`, S of 1 or more, and returns the logits `[B, V]` of the token after the
    /// last.
    ///
    /// # Errors
    /// Those of [`features`](Self::features); [`Error::Shape`] without tokens or for another batch
    /// than the state's.
    fn advance(&self, tokens: &Tensor, state: &mut Self::State) -> Result<Tensor> {
        let steps = tokens.shape().dims().first().copied().unwrap_or(0);
        if steps == 0 {
            return Err(Error::shape(OP, "no tokens to read"));
        }
        let pass = &mut Pass::evaluation();
        let Features { x, w } = self.features(tokens, Some(state), pass)?;
        let last = x.narrow(0, steps - 1..steps)?;
        let batch = tokens.count() / steps;
        matmul(last.value(), w.value(), Layout::NT)?.reshape([batch, self.vocabulary()])
    }

    /// Goes on from `prompt` for `count` tokens, and returns those.
    ///
    /// # Errors
    /// [`Error::Argument`] for an empty prompt and for a token outside the vocabulary; those of
    /// [`Sampler::draw`]; device loss.
    fn generate(&self, prompt: &[u32], count: usize, sampler: &mut Sampler) -> Result<Vec<u32>> {
        if prompt.is_empty() {
            return Err(Error::argument(OP, "an empty prompt: give one token at least"));
        }
        crate::token::check_tokens(prompt, self.vocabulary())?;
        let mut state = self.state(1)?;
        let mut tokens = Tensor::from_slice(self.device(), prompt, [prompt.len(), 1])?;
        let mut drawn = Vec::new();
        while drawn.len() < count {
            let logits = self.advance(&tokens, &mut state)?.to_vec::<f32>()?;
            let token = sampler.draw(&logits)?;
            drawn.push(token);
            tokens = Tensor::from_slice(self.device(), &[token], [1, 1])?;
        }
        Ok(drawn)
    }

    /// What a file of the model holds: extents, parameters and buffers. Add an optimizer or notes as needed.
    #[cfg(feature = "checkpoint")]
    fn checkpoint(&self) -> crate::checkpoint::Checkpoint {
        super::config::checkpoint(Self::NAME, self.fields(), &self.saved())
    }

    /// Loads parameters and buffers from a file of a model of the same extents.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged file, and for a file of another model or
    /// configuration, with all that differs; device loss.
    #[cfg(feature = "checkpoint")]
    fn restore(&self, path: &std::path::Path) -> Result<crate::checkpoint::Notes> {
        super::config::restore(path, Self::NAME, self.fields(), &self.saved())
    }
}

/// Rows `from..to` of tokens.
fn rows(tokens: &Tensor, from: usize, to: usize) -> Result<Tensor> {
    let row = tokens.count() / to.max(1);
    let kept = tokens.to_vec::<u32>()?.get(from * row..to * row).unwrap_or(&[]).to_vec();
    Tensor::from_slice(tokens.device(), &kept, [to - from, row])
}

/// Checks `tokens[S, B]`, and that B is the state's number of texts if there is a state.
pub(super) fn check_tokens(
    op: &'static str,
    device: &Device,
    tokens: &Tensor,
    state: Option<usize>,
) -> Result<()> {
    tokens.expect(op, DType::U32)?;
    if tokens.device() != device {
        let (left, right) = (device.name().into(), tokens.device().name().into());
        return Err(Error::DeviceMismatch { op, left, right });
    }
    let shape = tokens.shape();
    match (shape.dims(), state) {
        ([_, batch], Some(texts)) if *batch != texts => {
            Err(Error::shape(op, format!("tokens of {shape} for a state of {texts} texts")))
        }
        ([_, _], _) => Ok(()),
        _ => Err(Error::shape(op, format!("tokens of {shape}, expected [S, B]"))),
    }
}
