//! `lif`: the scan with decay, gain and threshold as tensors, in each gradient mode.

use super::case::{Case, Failure, Values, close, failed, read, within};
use crate::seeded;
use spikegrad::lif::{Gradient, Lif, Neurons, Reset, Spikes, Surrogate};
use spikegrad::{Device, Tape, Tensor};

/// How far a membrane may be off, relative to `1 + |v|`.
const MEMBRANE: f64 = 2e-6;
/// How far a gradient may be off, relative to the largest of its tensor.
const GRADIENT: f64 = 1e-5;

/// The leaves, as the gradients are keyed.
const NAMES: [&str; 5] = ["x", "v0", "lam", "gin", "vth"];

pub(super) fn check(case: &Case, device: &Device) -> Result<(), Failure> {
    let base = neuron(case)?;
    let modes = [
        ("grad_bptt", base.detach_reset(false)),
        ("grad_detach", base.detach_reset(true)),
        ("grad_sltt", base.gradient(Gradient::Spatial)),
        ("grad_sltt_k", base.gradient(Gradient::Spatial)),
    ];
    for (key, lif) in modes {
        if case.find(key).is_some() {
            for lif in [lif, lif.output(Spikes::Bits)] {
                if key == "grad_sltt_k" {
                    mode(case, device, key, lif, &["x", "v0", "lam", "gin"], kept(case)?)?;
                    // That of the threshold was recorded over all steps, sampled or not.
                    mode(case, device, key, lif, &["vth"], case.values("gs")?)?;
                } else {
                    mode(case, device, key, lif, &NAMES, case.values("gs")?)?;
                }
            }
        }
    }
    Ok(())
}

fn neuron(case: &Case) -> Result<Lif, Failure> {
    let v_reset = case.number("params.v_reset")? as f32;
    let reset = match case.text("params.reset")? {
        "hard" => Reset::Hard(v_reset),
        "soft" => Reset::Soft,
        "none" => Reset::None,
        other => return Err(format!("reset `{other}`")),
    };
    let named = case.get("params.surrogate")?;
    let parameter = named.get(1).and_then(|v| v.as_f64()).ok_or("no surrogate parameter")? as f32;
    let surrogate = match named.get(0).and_then(|v| v.as_str()) {
        Some("atan") => Surrogate::Atan(parameter),
        Some("sigmoid") => Surrogate::Sigmoid(parameter),
        Some("fast_sigmoid") => Surrogate::FastSigmoid(parameter),
        Some("triangle") => Surrogate::Triangle(parameter),
        Some("rectangle") => Surrogate::Rectangle(parameter),
        other => return Err(format!("surrogate {other:?}")),
    };
    let lif = Lif::new().reset(reset).surrogate(surrogate);
    Ok(match case.find("params.clamp") {
        Some(_) => {
            let bounds = case.values("params.clamp")?.data;
            let [low, high] = bounds[..] else { return Err("clamp has no two bounds".into()) };
            lif.clamp(low as f32, high as f32)
        }
        None => lif,
    })
}

/// Spikes, last state and the gradients `names` under `key`, for the upstream gradient `gs`.
fn mode(
    case: &Case,
    device: &Device,
    key: &str,
    lif: Lif,
    names: &[&str],
    gs: Values,
) -> Result<(), Failure> {
    let tape = Tape::new();
    let leaf = |path: &str| Ok::<_, Failure>(tape.leaf(&case.values(path)?.tensor(device)?));
    let (x, v0) = (leaf("x")?, leaf("params.v0")?);
    let (decay, gain) = (leaf("params.lam")?, leaf("params.gin")?);
    let threshold = leaf("params.vth")?;
    let neurons = Neurons { decay: Some(&decay), threshold: Some(&threshold), gain: Some(&gain) };
    let out = lif.scan_with(&x, Some(&v0), &neurons).map_err(failed)?;
    check_spikes(case, out.spikes.value())?;
    let v = case.values("vT")?.data;
    within("vT", &read(out.state.value())?, &v, |v| MEMBRANE * (1.0 + v.abs()))?;

    let seeds =
        [(&out.spikes, gs.tensor(device)?), (&out.state, case.values("gvT")?.tensor(device)?)];
    let gradients = seeded(&seeds).and_then(|v| v.backward()).map_err(failed)?;
    for (name, leaf) in NAMES.into_iter().zip([&x, &v0, &decay, &gain, &threshold]) {
        let path = format!("{key}.{name}");
        if !names.contains(&name) || case.find(&path).is_none() {
            continue;
        }
        let found = gradients.get(leaf).ok_or_else(|| format!("{path}: no gradient"))?;
        close(&path, &read(found)?, &case.values(&path)?.data, GRADIENT)?;
    }
    Ok(())
}

/// Spikes must be equal, packed or not.
fn check_spikes(case: &Case, spikes: &Tensor) -> Result<(), Failure> {
    let expected = case.values("s")?.data;
    let found: Vec<f64> = if spikes.dtype() == spikegrad::DType::Bits {
        let bits = spikes.to_bools().map_err(failed)?;
        bits.into_iter().map(|b| f64::from(u8::from(b))).collect()
    } else {
        read(spikes)?
    };
    within("s", &found, &expected, |_| 0.0)?;
    if case.find("rate").is_some() {
        let rate = found.iter().sum::<f64>() / found.len().max(1) as f64;
        close("rate", &[rate], &[case.number("rate")?], 1e-12)?;
    }
    Ok(())
}

/// dL/ds of the sampled mode: of the steps that are kept.
fn kept(case: &Case) -> Result<Values, Failure> {
    let mut gs = case.values("gs")?;
    let keep = case.values("keep")?.data;
    let row = (gs.data.len() / keep.len().max(1)).max(1);
    for (row, keep) in gs.data.chunks_mut(row).zip(keep) {
        row.iter_mut().for_each(|g| *g *= keep);
    }
    Ok(gs)
}
