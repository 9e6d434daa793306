//! Layers, optimizers, models.

use super::bad::{Bad, Trials};
use super::operators::activation;
use kernels_tests::forward;
use spikegrad::attention::Gate;
use spikegrad::checkpoint::Checkpoint;
use spikegrad::lif::Lif;
use spikegrad::models::{
    Activity, Encoder, Energy, Forecaster, FourierGnn, FourierGnnConfig, GateGradient,
    LanguageModel, Mix, Penalty, Sampler, SpikeGpt, SpikeGptConfig, SpikfGo, SpikfGoConfig,
    SymbolicLight, SymbolicLightConfig, TrainingLoss,
};
use spikegrad::nn::{
    BatchNorm, CausalConv, Compander, Dropout, Embedding, Init, InstanceNorm, Layer, LayerNorm,
    LifLayer, Linear, Map, Module, Pass, Sequential, Visitor, WeightNormLinear,
};
use spikegrad::optim::{
    AdEmaMix, AdamW, Constraint, Dion, Muon, NorMuon, Optimizer, OptimizerBuilder, Rule, Schedule,
    Sgd, Signum, Spam,
};
use spikegrad::random::Generator;
use spikegrad::spectral::{Polar, SpectralClip};
use spikegrad::train::{Fit, StepLoss, TrainStep};
use spikegrad::{Device, Param, Result, Tape, Var};

fn both(b: &mut Bad, y: Result<Var>) {
    if let Ok(y) = y {
        let seed = b.float(y.shape());
        let _ = y.backward_from(&seed);
    }
}

/// A module with names that nobody would give.
struct Odd {
    names: [String; 4],
    param: Param,
}

impl Module for Odd {
    fn visit(&self, visitor: &mut Visitor) {
        let [first, second, third, fourth] = &self.names;
        visitor.param(first, &self.param);
        visitor.buffer(second, &self.param);
        visitor.child(third, &self.param);
        visitor.children(fourth, [&self.param, &self.param]);
    }
}

/// An extent of a layer: mostly one that fits.
fn extent(b: &mut Bad, fits: usize) -> usize {
    if b.one_in(3) { b.size() } else { fits }
}

