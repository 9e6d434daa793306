//! The forecasters: devices against the oracle, gradients, files, and refused input.

use kernels_tests::Random;
use spikegrad::models::{
    Activity, Forecaster, FourierGnn, FourierGnnConfig, GateGradient, Mix, Pass, Penalty, SpikfGo,
    SpikfGoConfig,
};
use spikegrad::nn::Module;
use spikegrad::random::Generator;
use spikegrad::{Device, Error, Param, Result, Tape, Tensor};

const VARIABLES: usize = 5;
const LOOK_BACK: usize = 6;
const HORIZON: usize = 3;

fn fourier_gnn_config(mix: Mix) -> FourierGnnConfig {
    let config = FourierGnnConfig::new(VARIABLES).look_back(LOOK_BACK).horizon(HORIZON);
    config.embed(4).hidden(7).mix(mix)
}

fn fourier_gnn(device: &Device, config: &FourierGnnConfig) -> FourierGnn {
    FourierGnn::new(config, &mut Generator::new(device, 3).expect("a generator")).expect("a model")
}

fn spikf_go_config() -> SpikfGoConfig {
    let config = SpikfGoConfig::new(VARIABLES).look_back(LOOK_BACK).horizon(HORIZON);
    config.embed(4).slots(3).reduced(7)
}

/// A model whose neurons and gates fire: as it starts, what charges the gates is small.
fn spikf_go(device: &Device, config: &SpikfGoConfig) -> SpikfGo {
    let mut random = Generator::new(device, 3).expect("a generator");
    let model = SpikfGo::new(config, &mut random).expect("a model");
    let larger = |name: &str| match name {
        "operator.0.weight" | "operator.1.weight" | "operator.2.weight" => 40.0,
        "tokens.steps" | "decoder.slots.weight" => 4.0,
        "positions.spikes.weight" | "positions.codes.weight" => 6.0,
        name if name.ends_with(".affine") => 2.0,
        _ => 1.0,
    };
    for param in model.params() {
        let values = param.value().to_vec::<f32>().expect("values");
        let factor = larger(param.name());
        // What starts at zero hides gradients, or stands on a kink.
        let moved = |(i, v): (usize, &f32)| match *v {
            0.0 => 0.1 + 0.07 * (i % 5) as f32,
            v => v * factor,
        };
        let values: Vec<f32> = values.iter().enumerate().map(moved).collect();
        param.value().write(&values).expect("written");
    }
    model
}

/// Windows and targets of a batch of 2.
fn series(device: &Device, seed: u64) -> [Tensor; 2] {
    let mut random = Random::new(seed);
    [LOOK_BACK, HORIZON].map(|steps| {
        let values: Vec<f32> =
            (0..steps * 2 * VARIABLES).map(|_| random.uniform(-2.0, 2.0)).collect();
        Tensor::from_slice(device, &values, [steps, 2, VARIABLES]).expect("a window")
    })
}

/// Loss and gradients of all parameters, on the device of the model.
fn gradients<M: Forecaster>(model: &M) -> Result<Vec<Tensor>> {
    let [window, target] = series(model.device(), 5);
    let tape = Tape::new();
    let loss = model.loss(&window, &target, &mut Pass::new(&tape))?;
    let gradients = loss.total.backward()?;
    let of = |param: &Param| {
        let found = gradients.of(param).cloned();
        found.ok_or_else(|| Error::argument("test", format!("{} has no gradient", param.name())))
    };
    let all = model.params().iter().map(of).collect::<Result<Vec<_>>>()?;
    Ok([vec![loss.total.value().clone()], all].concat())
}

/// On every device the loss and its gradients are the oracle's.
fn agrees<M: Forecaster>(what: &str, make: impl Fn(&Device) -> M) {
    kernels_tests::conform(what, 1e-4, |device| gradients(&make(device)));
}

