//! `decay` and `wkv`: whole, in chunks, and step by step.

use super::case::{Case, Failure, Values, close, failed, largest, read, within};
use crate::seeded;
use spikegrad::scan::{Decay, Plan, Recurrence, Wkv, WkvState};
use spikegrad::{Device, Tape, Var};

/// How far a gradient, or a WKV output, may be off, relative to the largest of its tensor; that of a decay,
/// to the sum of its terms' magnitudes where that is more.
const RELATIVE: f64 = 1e-5;
/// How far a state of the decay scan may be off, relative to `1 + |h|` and times the root of T.
const STATE: f64 = 1e-6;

const PLANS: [Plan; 2] = [Plan::Sequential, Plan::Chunked(8)];

/// `[B, S, D]` as `[S, B, D]`, and back.
fn swapped(values: Values) -> Result<Values, Failure> {
    let [b, s, d] = values.shape[..] else { return Err(format!("shape {:?}", values.shape)) };
    let at = |t: usize, n: usize| &values.data[(n * s + t) * d..][..d];
    let data = (0..s).flat_map(|t| (0..b).flat_map(move |n| at(t, n).iter().copied())).collect();
    Ok(Values { shape: vec![s, b, d], data })
}

pub(super) fn decay(case: &Case, device: &Device) -> Result<(), Failure> {
    let time_major = |path: &str| case.optional(path)?.map(swapped).transpose();
    let u = time_major("u")?.ok_or("no `u`")?;
    let (y, gu) = (time_major("y")?, time_major("gu")?);
    let tolerance = STATE * (u.shape[0] as f64).sqrt();
    for plan in PLANS {
        let tape = Tape::new();
        let leaf = |v: &Values| Ok::<_, Failure>(tape.leaf(&v.tensor(device)?));
        let (u, raw) = (leaf(&u)?, leaf(&case.values("raw")?)?);
        let h0 = case.leaf("h0", &tape, device)?;
        let scan = Recurrence::average().plan(plan);
        let out = scan.scan(&u, Decay::Logit(&raw), h0.as_ref()).map_err(failed)?;
        if let Some(y) = &y {
            let found = read(out.h.value())?;
            within("y", &found, &y.data, |_, h| tolerance * (1.0 + h.abs()))?;
            case.saw();
        }
        let mut seeds = Vec::new();
        if let Some(g) = time_major("gy")? {
            seeds.push((&out.h, g.tensor(device)?));
        }
        if let Some(g) = case.optional("ghT")? {
            seeds.push((&out.last, g.tensor(device)?));
        }
        if seeds.is_empty() {
            continue;
        }
        let gradients = seeded(&seeds).and_then(|v| v.backward()).map_err(failed)?;
        let leaves = [
            ("gu", Some(&u), gu.clone()),
            ("graw", Some(&raw), case.optional("graw")?),
            ("gh0", h0.as_ref(), case.optional("gh0")?),
        ];
        for (name, leaf, expected) in leaves {
            let Some(expected) = expected else { continue };
            let found = leaf.and_then(|leaf| gradients.get(leaf));
            let found = read(found.ok_or_else(|| format!("{name}: no gradient"))?)?;
            let scale = largest(&expected.data);
            let sums = if name == "graw" { decay_terms(case)? } else { vec![0.0; found.len()] };
            within(name, &found, &expected.data, |i, _| RELATIVE * scale.max(sums[i]))?;
            case.saw();
        }
    }
    y.map_or(Ok(()), |y| decay_by_steps(case, device, &u, &y, tolerance))
}

