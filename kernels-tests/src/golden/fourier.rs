//! Fourier transforms, Fourier graph operators, gates on spectra, positional codes.

use super::case::{Case, Failure, Values, close, failed, read, within};
use spikegrad::elementwise::Activation;
use spikegrad::fourier::{
    ComplexGate, HardConcrete, Scaling, complex_linear, cpg_codes, cpg_pairs, graph_dense,
    graph_diag_outer,
};
use spikegrad::{Device, Result as Fallible, Tape, Var};

/// How far a transform may be off, relative to the largest value of its line.
const TRANSFORM: f64 = 2e-6;
/// Likewise a mix, and gradients.
const MIX: f64 = 1e-5;

/// A complex array `{"shape", "re", "im"}`, as pairs.
fn complex(case: &Case, path: &str) -> Result<Values, Failure> {
    let part = |name: &str| -> Result<Vec<f64>, Failure> {
        Ok(case.values(&format!("{path}.{name}"))?.data)
    };
    let (re, im) = (part("re")?, part("im")?);
    let mut shape = case.values(&format!("{path}.shape"))?.data;
    shape.push(2.0);
    let shape = shape.into_iter().map(|d| d as usize).collect();
    Ok(Values { shape, data: re.into_iter().zip(im).flat_map(|(a, b)| [a, b]).collect() })
}

/// Forward, the output compared, and the gradient of the input for an upstream one, compared.
fn checked(
    what: &str,
    device: &Device,
    [input, output, upstream, gradient]: [&Values; 4],
    tolerance: f64,
    op: impl FnOnce(&Var) -> Fallible<Var>,
) -> Result<(), Failure> {
    let tape = Tape::new();
    let x = tape.leaf(&input.tensor(device)?);
    let y = op(&x).map_err(failed)?;
    close(what, &read(y.value())?, &output.data, tolerance)?;
    let gradients = y.backward_from(&upstream.tensor(device)?).map_err(failed)?;
    let found = gradients.get(&x).ok_or_else(|| format!("{what}: no gradient"))?;
    close(&format!("gradient of {what}"), &read(found)?, &gradient.data, tolerance)
}

/// `rfft`: lines of M samples along the last axis, or the first; both real transforms with their
/// gradients, ortho.
pub(super) fn transforms(case: &Case, device: &Device) -> Result<(), Failure> {
    let samples = case.number("M")? as usize;
    let x = case.values("x")?;
    let axis = x.shape.iter().position(|d| *d == samples).ok_or("no axis of M samples")?;
    let (z, g, gx) = (complex(case, "Z")?, complex(case, "G")?, case.values("gx")?);
    checked("rfft", device, [&x, &z, &g, &gx], TRANSFORM, |x| x.rfft(axis, Scaling::Ortho))?;
    let (z, y) = (complex(case, "Zin")?, case.values("y")?);
    let (g, gz) = (case.values("g")?, complex(case, "gZ")?);
    let inverse = |z: &Var| z.irfft(samples, axis, Scaling::Ortho);
    checked("irfft", device, [&z, &y, &g, &gz], TRANSFORM, inverse)
}

