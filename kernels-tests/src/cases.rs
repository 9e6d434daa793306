//! Small programs that together launch every kernel in every variant: what `export` writes for other
//! programs.

use crate::{ACTIVATIONS, Random};
use spikegrad::attention::{Form as ProductForm, Gate, SpikeAttention, SpikeProduct};
use spikegrad::elementwise::{self, Activation, Binary, Unary};
use spikegrad::encode::{self, Latency};
use spikegrad::fourier::{
    ComplexGate, HardConcrete, Scaling, complex_linear, graph_dense, graph_diag, graph_diag_outer,
    node_lines, token_lines,
};
use spikegrad::layout::{self, concat};
use spikegrad::lif::{Lif, Neurons, Save, Spikes};
use spikegrad::linalg::{Layout, Matmul, MatmulKernel, linear};
use spikegrad::loss::{
    CrossEntropy, accuracy, cross_entropy, linear_cross_entropy, mse, rate_mse, stable_max,
};
use spikegrad::neuron::{self, Synaptic, SynapticParameters};
use spikegrad::optim::{
    AdEmaMix, AdamW, Constraint, Dion, Muon, NorMuon, Optimizer, Sgd, Signum, Spam,
};
use spikegrad::random::Generator;
use spikegrad::scan::{Decay, Plan, Recurrence, Wkv, WkvState};
use spikegrad::spectral::{Form, HardClip, Polar, SpectralClip, Steps, spectral_norm};
use spikegrad::{DType, Device, Error, Param, Result, Tape, Tensor, Var, kernels, reduce};

/// A program, and the family that it is for.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The family.
    pub family: &'static str,
    /// Runs it.
    pub run: fn(&Device) -> Result<()>,
}

/// All of them.
pub const CASES: &[Case] = &[
    Case { family: "elementwise", run: elementwise_case },
    Case { family: "random", run: random_case },
    Case { family: "reduce", run: reduce_case },
    Case { family: "layout", run: layout_case },
    Case { family: "linalg", run: linalg_case },
    Case { family: "lif", run: lif_case },
    Case { family: "neuron", run: neuron_case },
    Case { family: "scan", run: scan_case },
    Case { family: "attention", run: attention_case },
    Case { family: "conv", run: conv_case },
    Case { family: "norm", run: norm_case },
    Case { family: "token", run: token_case },
    Case { family: "loss", run: loss_case },
    Case { family: "encode", run: encode_case },
    Case { family: "optim", run: optim_case },
    Case { family: "spectral", run: spectral_case },
    Case { family: "fourier", run: fourier_case },
];

/// Numbers in [-1, 1), the same on every device.
fn numbers(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let count = shape.iter().product();
    let seed = shape.iter().fold(7, |seed, n| seed * 31 + *n as u64);
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

/// Zeros and ones.
fn spikes(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let mut random = Random::new(3);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (random.word() & 1) as f32).collect();
    Tensor::from_slice(device, &values, shape)
}

fn words(device: &Device, count: usize, below: u32) -> Result<Tensor> {
    let mut random = Random::new(5);
    let values: Vec<u32> = (0..count).map(|_| random.word() % below).collect();
    Tensor::from_slice(device, &values, [count])
}

/// Leaves of a tape.
struct Leaves<'a> {
    device: &'a Device,
    tape: Tape,
}

impl<'a> Leaves<'a> {
    fn new(device: &'a Device) -> Self {
        Self { device, tape: Tape::new() }
    }

    fn leaf(&self, shape: &[usize]) -> Result<Var> {
        Ok(self.tape.leaf(&numbers(self.device, shape)?))
    }

    fn bits(&self, shape: &[usize]) -> Result<Var> {
        Ok(self.tape.constant(&elementwise::pack(&spikes(self.device, shape)?)?))
    }
}

/// Only that it runs counts.
fn done<T>(outcome: Result<T>) -> Result<()> {
    outcome.map(drop)
}