#[test]
fn layers() {
    let mut t = Trials::new(200);
    t.on("Linear", |b| {
        let mut random = Generator::new(&b.device.clone(), 1).unwrap();
        let linear = Linear::builder(extent(b, 3), extent(b, 4));
        let linear =
            linear.bias(b.on()).gain(b.real()).activation(activation(b)).build(&mut random);
        let Ok(linear) = linear else { return };
        let _ = (linear.weight().name().len(), linear.bias().is_some(), linear.params().len());
        let x = b.var(&[2, 3]);
        let y = forward(&linear, &x, b.on());
        both(b, y);
        let y = Box::new(linear).forward(&x, &mut Pass::evaluation());
        both(b, y);
    });
    t.on("Init", |b| {
        let mut random = Generator::new(&b.device.clone(), 1).unwrap();
        let (scale, shape) = (b.real(), [extent(b, 3), extent(b, 4)]);
        let inits = [
            Init::Constant(scale),
            Init::Uniform(scale),
            Init::Normal(scale),
            Init::Kaiming(scale),
            Init::Xavier(scale),
            Init::Orthogonal(scale),
        ];
        let axes = if b.one_in(3) { 1 } else { 2 };
        for init in inits {
            let _ = init.tensor(&shape[..axes], &mut random);
            let _ = init.param(b.text(), &shape[..axes], &mut random);
        }
    });
    t.on("norm layers", |b| {
        let device = b.device.clone();
        let (x, training) = (b.var(&[2, 3]), b.on());
        if let Ok(layer) = LayerNorm::new(extent(b, 3), &device) {
            let y = forward(&layer, &x, training);
            both(b, y);
        }
        if let Ok(layer) = BatchNorm::new(extent(b, 3), &device) {
            let _ = (layer.buffers().len(), layer.saved().len());
            let y = forward(&layer, &x, training);
            both(b, y);
        }
        let window = b.float(&[4, 2, 3]);
        if let Ok(norm) = InstanceNorm::of(&window) {
            let x = b.var(&[4, 2, 3]);
            for y in [norm.apply(&x), norm.undo(&x)] {
                both(b, y);
            }
        }
    });
    t.on("other layers", |b| {
        let device = b.device.clone();
        let mut random = Generator::new(&device, 1).unwrap();
        let x = b.var(&[5, 2, 3]);
        let (inputs, outputs, taps) = (extent(b, 3), extent(b, 4), extent(b, 2));
        let dilation = extent(b, 1);
        for layer in [
            CausalConv::new([inputs, outputs], taps, &mut random),
            CausalConv::depthwise(inputs, taps, &mut random),
        ] {
            let Ok(layer) = layer else { continue };
            let y = forward(&layer.dilation(dilation).activation(activation(b)), &x, true);
            both(b, y);
        }
        if let Ok(layer) = WeightNormLinear::new(inputs, outputs, &mut random) {
            let y = forward(&layer.activation(activation(b)), &x, true);
            both(b, y);
        }
        if let Ok(layer) = Embedding::new(inputs, outputs, b.real(), &mut random) {
            let layer = if b.on() { layer.padding(b.word()) } else { layer };
            let y = forward(&layer, &b.tape().constant(&b.words(&[2, 2])), true);
            both(b, y);
        }
        let start = b.float(&[2, 3]);
        if let Ok(layer) = Compander::new(&start, b.real(), b.real()) {
            let y = layer.weight(&b.tape());
            both(b, y);
        }
    });
    t.on("Sequential", |b| {
        let mut random = Generator::new(&b.device.clone(), 1).unwrap();
        let linear = |random: &mut Generator| Linear::builder(3, 3).build(random).unwrap();
        let layers = Sequential::new()
            .named(b.text(), linear(&mut random))
            .and(linear(&mut random))
            .and(Dropout::new(b.real()).unwrap_or(Dropout::new(0.5).unwrap()))
            .and(Map::new(|x| x.relu()));
        let _ = (layers.len(), layers.is_empty(), layers.params().len());
        let y = forward(&layers, &b.var(&[2, 3]), b.on());
        both(b, y);
        let names = [b.text(), b.text(), b.text(), b.text()];
        let odd = Odd { names, param: Param::new(b.text(), b.tensor()) };
        let _ = (odd.params().len(), odd.buffers().len(), odd.saved().len());
    });
    t.on("Pass", |b| {
        let mut random = Generator::new(&b.device.clone(), 1).unwrap();
        let mut pass = Pass::evaluation();
        pass.set_dropout(b.real());
        pass.set_ignore_index(Some(b.word()));
        let mut pass = if b.on() { pass.draws(&mut random) } else { pass };
        let _ = (pass.tape().is_on(), pass.constant(&b.tensor()).dtype());
        let _ = pass.random().map(|random| random.uniform([2]));
        let mut activity = Activity::new();
        let x = b.var(&[2, 3]);
        let _ = Pass::new(x.tape()).activity(&mut activity).see_spikes(|| b.text(), &x);
        let _ = activity.elements();
    });
    t.on("TrainStep", |b| {
        let (device, word) = (b.device.clone(), b.word());
        let mut random = Generator::new(&device, 1).unwrap();
        let layer = Linear::builder(3, 2).build(&mut random).unwrap();
        let adam = AdamW::builder().clip_norm(1.0).build(&layer.params()).unwrap();
        let from = if b.one_in(4) { Generator::new(&Device::oracle(), 1).unwrap() } else { random };
        let Ok(step) = TrainStep::new(adam, from) else { return };
        let Ok(mut step) = step.accumulate((word % 3) as usize) else { return };
        if b.on() {
            step = step.keeps(b.size());
        }
        for _ in 0..4 {
            let (x, scale, name) = (b.float(&[2, 3]), b.tensor(), b.text());
            let numbers = step.run([&x, &scale], |pass, [x, scale]| {
                let y = layer.forward(&pass.constant(x), pass)?;
                let loss = StepLoss::new(if word % 5 == 0 { y } else { y.mean_all()? });
                let loss = if word % 2 == 0 { loss.scaled(scale) } else { loss };
                Ok(if word % 7 == 0 { loss.with(&name, scale) } else { loss })
            });
            if let Ok(Some(numbers)) = numbers {
                let _ =
                    (numbers.run(), numbers.loss(), numbers.get(&b.text()), numbers.iter().count());
            }
        }
        let _ = (step.finish(), step.launches(), step.device().is_host(), step.optimizer().steps());
        let _ = step.optimizer_mut().set_learning_rate(b.double());
        let nowhere = std::env::temp_dir().join("no folder").join(b.text());
        let _ = (step.save(&nowhere, &layer), step.resume(&nowhere, &layer));
        let _ = step.checkpoint(Checkpoint::new()).map(|file| file.save(&nowhere));
        let fit = Fit::new(b.index(3) as u64).patience(b.long());
        let fit = if b.on() { fit.best(&nowhere) } else { fit.resumes(&nowhere) };
        let _ = fit.run(
            (&mut step, &layer),
            |epoch| Ok((0..epoch).map(|_| Ok([b.tensor()])).collect::<Vec<_>>()),
            |pass, [x]| layer.forward(&pass.constant(x), pass)?.mean_all(),
            || Ok(f64::NAN),
            |_| {},
        );
    });
    t.on("LifLayer", |b| {
        let mut builder = LifLayer::builder(Lif::new());
        if b.on() {
            builder = builder.learn_decay(b.real(), extent(b, 3));
        }
        if b.on() {
            builder = builder.learn_threshold(b.real(), extent(b, 3));
        }
        let layer = builder.build(&b.device.clone()).unwrap_or_else(|_| LifLayer::new(Lif::new()));
        let (x, state) = (b.var(&[4, 2, 3]), b.var(&[2, 3]));
        let y = forward(&layer, &x, true);
        both(b, y);
        let y = layer.scan(&x, b.on().then_some(&state)).map(|y| y.state);
        both(b, y);
    });
    t.done();
}

