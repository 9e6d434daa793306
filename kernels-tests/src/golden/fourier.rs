//! Fourier transforms, Fourier graph operators, gates on spectra, positional codes.

use super::case::{Case, Failure, Values, close, failed, read};
use spikegrad::elementwise::Activation;
use spikegrad::fourier::{
    ComplexGate, HardConcrete, Scaling, complex_linear, cpg_codes, cpg_pairs, graph_dense,
    graph_diag_outer,
};
use spikegrad::{DType, Device, Result as Fallible, Tape, Tensor, Var};

/// How far a transform may be off, relative to the largest value of its line.
const TRANSFORM: f64 = 2e-6;
/// Likewise a mix, and gradients.
const MIX: f64 = 1e-5;
/// The residuals' factor, and tau of the codes, as published.
const RESIDUAL: f64 = 0.1;
const PACE: f64 = 1e4;

/// An array, if there is one; a complex one `{"shape", "re", "im"}` as pairs.
fn array(case: &Case, path: &str) -> Result<Option<Values>, Failure> {
    if case.find(&format!("{path}.re")).is_none() {
        return case.optional(path);
    }
    let part = |name: &str| -> Result<Vec<f64>, Failure> {
        Ok(case.values(&format!("{path}.{name}"))?.data)
    };
    let (re, im) = (part("re")?, part("im")?);
    let mut shape = part("shape")?;
    shape.push(2.0);
    let shape = shape.into_iter().map(|d| d as usize).collect();
    Ok(Some(Values { shape, data: re.into_iter().zip(im).flat_map(|(a, b)| [a, b]).collect() }))
}

/// An array that must be there.
fn needed(case: &Case, path: &str) -> Result<Values, Failure> {
    array(case, path)?.ok_or_else(|| format!("no `{path}`"))
}

/// Compares with the array at `path`, if one is recorded.
fn compare(case: &Case, path: &str, found: &[f64], tolerance: f64) -> Result<(), Failure> {
    let Some(expected) = array(case, path)? else { return Ok(()) };
    case.saw();
    close(path, found, &expected.data, tolerance)
}

/// Forward, the output compared, and the gradient of the input for an upstream one, compared; of
/// these what the case records.
fn checked(
    case: &Case,
    device: &Device,
    input: &Values,
    [output, upstream, gradient]: [&str; 3],
    tolerance: f64,
    op: impl FnOnce(&Var) -> Fallible<Var>,
) -> Result<(), Failure> {
    let tape = Tape::new();
    let x = tape.leaf(&input.tensor(device)?);
    let y = op(&x).map_err(failed)?;
    compare(case, output, &read(y.value())?, tolerance)?;
    if array(case, gradient)?.is_none() {
        return Ok(());
    }
    let upstream = needed(case, upstream)?.tensor(device)?;
    let gradients = y.backward_from(&upstream).map_err(failed)?;
    let found = gradients.get(&x).ok_or_else(|| format!("{gradient}: none"))?;
    compare(case, gradient, &read(found)?, tolerance)
}

/// `rfft`: lines of M samples along the axis that the spectrum shortens; both real transforms with
/// their gradients, ortho.
pub(super) fn transforms(case: &Case, device: &Device) -> Result<(), Failure> {
    let samples = case.number("M")? as usize;
    let axis_of = |lines: &Values, spectrum: Option<&Values>| {
        let fits = |axis: usize| {
            let bins = spectrum.and_then(|z| z.shape.get(axis));
            lines.shape[axis] == samples && bins.is_none_or(|bins| *bins == samples / 2 + 1)
        };
        (0..lines.shape.len()).find(|axis| fits(*axis)).ok_or("no axis of M samples")
    };
    if let Some(x) = array(case, "x")? {
        let axis = axis_of(&x, array(case, "Z")?.as_ref())?;
        let forward = |x: &Var| x.rfft(axis, Scaling::Ortho);
        checked(case, device, &x, ["Z", "G", "gx"], TRANSFORM, forward)?;
    }
    let Some(z) = array(case, "Zin")? else { return Ok(()) };
    let axis = axis_of(&needed(case, "y")?, Some(&z))?;
    let inverse = |z: &Var| z.irfft(samples, axis, Scaling::Ortho);
    checked(case, device, &z, ["y", "g", "gZ"], TRANSFORM, inverse)
}