/// Differentiates the sum of squares.
fn differentiate(y: &Var) -> Result<()> {
    y.mul(y)?.sum_all()?.backward().map(drop)
}

fn elementwise_case(device: &Device) -> Result<()> {
    for count in [64, 63] {
        for activation in ACTIVATIONS {
            let at = Leaves::new(device);
            differentiate(&at.leaf(&[count])?.activate(activation)?)?;
        }
        let at = Leaves::new(device);
        let x = at.leaf(&[count])?;
        let positive = x.abs()?.add_scalar(0.5)?;
        differentiate(
            &positive.ln()?.exp()?.add(&positive.power(1.5)?)?.sub(&x.unary(Unary::Atan)?)?,
        )?;
        let at = Leaves::new(device);
        let (x, y) = (at.leaf(&[count])?, at.leaf(&[count])?);
        for op in Binary::all() {
            done(elementwise::binary(op, x.value(), y.value()))?;
        }
        differentiate(&x.div(&y.abs()?.add_scalar(1.0)?)?.maximum(&y)?)?;
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[3, count])?.mul(&at.leaf(&[count])?)?)?;
        done(elementwise::copy(y.value()))?;
        done(elementwise::full(device, [count], 2.5))?;
    }
    let x = numbers(device, &[64])?;
    done(elementwise::from_half(&elementwise::to_half(&x)?))?;
    done(elementwise::unpack(&elementwise::pack(&spikes(device, &[40, 5])?)?))?;
    elementwise::fma_peak(device, 256, 2).map(drop)
}

fn random_case(device: &Device) -> Result<()> {
    let mut generator = Generator::new(device, 1)?;
    done(generator.uniform([100]))?;
    done(generator.normal([100]))?;
    let p = Tensor::from_slice(device, &[0.1f32, 0.5, 0.9], [3])?;
    for dtype in [DType::F32, DType::Bits] {
        done(generator.bernoulli(0.3, [40, 3], dtype))?;
        done(generator.bernoulli_each(&p, [40, 3], dtype))?;
    }
    generator.advance()?;
    let at = Leaves::new(device);
    differentiate(&at.leaf(&[64])?.dropout(0.5, &mut generator)?)
}

fn reduce_case(device: &Device) -> Result<()> {
    // Rows that one invocation walks, and rows that a workgroup shares.
    for length in [10, 300] {
        let at = Leaves::new(device);
        let x = at.leaf(&[4, length])?;
        let y = x.softmax(1)?.add(&x.log_softmax(1)?)?;
        let moments = x.variance(&[1], true, 0)?.add(&x.norm(&[1], true)?)?;
        let moments = moments.add(&x.standard_deviation(&[1], true, 0)?)?;
        let ends = x.max(&[1], true)?.add(&x.min(&[1], true)?)?;
        differentiate(&y.add(&moments)?.add(&ends)?.add(&x.mean(&[1], true)?)?)?;
        done(reduce::argmax(x.value(), 1, false))?;
        done(reduce::sum(x.value(), &[0], false))?;
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[length, 4])?.softmax(0)?)?;
        differentiate(&at.bits(&[40, length])?.rate()?.add(&at.leaf(&[length])?)?)?;
        differentiate(&at.leaf(&[40, length])?.rate()?)?;
    }
    let long = numbers(device, &[70_000])?;
    done(reduce::sum(&long, &[0], false))?;
    done(reduce::max(&long, &[0], false))?;
    let tall = numbers(device, &[33_000, 3])?;
    reduce::sum(&tall, &[0], false).map(drop)
}