/// Of the gradient of every decay, the sum of its terms' magnitudes: a scan a step, in which every channel
/// of every sample has a decay of its own.
fn decay_terms(case: &Case) -> Result<Vec<f64>, Failure> {
    let (device, tape) = (Device::oracle(), Tape::new());
    let u = swapped(case.values("u")?)?;
    let [steps, batch, channels] = u.shape[..] else { return Err("no [B, S, D]".into()) };
    let width = batch * channels;
    let leaf = |v: Values, shape: &[usize]| -> Result<Var, Failure> {
        Ok(tape.leaf(&v.shaped(shape).tensor(&device)?))
    };
    let raw = case.values("raw")?.data;
    let owner = |i: usize| i % channels * raw.len() / channels;
    let all = Values { shape: vec![width], data: (0..width).map(|i| raw[owner(i)]).collect() };
    let mut state = case.optional("h0")?.map(|h| leaf(h, &[width])).transpose()?;
    let (mut outputs, mut decays) = (Vec::new(), Vec::new());
    for t in 0..steps {
        let (u, decay) = (leaf(u.step(t)?, &[1, width])?, leaf(all.clone(), &[width])?);
        let scan = Recurrence::average().scan(&u, Decay::Logit(&decay), state.as_ref());
        let out = scan.map_err(failed)?;
        state = Some(out.last);
        outputs.push(out.h);
        decays.push(decay);
    }
    let mut seeds = Vec::new();
    if let Some(gy) = case.optional("gy")?.map(swapped).transpose()? {
        for (t, h) in outputs.iter().enumerate() {
            seeds.push((h, gy.step(t)?.shaped(&[1, width]).tensor(&device)?));
        }
    }
    if let (Some(g), Some(last)) = (case.optional("ghT")?, &state) {
        seeds.push((last, g.shaped(&[width]).tensor(&device)?));
    }
    let gradients = seeded(&seeds).and_then(|v| v.backward()).map_err(failed)?;
    let mut sums = vec![0.0; raw.len()];
    for decay in decays.iter().filter_map(|decay| gradients.get(decay)) {
        for (i, term) in read(decay)?.into_iter().enumerate() {
            sums[owner(i)] += term.abs();
        }
    }
    Ok(sums)
}

/// One token a call, as in decoding.
fn decay_by_steps(
    case: &Case,
    device: &Device,
    u: &Values,
    y: &Values,
    tolerance: f64,
) -> Result<(), Failure> {
    let tape = Tape::off();
    let constant = |v: Values| Ok::<_, Failure>(tape.constant(&v.tensor(device)?));
    let raw = constant(case.values("raw")?)?;
    let mut state = case.optional("h0")?.map(constant).transpose()?;
    for t in 0..y.shape[0] {
        let one = [&[1], &u.shape[1..]].concat();
        let u = constant(u.step(t)?.shaped(&one))?;
        let next = u.decay_scan(&raw, state.as_ref()).map_err(failed)?.last;
        let what = format!("y of step {t}");
        let allowed = |_, h: f64| tolerance * (1.0 + h.abs());
        within(&what, &read(next.value())?, &y.step(t)?.data, allowed)?;
        state = Some(next);
    }
    Ok(())
}

pub(super) fn wkv(case: &Case, device: &Device) -> Result<(), Failure> {
    for plan in PLANS {
        let tape = Tape::new();
        let leaf = |path: &str| Ok::<_, Failure>(tape.leaf(&case.values(path)?.tensor(device)?));
        let [k, v, w, u] = [leaf("k")?, leaf("v")?, leaf("w")?, leaf("u")?];
        let y = Wkv::new().plan(plan).scan(&k, &v, &w, &u, None).map_err(failed)?.y;
        case.close("y", &read(y.value())?, RELATIVE)?;
        let Some(gy) = case.optional("gy")? else { continue };
        let gradients = y.backward_from(&gy.tensor(device)?).map_err(failed)?;
        for (name, leaf) in [("gk", &k), ("gv", &v), ("gw", &w), ("gu", &u)] {
            let found = gradients.get(leaf).ok_or_else(|| format!("{name}: no gradient"))?;
            case.close(name, &read(found)?, RELATIVE)?;
        }
    }
    match case.find("y") {
        Some(_) => wkv_by_steps(case, device),
        None => Ok(()),
    }
}

/// One token a call, as in decoding.
fn wkv_by_steps(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::off();
    let constant = |v: Values| Ok::<Var, Failure>(tape.constant(&v.tensor(device)?));
    let (w, u) = (constant(case.values("w")?)?, constant(case.values("u")?)?);
    let (k, v, y) = (case.values("k")?, case.values("v")?, case.values("y")?);
    let mut state: Option<WkvState> = None;
    for t in 0..y.shape[0] {
        let one = [&[1], &k.shape[1..]].concat();
        let (k, v) = (constant(k.step(t)?.shaped(&one))?, constant(v.step(t)?.shaped(&one))?);
        let out = Wkv::new().scan(&k, &v, &w, &u, state.as_ref()).map_err(failed)?;
        close(&format!("y of step {t}"), &read(out.y.value())?, &y.step(t)?.data, RELATIVE)?;
        state = Some(out.state);
    }
    Ok(())
}
