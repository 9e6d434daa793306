//! Operators.

use super::bad::{Bad, Trials};
use spikegrad::attention::{self, Gate, SpikeAttention, SpikeProduct};
use spikegrad::elementwise::{self, Activation, Binary, Unary};
use spikegrad::encode::{self, Latency};
use spikegrad::fourier::{self, ComplexGate, HardConcrete, Scaling};
use spikegrad::lif::{Gain, Gradient, Lif, Neurons, Reset, Save, Spikes, Surrogate};
use spikegrad::linalg::{Layout, Matmul, MatmulKernel, linear, matmul};
use spikegrad::loss::{self, CrossEntropy, LinearCrossEntropy, Reduction};
use spikegrad::neuron::{self, Neuron, Synaptic, SynapticParameters};
use spikegrad::random::{Generator, GeneratorState, threefry};
use spikegrad::scan::{Decay, Plan, Recurrence, Wkv, WkvState, wkv};
use spikegrad::spectral::{self, HardClip, Polar, SpectralClip, Steps};
use spikegrad::{DType, Result, Tensor, Var, layout, reduce, token};

pub fn activation(b: &mut Bad) -> Activation {
    let slope = b.real();
    b.pick(&[
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu(slope),
        Activation::Gelu,
        Activation::Sigmoid,
        Activation::Softplus,
    ])
}

fn function(b: &mut Bad) -> Unary {
    let (scale, shift) = (b.real(), b.real());
    b.pick(&[
        Unary::Affine { scale, shift },
        Unary::Exp,
        Unary::Ln,
        Unary::Recip,
        Unary::Clamp { low: scale, high: shift },
        Unary::Power(scale),
    ])
}

/// What comes out, and its gradient from any seed.
fn both(b: &mut Bad, y: Result<Var>) {
    let Ok(y) = y else { return };
    let seed = if b.on() { b.tensor() } else { b.float(y.shape()) };
    let _ = y.backward_from(&seed);
}

fn generator(b: &mut Bad) -> Generator {
    Generator::new(&b.device.clone(), b.long()).unwrap()
}

#[test]
fn elementwise_operators() {
    let mut t = Trials::new(120);
    t.on("activate", |b| {
        let (f, x, g) = (activation(b), b.tensor(), b.tensor());
        let _ = (elementwise::activate(f, &x), elementwise::activate_backward(f, &x, &g));
        let y = b.any().activate(f);
        both(b, y);
    });
    t.on("activations", |b| {
        let (x, c) = (b.any(), b.real());
        for y in [
            x.relu(),
            x.leaky_relu(c),
            x.gelu(),
            x.gelu_tanh(),
            x.sigmoid(),
            x.tanh(),
            x.silu(),
            x.softplus(),
            x.squared_relu(),
        ] {
            both(b, y);
        }
    });
    t.on("functions", |b| {
        let (x, y) = (b.double(), b.double());
        for f in Unary::all(b.real(), b.real()) {
            let _ = (f.apply(x), f.derivative(x), f.second_derivative(x));
        }
        for f in Activation::all(b.real(), b.real()) {
            let _ = (f.apply(x), f.derivative(x), f.second_derivative(x));
        }
        for f in Binary::all() {
            let _ = (f.apply(x, y), f.derivatives(x, y), f.second_derivatives(x, y));
        }
    });
    t.on("binary", |b| {
        let op = b.pick(&[Binary::Add, Binary::Div, Binary::Maximum]);
        let _ = elementwise::binary(op, &b.tensor(), &b.tensor());
        let (x, y) = (b.any(), b.any());
        for z in [
            x.binary(op, &y),
            x.add(&y),
            x.sub(&y),
            x.mul(&y),
            x.div(&y),
            x.minimum(&y),
            x.maximum(&y),
        ] {
            both(b, z);
        }
    });
    t.on("unary", |b| {
        let f = function(b);
        let _ = elementwise::unary(f, &b.tensor());
        let (x, c, d) = (b.any(), b.real(), b.real());
        for y in [
            x.unary(f),
            x.add_scalar(c),
            x.sub_scalar(c),
            x.mul_scalar(c),
            x.div_scalar(c),
            x.affine(c, d),
            x.minimum_scalar(c),
            x.maximum_scalar(c),
            x.clamp(c, d),
            x.power(c),
            x.exp(),
            x.ln(),
            x.sqrt(),
            x.square(),
            x.abs(),
            x.recip(),
            x.sign(),
            x.neg(),
        ] {
            both(b, y);
        }
    });
    t.on("casts", |b| {
        let x = b.tensor();
        let _ = (elementwise::pack(&x), elementwise::unpack(&x), elementwise::copy(&x));
        let _ = (elementwise::to_half(&x), elementwise::from_half(&x));
        let x = b.any();
        for y in [x.pack(), x.unpack(), x.to_half(), x.from_half()] {
            both(b, y);
        }
    });
    t.on("fill", |b| {
        let _ = elementwise::full(&b.device.clone(), b.sizes(), b.real());
        let _ = elementwise::full_like(&b.tensor(), b.real());
        let items = b.pick(&[0, 1, 1000, 1 << 31, usize::MAX]);
        let rounds = b.pick(&[0, 1, 3]);
        elementwise::fma_peak(&b.device.clone(), items, rounds)
    });
    t.done();
}