fn layout_case(device: &Device) -> Result<()> {
    let at = Leaves::new(device);
    let x = at.leaf(&[3, 40, 50])?;
    let y = x.permute(&[0, 2, 1])?.narrow(1, 3..40)?.pad(&[(1, 0), (2, 3), (0, 1)])?;
    differentiate(&concat(&[&y, &y], 2)?)?;
    differentiate(&at.leaf(&[3, 1])?.expand([3, 5])?)?;
    differentiate(&at.leaf(&[6, 7, 5])?.permute(&[2, 1, 0])?)?;
    let w = words(device, 6000, 9)?.reshape([3, 40, 50])?;
    done(layout::permute(&w, &[0, 2, 1]))?;
    done(layout::permute(&w, &[2, 1, 0]))?;
    done(layout::pad(&layout::slice(&w, &[0..3, 1..20, 0..50])?, &[(0, 1), (1, 0), (0, 0)]))?;
    layout::concat_tensors(&[&w, &w], 1).map(drop)
}

fn linalg_case(device: &Device) -> Result<()> {
    // By four, one by one, of few and of many columns.
    for [m, k, n] in [[32, 16, 8], [33, 17, 9], [70, 130, 129], [1, 64, 64]] {
        let (a, b) = (numbers(device, &[m, k])?, numbers(device, &[k, n])?);
        let kernels = [MatmulKernel::Naive, MatmulKernel::Registers, MatmulKernel::Tiled];
        for kernel in kernels {
            done(Matmul::new().kernel(kernel).run(&a, &b))?;
        }
        done(Matmul::new().layout(Layout::TN).run(&numbers(device, &[k, m])?, &b))?;
        done(Matmul::new().layout(Layout::NT).run(&a, &numbers(device, &[n, k])?))?;
        let c = numbers(device, &[m, n])?;
        done(Matmul::new().add_to(&a, &b, &c))?;
        for activation in [Activation::Identity, Activation::Gelu, Activation::Tanh] {
            let at = Leaves::new(device);
            let (x, w, bias) = (at.leaf(&[m, k])?, at.leaf(&[k, n])?, at.leaf(&[n])?);
            differentiate(&linear(&x, &w, Some(&bias), activation)?)?;
            let at = Leaves::new(device);
            let (w, bias) = (at.leaf(&[k, n])?, at.leaf(&[n])?);
            differentiate(&linear(&at.bits(&[40, m, k])?, &w, Some(&bias), activation)?)?;
        }
    }
    // Summed over in pieces.
    done(Matmul::new().run(&numbers(device, &[4, 40_000])?, &numbers(device, &[40_000, 4])?))?;
    for [m, k, n] in [[32, 16, 8], [33, 18, 10]] {
        let a = elementwise::to_half(&numbers(device, &[m, k])?)?;
        let b = elementwise::to_half(&numbers(device, &[k, n])?)?;
        for kernel in [MatmulKernel::Registers, MatmulKernel::Tiled] {
            done(Matmul::new().kernel(kernel).run(&a, &b))?;
            done(Matmul::new().kernel(kernel).output(DType::F16).run(&a, &b))?;
        }
    }
    let [a, b] = [[32, 16], [16, 32]].map(|shape| numbers(device, &shape));
    done(plain_cooperative(&elementwise::to_half(&a?)?, &elementwise::to_half(&b?)?))?;
    let at = Leaves::new(device);
    let (a, b) = (at.leaf(&[32, 16])?.to_half()?, at.leaf(&[16, 8])?.to_half()?);
    differentiate(&a.matmul(&b)?)
}

spikegrad::params! {
    struct CooperativeParams {
        sizes: [u32; 3],
        batch: [u32; 2],
        groups: [u32; 2],
        rest: [u32; 8],
    }
}