/// A recipe with some options, and some steps with it.
fn train<R: Rule + Clone>(b: &mut Bad, mut recipe: OptimizerBuilder<R>) {
    if b.on() {
        recipe = recipe.learning_rate(b.double());
    }
    if b.one_in(4) {
        recipe = recipe
            .schedule(Schedule::cosine(b.double(), b.long()).warmup(b.long()).floor(b.double()));
    }
    if b.one_in(4) {
        recipe = recipe.weight_decay(b.double());
    }
    if b.one_in(4) {
        recipe = recipe.decay_only(|p| p.name() == "w");
    }
    if b.one_in(4) {
        recipe = recipe.scale_rate(b.double(), |p| p.name() == "w");
    }
    if b.one_in(4) {
        recipe = recipe.clip_norm(b.double());
    }
    if b.one_in(4) {
        recipe = recipe.orthogonal(true);
    }
    if b.one_in(4) {
        recipe = recipe.pre_clip(SpectralClip::new(b.double()));
    }
    if b.one_in(4) {
        recipe = recipe.post_clip(SpectralClip::new(b.double()));
    }
    if b.one_in(4) {
        recipe = recipe.clip_warmup(b.long());
    }
    if b.one_in(4) {
        recipe =
            recipe.group(b.text(), |p| p.name() == "w", Sgd::builder().learning_rate(b.double()));
    }
    if b.one_in(4) {
        let (low, high) = (b.real(), b.real());
        recipe = recipe.constraint(b.pick(&[
            Constraint::Free,
            Constraint::NonNegative,
            Constraint::Box { low, high },
        ]));
    }
    recipe = recipe.skip_non_finite(b.on());
    let params: Vec<Param> = (0..b.index(4))
        .map(|_| {
            let value = if b.on() { b.float(&[3, 2]) } else { b.tensor() };
            let param = Param::new(b.text(), value.duplicate().unwrap_or(value));
            let param = if b.on() { param.outputs_first() } else { param };
            let _ = param.orientation();
            param
        })
        .collect();
    let Ok(mut optimizer) = recipe.build(&params) else { return };
    let _ = (optimizer.learning_rate(), optimizer.state().len(), optimizer.steps());
    for _ in 0..2 {
        let tape = Tape::new();
        let Some(param) = params.first() else { return };
        let loss = tape.param(param).square().and_then(|y| y.sum_all());
        let Ok(mut gradients) = loss.and_then(|l| l.backward()) else { return };
        if b.on() {
            let other = b.tensor();
            let _ = gradients.set(param, other);
        }
        let _ = optimizer.step(&gradients);
        optimizer.set_steps(b.long());
        let rate = if b.on() { Some(b.double()) } else { None };
        let _ = optimizer.set_learning_rate(rate);
    }
}

