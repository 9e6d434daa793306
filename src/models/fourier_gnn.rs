//! FourierGNN: a graph of all values of all series, mixed in the frequencies of its nodes.

use super::config::{Fields, all_positive, field};
use super::energy::{Energy, LayerInput, transform};
use super::forecaster::{Forecaster, on_nodes};
#[cfg(feature = "checkpoint")]
use crate::checkpoint::{Checkpoint, Notes};
use crate::elementwise::Activation;
use crate::error::{Error, Result};
use crate::fourier::{Scaling, graph_dense, graph_diag, graph_diag_outer};
use crate::linalg::linear;
use crate::nn::{Activity, Init, Layer, Linear, Module, Pass, Visitor};
use crate::random::Generator;
use crate::{Device, Param, Var};
use std::str::FromStr;

const OP: &str = "fourier_gnn";

/// The scaling of its transforms.
const ORTHO: Scaling = Scaling::Ortho;
/// By what the soft shrinkage of the mix shrinks.
const SHRINKAGE: f32 = 0.01;
/// What the look-back is projected to.
const SLOTS: usize = 8;
/// The width of the first layer of the head.
const FIRST: usize = 64;
/// The activation of the head.
const LEAKY: Activation = Activation::LeakyRelu(0.01);

/// How the channels of a frequency are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mix {
    /// Each by a number of its own, as the released code computes.
    #[default]
    Diag,
    /// All by a matrix, as the paper writes.
    Dense,
}

impl std::fmt::Display for Mix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Mix::Diag => "diag",
            Mix::Dense => "dense",
        })
    }
}

impl FromStr for Mix {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "diag" => Ok(Mix::Diag),
            "dense" => Ok(Mix::Dense),
            _ => Err(Error::argument(OP, format!("a mix of `{name}`, expected diag or dense"))),
        }
    }
}

/// Extents of a [`FourierGnn`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct FourierGnnConfig {
    variables: usize,
    look_back: usize,
    horizon: usize,
    embed: usize,
    hidden: usize,
    mix: Mix,
    norm: bool,
    rank_one: bool,
}

impl FourierGnnConfig {
    /// A model of `variables` series, with the published extents: 12 values in, 12 out, embedding of
    /// 128, hidden 256, diagonal mix, no normalisation. COVID-19: 256 and 512.
    pub fn new(variables: usize) -> Self {
        let (mix, norm) = (Mix::Diag, false);
        let rank_one = true;
        Self { variables, look_back: 12, horizon: 12, embed: 128, hidden: 256, mix, norm, rank_one }
    }

    /// Values that are seen of each series.
    pub fn look_back(mut self, steps: usize) -> Self {
        self.look_back = steps;
        self
    }

    /// Values that each series is continued by.
    pub fn horizon(mut self, steps: usize) -> Self {
        self.horizon = steps;
        self
    }

    /// Channels of a value.
    pub fn embed(mut self, channels: usize) -> Self {
        self.embed = channels;
        self
    }

    /// The width of the second layer of the head.
    pub fn hidden(mut self, width: usize) -> Self {
        self.hidden = width;
        self
    }

    /// How channels are mixed.
    pub fn mix(mut self, mix: Mix) -> Self {
        self.mix = mix;
        self
    }

    /// Whether the series of a window are normalised, and the forecast put back on their scale; see
    /// [`InstanceNorm`](crate::nn::InstanceNorm).
    pub fn norm(mut self, on: bool) -> Self {
        self.norm = on;
        self
    }

    /// Whether the series are transformed before they are embedded (the default): an embedding of rank
    /// one makes one transform of E. The same forecast either way, and E times the transforms without;
    /// files do not hold it.
    pub fn rank_one(mut self, on: bool) -> Self {
        self.rank_one = on;
        self
    }

    fn check(&self) -> Result<()> {
        let Self { variables, look_back, horizon, embed, hidden, .. } = *self;
        let extents = [("variables", variables), ("look_back", look_back), ("horizon", horizon)];
        all_positive(OP, &extents)?;
        all_positive(OP, &[("embed", embed), ("hidden", hidden)])
    }
}

/// The forecaster FourierGNN (Yi et al. 2023), after its public code.
///
/// ```text
/// X[b, m, :] = x[b, m] e                  nodes m = n L + l: value l of series n
/// Z = mix(rfft(X)),  y = irfft(Z)         over the nodes, unitary
/// forecast of series n: y[b, n L .., :] to 8 slots by P [L, 8], then layers of 64, hidden, H
/// ```
///
/// The mix is that of [`graph_diag_outer`] or [`graph_dense`], its spectrum being added to what it
/// gives. With the diagonal mix the embedded spectrum is never written: an outer product has one
/// transform for all channels.
#[derive(Debug)]
pub struct FourierGnn {
    config: FourierGnnConfig,
    device: Device,
    embedding: Param,
    mix: Weights,
    head: Head,
}

