//! What becomes of NaN, infinities, zeros and the ends of f32: every operator, forward and backward,
//! on every device against the oracle. A result has the oracle's class (NaN, infinite with its sign,
//! finite), where what f32 cannot hold is infinite, and a finite one its value.

use kernels_tests::{Random, Subject, oracle, subjects};
use spikegrad::elementwise::{Activation, Binary, Unary};
use spikegrad::{Device, Result, Tape, Tensor, Var};

/// What is planted into one input after the other, one to a row and to a column.
const PLANTED: [f32; 9] =
    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -3e38, 0.0, -0.0, 1e-40, -1e-40];

/// Ordinary values of an input: shape and limits.
#[derive(Clone, Copy)]
struct Input {
    shape: &'static [usize],
    low: f32,
    high: f32,
}

const fn input(shape: &'static [usize], low: f32, high: f32) -> Input {
    Input { shape, low, high }
}

impl Input {
    fn values(&self, seed: u64) -> Vec<f32> {
        Random::new(seed).values(self.shape.iter().product(), self.low, self.high)
    }
}

/// Plants one of `planted` into each row and each column of rows of `width`; of a single row, into
/// each column.
fn plant(x: &mut [f32], width: usize, planted: &[f32]) {
    let rows = x.len() / width;
    for (k, v) in planted.iter().enumerate() {
        let at = if rows > 1 { k % rows * width + (k + k / rows) % width } else { k };
        if let Some(x) = x.get_mut(at) {
            *x = *v;
        }
    }
}

/// Output and gradients for inputs, the last of which is the gradient of the output.
fn run(
    device: &Device,
    inputs: &[Input],
    values: &[Vec<f32>],
    subnormals: bool,
    f: &impl Fn(&[Var]) -> Result<Var>,
) -> Result<Vec<Vec<f64>>> {
    let tape = Tape::new();
    let held = |v: &Vec<f32>| -> Vec<f32> {
        let flush =
            |x: &f32| if subnormals || !x.is_subnormal() { *x } else { 0.0f32.copysign(*x) };
        v.iter().map(flush).collect()
    };
    let tensor = |v: &Vec<f32>, shape: &[usize]| Tensor::from_slice(device, &held(v), shape);
    let leaves: Vec<Var> = inputs
        .iter()
        .zip(values)
        .map(|(i, v)| Ok(tape.leaf(&tensor(v, i.shape)?)))
        .collect::<Result<_>>()?;
    let y = f(&leaves)?;
    let mut found = vec![y.value().to_vec::<f64>()?];
    if y.has_gradient() {
        let mut seed = values[inputs.len()].clone();
        seed.resize(y.value().count(), 1.0);
        let gradients = y.backward_from(&tensor(&seed, &y.shape().to_vec())?)?;
        for leaf in &leaves {
            found.push(gradients.get(leaf).map_or(Ok(Vec::new()), Tensor::to_vec)?);
        }
    }
    Ok(found)
}

/// Whether `a` is what `b` of the oracle is in f32.
fn alike(a: f64, b: f64, tolerance: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    let most = f64::from(f32::MAX);
    if a.abs() > most || b.abs() > most {
        return a.abs() > most && b.abs() > most && a.signum() == b.signum();
    }
    (a - b).abs() <= tolerance * b.abs().max(1.0)
}

