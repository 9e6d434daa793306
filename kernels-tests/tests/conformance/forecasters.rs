//! The forecasters: devices against the oracle, gradients, files, and refused input.

use kernels_tests::{Random, assert_close, subjects};
use spikegrad::models::{Forecaster, FourierGnn, FourierGnnConfig, Mix, Pass};
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
fn differences<M: Forecaster>(what: &str, model: &M) {
    let step = 1e-6;
    let [window, target] = series(model.device(), 5);
    let loss = || -> Result<f64> {
        let tape = Tape::off();
        let loss = model.loss(&window, &target, &mut Pass::new(&tape))?;
        Ok(loss.total.value().to_vec::<f64>()?[0])
    };
    let found = gradients(model).expect("gradients");
    for (param, gradient) in model.params().iter().zip(&found[1..]) {
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
        differences(&format!("fourier gnn, {mix}"), &fourier_gnn(&Device::oracle(), &config));
    }
}