/// The gradient of the loss, by finite differences of a few elements of every parameter.
fn differences<M: Forecaster>(what: &str, model: &M, of: impl Fn(&str) -> bool) {
    let step = 1e-6;
    let [window, target] = series(model.device(), 5);
    let loss = || -> Result<f64> {
        let tape = Tape::off();
        let loss = model.loss(&window, &target, &mut Pass::new(&tape))?;
        Ok(loss.total.value().to_vec::<f64>()?[0])
    };
    let found = gradients(model).expect("gradients");
    let params = model.params();
    for (param, gradient) in params.iter().zip(&found[1..]).filter(|(p, _)| of(p.name())) {
        let gradient = gradient.to_vec::<f64>().expect("a gradient");
        let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        let values = param.value().to_vec::<f64>().expect("values");
        for i in (0..values.len()).step_by(values.len().div_ceil(5)) {
            let at = |offset: f64| {
                let mut moved = values.clone();
                moved[i] += offset;
                param.value().write(&moved)?;
                loss()
            };
            let rise = at(step).expect("a loss") - at(-step).expect("a loss");
            let numeric = rise / (2.0 * step);
            let error = (gradient[i] - numeric).abs();
            let name = param.name();
            assert!(
                error <= 1e-5 * largest + 1e-8,
                "{what}, {name}[{i}]: {} and by differences {numeric}",
                gradient[i]
            );
        }
        param.value().write(&values).expect("written");
    }
}

#[test]
fn fourier_gnn_agrees_and_has_its_gradients() {
    for (mix, norm) in [(Mix::Diag, false), (Mix::Dense, true)] {
        let config = fourier_gnn_config(mix).norm(norm);
        agrees(&format!("fourier gnn, {mix}"), |device| fourier_gnn(device, &config));
        differences(
            &format!("fourier gnn, {mix}"),
            &fourier_gnn(&Device::oracle(), &config),
            |_| true,
        );
    }
}

#[test]
fn spikf_go_agrees() {
    let configs = [
        spikf_go_config(),
        spikf_go_config().gate(GateGradient::StraightThrough).penalty(Penalty::Detached, 0.1),
        spikf_go_config().cpg(Some(1.0)).frequency_gate(false).norm(false),
        spikf_go_config().spiking(false),
    ];
    for config in configs {
        agrees(&format!("{config:?}"), |device| spikf_go(device, &config));
    }
}

/// Without spikes all gradients are those of a smooth function. With them, those of the layers after
/// the last spikes.
#[test]
fn spikf_go_has_its_gradients() {
    let smooth = spikf_go_config().spiking(false).cpg(Some(1.0)).penalty(Penalty::Exact, 0.0);
    differences("the twin", &spikf_go(&Device::oracle(), &smooth), |_| true);
    let spiking = spikf_go_config().penalty(Penalty::Exact, 0.0);
    let model = spikf_go(&Device::oracle(), &spiking);
    let after =
        |name: &str| name.starts_with("decoder.first") || name.starts_with("decoder.second");
    differences("the layers after the spikes", &model, after);
}

/// What the neurons and gates of the model under test do: neither nothing nor everything.
#[test]
fn spikf_go_fires() {
    let model = spikf_go(&Device::host(), &spikf_go_config().cpg(Some(1.0)));
    let [window, _] = series(model.device(), 5);
    let mut activity = Activity::new();
    let tape = Tape::off();
    let pass = &mut Pass::new(&tape).activity(&mut activity);
    let _ = model.forecast(&tape.constant(&window), pass).expect("a forecast");
    let rates = activity.elements().expect("rates");
    assert_eq!(rates.len(), 9, "embedding, positions, six gates, decoder");
    for (place, rate) in rates {
        assert!(rate > 0.01 && rate < 0.99, "{place}: {rate}");
    }
    assert_eq!(activity.densities().expect("densities"), [("frequencies", 1.0)]);
}

/// The penalty of the frequency gates: in value, and in whether it has a gradient.
#[test]
fn open_frequencies_cost() {
    let device = Device::oracle();
    let gradient_of_gates = |penalty, weight| {
        let model = spikf_go(&device, &spikf_go_config().penalty(penalty, weight));
        let [window, target] = series(&device, 5);
        let tape = Tape::new();
        let loss = model.loss(&window, &target, &mut Pass::new(&tape)).expect("a loss");
        let gradients = loss.total.backward().expect("gradients");
        let gates = model.params().into_iter().find(|p| p.name() == "gates").expect("gates");
        let values = |t: &Tensor| t.to_vec::<f64>().expect("values");
        (
            values(loss.total.value())[0],
            values(loss.fit.value())[0],
            values(gradients.of(&gates).expect("g")),
        )
    };
    let (total, fit, without) = gradient_of_gates(Penalty::Exact, 0.0);
    assert_eq!(total, fit);
    let (total, fit, detached) = gradient_of_gates(Penalty::Detached, 0.5);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    assert!((total / fit - 1.0 - 0.5 * sigmoid(2.0)).abs() < 1e-9, "{total} of {fit}");
    assert_eq!(without, detached);
    let (total, fit, exact) = gradient_of_gates(Penalty::Exact, 0.5);
    let share = sigmoid(2.0 - 0.1 * (0.1f64 / 1.1).ln());
    assert!((total / fit - 1.0 - 0.5 * share).abs() < 1e-6, "{total} of {fit}");
    let slope = 0.5 * fit * share * (1.0 - share) / exact.len() as f64;
    for (exact, without) in exact.iter().zip(&without) {
        assert!((exact - without - slope).abs() < 1e-6 * fit, "{exact} {without} {slope}");
    }
}

