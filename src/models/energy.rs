//! What a forecast would cost on hardware that adds on spikes and multiplies otherwise.

use std::fmt;

/// Picojoules of a multiplication with addition (MAC), f32 at 45 nm (Horowitz 2014).
pub const MAC_PICOJOULES: f64 = 4.6;
/// Picojoules of an addition (AC), likewise.
pub const AC_PICOJOULES: f64 = 0.9;

/// What a layer reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LayerInput {
    /// Real values.
    Real,
    /// Spikes, of which this part is set: additions only, where one is set.
    Spikes(f64),
    /// Real values, of which a binary gate leaves this part.
    Gated(f64),
}

/// A layer, for one window.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyRow {
    /// Its name.
    pub layer: &'static str,
    /// Multiplications with addition, if all are computed.
    pub operations: f64,
    /// What it reads.
    pub input: LayerInput,
    /// Bytes of its inputs, outputs and parameters, each moved once: 4 a value, 1/8 a spike.
    pub bytes: f64,
}

impl EnergyRow {
    /// MACs and ACs as hardware computes them: a gated value is multiplied like any other.
    pub fn strict(&self) -> (f64, f64) {
        match self.input {
            LayerInput::Real => (self.operations, 0.0),
            LayerInput::Spikes(rate) => (0.0, rate * self.operations),
            LayerInput::Gated(rate) => (rate * self.operations, 0.0),
        }
    }

    /// MACs and ACs as papers on spiking networks count them: what a gate leaves is added.
    pub fn usual(&self) -> (f64, f64) {
        match self.input {
            LayerInput::Gated(rate) => (0.0, rate * self.operations),
            _ => self.strict(),
        }
    }
}

/// The operations of a forecast of one window, layer by layer, from measured rates.
///
/// These are counts, not measurements: they say what dedicated hardware might spend on arithmetic,
/// 4.6 pJ a MAC and 0.9 pJ an AC, and nothing of what this program spends. With T = 4 steps an
/// accumulating layer costs less than a multiplying one at any rate, by construction. Bytes moved
/// stand beside them, because moving them costs more than either. Normalisations, neurons and
/// activations are left out: they have one operation an element.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Energy {
    rows: Vec<EnergyRow>,
}

impl Energy {
    /// No layers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer.
    pub(super) fn layer(
        &mut self,
        layer: &'static str,
        operations: f64,
        input: LayerInput,
        bytes: f64,
    ) {
        self.rows.push(EnergyRow { layer, operations, input, bytes });
    }

    /// The layers.
    pub fn rows(&self) -> &[EnergyRow] {
        &self.rows
    }

    /// MACs and ACs of all layers; see [`EnergyRow::strict`].
    pub fn strict_operations(&self) -> (f64, f64) {
        total(self.rows.iter().map(EnergyRow::strict))
    }

    /// MACs and ACs of all layers; see [`EnergyRow::usual`].
    pub fn usual_operations(&self) -> (f64, f64) {
        total(self.rows.iter().map(EnergyRow::usual))
    }

    /// Microjoules by the strict count.
    pub fn strict(&self) -> f64 {
        microjoules(self.strict_operations())
    }

    /// Microjoules by the usual count.
    pub fn usual(&self) -> f64 {
        microjoules(self.usual_operations())
    }

    /// Bytes moved by all layers.
    pub fn bytes(&self) -> f64 {
        self.rows.iter().map(|row| row.bytes).sum()
    }
}

fn total(counts: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    counts.fold((0.0, 0.0), |(macs, acs), (mac, ac)| (macs + mac, acs + ac))
}

fn microjoules((macs, acs): (f64, f64)) -> f64 {
    (MAC_PICOJOULES * macs + AC_PICOJOULES * acs) * 1e-6
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "Mops", "strict uJ", "usual uJ", "MB"];
        let [layer, operations, strict, usual, bytes] = head;
        writeln!(f, "{layer:<24}{operations:>12}{strict:>12}{usual:>12}{bytes:>10}")?;
        let all = EnergyRow {
            layer: "all",
            operations: self.rows.iter().map(|row| row.operations).sum(),
            input: LayerInput::Real,
            bytes: self.bytes(),
        };
        let each = self.rows.iter().map(|r| (r, microjoules(r.strict()), microjoules(r.usual())));
        for (row, strict, usual) in each.chain([(&all, self.strict(), self.usual())]) {
            let (operations, megabytes) = (row.operations * 1e-6, row.bytes * 1e-6);
            let name = row.layer;
            writeln!(
                f,
                "{name:<24}{operations:>12.3}{strict:>12.3}{usual:>12.3}{megabytes:>10.3}"
            )?;
        }
        Ok(())
    }
}

/// Operations of a real transform of n points: n/2 log2 n butterflies of two real operations each.
pub(super) fn transform(n: usize) -> f64 {
    n as f64 * (n as f64).log2().max(1.0)
}
