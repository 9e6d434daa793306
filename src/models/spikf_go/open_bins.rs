//! Frequencies whose gates are closed, left out of the operator.

use crate::error::Result;
use crate::{Device, Tensor, Var};

/// From this part of closed bins on they are left out: what is saved pays for moving the others.
const WORTH: f64 = 0.1;

/// The bins that the operator is run on: those whose gates are open, and one closed one, which stands
/// for all. A closed bin is 0, and what the operator makes of 0 (its affine maps and biases do not
/// vanish) is the same in every bin and window.
#[derive(Debug)]
pub(super) struct OpenBins {
    kept: Vec<u32>,
    /// The place of each bin among those kept.
    place: Vec<u32>,
}

impl OpenBins {
    /// Of the gates' values, if enough are closed.
    pub(super) fn of(gates: &[f32]) -> Option<Self> {
        let closed = gates.iter().filter(|gate| **gate == 0.0).count();
        if closed < 2 || (closed as f64) < WORTH * gates.len() as f64 {
            return None;
        }
        let first = gates.iter().position(|gate| *gate == 0.0)?;
        let kept = |f: usize| gates[f] != 0.0 || f == first;
        let (mut bins, mut place) = (Vec::new(), Vec::with_capacity(gates.len()));
        let mut place_of_closed = 0;
        for f in 0..gates.len() {
            if kept(f) {
                if f == first {
                    place_of_closed = bins.len() as u32;
                }
                place.push(bins.len() as u32);
                bins.push(f as u32);
            } else {
                place.push(place_of_closed);
            }
        }
        Some(Self { kept: bins, place })
    }

    /// `[T, B, K, E, 2]` of the spectra `z [T, B, F, E, 2]`.
    pub(super) fn take(&self, z: &Var) -> Result<Var> {
        rows(z, &self.kept)
    }

    /// `[T, B, F, E, 2]` of what came of them.
    pub(super) fn put_back(&self, z: &Var) -> Result<Var> {
        rows(z, &self.place)
    }
}

/// Bins by index: rows of `[T B F, 2 E]`.
fn rows(z: &Var, bins: &[u32]) -> Result<Var> {
    let &[steps, batch, extent, channels, 2] = z.shape().dims() else {
        return Err(crate::Error::shape(super::OP, format!("spectra of {}", z.shape())));
    };
    let lines = 0..(steps * batch) as u32;
    let index: Vec<u32> =
        lines.flat_map(|line| bins.iter().map(move |f| line * extent as u32 + f)).collect();
    let device: &Device = z.device();
    let index = Tensor::from_slice(device, &index, [index.len()])?;
    let taken = z.reshape([steps * batch * extent, 2 * channels])?.embedding(&index)?;
    taken.reshape([steps, batch, bins.len(), channels, 2])
}
