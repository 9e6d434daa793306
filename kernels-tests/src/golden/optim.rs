//! `optimizer`: the parameter after every step along recorded gradients.

use super::case::{Case, Failure, failed, read, within};
use spikegrad::optim::{
    AdEmaMix, AdamW, Descent, Muon, MuonBuilder, NorMuon, Optimizer, OptimizerBuilder, Rule,
    Signum, Spam,
};
use spikegrad::spectral::SpectralClip;
use spikegrad::{Device, Gradients, Param, Tape};

/// How far an element may be off, relative to its size and to one.
const TOLERANCE: f64 = 1e-5;

pub(super) fn check(case: &Case, device: &Device) -> Result<(), Failure> {
    let number = |key: &str| case.number(&format!("hyper.{key}"));
    let count = |key: &str| number(key).map(|n| n as u64);
    match case.text("kind")? {
        "adamw" => {
            let recipe = AdamW::builder().betas(number("b1")?, number("b2")?).eps(number("eps")?);
            follow(case, device, recipe)
        }
        "signum" => {
            let nesterov = case.is_on("hyper.nesterov")?;
            follow(case, device, Signum::builder().momentum(number("mu")?).nesterov(nesterov))
        }
        "ademamix" => {
            let recipe = AdEmaMix::builder().betas(number("b1")?, number("b2")?, number("b3")?);
            let recipe = recipe.mix(number("alpha")?).warmup(count("awarm")?);
            follow(case, device, recipe.eps(number("eps")?))
        }
        "muon" => follow(case, device, muon(case, Muon::builder())?),
        "normuon" => {
            let recipe = NorMuon::builder().neuron_beta(number("b2")?);
            follow(case, device, muon(case, recipe)?)
        }
        "spam" => {
            let recipe = Spam::builder().betas(number("b1")?, number("b2")?).eps(number("eps")?);
            let recipe = recipe.theta(number("theta")?).interval(count("DT")?);
            let recipe = recipe.warmup(count("N")?).grace(count("grace")?);
            follow(case, device, recipe.compat(true))
        }
        other => Err(format!("unknown kind `{other}`")),
    }
}

fn muon(case: &Case, recipe: MuonBuilder) -> Result<MuonBuilder, Failure> {
    Ok(recipe.momentum(case.number("hyper.mu")?))
}

/// Takes every recorded step and compares the parameter after it.
fn follow<R: Rule + Clone>(
    case: &Case,
    device: &Device,
    mut recipe: OptimizerBuilder<R>,
) -> Result<(), Failure> {
    // Vectors are clipped as by the code that the cases were recorded from.
    let clip = |c: f64| SpectralClip::new(c).compat(true);
    if case.find("c").is_some() {
        recipe = recipe.post_clip(clip(case.number("c")?));
    }
    if case.find("c_pre").is_some() {
        recipe = recipe.pre_clip(clip(case.number("c_pre")?));
    }
    let rates = case.values("lr")?.data;
    let base = if case.find("base_lr").is_some() { case.number("base_lr")? } else { rates[0] };
    if case.find("warm").is_some() {
        recipe = recipe.clip_warmup(case.number("warm")? as u64);
    }
    let recipe = recipe.learning_rate(base).weight_decay(case.number_or("wd", 0.0)?);
    // The weights are recorded as `[outputs, inputs]`.
    let param = [Param::new("w", case.values("W0")?.tensor(device)?).outputs_first()];
    let mut optimizer = recipe.decay_only(|_| true).build(&param).map_err(failed)?;
    let (grads, expected) = (case.values("grads")?, case.values("traj")?);
    for t in 0..grads.shape[0] {
        let rate = *rates.get(t).unwrap_or(&rates[0]);
        let gradients = gradients(&param[0], &grads.step(t)?, device)?;
        step(&mut optimizer, rate, &gradients).map_err(failed)?;
        let found = read(param[0].value())?;
        let what = format!("step {}", t + 1);
        within(&what, &found, &expected.step(t)?.data, |_, w| TOLERANCE * (1.0 + w.abs()))?;
        case.saw();
    }
    Ok(())
}

fn step<R>(optimizer: &mut Descent<R>, rate: f64, gradients: &Gradients) -> spikegrad::Result<()> {
    optimizer.set_learning_rate(rate)?;
    optimizer.step(gradients)
}

fn gradients(
    param: &Param,
    gradient: &super::case::Values,
    device: &Device,
) -> Result<Gradients, Failure> {
    Tape::new().param(param).backward_from(&gradient.tensor(device)?).map_err(failed)
}