/// What differs from the oracle when `planted` go into the inputs and the gradient of the output, one
/// of these after the other.
fn faults(
    what: &str,
    planted: &[f32],
    tolerance: f64,
    inputs: &[Input],
    f: impl Fn(&[Var]) -> Result<Var>,
) -> Vec<String> {
    let mut faults = Vec::new();
    let ordinary: Vec<Vec<f32>> = (0u64..).zip(inputs).map(|(s, i)| i.values(7 + s)).collect();
    let y = run(oracle(), inputs, &[ordinary.clone(), vec![vec![]]].concat(), true, &f);
    let y = y.unwrap_or_else(|e| panic!("{what}: {e}"));
    let mut values = ordinary;
    values.push(Random::new(3).values(y[0].len(), 0.5, 1.5));
    for which in 0..=inputs.len() {
        let mut values = values.clone();
        let width = inputs.get(which).map_or(inputs[0].shape, |i| i.shape).last().copied();
        plant(&mut values[which], width.unwrap_or(1).max(1), planted);
        let outcome = |device: &Device, subnormals: bool| {
            run(device, inputs, &values, subnormals, &f).unwrap_or_else(|e| panic!("{what}: {e}"))
        };
        let expected = [outcome(oracle(), true), outcome(oracle(), false)];
        for Subject { label, device } in subjects() {
            for (o, found) in outcome(device, true).iter().enumerate() {
                let wrong =
                    |i: &usize| !expected.iter().any(|e| alike(found[*i], e[o][*i], tolerance));
                let all: Vec<usize> = (0..found.len()).filter(wrong).collect();
                if let Some(i) = all.first() {
                    let source = values.get(which).and_then(|v| v.get(*i));
                    faults.push(format!(
                        "{what} on {label}, planted in {which}, output {o}: {} wrong, [{i}] (of {source:?}) \
                         is {:e}, should be {:e}",
                        all.len(), found[*i], expected[0][o][*i]
                    ));
                }
            }
        }
    }
    faults
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Rows and columns for every planted value, in numbers of four and not.
const SHAPES: [&[usize]; 2] = [&[12, 16], &[11, 13]];

#[test]
fn activations() {
    let kinds = [
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Softplus,
        Activation::SquaredRelu,
    ];
    let mut all = Vec::new();
    for (kind, shape) in kinds.into_iter().flat_map(|k| SHAPES.map(|s| (k, s))) {
        let x = [input(shape, -3.0, 3.0)];
        all.extend(faults(&format!("{kind:?}"), &PLANTED, 2e-5, &x, |v| v[0].activate(kind)));
    }
    none(&all);
}

#[test]
fn functions_of_one_number() {
    let power = |e: f32| Unary::Power(e);
    let functions = [
        Unary::Affine { scale: -1.5, shift: 0.25 },
        Unary::Exp,
        Unary::Ln,
        Unary::Sqrt,
        Unary::Square,
        Unary::Abs,
        Unary::Recip,
        Unary::Sign,
        Unary::Clamp { low: -0.5, high: 0.75 },
        Unary::Clamp { low: f32::NEG_INFINITY, high: 0.75 },
        Unary::Clamp { low: 0.25, high: f32::INFINITY },
        Unary::Atan,
        power(0.0),
        power(1.0),
        power(2.0),
        power(3.0),
        power(-1.0),
        power(-2.0),
        power(0.5),
        power(1.7),
        power(-0.5),
        power(1.6e7),
        power(16_777_215.0),
    ];
    let mut all = Vec::new();
    for (f, shape) in functions.into_iter().flat_map(|f| SHAPES.map(|s| (f, s))) {
        let x = [input(shape, -3.0, 3.0)];
        all.extend(faults(&format!("{f:?}"), &PLANTED, 4e-5, &x, |v| v[0].unary(f)));
    }
    none(&all);
}

#[test]
fn limits_on_one_side() {
    let x = [input(&[12, 16], -3.0, 3.0)];
    let mut all = faults("minimum", &PLANTED, 0.0, &x, |v| v[0].minimum_scalar(0.5));
    all.extend(faults("maximum", &PLANTED, 0.0, &x, |v| v[0].maximum_scalar(0.5)));
    none(&all);
}

#[test]
fn arithmetic_of_two() {
    let operators =
        [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Minimum, Binary::Maximum];
    let mut all = Vec::new();
    for op in operators {
        let same = SHAPES.map(|s| [input(s, 0.5, 3.0), input(s, 0.5, 3.0)]);
        let broadcast = [[input(&[12, 16], 0.5, 3.0), input(&[16], 0.5, 3.0)]];
        for x in same.into_iter().chain(broadcast) {
            all.extend(faults(&format!("{op:?}"), &PLANTED, 1e-5, &x, |v| v[0].binary(op, &v[1])));
        }
    }
    none(&all);
}

#[test]
fn halves() {
    let x = [input(&[11, 13], -3.0, 3.0)];
    none(&faults("half", &PLANTED, 1e-3, &x, |v| v[0].to_half()?.from_half()));
}