/// The weights of the mix.
#[derive(Debug)]
enum Weights {
    /// `[3, 4, E]`
    Diag(Param),
    /// Weight `[2, E, E]` and bias `[2, E]` of each layer.
    Dense(Box<[[Param; 2]; 3]>),
}

impl FourierGnn {
    /// A model with weights from `random`: those of the mix 0.02 times normal draws, embedding and
    /// projection normal, the head as PyTorch's layers start.
    ///
    /// # Errors
    /// [`Error::Argument`] for an extent of zero; those of [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(config: &FourierGnnConfig, random: &mut Generator) -> Result<Self> {
        config.check()?;
        let device = random.device().clone();
        let embedding = Init::Normal(1.0).param("embedding", &[config.embed], random)?;
        let mix = Weights::new(config, random)?;
        let head = Head::new(config, random)?;
        Ok(Self { config: config.clone(), device, embedding, mix, head })
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
        let config = FourierGnnConfig::new(extent("variables")?)
            .look_back(extent("look_back")?)
            .horizon(extent("horizon")?)
            .embed(extent("embed")?)
            .hidden(extent("hidden")?)
            .mix(noted.parse("model.mix")?)
            .norm(noted.parse("model.norm")?);
        let model = Self::new(&config, &mut Generator::new(device, 0)?)?;
        let notes = model.restore(path)?;
        Ok((model, notes))
    }

    /// Its extents.
    pub fn config(&self) -> &FourierGnnConfig {
        &self.config
    }

    /// The spectrum `[B, F, E, 2]` after the mix, of the series `[B, M]`.
    fn mixed(&self, series: &Var) -> Result<Var> {
        let tape = series.tape();
        match &self.mix {
            Weights::Diag(weights) if self.config.rank_one => {
                let (spectrum, embedding) = (series.rfft(1, ORTHO)?, tape.param(&self.embedding));
                graph_diag_outer(&spectrum, &embedding, &tape.param(weights), SHRINKAGE)
            }
            Weights::Diag(weights) => {
                graph_diag(&self.embedded(series)?, &tape.param(weights), SHRINKAGE)
            }
            Weights::Dense(layers) => {
                let [one, two, three] =
                    layers.each_ref().map(|l| l.each_ref().map(|p| tape.param(p)));
                let weights = [&one[0], &two[0], &three[0]];
                let biases = [&one[1], &two[1], &three[1]];
                graph_dense(&self.embedded(series)?, weights, biases, SHRINKAGE)
            }
        }
    }

    /// The spectrum `[B, F, E, 2]` of the embedded series `[B, M]`.
    fn embedded(&self, series: &Var) -> Result<Var> {
        let embedding = series.tape().param(&self.embedding);
        let [batch, nodes] = [series.shape()[0], series.shape()[1]];
        if !self.config.rank_one {
            return series.reshape([batch, nodes, 1])?.mul(&embedding)?.rfft(1, ORTHO);
        }
        let spectrum = series.rfft(1, ORTHO)?.reshape([batch, nodes / 2 + 1, 1, 2])?;
        spectrum.mul(&embedding.reshape([self.config.embed, 1])?)
    }
}

crate::module!(FourierGnn { embedding, mix, head });

impl Module for Weights {
    fn visit(&self, visitor: &mut Visitor) {
        match self {
            Weights::Diag(weights) => weights.visit(visitor),
            Weights::Dense(layers) => {
                for (k, [weight, bias]) in layers.iter().enumerate() {
                    visitor.param(&format!("{k}.weight"), weight);
                    visitor.param(&format!("{k}.bias"), bias);
                }
            }
        }
    }
}

impl Forecaster for FourierGnn {
    const NAME: &'static str = "fourier-gnn";

