//! What becomes of NaN, infinities, zeros and the ends of f32: every operator, forward and backward,
//! on every device against the oracle. A result has the oracle's class (NaN, infinite with its sign,
//! finite), where what f32 cannot hold is infinite, and a finite one its value.

mod attention;
mod kernels;
mod long;
mod optimizers;
mod sizes;
mod spikes;
mod tables;
mod transforms;

use kernels::devices as subjects;
use kernels_tests::cases::plain_cooperative;
use kernels_tests::{ACTIVATIONS, Random, Subject, oracle};
use spikegrad::attention::SpikeAttention;
use spikegrad::elementwise::{self, Activation, Binary, Unary};
use spikegrad::fourier::{self, ComplexGate, HardConcrete};
use spikegrad::lif::{Gradient, Lif, Neurons, Reset, Save, Spikes, Surrogate};
use spikegrad::linalg::MatmulKernel;
use spikegrad::loss::{self, CrossEntropy, LinearCrossEntropy};
use spikegrad::neuron::{self, Synaptic, SynapticParameters};
use spikegrad::nn::{BatchNorm, InstanceNorm};
use spikegrad::random::Generator;
use spikegrad::scan::{Decay, Plan, Recurrence, Wkv, WkvOutput, WkvState};
use spikegrad::{
    DType, Device, Launch, Result, Tape, Tensor, Var, kernels, layout, linalg, reduce,
};

/// What is planted into one input after the other, one to a row and to a column.
const PLANTED: [f32; 9] =
    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -3e38, 0.0, -0.0, 1e-40, -1e-40];

/// Those that are no ends of f32: for operators whose outcome or gradient is a sum of terms that are beyond
/// f32 themselves, with both signs, be the sum within it; why, stands beside each.
const WITHOUT_ENDS: [f32; 7] =
    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e-40, -1e-40];

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
        let gradients = y.backward_from(&tensor(&seed, y.shape())?)?;
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

/// A tenth of an outcome, for operators whose gradients are sums of products with the outcome's: of a number
/// of 3e38 and more than one they would be beyond f32.
fn tenth(y: &Var) -> Result<Var> {
    y.mul_scalar(0.1)
}

/// Those of each planted value alone, where all inputs meet in one output.
fn singly(
    what: &str,
    planted: &[f32],
    tolerance: f64,
    inputs: &[Input],
    f: impl Fn(&[Var]) -> Result<Var>,
) -> Vec<String> {
    let one = |v: &f32| faults(&format!("{what} ({v:e})"), &[*v], tolerance, inputs, &f);
    planted.iter().flat_map(one).collect()
}

fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Rows and columns for every planted value, in numbers of four and not.
const SHAPES: [&[usize]; 2] = [&[12, 16], &[11, 13]];

