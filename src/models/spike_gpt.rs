//! SpikeGPT: RWKV blocks whose outputs are spikes along the tokens.

use super::config::{Fields, all_positive, field};
use super::language::{Features, LanguageModel, check_tokens};
#[cfg(feature = "checkpoint")]
use crate::checkpoint::{Checkpoint, Notes};
use crate::elementwise::Activation;
use crate::error::{Error, Result};
use crate::lif::{Lif, Spikes};
use crate::nn::{Embedding, Init, Layer, LayerNorm, Linear, Module, Pass, Visitor};
use crate::random::Generator;
use crate::scan::{WkvState, wkv};
use crate::{DType, Device, Param, Tensor, Var};

const OP: &str = "spike_gpt";

/// Extents of a [`SpikeGpt`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct SpikeGptConfig {
    vocabulary: usize,
    width: usize,
    layers: usize,
    ffn: usize,
}

impl SpikeGptConfig {
    /// A small model: width 128, 3 layers, channel mix of 512. Published: width 512, 12 layers,
    /// 2,048 (46 million parameters), and width 768, 18 layers (216 million).
    pub fn new(vocabulary: usize) -> Self {
        Self { vocabulary, width: 128, layers: 3, ffn: 512 }
    }

    /// Channels of a token.
    pub fn width(mut self, width: usize) -> Self {
        self.width = width;
        self
    }

    /// Blocks.
    pub fn layers(mut self, layers: usize) -> Self {
        self.layers = layers;
        self
    }

    /// Channels inside the channel mix.
    pub fn ffn(mut self, ffn: usize) -> Self {
        self.ffn = ffn;
        self
    }
}

/// The language model SpikeGPT (Zhu et al. 2023), after its public code.
///
/// ```text
/// x = LN(embed(tokens))
/// each block:  x += LIF(TimeMix(LN x)),  x += LIF(ChannelMix(LN x))
/// TimeMix:     k, v, r = linear maps of shifted tokens;  Wo (sigma(r) wkv(k, v))
/// ChannelMix:  sigma(Wr xr) Wv relu(Wk xk)^2
/// logits = W LN(x)
/// ```
///
/// The LIF neurons run along the tokens (tau 2, input divided by tau, hard reset, ATan surrogate,
/// reset not detached), so what a block adds is binary.
#[derive(Debug)]
pub struct SpikeGpt {
    config: SpikeGptConfig,
    device: Device,
    embedding: Embedding,
    norm: LayerNorm,
    blocks: Vec<Block>,
    last_norm: LayerNorm,
    head: Param,
}

/// What one-token decode of a [`SpikeGpt`] carries: per block two shifted tokens, two membranes, and
/// the sums of WKV.
#[derive(Debug)]
pub struct SpikeGptState {
    batch: usize,
    blocks: Vec<BlockState>,
}

#[derive(Debug)]
struct BlockState {
    time: MixState,
    channel: MixState,
    wkv: WkvState,
}

/// The token before, and the membrane of the neurons after the mix; `[B, D]` each.
#[derive(Debug)]
struct MixState {
    token: Tensor,
    membrane: Tensor,
}

impl SpikeGpt {
    /// A model with weights from `random`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an extent of zero; those of [`Tensor::empty`].
    pub fn new(config: &SpikeGptConfig, random: &mut Generator) -> Result<Self> {
        let SpikeGptConfig { vocabulary, width, layers, ffn } = *config;
        let extents =
            [("vocabulary", vocabulary), ("width", width), ("layers", layers), ("ffn", ffn)];
        all_positive(OP, &extents)?;
        let device = random.device().clone();
        let embedding = Embedding::new(vocabulary, width, 0.02, random)?;
        let norm = LayerNorm::new(width, &device)?;
        let block = |index| Block::new(index, config, random);
        let blocks = (0..layers).map(block).collect::<Result<Vec<_>>>()?;
        let last_norm = LayerNorm::new(width, &device)?;
        let head =
            Init::Normal(0.02).param("weight", &[vocabulary, width], random)?.outputs_first();
        Ok(Self { config: config.clone(), device, embedding, norm, blocks, last_norm, head })
    }

    /// The model of a file, and the file's notes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged file, or a file of another kind; those of
    /// [`new`](Self::new).
    #[cfg(feature = "checkpoint")]
    pub fn open(path: &std::path::Path, device: &Device) -> Result<(Self, Notes)> {
        let noted = Checkpoint::notes(path)?;
        let extent = |name: &str| noted.parse::<usize>(&format!("model.{name}"));
        let config = SpikeGptConfig::new(extent("vocabulary")?)
            .width(extent("width")?)
            .layers(extent("layers")?)
            .ffn(extent("ffn")?);
        let model = Self::new(&config, &mut Generator::new(device, 0)?)?;
        let notes = model.restore(path)?;
        Ok((model, notes))
    }

    /// Its extents.
    pub fn config(&self) -> &SpikeGptConfig {
        &self.config
    }
}