/// All steps of the neurons are in each launch: a step of training has 150 at most, the norm of
/// all gradients and the optimizer included, whatever T.
#[test]
fn a_training_step_has_few_launches() {
    use spikegrad::optim::{AdamW, Optimizer};
    let device = Device::host();
    let mut counts = Vec::new();
    for steps in [2, 8] {
        let model = spikf_go(&device, &spikf_go_config().steps(steps));
        let mut random = Generator::new(&device, 1).expect("a generator");
        let recipe = AdamW::builder().clip_norm(1.0);
        let mut adam = recipe.build(&model.params()).expect("an optimizer");
        let [window, target] = series(&device, 5);
        let step = || {
            let tape = Tape::new();
            let pass = &mut Pass::training(&tape, &mut random);
            let gradients = model.loss(&window, &target, pass)?.total.backward()?;
            adam.step(&gradients)
        };
        let (_, profile) = device.profile(step).expect("a step");
        counts.push(profile.launches());
    }
    assert!(counts[0] == counts[1] && counts[0] <= 150, "{counts:?}");
}

/// An embedding of rank one commutes with the transform: outcome and gradients do not tell.
#[test]
fn one_transform_does_for_all_channels() {
    for mix in [Mix::Diag, Mix::Dense] {
        for subject in kernels_tests::subjects() {
            let config = fourier_gnn_config(mix);
            let [window, target] = series(&subject.device, 5);
            let run = |config: &FourierGnnConfig| {
                let model = fourier_gnn(&subject.device, config);
                let loss = model.loss(&window, &target, &mut Pass::new(&Tape::new()));
                let gradients = loss.expect("a loss").total.backward().expect("gradients");
                let forecast = model.predict(&window).expect("a forecast");
                let params = model.params();
                let found = params.iter().map(|p| gradients.of(p).expect("a gradient").clone());
                found.chain([forecast]).collect::<Vec<Tensor>>()
            };
            let (one, each) = (run(&config), run(&config.clone().rank_one(false)));
            for (one, each) in one.iter().zip(&each) {
                kernels_tests::assert_close(&subject.label, one, each, 1e-5);
            }
        }
    }
}

/// Training makes the loss smaller, for every model.
#[test]
fn forecasters_learn() {
    use spikegrad::optim::{AdamW, Optimizer};
    fn learn<M: Forecaster>(model: &M) {
        let mut random = Generator::new(model.device(), 1).expect("a generator");
        let recipe = AdamW::builder().learning_rate(0.01).clip_norm(1.0);
        let mut adam = recipe.build(&model.params()).expect("an optimizer");
        let [window, target] = series(model.device(), 5);
        let mut losses = Vec::new();
        for _ in 0..150 {
            let tape = Tape::new();
            let pass = &mut Pass::training(&tape, &mut random);
            let loss = model.loss(&window, &target, pass).expect("a loss");
            adam.step(&loss.total.backward().expect("gradients")).expect("a step");
            losses.push(loss.fit.value().item().expect("a number"));
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.4 * first, "{}: from {first} to {last}", M::NAME);
    }
    let device = Device::host();
    learn(&fourier_gnn(&device, &fourier_gnn_config(Mix::Dense)));
    learn(&spikf_go(&device, &spikf_go_config()));
    learn(&spikf_go(&device, &spikf_go_config().spiking(false)));
}

