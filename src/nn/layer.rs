//! Layers, and chains of them.

use super::{Module, Pass, Visitor};
use crate::{Result, Var};
use std::fmt::{Debug, Formatter};

/// A module that makes one variable of one.
pub trait Layer: Module {
    /// What it makes of `x`, on the tape of `x`; the pass says whether this is training, and where
    /// random draws come from.
    ///
    /// # Errors
    /// Those of the layer's operators.
    fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var>;
}

impl<L: Layer + ?Sized> Layer for &L {
    fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        (**self).forward(x, pass)
    }
}

impl<L: Layer + ?Sized> Layer for Box<L> {
    fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        (**self).forward(x, pass)
    }
}

/// Layers one after another. They are called `0`, `1`, … unless they are given names.
///
/// ```
/// use spikegrad::lif::{Lif, Spikes};
/// use spikegrad::nn::{Layer, LifLayer, Linear, Map, Module, Pass, Sequential};
/// use spikegrad::{Device, Tape, random::Generator};
/// # fn main() -> spikegrad::Result<()> {
/// let random = &mut Generator::new(&Device::host(), 0)?;
/// let network = Sequential::new()
///     .named("first", Linear::builder(4, 8).gain(2.0).build(random)?)
///     .and(LifLayer::new(Lif::new().output(Spikes::Bits)))
///     .named("second", Linear::builder(8, 3).build(random)?)
///     .and(Map::new(|x| x.mean(&[0], false)));
/// assert_eq!(network.params()[2].name(), "second.weight");
///
/// let pass = &mut Pass::new(&Tape::new());
/// let x = pass.constant(&random.uniform([10, 5, 4])?); // [T, B, N]
/// assert_eq!(network.forward(&x, pass)?.shape().dims(), [5, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Sequential {
    layers: Vec<(String, Box<dyn Layer + Send + Sync>)>,
}

impl Sequential {
    /// No layers yet: gives out what comes in.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more layer, called by its number from 0 on.
    #[must_use]
    pub fn and(self, layer: impl Layer + Send + Sync + 'static) -> Self {
        let name = self.layers.len().to_string();
        self.named(name, layer)
    }

    /// One more layer, under a name.
    #[must_use]
    pub fn named(
        mut self,
        name: impl Into<String>,
        layer: impl Layer + Send + Sync + 'static,
    ) -> Self {
        self.layers.push((name.into(), Box::new(layer)));
        self
    }

    /// The number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }
}

impl FromIterator<Box<dyn Layer + Send + Sync>> for Sequential {
    fn from_iter<I: IntoIterator<Item = Box<dyn Layer + Send + Sync>>>(layers: I) -> Self {
        let numbered = layers.into_iter().enumerate();
        Self { layers: numbered.map(|(number, layer)| (number.to_string(), layer)).collect() }
    }
}

impl Debug for Sequential {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|(name, _)| name)).finish()
    }
}

impl Module for Sequential {
    fn visit(&self, visitor: &mut Visitor) {
        for (name, layer) in &self.layers {
            visitor.child(name, layer);
        }
    }
}

impl Layer for Sequential {
    fn forward(&self, x: &Var, pass: &mut Pass<'_>) -> Result<Var> {
        self.layers.iter().try_fold(x.clone(), |x, (_, layer)| layer.forward(&x, pass))
    }
}

/// A function as a layer without parameters: `Map::new(|x| x.rate())`.
#[derive(Debug, Clone, Copy)]
pub struct Map<F>(F);

impl<F: Fn(&Var) -> Result<Var>> Map<F> {
    /// The layer that does this.
    pub fn new(function: F) -> Self {
        Self(function)
    }
}

impl<F: Fn(&Var) -> Result<Var>> Module for Map<F> {
    fn visit(&self, _: &mut Visitor) {}
}

impl<F: Fn(&Var) -> Result<Var>> Layer for Map<F> {
    fn forward(&self, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        (self.0)(x)
    }
}