/// `fourier_gnn_core`: embedding, spectrum over nodes, three layers, and back. Without a bias there
/// is none, without `lam` nothing is shrunk.
pub(super) fn graph(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::new();
    let leaf = |path: &str| case.leaf(path, &tape, device)?.ok_or_else(|| format!("no `{path}`"));
    let (x, e) = (leaf("x")?, leaf("e")?);
    let nodes = x.value().count();
    let channels = e.value().count();
    let series = x.reshape([nodes]).map_err(failed)?;
    let threshold = case.number_or("lam", 0.0)? as f32;
    let names = ["P.w1", "P.b1", "P.w2", "P.b2", "P.w3", "P.b3"];
    let parameter = |path: &str| match path.contains('b') && case.find(path).is_none() {
        true => Ok(tape.leaf(&Tensor::zeros(device, [2, channels], DType::F32).map_err(failed)?)),
        false => leaf(path),
    };
    let parameters: Vec<Var> = names.into_iter().map(parameter).collect::<Result<_, _>>()?;
    let spectrum = series.rfft(0, Scaling::Ortho).map_err(failed)?;
    let z = if case.is_on("diag")? {
        diagonal(&spectrum, &e, &parameters, threshold)
    } else {
        dense(&spectrum, &e, &parameters, threshold)
    };
    let z = z.map_err(failed)?;
    compare(case, "Z", &read(z.value())?, MIX)?;
    let y = z.irfft(nodes, 0, Scaling::Ortho).map_err(failed)?;
    compare(case, "y", &read(y.value())?, MIX)?;
    let Some(seed) = case.optional("g")? else { return Ok(()) };
    let seed = seed.shaped(&[nodes, channels]).tensor(device)?;
    let gradients = y.backward_from(&seed).map_err(failed)?;
    let leaves = [("gx".to_string(), &x), ("ge".into(), &e)];
    let of_parameters = names.into_iter().zip(&parameters).map(|(n, v)| (format!("g{n}"), v));
    for (name, leaf) in leaves.into_iter().chain(of_parameters) {
        if case.find(&name).is_some() {
            let found = gradients.get(leaf).ok_or_else(|| format!("{name}: no gradient"))?;
            compare(case, &name, &read(found)?, MIX)?;
        }
    }
    Ok(())
}

/// The diagonals of weights `[2, E, E]`, with biases `[2, E]`, as `[3, 4, E]`.
fn diagonal(spectrum: &Var, e: &Var, parameters: &[Var], threshold: f32) -> Fallible<Var> {
    let n = e.value().count();
    let mut rows = Vec::new();
    for pair in parameters.chunks_exact(2) {
        // Element (i, i) of a matrix is element (n + 1) i of its row of n n.
        let flat = pair[0].reshape([2, n * n])?.pad(&[(0, 0), (0, n)])?;
        rows.push(flat.reshape([2, n, n + 1])?.narrow(2, 0..1)?.reshape([2, n])?);
        rows.push(pair[1].clone());
    }
    let rows: Vec<&Var> = rows.iter().collect();
    let weights = spikegrad::layout::concat(&rows, 0)?.reshape([3, 4, n])?;
    graph_diag_outer(spectrum, e, &weights, threshold)
}

fn dense(spectrum: &Var, e: &Var, parameters: &[Var], threshold: f32) -> Fallible<Var> {
    let bins = spectrum.shape()[0];
    let column = e.reshape([e.value().count(), 1])?;
    let x = spectrum.reshape([bins, 1, 2])?.mul(&column)?;
    let [w1, b1, w2, b2, w3, b3] = parameters else {
        return Err(spikegrad::Error::argument("golden", "three layers"));
    };
    graph_dense(&x, [w1, w2, w3], [b1, b2, b3], threshold)
}