#[test]
fn reductions() {
    let mut t = Trials::new(120);
    t.on("reduce", |b| {
        let (x, axes, keep, k) = (b.tensor(), b.axes(), b.on(), b.size());
        let _ = (reduce::sum(&x, &axes, keep), reduce::mean(&x, &axes, keep));
        let _ = (reduce::max(&x, &axes, keep), reduce::min(&x, &axes, keep));
        let _ = (reduce::argmax(&x, k, keep), reduce::argmin(&x, b.axis(), keep));
        let _ = (reduce::variance(&x, &axes, keep, k), reduce::norm(&x, &axes, keep));
        let _ = reduce::standard_deviation(&x, &axes, keep, k);
        let _ = (reduce::rate(&x), reduce::spike_count(&x), reduce::sum_to(&x, &b.shape()));
    });
    t.on("Var reductions", |b| {
        let (x, axes, keep, k) = (b.any(), b.axes(), b.on(), b.axis());
        for y in [
            x.sum(&axes, keep),
            x.mean(&axes, keep),
            x.sum_all(),
            x.mean_all(),
            x.max(&axes, keep),
            x.min(&axes, keep),
            x.variance(&axes, keep, k),
            x.standard_deviation(&axes, keep, k),
            x.norm(&axes, keep),
            x.rate(),
            x.spike_count(),
            x.softmax(k),
            x.log_softmax(k),
        ] {
            both(b, y);
        }
    });
    t.done();
}

#[test]
fn layouts() {
    let mut t = Trials::new(120);
    t.on("permute", |b| {
        let (x, order) = (b.tensor(), b.axes());
        let _ = (layout::permute(&x, &order), layout::transpose(&x));
        let x = b.any();
        for y in [x.permute(&order), x.transpose()] {
            both(b, y);
        }
    });
    t.on("concat", |b| {
        let parts: Vec<Var> =
            (0..b.index(4)).map(|_| if b.on() { b.var(&[2, 3]) } else { b.any() }).collect();
        let axis = b.axis();
        let tensors: Vec<&Tensor> = parts.iter().map(Var::value).collect();
        let _ = layout::concat_tensors(&tensors, axis);
        let y = layout::concat(&parts.iter().collect::<Vec<_>>(), axis);
        both(b, y);
    });
    t.on("expand", |b| {
        let (x, sizes) = (b.tensor(), b.sizes());
        let _ = (layout::expand(&x, &sizes), b.any().reshape(&sizes).is_ok());
        let y = b.any().expand(sizes);
        both(b, y);
    });
    t.on("slice", |b| {
        let ranges: Vec<_> = (0..b.index(4)).map(|_| b.range()).collect();
        let _ = layout::slice(&b.tensor(), &ranges);
        let x = b.any();
        for y in [x.slice(&ranges), x.narrow(b.axis(), b.range())] {
            both(b, y);
        }
    });
    t.on("pad", |b| {
        let widths: Vec<_> = (0..b.index(4)).map(|_| (b.size(), b.size())).collect();
        let _ = layout::pad(&b.tensor(), &widths);
        let y = b.any().pad(&widths);
        both(b, y);
    });
    t.done();
}