crate::module!(SpikeGpt {
    embedding,
    norm: "embedding.norm",
    last_norm: "norm",
    blocks,
    head: "head.weight",
});

impl LanguageModel for SpikeGpt {
    type State = SpikeGptState;

    const NAME: &'static str = "spike-gpt";

    fn fields(&self) -> Fields {
        let SpikeGptConfig { vocabulary, width, layers, ffn } = self.config;
        vec![
            field("vocabulary", vocabulary),
            field("width", width),
            field("layers", layers),
            field("ffn", ffn),
        ]
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn state(&self, batch: usize) -> Result<SpikeGptState> {
        let (device, width) = (&self.device, self.config.width);
        let zeros = || Tensor::zeros(device, [batch, width], DType::F32);
        let mix = || Ok::<_, Error>(MixState { token: zeros()?, membrane: zeros()? });
        let block = |_| {
            let wkv = WkvState::empty(device, &[batch, width])?;
            Ok(BlockState { time: mix()?, channel: mix()?, wkv })
        };
        let blocks = (0..self.config.layers).map(block).collect::<Result<Vec<_>>>()?;
        Ok(SpikeGptState { batch, blocks })
    }

    fn features(
        &self,
        tokens: &Tensor,
        mut state: Option<&mut SpikeGptState>,
        pass: &mut Pass<'_>,
    ) -> Result<Features> {
        check_tokens(OP, &self.device, tokens, state.as_ref().map(|state| state.batch))?;
        let embedded = self.embedding.forward(&pass.constant(tokens), pass)?;
        let normed = self.norm.forward(&embedded, pass)?;
        let mut x = pass.drop(normed)?;
        for (index, block) in self.blocks.iter().enumerate() {
            let state = state.as_mut().and_then(|state| state.blocks.get_mut(index));
            x = block.forward(index, x, state, pass)?;
        }
        let w = x.tape().param(&self.head);
        Ok(Features { x: self.last_norm.forward(&x, pass)?, w })
    }
}

#[derive(Debug)]
struct Block {
    time_norm: LayerNorm,
    time: TimeMix,
    channel_norm: LayerNorm,
    channel: ChannelMix,
}

impl Block {
    fn new(index: usize, config: &SpikeGptConfig, random: &mut Generator) -> Result<Self> {
        let device = &random.device().clone();
        let at = Depth { index, layers: config.layers };
        Ok(Self {
            time_norm: LayerNorm::new(config.width, device)?,
            time: TimeMix::new(at, config.width, random)?,
            channel_norm: LayerNorm::new(config.width, device)?,
            channel: ChannelMix::new(at, config, random)?,
        })
    }

    fn forward(
        &self,
        index: usize,
        x: Var,
        state: Option<&mut BlockState>,
        pass: &mut Pass<'_>,
    ) -> Result<Var> {
        let (time, channel, sums) = match state {
            Some(BlockState { time, channel, wkv }) => (Some(time), Some(channel), Some(wkv)),
            None => (None, None, None),
        };
        let normed = self.time_norm.forward(&x, pass)?;
        let mixed = self.time.forward(&normed, time.as_ref().map(|s| &s.token), sums, pass)?;
        let spikes = fire(&mixed, &normed, time)?;
        pass.see_spikes(|| format!("block {index} time mix"), &spikes)?;
        let x = x.add(&pass.drop(spikes)?)?;
        let normed = self.channel_norm.forward(&x, pass)?;
        let mixed = self.channel.forward(&normed, channel.as_ref().map(|s| &s.token), pass)?;
        let spikes = fire(&mixed, &normed, channel)?;
        pass.see_spikes(|| format!("block {index} channel mix"), &spikes)?;
        x.add(&pass.drop(spikes)?)
    }
}

crate::module!(Block { time_norm: "time.norm", time, channel_norm: "channel.norm", channel });

/// LIF along the tokens, and the state that follows.
fn fire(mixed: &Var, shifted: &Var, state: Option<&mut MixState>) -> Result<Var> {
    let lif = Lif::spikingjelly().output(Spikes::F32);
    let before = state.as_ref().map(|state| mixed.tape().constant(&state.membrane));
    let out = lif.scan(mixed, before.as_ref())?;
    if let Some(state) = state {
        state.membrane = out.state.value().clone();
        state.token = super::last_row(shifted)?;
    }
    Ok(out.spikes)
}

/// The place of a block: RWKV's initial values depend on it.
#[derive(Debug, Clone, Copy)]
struct Depth {
    index: usize,
    layers: usize,
}

impl Depth {
    /// From 0 in the first block to 1 in the last.
    fn place(self) -> f32 {
        self.index as f32 / (self.layers.max(2) - 1) as f32
    }