    fn fields(&self) -> Fields {
        let FourierGnnConfig { variables, look_back, horizon, embed, hidden, mix, norm, .. } =
            self.config;
        vec![
            field("variables", variables),
            field("look_back", look_back),
            field("horizon", horizon),
            field("embed", embed),
            field("hidden", hidden),
            field("mix", mix),
            field("norm", norm),
        ]
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn look_back(&self) -> usize {
        self.config.look_back
    }

    fn horizon(&self) -> usize {
        self.config.horizon
    }

    fn variables(&self) -> usize {
        self.config.variables
    }

    fn forecast(&self, window: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        on_nodes(OP, self, self.config.norm, window, |series| {
            let [batch, nodes] = [series.shape()[0], series.shape()[1]];
            let y = self.mixed(series)?.irfft(nodes, 1, ORTHO)?;
            let width = self.config.look_back * self.config.embed;
            self.head.forward(&y.reshape([batch, self.config.variables, width])?, pass)
        })
    }

    /// All of it reads real values: the activity has no part in it. One forward transform does for
    /// all channels of the diagonal mix.
    fn energy(&self, _activity: &Activity) -> Result<Energy> {
        let FourierGnnConfig { variables, look_back, horizon, embed, hidden, mix, .. } =
            self.config;
        let nodes = variables * look_back;
        let bins = (nodes / 2 + 1) as f64;
        let [variables, look_back, horizon, embed, hidden] =
            [variables, look_back, horizon, embed, hidden].map(|v| v as f64);
        let [slots, first] = [SLOTS, FIRST].map(|v| v as f64);
        let (line, real) = (transform(nodes), LayerInput::Real);
        let (values, spectrum) = (4.0 * nodes as f64, 8.0 * bins);
        let (each, weights) = match mix {
            Mix::Diag => (4.0 * embed, 8.0 * embed),
            Mix::Dense => (4.0 * embed * embed, 8.0 * embed * embed),
        };
        let mut energy = Energy::new();
        energy.layer("transform", line, real, values + spectrum);
        energy.layer("mix", 3.0 * bins * each, real, spectrum * (1.0 + embed) + 3.0 * weights);
        energy.layer("inverse transform", line * embed, real, (spectrum + values) * embed);
        let projected = variables * embed * slots;
        energy.layer("projection", projected * look_back, real, values * embed + 4.0 * projected);
        let head = [
            ("head 1", embed * slots, first),
            ("head 2", first, hidden),
            ("head 3", hidden, horizon),
        ];
        for (name, inputs, outputs) in head {
            let moved = variables * (inputs + outputs) + inputs * outputs;
            energy.layer(name, variables * inputs * outputs, real, 4.0 * moved);
        }
        Ok(energy)
    }
}

impl Weights {
    fn new(config: &FourierGnnConfig, random: &mut Generator) -> Result<Self> {
        let channels = config.embed;
        if config.mix == Mix::Diag {
            return Ok(Weights::Diag(Init::Normal(0.02).param(
                "mix",
                &[3, 4, channels],
                random,
            )?));
        }
        let mut layer = || {
            let mut draw =
                |name: &str, shape: &[usize]| Init::Normal(0.02).param(name, shape, random);
            let weight = draw("weight", &[2, channels, channels])?;
            Ok::<_, Error>([weight, draw("bias", &[2, channels])?])
        };
        Ok(Weights::Dense(Box::new([layer()?, layer()?, layer()?])))
    }
}

/// From the values of a series after the mix to its forecast.
#[derive(Debug)]
struct Head {
    /// `[L, 8]`
    projection: Param,
    /// `[8 E, 64]`, the channels of a slot after one another, and its bias.
    first: Linear,
    second: Linear,
    third: Linear,
    embed: usize,
}

impl Head {
    fn new(config: &FourierGnnConfig, random: &mut Generator) -> Result<Self> {
        let FourierGnnConfig { look_back, horizon, embed, hidden, .. } = *config;
        let projection = Init::Normal(1.0).param("projection", &[look_back, SLOTS], random)?;
        let mut layer = |inputs, outputs, activation| {
            Linear::builder(inputs, outputs).activation(activation).build(random)
        };
        Ok(Self {
            projection,
            first: layer(SLOTS * embed, FIRST, LEAKY)?,
            second: layer(FIRST, hidden, LEAKY)?,
            third: layer(hidden, horizon, Activation::Identity)?,
            embed,
        })
    }

    /// `[.., H]` of `y[.., L E]`. Projection and first layer are linear: their product is one matrix
    /// `[L E, 64]`, which meets y as it lies.
    fn forward(&self, y: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let tape = y.tape();
        let projection = tape.param(&self.projection);
        let weight = tape.param(self.first.weight()).reshape([SLOTS, self.embed * FIRST])?;
        let width = projection.shape().count() / SLOTS * self.embed;
        let both = projection.matmul(&weight)?.reshape([width, FIRST])?;
        let bias = self.first.bias().map(|bias| tape.param(bias));
        let first = linear(y, &both, bias.as_ref(), LEAKY)?;
        let second = self.second.forward(&first, pass)?;
        self.third.forward(&second, pass)
    }
}

crate::module!(Head { projection, first, second, third });
