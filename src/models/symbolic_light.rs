//! SymbolicLight V1: a language model whose blocks mix tokens on two paths, spike-gated attention
//! and a leaky memory of spikes.

use super::config::{Fields, all_positive, field, whole_heads};
use super::language::{Features, LanguageModel, check_tokens};
use super::training_loss::TrainingLoss;
use crate::attention::{AttentionCache, Gate, SpikeAttention};
#[cfg(feature = "checkpoint")]
use crate::checkpoint::{Checkpoint, Notes};
use crate::error::{Error, Result};
use crate::layout::{concat, concat_tensors};
use crate::lif::{Lif, Spikes, Surrogate};
use crate::nn::{Embedding, Init, Layer, LayerNorm, Linear, Pass, filled};
use crate::random::Generator;
use crate::{DType, Device, Param, Tensor, Var};

const OP: &str = "symbolic_light";
/// What the second head is multiplied by.
const SECOND_HEAD: f32 = 0.1;
/// The memory's decay before training is the sigmoid of this: 0.953, a half-life of 14 tokens.
const DECAY: f32 = 3.0;

/// What turns the embedding into spikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// LIF neurons along the tokens, as published.
    Lif,
    /// The `k` largest channels of every token, without memory: for comparison.
    TopK(usize),
}

/// Extents and options of a [`SymbolicLight`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct SymbolicLightConfig {
    vocabulary: usize,
    width: usize,
    layers: usize,
    heads: usize,
    ffn: usize,
    window: usize,
    anchors: usize,
    gate: Gate,
    attention: bool,
    encoder: Encoder,
    density: Option<(f32, f32)>,
}

