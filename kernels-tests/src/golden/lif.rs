//! `lif`: the scan with decay, gain and threshold as tensors, in each gradient mode.

use super::case::{Case, Failure, Values, failed, largest, magnitudes, read};
use crate::seeded;
use spikegrad::lif::{Gradient, Lif, Neurons, Reset, Spikes, Surrogate};
use spikegrad::{Device, Tape, Tensor, Var};

/// How far a membrane may be off, relative to `1 + |v|`.
const MEMBRANE: f64 = 2e-6;
/// How far a gradient may be off, relative to the largest of its tensor, and where it is a sum over
/// steps and neurons, to the sum of the terms' magnitudes.
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
    let recorded = modes.iter().filter(|(key, _)| case.find(key).is_some());
    // Where no gradient is recorded, spikes and states are compared all the same.
    let mut recorded: Vec<(&str, Lif)> = recorded.copied().collect();
    if recorded.is_empty() {
        recorded.push(("none", base));
    }
    for (key, lif) in recorded {
        for lif in [lif, lif.output(Spikes::Bits)] {
            if key == "grad_sltt_k" {
                mode(case, device, key, lif, &["x", "v0", "lam", "gin"], kept(case)?)?;
                // That of the threshold was recorded over all steps, sampled or not.
                mode(case, device, key, lif, &["vth"], case.optional("gs")?)?;
            } else {
                mode(case, device, key, lif, &NAMES, case.optional("gs")?)?;
            }
        }
    }
    Ok(())
}

fn neuron(case: &Case) -> Result<Lif, Failure> {
    let v_reset = case.number_or("params.v_reset", 0.0)? as f32;
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

/// What a scan is made of: one leaf each, `None` where the case has none.
struct Leaves {
    x: Var,
    v0: Option<Var>,
    parameters: [Option<Var>; 3],
}

impl Leaves {
    fn new(case: &Case, device: &Device, tape: &Tape) -> Result<Self, Failure> {
        let leaf = |path: &str| case.leaf(path, tape, device);
        Ok(Self {
            x: leaf("x")?.ok_or("no `x`")?,
            v0: leaf("params.v0")?,
            parameters: [leaf("params.lam")?, leaf("params.gin")?, leaf("params.vth")?],
        })
    }
}

/// Seeds for spikes and last state, of what the case records.
fn seeds<'a>(
    case: &Case,
    spikes: &'a [Var],
    state: &'a Var,
    gs: Option<&Values>,
) -> Result<Vec<(&'a Var, Tensor)>, Failure> {
    let mut seeds = Vec::new();
    if let Some(gs) = gs {
        let count = gs.data.len() / spikes.len().max(1);
        for (spikes, g) in spikes.iter().zip(gs.data.chunks(count.max(1))) {
            let g = Values { shape: spikes.shape().dims().to_vec(), data: g.to_vec() };
            seeds.push((spikes, g.tensor(spikes.device())?));
        }
    }
    if let Some(g) = case.optional("gvT")? {
        seeds.push((state, g.tensor(state.device())?));
    }
    Ok(seeds)
}

/// Spikes, last state and the gradients `names` under `key`, for the upstream gradient `gs`.
fn mode(
    case: &Case,
    device: &Device,
    key: &str,
    lif: Lif,
    names: &[&str],
    gs: Option<Values>,
) -> Result<(), Failure> {
    let tape = Tape::new();
    let Leaves { x, v0, parameters } = Leaves::new(case, device, &tape)?;
    let [decay, gain, threshold] = parameters.each_ref().map(Option::as_ref);
    let neurons = Neurons { decay, threshold, gain };
    let out = lif.scan_with(&x, v0.as_ref(), &neurons).map_err(failed)?;
    check_spikes(case, out.spikes.value())?;
    case.within("vT", &read(out.state.value())?, |_, v| MEMBRANE * (1.0 + v.abs()))?;
    let spikes = [out.spikes];
    let seeds = seeds(case, &spikes, &out.state, gs.as_ref())?;
    if seeds.is_empty() {
        return Ok(());
    }
    let gradients = seeded(&seeds).and_then(|v| v.backward()).map_err(failed)?;
    let leaves = [Some(&x), v0.as_ref(), decay, gain, threshold];
    let terms = terms(case, lif.output(Spikes::F32), gs.as_ref())?;
    for (i, (name, leaf)) in NAMES.into_iter().zip(leaves).enumerate() {
        let path = format!("{key}.{name}");
        let Some(expected) = case.optional(&path)?.filter(|_| names.contains(&name)) else {
            continue;
        };
        let leaf = leaf.ok_or_else(|| format!("{path} is recorded, but no `{name}`"))?;
        let found = read(gradients.get(leaf).ok_or_else(|| format!("{path}: no gradient"))?)?;
        let scale = largest(&expected.data);
        let summed = i.checked_sub(2).map(|i| magnitudes(&terms[i], found.len()));
        case.within(&path, &found, |i, _| {
            GRADIENT * summed.as_ref().map_or(scale, |sums| scale.max(sums[i]))
        })?;
    }
    Ok(())
}