/// The product of two f16 matrices, whose extents are multiples of 16, by what the kernel for cooperative
/// matrices does where there are none.
///
/// # Errors
/// Those of its launch.
pub fn plain_cooperative(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let [m, k, n] = [a.shape()[0], a.shape()[1], b.shape()[1]];
    let c = Tensor::empty(a.device(), [m, n], DType::F32)?;
    let Some(kernel) = kernels().into_iter().find(|k| k.name == "matmul_coop") else {
        return Err(Error::argument("matmul_coop", "no such kernel"));
    };
    let params = CooperativeParams {
        sizes: [m, n, k].map(|extent| extent as u32),
        batch: [0, 1],
        groups: [0, m as u32 / 4],
        rest: [1, 0, 0, 0, 0, 0, 0, 0],
    };
    let launch = a.device().launch(kernel).params(&params).bind("a", a).bind("b", b);
    launch.bind("c", &c).workgroups(m / 16 * (n / 16)).record()?;
    Ok(c)
}

fn lif_case(device: &Device) -> Result<()> {
    for (output, save) in [
        (Spikes::F32, Save::Membrane),
        (Spikes::Bits, Save::Membrane),
        (Spikes::F32, Save::Checkpoints(8)),
    ] {
        let at = Leaves::new(device);
        let x = at.leaf(&[40, 3, 5])?;
        let v0 = at.leaf(&[3, 5])?;
        let decay = at.tape.leaf(&elementwise::full(device, [5], 0.7)?);
        let neurons = Neurons { decay: Some(&decay), ..Neurons::default() };
        let lif = Lif::new().output(output).save(save).threshold(0.4);
        let found = lif.scan_with(&x, Some(&v0), &neurons)?;
        match output {
            Spikes::Bits => differentiate(&found.state)?,
            _ => differentiate(&found.spikes)?,
        }
    }
    Ok(())
}

fn neuron_case(device: &Device) -> Result<()> {
    let at = Leaves::new(device);
    let (x, state) = (at.leaf(&[40, 3, 5])?, at.leaf(&[2, 3, 5])?);
    let beta = at.tape.leaf(&elementwise::full(device, [5], 0.7)?);
    let parameters = SynapticParameters { beta: Some(&beta), ..SynapticParameters::default() };
    let neuron = Synaptic::new(0.5, 0.5).threshold(0.4).detach_reset(false);
    differentiate(&neuron.scan_with(&x, Some(&state), &parameters)?.spikes)?;
    for neuron in neuron::LITERATURE {
        let x = Leaves::new(device).leaf(&[40, 3, 5])?;
        differentiate(&neuron()?.scan(&[&x])?.emitted[0])?;
    }
    Ok(())
}

fn scan_case(device: &Device) -> Result<()> {
    for plan in [Plan::Auto, Plan::Sequential, Plan::Chunked(16)] {
        let at = Leaves::new(device);
        let (u, raw, h) = (at.leaf(&[70, 2, 6])?, at.leaf(&[3])?, at.leaf(&[2, 6])?);
        let decay = Decay::Logit(&raw);
        let found = Recurrence::average().plan(plan).scan(&u, decay, Some(&h))?;
        differentiate(&found.h)?;
        let at = Leaves::new(device);
        let (k, v) = (at.leaf(&[70, 2, 6])?, at.leaf(&[70, 2, 6])?);
        let (w, u) = (at.leaf(&[6])?.abs()?, at.leaf(&[6])?);
        let state = WkvState::empty(device, &[2, 6])?;
        differentiate(&Wkv::new().plan(plan).scan(&k, &v, &w, &u, Some(&state))?.y)?;
    }
    // Columns enough for one walk through time.
    let at = Leaves::new(device);
    let u = at.leaf(&[8, 4096, 8])?;
    differentiate(&Recurrence::integrator().scan(&u, Decay::Fixed(0.5), None)?.h)
}