/// `fourier_gnn_core`: embedding, spectrum over nodes, three layers, and back.
pub(super) fn graph(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::new();
    let leaf = |path: &str| Ok::<_, Failure>(tape.leaf(&case.values(path)?.tensor(device)?));
    let (x, e) = (leaf("x")?, leaf("e")?);
    let nodes = x.value().count();
    let channels = e.value().count();
    let series = x.reshape([nodes]).map_err(failed)?;
    let threshold = case.number("lam")? as f32;
    let names = ["P.w1", "P.b1", "P.w2", "P.b2", "P.w3", "P.b3"];
    let parameters: Vec<Var> = names.into_iter().map(leaf).collect::<Result<_, _>>()?;
    let spectrum = series.rfft(0, Scaling::Ortho).map_err(failed)?;
    let z = if case.flag("diag")? {
        diagonal(&spectrum, &e, &parameters, threshold)
    } else {
        dense(&spectrum, &e, &parameters, threshold)
    };
    let z = z.map_err(failed)?;
    close("Z", &read(z.value())?, &complex(case, "Z")?.data, MIX)?;
    let y = z.irfft(nodes, 0, Scaling::Ortho).map_err(failed)?;
    close("y", &read(y.value())?, &case.values("y")?.data, MIX)?;
    let seed = case.values("g")?.shaped(&[nodes, channels]).tensor(device)?;
    let gradients = y.backward_from(&seed).map_err(failed)?;
    let leaves = [("gx".to_string(), &x), ("ge".into(), &e)];
    let of_parameters = names.into_iter().zip(&parameters).map(|(n, v)| (format!("g{n}"), v));
    for (name, leaf) in leaves.into_iter().chain(of_parameters) {
        let found = gradients.get(leaf).ok_or_else(|| format!("{name}: no gradient"))?;
        close(&name, &read(found)?, &case.values(&name)?.data, MIX)?;
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

/// `hard_concrete`: gates with recorded noise.
pub(super) fn hard_concrete(case: &Case, device: &Device) -> Result<(), Failure> {
    let gates = HardConcrete::new()
        .beta(case.number("beta")? as f32)
        .stretch(case.number("gamma")? as f32, case.number("zeta")? as f32);
    let noise = case.values("u")?.tensor(device)?;
    let (a, m) = (case.values("log_alpha")?, case.values("m")?);
    let (g, ga) = (case.values("g")?, case.values("g_log_alpha")?);
    let op = |a: &Var| gates.with_noise(a, &noise);
    checked("m", device, [&a, &m, &g, &ga], MIX, op)
}

/// `l0`: the exact penalty of each gate with its gradient, and the detached mean.
pub(super) fn l0(case: &Case, device: &Device) -> Result<(), Failure> {
    let gates = HardConcrete::new().beta(case.number("beta")? as f32);
    let (a, exact) = (case.values("log_alpha")?, case.values("louizos")?);
    let ones = Values { shape: a.shape.clone(), data: vec![1.0; a.data.len()] };
    let gradient = case.values("g_louizos")?;
    let op = |a: &Var| gates.open_probabilities(a);
    checked("P(m > 0)", device, [&a, &exact, &ones, &gradient], MIX, op)?;
    let tape = Tape::new();
    let leaf = tape.leaf(&a.tensor(device)?);
    let mean = gates.detached_share(&leaf).map_err(failed)?;
    close("mean", &read(mean.value())?, &[case.number("code_l0")?], MIX)
}

/// `complex_lif_gate`: both ways back.
pub(super) fn gate(case: &Case, device: &Device) -> Result<(), Failure> {
    let gate = ComplexGate::new()
        .tau(case.number("tau")? as f32)
        .threshold(case.number("vth")? as f32)
        .alpha(case.number("alpha")? as f32);
    let (z, y, g) = (complex(case, "Z")?, complex(case, "y")?, complex(case, "G")?);
    for (name, gate) in [("gZ_const", gate), ("gZ_ste", gate.straight_through(true))] {
        let gz = complex(case, name)?;
        checked(name, device, [&z, &y, &g, &gz], MIX, |z| Ok(gate.run(z)?.y))?;
    }
    let tape = Tape::off();
    let bits = gate.run(&tape.constant(&z.tensor(device)?)).map_err(failed)?.gate;
    let bits: Vec<f64> =
        bits.to_bools().map_err(failed)?.iter().map(|b| f64::from(u8::from(*b))).collect();
    within("gate", &bits, &case.values("gate")?.data, |_| 0.0)
}

/// `sfgo`: spectrum of spikes, gated affine maps and complex layers with residuals, and back. A case
/// records the spectrum on a scale of its own, which opens the gates and which it does not name (2
/// where there is one): it is measured, and must be the same for every bin.
pub(super) fn spiking_graph(case: &Case, device: &Device) -> Result<(), Failure> {
    let samples = case.number("M")? as usize;
    let tape = Tape::off();
    let spikes = tape.constant(&case.values("spikes")?.tensor(device)?);
    let z = spikes.rfft(1, Scaling::Ortho).map_err(failed)?;
    let expected = complex(case, "Z")?.data;
    let z = z.mul_scalar(ratio(&expected, &read(z.value())?) as f32).map_err(failed)?;
    close("Z", &read(z.value())?, &expected, TRANSFORM)?;
    let out = spiking_layers(case, device, &z)?;
    close("out", &read(out.value())?, &complex(case, "out")?.data, MIX)?;
    let y = out.irfft(samples, 1, Scaling::Ortho).map_err(failed)?;
    close("y", &read(y.value())?, &case.values("y")?.data, MIX)
}

/// The factor that brings `found` nearest to `expected`.
fn ratio(expected: &[f64], found: &[f64]) -> f64 {
    let dot = |b: &[f64]| found.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(expected) / dot(found).max(f64::MIN_POSITIVE)
}

fn spiking_layers(case: &Case, device: &Device, z: &Var) -> Result<Var, Failure> {
    let gate = |z: Var| ComplexGate::new().run(&z).map(|g| g.y).map_err(failed);
    // Released configurations without affine maps record none.
    let affine = |z: &Var, i: usize| -> Result<Var, Failure> {
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
        z.mul(&gamma).and_then(|z| z.add(&beta)).map_err(failed)
    };
    let linear = |z: &Var, i: usize| -> Result<Var, Failure> {
        let pair = |re: &str, im: &str| -> Result<Var, Failure> {
            let re = case.values(&format!("P.l{i}.{re}"))?;
            let im = case.values(&format!("P.l{i}.{im}"))?;
            let shape = [&[2], re.shape.as_slice()].concat();
            let both = Values { shape, data: [re.data, im.data].concat() };
            Ok(z.tape().constant(&both.tensor(device)?))
        };
        let (w, b) = (pair("Wr", "Wi")?, pair("br", "bi")?);
        complex_linear(z, &w, Some(&b), Activation::Identity).map_err(failed)
    };
    let residual = |z: &Var, r: &str, x: Var| -> Result<Var, Failure> {
        let r = case.number(&format!("P.{r}"))? as f32;
        x.mul_scalar(r).and_then(|x| z.add(&x)).map_err(failed)
    };
    let a = gate(affine(z, 1)?)?;
    let y = gate(linear(&a, 1)?)?;
    let a = gate(affine(&y, 2)?)?;
    let z2 = residual(z, "r2", gate(linear(&a, 2)?)?)?;
    let a = gate(affine(&z2, 3)?)?;
    residual(&z2, "r3", gate(linear(&a, 3)?)?)
}

/// `cpg`: positional codes of both papers.
pub(super) fn codes(case: &Case, device: &Device) -> Result<(), Failure> {
    let pairs = case.values("spikfgo")?;
    let single = case.values("cpgpe")?;
    let extents = |v: &Values| -> Result<[usize; 3], Failure> {
        v.shape.clone().try_into().map_err(|s| format!("codes of shape {s:?}"))
    };
    let [steps, positions, channels] = extents(&pairs)?;
    let found = cpg_pairs(device, steps, positions, channels / 2, 1e4).map_err(failed)?;
    let bits = |t: &spikegrad::Tensor| -> Result<Vec<f64>, Failure> {
        let bits = t.to_bools().map_err(failed)?;
        Ok(bits.into_iter().map(|b| f64::from(u8::from(b))).collect())
    };
    within("spikfgo", &bits(&found)?, &pairs.data, |_| 0.0)?;
    let [steps, positions, channels] = extents(&single)?;
    let found = cpg_codes(device, steps, positions, channels).map_err(failed)?;
    within("cpgpe", &bits(&found)?, &single.data, |_| 0.0)
}
