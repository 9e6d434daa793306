//! Rotary angles, made on the host in f64.

use crate::{Device, Result, Tensor};
use std::sync::{Arc, Mutex, PoisonError};

/// Tables of cosines and sines, kept by the operator and its clones.
#[derive(Debug, Clone, Default)]
pub(super) struct Rotary {
    kept: Arc<Mutex<Vec<Table>>>,
}

#[derive(Debug, Clone)]
struct Table {
    half: usize,
    base: f64,
    steps: usize,
    angles: Tensor,
}

/// Tables kept at the most: a model has one head size and few devices.
const KEPT: usize = 4;

impl Rotary {
    /// `(cos, sin)` of `s base^(-c/half)` for at least `steps` positions s and `half` channels c:
    /// `[S, half, 2]`. Uploaded once.
    pub(super) fn table(
        &self,
        device: &Device,
        base: f64,
        half: usize,
        steps: usize,
    ) -> Result<Tensor> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |t: &Table| t.angles.device() == device && t.half == half && t.base == base;
        if let Some(found) = kept.iter().find(|t| same(t) && t.steps >= steps) {
            return Ok(found.angles.clone());
        }
        kept.retain(|t| !same(t));
        kept.truncate(KEPT - 1);
        let angles = angles(device, base, half, 0..steps)?;
        kept.insert(0, Table { half, base, steps, angles: angles.clone() });
        Ok(angles)
    }
}

/// `(cos, sin)` of the angles of some positions, `[positions, half, 2]`, computed in f64.
pub(super) fn angles(
    device: &Device,
    base: f64,
    half: usize,
    positions: impl Iterator<Item = usize>,
) -> Result<Tensor> {
    let frequencies: Vec<f64> = (0..half).map(|c| base.powf(-(c as f64) / half as f64)).collect();
    let turn = |s: usize| {
        frequencies.iter().flat_map(move |f| {
            let (sin, cos) = (s as f64 * f).sin_cos();
            [cos, sin]
        })
    };
    let values: Vec<f64> = positions.flat_map(turn).collect();
    let rows = values.len() / (2 * half).max(1);
    Tensor::from_slice(device, &values, [rows, half, 2])
}