fn attention_case(device: &Device) -> Result<()> {
    for width in [8, 6] {
        for bits in [false, true] {
            let at = Leaves::new(device);
            let q = at.leaf(&[40, 2, width])?;
            let (k, v) = (at.leaf(&[40, 2, width])?, at.leaf(&[40, 2, width])?);
            let open = spikes(device, &[40, 2, width])?;
            let open = if bits { elementwise::pack(&open)? } else { open };
            let attention = SpikeAttention::new(1).window(16).anchors(2);
            differentiate(&attention.attend(&q, &k, &v, &open)?)?;
            let at = Leaves::new(device);
            let gate = at.leaf(&[40, 2])?.sigmoid()?;
            let (q, k, v) =
                (at.leaf(&[40, 2, width])?, at.leaf(&[40, 2, width])?, at.leaf(&[40, 2, width])?);
            let gated = attention.clone().gate(Gate::Head);
            let open = words(device, 80, 2)?.reshape([40, 2])?;
            differentiate(&gated.attend_gated(&q, &k, &v, &open, Some(gate.value()))?)?;
            let mut cache = attention.cache(device, 2, width)?;
            let [k, v] = [k.value(), v.value()];
            let tokens = spikes(device, &[40, 2, width])?;
            let tokens = if bits { elementwise::pack(&tokens)? } else { tokens };
            attention.extend(&mut cache, k, v, &tokens)?;
            let token = || numbers(device, &[1, 2, width]);
            let fires = spikes(device, &[1, 2, width])?;
            let fires = if bits { elementwise::pack(&fires)? } else { fires };
            done(attention.decode(&mut cache, &token()?, &token()?, &token()?, &fires))?;
        }
        for form in [ProductForm::Linear, ProductForm::Quadratic] {
            let product = SpikeProduct::new(1).form(form);
            let at = Leaves::new(device);
            let [q, k, v] = [(); 3].map(|()| at.bits(&[40, 2, width]));
            done(product.attend(&q?, &k?, &v?))?;
            let at = Leaves::new(device);
            let [q, k, v] = [(); 3].map(|()| {
                Ok::<_, spikegrad::Error>(at.tape.leaf(&spikes(device, &[40, 2, width])?))
            });
            differentiate(&product.attend(&q?, &k?, &v?)?)?;
        }
    }
    Ok(())
}

fn conv_case(device: &Device) -> Result<()> {
    let at = Leaves::new(device);
    let x = at.leaf(&[20, 2, 6])?;
    differentiate(&x.depthwise_conv(&at.leaf(&[3, 6])?, Some(&at.leaf(&[6])?), 2)?)?;
    let at = Leaves::new(device);
    let (x, w) = (at.leaf(&[20, 2, 6])?, at.leaf(&[3, 6, 5])?);
    differentiate(&x.causal_conv(&w, Some(&at.leaf(&[5])?), 2, Activation::Relu)?)
}

fn norm_case(device: &Device) -> Result<()> {
    for length in [12, 300] {
        let at = Leaves::new(device);
        let (x, r) = (at.leaf(&[5, length])?, at.leaf(&[5, length])?);
        let (gain, bias) = (at.leaf(&[length])?, at.leaf(&[length])?);
        let y = x.layer_norm(&gain, Some(&bias), 1e-5)?;
        let (sum, z) = pair(x.add_layer_norm(&r, &gain, Some(&bias), 1e-5)?, &y);
        differentiate(&sum.add(&z)?.add(&x.rms_norm(&gain, 1e-5)?)?)?;
        let at = Leaves::new(device);
        differentiate(
            &at.leaf(&[length, 5])?
                .weight_norm(&at.leaf(&[5])?)?
                .add(&at.tape.constant(&numbers(device, &[length, 5, 1])?.reshape([length, 5])?))?,
        )?;
    }
    // A column that one invocation of a software adapter does not reach the end of.
    let at = Leaves::new(device);
    differentiate(
        &at.leaf(&[70_000, 2])?
            .weight_norm(&at.leaf(&[2])?)?
            .add(&at.tape.constant(&numbers(device, &[140_000])?.reshape([70_000, 2])?))?,
    )?;
    Ok(())
}

fn pair(a: Var, b: &Var) -> (Var, Var) {
    (a, b.clone())
}