impl SymbolicLightConfig {
    /// A small model: width 128, 2 layers, 4 heads, feed-forward width 512, window 32, 4 anchors.
    /// Published: width 768, 12 layers, 12 heads, 4,096, window 256, 4 anchors (194 million
    /// parameters with 48,000 tokens).
    pub fn new(vocabulary: usize) -> Self {
        Self {
            vocabulary,
            width: 128,
            layers: 2,
            heads: 4,
            ffn: 512,
            window: 32,
            anchors: 4,
            gate: Gate::Position,
            attention: true,
            encoder: Encoder::Lif,
            density: None,
        }
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

    /// Heads, of attention and of the memory.
    pub fn heads(mut self, heads: usize) -> Self {
        self.heads = heads;
        self
    }

    /// Channels between the two linear maps of a feed-forward block.
    pub fn ffn(mut self, ffn: usize) -> Self {
        self.ffn = ffn;
        self
    }

    /// How many tokens attention looks back.
    pub fn window(mut self, window: usize) -> Self {
        self.window = window;
        self
    }

    /// How many first tokens attention always sees.
    pub fn anchors(mut self, anchors: usize) -> Self {
        self.anchors = anchors;
        self
    }

    /// Which positions attention takes part in.
    pub fn gate(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Whether blocks have the attention path; the memory path alone otherwise.
    pub fn attention(mut self, on: bool) -> Self {
        self.attention = on;
        self
    }

    /// What turns the embedding into spikes.
    pub fn encoder(mut self, encoder: Encoder) -> Self {
        self.encoder = encoder;
        self
    }

    /// Adds `weight * max(0, rate - density)` to the training loss for every place that spikes, so
    /// that about this part of the elements fires at most. Ours: the auxiliary losses of the
    /// published model are not public.
    pub fn density(mut self, density: f32, weight: f32) -> Self {
        self.density = Some((density, weight));
        self
    }

    /// Extents and options out of a file.
    #[cfg(feature = "checkpoint")]
    fn noted(notes: &Notes) -> Result<Self> {
        let extent = |name: &str| notes.parse::<usize>(&format!("model.{name}"));
        let text = |name: &str| notes.parse::<String>(&format!("model.{name}"));
        let config = Self::new(extent("vocabulary")?)
            .width(extent("width")?)
            .layers(extent("layers")?)
            .heads(extent("heads")?)
            .ffn(extent("ffn")?)
            .window(extent("window")?)
            .anchors(extent("anchors")?)
            .attention(notes.parse("model.attention")?);
        let gate = match text("gate")?.as_str() {
            "position" => Gate::Position,
            "head" => Gate::Head,
            _ => Gate::AtLeast(notes.parse("model.gate")?),
        };
        let encoder = match text("encoder")?.as_str() {
            "lif" => Encoder::Lif,
            _ => Encoder::TopK(extent("encoder")?),
        };
        Ok(config.gate(gate).encoder(encoder))
    }

    fn check(&self) -> Result<()> {
        let Self { vocabulary, width, layers, heads, ffn, .. } = *self;
        let extents = [
            ("vocabulary", vocabulary),
            ("width", width),
            ("layers", layers),
            ("heads", heads),
            ("ffn", ffn),
        ];
        all_positive(OP, &extents)?;
        whole_heads(OP, width, heads)?;
        if self.attention && !(width / heads).is_multiple_of(2) {
            let detail = format!("{} channels a head: rotary attention pairs them", width / heads);
            return Err(Error::argument(OP, detail));
        }
        match self.encoder {
            Encoder::TopK(k) if k == 0 || k > width => {
                Err(Error::argument(OP, format!("the {k} largest of {width} channels")))
            }
            _ => Ok(()),
        }
    }
}

fn gate_name(gate: Gate) -> String {
    match gate {
        Gate::Position => "position".into(),
        Gate::Head => "head".into(),
        Gate::AtLeast(spikes) => spikes.to_string(),
    }
}

fn encoder_name(encoder: Encoder) -> String {
    match encoder {
        Encoder::Lif => "lif".into(),
        Encoder::TopK(channels) => channels.to_string(),
    }
}

/// The language model of SymbolicLight V1 (public inference code; the training surrogate is that of
/// its proof of concept).
///
/// ```text
/// c = LN(embed(tokens)),  s = LIF(c)                along the tokens, decay 0.95, clamp ±3
/// each block:
///   o = spike-gated attention of (Wq c, Wk c, Wv c), gated by s
///   h = decay scan of Wt s, one decay a head
///   c = LN(c + Wo (sigma(a) o + (1 - sigma(a)) h)),  s = H(c - 1)
///   c = LN(c + Wdown H(Wup c - 1)),                  s = H(c - 1)
/// logits = W c + 0.1 W2 gelu(W1 c)
/// ```
///
/// The stream `c` is real-valued; the memory path and the second feed-forward map see spikes only.
#[derive(Debug)]
pub struct SymbolicLight {
    config: SymbolicLightConfig,
    device: Device,
    embedding: Embedding,
    norm: LayerNorm,
    blocks: Vec<Block>,
    head: Head,
}

/// What one-token decode of a [`SymbolicLight`] carries.
#[derive(Debug)]
pub struct SymbolicLightState {
    batch: usize,
    /// The encoder's membrane `[B, D]`.
    membrane: Tensor,
    blocks: Vec<BlockState>,
}

#[derive(Debug)]
struct BlockState {
    /// The memory `[B, D]`.
    memory: Tensor,
    cache: Option<AttentionCache>,
}

impl SymbolicLight {
    /// A model with weights from `random`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an extent of zero, a width that heads do not divide, an odd number of
    /// channels a head, more largest channels than there are; those of [`Tensor::empty`].
    pub fn new(config: &SymbolicLightConfig, random: &mut Generator) -> Result<Self> {
        config.check()?;
        let device = random.device().clone();
        let SymbolicLightConfig { vocabulary, width, layers, .. } = *config;
        let embedding = Embedding::new(vocabulary, width, 0.02, random)?;
        let norm = LayerNorm::new(width, &device)?;
        let block = |_| Block::new(config, random);
        let blocks = (0..layers).map(block).collect::<Result<Vec<_>>>()?;
        let head = Head::new(vocabulary, width, random)?;
        Ok(Self { config: config.clone(), device, embedding, norm, blocks, head })
    }

    /// The model of a file, and the file's notes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a damaged file, or a file of another kind; those of
    /// [`new`](Self::new).
    #[cfg(feature = "checkpoint")]
    pub fn open(path: &std::path::Path, device: &Device) -> Result<(Self, Notes)> {
        let config = SymbolicLightConfig::noted(&Checkpoint::notes(path)?)?;
        let model = Self::new(&config, &mut Generator::new(device, 0)?)?;
        let notes = model.restore(path)?;
        Ok((model, notes))
    }

    /// Its extents and options.
    pub fn config(&self) -> &SymbolicLightConfig {
        &self.config
    }

    fn encode(&self, c: &Var, state: Option<&mut Tensor>) -> Result<Var> {
        match self.config.encoder {
            Encoder::TopK(k) => c.top_k_mask(k)?.pack(),
            Encoder::Lif => {
                let lif = Lif::symboliclight().output(Spikes::Bits);
                let before = state.as_ref().map(|state| c.tape().constant(state));
                let out = lif.scan(c, before.as_ref())?;
                if let Some(state) = state {
                    *state = out.state.value().clone();
                }
                Ok(out.spikes)
            }
        }
    }
}

crate::module!(SymbolicLight { embedding, norm: "embedding.norm", blocks, head });

impl LanguageModel for SymbolicLight {
    type State = SymbolicLightState;

    const NAME: &'static str = "symbolic-light";

    fn fields(&self) -> Fields {
        let SymbolicLightConfig { encoder, gate, .. } = self.config;
        let config = &self.config;
        vec![
            field("vocabulary", config.vocabulary),
            field("width", config.width),
            field("layers", config.layers),
            field("heads", config.heads),
            field("ffn", config.ffn),
            field("window", config.window),
            field("anchors", config.anchors),
            field("gate", gate_name(gate)),
            field("attention", config.attention),
            field("encoder", encoder_name(encoder)),
        ]
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn state(&self, batch: usize) -> Result<SymbolicLightState> {
        let zeros = || Tensor::zeros(&self.device, [batch, self.config.width], DType::F32);
        let block = |block: &Block| {
            let cache = block.attention.as_ref();
            let cache = cache.map(|a| a.gated.cache(&self.device, batch, self.config.width));
            Ok(BlockState { memory: zeros()?, cache: cache.transpose()? })
        };
        let blocks = self.blocks.iter().map(block).collect::<Result<Vec<_>>>()?;
        Ok(SymbolicLightState { batch, membrane: zeros()?, blocks })
    }

    fn training_loss(
        &self,
        tokens: &Tensor,
        targets: &Tensor,
        pass: &mut Pass<'_>,
    ) -> Result<TrainingLoss> {
        let Some((density, weight)) = self.config.density else {
            return Ok(TrainingLoss::of(self.loss(tokens, targets, pass)?));
        };
        pass.rates = Some(Vec::new());
        let fit = self.loss(tokens, targets, pass)?;
        let mut total = fit.clone();
        for rate in pass.rates.take().into_iter().flatten() {
            total = total.add(&rate.sub_scalar(density)?.relu()?.mul_scalar(weight)?)?;
        }
        Ok(TrainingLoss { total, fit })
    }

    fn features(
        &self,
        tokens: &Tensor,
        mut state: Option<&mut SymbolicLightState>,
        pass: &mut Pass<'_>,
    ) -> Result<Features> {
        check_tokens(OP, &self.device, tokens, state.as_ref().map(|state| state.batch))?;
        let embedded = self.embedding.forward(&pass.constant(tokens), pass)?;
        let embedded = self.norm.forward(&embedded, pass)?;
        let c = pass.drop(embedded)?;
        let spikes = self.encode(&c, state.as_mut().map(|state| &mut state.membrane))?;
        pass.see_spikes(|| "encoder".into(), &spikes)?;
        let mut stream = Stream { c, spikes };
        for (index, block) in self.blocks.iter().enumerate() {
            let state = state.as_mut().and_then(|state| state.blocks.get_mut(index));
            stream = block.forward(index, stream, state, pass)?;
        }
        self.head.features(&stream.c, pass)
    }
}

/// What flows from block to block: real values, and the spikes that they fire.
struct Stream {
    c: Var,
    spikes: Var,
}

/// Fires where the value is 1 or more, without memory.
fn fire(x: &Var) -> Result<Var> {
    let lif = Lif::new().decay(0.0).surrogate(Surrogate::Atan(2.0)).output(Spikes::Bits);
    Ok(lif.scan(x, None)?.spikes)
}

#[derive(Debug)]
struct Block {
    attention: Option<AttentionPath>,
    memory: Linear,
    decay: Param,
    mixed: Linear,
    mixed_norm: LayerNorm,
    up: Linear,
    down: Linear,
    ffn_norm: LayerNorm,
}

#[derive(Debug)]
struct AttentionPath {
    gated: SpikeAttention,
    query: Linear,
    key: Linear,
    value: Linear,
    share: Param,
}

impl Block {
    fn new(config: &SymbolicLightConfig, random: &mut Generator) -> Result<Self> {
        let SymbolicLightConfig { width, heads, ffn, .. } = *config;
        let device = &random.device().clone();
        let attention =
            if config.attention { Some(AttentionPath::new(config, random)?) } else { None };
        let mut linear =
            |inputs, outputs| Linear::builder(inputs, outputs).bias(false).build(random);
        Ok(Self {
            attention,
            memory: linear(width, width)?,
            decay: filled("decay", &[heads], DECAY, device)?,
            mixed: linear(width, width)?,
            mixed_norm: LayerNorm::new(width, device)?,
            up: linear(width, ffn)?,
            down: linear(ffn, width)?,
            ffn_norm: LayerNorm::new(width, device)?,
        })
    }

    fn forward(
        &self,
        index: usize,
        Stream { c, spikes }: Stream,
        state: Option<&mut BlockState>,
        pass: &mut Pass<'_>,
    ) -> Result<Stream> {
        let mixed = self.mix(index, &c, &spikes, state, pass)?;
        let mixed = self.mixed.forward(&mixed, pass)?;
        let mixed = pass.drop(mixed)?;
        let c = self.mixed_norm.forward(&c.add(&mixed)?, pass)?;
        let fired = fire(&self.up.forward(&c, pass)?)?;
        pass.see_spikes(|| format!("block {index} ffn"), &fired)?;
        let down = self.down.forward(&fired, pass)?;
        let down = pass.drop(down)?;
        let c = self.ffn_norm.forward(&c.add(&down)?, pass)?;
        let spikes = fire(&c)?;
        pass.see_spikes(|| format!("block {index}"), &spikes)?;
        Ok(Stream { c, spikes })
    }

    /// The two paths and their mixture.
    fn mix(
        &self,
        index: usize,
        c: &Var,
        spikes: &Var,
        state: Option<&mut BlockState>,
        pass: &mut Pass<'_>,
    ) -> Result<Var> {
        let decay = c.tape().param(&self.decay);
        let (before, cache) = match state {
            Some(BlockState { memory, cache }) => (Some(memory), cache.as_mut()),
            None => (None, None),
        };
        let initial = before.as_ref().map(|memory| c.tape().constant(memory));
        let memory = self.memory.forward(spikes, pass)?.decay_scan(&decay, initial.as_ref())?;
        if let Some(before) = before {
            *before = memory.last.value().clone();
        }
        let memory = memory.h;
        let Some(path) = &self.attention else { return Ok(memory) };
        pass.see(|activity| {
            activity.see_gates(&format!("block {index}"), &path.gated.gates(spikes.value())?);
            Ok(())
        })?;
        let attended = path.attend(c, spikes, cache, pass)?;
        attended.mix(&memory, &c.tape().param(&path.share))
    }
}

impl AttentionPath {
    fn new(config: &SymbolicLightConfig, random: &mut Generator) -> Result<Self> {
        let SymbolicLightConfig { width, heads, window, anchors, gate, .. } = *config;
        let device = &random.device().clone();
        let gated = SpikeAttention::new(heads).window(window).anchors(anchors).gate(gate);
        let mut linear = || Linear::builder(width, width).bias(false).build(random);
        Ok(Self {
            gated,
            query: linear()?,
            key: linear()?,
            value: linear()?,
            share: filled("share", &[1], 0.0, device)?,
        })
    }

    fn attend(
        &self,
        c: &Var,
        spikes: &Var,
        cache: Option<&mut AttentionCache>,
        pass: &mut Pass<'_>,
    ) -> Result<Var> {
        let [q, k, v] = [&self.query, &self.key, &self.value].map(|map| map.forward(c, pass));
        let (q, k, v) = (q?, k?, v?);
        let Some(cache) = cache else { return self.gated.attend(&q, &k, &v, spikes.value()) };
        if cache.position() == 0 {
            self.gated.extend(cache, k.value(), v.value(), spikes.value())?;
            return self.gated.attend(&q, &k, &v, spikes.value());
        }
        let steps = c.shape().dims().first().copied().unwrap_or(0);
        let spikes = spikes.unpack()?;
        let rows = (0..steps).map(|step| {
            let row = |x: &Var| x.narrow(0, step..step + 1);
            let [q, k, v, s] = [row(&q)?, row(&k)?, row(&v)?, row(&spikes)?];
            self.gated.decode(cache, q.value(), k.value(), v.value(), s.value())
        });
        let rows = rows.collect::<Result<Vec<_>>>()?;
        let values = concat_tensors(&rows.iter().collect::<Vec<_>>(), 0)?;
        Ok(c.tape().constant(&values))
    }
}

crate::module!(AttentionPath { query, key, value, share });

crate::module!(Block {
    attention: "",
    memory,
    decay: "memory.decay",
    mixed,
    mixed_norm: "mixed.norm",
    up,
    down,
    ffn_norm: "ffn.norm",
});

/// The context-conditioned head: `logits = W c + 0.1 W2 gelu(W1 c)`, as one product over `[c, 0.1
/// gelu(W1 c)]` and `[W, W2]`.
#[derive(Debug)]
struct Head {
    first: Param,
    narrow: Linear,
    second: Param,
}

impl Head {
    fn new(vocabulary: usize, width: usize, random: &mut Generator) -> Result<Self> {
        let narrow = (width / 4).max(1);
        let mut draw = |name: &str, width| {
            Init::Normal(0.02).param(name, &[vocabulary, width], random).map(Param::outputs_first)
        };
        let (first, second) = (draw("first", width)?, draw("second", narrow)?);
        let narrow = Linear::builder(width, narrow).bias(false).build(random)?;
        Ok(Self { first, narrow, second })
    }

    fn features(&self, c: &Var, pass: &mut Pass<'_>) -> Result<Features> {
        let context = self.narrow.forward(c, pass)?.gelu()?.mul_scalar(SECOND_HEAD)?;
        let axis = c.shape().rank() - 1;
        let weights = [&self.first, &self.second].map(|param| c.tape().param(param));
        Ok(Features { x: concat(&[c, &context], axis)?, w: concat(&weights.each_ref(), 1)? })
    }
}

crate::module!(Head { first, second, narrow });