#[test]
fn activations() {
    let mut all = Vec::new();
    for (kind, shape) in ACTIVATIONS.into_iter().flat_map(|k| SHAPES.map(|s| (k, s))) {
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
    let mut all = Vec::new();
    for op in Binary::all() {
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
    let mut all = faults("half", &PLANTED, 1e-3, &x, |v| v[0].to_half()?.from_half());
    let x = [input(&[32, 16], -1.0, 1.0), input(&[16, 32], -1.0, 1.0)];
    // The gradients of the operands are halves, too, and sums of products with what is infinite there.
    all.extend(faults("product of halves", &WITHOUT_ENDS, 1e-2, &x, |v| {
        v[0].to_half()?.matmul(&v[1].to_half()?)
    }));
    all.extend(faults("cooperative product", &PLANTED, 1e-2, &x, |v| {
        let [a, b] = [0, 1].map(|i| elementwise::to_half(v[i].value()));
        Ok(Tape::off().constant(&plain_cooperative(&a?, &b?)?))
    }));
    none(&all);
}

/// Elements that are moved, and zeros beside them.
#[test]
fn moved_elements() {
    let mut all = Vec::new();
    for shape in SHAPES {
        let x = [input(shape, -3.0, 3.0)];
        let mut add = |what: &str, f: &dyn Fn(&Var) -> Result<Var>| {
            all.extend(faults(what, &PLANTED, 0.0, &x, |v| f(&v[0])));
        };
        add("transpose", &|v| v.transpose());
        add("pad", &|v| v.pad(&[(1, 0), (2, 3)]));
        add("copy", &|v| Ok(Tape::off().constant(&elementwise::copy(v.value())?)));
        add("steps", &|v| v.repeat_steps(1));
    }
    let x = [input(&[9, 12], -3.0, 3.0)];
    all.extend(faults("repeated steps", &PLANTED, 1e-6, &x, |v| v[0].repeat_steps(5)));
    none(&all);
}

/// Rows for every planted value, for one invocation and for a workgroup.
const ROWS: [&[usize]; 3] = [&[12, 16], &[11, 13], &[10, 77]];

#[test]
fn reductions() {
    let mut all = Vec::new();
    for shape in ROWS {
        let x = [input(shape, -3.0, 3.0)];
        for axis in [0, 1] {
            let mut add = |what: &str, planted: &[f32], f: &dyn Fn(&Var) -> Result<Var>| {
                let what = format!("{what} over {axis} of {shape:?}");
                all.extend(faults(&what, planted, 1e-5, &x, |v| f(&v[0])));
            };
            add("sum", &PLANTED, &|v| v.sum(&[axis], false));
            add("mean", &PLANTED, &|v| v.mean(&[axis], false));
            add("max", &PLANTED, &|v| v.max(&[axis], false));
            add("min", &PLANTED, &|v| v.min(&[axis], false));
            add("variance", &PLANTED, &|v| v.variance(&[axis], false, 1));
            add("standard deviation", &PLANTED, &|v| v.standard_deviation(&[axis], false, 1));
            add("norm", &PLANTED, &|v| v.norm(&[axis], false));
            add("softmax", &PLANTED, &|v| v.softmax(axis));
            add("log_softmax", &PLANTED, &|v| v.log_softmax(axis));
        }
    }
    none(&all);
}

#[test]
fn the_place_of_an_extremum() {
    let nan = f32::NAN;
    let inf = f32::INFINITY;
    let mut rows = vec![
        [1.0, nan, 2.0, nan, inf],
        [-inf, -inf, -inf, -inf, -inf],
        [-nan, 3.0, 1.0, 0.0, -1.0],
        [0.0, -0.0, 0.0, -0.0, 0.0],
        [-inf, inf, inf, 0.0, -inf],
    ];
    rows.extend(rows.clone());
    let largest = [1u32, 0, 0, 0, 1];
    let smallest = [1u32, 0, 0, 0, 0];
    // Rows for one invocation, and, longer, for a workgroup.
    for width in [5, 100] {
        let x: Vec<f32> =
            rows.iter().flat_map(|r| (0..width).map(|c| if c < 5 { r[c] } else { r[4] })).collect();
        for Subject { label, device } in subjects() {
            let t = Tensor::from_slice(device, &x, [10, width]).unwrap();
            let found = |y: Tensor| y.to_vec::<u32>().unwrap();
            assert_eq!(found(reduce::argmax(&t, 1, false).unwrap()), largest.repeat(2), "{label}");
            assert_eq!(found(reduce::argmin(&t, 1, false).unwrap()), smallest.repeat(2), "{label}");
        }
    }
}

#[test]
fn normalisations() {
    let mut all = Vec::new();
    for shape in ROWS {
        let width: &'static [usize] = &shape[1..];
        let x = [input(shape, -3.0, 3.0), input(width, 0.5, 1.5), input(width, -1.0, 1.0)];
        let layer = |v: &[Var]| v[0].layer_norm(&v[1], Some(&v[2]), 1e-3);
        all.extend(faults("layer norm", &PLANTED, 1e-4, &x, layer));
        let rms = |v: &[Var]| v[0].rms_norm(&v[1], 1e-3);
        all.extend(faults("rms norm", &PLANTED, 1e-4, &x[..2], rms));
        let weight = |v: &[Var]| v[0].weight_norm(&v[1]);
        all.extend(faults("weight norm", &PLANTED, 1e-4, &x[..2], weight));
    }
    none(&all);
}

/// Of channels over a batch, and of series over a window.
#[test]
fn normalisations_of_columns() {
    let mut all = Vec::new();
    for shape in ROWS {
        let x = [input(shape, -3.0, 3.0)];
        for training in [true, false] {
            all.extend(faults("batch norm", &PLANTED, 1e-4, &x, |v| {
                let norm = BatchNorm::new(shape[1], v[0].device())?;
                let _ = kernels_tests::forward(&norm, &v[0], true)?;
                tenth(&kernels_tests::forward(&norm, &v[0], training)?)
            }));
        }
        all.extend(faults("instance norm", &PLANTED, 1e-4, &x, |v| {
            InstanceNorm::of(v[0].value())?.apply(&v[0])
        }));
    }
    none(&all);
}

#[test]
fn a_column_of_zeros_stays_one() {
    let x = [input(&[9, 4], 0.0, 0.0), input(&[4], 0.5, 1.5)];
    for Subject { label, device } in subjects() {
        let values = [vec![0.0; 36], vec![1.0; 4], vec![1.0; 36]];
        for found in run(device, &x, &values, true, &|v| v[0].weight_norm(&v[1])).unwrap() {
            assert!(found.iter().all(|v| *v == 0.0), "{label}: {found:?}");
        }
    }
}

#[test]
fn the_mask_of_the_largest() {
    let mut all = Vec::new();
    for shape in ROWS {
        let x = [input(shape, -3.0, 3.0)];
        all.extend(faults("top_k", &PLANTED, 1e-5, &x, |v| v[0].top_k_mask(3)));
    }
    none(&all);
}

/// What stands for no target.
const PADDING: u32 = u32::MAX;

/// Targets of so many rows, one of them padding.
fn targets(device: &Device, rows: usize, classes: usize) -> Result<Tensor> {
    let mut targets: Vec<u32> = (0..rows).map(|r| (r * 5 % classes) as u32).collect();
    targets[3] = PADDING;
    Tensor::from_slice(device, &targets, [rows])
}

#[test]
fn losses() {
    let mut all = Vec::new();
    for shape in ROWS {
        let x = [input(shape, -3.0, 3.0)];
        for (smoothing, stable) in [(0.0, false), (0.1, false), (0.0, true)] {
            let what = format!("cross-entropy {shape:?} {smoothing} {stable}");
            let ignore_index = Some(PADDING);
            let options = CrossEntropy { smoothing, ignore_index, ..CrossEntropy::default() };
            all.extend(singly(&what, &PLANTED, 2e-5, &x, |v| {
                let t = targets(v[0].device(), shape[0], shape[1])?;
                match stable {
                    true => loss::stable_max(&v[0], &t, options),
                    false => loss::cross_entropy(&v[0], &t, options),
                }
            }));
        }
        let x = [input(shape, -3.0, 3.0), input(shape, -3.0, 3.0)];
        all.extend(singly("mse", &PLANTED, 1e-5, &x, |v| loss::mse(&v[0], &v[1])));
        all.extend(singly("rate_mse", &PLANTED, 1e-5, &x[..1], |v| loss::rate_mse(&v[0], 0.1)));
    }
    none(&all);
}

/// The loss of each position, which has no gradient.
#[test]
fn losses_of_positions() {
    let mut all = Vec::new();
    let x = [input(&[10, 9], -1.0, 1.0), input(&[13, 9], -1.0, 1.0)];
    all.extend(singly("position_losses", &PLANTED, 2e-5, &x, |v| {
        let t = Tensor::from_slice(v[0].device(), &[3u32, 1, 12, 0, 4, 5, 11, 2, 9, 3], [10])?;
        let y = loss::position_losses(v[0].value(), v[1].value(), &t)?;
        Ok(Tape::off().constant(&y))
    }));
    none(&all);
}

/// Classes that are masked with -infinity, and every one but the target.
#[test]
fn masked_classes() {
    let masked = f32::NEG_INFINITY;
    let rows = [1.0, masked, 0.5, 3e38, -3e38, 0.0, masked, masked, 2.0];
    let expected = 0.474_076_98 / 3.0;
    for Subject { label, device } in subjects() {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &rows, [3, 3]).unwrap());
        let t = Tensor::from_slice(device, &[0u32, 0, 2], [3]).unwrap();
        let loss = loss::cross_entropy(&x, &t, CrossEntropy::default()).unwrap();
        let found = loss.value().to_vec::<f64>().unwrap()[0];
        assert!((found - expected).abs() < 1e-6, "{label}: {found}");
        let g = loss.backward().unwrap().get(&x).unwrap().to_vec::<f32>().unwrap();
        assert!(g.iter().all(|g| g.is_finite()), "{label}: {g:?}");
    }
}