    /// From 1 in the first block to almost 0 in the last.
    fn left(self) -> f32 {
        1.0 - self.index as f32 / self.layers as f32
    }
}

/// A parameter with the value of `f` for each of `width` channels, whose place runs from 0 to 1.
fn channels(
    device: &Device,
    name: &str,
    width: usize,
    f: impl Fn(usize, f32) -> f32,
) -> Result<Param> {
    let place = |channel| channel as f32 / width as f32;
    let values: Vec<f32> = (0..width).map(|channel| f(channel, place(channel))).collect();
    Ok(Param::new(name, Tensor::from_slice(device, &values, [width])?))
}

#[derive(Debug)]
struct TimeMix {
    /// How much of the token itself, not of the one before, goes into key, value and receptance.
    shifts: [Param; 3],
    maps: [Linear; 3],
    decay: Param,
    bonus: Param,
    output: Linear,
}

impl TimeMix {
    fn new(at: Depth, width: usize, random: &mut Generator) -> Result<Self> {
        let device = &random.device().clone();
        let (first, last) = (at.place(), at.left());
        let vector = |part: &str, f: &dyn Fn(usize, f32) -> f32| channels(device, part, width, f);
        let mut linear = || Linear::builder(width, width).bias(false).build(random);
        Ok(Self {
            shifts: [
                vector("key", &|_, place| place.powf(last))?,
                vector("value", &|_, place| place.powf(last) + 0.3 * first)?,
                vector("receptance", &|_, place| place.powf(0.5 * last))?,
            ],
            maps: [linear()?, linear()?, linear()?],
            decay: vector("decay", &|_, place| 8.0 * place.powf(0.7 + 1.3 * first) - 5.0)?,
            bonus: vector("bonus", &|channel, _| {
                0.5 * ((channel + 1) % 3) as f32 - 0.5 + 0.3f32.ln()
            })?,
            output: linear()?,
        })
    }

    fn forward(
        &self,
        x: &Var,
        before: Option<&Tensor>,
        sums: Option<&mut WkvState>,
        pass: &mut Pass<'_>,
    ) -> Result<Var> {
        let tape = x.tape();
        let before = before.map(|token| tape.constant(token));
        let mut shifted = |part: usize| {
            let mixed = x.token_shift(&tape.param(&self.shifts[part]), before.as_ref())?;
            self.maps[part].forward(&mixed, pass)
        };
        let [k, v, r] = [shifted(0)?, shifted(1)?, shifted(2)?];
        let (decay, bonus) = (tape.param(&self.decay), tape.param(&self.bonus));
        let out = wkv(&k, &v, &decay, &bonus, sums.as_deref())?;
        if let Some(sums) = sums {
            *sums = out.state;
        }
        self.output.forward(&r.sigmoid()?.mul(&out.y)?, pass)
    }
}

impl Module for TimeMix {
    fn visit(&self, visitor: &mut Visitor) {
        const PARTS: [&str; 3] = ["key", "value", "receptance"];
        for (part, shift) in PARTS.iter().zip(&self.shifts) {
            visitor.param(&format!("shift.{part}"), shift);
        }
        for (part, map) in PARTS.iter().zip(&self.maps) {
            visitor.child(part, map);
        }
        visitor.param("decay", &self.decay);
        visitor.param("bonus", &self.bonus);
        visitor.child("output", &self.output);
    }
}

#[derive(Debug)]
struct ChannelMix {
    /// How much of the token itself goes into key and receptance.
    shifts: [Param; 2],
    key: Linear,
    value: Linear,
    receptance: Linear,
}

impl ChannelMix {
    fn new(at: Depth, config: &SpikeGptConfig, random: &mut Generator) -> Result<Self> {
        let device = &random.device().clone();
        let SpikeGptConfig { width, ffn, .. } = *config;
        let vector = |part: &str| channels(device, part, width, |_, place| place.powf(at.left()));
        let shifts = [vector("key")?, vector("receptance")?];
        let mut linear =
            |inputs, outputs| Linear::builder(inputs, outputs).bias(false).build(random);
        Ok(Self {
            shifts,
            key: linear(width, ffn)?,
            value: linear(ffn, width)?,
            receptance: linear(width, width)?,
        })
    }

    fn forward(&self, x: &Var, before: Option<&Tensor>, pass: &mut Pass<'_>) -> Result<Var> {
        let tape = x.tape();
        let before = before.map(|token| tape.constant(token));
        let shifted = |part: usize| x.token_shift(&tape.param(&self.shifts[part]), before.as_ref());
        let key = self.key.forward(&shifted(0)?, pass)?.activate(Activation::SquaredRelu)?;
        let gate = self.receptance.forward(&shifted(1)?, pass)?.sigmoid()?;
        gate.mul(&self.value.forward(&key, pass)?)
    }
}

impl Module for ChannelMix {
    fn visit(&self, visitor: &mut Visitor) {
        let [key, receptance] = &self.shifts;
        visitor.param("shift.key", key);
        visitor.param("shift.receptance", receptance);
        visitor.child("key", &self.key);
        visitor.child("value", &self.value);
        visitor.child("receptance", &self.receptance);
    }
}