/// The gates of a case; what it does not say stays as published.
fn gates_of(case: &Case) -> Result<HardConcrete, Failure> {
    let mut gates = HardConcrete::new();
    if case.find("beta").is_some() {
        gates = gates.beta(case.number("beta")? as f32);
    }
    if case.find("gamma").is_some() || case.find("zeta").is_some() {
        gates = gates.stretch(case.number("gamma")? as f32, case.number("zeta")? as f32);
    }
    Ok(gates)
}

/// `hard_concrete`: gates with recorded noise as in training, without as in evaluation.
pub(super) fn hard_concrete(case: &Case, device: &Device) -> Result<(), Failure> {
    let gates = gates_of(case)?;
    let noise = case.optional("u")?.map(|u| u.tensor(device)).transpose()?;
    let a = case.values("log_alpha")?;
    checked(case, device, &a, ["m", "g", "g_log_alpha"], MIX, |a| match &noise {
        Some(noise) => gates.with_noise(a, noise),
        None => gates.evaluate(a),
    })
}

/// `l0`: the exact penalty of each gate with its gradient, and the mean that the released code
/// detaches, with the gradient that it would have.
pub(super) fn l0(case: &Case, device: &Device) -> Result<(), Failure> {
    let gates = gates_of(case)?;
    let a = case.values("log_alpha")?;
    let compared = |gradient: &str, op: &dyn Fn(&Var) -> Fallible<Var>| -> Result<_, Failure> {
        let leaf = Tape::new().leaf(&a.tensor(device)?);
        let penalty = op(&leaf).map_err(failed)?;
        if case.find(gradient).is_some() {
            let gradients = penalty.sum_all().and_then(|loss| loss.backward()).map_err(failed)?;
            let found = gradients.get(&leaf).ok_or_else(|| format!("{gradient}: none"))?;
            compare(case, gradient, &read(found)?, MIX)?;
        }
        read(penalty.value())
    };
    let open = compared("g_louizos", &|a| gates.open_probabilities(a))?;
    compare(case, "louizos", &open, MIX)?;
    compared("g_code_l0", &|a| a.activate(Activation::Sigmoid)?.mean_all())?;
    let leaf = Tape::off().leaf(&a.tensor(device)?);
    let mean = gates.detached_share(&leaf).map_err(failed)?;
    compare(case, "code_l0", &read(mean.value())?, MIX)
}

/// `complex_lif_gate`: both ways back.
pub(super) fn gate(case: &Case, device: &Device) -> Result<(), Failure> {
    let mut gate = ComplexGate::new();
    if case.find("tau").is_some() {
        gate = gate.tau(case.number("tau")? as f32);
    }
    if case.find("vth").is_some() {
        gate = gate.threshold(case.number("vth")? as f32);
    }
    if case.find("alpha").is_some() {
        gate = gate.alpha(case.number("alpha")? as f32);
    }
    let z = needed(case, "Z")?;
    for (name, gate) in [("gZ_const", gate), ("gZ_ste", gate.straight_through(true))] {
        checked(case, device, &z, ["y", "G", name], MIX, |z| Ok(gate.run(z)?.y))?;
    }
    let tape = Tape::off();
    let bits = gate.run(&tape.constant(&z.tensor(device)?)).map_err(failed)?.gate;
    case.within("gate", &bools(&bits)?, |_, _| 0.0)
}

/// Packed spikes, as numbers.
fn bools(bits: &Tensor) -> Result<Vec<f64>, Failure> {
    let bits = bits.to_bools().map_err(failed)?;
    Ok(bits.into_iter().map(|b| f64::from(u8::from(b))).collect())
}

/// `sfgo`: spectrum of spikes, gated affine maps and complex layers with residuals, and back. A case
/// records the spectrum on a scale of its own, which opens the gates and which it does not name (2
/// where there is one): it is measured, and must be the same for every bin.
pub(super) fn spiking_graph(case: &Case, device: &Device) -> Result<(), Failure> {
    let samples = case.number("M")? as usize;
    let tape = Tape::off();
    let spikes = tape.constant(&case.values("spikes")?.tensor(device)?);
    let z = spikes.rfft(1, Scaling::Ortho).map_err(failed)?;
    let scale = match array(case, "Z")? {
        Some(expected) => ratio(&expected.data, &read(z.value())?),
        None => 1.0,
    };
    let z = z.mul_scalar(scale as f32).map_err(failed)?;
    compare(case, "Z", &read(z.value())?, TRANSFORM)?;
    let out = spiking_layers(case, device, &z)?;
    compare(case, "out", &read(out.value())?, MIX)?;
    let y = out.irfft(samples, 1, Scaling::Ortho).map_err(failed)?;
    compare(case, "y", &read(y.value())?, MIX)
}