#[test]
fn linear_layers() {
    let mut all = Vec::new();
    let kinds = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softplus,
    ];
    // Depths with every remainder of four.
    let depths: [[Input; 3]; 4] = [
        [input(&[11, 9], -1.0, 1.0), input(&[9, 7], -1.0, 1.0), input(&[7], -1.0, 1.0)],
        [input(&[11, 10], -1.0, 1.0), input(&[10, 8], -1.0, 1.0), input(&[8], -1.0, 1.0)],
        [input(&[9, 11], -1.0, 1.0), input(&[11, 5], -1.0, 1.0), input(&[5], -1.0, 1.0)],
        [input(&[12, 16], -1.0, 1.0), input(&[16, 12], -1.0, 1.0), input(&[12], -1.0, 1.0)],
    ];
    for (x, kind) in depths.into_iter().flat_map(|x| kinds.map(|k| (x, k))) {
        let what = format!("linear {kind:?} {:?}", x[0].shape);
        let f = |v: &[Var]| linalg::linear(&v[0], &v[1], Some(&v[2]), kind);
        all.extend(faults(&what, &PLANTED, 2e-5, &x, f));
    }
    none(&all);
}

/// The operands of A B, A B^T and A^T B in depths with every remainder of four.
const PRODUCTS: [[[&[usize]; 2]; 3]; 4] = [
    [[&[11, 9], &[9, 7]], [&[11, 9], &[7, 9]], [&[9, 11], &[9, 7]]],
    [[&[11, 10], &[10, 7]], [&[11, 10], &[7, 10]], [&[10, 11], &[10, 7]]],
    [[&[11, 11], &[11, 7]], [&[11, 11], &[7, 11]], [&[11, 11], &[11, 7]]],
    [[&[70, 67], &[67, 66]], [&[70, 67], &[66, 67]], [&[67, 70], &[67, 66]]],
];