#[test]
fn products() {
    let mut t = Trials::new(120);
    t.on("matmul", |b| {
        let form = b.pick(&[Layout::NN, Layout::NT, Layout::TN]);
        let _ = matmul(&b.tensor(), &b.tensor(), form);
        let bias = b.float(&[3]);
        let kernel = b.pick(&[
            MatmulKernel::Auto,
            MatmulKernel::Naive,
            MatmulKernel::Registers,
            MatmulKernel::Coop,
        ]);
        let options =
            Matmul::new().layout(form).activation(activation(b)).kernel(kernel).output(b.dtype());
        let options = if b.on() { options.bias(&bias) } else { options };
        let _ = options.run(&b.float(&[2, 3]), &b.float(&[3, 3]));
        let c = b.float(&[2, 3]).duplicate().unwrap();
        options.add_to(&b.float(&[2, 3]), &b.float(&[3, 3]), &c)
    });
    t.on("Var products", |b| {
        let (x, y) = (b.var(&[2, 3]), b.var(&[3, 3]));
        for z in [x.matmul(&y), x.matmul_nt(&y), y.matmul_tn(&x)] {
            both(b, z);
        }
    });
    t.on("linear", |b| {
        let (x, w, bias) = (b.var(&[2, 3]), b.var(&[3, 4]), b.var(&[4]));
        let bias = b.on().then_some(&bias);
        let y = linear(&x, &w, bias, activation(b));
        both(b, y);
    });
    t.on("convolutions", |b| {
        let (x, w, bias, dilation) = (b.var(&[5, 2, 3]), b.var(&[2, 3, 4]), b.var(&[4]), b.size());
        let with = b.on().then_some(&bias);
        let y = x.causal_conv(&w, with, dilation, activation(b));
        both(b, y);
        let (w, bias) = (b.var(&[2, 3]), b.var(&[3]));
        let y = x.depthwise_conv(&w, b.on().then_some(&bias), dilation);
        both(b, y);
    });
    t.on("norms", |b| {
        let (x, r, gain, bias, eps) =
            (b.var(&[2, 3]), b.var(&[2, 3]), b.var(&[3]), b.var(&[3]), b.real());
        let bias = b.on().then_some(&bias);
        let length = b.var(&[3]);
        for y in [
            x.layer_norm(&gain, bias, eps),
            x.add_layer_norm(&r, &gain, bias, eps),
            x.rms_norm(&gain, eps),
            x.weight_norm(&length),
        ] {
            both(b, y);
        }
    });
    t.done();
}

#[test]
fn losses() {
    let mut t = Trials::new(120);
    t.on("cross_entropy", |b| {
        let options = CrossEntropy {
            smoothing: if b.on() { 0.0 } else { b.real() },
            temperature: if b.on() { 1.0 } else { b.real() },
            reduction: b.pick(&[Reduction::Mean, Reduction::Sum]),
            ..CrossEntropy::default()
        };
        let (x, targets) = (b.var(&[2, 3]), b.words(&[2]));
        for y in
            [loss::cross_entropy(&x, &targets, options), loss::stable_max(&x, &targets, options)]
        {
            both(b, y);
        }
        let x = if b.on() { b.var(&[4, 2, 3]) } else { b.var_of_spikes(&[4, 2, 3]) };
        for y in [
            loss::rate_cross_entropy(&x, &targets, options),
            loss::count_cross_entropy(&x, &targets, options),
        ] {
            both(b, y);
        }
    });
    t.on("linear_cross_entropy", |b| {
        let (x, w, targets) = (b.var(&[2, 3]), b.var(&[3, 4]), b.words(&[2]));
        let budget = if b.on() { Some(b.size()) } else { None };
        let options = LinearCrossEntropy { budget, ..LinearCrossEntropy::default() };
        for y in [
            loss::linear_cross_entropy(&x, &w, &targets),
            loss::linear_cross_entropy_with(&x, &w, &targets, options),
        ] {
            both(b, y);
        }
        let _ = loss::position_losses(x.value(), w.value(), &targets);
        let options = LinearCrossEntropy { ignore_index: Some(b.word()), ..options };
        let _ = loss::position_losses_with(x.value(), w.value(), &targets, options);
    });
    t.on("other losses", |b| {
        let (x, y) = (b.any(), b.any());
        let spikes = b.var_of_spikes(&[4, 2, 3]);
        for z in
            [loss::mse(&x, &y), loss::rate_mse(&spikes, b.real()), loss::rate_mse(&x, b.real())]
        {
            both(b, z);
        }
        let (logits, classes) = (b.float(&[2, 3]), b.words(&[2]));
        let _ = loss::accuracy(&logits, &classes);
        let _ = loss::accuracy_with(&logits, &classes, Some(b.word()));
        let targets = [b.word(), b.word()];
        let _ = (loss::check_targets(&targets, b.size()), token::check_tokens(&targets, b.size()));
    });
    t.on("tokens", |b| {
        let (table, tokens) = (b.var(&[4, 3]), b.words(&[2, 2]));
        let y = table.embedding(&tokens);
        both(b, y);
        let y = table.embedding_padded(&tokens, Some(b.word()));
        both(b, y);
        let (x, mix, before, other) =
            (b.var(&[4, 2, 3]), b.var(&[3]), b.var(&[2, 3]), b.var(&[4, 2, 3]));
        let y = x.token_shift(&mix, b.on().then_some(&before));
        both(b, y);
        let raw = b.var(&[1]);
        for y in [x.mix(&other, &raw), x.top_k_mask(b.size())] {
            both(b, y);
        }
    });
    t.done();
}