/// The terms of the gradients of decay, gain and threshold: step by step, and neuron by neuron. They
/// are those of a scan a step, in which every neuron has parameters of its own.
fn terms(case: &Case, lif: Lif, gs: Option<&Values>) -> Result<[Vec<Vec<f64>>; 3], Failure> {
    let (device, tape) = (Device::oracle(), Tape::new());
    let x = case.values("x")?;
    let width: usize = x.shape[1..].iter().product();
    let mut state = case.leaf("params.v0", &tape, &device)?;
    let (mut spikes, mut leaves) = (Vec::new(), Vec::new());
    for t in 0..x.shape[0] {
        let own = |path: &str| -> Result<Option<Var>, Failure> {
            let Some(values) = case.optional(path)? else { return Ok(None) };
            let data = values.data.iter().copied().cycle().take(width).collect();
            let own = Values { shape: vec![width], data };
            Ok(Some(tape.leaf(&own.tensor(&device)?)))
        };
        let parameters = [own("params.lam")?, own("params.gin")?, own("params.vth")?];
        let [decay, gain, threshold] = parameters.each_ref().map(Option::as_ref);
        let shape = [&[1], &x.shape[1..]].concat();
        let input = tape.constant(&x.step(t)?.shaped(&shape).tensor(&device)?);
        let neurons = Neurons { decay, threshold, gain };
        let out = lif.scan_with(&input, state.as_ref(), &neurons).map_err(failed)?;
        spikes.push(out.spikes);
        state = Some(out.state);
        leaves.push(parameters);
    }
    let state = state.ok_or("no steps")?;
    let seeds = seeds(case, &spikes, &state, gs)?;
    let gradients = seeded(&seeds).and_then(|v| v.backward()).map_err(failed)?;
    let of = |i: usize| -> Result<Vec<Vec<f64>>, Failure> {
        let leaves = leaves.iter().filter_map(|parameters| parameters[i].as_ref());
        leaves.filter_map(|leaf| gradients.get(leaf)).map(read).collect()
    };
    let terms = [of(0)?, of(1)?, of(2)?];
    Ok(terms)
}

/// Spikes must be equal, packed or not.
fn check_spikes(case: &Case, spikes: &Tensor) -> Result<(), Failure> {
    let found: Vec<f64> = if spikes.dtype() == spikegrad::DType::Bits {
        let bits = spikes.to_bools().map_err(failed)?;
        bits.into_iter().map(|b| f64::from(u8::from(b))).collect()
    } else {
        read(spikes)?
    };
    case.within("s", &found, |_, _| 0.0)?;
    let rate = found.iter().sum::<f64>() / found.len().max(1) as f64;
    case.close("rate", &[rate], 1e-12)
}

/// dL/ds of the sampled mode: of the steps that are kept, all of them where none are named.
fn kept(case: &Case) -> Result<Option<Values>, Failure> {
    let (Some(mut gs), Some(keep)) = (case.optional("gs")?, case.optional("keep")?) else {
        return case.optional("gs");
    };
    let row = (gs.data.len() / keep.data.len().max(1)).max(1);
    for (row, keep) in gs.data.chunks_mut(row).zip(keep.data) {
        row.iter_mut().for_each(|g| *g *= keep);
    }
    Ok(Some(gs))
}
