//! Currents, spikes and their spectra.

use spikegrad::fourier::Scaling;
use spikegrad::lif::{Lif, Reset, Spikes};
use spikegrad::random::Generator;
use spikegrad::{Device, Result, Tape, Var};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub steps: usize,
    pub neurons: usize,
    /// Mean and standard deviation of the current, in thresholds.
    pub mean: f32,
    pub noise: f32,
    pub tau: f32,
}

/// A kind of neuron.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neuron {
    pub leaky: bool,
    /// Whether a spike takes one threshold off the membrane, instead of all of it.
    pub soft: bool,
}

/// A spectrum, and how much is spiked.
pub struct Power {
    /// The mean power over all neurons, of frequency 0 to half a cycle a step.
    pub bins: Vec<f32>,
    /// Spikes a step and neuron.
    pub rate: f64,
}

/// Spectra of the current and of what each kind of neuron makes of it.
pub struct Powers {
    pub current: Power,
    pub spikes: Vec<(Neuron, Power)>,
}

/// Points of a drawn spectrum.
const POINTS: usize = 48;

impl Neuron {
    pub const ALL: [Self; 4] = [
        Self { leaky: true, soft: false },
        Self { leaky: false, soft: false },
        Self { leaky: true, soft: true },
        Self { leaky: false, soft: true },
    ];

    pub fn name(self) -> &'static str {
        if self.leaky { "LIF" } else { "IF" }
    }

    pub fn label(self) -> String {
        format!("{}, {} reset", self.name(), if self.soft { "soft" } else { "hard" })
    }

    pub fn key(self) -> String {
        self.label().to_lowercase().replace(", ", "_").replace(' ', "_")
    }

    fn lif(self, tau: f32) -> Lif {
        let lif = if self.leaky { Lif::new().tau(tau) } else { Lif::new().decay(1.0) };
        let reset = if self.soft { Reset::Soft } else { Reset::Hard(0.0) };
        lif.reset(reset).output(Spikes::F32)
    }
}

impl Setup {
    /// Current and spikes of all neurons, all steps of a neuron in one launch.
    pub fn powers(&self, device: &Device, seed: u64) -> Result<Powers> {
        let mut random = Generator::new(device, seed)?;
        let tape = Tape::off();
        let noise = tape.constant(&random.normal([self.steps, self.neurons])?);
        let current = noise.mul_scalar(self.noise)?.add_scalar(self.mean)?;
        let spikes = Neuron::ALL.iter().map(|neuron| {
            let spikes = neuron.lif(self.tau).scan(&current, None)?.spikes;
            Ok((*neuron, Power::of(&spikes)?))
        });
        Ok(Powers { spikes: spikes.collect::<Result<_>>()?, current: Power::of(&current)? })
    }
}

impl Power {
    /// The power of the deviations from the mean of each neuron, of `x [T, N]`.
    fn of(x: &Var) -> Result<Self> {
        let mean = x.mean(&[0], true)?;
        let power =
            x.sub(&mean)?.rfft(0, Scaling::Ortho)?.modulus()?.square()?.mean(&[1], false)?;
        let rate = f64::from(mean.mean_all()?.value().item()?);
        Ok(Self { bins: power.value().to_vec()?, rate })
    }

    /// The power of the upper half of all frequencies over that of the lower half, without the mean.
    pub fn high_over_low(&self) -> f64 {
        let bins = &self.bins[1..];
        let (low, high) = bins.split_at(bins.len() / 2);
        mean(high) / mean(low)
    }

    /// Frequencies in cycles a step, and powers against their mean.
    pub fn decibels(&self) -> Vec<(f64, f64)> {
        let bins = &self.bins[1..];
        let all = mean(bins);
        let group = bins.len().div_ceil(POINTS);
        let point = |(i, bins): (usize, &[f32])| {
            let middle = (i * group) as f64 + 1.0 + bins.len() as f64 / 2.0;
            (0.5 * middle / self.bins.len() as f64, 10.0 * (mean(bins) / all).log10())
        };
        bins.chunks(group).enumerate().map(point).collect()
    }
}

fn mean(bins: &[f32]) -> f64 {
    bins.iter().map(|x| f64::from(*x)).sum::<f64>() / bins.len().max(1) as f64
}