fn decay<'a>(b: &mut Bad, x: &'a Var) -> Decay<'a> {
    let fixed = b.real();
    b.pick(&[Decay::Fixed(fixed), Decay::Fixed(0.5), Decay::Value(x), Decay::Logit(x)])
}

fn plan(b: &mut Bad) -> Plan {
    let chunk = b.size() as u32;
    b.pick(&[Plan::Auto, Plan::Sequential, Plan::Chunked(chunk), Plan::Chunked(2)])
}

#[test]
fn scans() {
    let mut t = Trials::new(120);
    t.on("decay scans", |b| {
        let (x, rate, first) = (b.var(&[4, 2, 3]), b.var(&[3]), b.var(&[2, 3]));
        let first = b.on().then_some(&first);
        let (d, p) = (decay(b, &rate), plan(b));
        for y in [
            x.decay_scan(&rate, first),
            x.leaky_integrate(d, first),
            x.trace(d, first),
            x.moving_average(d, first),
            Recurrence::integrator().plan(p).scan(&x, d, first),
            Recurrence::average().plan(p).scan(&x, d, first),
        ] {
            both(b, y.map(|y| y.h));
        }
    });
    t.on("wkv", |b| {
        let (k, v, w, u) = (b.var(&[4, 2, 3]), b.var(&[4, 2, 3]), b.var(&[3]), b.var(&[3]));
        let state = if b.on() {
            WkvState::empty(&b.device.clone(), &[2, 3])
        } else {
            WkvState::from_tensor(b.tensor())
        };
        let state = state.ok();
        let _ = state.as_ref().map(|s| s.tensor().count());
        let p = plan(b);
        for y in [
            wkv(&k, &v, &w, &u, state.as_ref()),
            Wkv::new().plan(p).scan(&k, &v, &w, &u, state.as_ref()),
        ] {
            both(b, y.map(|y| y.y));
        }
        let _ = WkvState::empty(&b.device.clone(), &b.sizes());
    });
    t.on("Lif", |b| {
        let (low, high) = (b.real(), b.real());
        let s = b.real();
        let mut lif = b.pick(&[
            Lif::new(),
            Lif::spikingjelly(),
            Lif::symboliclight(),
            Lif::spikf_go(),
            Lif::snn_delays(),
            Lif::sltt(),
            Lif::max_former(),
            Lif::deep_eisnn(),
        ]);
        if b.on() {
            lif = lif.decay(b.real());
        }
        if b.one_in(4) {
            lif = lif.tau(b.real());
        }
        if b.one_in(4) {
            lif = lif.threshold(b.real());
        }
        if b.one_in(4) {
            lif = lif.gain(b.pick(&[Gain::Fixed(low), Gain::Leak]));
        }
        if b.on() {
            lif = lif.reset(b.pick(&[Reset::Hard(low), Reset::Soft, Reset::None]));
        }
        if b.one_in(4) {
            lif = lif.clamp(low, high);
        }
        if b.on() {
            lif = lif.surrogate(b.pick(&[
                Surrogate::Atan(s),
                Surrogate::Sigmoid(s),
                Surrogate::FastSigmoid(s),
                Surrogate::Triangle(s),
                Surrogate::Atan(2.0),
            ]));
        }
        let every = b.size() as u32;
        lif = lif.strict(b.on()).detach_reset(b.on()).smooth(b.one_in(4));
        lif = lif.gradient(b.pick(&[Gradient::Full, Gradient::Spatial]));
        lif = lif.output(b.pick(&[Spikes::F32, Spikes::Bits]));
        lif = lif.save(b.pick(&[Save::Membrane, Save::Checkpoints(every), Save::Checkpoints(2)]));
        let _ = lif.threshold_value();
        let (x, state) = (b.var(&[5, 2, 3]), b.var(&[2, 3]));
        let state = b.on().then_some(&state);
        let y = lif.scan(&x, state).map(|y| y.spikes);
        both(b, y);
        let (d, th, g) = (b.var(&[3]), b.var(&[3]), b.var(&[3]));
        let neurons = Neurons {
            decay: b.on().then_some(&d),
            threshold: b.on().then_some(&th),
            gain: b.on().then_some(&g),
        };
        let y = lif.scan_with(&x, state, &neurons).map(|y| y.state);
        both(b, y);
    });
    t.on("Synaptic", |b| {
        let mut neuron = Synaptic::new(b.real(), b.real());
        if b.on() {
            neuron = Synaptic::new(0.5, 0.75);
        }
        if b.one_in(4) {
            neuron = neuron.threshold(b.real());
        }
        let s = b.real();
        if b.on() {
            neuron = neuron.surrogate(b.pick(&[
                Surrogate::Atan(s),
                Surrogate::Rectangle(s),
                Surrogate::Atan(2.0),
            ]));
        }
        let resets = [neuron::Reset::None, neuron::Reset::Subtract, neuron::Reset::Zero];
        neuron = neuron.reset(b.pick(&resets)).strict(b.on()).detach_reset(b.on());
        neuron = neuron.trace(b.on()).smooth(b.one_in(4));
        neuron = neuron.output(b.pick(&[Spikes::F32, Spikes::Bits]));
        let (x, state) = (b.var(&[5, 2, 3]), b.var(&[2, 2, 3]));
        let state = b.on().then_some(&state);
        let y = neuron.scan(&x, state).map(|y| y.spikes);
        both(b, y);
        let [alpha, beta, threshold] = [(); 3].map(|()| b.var(&[3]));
        let parameters = SynapticParameters {
            alpha: b.on().then_some(&alpha),
            beta: b.on().then_some(&beta),
            threshold: b.on().then_some(&threshold),
        };
        let y = neuron.scan_with(&x, state, &parameters).map(|y| y.membrane.unwrap_or(y.state));
        both(b, y);
    });
    t.on("Neuron", |b| {
        let numbers: Vec<f32> = (0..6).map(|_| if b.one_in(6) { b.real() } else { 0.5 }).collect();
        let (functions, wrong) = (b.size() % 16, b.one_in(8));
        let made = Neuron::define(b.pick(&["mine", "", "Mine!"]), |n| {
            let (x, v, p) = (n.input("x"), n.state("v", numbers[0]), n.param("p", numbers[1]));
            let all = [
                (x / p).exp(),
                (x - numbers[2]).ln(),
                x.abs().sqrt(),
                x.square() - numbers[3],
                x.power(numbers[3]),
                x.clamp(numbers[4], numbers[5]),
                x.tanh().sigmoid(),
                x.min(v).max(p),
                x.less(v).choose(p, -x),
                n.constant(numbers[2]) / x,
            ];
            let h = all[functions % all.len()] + p * v;
            let surrogate = Surrogate::Atan(numbers[1]);
            let s = n.fire(h - numbers[0], surrogate) + n.fire_above(n.detach(x), surrogate);
            n.next(if wrong { x } else { v }, h - s);
            n.emit(s);
            n.emit(h);
        });
        let Ok(mut neuron) = made else { return };
        neuron = neuron.output(b.pick(&[Spikes::F32, Spikes::Bits])).smooth(b.one_in(4));
        if let Ok(other) = neuron.clone().with(b.pick(&["p", "q"]), b.real()) {
            neuron = other;
        }
        let _ = (neuron.parameters().count(), neuron.states().count(), neuron.kernels());
        let (x, state, p) = (b.var(&[5, 2, 3]), b.var(&[1, 2, 3]), b.var(&[3]));
        let inputs = b.pick(&[vec![], vec![&x], vec![&x, &state]]);
        let y = neuron.scan(&inputs).map(|y| y.state);
        both(b, y);
        let state = b.on().then_some(&state);
        let y = neuron.scan_with(&[&x], state, &[(b.pick(&["p", "x"]), &p)]);
        both(b, y.map(|mut y| y.emitted.remove(0)));
    });
    t.on("neurons of the literature", |b| {
        let all = [
            neuron::adaptive(),
            neuron::exponential(),
            neuron::izhikevich(),
            neuron::leaky_integrator(),
            neuron::quadratic(),
            neuron::resonate_and_fire(),
        ];
        let x = b.var(&[5, 2, 3]);
        let neuron = b.pick(&all.map(|neuron| neuron.expect("right equations")));
        let y = neuron.scan(&[&x]).map(|y| y.state);
        both(b, y);
    });
    t.on("Surrogate", |b| {
        let s = b.real();
        let surrogate = b.pick(&[
            Surrogate::Atan(s),
            Surrogate::Sigmoid(s),
            Surrogate::FastSigmoid(s),
            Surrogate::Triangle(s),
        ]);
        let _ = surrogate.parameter();
        (surrogate.derivative(b.real()), surrogate.primitive(b.double()))
    });
    t.done();
}