#[test]
fn products_of_every_layout() {
    type Run = fn(&Var, &Var) -> Result<Var>;
    let runs: [(&str, Run); 3] =
        [("matmul", Var::matmul), ("matmul_nt", Var::matmul_nt), ("matmul_tn", Var::matmul_tn)];
    let mut all = Vec::new();
    for shapes in PRODUCTS {
        for ((what, run), shapes) in runs.into_iter().zip(shapes) {
            let x = shapes.map(|shape| input(shape, -1.0, 1.0));
            all.extend(faults(what, &PLANTED, 2e-5, &x, |v| run(&v[0], &v[1])));
        }
    }
    none(&all);
}

/// What is dropped does not depend on its number; what is kept does.
#[test]
fn dropped_numbers() {
    let x = [input(&[11, 13], -3.0, 3.0)];
    // Twice 3e38 is infinite in f32.
    none(&faults("dropout", &PLANTED, 1e-6, &x, |v| {
        v[0].dropout(0.5, &mut Generator::new(v[0].device(), 1)?)
    }));
}

/// Every kernel of a product, by itself.
#[test]
fn products_of_every_kernel() {
    let mut all = Vec::new();
    let kernels = [MatmulKernel::Naive, MatmulKernel::Registers, MatmulKernel::Tiled];
    for (kernel, [shapes, ..]) in kernels.into_iter().flat_map(|k| PRODUCTS.map(|s| (k, s))) {
        let x = shapes.map(|shape| input(shape, -1.0, 1.0));
        // 0 times infinity is no number.
        let zeros = [input(shapes[0], 0.0, 0.0), x[1]];
        for x in [x, zeros] {
            all.extend(faults(&format!("{kernel:?}"), &PLANTED, 2e-5, &x, |v| {
                let y = linalg::Matmul::new().kernel(kernel).run(v[0].value(), v[1].value())?;
                Ok(Tape::off().constant(&y))
            }));
        }
    }
    none(&all);
}

/// A depth that is summed in pieces.
#[test]
fn deep_products() {
    let x = [input(&[4, 40_000], -1.0, 1.0), input(&[40_000, 4], -1.0, 1.0)];
    let mut all = faults("deep halves", &WITHOUT_ENDS, 1e-2, &x, |v| {
        let [a, b] = [0, 1].map(|i| elementwise::to_half(v[i].value()));
        let y = linalg::Matmul::new().output(DType::F16).run(&a?, &b?)?;
        Ok(Tape::off().constant(&elementwise::from_half(&y)?))
    });
    // A sum of 3e38 and others, in pieces, is beyond f32 at other places than in one.
    all.extend(faults("deep", &WITHOUT_ENDS, 1e-4, &x, |v| {
        Ok(Tape::off().constant(&linalg::Matmul::new().run(v[0].value(), v[1].value())?))
    }));
    none(&all);
}

/// Packed spikes times weights: steps and depths with every remainder of four.
#[test]
fn products_of_packed_spikes() {
    let mut all = Vec::new();
    let shapes: [([usize; 3], &'static [usize]); 3] =
        [([5, 2, 9], &[9, 10]), ([6, 3, 10], &[10, 12]), ([7, 2, 11], &[11, 9])];
    for (shape, weights) in shapes {
        let w = [input(weights, -1.0, 1.0)];
        all.extend(faults(&format!("spikes {shape:?}"), &PLANTED, 2e-5, &w, |v| {
            let mut random = Random::new(9);
            let bits: Vec<bool> =
                (0..shape.iter().product()).map(|_| random.word().is_multiple_of(2)).collect();
            let spikes = v[0].tape().leaf(&Tensor::from_bools(v[0].device(), &bits, shape)?);
            linalg::linear(&spikes, &v[0], None, Activation::Identity)
        }));
    }
    none(&all);
}

#[test]
fn linear_layers_fused_with_their_loss() {
    let mut all = Vec::new();
    let shapes = [
        [input(&[10, 9], -1.0, 1.0), input(&[13, 9], -1.0, 1.0)],
        [input(&[12, 8], -1.0, 1.0), input(&[80, 8], -1.0, 1.0)],
    ];
    for (x, budget) in shapes.into_iter().flat_map(|x| [(x, None), (x, Some(40))]) {
        let (rows, classes) = (x[0].shape[0], x[1].shape[0]);
        let what = format!("linear cross-entropy of {classes}, {budget:?}");
        let ignore_index = Some(PADDING);
        let options = LinearCrossEntropy { budget, ignore_index, ..LinearCrossEntropy::default() };
        // The mean over a count that the device alone knows is made of the sum, which is beyond f32.
        all.extend(singly(&what, &WITHOUT_ENDS, 2e-5, &x, |v| {
            let t = targets(v[0].device(), rows, classes)?;
            loss::linear_cross_entropy_with(&v[0], &v[1], &t, options)
        }));
    }
    none(&all);
}

/// Classes of logits of -infinity that fill whole tiles.
#[test]
fn masked_tiles_of_classes() {
    let mut w = vec![1.0f32; 12];
    w[4..].fill(f32::NEG_INFINITY);
    for Subject { label, device } in subjects() {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &[1.0f32, 2.0], [2, 1]).unwrap());
        let w = tape.leaf(&Tensor::from_slice(device, &w, [12, 1]).unwrap());
        let t = Tensor::from_slice(device, &[0u32, 3], [2]).unwrap();
        let options = LinearCrossEntropy { budget: Some(4), ..LinearCrossEntropy::default() };
        let loss = loss::linear_cross_entropy_with(&x, &w, &t, options).unwrap();
        let found = loss.value().to_vec::<f64>().unwrap()[0];
        assert!((found - 4f64.ln()).abs() < 1e-6, "{label}: {found}");
    }
}

