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
    model.forecast(&tape.constant(&window), pass).expect("a forecast");
    let rates = activity.elements().expect("rates");
    assert_eq!(rates.len(), 9, "embedding, positions, six gates, decoder");
    for (place, rate) in rates {
        assert!(rate > 0.01 && rate < 0.99, "{place}: {rate}");
    }
    assert_eq!(activity.densities().expect("densities"), [("frequencies", 1.0)]);
}
