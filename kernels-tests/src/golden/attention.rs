//! `spike_attn`, `spike_attn_perhead`, `spike_attn_norope`: gated attention and its gradients. Cases
//! hold `[B, H, S, d]`, the crate `[S, B, H d]`.

use super::case::{Case, Failure, Values, close, failed, largest, read, within};
use spikegrad::attention::SpikeAttention;
use spikegrad::{Device, Tape, Tensor};

/// How far the output may be off, relative to its largest element, and a gradient, relative to the
/// largest of all three: one that is zero is a difference of others' size.
const OUTPUT: f64 = 2e-6;
const GRADIENT: f64 = 2e-5;

/// Position gates from spikes, rotary embedding; the recorded gate must be that of the spikes.
pub(super) fn from_spikes(case: &Case, device: &Device) -> Result<(), Failure> {
    let theta = case.find("theta").map(|_| case.number("theta")).transpose()?;
    let attention = operator(case)?.rotary(theta);
    let spikes = transposed(&case.values("spikes")?)?;
    let dense = spikes.tensor(device)?;
    let bools: Vec<bool> = spikes.data.iter().map(|s| *s != 0.0).collect();
    let packed = Tensor::from_bools(device, &bools, &spikes.shape).map_err(failed)?;
    let expected = case.optional("gate")?.map(|gate| transposed(&gate)).transpose()?;
    for spikes in [dense, packed] {
        let gate = attention.gates(&spikes).map_err(failed)?;
        let found: Vec<u32> = gate.to_vec().map_err(failed)?;
        let found: Vec<f64> = found.into_iter().map(f64::from).collect();
        if let Some(expected) = &expected {
            close("gate", &found, &expected.data, 0.0)?;
            case.saw();
        }
        check(case, device, &attention, &gate, Some(&gate))?;
    }
    Ok(())
}

/// A gate a head, for keys and queries.
pub(super) fn by_head(case: &Case, device: &Device) -> Result<(), Failure> {
    let gate = time_major(&case.values("gate")?)?.tensor(device)?;
    check(case, device, &operator(case)?.rotary(None), &gate, Some(&gate))
}

/// Gates of keys and of queries; without one of them all are open.
pub(super) fn two_gates(case: &Case, device: &Device) -> Result<(), Failure> {
    let [b, _, s, _] = case.values("q")?.shape[..] else { return Err("no [B, H, S, d]".into()) };
    let gate = |path: &str| {
        let open = || Values { shape: vec![b, s], data: vec![1.0; b * s] };
        transposed(&case.optional(path)?.unwrap_or_else(open))
    };
    let (keys, queries) = (gate("kgate")?.tensor(device)?, gate("qgate")?);
    let all = queries.data.iter().all(|g| *g != 0.0);
    let queries = queries.tensor(device)?;
    let attention = operator(case)?.rotary(None);
    check(case, device, &attention, &keys, Some(&queries))?;
    if all {
        check(case, device, &attention, &keys, None)?;
    }
    Ok(())
}

fn operator(case: &Case) -> Result<SpikeAttention, Failure> {
    let heads = case.values("q")?.shape.get(1).copied().ok_or("q has no heads")?;
    let attention = SpikeAttention::new(heads);
    let scale = case.find("scale").map(|_| case.number("scale")).transpose()?;
    // Without a window a query sees all that came before.
    let window = case.number_or("W", f64::from(u32::MAX))? as usize;
    let anchors = case.number_or("A", 0.0)? as usize;
    Ok(attention.scale(scale.map(|s| s as f32)).window(window).anchors(anchors))
}

/// Compares the output and the gradients.
fn check(
    case: &Case,
    device: &Device,
    attention: &SpikeAttention,
    keys: &Tensor,
    queries: Option<&Tensor>,
) -> Result<(), Failure> {
    let tape = Tape::new();
    let tensor = |name: &str| joined(&case.values(name)?)?.tensor(device);
    let leaf = |name: &str| Ok::<_, Failure>(tape.leaf(&tensor(name)?));
    let (q, k, v) = (leaf("q")?, leaf("k")?, leaf("v")?);
    let o = attention.attend_gated(&q, &k, &v, keys, queries).map_err(failed)?;
    let recorded = |name: &str| case.optional(name)?.map(|v| joined(&v)).transpose();
    if let Some(expected) = recorded("o")? {
        close("o", &read(o.value())?, &expected.data, OUTPUT)?;
        case.saw();
    }
    if case.find("dO").is_none() {
        return Ok(());
    }
    let gradients = o.backward_from(&tensor("dO")?).map_err(failed)?;
    let names = ["dq", "dk", "dv"];
    let expected = [recorded("dq")?, recorded("dk")?, recorded("dv")?];
    let scale = expected.iter().flatten().map(|v| largest(&v.data)).fold(0.0, f64::max);
    for ((name, leaf), expected) in names.into_iter().zip([&q, &k, &v]).zip(expected) {
        let Some(expected) = expected else { continue };
        let found = gradients.get(leaf).ok_or_else(|| format!("{name}: no gradient"))?;
        within(name, &read(found)?, &expected.data, |_, _| GRADIENT * scale)?;
        case.saw();
    }
    Ok(())
}

/// `[B, S, ..]` as `[S, B, ..]`.
fn transposed(x: &Values) -> Result<Values, Failure> {
    let [b, s, rest @ ..] = &x.shape[..] else { return Err("no [B, S, ..]".into()) };
    let row: usize = rest.iter().product();
    let at = |i: usize| x.data[(i / row % b * s + i / row / b) * row + i % row];
    let shape = [&[*s, *b], rest].concat();
    Ok(Values { shape, data: (0..x.data.len()).map(at).collect() })
}

/// `[B, H, S, ..]` as `[S, B, H, ..]`.
fn time_major(x: &Values) -> Result<Values, Failure> {
    let [b, h, s, rest @ ..] = &x.shape[..] else { return Err("no [B, H, S, ..]".into()) };
    let merged = Values { shape: [&[b * h, *s], rest].concat(), data: x.data.clone() };
    Ok(Values { shape: [&[*s, *b, *h], rest].concat(), ..transposed(&merged)? })
}

/// `[B, H, S, d]` as `[S, B, H d]`.
fn joined(x: &Values) -> Result<Values, Failure> {
    let y = time_major(x)?;
    let [s, b, h, d] = y.shape[..] else { return Err("no [B, H, S, d]".into()) };
    Ok(y.shaped(&[s, b, h * d]))
}
