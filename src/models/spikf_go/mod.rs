//! SpikF-GO: a spiking Fourier graph operator on the graph of all values of all series.

mod config;
mod decoder;
mod energy;
mod open_bins;
mod operator;
mod tokens;

pub use config::{GateGradient, Penalty, SpikfGoConfig};

use super::config::Fields;
use super::energy::Energy;
use super::forecaster::{Forecaster, on_nodes};
#[cfg(feature = "checkpoint")]
use crate::checkpoint::{Checkpoint, Notes};
use crate::error::Result;
use crate::fourier::{HardConcrete, Scaling};
use crate::nn::{Activity, Pass, filled};
use crate::random::Generator;
use crate::{Device, Param, Var};
use decoder::Decoder;
use open_bins::OpenBins;
use operator::Operator;
use tokens::Tokens;

const OP: &str = "spikf_go";

/// The forecaster SpikF-GO (Jafarbakhshaliyev et al. 2025), after its public code.
///
/// ```text
/// tok = rms_norm(a (x e) + b)                    over the nodes m = n L + l, for each of E channels
/// s = LIF((gamma_t tok + beta_t) (1 + 0.02 t / (T - 1)))      t = 0 .. T: simulation steps
/// [s = LIF(BN([s, code] W))                      with positional codes]
/// Z = m rfft(s)                                  over the nodes, unitary; m Hard Concrete gates
/// A = gate(aff1 Z),  Y = gate(lin1 A)            complex, all E to all E
/// A = gate(aff2 Y),  Z2 = Z + r2 gate(lin2 A)
/// A = gate(aff3 Z2), Z3 = Z2 + r3 gate(lin3 A)
/// forecast = wn(gelu(wn(mean_t LIF(P irfft(Z3)))))            P: look-back to slots; wn: weight-normed
/// ```
///
/// Without a tape, bins whose frequency gates are closed are left out of the complex layers; they are
/// all alike, and one stands for them. (Not in a capture, which cannot read the gates.)
///
/// All neurons run over the T simulation steps, all steps in each launch. What a complex gate passes
/// is real-valued; the gate alone is binary.
///
/// Where the sources leave it open: the affine maps a, b and the gain of the RMS norm have one value
/// a channel; gamma and beta one a step and channel; the first layer of the decoder comes after the
/// mean over the steps, which is the same, being linear.
#[derive(Debug)]
pub struct SpikfGo {
    config: SpikfGoConfig,
    device: Device,
    tokens: Tokens,
    /// Logits of the frequency gates, `[F]`.
    gates: Option<Param>,
    operator: Operator,
    decoder: Decoder,
}

impl SpikfGo {
    /// A model with weights from `random`: embedding normal, complex layers 0.02 times normal draws
    /// without bias, affine maps the identity, gate logits 2, the decoder as PyTorch's layers start.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for an extent of zero, or a factor that is not
    /// finite; those of [`Tensor::empty`](crate::Tensor::empty).
    pub fn new(config: &SpikfGoConfig, random: &mut Generator) -> Result<Self> {
        config.check()?;
        let device = random.device().clone();
        let bins = config.nodes() / 2 + 1;
        let gates = || filled("gates", &[bins], HardConcrete::START, &device);
        Ok(Self {
            tokens: Tokens::new(config, random)?,
            gates: config.frequency_gate.then(gates).transpose()?,
            operator: Operator::new(config, random)?,
            decoder: Decoder::new(config, random)?,
            config: config.clone(),
            device,
        })
    }

    /// The model of a file, and the file's notes.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io); [`Error::Format`](crate::Error::Format) for a damaged file,
    /// or a file of another kind; those of [`new`](Self::new).
    #[cfg(feature = "checkpoint")]
    pub fn open(path: &std::path::Path, device: &Device) -> Result<(Self, Notes)> {
        let config = SpikfGoConfig::noted(&Checkpoint::notes(path)?)?;
        let model = Self::new(&config, &mut Generator::new(device, 0)?)?;
        let notes = model.restore(path)?;
        Ok((model, notes))
    }

    /// Its extents.
    pub fn config(&self) -> &SpikfGoConfig {
        &self.config
    }

    /// The gates' values `[F]`, drawn in training.
    fn open_gates(&self, logits: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let gates = match pass.noise() {
            Some(random) => HardConcrete::new().sample(logits, random)?,
            None => HardConcrete::new().evaluate(logits)?,
        };
        pass.see(|activity| {
            activity.see_soft_gates("frequencies", gates.value());
            Ok(())
        })?;
        Ok(gates)
    }

    /// What the operator makes of the spectra of `spikes [T, B, M, E]`: `[T, B, F, E, 2]`.
    fn operate(&self, spikes: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let z = spikes.rfft(2, Scaling::Ortho)?;
        let Some(logits) = &self.gates else { return self.operator.forward(&z, pass) };
        let gates = self.open_gates(&z.tape().param(logits), pass)?;
        let z = z.gate_bins(&gates, 2)?;
        // Training runs all bins, and so do who watches the spikes and a capture, which cannot read.
        let recorded = self.device.stream().is_recording();
        let all = z.tape().is_on() || pass.is_watched() || recorded;
        let open = if all { None } else { OpenBins::of(&gates.value().to_vec::<f32>()?) };
        match open {
            Some(open) => open.put_back(&self.operator.forward(&open.take(&z)?, pass)?),
            None => self.operator.forward(&z, pass),
        }
    }
}

crate::module!(SpikfGo { tokens: "", gates, operator, decoder });

impl Forecaster for SpikfGo {
    const NAME: &'static str = "spikf-go";

    fn fields(&self) -> Fields {
        self.config.fields()
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
        let SpikfGoConfig { variables, look_back, embed, .. } = self.config;
        on_nodes(OP, self, self.config.norm, window, |series| {
            let [batch, nodes] = [series.shape()[0], series.shape()[1]];
            let spikes = self.tokens.forward(series, pass)?;
            let z = self.operate(&spikes, pass)?;
            let y = z.irfft(nodes, 2, Scaling::Ortho)?;
            let y = y.reshape([self.config.run_steps(), batch * variables, look_back, embed])?;
            self.decoder.forward(&y, pass)
        })
    }

    fn penalty(&self, fit: &Var) -> Result<Option<Var>> {
        let Some(logits) = &self.gates else { return Ok(None) };
        let logits = fit.tape().param(logits);
        let share = match self.config.penalty {
            Penalty::Exact => HardConcrete::new().open_probabilities(&logits)?.mean_all()?,
            Penalty::Detached => HardConcrete::new().detached_share(&logits)?,
        };
        Ok(Some(fit.detach().mul(&share)?.mul_scalar(self.config.penalty_weight)?))
    }

    /// The activity is that of a forecast.
    fn energy(&self, activity: &Activity) -> Result<Energy> {
        energy::energy(&self.config, activity)
    }
}
