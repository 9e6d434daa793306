//! What a forecast would cost on hardware that adds on spikes and multiplies otherwise.
//!
//! A multiplication with addition (MAC) is taken for 4.6 pJ and an addition (AC) for 0.9 pJ (45 nm,
//! f32; Horowitz 2014). These are counts of operations, not measurements. A layer whose input is
//! spikes adds, as often as it is spiked at. Complex gates pass *real* values where they are open:
//! the strict count takes their layers for MACs at the open places, the usual one, of papers on
//! spiking networks, for ACs.

use super::training::Seen;

/// Picojoules of a MAC and of an AC.
const MAC: f64 = 4.6;
const AC: f64 = 0.9;
/// Channels of the positional codes.
const CODES: f64 = 40.0;
/// Slots and the first width of FourierGNN's head.
const HEAD: (f64, f64) = (8.0, 64.0);

/// Microjoules of the forecast of one window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Energy {
    pub strict: f64,
    pub usual: f64,
}

/// What decides how much is computed.
#[derive(Debug, Clone, Copy)]
pub struct Extents {
    pub variables: f64,
    pub look_back: f64,
    pub horizon: f64,
    pub embed: f64,
    pub hidden: f64,
    pub slots: f64,
    pub reduced: f64,
    /// Simulation steps, 1 without spikes.
    pub steps: f64,
    pub spiking: bool,
    pub positions: bool,
    pub dense: bool,
}

impl Energy {
    /// Operations on real values.
    fn real(&mut self, operations: f64) {
        self.strict += MAC * operations * 1e-6;
        self.usual += MAC * operations * 1e-6;
    }

    /// Operations on spikes, of which a part `rate` is set.
    fn spikes(&mut self, operations: f64, rate: f64) {
        self.strict += AC * operations * rate * 1e-6;
        self.usual += AC * operations * rate * 1e-6;
    }

    /// Operations on real values of which a gate leaves the part `rate`.
    fn gated(&mut self, operations: f64, rate: f64) {
        self.strict += MAC * operations * rate * 1e-6;
        self.usual += AC * operations * rate * 1e-6;
    }
}

impl Extents {
    fn nodes(&self) -> f64 {
        self.variables * self.look_back
    }

    fn bins(&self) -> f64 {
        (self.nodes() / 2.0).floor() + 1.0
    }

    /// Operations of a real transform over the nodes: M / 2 log2 M butterflies of two real operations.
    fn transform(&self) -> f64 {
        self.nodes() * self.nodes().log2().max(1.0)
    }
}

/// SpikF-GO, or its twin without spikes.
pub fn spikf_go(extents: &Extents, seen: &Seen) -> Energy {
    let Extents { variables, horizon, embed, slots, reduced, steps, spiking, .. } = *extents;
    let mut energy = Energy::default();
    let gated = |energy: &mut Energy, operations: f64, place: &str| match spiking {
        true => energy.gated(operations, seen.spikes(place)),
        false => energy.real(operations),
    };
    let spiked = |energy: &mut Energy, operations: f64, place: &str| match spiking {
        true => energy.spikes(operations, seen.spikes(place)),
        false => energy.real(operations),
    };
    let (nodes, spectra) = (steps * extents.nodes(), steps * extents.bins());
    energy.real(nodes * embed);
    let mut last = "embedding";
    if extents.positions {
        spiked(&mut energy, nodes * embed * embed, last);
        energy.real(nodes * CODES * embed);
        last = "positions";
    }
    spiked(&mut energy, steps * embed * extents.transform(), last);
    // Bins whose frequency gate is closed are 0 in all that follows.
    let open = seen.gates("frequencies");
    for block in 1..=3 {
        energy.real(2.0 * spectra * embed * open);
        gated(&mut energy, 4.0 * spectra * embed * embed, &format!("gate affine {block}"));
    }
    gated(&mut energy, steps * embed * extents.transform(), "gate linear 3");
    energy.real(nodes * embed * slots);
    spiked(&mut energy, steps * variables * embed * slots * reduced, "decoder");
    energy.real(variables * reduced * horizon);
    energy
}

/// FourierGNN, with one forward transform for all channels of the diagonal mix.
pub fn fourier_gnn(extents: &Extents) -> Energy {
    let Extents { variables, look_back, horizon, embed, hidden, dense, .. } = *extents;
    let mut energy = Energy::default();
    energy.real(extents.transform() * (1.0 + embed));
    energy.real(3.0 * 4.0 * extents.bins() * embed * if dense { embed } else { 1.0 });
    let (slots, first) = HEAD;
    energy.real(variables * embed * slots * (look_back + first));
    energy.real(variables * (first * hidden + hidden * horizon));
    energy
}
