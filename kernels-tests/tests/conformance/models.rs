//! The language models: decode against prefill, files, and what must be binary.

use kernels_tests::{Random, assert_close, oracle, subjects};
use spikegrad::attention::Gate;
use spikegrad::loss::{LinearCrossEntropy, linear_cross_entropy_with};
use spikegrad::models::{
    Activity, Encoder, Features, LanguageModel, Pass, Sampler, SpikeGpt, SpikeGptConfig,
    SymbolicLight, SymbolicLightConfig,
};
use spikegrad::nn::Module;
use spikegrad::optim::{AdamW, Optimizer};
use spikegrad::random::Generator;
use spikegrad::{Device, Error, Result, Tape, Tensor, Var};

const VOCABULARY: usize = 17;

fn symbolic_light(device: &Device, config: &SymbolicLightConfig) -> SymbolicLight {
    let mut random = Generator::new(device, 3).expect("a generator");
    SymbolicLight::new(config, &mut random).expect("a model")
}

fn small() -> SymbolicLightConfig {
    SymbolicLightConfig::new(VOCABULARY).width(24).layers(2).heads(2).ffn(40).window(5).anchors(2)
}

fn spike_gpt(device: &Device) -> SpikeGpt {
    let config = SpikeGptConfig::new(VOCABULARY).width(20).layers(2).ffn(36);
    let mut random = Generator::new(device, 4).expect("a generator");
    let model = SpikeGpt::new(&config, &mut random).expect("a model");
    // Before training its neurons are silent: what they are driven by is made larger.
    let drives = |name: &str| name.ends_with("output.weight") || name.ends_with("value.weight");
    for param in model.params().iter().filter(|param| drives(param.name())) {
        let values = param.value().to_vec::<f32>().expect("weights");
        let values: Vec<f32> = values.iter().map(|v| v * 20.0).collect();
        param.value().write(&values).expect("weights");
    }
    model
}

fn tokens(device: &Device, seed: u64, steps: usize, batch: usize) -> Tensor {
    let mut random = Random::new(seed);
    let tokens: Vec<u32> = (0..steps * batch).map(|_| random.word() % VOCABULARY as u32).collect();
    Tensor::from_slice(device, &tokens, [steps, batch]).expect("tokens")
}

/// Rows `from..to` of `[S, B]`.
fn rows(tokens: &Tensor, from: usize, to: usize) -> Tensor {
    let batch = tokens.shape().dims()[1];
    let all = tokens.to_vec::<u32>().expect("tokens");
    Tensor::from_slice(tokens.device(), &all[from * batch..to * batch], [to - from, batch])
        .expect("tokens")
}

/// The logits of all positions at once are those of one token at a time, and those of a prefill
/// followed by single tokens and by a chunk.
fn decode_is_prefill<M: LanguageModel>(what: &str, model: &M) {
    let tokens = tokens(model.device(), 11, 23, 3);
    let whole = model.logits(&tokens).expect("logits");
    let values = whole.to_vec::<f32>().expect("logits");
    let row = 3 * VOCABULARY;
    let expected = |step: usize| {
        Tensor::from_slice(model.device(), &values[step * row..][..row], [3, VOCABULARY])
            .expect("a row")
    };
    for cuts in [(0..=23).collect::<Vec<_>>(), vec![0, 9, 10, 11, 16, 23]] {
        let mut state = model.state(3).expect("a state");
        for cut in cuts.windows(2) {
            let part = rows(&tokens, cut[0], cut[1]);
            let logits = model.advance(&part, &mut state).expect("logits");
            let what = format!("{what}, tokens {}..{}", cut[0], cut[1]);
            assert_close(&what, &logits, &expected(cut[1] - 1), 1e-5);
        }
    }
}

#[test]
fn symbolic_light_decodes_as_it_reads() {
    for subject in subjects() {
        let gates = [Gate::Position, Gate::Head, Gate::AtLeast(5)];
        for gate in gates {
            let model = symbolic_light(&subject.device, &small().gate(gate));
            decode_is_prefill(&format!("{} {gate:?}", subject.label), &model);
        }
        for config in [small().attention(false), small().encoder(Encoder::TopK(4))] {
            decode_is_prefill(&subject.label, &symbolic_light(&subject.device, &config));
        }
    }
}

#[test]
fn spike_gpt_decodes_as_it_reads() {
    for subject in subjects() {
        decode_is_prefill(&subject.label, &spike_gpt(&subject.device));
    }
}

/// What a block of SpikeGPT adds is spikes.
#[test]
fn spike_gpt_blocks_are_binary() {
    let device = Device::host();
    let model = spike_gpt(&device);
    let tokens = tokens(&device, 5, 31, 2);
    let mut activity = Activity::new();
    let tape = Tape::off();
    model.features(&tokens, None, &mut Pass::new(&tape).activity(&mut activity)).expect("features");
    let spikes: Vec<_> = activity.spikes().collect();
    assert_eq!(spikes.len(), 4, "two blocks of two mixes");
    for (place, tensor) in spikes {
        let values = tensor.to_vec::<f32>().expect("spikes");
        assert!(values.iter().all(|v| *v == 0.0 || *v == 1.0), "{place}");
        assert!(values.contains(&1.0) && values.contains(&0.0), "{place}: all the same");
    }
}

