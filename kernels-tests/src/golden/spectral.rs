//! `soft_clip` and `polar`: functions of singular values.

use super::case::{Case, Failure, close, failed, read};
use spikegrad::spectral::{Form, HardClip, Polar, SpectralClip, Steps};
use spikegrad::{Device, Tape};

/// How far an output may be off, relative to its largest element.
const OUTPUT: f64 = 2e-5;
/// How far the polar factor may be off: the iteration is steep, and amplifies rounding.
const POLAR: f64 = 1e-4;
/// Iterations that bring any of the recorded matrices to rounding.
const ENOUGH: usize = 20;

/// The recorded iterations, the limit in both forms, its gradient, and the hard clip.
pub(super) fn soft_clip(case: &Case, device: &Device) -> Result<(), Failure> {
    let x = case.values("X")?.tensor(device)?;
    let c = case.number("c")?;
    let classic = |steps| SpectralClip::new(c).steps(Steps::Fixed(steps));
    for (key, steps) in case.numbered("ns") {
        case.close(&key, &read(&classic(steps).run(&x).map_err(failed)?)?, OUTPUT)?;
    }
    let minimax = SpectralClip::new(c).form(Form::Minimax).steps(Steps::Bound(ENOUGH));
    for clip in [classic(ENOUGH), SpectralClip::new(c).steps(Steps::Bound(ENOUGH)), minimax] {
        case.close("soft", &read(&clip.run(&x).map_err(failed)?)?, OUTPUT)?;
    }
    if case.find("hard").is_some() {
        case.close("hard", &read(&HardClip::new(c).run(&x).map_err(failed)?)?, POLAR)?;
    }
    let Some(upstream) = case.optional("G")? else { return Ok(()) };
    let leaf = Tape::new().leaf(&x);
    let y = leaf.spectral_clip(&classic(ENOUGH)).map_err(failed)?;
    let gradients = y.backward_from(&upstream.tensor(device)?).map_err(failed)?;
    case.close("vjp", &read(gradients.get(&leaf).ok_or("no gradient")?)?, POLAR)
}

/// How far the coefficients of the last Polar Express iteration may be off.
const LAST_ITERATION: f64 = 5e-5;

/// Muon's, the classic and the Polar Express iteration, as many steps of each as a key says.
pub(super) fn polar(case: &Case, device: &Device) -> Result<(), Failure> {
    let x = case.values("X")?.tensor(device)?;
    type Iteration = fn(usize) -> Polar;
    let kinds: [(&str, Iteration); 3] =
        [("muon", Polar::muon), ("classic", Polar::classic), ("pe", Polar::express)];
    for (kind, polar) in kinds {
        for (key, steps) in case.numbered(kind) {
            case.close(&key, &read(&polar(steps).run(&x).map_err(failed)?)?, POLAR)?;
        }
    }
    let Some(recorded) = case.optional("pe_coeffs")? else { return Ok(()) };
    let recorded = recorded.data;
    let found = Polar::express(recorded.len() / 3).coefficients().as_flattened().to_vec();
    // Before the last iteration all values are within 1e-5 of 1: its coefficients are what is left of
    // the rounding of the exchange, whoever computes them.
    let last = recorded.len().saturating_sub(3);
    if found.len() != recorded.len() {
        return Err(format!("pe_coeffs: {} numbers, not {}", found.len(), recorded.len()));
    }
    case.saw();
    close("pe_coeffs, last", &found[last..], &recorded[last..], LAST_ITERATION)?;
    close("pe_coeffs", &found[..last], &recorded[..last], 1e-10)
}