#[test]
fn attentions() {
    let mut t = Trials::new(120);
    t.on("SpikeAttention", |b| {
        let mut attention = SpikeAttention::new(if b.on() { 2 } else { b.size() });
        if b.on() {
            attention = attention.window(b.size());
        }
        if b.on() {
            attention = attention.anchors(b.size());
        }
        if b.on() {
            let n = b.word();
            attention = attention.gate(b.pick(&[Gate::Position, Gate::Head, Gate::AtLeast(n)]));
        }
        if b.on() {
            attention = attention.rotary(if b.on() { None } else { Some(b.double()) });
        }
        if b.one_in(4) {
            attention = attention.scale(Some(b.real()));
        }
        attention = attention.query_gate(b.on());
        let [q, k, v] = [0; 3].map(|_| b.var(&[5, 2, 4]));
        let spikes = b.spikes(&[5, 2, 4]);
        let y = attention.attend(&q, &k, &v, &spikes);
        both(b, y);
        let (gate, query) = (b.words(&[5, 2]), b.words(&[5, 2]));
        let y = attention.attend_gated(&q, &k, &v, &gate, b.on().then_some(&query));
        both(b, y);
        let _ = attention.gates(&spikes);
        let (batch, width) = if b.on() { (2, 4) } else { (b.size(), b.size()) };
        let Ok(mut cache) = attention.cache(&b.device.clone(), batch, width) else { return };
        let _ = cache.position();
        for _ in 0..3 {
            let step = [0; 3].map(|_| b.float(&[1, 2, 4]));
            let spikes = b.spikes(&[1, 2, 4]);
            let _ = attention.decode(&mut cache, &step[0], &step[1], &step[2], &spikes);
            let (k, v, spikes) = (b.float(&[3, 2, 4]), b.float(&[3, 2, 4]), b.spikes(&[3, 2, 4]));
            let _ = attention.extend(&mut cache, &k, &v, &spikes);
        }
        let _ = (cache.duplicate().is_ok(), cache.reset());
    });
    t.on("SpikeProduct", |b| {
        let heads = if b.on() { 2 } else { b.size() };
        let form =
            b.pick(&[attention::Form::Auto, attention::Form::Linear, attention::Form::Quadratic]);
        let product = SpikeProduct::new(heads).scale(b.real()).form(form);
        let [q, k, v] = [0; 3]
            .map(|_| if b.on() { b.var_of_spikes(&[3, 2, 2, 4]) } else { b.var(&[3, 2, 2, 4]) });
        let y = product.attend(&q, &k, &v);
        both(b, y);
    });
    t.done();
}

