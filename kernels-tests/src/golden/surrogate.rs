//! `surrogate_table`: derivatives on a grid, as peer libraries return them. Of the rows that one of
//! our surrogates expresses, every element must agree.

use super::case::{Case, Failure, within};
use spikegrad::Device;
use spikegrad::lif::Surrogate;

/// The rows that ours express, with the parameters that the libraries default to.
const ROWS: &[(&str, Surrogate)] = &[
    ("sj_Sigmoid", Surrogate::Sigmoid(4.0)),
    ("sj_ATan", Surrogate::Atan(2.0)),
    ("sj_PiecewiseQuadratic", Surrogate::Triangle(1.0)),
    ("sj_SoftSign", Surrogate::FastSigmoid(2.0)),
    ("sj_SuperSpike", Surrogate::FastSigmoid(1.0)),
    ("sj_Rect", Surrogate::Rectangle(1.0)),
    ("snn_atan", Surrogate::Atan(2.0)),
    ("snn_fast_sigmoid", Surrogate::FastSigmoid(25.0)),
    ("snn_sigmoid", Surrogate::Sigmoid(25.0)),
    ("norse_super_alpha1", Surrogate::FastSigmoid(1.0)),
    ("norse_super_alpha100", Surrogate::FastSigmoid(1.0)),
    ("norse_triangle_alpha1", Surrogate::Triangle(1.0)),
    ("spyx_superspike", Surrogate::FastSigmoid(25.0)),
];

/// The table was recorded in f32.
const TOLERANCE: f64 = 2e-6;

pub(super) fn check(case: &Case, _: &Device) -> Result<(), Failure> {
    let d = case.values("d")?.data;
    for (row, surrogate) in ROWS {
        let Some(recorded) = case.find(row) else { continue };
        let recorded = recorded.as_array().ok_or_else(|| format!("`{row}` is no list"))?;
        // Null: the library returns no number there.
        let pairs = d.iter().zip(recorded).filter_map(|(d, r)| Some((*d, r.as_f64()?)));
        let (d, expected): (Vec<f64>, Vec<f64>) = pairs.unzip();
        let found: Vec<f64> = d.iter().map(|d| surrogate.derivative(*d)).collect();
        let peak = surrogate.derivative(0.0);
        let edge =
            |d: f64| matches!(surrogate, Surrogate::Rectangle(w) if d.abs() == f64::from(*w) / 2.0);
        let kept = d.iter().map(|d| !edge(*d));
        let pick = |v: &[f64]| -> Vec<f64> {
            v.iter().zip(kept.clone()).filter(|p| p.1).map(|p| *p.0).collect()
        };
        within(row, &pick(&found), &pick(&expected), |_, _| TOLERANCE * peak)?;
        case.saw();
    }
    Ok(())
}