fn token_case(device: &Device) -> Result<()> {
    for (count, width) in [(40, 8), (3000, 6)] {
        let at = Leaves::new(device);
        let tokens = words(device, count, 20)?;
        differentiate(&at.leaf(&[20, width])?.embedding(&tokens)?)?;
    }
    let at = Leaves::new(device);
    let tokens = words(device, 40, 20)?;
    differentiate(&at.leaf(&[20, 8])?.embedding_padded(&tokens, Some(3))?)?;
    for length in [12, 300] {
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[5, length])?.top_k_mask(3)?)?;
    }
    for width in [8, 7] {
        let at = Leaves::new(device);
        let (x, mix, before) =
            (at.leaf(&[9, 1, width])?, at.leaf(&[width])?, at.leaf(&[1, width])?);
        differentiate(&x.token_shift(&mix, Some(&before))?)?;
        let at = Leaves::new(device);
        let (a, b, raw) = (at.leaf(&[9, 1, width])?, at.leaf(&[9, 1, width])?, at.leaf(&[1])?);
        differentiate(&a.mix(&b, &raw)?)?;
    }
    Ok(())
}

fn loss_case(device: &Device) -> Result<()> {
    for classes in [10, 300] {
        let targets = words(device, 6, classes as u32)?;
        let at = Leaves::new(device);
        let logits = at.leaf(&[6, classes])?;
        cross_entropy(&logits, &targets, CrossEntropy::default())?.backward()?;
        let at = Leaves::new(device);
        let logits = at.leaf(&[6, classes])?;
        stable_max(&logits, &targets, CrossEntropy::default())?.backward()?;
        done(accuracy(logits.value(), &targets))?;
        let at = Leaves::new(device);
        linear_cross_entropy(&at.leaf(&[6, 16])?, &at.leaf(&[classes, 16])?, &targets)?
            .backward()?;
        let at = Leaves::new(device);
        let (x, w) = (at.leaf(&[6, 15])?, at.leaf(&[classes, 15])?);
        linear_cross_entropy(&x, &w, &targets)?.mul_scalar(2.0)?.backward()?;
    }
    for columns in [10, 300] {
        let at = Leaves::new(device);
        mse(&at.leaf(&[columns])?, &at.leaf(&[columns])?)?.backward()?;
        let at = Leaves::new(device);
        rate_mse(&at.tape.leaf(&spikes(device, &[40, columns])?), 0.2)?.backward()?;
        let at = Leaves::new(device);
        let lif = Lif::new().output(Spikes::Bits);
        let fired = lif.scan(&at.leaf(&[40, columns])?.mul_scalar(3.0)?, None)?;
        rate_mse(&fired.spikes, 0.2)?.backward()?;
    }
    Ok(())
}

fn encode_case(device: &Device) -> Result<()> {
    for count in [12, 13] {
        done(encode::constant(&numbers(device, &[count])?, 9))?;
    }
    let x = numbers(device, &[12])?;
    done(encode::latency(&x, 9, Latency::default()))?;
    done(encode::delta(&numbers(device, &[40, 3])?, 0.1, true))?;
    let at = Leaves::new(device);
    differentiate(&at.leaf(&[12])?.repeat_steps(9)?)
}

/// Two steps of an optimizer over a matrix and a vector.
fn steps(device: &Device, [rows, columns]: [usize; 2], make: Make) -> Result<()> {
    let matrix = Param::new("matrix", numbers(device, &[rows, columns])?);
    let vector = Param::new("vector", numbers(device, &[columns])?);
    let mut optimizer = make(&[matrix.clone(), vector.clone()])?;
    for _ in 0..2 {
        let tape = Tape::new();
        let loss = tape.param(&matrix).add(&tape.param(&vector))?.square()?.sum_all()?;
        optimizer.step(&loss.backward()?)?;
    }
    Ok(())
}

type Make = fn(&[Param]) -> Result<Box<dyn Optimizer>>;

