//! The options of this example.

use super::common::{Options, Settings};
use super::training::Plan;
use spikegrad::attention::Gate;
use spikegrad::models::{Encoder, Sampler, SpikeGptConfig, SymbolicLightConfig};

const ABOUT: &str = "\
Trains a spiking language model on a text, character by character, and compares its bits per
character with smoothed n-grams on the last tenth of the text. Without --data it reads the five books
of Moses (King James), which ship with the crate; --data FILE takes any UTF-8 text, plain or gzip.";

const HELP: &str = "  --model NAME     symbolic-light (default) or spike-gpt
  --tokens WHAT    characters (default) or bytes
  --steps N        training steps (default 600, quick 60)
  --batch N        windows of a step (default 16)
  --context N      tokens of a window (default 128)
  --width N        channels (default 128)
  --layers N       blocks (default 2)
  --ffn N          channels inside a feed-forward block (default 4 times the width)
  --heads N        symbolic-light: heads (default 4)
  --window N       symbolic-light: tokens that attention looks back (default 32)
  --anchors N      symbolic-light: first tokens that attention always sees (default 4)
  --gate WHAT      symbolic-light: position (default), head, or a number: at least so many spikes
  --attention WHAT symbolic-light: on (default) or off: the memory path alone
  --encoder WHAT   symbolic-light: lif (default), or a number: a mask of so many largest channels
  --density X      symbolic-light: penalise spiking above this part of the elements (default 0.15;
                   1 for no penalty)
  --rate X         the learning rate at its peak (default 0.004)
  --decay X        weight decay (default 0.1)
  --dropout X      part of what a block adds that is silenced in training (default 0)
  --validate       leave the test alone, test with the last tenth of the training text, which is not
                   trained on then: for choosing settings
  --resume         go on from the checkpoint in --out, if there is one; --steps may be more now
  --generate N     train nothing: write N tokens with the checkpoint in --out
  --prompt TEXT    what to go on from
  --temperature X  of the draws (default 0.8)
  --top-k N        draw from the N most likely tokens only (default 40)
  --top-p X        draw from the most likely tokens of this probability only (default 1)";

/// Which model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    SymbolicLight,
    SpikeGpt,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    Characters,
    Bytes,
}