#[test]
fn spectra() {
    let mut t = Trials::new(120);
    t.on("fft", |b| {
        let scaling = b.pick(&[Scaling::None, Scaling::Ortho, Scaling::ByLength]);
        let (x, axis, n) = (b.float(&[3, 4, 2]), b.axis(), b.size());
        let _ = scaling.factor(n);
        let _ = (
            fourier::fft(&x, axis, scaling),
            fourier::ifft(&x, axis, scaling),
            fourier::rfft(&x, axis, scaling),
        );
        let _ = fourier::irfft(&x, n, axis, scaling);
        let (x, axes) = (b.var(&[3, 4, 2]), [b.axis(), b.axis()]);
        for y in [
            x.fft(axis, scaling),
            x.ifft(axis, scaling),
            x.rfft(axis, scaling),
            x.irfft(n, axis, scaling),
            x.fft2(axes, scaling),
            x.ifft2(axes, scaling),
            x.rfft2(axes, scaling),
            x.irfft2(n, axes, scaling),
        ] {
            both(b, y);
        }
    });
    t.on("codes", |b| {
        let device = b.device.clone();
        let _ = fourier::cpg_codes(&device, b.size(), b.size(), b.size());
        let _ = fourier::cpg_pairs(&device, b.size(), b.size(), b.size(), b.double());
        let _ = fourier::cpg_codes(&device, b.small(), b.size(), b.small());
        let _ = fourier::cpg_pairs(&device, b.small(), b.small(), b.small(), b.double());
    });
    t.on("complex", |b| {
        let (x, y) = (b.var(&[3, 4, 2]), b.var(&[3, 4, 2]));
        let (w, bias) = (b.var(&[4, 3, 2]), b.var(&[3, 2]));
        for z in [
            x.complex_mul(&y),
            x.complex_mul_conjugate(&y),
            x.conjugate(),
            x.modulus(),
            x.phase(),
            fourier::complex_linear(&x, &w, b.on().then_some(&bias), Activation::Relu),
        ] {
            both(b, z);
        }
    });
    t.on("HardConcrete", |b| {
        let mut gate = HardConcrete::new();
        if b.on() {
            gate = gate.beta(b.real());
        }
        if b.on() {
            gate = gate.stretch(b.real(), b.real());
        }
        let mut g = generator(b);
        let (x, noise) = (b.var(&[3]), b.float(&[3]));
        for y in [
            gate.sample(&x, &mut g),
            gate.with_noise(&x, &noise),
            gate.evaluate(&x),
            gate.open_share(&x),
            gate.open_probabilities(&x),
            gate.detached_share(&x),
        ] {
            both(b, y);
        }
        let (z, gates, axis) = (b.var(&[3, 3, 2]), b.var(&[3]), b.axis());
        let y = z.gate_bins(&gates, axis);
        both(b, y);
    });
    t.on("ComplexGate", |b| {
        let mut gate = ComplexGate::new().straight_through(b.on()).detach_reset(b.on());
        if b.on() {
            gate = gate.tau(b.real());
        }
        if b.on() {
            gate = gate.threshold(b.real());
        }
        if b.on() {
            gate = gate.alpha(b.real());
        }
        let (z, base, affine, scale) =
            (b.var(&[3, 4, 2]), b.var(&[3, 4, 2]), b.var(&[2, 2]), b.var(&[1]));
        for y in [gate.run(&z), gate.run_affine(&z, &affine), gate.run_residual(&z, &base, &scale)]
        {
            both(b, y.map(|y| y.y));
        }
    });
    t.on("graph", |b| {
        let (x, threshold) = (b.var(&[3, 4, 2]), b.real());
        let [w1, w2, w3] = [0; 3].map(|_| b.var(&[4, 4, 2]));
        let [b1, b2, b3] = [0; 3].map(|_| b.var(&[4, 2]));
        let diagonal = b.var(&[3, 4, 4]);
        let (spectrum, embedding) = (b.var(&[3, 2]), b.var(&[4]));
        let (lines, nodes) = (b.var(&[4, 2]), b.var(&[3, 4, 2]));
        let [m, v, c, s] = [0; 4].map(|_| b.var(&[3, 2]));
        for y in [
            fourier::graph_dense(&x, [&w1, &w2, &w3], [&b1, &b2, &b3], threshold),
            fourier::graph_diag(&x, &diagonal, threshold),
            fourier::graph_diag_outer(&spectrum, &embedding, &diagonal, threshold),
            fourier::node_lines(&nodes, &lines),
            fourier::token_lines(&m, &v, &c, &s),
        ] {
            both(b, y);
        }
    });
    t.done();
}