/// A membrane that is no number does not fire, and stays none.
#[test]
fn neurons_of_the_literature() {
    let mut all = Vec::new();
    let x = [input(&[11, 12], -0.6, 1.4)];
    for (i, neuron) in neuron::LITERATURE.into_iter().enumerate() {
        all.extend(faults(&format!("neuron {i}"), &[f32::NAN], 2e-4, &x, |v| {
            neuron()?.scan(&[&v[0]])?.state.mul_scalar(1.0)
        }));
    }
    none(&all);
}

#[test]
fn leaky_neurons() {
    let mut all = Vec::new();
    let surrogates = [
        Surrogate::Atan(2.0),
        Surrogate::Sigmoid(4.0),
        Surrogate::FastSigmoid(5.0),
        Surrogate::Triangle(1.0),
        Surrogate::Rectangle(1.0),
    ];
    let soft = Lif::new().reset(Reset::Soft);
    let mut neurons: Vec<Lif> = surrogates.map(|s| soft.surrogate(s)).to_vec();
    neurons.extend([
        Lif::new().reset(Reset::Hard(0.0)).detach_reset(true),
        Lif::new().reset(Reset::None).clamp(-2.0, 2.0),
        soft.save(Save::Checkpoints(8)),
        soft.gradient(Gradient::Spatial),
        soft.output(Spikes::F32),
    ]);
    let x = [
        input(&[11, 12], -0.6, 1.4),
        input(&[12], -0.5, 0.5),
        input(&[12], 0.5, 0.9),
        input(&[12], 0.7, 1.2),
    ];
    for (i, lif) in neurons.into_iter().enumerate() {
        let what = format!("neuron {i}");
        // The membrane carries what a spike cannot. A soft reset takes off a threshold at every spike, and
        // several of 3e38 are beyond f32 before the decay brings the sum back.
        all.extend(faults(&what, &WITHOUT_ENDS, 2e-4, &x, |v| {
            let learned =
                Neurons { decay: Some(&v[2]), threshold: Some(&v[3]), ..Neurons::default() };
            lif.scan_with(&v[0], Some(&v[1]), &learned)?.state.mul_scalar(1.0)
        }));
        let x = [input(&[11, 12], -0.6, 1.4)];
        all.extend(faults(&what, &PLANTED, 2e-4, &x, |v| {
            let spikes = lif.scan(&v[0], None)?.spikes;
            match spikes.dtype() {
                spikegrad::DType::Bits => spikes.unpack(),
                _ => Ok(spikes),
            }
        }));
    }
    none(&all);
}

#[test]
fn synaptic_neurons() {
    let mut all = Vec::new();
    let x = [
        input(&[11, 12], -0.4, 0.6),
        input(&[2, 12], -0.5, 1.5),
        input(&[12], 0.5, 0.9),
        input(&[12], 0.5, 0.9),
        input(&[12], 0.7, 1.2),
    ];
    for reset in [neuron::Reset::None, neuron::Reset::Subtract, neuron::Reset::Zero] {
        for detached in [true, false] {
            let what = format!("{reset:?}, detached {detached}");
            let neuron = Synaptic::new(0.6, 0.7).reset(reset).detach_reset(detached).trace(true);
            // A reset takes a threshold off, and a membrane sums several inputs: of 3e38 they are beyond
            // f32 before the decay brings the sum back.
            all.extend(faults(&what, &WITHOUT_ENDS, 2e-4, &x, |v| {
                let (alpha, beta, threshold) = (Some(&v[2]), Some(&v[3]), Some(&v[4]));
                let parameters = SynapticParameters { alpha, beta, threshold };
                let out = neuron.scan_with(&v[0], Some(&v[1]), &parameters)?;
                out.state.mul_scalar(1.0)
            }));
            all.extend(faults(&what, &WITHOUT_ENDS, 2e-4, &x[..2], |v| {
                let out = neuron.scan(&v[0], Some(&v[1]))?;
                out.spikes.add(&out.membrane.expect("a trace"))
            }));
            let packed = neuron.output(Spikes::Bits);
            all.extend(faults(&what, &WITHOUT_ENDS, 2e-4, &x[..1], |v| {
                packed.scan(&v[0], None)?.spikes.unpack()
            }));
        }
    }
    none(&all);
}

