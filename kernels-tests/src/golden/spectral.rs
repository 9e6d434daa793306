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
    let minimax = SpectralClip::new(c).form(Form::Minimax).steps(Steps::Bound(ENOUGH));
    for (key, clip) in [
        ("ns5", classic(5)),
        ("ns10", classic(10)),
        ("soft", classic(ENOUGH)),
        ("soft", SpectralClip::new(c).steps(Steps::Bound(ENOUGH))),
        ("soft", minimax),
    ] {
        let y = read(&clip.run(&x).map_err(failed)?)?;
        close(key, &y, &case.values(key)?.data, OUTPUT)?;
    }
    let hard = read(&HardClip::new(c).run(&x).map_err(failed)?)?;
    close("hard", &hard, &case.values("hard")?.data, POLAR)?;
    let leaf = Tape::new().leaf(&x);
    let y = leaf.spectral_clip(&classic(ENOUGH)).map_err(failed)?;
    let gradients = y.backward_from(&case.values("G")?.tensor(device)?).map_err(failed)?;
    let gradient = read(gradients.get(&leaf).ok_or("no gradient")?)?;
    close("vjp", &gradient, &case.values("vjp")?.data, POLAR)
}

/// How far the coefficients of the last Polar Express iteration may be off.
const LAST_ITERATION: f64 = 5e-5;

/// Muon's, the classic and the Polar Express iteration.
pub(super) fn polar(case: &Case, device: &Device) -> Result<(), Failure> {
    let x = case.values("X")?.tensor(device)?;
    for (key, polar) in
        [("muon5", Polar::muon(5)), ("classic15", Polar::classic(15)), ("pe8", Polar::express(8))]
    {
        let y = read(&polar.run(&x).map_err(failed)?)?;
        close(key, &y, &case.values(key)?.data, POLAR)?;
    }
    let recorded = case.values("pe_coeffs")?.data;
    let found = Polar::express(8).coefficients().as_flattened().to_vec();
    // Before the last iteration all values are within 1e-5 of 1: its coefficients are what is left of
    // the rounding of the exchange, whoever computes them.
    let last = recorded.len().saturating_sub(3);
    close("pe_coeffs, last", &found[last..], &recorded[last..], LAST_ITERATION)?;
    close("pe_coeffs", &found[..last], &recorded[..last], 1e-10)
}
