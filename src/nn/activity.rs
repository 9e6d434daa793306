//! How much fires.

use crate::reduce;
use crate::{Result, Tensor};

/// Spikes and gates of one forward pass, by place in the model.
#[derive(Debug, Default)]
pub struct Activity {
    spikes: Vec<(String, Tensor)>,
    gates: Vec<(String, Tensor)>,
    soft: Vec<(String, Tensor)>,
}

impl Activity {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn see_spikes(&mut self, place: &str, spikes: &Tensor) {
        self.spikes.push((place.into(), spikes.clone()));
    }

    pub(crate) fn see_gates(&mut self, place: &str, gates: &Tensor) {
        self.gates.push((place.into(), gates.clone()));
    }

    pub(crate) fn see_soft_gates(&mut self, place: &str, gates: &Tensor) {
        self.soft.push((place.into(), gates.clone()));
    }

    /// The spikes that were seen, by place.
    pub fn spikes(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.spikes.iter().map(|(place, spikes)| (place.as_str(), spikes))
    }

    /// Element activity: the part of all elements that spike, by place. One minus it is the
    /// sparsity that papers quote.
    ///
    /// # Errors
    /// Device loss.
    pub fn elements(&self) -> Result<Vec<(&str, f64)>> {
        by_place(&self.spikes, |spikes| {
            let rates = reduce::rate(spikes)?;
            let axes: Vec<usize> = (0..rates.shape().rank()).collect();
            Ok(f64::from(reduce::mean(&rates, &axes, false)?.item()?))
        })
    }

    /// Position activity: the part of positions whose attention gate is open, by place. This, not
    /// the element activity, decides how much attention is computed.
    ///
    /// # Errors
    /// Device loss.
    pub fn positions(&self) -> Result<Vec<(&str, f64)>> {
        by_place(&self.gates, |gates| {
            let gates = gates.to_vec::<u32>()?;
            let open = gates.iter().filter(|gate| **gate != 0).count();
            Ok(open as f64 / gates.len().max(1) as f64)
        })
    }

    /// Gate density: the part of gates with a value from 0 to 1 that are not 0, by place. It decides
    /// how many frequency bins are computed.
    ///
    /// # Errors
    /// Device loss.
    pub fn densities(&self) -> Result<Vec<(&str, f64)>> {
        by_place(&self.soft, |gates| {
            let gates = gates.to_vec::<f32>()?;
            let open = gates.iter().filter(|gate| **gate > 0.0).count();
            Ok(open as f64 / gates.len().max(1) as f64)
        })
    }
}

fn by_place(
    seen: &[(String, Tensor)],
    measure: impl Fn(&Tensor) -> Result<f64>,
) -> Result<Vec<(&str, f64)>> {
    seen.iter().map(|(place, tensor)| Ok((place.as_str(), measure(tensor)?))).collect()
}