#[test]
fn recurrences() {
    let mut all = Vec::new();
    let x = [input(&[40, 12], -1.0, 1.0), input(&[12], -2.0, 3.0), input(&[12], -1.0, 1.0)];
    let value = [x[0], input(&[12], 0.1, 0.9), x[2]];
    for plan in [Plan::Sequential, Plan::Chunked(16)] {
        for scan in [Recurrence::integrator(), Recurrence::average()] {
            let what = format!("{scan:?}");
            // The gradient of a decay sums products of states with gradients over all steps.
            all.extend(faults(&what, &WITHOUT_ENDS, 1e-4, &x, |v| {
                Ok(scan.plan(plan).scan(&v[0], Decay::Logit(&v[1]), Some(&v[2]))?.h)
            }));
            all.extend(faults(&what, &WITHOUT_ENDS, 1e-4, &value, |v| {
                Ok(scan.plan(plan).scan(&v[0], Decay::Value(&v[1]), Some(&v[2]))?.h)
            }));
        }
    }
    none(&all);
}

#[test]
fn weighted_averages_over_the_past() {
    let mut all = Vec::new();
    let x = [
        input(&[40, 12], -1.0, 1.0),
        input(&[40, 12], -1.0, 1.0),
        input(&[12], -2.0, 1.0),
        input(&[12], -1.0, 1.0),
    ];
    for plan in [Plan::Sequential, Plan::Chunked(16)] {
        let scan = Wkv::new().plan(plan);
        let what = format!("{scan:?}");
        // The sums over weighted values are beyond f32 where their quotient is not.
        all.extend(faults(&what, &WITHOUT_ENDS, 2e-4, &x, |v| {
            Ok(scan.scan(&v[0], &v[1], &v[2], &v[3], None)?.y)
        }));
    }
    none(&all);
}

/// A decay of NaN is in every average of two steps of the past and more: at the first step there is none, at
/// the second one that has not decayed. A bonus is in every average.
#[test]
fn averages_without_a_past() {
    const STEPS: usize = 24;
    let values: Vec<f32> = (1..=STEPS).map(|v| v as f32).collect();
    for plan in [Plan::Sequential, Plan::Chunked(8)] {
        for Subject { label, device } in subjects() {
            let tape = Tape::new();
            let leaf = |x: &[f32], shape: &[usize]| {
                tape.leaf(&Tensor::from_slice(device, x, shape).unwrap())
            };
            let (k, v) = (leaf(&[0.0; STEPS], &[STEPS, 1]), leaf(&values, &[STEPS, 1]));
            let average = |w: f32, u: f32, state: Option<&WkvState>| {
                let out =
                    Wkv::new().plan(plan).scan(&k, &v, &leaf(&[w], &[1]), &leaf(&[u], &[1]), state);
                out.unwrap()
            };
            let known = |out: &WkvOutput| {
                let y = out.y.value().to_vec::<f32>().unwrap();
                y.iter().map(|y| !y.is_nan()).collect::<Vec<bool>>()
            };
            let what = format!("{plan:?} on {label}");
            let lost = average(f32::NAN, 0.0, None);
            let y = lost.y.value().to_vec::<f32>().unwrap();
            assert!((y[0] - 1.0).abs() < 1e-6 && (y[1] - 1.5).abs() < 1e-6, "{what}: {y:?}");
            let two: Vec<bool> = (0..STEPS).map(|t| t < 2).collect();
            assert_eq!(known(&lost), two, "{what}");
            assert_eq!(known(&average(-1.0, f32::NAN, None)), [false; STEPS], "{what}");
            // A state is a past, whose last step has not decayed yet.
            let state = average(-1.0, 0.0, None).state;
            let one: Vec<bool> = (0..STEPS).map(|t| t < 1).collect();
            assert_eq!(known(&average(f32::NAN, 0.0, Some(&state))), one, "{what}");
        }
    }
}

/// A decay that overflows leaves the step before; keys below any exponent give the mean.
#[test]
fn averages_at_the_ends() {
    let (steps, plain) = (24, [0.0f32; 24]);
    let values: Vec<f32> = (1..=steps).map(|v| v as f32).collect();
    let before: Vec<f64> = (1..=steps)
        .map(|t| {
            if t == 1 { 1.0 } else { ((t - 1) as f64 + t as f64 * 1f64.exp()) / (1.0 + 1f64.exp()) }
        })
        .collect();
    let mean: Vec<f64> = (1..=steps).map(|t| (t as f64 + 1.0) / 2.0).collect();
    let low = [-2e30f32; 24];
    let lowest = [f32::MIN; 24];
    let cases = [
        (&plain, 89.0, 1.0, &before),
        (&plain, 1e4, 1.0, &before),
        (&plain, 1e38, 1.0, &before),
        (&low, -100.0, 0.0, &mean),
        (&lowest, -100.0, 0.0, &mean),
    ];
    for (keys, w, u, expected) in cases {
        for plan in [Plan::Sequential, Plan::Chunked(8)] {
            for Subject { label, device } in subjects() {
                let tape = Tape::new();
                let leaf = |x: &[f32], shape: &[usize]| {
                    tape.leaf(&Tensor::from_slice(device, x, shape).unwrap())
                };
                let (k, v) = (leaf(keys, &[steps, 1]), leaf(&values, &[steps, 1]));
                let (w, u) = (leaf(&[w], &[1]), leaf(&[u], &[1]));
                let y = Wkv::new().plan(plan).scan(&k, &v, &w, &u, None).unwrap().y;
                let found = y.value().to_vec::<f64>().unwrap();
                for (found, expected) in found.iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{label} {plan:?}: {found}, not {expected}"
                    );
                }
                let g = y.sum_all().unwrap().backward().unwrap();
                for leaf in [&k, &v, &w, &u] {
                    let g = g.get(leaf).unwrap().to_vec::<f32>().unwrap();
                    assert!(g.iter().all(|g| g.is_finite()), "{label} {plan:?}: {g:?}");
                }
            }
        }
    }
}