fn optim_case(device: &Device) -> Result<()> {
    let made: [Make; 9] = [
        |p| Ok(Box::new(Sgd::builder().build(p)?)),
        |p| Ok(Box::new(Sgd::builder().momentum(0.9).nesterov(true).build(p)?)),
        |p| Ok(Box::new(AdamW::builder().clip_norm(1.0).skip_non_finite(true).build(p)?)),
        |p| {
            Ok(Box::new(
                AdEmaMix::builder().constraint(Constraint::Box { low: 0.0, high: 1.0 }).build(p)?,
            ))
        },
        |p| Ok(Box::new(Signum::builder().build(p)?)),
        |p| Ok(Box::new(Spam::builder().build(p)?)),
        |p| Ok(Box::new(Muon::builder().group("vectors", is_vector, AdamW::builder()).build(p)?)),
        |p| {
            Ok(Box::new(NorMuon::builder().group("vectors", is_vector, AdamW::builder()).build(p)?))
        },
        |p| Ok(Box::new(Dion::builder().group("vectors", is_vector, AdamW::builder()).build(p)?)),
    ];
    for make in made {
        for shape in [[8, 12], [9, 7]] {
            steps(device, shape, make)?;
        }
    }
    let made: [Make; 6] = [
        |p| Ok(Box::new(Spam::builder().density(0.5, 7).build(p)?)),
        |p| {
            Ok(Box::new(
                Muon::builder()
                    .polar(Polar::muon(3).storage(DType::F16))
                    .group("vectors", is_vector, AdamW::builder())
                    .build(p)?,
            ))
        },
        |p| {
            Ok(Box::new(
                AdamW::builder()
                    .post_clip(SpectralClip::new(1.0).storage(DType::F16))
                    .group("vectors", is_vector, AdamW::builder())
                    .build(p)?,
            ))
        },
        |p| Ok(Box::new(AdamW::builder().orthogonal(true).build(p)?)),
        |p| {
            Ok(Box::new(
                AdamW::builder()
                    .pre_clip(SpectralClip::new(1.0))
                    .group("vectors", is_vector, AdamW::builder())
                    .build(p)?,
            ))
        },
        |p| {
            Ok(Box::new(
                AdamW::builder()
                    .post_clip(SpectralClip::new(1.0))
                    .group("vectors", is_vector, AdamW::builder())
                    .build(p)?,
            ))
        },
    ];
    for make in made {
        for shape in [[8, 12], [9, 7], [70, 129]] {
            steps(device, shape, make)?;
        }
    }
    // A column that one invocation of a software adapter does not reach the end of.
    steps(device, [40_000, 2], |p| {
        Ok(Box::new(Dion::builder().group("vectors", is_vector, AdamW::builder()).build(p)?))
    })
}

fn is_vector(p: &Param) -> bool {
    p.value().shape().rank() != 2
}

fn spectral_case(device: &Device) -> Result<()> {
    for shape in [[8, 12], [12, 8], [40, 70], [9, 7], [129, 65]] {
        let x = numbers(device, &shape)?;
        for storage in [DType::F32, DType::F16] {
            for form in [Form::Classic, Form::Minimax] {
                if form == Form::Minimax && storage == DType::F16 {
                    continue;
                }
                for steps in [Steps::Fixed(3), Steps::Bound(12)] {
                    done(SpectralClip::new(0.5).form(form).steps(steps).storage(storage).run(&x))?;
                }
            }
            done(Polar::muon(3).storage(storage).run(&x))?;
        }
        done(HardClip::new(0.5).run(&x))?;
        done(spectral_norm(&x, 3))?;
        let at = Leaves::new(device);
        differentiate(
            &at.leaf(&shape)?.spectral_clip(&SpectralClip::new(0.5).steps(Steps::Fixed(3)))?,
        )?;
        let at = Leaves::new(device);
        differentiate(&at.leaf(&shape)?.polar(&Polar::muon(3))?)?;
    }
    // Vectors are clipped at once.
    done(SpectralClip::new(0.5).run(&numbers(device, &[1, 40])?))?;
    HardClip::new(0.5).run(&numbers(device, &[40, 1])?).map(drop)
}