/// All options but the common ones.
#[derive(Debug, Clone)]
pub struct Config {
    pub model: (&'static str, Model),
    pub tokens: (&'static str, Tokens),
    pub validate: bool,
    pub resume: bool,
    pub generate: Option<usize>,
    pub prompt: Option<String>,
    pub sampler: Sampler,
    extents: Extents,
    steps: Option<u64>,
    rate: f64,
    decay: f64,
    dropout: f32,
}

#[derive(Debug, Clone)]
struct Extents {
    batch: usize,
    context: usize,
    width: usize,
    layers: usize,
    ffn: Option<usize>,
    heads: usize,
    window: usize,
    anchors: usize,
    gate: Gate,
    attention: bool,
    encoder: Encoder,
    density: f32,
}

const MODELS: [(&str, Model); 2] =
    [("symbolic-light", Model::SymbolicLight), ("spike-gpt", Model::SpikeGpt)];
const TOKENS: [(&str, Tokens); 2] = [("characters", Tokens::Characters), ("bytes", Tokens::Bytes)];
const ON_OFF: [(&str, bool); 2] = [("on", true), ("off", false)];
/// How strongly spiking beyond `--density` is penalised.
const PENALTY: f32 = 1.0;

/// Parses the command line.
pub fn parse() -> (Options, Config) {
    let mut config = defaults();
    let (mut temperature, mut top_k, mut top_p) = (0.8, 40, 1.0);
    let options = Options::parse("char_lm", ABOUT, HELP, |name, value| {
        let extents = &mut config.extents;
        match name {
            "model" => config.model = value.choice(&MODELS.map(|m| (m.0, m)))?,
            "tokens" => config.tokens = value.choice(&TOKENS.map(|t| (t.0, t)))?,
            "steps" => config.steps = Some(value.at_least(1)?),
            "batch" => extents.batch = value.at_least(1)?,
            "context" => extents.context = value.at_least(2)?,
            "width" => extents.width = value.at_least(1)?,
            "layers" => extents.layers = value.at_least(1)?,
            "ffn" => extents.ffn = Some(value.at_least(1)?),
            "heads" => extents.heads = value.at_least(1)?,
            "window" => extents.window = value.at_least(0)?,
            "anchors" => extents.anchors = value.at_least(0)?,
            "gate" => extents.gate = gate(&value.text()?)?,
            "attention" => extents.attention = value.choice(&ON_OFF)?,
            "encoder" => extents.encoder = encoder(&value.text()?)?,
            "density" => extents.density = value.between(0.0, 1.0)?,
            "rate" => config.rate = value.between(0.0, 1.0)?,
            "decay" => config.decay = value.between(0.0, 10.0)?,
            "dropout" => config.dropout = value.between(0.0, 0.95)?,
            "validate" => config.validate = true,
            "resume" => config.resume = true,
            "generate" => config.generate = Some(value.at_least(1)?),
            "prompt" => config.prompt = Some(value.text()?),
            "temperature" => temperature = value.between(0.0, 100.0)?,
            "top-k" => top_k = value.at_least(1)?,
            "top-p" => top_p = value.between(1e-6, 1.0)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    config.sampler = Sampler::new(options.seed).temperature(temperature).top_k(top_k).top_p(top_p);
    (options, config)
}

fn defaults() -> Config {
    Config {
        model: MODELS[0],
        tokens: TOKENS[0],
        validate: false,
        resume: false,
        generate: None,
        prompt: None,
        sampler: Sampler::new(0),
        extents: Extents {
            batch: 16,
            context: 128,
            width: 128,
            layers: 2,
            ffn: None,
            heads: 4,
            window: 32,
            anchors: 4,
            gate: Gate::Position,
            attention: true,
            encoder: Encoder::Lif,
            density: 0.15,
        },
        steps: None,
        rate: 0.004,
        decay: 0.1,
        dropout: 0.0,
    }
}

fn gate(text: &str) -> Result<Gate, String> {
    match text {
        "position" => Ok(Gate::Position),
        "head" => Ok(Gate::Head),
        _ => match text.parse() {
            Ok(spikes) => Ok(Gate::AtLeast(spikes)),
            Err(_) => Err(format!("--gate {text}: expected position, head, or a number")),
        },
    }
}

fn encoder(text: &str) -> Result<Encoder, String> {
    match (text, text.parse()) {
        ("lif", _) => Ok(Encoder::Lif),
        (_, Ok(channels)) => Ok(Encoder::TopK(channels)),
        _ => Err(format!("--encoder {text}: expected lif, or a number of channels")),
    }
}

impl Config {
    pub fn symbolic_light(&self, vocabulary: usize) -> SymbolicLightConfig {
        let Extents { width, layers, heads, window, anchors, gate, .. } = self.extents;
        let config = SymbolicLightConfig::new(vocabulary)
            .width(width)
            .layers(layers)
            .heads(heads)
            .ffn(self.ffn())
            .window(window)
            .anchors(anchors)
            .gate(gate)
            .attention(self.extents.attention)
            .encoder(self.extents.encoder);
        match self.extents.density {
            density if density < 1.0 => config.density(density, PENALTY),
            _ => config,
        }
    }

    pub fn spike_gpt(&self, vocabulary: usize) -> SpikeGptConfig {
        let Extents { width, layers, .. } = self.extents;
        SpikeGptConfig::new(vocabulary).width(width).layers(layers).ffn(self.ffn())
    }

    fn ffn(&self) -> usize {
        self.extents.ffn.unwrap_or(4 * self.extents.width)
    }

    /// How to train on the text `name`.
    pub fn plan(&self, options: &Options, name: &str) -> Plan {
        let steps = self.steps.unwrap_or(if options.quick { 60 } else { 600 });
        let Self { rate, decay, dropout, .. } = *self;
        let Extents { batch, context, .. } = self.extents;
        let settings = self.settings(options.seed, name);
        Plan { steps, batch, context, rate, decay, dropout, seed: options.seed, settings }
    }

    /// Model, data and order of data.
    fn settings(&self, seed: u64, text: &str) -> Settings {
        let e = &self.extents;
        let shared = Settings::default()
            .and("model", self.model.0)
            .and("text", text)
            .and("tokens", self.tokens.0)
            .and("seed", seed)
            .and("validate", self.validate)
            .and("batch", e.batch)
            .and("context", e.context)
            .and("width", e.width)
            .and("layers", e.layers)
            .and("ffn", self.ffn());
        match self.model.1 {
            Model::SpikeGpt => shared,
            Model::SymbolicLight => shared
                .and("heads", e.heads)
                .and("window", e.window)
                .and("anchors", e.anchors)
                .and("gate", format!("{:?}", e.gate))
                .and("attention", e.attention)
                .and("encoder", format!("{:?}", e.encoder)),
        }
    }
}