/// Under a window that sees every row, a number of the last row reaches that row alone, and what is
/// not finite all that depends on it.
#[test]
fn attention_sees_what_is_not_finite() {
    let shape = [40, 1, 8];
    let width = shape[2];
    for (which, planted) in (0..3).flat_map(|i| [f32::NAN, f32::INFINITY, 3e38].map(|v| (i, v))) {
        let mut inputs = [5, 6, 7].map(|s| Random::new(s).values(40 * 8, -1.0, 1.0));
        inputs[which][39 * width] = planted;
        for Subject { label, device } in subjects() {
            let what = format!("{planted} in {which} on {label}");
            let tape = Tape::new();
            let leaf = |x: &Vec<f32>| tape.leaf(&Tensor::from_slice(device, x, shape).unwrap());
            let [q, k, v] = [0, 1, 2].map(|i| leaf(&inputs[i]));
            let open = spikegrad::elementwise::full(device, shape, 1.0).unwrap();
            let attention = SpikeAttention::new(1).window(64).rotary(None);
            let y = attention.attend(&q, &k, &v, &open).unwrap();
            let found = y.value().to_vec::<f32>().unwrap();
            let last = &found[39 * width..];
            if planted.is_finite() {
                // The largest score takes all; those that f32 holds are numbers.
                assert!(last.iter().all(|y| !y.is_nan()), "{what}: {last:?}");
            } else {
                let column = if which == 2 { 1 } else { width };
                assert!(last[..column].iter().all(|y| !y.is_finite()), "{what}: {last:?}");
            }
            if which < 2 {
                assert!(found[..39 * width].iter().all(|y| y.is_finite()), "{what}");
            }
            if planted.is_finite() {
                continue;
            }
            let g = y.sum_all().unwrap().backward().unwrap();
            let seen = |leaf: &Var| {
                let g = g.get(leaf).unwrap().to_vec::<f32>().unwrap();
                g.iter().any(|g| !g.is_finite())
            };
            assert!(seen(&q) && seen(&k), "{what}: gradients of queries and keys");
        }
    }
}

#[test]
fn convolutions_and_shifts() {
    let mut all = Vec::new();
    let x = [input(&[11, 1, 13], -1.0, 1.0), input(&[3, 13], -1.0, 1.0), input(&[13], -1.0, 1.0)];
    let depthwise = |v: &[Var]| v[0].depthwise_conv(&v[1], Some(&v[2]), 2);
    all.extend(faults("depthwise", &PLANTED, 1e-5, &x, depthwise));
    let x = [input(&[11, 1, 3], -1.0, 1.0), input(&[3, 3, 5], -1.0, 1.0), input(&[5], -1.0, 1.0)];
    let causal = |v: &[Var]| v[0].causal_conv(&v[1], Some(&v[2]), 1, Activation::Relu);
    all.extend(faults("causal", &PLANTED, 1e-5, &x, causal));
    let x = [input(&[11, 1, 13], -1.0, 1.0), input(&[13], 0.1, 0.9), input(&[1, 13], -1.0, 1.0)];
    let shift = |v: &[Var]| v[0].token_shift(&v[1], Some(&v[2]));
    // The gradients of what weighs two inputs are sums of products with their difference.
    all.extend(faults("shift", &WITHOUT_ENDS, 1e-5, &x, shift));
    for shape in SHAPES {
        let x = [input(shape, -1.0, 1.0), input(shape, -1.0, 1.0), input(&[1], -1.0, 1.0)];
        all.extend(singly("mix", &WITHOUT_ENDS, 1e-5, &x, |v| v[0].mix(&v[1], &v[2])));
    }
    none(&all);
}

spikegrad::params! {
    struct Shrink {
        count: u32,
        threshold: f32,
    }
}

/// A launch of one of the kernels that the gradient of a dense mix is made by, for these elements.
fn shrink_launch(name: &str, like: &Tensor) -> Launch {
    let kernel = kernels().into_iter().find(|k| k.name == name).expect("a kernel");
    let launch = like.device().launch(kernel).items(like.count());
    launch.params(&Shrink { count: like.count() as u32, threshold: 0.1 })
}