#[test]
fn files_come_back_and_strangers_are_named() {
    let device = Device::host();
    let folder = std::env::temp_dir().join(format!("spikegrad-forecast-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("model.safetensors");
    let [window, target] = series(&device, 5);
    let bits = |forecast: Tensor| -> Vec<u32> {
        forecast.to_vec::<f32>().expect("values").iter().map(|v| v.to_bits()).collect()
    };

    let model = fourier_gnn(&device, &fourier_gnn_config(Mix::Dense).norm(true));
    model.checkpoint().note("more", 7).save(&file).expect("saved");
    let (again, notes) = FourierGnn::open(&file, &device).expect("opened");
    assert_eq!(again.config(), model.config());
    assert_eq!(notes.parse::<u32>("more").expect("a note"), 7);
    let forecasts = [again.predict(&window), model.predict(&window)].map(|f| bits(f.expect("one")));
    assert_eq!(forecasts[0], forecasts[1]);

    // With running statistics, which a pass of training has moved.
    let config = spikf_go_config().cpg(Some(2.5)).gate(GateGradient::StraightThrough);
    let config = config.penalty(Penalty::Detached, 0.3).residual(0.2).norm(false);
    let model = spikf_go(&device, &config);
    let mut random = Generator::new(&device, 1).expect("a generator");
    let tape = Tape::new();
    model.loss(&window, &target, &mut Pass::training(&tape, &mut random)).expect("a loss");
    model.checkpoint().save(&file).expect("saved");
    let (again, _) = SpikfGo::open(&file, &device).expect("opened");
    assert_eq!(again.config(), model.config());
    let forecasts = [again.predict(&window), model.predict(&window)].map(|f| bits(f.expect("one")));
    assert_eq!(forecasts[0], forecasts[1]);
    let (moved, start) = (&model.buffers()[0], &spikf_go(&device, &config).buffers()[0]);
    let values = |p: &Param| p.value().to_vec::<f32>().expect("values");
    assert_ne!(values(moved), values(start));
    assert_eq!(values(moved), values(&again.buffers()[0]));

    let error = spikf_go(&device, &config.clone().embed(5)).restore(&file).expect_err("another");
    assert!(error.to_string().contains("`model.embed` is 4, expected 5"), "{error}");
    assert!(FourierGnn::open(&file, &device).is_err());
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn bad_extents_and_windows_are_refused() {
    let device = Device::host();
    let mut random = Generator::new(&device, 0).expect("a generator");
    let mut refused = |config: SpikfGoConfig| {
        SpikfGo::new(&config, &mut random).expect_err("bad extents").to_string()
    };
    assert!(refused(spikf_go_config().horizon(0)).contains("horizon is 0"));
    assert!(refused(spikf_go_config().look_back(0)).contains("look_back is 0"));
    assert!(refused(spikf_go_config().steps(0)).contains("steps is 0"));
    assert!(refused(SpikfGoConfig::new(0)).contains("variables is 0"));
    assert!(refused(spikf_go_config().cpg(Some(0.0))).contains("tau 0"));
    assert!(refused(spikf_go_config().penalty(Penalty::Exact, -1.0)).contains("-1"));
    let mut refused = |config: FourierGnnConfig| {
        FourierGnn::new(&config, &mut random).expect_err("bad extents").to_string()
    };
    assert!(refused(fourier_gnn_config(Mix::Diag).horizon(0)).contains("horizon is 0"));
    assert!(refused(fourier_gnn_config(Mix::Diag).look_back(0)).contains("look_back is 0"));
    assert!("both".parse::<Mix>().is_err());

    fn windows<M: Forecaster>(model: &M) {
        let [window, target] = series(model.device(), 1);
        let with = |shape: &[usize]| Tensor::zeros(model.device(), shape, spikegrad::DType::F32);
        let shapes = [[LOOK_BACK, 2, 4], [LOOK_BACK + 1, 2, VARIABLES], [LOOK_BACK, 0, VARIABLES]];
        for shape in shapes {
            let error = model.predict(&with(&shape).expect("a window")).expect_err("a shape");
            assert!(error.to_string().contains("expected [6, B, 5]"), "{error}");
        }
        assert!(model.predict(&with(&[LOOK_BACK, VARIABLES]).expect("a window")).is_err());
        let elsewhere = series(&Device::oracle(), 1)[0].clone();
        assert!(matches!(model.predict(&elsewhere), Err(Error::DeviceMismatch { .. })));
        let pass = &mut Pass::new(&Tape::off());
        assert!(model.loss(&window, &window, pass).is_err());
        assert!(model.loss(&window, &target, pass).is_ok());
    }
    windows(&spikf_go(&device, &spikf_go_config()));
    windows(&fourier_gnn(&device, &fourier_gnn_config(Mix::Diag)));
}

/// A series that does not change gives numbers.
#[test]
fn constant_series_have_forecasts() {
    let device = Device::host();
    let window =
        Tensor::from_slice(&device, &[61.5f32; LOOK_BACK * VARIABLES], [LOOK_BACK, 1, VARIABLES]);
    let window = window.expect("a window");
    let target =
        Tensor::from_slice(&device, &[61.5f32; HORIZON * VARIABLES], [HORIZON, 1, VARIABLES]);
    let target = target.expect("a target");
    let model = spikf_go(&device, &spikf_go_config());
    let tape = Tape::new();
    let loss = model.loss(&window, &target, &mut Pass::new(&tape)).expect("a loss");
    let gradients = loss.total.backward().expect("gradients");
    for param in model.params() {
        let values = gradients.of(&param).expect("a gradient").to_vec::<f32>().expect("values");
        assert!(values.iter().all(|v| v.is_finite()), "{}", param.name());
    }
    let forecast = model.predict(&window).expect("a forecast").to_vec::<f32>().expect("values");
    assert!(forecast.iter().all(|v| (v - 61.5).abs() < 0.1), "{forecast:?}");
}

/// Operations of a forecast: by hand for a small model, and more sparing with spikes than without.
#[test]
fn energy_is_counted() {
    let device = Device::host();
    let energy = |config: &SpikfGoConfig| {
        let model = spikf_go(&device, config);
        let [window, _] = series(&device, 5);
        let mut activity = Activity::new();
        let tape = Tape::off();
        let pass = &mut Pass::new(&tape).activity(&mut activity);
        let _ = model.forecast(&tape.constant(&window), pass).expect("a forecast");
        model.energy(&activity).expect("energy")
    };
    let spiking = energy(&spikf_go_config());
    let rows = spiking.rows();
    let row = |name: &str| rows.iter().find(|row| row.layer == name).expect("a layer");
    // 4 steps, 30 nodes, 16 bins, 4 channels, 3 slots, reduced to 7, 3 ahead, 5 variables.
    assert_eq!(row("embedding").operations, 480.0);
    assert_eq!(row("complex layer 2").operations, 4.0 * 4.0 * 16.0 * 16.0);
    assert_eq!(row("reduced").operations, (4 * 5 * 4 * 3 * 7) as f64);
    assert_eq!(row("forecast").operations, 105.0);
    assert!(spiking.usual() < spiking.strict());
    assert!(spiking.bytes() > 0.0 && spiking.to_string().contains("inverse transform"));
    let twin = energy(&spikf_go_config().spiking(false));
    assert_eq!(twin.usual(), twin.strict());
    let (macs, acs) = twin.strict_operations();
    assert!(acs == 0.0 && (macs * 4.6e-6 - twin.strict()).abs() < 1e-9);
    let model = spikf_go(&device, &spikf_go_config());
    assert!(model.energy(&Activity::new()).is_err());
    let gnn = fourier_gnn(&device, &fourier_gnn_config(Mix::Diag));
    let gnn = gnn.energy(&Activity::new()).expect("energy");
    assert_eq!(gnn.rows()[1].operations, 3.0 * 16.0 * 4.0 * 4.0);
}

/// A prediction leaves closed frequencies out, and is what all of them give.
#[test]
fn closed_frequencies_are_left_out() {
    for subject in kernels_tests::subjects() {
        let model = spikf_go(&subject.device, &spikf_go_config());
        let params = model.params();
        let gates = params.iter().find(|p| p.name() == "gates").expect("gates");
        let logits: Vec<f32> =
            (0..gates.value().count()).map(|f| if f % 3 == 1 { -4.0 } else { 1.5 }).collect();
        gates.value().write(&logits).expect("written");
        let [window, _] = series(&subject.device, 5);
        let short = model.predict(&window).expect("a forecast");
        let mut activity = Activity::new();
        let tape = Tape::off();
        let pass = &mut Pass::new(&tape).activity(&mut activity);
        let whole = model.forecast(&tape.constant(&window), pass).expect("a forecast");
        kernels_tests::assert_close(&subject.label, &short, whole.value(), 1e-5);
        let density = activity.densities().expect("densities")[0].1;
        assert!((density - 11.0 / 16.0).abs() < 1e-9, "{density}");
        let (captured, _) =
            subject.device.capture(|| model.predict(&window)).expect("a captured forecast");
        kernels_tests::assert_close(&subject.label, &captured, whole.value(), 1e-5);
    }
    let device = Device::host();
    let moved = |logit: f32| {
        let model = spikf_go(&device, &spikf_go_config());
        let gates = model.params().into_iter().find(|p| p.name() == "gates").expect("gates");
        gates.value().write(&vec![logit; gates.value().count()]).expect("written");
        let [window, _] = series(&device, 5);
        let (_, profile) = device.profile(|| model.predict(&window)).expect("a profile");
        let row = profile.rows().into_iter().find(|row| row.kernel == "complex_gate");
        row.expect("gates").bytes
    };
    assert!(moved(-4.0) < 0.2 * moved(1.5), "closed bins are computed");
}