/// The factor that brings `found` nearest to `expected`.
fn ratio(expected: &[f64], found: &[f64]) -> f64 {
    let dot = |b: &[f64]| found.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(expected) / dot(found).max(f64::MIN_POSITIVE)
}

fn spiking_layers(case: &Case, device: &Device, z: &Var) -> Result<Var, Failure> {
    let gate = |z: Var| ComplexGate::new().run(&z).map(|g| g.y).map_err(failed);
    // A layer without an affine map has no gate in front of it either.
    let mapped = |z: &Var, i: usize| -> Result<Var, Failure> {
        if case.find(&format!("P.a{i}")).is_none() {
            return Ok(z.clone());
        }
        let pair = |re: &str, im: &str| -> Result<Var, Failure> {
            let re = case.values(&format!("P.a{i}.{re}"))?;
            let im = case.values(&format!("P.a{i}.{im}"))?;
            let data = re.data.iter().zip(&im.data).flat_map(|(a, b)| [*a, *b]).collect();
            let pair = Values { shape: vec![re.data.len(), 2], data };
            Ok(z.tape().constant(&pair.tensor(device)?))
        };
        let (gamma, beta) = (pair("gr", "gi")?, pair("br", "bi")?);
        gate(z.mul(&gamma).and_then(|z| z.add(&beta)).map_err(failed)?)
    };
    let linear = |z: &Var, i: usize| -> Result<Var, Failure> {
        let pair = |re: &str, im: &str| -> Result<Var, Failure> {
            let re = case.values(&format!("P.l{i}.{re}"))?;
            let im = case.values(&format!("P.l{i}.{im}"))?;
            let shape = [&[2], re.shape.as_slice()].concat();
            let both = Values { shape, data: [re.data, im.data].concat() };
            Ok(z.tape().constant(&both.tensor(device)?))
        };
        let biased = case.find(&format!("P.l{i}.br")).is_some();
        let (w, b) = (pair("Wr", "Wi")?, biased.then(|| pair("br", "bi")).transpose()?);
        complex_linear(z, &w, b.as_ref(), Activation::Identity).map_err(failed)
    };
    let residual = |z: &Var, r: &str, x: Var| -> Result<Var, Failure> {
        let r = case.number_or(&format!("P.{r}"), RESIDUAL)? as f32;
        x.mul_scalar(r).and_then(|x| z.add(&x)).map_err(failed)
    };
    let y = gate(linear(&mapped(z, 1)?, 1)?)?;
    let z2 = residual(z, "r2", gate(linear(&mapped(&y, 2)?, 2)?)?)?;
    residual(&z2, "r3", gate(linear(&mapped(&z2, 3)?, 3)?)?)
}

/// `cpg`: positional codes of both papers.
pub(super) fn codes(case: &Case, device: &Device) -> Result<(), Failure> {
    let extents = |v: &Values| -> Result<[usize; 3], Failure> {
        v.shape.clone().try_into().map_err(|s| format!("codes of shape {s:?}"))
    };
    if let Some(pairs) = case.optional("spikfgo")? {
        let [steps, positions, channels] = extents(&pairs)?;
        let tau = case.number_or("tau", PACE)?;
        let found = cpg_pairs(device, steps, positions, channels / 2, tau).map_err(failed)?;
        case.within("spikfgo", &bools(&found)?, |_, _| 0.0)?;
    }
    if let Some(single) = case.optional("cpgpe")? {
        let [steps, positions, channels] = extents(&single)?;
        let found = cpg_codes(device, steps, positions, channels).map_err(failed)?;
        case.within("cpgpe", &bools(&found)?, |_, _| 0.0)?;
    }
    Ok(())
}
