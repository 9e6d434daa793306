//! The spiking Fourier graph operator.

use super::config::{GateGradient, SpikfGoConfig};
use crate::elementwise::Activation;
use crate::error::Result;
use crate::fourier::{ComplexGate, Gated, complex_linear};
use crate::nn::{Init, Module, Pass, Visitor, filled};
use crate::random::Generator;
use crate::{Param, Tensor, Var};

/// Three blocks of a gated affine map and a gated complex layer, two of them residual:
///
/// ```text
/// A = gate(aff1 Z),  Y = gate(lin1 A)
/// A = gate(aff2 Y),  Z2 = Z + r2 gate(lin2 A)
/// A = gate(aff3 Z2), out = Z2 + r3 gate(lin3 A)
/// ```
#[derive(Debug)]
pub(super) struct Operator {
    blocks: [Block; 3],
    residuals: [Param; 2],
    channels: usize,
    gate: Option<ComplexGate>,
}

/// An affine map of the real and of the imaginary part, and a complex layer.
#[derive(Debug)]
struct Block {
    /// `[4 E]`: gains before shifts, real and imaginary part of a channel next to each other.
    affine: Param,
    /// `[2, E, E]`, and `[2 E]`, real parts first.
    weight: Param,
    bias: Param,
}

impl Operator {
    pub(super) fn new(config: &SpikfGoConfig, random: &mut Generator) -> Result<Self> {
        let device = random.device().clone();
        let channels = config.embed;
        let mut block = || -> Result<Block> {
            let affine: Vec<f32> =
                (0..4 * channels).map(|i| if i < 2 * channels { 1.0 } else { 0.0 }).collect();
            let affine = Tensor::from_slice(&device, &affine, [4 * channels])?;
            Ok(Block {
                affine: Param::new("affine", affine),
                weight: Init::Normal(0.02).param("weight", &[2, channels, channels], random)?,
                bias: filled("bias", &[2 * channels], 0.0, &device)?,
            })
        };
        let blocks = [block()?, block()?, block()?];
        let residual = || filled("residual", &[1], config.residual, &device);
        let through = config.gate == GateGradient::StraightThrough;
        let gate = ComplexGate::new().straight_through(through).detach_reset(true);
        Ok(Self {
            blocks,
            residuals: [residual()?, residual()?],
            channels,
            gate: config.spiking.then_some(gate),
        })
    }

    /// The spectra `[T, .., E, 2]` that come of `z`, of the same shape.
    pub(super) fn forward(&self, z: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        let [one, two, three] = &self.blocks;
        let [r2, r3] = self.residuals.each_ref().map(|r| z.tape().param(r));
        let mut seen = Seen { pass, place: 0 };
        let a = self.affine(one, z, &mut seen)?;
        let y = self.gated(&self.linear(one, &a)?, &mut seen)?;
        let a = self.affine(two, &y, &mut seen)?;
        let z = self.residual(&self.linear(two, &a)?, z, &r2, &mut seen)?;
        let a = self.affine(three, &z, &mut seen)?;
        self.residual(&self.linear(three, &a)?, &z, &r3, &mut seen)
    }

    /// `gate(gain z + shift)`
    fn affine(&self, block: &Block, z: &Var, seen: &mut Seen<'_, '_>) -> Result<Var> {
        let affine = z.tape().param(&block.affine).reshape([2, self.channels, 2])?;
        if let Some(gate) = &self.gate {
            return seen.note(gate.run_affine(z, &affine)?);
        }
        let part = |i: usize| affine.narrow(0, i..i + 1)?.reshape([self.channels, 2]);
        z.mul(&part(0)?)?.add(&part(1)?)?.relu()
    }

    fn linear(&self, block: &Block, a: &Var) -> Result<Var> {
        let tape = a.tape();
        let bias = tape.param(&block.bias).reshape([2, self.channels])?;
        complex_linear(a, &tape.param(&block.weight), Some(&bias), Activation::Identity)
    }

    fn gated(&self, u: &Var, seen: &mut Seen<'_, '_>) -> Result<Var> {
        match &self.gate {
            Some(gate) => seen.note(gate.run(u)?),
            None => u.relu(),
        }
    }

    /// `z + r gate(u)`
    fn residual(&self, u: &Var, z: &Var, r: &Var, seen: &mut Seen<'_, '_>) -> Result<Var> {
        match &self.gate {
            Some(gate) => seen.note(gate.run_residual(u, z, r)?),
            None => z.add(&u.relu()?.mul(r)?),
        }
    }
}

/// Names the gates of a pass one after another.
struct Seen<'p, 'a> {
    pass: &'p mut Pass<'a>,
    place: usize,
}

/// The gates, in the order in which they are computed.
const PLACES: [&str; 6] = [
    "gate affine 1",
    "gate linear 1",
    "gate affine 2",
    "gate linear 2",
    "gate affine 3",
    "gate linear 3",
];

impl Seen<'_, '_> {
    fn note(&mut self, out: Gated) -> Result<Var> {
        let place = PLACES[self.place % PLACES.len()];
        self.place += 1;
        self.pass.see(|activity| {
            activity.see_spikes(place, &out.gate);
            Ok(())
        })?;
        Ok(out.y)
    }
}

crate::module!(Block { affine, weight, bias });

impl Module for Operator {
    fn visit(&self, visitor: &mut Visitor) {
        self.blocks.visit(visitor);
        let [second, third] = &self.residuals;
        visitor.param("residual.2", second);
        visitor.param("residual.3", third);
    }
}
