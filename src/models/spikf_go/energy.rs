//! What a forecast of SpikF-GO would cost.

use super::SpikfGoConfig;
use super::tokens::CODES;
use crate::error::Result;
use crate::models::energy::{Energy, LayerInput, transform};
use crate::nn::Activity;

/// Rates of an activity, by place.
struct Rates<'a> {
    spikes: Vec<(&'a str, f64)>,
    gates: Vec<(&'a str, f64)>,
    spiking: bool,
}

impl Rates<'_> {
    fn of(&self, place: &str) -> Result<f64> {
        let found = self.spikes.iter().find(|(name, _)| *name == place);
        found.map(|(_, rate)| *rate).ok_or_else(|| {
            crate::Error::argument("energy", format!("an activity without `{place}`"))
        })
    }

    /// What a layer reads behind spikes, and behind a gate; real values in the twin without spikes.
    fn spikes(&self, place: &str) -> Result<LayerInput> {
        if self.spiking { self.of(place).map(LayerInput::Spikes) } else { Ok(LayerInput::Real) }
    }

    fn gated(&self, place: &str) -> Result<LayerInput> {
        if self.spiking { self.of(place).map(LayerInput::Gated) } else { Ok(LayerInput::Real) }
    }

    /// The part of bins that the frequency gates leave.
    fn open(&self) -> f64 {
        self.gates.first().map_or(1.0, |(_, density)| *density)
    }
}

/// Bytes of a value, and of a spike (a value in the twin).
const VALUE: f64 = 4.0;

fn bytes_of_spike(spiking: bool) -> f64 {
    if spiking { 0.125 } else { VALUE }
}

pub(super) fn energy(config: &SpikfGoConfig, activity: &Activity) -> Result<Energy> {
    let rates = Rates {
        spikes: activity.elements()?,
        gates: activity.densities()?,
        spiking: config.spiking,
    };
    let mut energy = Energy::new();
    let source = embedding(&mut energy, config, &rates)?;
    operator(&mut energy, config, &rates, source)?;
    decoder(&mut energy, config, &rates)?;
    Ok(energy)
}

/// Up to the spikes that are transformed; returns their place.
fn embedding(
    energy: &mut Energy,
    config: &SpikfGoConfig,
    rates: &Rates<'_>,
) -> Result<&'static str> {
    let (nodes, width) = (config.nodes() as f64, config.embed as f64);
    let elements = config.run_steps() as f64 * nodes * width;
    let spike = bytes_of_spike(config.spiking);
    let bytes = VALUE * nodes + spike * elements;
    energy.layer("embedding", elements, LayerInput::Real, bytes);
    if config.cpg.is_none() {
        return Ok("embedding");
    }
    let moved = 2.0 * spike * elements + VALUE * width * width;
    energy.layer("positions, spikes", elements * width, rates.spikes("embedding")?, moved);
    // The codes meet their weights once for all windows.
    let codes = CODES as f64;
    energy.layer(
        "positions, codes",
        elements,
        LayerInput::Real,
        VALUE * elements + VALUE * codes * width,
    );
    Ok("positions")
}

fn operator(
    energy: &mut Energy,
    config: &SpikfGoConfig,
    rates: &Rates<'_>,
    source: &str,
) -> Result<()> {
    const AFFINE: [&str; 3] = ["affine 1", "affine 2", "affine 3"];
    const LINEAR: [&str; 3] = ["complex layer 1", "complex layer 2", "complex layer 3"];
    let (steps, width) = (config.run_steps() as f64, config.embed as f64);
    let elements = steps * config.nodes() as f64 * width;
    let numbers = steps * (config.nodes() / 2 + 1) as f64 * width;
    let spectrum = 2.0 * VALUE * numbers;
    let lines = steps * width * transform(config.nodes());
    let spike = bytes_of_spike(config.spiking);
    energy.layer("transform", lines, rates.spikes(source)?, spike * elements + spectrum);
    // Closed bins are alike, and left out.
    let open = rates.open();
    for k in 0..3 {
        let place = format!("gate affine {}", k + 1);
        energy.layer(AFFINE[k], 2.0 * numbers * open, LayerInput::Real, 2.0 * spectrum * open);
        let operations = 4.0 * numbers * width * open;
        let moved = 2.0 * spectrum * open + 2.0 * VALUE * width * width;
        energy.layer(LINEAR[k], operations, rates.gated(&place)?, moved);
    }
    // Z + r gate(..): what goes back is real wherever Z is.
    energy.layer("inverse transform", lines, LayerInput::Real, spectrum + VALUE * elements);
    Ok(())
}

fn decoder(energy: &mut Energy, config: &SpikfGoConfig, rates: &Rates<'_>) -> Result<()> {
    let [slots, reduced, horizon, variables] =
        [config.slots, config.reduced, config.horizon, config.variables].map(|v| v as f64);
    let (steps, width) = (config.run_steps() as f64, config.embed as f64);
    let elements = steps * config.nodes() as f64 * width;
    let spikes = steps * variables * width * slots;
    let spike = bytes_of_spike(config.spiking);
    energy.layer("slots", elements * slots, LayerInput::Real, VALUE * elements + spike * spikes);
    let weights = VALUE * width * slots * reduced;
    let moved = spike * spikes + weights + VALUE * variables * reduced;
    energy.layer("reduced", spikes * reduced, rates.spikes("decoder")?, moved);
    let moved = VALUE * (variables * (reduced + horizon) + reduced * horizon);
    energy.layer("forecast", variables * reduced * horizon, LayerInput::Real, moved);
    Ok(())
}