/// The gradients of three shrunk layers, side by side, for those layers and what comes from above.
fn shrunk_backward(v: &[Var]) -> Result<Var> {
    let [a, b, c, g] = [0, 1, 2, 3].map(|i| v[i].value());
    let gradients = [a; 3].map(|t| Tensor::zeros(t.device(), *t.shape(), DType::F32));
    let [ga, gb, gc] = gradients;
    let (ga, gb, gc) = (ga?, gb?, gc?);
    let launch = shrink_launch("mix_shrink_backward", a).bind("a", a).bind("b", b).bind("c", c);
    launch.bind("g", g).bind("ga", &ga).bind("gb", &gb).bind("gc", &gc).record()?;
    Ok(Tape::off().constant(&layout::concat_tensors(&[&ga, &gb, &gc], 0)?))
}

/// The gradient before relu of a layer: of its outcome, what comes from above and from the next layer.
fn reached(v: &[Var], next: bool) -> Result<Var> {
    let o = v[0].value();
    let gz = Tensor::zeros(o.device(), *o.shape(), DType::F32)?;
    let launch = shrink_launch("mix_reached", o).constant("NEXT", next).bind("o", o);
    let launch = launch.bind("g", v[1].value()).bind_if("next", v.get(2).map(Var::value));
    launch.bind("gz", &gz).record()?;
    Ok(Tape::off().constant(&gz))
}

#[test]
fn complex_numbers() {
    let mut all = Vec::new();
    let z = input(&[11, 6, 2], -1.0, 1.0);
    let mut add = |what: &str, planted: &[f32], x: &[Input], f: &dyn Fn(&[Var]) -> Result<Var>| {
        all.extend(faults(what, planted, 2e-5, x, f));
    };
    add("modulus", &PLANTED, &[z], &|v| v[0].modulus());
    add("phase", &PLANTED, &[z], &|v| v[0].phase());
    add("product", &PLANTED, &[z, z], &|v| v[0].complex_mul(&v[1]));
    add("conjugate product", &PLANTED, &[z, z], &|v| v[0].complex_mul_conjugate(&v[1]));
    let weights = [z, input(&[2, 6, 5], -1.0, 1.0), input(&[2, 5], -1.0, 1.0)];
    add("linear", &PLANTED, &weights, &|v| {
        fourier::complex_linear(&v[0], &v[1], Some(&v[2]), Activation::Relu)
    });
    add("bins", &PLANTED, &[z, input(&[6], 0.1, 1.0)], &|v| v[0].gate_bins(&v[1], 1));
    add("diagonal mix", &PLANTED, &[z, input(&[3, 4, 6], -1.0, 1.0)], &|v| {
        fourier::graph_diag(&v[0], &v[1], 0.1)
    });
    let square = input(&[2, 6, 6], -1.0, 1.0);
    let bias = input(&[2, 6], -1.0, 1.0);
    add("dense mix", &PLANTED, &[z, square, square, square, bias, bias, bias], &|v| {
        // Backward goes different ways through a closed relu: 0, or 0 times what comes from above.
        let y = fourier::graph_dense(&v[0], [&v[1], &v[2], &v[3]], [&v[4], &v[5], &v[6]], 0.1)?;
        Ok(y.detach())
    });
    let part = input(&[11, 12], -1.0, 1.0);
    add("shrinkage", &PLANTED, &[part; 4], &|v| shrunk_backward(v));
    add("reached", &PLANTED, &[input(&[11, 12], -0.5, 1.0), part, part], &|v| reached(v, true));
    add("reached last", &PLANTED, &[part, part], &|v| reached(v, false));
    let gates = [ComplexGate::new(), ComplexGate::new().straight_through(true)];
    for gate in gates {
        // A membrane of 3e38 takes the difference from an input of the other sign.
        add("gate", &WITHOUT_ENDS, &[z], &|v| Ok(gate.run(&v[0])?.y));
        add("affine gate", &WITHOUT_ENDS, &[z, input(&[2, 6, 2], 0.5, 1.5)], &|v| {
            Ok(gate.run_affine(&v[0], &v[1])?.y)
        });
        add("residual gate", &WITHOUT_ENDS, &[z, z, input(&[1], 0.5, 1.5)], &|v| {
            Ok(gate.run_residual(&v[0], &v[1], &v[2])?.y)
        });
    }
    let logits = input(&[11, 13], -3.0, 3.0);
    add("concrete", &PLANTED, &[logits], &|v| HardConcrete::new().evaluate(&v[0]));
    add("noisy concrete", &PLANTED, &[logits], &|v| {
        let noise = Random::new(4).values(11 * 13, 0.01, 0.99);
        let noise = Tensor::from_slice(v[0].device(), &noise, [11, 13])?;
        HardConcrete::new().with_noise(&v[0], &noise)
    });
    none(&all);
}