#[test]
fn optimizers() {
    let mut t = Trials::new(60);
    t.on("Sgd", |b| {
        let (m, on) = (b.double(), b.on());
        train(b, Sgd::builder().momentum(m).nesterov(on));
    });
    t.on("AdamW", |b| {
        let [x, y, e, s] = [0; 4].map(|_| b.double());
        let recipe = AdamW::builder();
        train(b, recipe.clone());
        train(b, recipe.betas(x, y).eps(e).spike_clip(s));
    });
    t.on("AdEmaMix", |b| {
        let [x, y, z, e] = [0; 4].map(|_| b.double());
        let warmup = b.long();
        train(b, AdEmaMix::builder().betas(x, y, z).mix(e).warmup(warmup).eps(e));
    });
    t.on("Signum", |b| {
        let (m, on, compat) = (b.double(), b.on(), b.on());
        train(b, Signum::builder().momentum(m).nesterov(on).compat(compat));
    });
    t.on("Spam", |b| {
        let [x, y, e, s] = [0; 4].map(|_| b.double());
        let [i, w, g, seed] = [0; 4].map(|_| b.long());
        let recipe = Spam::builder().betas(x, y).eps(e).theta(s).interval(i).warmup(w).grace(g);
        let (density, compat) = (b.double(), b.on());
        train(b, recipe.density(density, seed).compat(compat));
    });
    t.on("Muon", |b| {
        let (m, on, moonlight, beta) = (b.double(), b.on(), b.on(), b.double());
        let polar = Polar::muon(b.index(6));
        train(
            b,
            Muon::builder().momentum(m).nesterov(on).polar(polar.clone()).moonlight(moonlight),
        );
        train(b, NorMuon::builder().momentum(m).neuron_beta(beta).polar(polar));
    });
    t.on("Dion", |b| {
        let (rank, mu, seed) = (b.double(), b.double(), b.long());
        train(b, Dion::builder().rank(rank).momentum(mu).seed(seed));
    });
    t.on("Schedule", |b| {
        let schedule = if b.on() {
            Schedule::constant(b.double())
        } else {
            Schedule::cosine(b.double(), b.long())
        };
        let schedule = schedule.warmup(b.long()).floor(b.double());
        (schedule.at(b.long()), schedule.at(u64::MAX))
    });
    t.done();
}

/// Everything that a language model offers.
fn speak<M: LanguageModel>(b: &mut Bad, model: &M) {
    let _ = (model.fields().len(), model.vocabulary(), model.device().is_host());
    let (tokens, targets) = (b.words(&[3, 2]), b.words(&[3, 2]));
    let tape = b.tape();
    let mut random = Generator::new(&b.device.clone(), 1).unwrap();
    let mut activity = Activity::new();
    let training = b.on();
    let pass = if training { Pass::training(&tape, &mut random) } else { Pass::evaluation() };
    let pass = pass.activity(&mut activity);
    let pass = if b.on() { pass.dropout(b.real()) } else { pass };
    let mut pass = if b.on() { pass.ignore_index(Some(b.word())) } else { pass };
    let _ = pass.is_training();
    if let Ok(loss) = model.loss(&tokens, &targets, &mut pass) {
        let _ = TrainingLoss::of(loss.clone());
        let _ = loss.backward();
    }
    let _ = (
        activity.spikes().count(),
        activity.elements(),
        activity.positions(),
        activity.densities(),
    );
    let _ = (model.loss_after(b.size(), &tokens, &targets), model.logits(&tokens));
    if let Ok(mut state) = model.state(extent(b, 2)) {
        let _ = model.advance(&tokens, &mut state);
    }
    let prompt: Vec<u32> = (0..b.index(3)).map(|_| b.word()).collect();
    let mut sampler = Sampler::new(b.long());
    if b.on() {
        sampler = sampler.temperature(b.double());
    }
    if b.on() {
        sampler = sampler.top_k(b.size());
    }
    if b.on() {
        sampler = sampler.top_p(b.double());
    }
    let _ = sampler.draw(&vec![b.real(); b.small()]);
    let _ = model.generate(&prompt, b.small(), &mut sampler);
}