#[test]
fn spectral_operators() {
    let mut t = Trials::new(150);
    t.on("SpectralClip", |b| {
        let n = b.index(9);
        let steps = b.pick(&[
            Steps::Fixed(n),
            Steps::Bound(n),
            Steps::Fixed(usize::MAX),
            Steps::Bound(usize::MAX),
        ]);
        let mut clip = SpectralClip::new(if b.on() { 1.0 } else { b.double() }).steps(steps);
        if b.on() {
            clip = clip.form(b.pick(&[spectral::Form::Classic, spectral::Form::Minimax]));
        }
        if b.on() {
            clip = clip.accuracy(b.double());
        }
        if b.one_in(4) {
            clip = clip.factor(&b.tensor());
        }
        if b.one_in(4) {
            clip = clip.storage(b.dtype());
        }
        clip = clip.compat(b.one_in(4));
        let (x, y) = (b.float(&[3, 2]), b.float(&[2, 3]));
        let _ = (clip.run(&x), clip.run_flagged(&x), clip.run_all(&[&x, &y]), clip.run_all(&[]));
        let y = b.var(&[3, 2]).spectral_clip(&clip);
        both(b, y);
    });
    t.on("HardClip and Polar", |b| {
        let steps = if b.one_in(8) { b.size() } else { b.index(8) };
        let coefficients = [[b.double(), b.double(), b.double()]];
        let custom = &coefficients[..b.index(2)];
        let mut polar = match b.index(4) {
            0 => Polar::muon(steps),
            1 => Polar::classic(steps),
            2 => Polar::express(steps),
            _ => Polar::custom(custom),
        };
        if b.one_in(4) {
            polar = polar.storage(b.dtype());
        }
        let _ = polar.coefficients().len();
        let (x, y) = (b.float(&[3, 2]), b.float(&[2, 3]));
        let _ =
            (polar.run(&x), polar.run_flagged(&x), polar.run_all(&[&x, &y]), polar.run_all(&[]));
        let mut hard = HardClip::new(b.double());
        if b.on() {
            hard = hard.sign(polar.clone());
        }
        let _ = (hard.run(&x), hard.run_flagged(&x), hard.run_all(&[&x, &y]), hard.run_all(&[]));
        let x = b.var(&[3, 2]);
        for y in [x.polar(&polar), x.hard_clip(&hard)] {
            both(b, y);
        }
    });
    t.on("spectral_norm", |b| {
        let steps = if b.on() { b.index(9) } else { b.pick(&[0, 1, 100]) };
        spectral::spectral_norm(&b.float(&[3, 2]), steps)
    });
    t.done();
}