/// Trains on one repeated sentence; returns first and last loss.
fn overfit<M: LanguageModel>(model: &M, steps: usize) -> Result<(f32, f32)> {
    let device = model.device();
    let text: Vec<u32> = (0..33).map(|i| (i * i + i / 3) % VOCABULARY as u32).collect();
    let tokens = Tensor::from_slice(device, &text[..32], [32, 1])?;
    let targets = Tensor::from_slice(device, &text[1..], [32, 1])?;
    let mut adam = AdamW::builder().learning_rate(0.01).clip_norm(1.0).build(&model.params())?;
    let (mut first, mut last) = (f32::NAN, f32::NAN);
    for step in 0..steps {
        let tape = Tape::new();
        let loss = model.training_loss(&tokens, &targets, &mut Pass::new(&tape))?;
        adam.step(&loss.total.backward()?)?;
        last = loss.fit.value().item()?;
        if step == 0 {
            first = last;
        }
    }
    Ok((first, last))
}

#[test]
fn models_learn_a_sentence() {
    let device = Device::host();
    let model = symbolic_light(&device, &small().density(0.15, 1.0));
    let (first, last) = overfit(&model, 120).expect("training");
    assert!(first > 2.5 && last < 0.5, "symbolic light: from {first} to {last}");
    let (first, last) = overfit(&spike_gpt(&device), 120).expect("training");
    assert!(first > 2.5 && last < 0.5, "spike gpt: from {first} to {last}");
}

/// Every parameter is reached by the gradient.
#[test]
fn every_parameter_learns() {
    let device = Device::host();
    fn check<M: LanguageModel>(model: &M) {
        let (tokens, targets) =
            (tokens(model.device(), 1, 24, 2), tokens(model.device(), 2, 24, 2));
        let tape = Tape::new();
        let loss = model.loss(&tokens, &targets, &mut Pass::new(&tape)).expect("a loss");
        let gradients = loss.backward().expect("gradients");
        for param in model.params() {
            let gradient = gradients.of(&param).unwrap_or_else(|| panic!("{}: none", param.name()));
            let values = gradient.to_vec::<f32>().expect("a gradient");
            assert!(values.iter().any(|g| *g != 0.0), "{}: all zero", param.name());
            assert!(values.iter().all(|g| g.is_finite()), "{}: not finite", param.name());
        }
    }
    check(&symbolic_light(&device, &small()));
    check(&spike_gpt(&device));
}

/// No token's number.
const PADDING: u32 = u32::MAX;

/// A loss and its gradients of all parameters.
fn learn<M: LanguageModel>(model: &M, loss: &Var) -> Vec<Vec<f64>> {
    let gradients = loss.backward().expect("gradients");
    let of = |param| gradients.of(param).expect("a gradient").to_vec::<f64>().expect("values");
    let value = loss.value().to_vec::<f64>().expect("a loss");
    [value].into_iter().chain(model.params().iter().map(of)).collect()
}

/// Two texts of 9 and 5 tokens as one batch, the second one filled up.
fn padded(device: &Device) -> [Tensor; 2] {
    let (tokens, targets) = (tokens(device, 1, 9, 2), tokens(device, 2, 9, 2));
    let mut targets = targets.to_vec::<u32>().expect("targets");
    (5..9).for_each(|step| targets[2 * step + 1] = PADDING);
    [tokens, Tensor::from_slice(device, &targets, [9, 2]).expect("targets")]
}

/// The first tokens of one text of a batch of two.
fn text(tokens: &Tensor, text: usize, steps: usize) -> Tensor {
    let all = tokens.to_vec::<u32>().expect("tokens");
    let own: Vec<u32> = all.into_iter().skip(text).step_by(2).take(steps).collect();
    Tensor::from_slice(tokens.device(), &own, [steps, 1]).expect("tokens")
}