/// Everything that a forecaster offers.
fn predict<M: Forecaster>(b: &mut Bad, model: &M) {
    let _ = (model.fields().len(), model.look_back(), model.horizon(), model.variables());
    let window = b.var(&[8, 2, 3]);
    let mut random = Generator::new(&b.device.clone(), 1).unwrap();
    let mut activity = Activity::new();
    let tape = window.tape().clone();
    let training = b.on();
    let pass = if training { Pass::training(&tape, &mut random) } else { Pass::new(&tape) };
    let mut pass = pass.activity(&mut activity);
    if let Ok(y) = model.forecast(&window, &mut pass) {
        let _ = (y.backward_from(&b.tensor()), model.penalty(&y));
    }
    let energy = model.energy(&activity).unwrap_or_else(|_| Energy::new());
    let _ = (energy.rows().len(), energy.strict_operations(), energy.usual_operations());
    let _ = (energy.strict(), energy.usual(), energy.bytes());
}

#[test]
fn models() {
    let mut t = Trials::new(48);
    let nowhere = std::path::Path::new("/nonexistent/model");
    t.on("SymbolicLight", |b| {
        let device = b.device.clone();
        let mut random = Generator::new(&device, 1).unwrap();
        let n = b.word();
        let encoder = if b.on() { Encoder::Lif } else { Encoder::TopK(b.size()) };
        let config = SymbolicLightConfig::new(extent(b, 4)).width(extent(b, 8)).layers(b.index(3));
        let config =
            config.heads(extent(b, 2)).ffn(extent(b, 8)).window(extent(b, 4)).anchors(extent(b, 1));
        let config =
            config.gate(b.pick(&[Gate::Position, Gate::Head, Gate::AtLeast(n)])).attention(b.on());
        let config = config.encoder(encoder);
        let config = if b.on() { config.density(b.real(), b.real()) } else { config };
        let _ = SymbolicLight::open(nowhere, &device).is_ok();
        if let Ok(model) = SymbolicLight::new(&config, &mut random) {
            let _ = model.config();
            speak(b, &model);
        }
    });
    t.on("SpikeGpt", |b| {
        let device = b.device.clone();
        let mut random = Generator::new(&device, 1).unwrap();
        let config = SpikeGptConfig::new(extent(b, 4))
            .width(extent(b, 8))
            .layers(b.index(3))
            .ffn(extent(b, 8));
        let _ = SpikeGpt::open(nowhere, &device).is_ok();
        if let Ok(model) = SpikeGpt::new(&config, &mut random) {
            let _ = model.config();
            speak(b, &model);
        }
    });
    t.on("FourierGnn", |b| {
        let device = b.device.clone();
        let mut random = Generator::new(&device, 1).unwrap();
        let config =
            FourierGnnConfig::new(extent(b, 3)).look_back(extent(b, 8)).horizon(extent(b, 2));
        let config =
            config.embed(extent(b, 4)).hidden(extent(b, 4)).mix(b.pick(&[Mix::Diag, Mix::Dense]));
        let config = config.norm(b.on()).rank_one(b.on());
        let _ = FourierGnn::open(nowhere, &device).is_ok();
        if let Ok(model) = FourierGnn::new(&config, &mut random) {
            let _ = model.config();
            predict(b, &model);
        }
    });
    t.on("SpikfGo", |b| {
        let device = b.device.clone();
        let mut random = Generator::new(&device, 1).unwrap();
        let config = SpikfGoConfig::new(extent(b, 3)).look_back(extent(b, 8)).horizon(extent(b, 2));
        let config = config
            .steps(extent(b, 2))
            .embed(extent(b, 4))
            .slots(extent(b, 2))
            .reduced(extent(b, 2));
        let config =
            config.hidden(extent(b, 4)).norm(b.on()).spiking(b.on()).frequency_gate(b.on());
        let config = config.penalty(b.pick(&[Penalty::Exact, Penalty::Detached]), b.real());
        let config = config.gate(b.pick(&[GateGradient::Constant, GateGradient::StraightThrough]));
        let config = if b.on() { config.residual(b.real()) } else { config };
        let config = if b.on() { config.cpg(Some(b.real())) } else { config };
        let _ = SpikfGo::open(nowhere, &device).is_ok();
        if let Ok(model) = SpikfGo::new(&config, &mut random) {
            let _ = model.config();
            predict(b, &model);
        }
    });
    t.done();
}