#[test]
fn random_numbers() {
    let mut t = Trials::new(120);
    t.on("Generator", |b| {
        let device = b.device.clone();
        let step = b.pick(&[0, 1, u32::MAX]);
        let restored = Generator::restore(&device, GeneratorState { seed: b.long(), step });
        let mut g = if b.on() { restored.unwrap() } else { generator(b) };
        let _ = (g.state(), g.device().is_host());
        let _ = (g.uniform(b.sizes()), g.normal(b.sizes()));
        let _ = g.bernoulli(b.real(), b.sizes(), b.dtype());
        let _ = g.bernoulli_each(&b.tensor(), b.sizes(), b.dtype());
        let _ = g.bernoulli_each(&b.tensor(), b.tensor().shape(), b.dtype());
        let _ = (g.advance(), g.advance());
        let y = b.any().dropout(b.real(), &mut g);
        both(b, y);
        let y = b.any().dropout(0.5, &mut g);
        both(b, y);
        threefry([b.word(), b.word()], [b.word(), b.word()])
    });
    t.on("encoders", |b| {
        let mut g = generator(b);
        let (x, steps) = (b.tensor(), b.size());
        let _ = (encode::constant(&x, steps), encode::delta(&x, b.real(), b.on()));
        let _ = encode::poisson(&x, steps, b.dtype(), &mut g);
        let mut latency = Latency::default();
        if b.on() {
            latency = latency.tau(b.real());
        }
        if b.on() {
            latency = latency.threshold(b.real());
        }
        if b.on() {
            latency = latency.linear();
        }
        if b.on() {
            latency = latency.silent_below_threshold();
        }
        let _ = encode::latency(&x, steps, latency);
        let y = b.any().repeat_steps(steps);
        both(b, y);
        DType::F32
    });
    t.done();
}