#[test]
fn padding_neither_counts_nor_learns() {
    fn check<M: LanguageModel>(label: &str, model: &M) {
        let [tokens, targets] = padded(model.device());
        let loss = |tokens: &Tensor, targets: &Tensor| {
            let tape = Tape::new();
            let pass = &mut Pass::new(&tape).ignore_index(Some(PADDING));
            let fit = model.loss(tokens, targets, pass).expect("a loss");
            let trained = model.training_loss(tokens, targets, pass).expect("a loss").fit;
            assert_eq!(trained.value().item().unwrap(), fit.value().item().unwrap(), "{label}");
            learn(model, &fit)
        };
        let whole = loss(&tokens, &targets);
        // The fused operator, told the same.
        let tape = Tape::new();
        let Features { x, w } =
            model.features(&tokens, None, &mut Pass::new(&tape)).expect("features");
        let options =
            LinearCrossEntropy { ignore_index: Some(PADDING), ..LinearCrossEntropy::default() };
        let told = linear_cross_entropy_with(&x, &w, &targets, options).expect("a loss");
        assert_eq!(whole, learn(model, &told), "{label}");
        if !model.device().is_oracle() {
            return;
        }
        // Without the option they are targets outside the vocabulary.
        assert!(model.loss(&tokens, &targets, &mut Pass::new(&Tape::off())).is_err());
        // Each text by itself; rounding of the oracle moves no neuron over its threshold.
        let alone = |which: usize, steps: usize| {
            let [tokens, targets] = [&tokens, &targets].map(|t| text(t, which, steps));
            loss(&tokens, &targets)
        };
        let (first, second) = (alone(0, 9), alone(1, 5));
        for ((whole, first), second) in whole.iter().zip(&first).zip(&second) {
            for ((whole, first), second) in whole.iter().zip(first).zip(second) {
                let expected = (9.0 * first + 5.0 * second) / 14.0;
                assert!((whole - expected).abs() < 1e-9, "{label}: {whole}, not {expected}");
            }
        }
    }
    let devices = subjects().iter().map(|s| (s.label.as_str(), &s.device));
    for (label, device) in devices.chain([("the oracle", oracle())]) {
        check(label, &symbolic_light(device, &small().density(0.15, 1.0)));
        check(label, &spike_gpt(device));
    }
}

#[test]
fn generation_is_reproducible_and_checked() {
    let device = Device::host();
    let model = symbolic_light(&device, &small());
    let write = |seed| {
        let mut sampler = Sampler::new(seed).temperature(1.0).top_k(10).top_p(0.95);
        model.generate(&[1, 2, 3], 30, &mut sampler).expect("tokens")
    };
    assert_eq!(write(5), write(5));
    assert_ne!(write(5), write(6));
    assert!(model.generate(&[], 1, &mut Sampler::new(0)).is_err());
    // No room is made for tokens before they are drawn.
    let refused = model.generate(&[1], usize::MAX, &mut Sampler::new(0).top_k(0));
    assert!(matches!(refused, Err(Error::Argument { .. })));
    let error = model.generate(&[1, 17], 1, &mut Sampler::new(0)).expect_err("17").to_string();
    assert!(error.contains("17"), "{error}");
}

#[test]
fn files_come_back_and_strangers_are_named() {
    let device = Device::host();
    let folder = std::env::temp_dir().join(format!("spikegrad-models-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("model.safetensors");
    let config = small().gate(Gate::AtLeast(3)).encoder(Encoder::TopK(5));
    let model = symbolic_light(&device, &config);
    model.checkpoint().note("more", 7).save(&file).expect("saved");
    let (again, notes) = SymbolicLight::open(&file, &device).expect("opened");
    assert_eq!(again.config(), model.config());
    assert_eq!(notes.parse::<u32>("more").expect("a note"), 7);
    let tokens = tokens(&device, 9, 7, 1);
    let logits = |model: &SymbolicLight| {
        model.logits(&tokens).and_then(|l| l.to_vec::<f32>()).expect("logits")
    };
    assert_eq!(logits(&again), logits(&model));

    let other = symbolic_light(&device, &small().width(32).gate(Gate::Head));
    let error = other.restore(&file).expect_err("another model").to_string();
    assert!(error.contains("`model.width` is 24, expected 32"), "{error}");
    assert!(error.contains("`model.gate` is 3, expected head"), "{error}");
    let error = spike_gpt(&device).restore(&file).expect_err("another kind").to_string();
    assert!(error.contains("`model` is symbolic-light, expected spike-gpt"), "{error}");
    assert!(SpikeGpt::open(&file, &device).is_err());

    let model = spike_gpt(&device);
    model.checkpoint().save(&file).expect("saved");
    let (again, _) = SpikeGpt::open(&file, &device).expect("opened");
    assert_eq!(again.config(), model.config());
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn bad_extents_and_tokens_are_refused() {
    let device = Device::host();
    let mut random = Generator::new(&device, 0).expect("a generator");
    let mut refused = |config: SymbolicLightConfig| {
        SymbolicLight::new(&config, &mut random).expect_err("bad extents").to_string()
    };
    assert!(refused(small().width(25)).contains("25"));
    assert!(refused(small().heads(0)).contains("heads is 0"));
    assert!(refused(small().width(18).heads(6)).contains("3 channels a head"));
    assert!(refused(small().encoder(Encoder::TopK(25))).contains("25 largest of 24"));
    assert!(SpikeGpt::new(&SpikeGptConfig::new(0), &mut random).is_err());
    let model = symbolic_light(&device, &small());
    let flat = Tensor::from_slice(&device, &[1u32, 2], [2]).expect("tokens");
    assert!(model.logits(&flat).is_err());
    let floats = Tensor::from_slice(&device, &[1.0f32, 2.0], [2, 1]).expect("floats");
    assert!(model.logits(&floats).is_err());
    let mut state = model.state(2).expect("a state");
    assert!(model.advance(&tokens(&device, 0, 1, 3), &mut state).is_err());
    let elsewhere = tokens(&Device::oracle(), 0, 2, 1);
    assert!(model.logits(&elsewhere).is_err());
}