fn fourier_case(device: &Device) -> Result<()> {
    for n in [12, 16, 41, 150, 5000] {
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[2, n, 2])?.fft(1, Scaling::None)?)?;
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[2, n])?.rfft(1, Scaling::Ortho)?)?;
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[2, n / 2 + 1, 2])?.irfft(n, 1, Scaling::Ortho)?)?;
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[2, n, 3])?.rfft(1, Scaling::Ortho)?)?;
        let at = Leaves::new(device);
        done(at.bits(&[n, 3])?.rfft(0, Scaling::Ortho))?;
    }
    // Few lines and many.
    for lines in [2, 20] {
        let at = Leaves::new(device);
        differentiate(&at.leaf(&[lines, 12, 2])?.fft(1, Scaling::None)?)?;
        done(at.bits(&[2, lines, 12])?.rfft(2, Scaling::None))?;
    }
    let at = Leaves::new(device);
    let (z, w) = (at.leaf(&[6, 4, 2])?, at.leaf(&[6, 4, 2])?);
    let y = z.complex_mul(&w)?.add(&z.complex_mul_conjugate(&w)?)?;
    differentiate(&y.conjugate()?.modulus()?.add(&z.phase()?)?)?;
    let at = Leaves::new(device);
    let (z, w, b) = (at.leaf(&[6, 4, 2])?, at.leaf(&[2, 4, 3])?, at.leaf(&[2, 3])?);
    differentiate(&complex_linear(&z, &w, Some(&b), Activation::Relu)?)?;
    for gate in [ComplexGate::new(), ComplexGate::new().straight_through(true)] {
        let at = Leaves::new(device);
        differentiate(&gate.run(&at.leaf(&[9, 2, 4, 2])?)?.y)?;
    }
    let gates = HardConcrete::new();
    let mut generator = Generator::new(device, 2)?;
    let at = Leaves::new(device);
    let raw = at.leaf(&[7])?;
    let gate = gates.sample(&raw, &mut generator)?.add(&gates.evaluate(&raw)?)?;
    let z = at.leaf(&[3, 7, 4, 2])?.gate_bins(&gate, 1)?;
    differentiate(&z)?;
    graph_case(device)
}

fn graph_case(device: &Device) -> Result<()> {
    for width in [8, 40] {
        let at = Leaves::new(device);
        let z = at.leaf(&[5, width, 2])?;
        let [a, b, c] = [(); 3].map(|()| at.leaf(&[2, width, width]));
        let [d, e, f] = [(); 3].map(|()| at.leaf(&[2, width]));
        let (a, b, c, d, e, f) = (a?, b?, c?, d?, e?, f?);
        differentiate(&graph_dense(&z, [&a, &b, &c], [&d, &e, &f], 0.01)?)?;
    }
    let at = Leaves::new(device);
    let (z, weights) = (at.leaf(&[5, 8, 2])?, at.leaf(&[3, 4, 8])?);
    differentiate(&graph_diag(&z, &weights, 0.01)?)?;
    let at = Leaves::new(device);
    let (spectrum, embedding) = (at.leaf(&[5, 2])?, at.leaf(&[8])?);
    differentiate(&graph_diag_outer(&spectrum, &embedding, &at.leaf(&[3, 4, 8])?, 0.01)?)?;
    let at = Leaves::new(device);
    differentiate(&node_lines(&at.leaf(&[4, 6])?, &at.leaf(&[9, 4, 2, 5])?)?)?;
    let at = Leaves::new(device);
    let (mean, variance) = (at.leaf(&[4])?, at.leaf(&[4])?.abs()?);
    differentiate(&token_lines(&mean, &variance, &at.leaf(&[4, 5])?, &at.leaf(&[2, 9, 5])?)?)
}
