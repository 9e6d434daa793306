//! Conformance of the `neuron` family, and of the driver of recurrences under it.

use super::spikes::{bits, close_sums, terms};
use kernels_tests::{Random, assert_close, conform, oracle, own_subjects, seeded, subjects};
use proptest::prelude::*;
use spikegrad::lif::{Spikes, Surrogate};
use spikegrad::neuron::{Reset, Synaptic, SynapticOutput, SynapticParameters};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// One scan with everything that goes in.
#[derive(Debug, Clone)]
struct Case {
    neuron: Synaptic,
    steps: usize,
    batch: usize,
    neurons: usize,
    state: bool,
    /// Of alpha, beta and threshold: 0 fixed, 1 one value, 2 one a neuron.
    forms: [usize; 3],
    seed: u64,
}

/// What a scan gives: spikes, membranes and last state, and the gradients of all leaves.
struct Outcome {
    spikes: Tensor,
    membrane: Tensor,
    state: Tensor,
    gradients: Vec<(&'static str, Tensor)>,
}

fn base() -> Synaptic {
    Synaptic::new(0.75, 0.85)
}

impl Case {
    fn new(neuron: Synaptic, steps: usize, batch: usize, neurons: usize) -> Self {
        Self { neuron, steps, batch, neurons, state: true, forms: [0; 3], seed: 1 }
    }

    fn forms(self, forms: [usize; 3]) -> Self {
        Self { forms, ..self }
    }

    fn columns(&self) -> usize {
        self.batch * self.neurons
    }

    fn values(&self, stream: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
        Random::new(self.seed * 16 + stream).values(count, low, high)
    }

    /// Currents of both signs, from states some of which fire at once.
    fn inputs(&self) -> [(Vec<f32>, [usize; 3]); 2] {
        let (steps, columns) = (self.steps, self.columns());
        let x = self.values(0, steps * columns, -0.4, 0.5);
        let state = self.values(1, 2 * columns, -0.4, 1.6);
        [(x, [steps, self.batch, self.neurons]), (state, [2, self.batch, self.neurons])]
    }

    /// Alpha, beta and threshold, thresholds `shift` further.
    fn parameters(&self, tape: &Tape, device: &Device, shift: f64) -> Result<[Option<Var>; 3]> {
        let ranges = [(0.3, 0.95), (0.5, 0.95), (0.7, 1.2)];
        let mut vars = [None, None, None];
        for (k, (low, high)) in ranges.into_iter().enumerate() {
            let count = [0, 1, self.neurons][self.forms[k]];
            let values = self.values(2 + k as u64, count, low, high);
            let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
            if k == 2 && shift != 0.0 {
                values.extend((count == 0).then_some(1.0));
                values.iter_mut().for_each(|v| *v += shift);
            }
            if !values.is_empty() {
                let values = Tensor::from_slice(device, &values, [values.len()])?;
                vars[k] = Some(tape.leaf(&values));
            }
        }
        Ok(vars)
    }

    fn run(&self, device: &Device) -> Result<Outcome> {
        let tape = Tape::new();
        let leaf = |values: &[f32], shape: &[usize]| -> Result<Var> {
            Ok(tape.leaf(&Tensor::from_slice(device, values, shape)?))
        };
        let [(x, shape), (state, row)] = self.inputs();
        let (x, state) = (leaf(&x, &shape)?, leaf(&state, &row)?);
        let vars = self.parameters(&tape, device, 0.0)?;
        let [alpha, beta, threshold] = vars.each_ref().map(Option::as_ref);
        let parameters = SynapticParameters { alpha, beta, threshold };
        let state = self.state.then_some(&state);
        let out = self.neuron.trace(true).scan_with(&x, state, &parameters)?;
        let membrane = out.membrane.expect("a trace");
        let seed = |stream, like: &Var| {
            let values = self.values(stream, like.shape().count(), -1.0, 1.0);
            Tensor::from_slice(device, &values, like.shape())
        };
        let seeds = [
            (&out.spikes, seed(5, &out.spikes)?),
            (&membrane, seed(6, &membrane)?),
            (&out.state, seed(7, &out.state)?),
        ];
        let found = seeded(&seeds)?.backward()?;
        let leaves = [
            ("x", Some(&x)),
            ("state", state),
            ("alpha", alpha),
            ("beta", beta),
            ("threshold", threshold),
        ];
        let gradients = leaves.into_iter().filter_map(|(name, leaf)| {
            leaf.map(|leaf| (name, found.get(leaf).expect(name).clone()))
        });
        Ok(Outcome {
            spikes: out.spikes.value().clone(),
            membrane: membrane.value().clone(),
            state: out.state.value().clone(),
            gradients: gradients.collect(),
        })
    }

    /// The oracle's spikes with all thresholds moved by `shift` a step.
    fn nudged(&self, shift: f64) -> Vec<f64> {
        let run = || -> Result<Vec<f64>> {
            let (tape, device) = (Tape::off(), oracle());
            let inputs = self.inputs();
            let [x, state] = inputs.each_ref().map(|(values, shape)| {
                Tensor::from_slice(device, values, *shape).map(|t| tape.leaf(&t))
            });
            let (x, state) = (x?, state?);
            let vars = self.parameters(&tape, device, shift * self.steps as f64)?;
            let [alpha, beta, threshold] = vars.each_ref().map(Option::as_ref);
            let parameters = SynapticParameters { alpha, beta, threshold };
            let neuron = self.neuron.output(Spikes::F32);
            let out = neuron.scan_with(&x, self.state.then_some(&state), &parameters)?;
            out.spikes.value().to_vec::<f64>()
        };
        run().expect("the oracle runs")
    }

    /// The case with the first seed from its own on whose spikes rounding cannot change.
    fn settled(&self) -> Case {
        let seeds = (self.seed..self.seed + 200).map(|seed| Case { seed, ..self.clone() });
        let mut clear = seeds.into_iter().filter(|case| case.nudged(-1e-6) == case.nudged(1e-6));
        clear.next().expect("a seed without a close call")
    }

    /// Compares every device with the oracle: spikes exactly, the rest within `1e-5`.
    fn conform(&self, what: &str) {
        let case = self.settled();
        let expected = case.run(oracle()).unwrap_or_else(|e| panic!("{what}: {e}"));
        for subject in subjects() {
            let what = format!("{what} on {}", subject.label);
            let found = case.run(&subject.device).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(bits(&found.spikes), bits(&expected.spikes), "{what}: spikes");
            assert_close(&format!("{what}: membrane"), &found.membrane, &expected.membrane, 1e-5);
            assert_close(&format!("{what}: state"), &found.state, &expected.state, 1e-5);
            let terms = terms(&expected.gradients[0].1);
            for ((name, found), (_, expected)) in found.gradients.iter().zip(&expected.gradients) {
                let what = format!("{what}: gradient of {name}");
                if matches!(*name, "x" | "state") {
                    assert_close(&what, found, expected, 2e-5);
                } else {
                    close_sums(&what, found, expected, terms, 4e-6);
                }
            }
        }
    }
}

#[test]
fn shapes_at_the_edges() {
    let neuron = base().output(Spikes::Bits);
    for (steps, batch, neurons) in [
        (1, 1, 1),
        (1, 3, 37),
        (7, 1, 1),
        (8, 2, 64),
        (9, 1, 17),
        (31, 1, 129),
        (32, 1, 5),
        (33, 1, 257),
    ] {
        Case::new(neuron, steps, batch, neurons).conform(&format!("{steps} {batch} {neurons}"));
    }
    // Long enough for a software adapter to march.
    for steps in [128, 131] {
        Case::new(neuron, steps, 3, 43).conform(&format!("{steps} steps"));
    }
}

/// The modes, one by one: each is a pipeline, so few are combined.
#[test]
fn every_mode() {
    for (name, neuron) in [
        ("no reset", base().reset(Reset::None)),
        ("no reset, attached", base().reset(Reset::None).detach_reset(false)),
        ("subtract", base()),
        ("subtract, attached", base().detach_reset(false)),
        ("zero", base().reset(Reset::Zero)),
        ("zero, attached", base().reset(Reset::Zero).detach_reset(false)),
        ("at the threshold", base().strict(false)),
        ("sigmoid", base().surrogate(Surrogate::Sigmoid(4.0))),
        ("fast sigmoid", base().surrogate(Surrogate::FastSigmoid(5.0))),
        ("triangle", base().surrogate(Surrogate::Triangle(1.0))),
        ("rectangle", base().surrogate(Surrogate::Rectangle(0.9))),
        ("nothing is kept", Synaptic::new(0.0, 0.0)),
        ("all is kept", Synaptic::new(1.0, 1.0)),
        ("low threshold", base().threshold(-0.2)),
    ] {
        let case = Case::new(neuron, 37, 3, 23);
        case.conform(name);
        Case { state: false, ..case }.conform(&format!("{name}, no state"));
    }
}

#[test]
fn learned_parameters() {
    let subtract = base().detach_reset(false);
    let zero = base().reset(Reset::Zero).detach_reset(false).output(Spikes::Bits);
    for (name, neuron, forms) in [
        ("subtract, each", subtract, [2, 2, 2]),
        ("zero, each", zero, [2, 2, 2]),
        ("subtract, one", subtract, [1, 1, 1]),
        ("zero, mixed", zero, [2, 1, 0]),
        ("subtract, mixed", subtract, [0, 2, 1]),
        ("zero, the first", zero, [2, 0, 0]),
        ("detached, the last", base(), [0, 0, 2]),
    ] {
        Case::new(neuron, 37, 11, 45).forms(forms).conform(name);
        let without_state = Case { state: false, ..Case::new(neuron, 9, 300, 3) };
        without_state.forms(forms).conform(&format!("{name}, no state"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_scans(
        steps in 1usize..90, batch in 1usize..5, neurons in 1usize..70, seed in 0u64..1000,
        mode in 0usize..3, state: bool,
    ) {
        // Few pipelines, many shapes.
        let (neuron, forms) = [
            (base().output(Spikes::Bits), [0; 3]),
            (base().detach_reset(false), [2, 1, 2]),
            (base().reset(Reset::Zero), [0; 3]),
        ][mode];
        let case = Case { neuron, steps, batch, neurons, state, forms, seed };
        case.conform(&format!("{case:?}"));
    }
}

/// Against finite differences: with the surrogate's primitive in the place of the spike, backward is the
/// exact gradient.
#[test]
fn the_smooth_neuron_has_the_gradient_of_its_differences() {
    let (steps, columns) = (11, 4);
    let mut random = Random::new(9);
    let mut draw = |count: usize, low: f32, high: f32| -> Vec<f64> {
        random.values(count, low, high).into_iter().map(f64::from).collect()
    };
    let inputs: [(Vec<f64>, &[usize]); 5] = [
        (draw(steps * columns, -0.6, 0.9), &[11, 2, 2]),
        (draw(2 * columns, -0.4, 1.4), &[2, 2, 2]),
        (draw(2, 0.3, 0.95), &[2]),
        (draw(1, 0.5, 0.95), &[1]),
        (draw(2, 0.8, 1.2), &[2]),
    ];
    for surrogate in [
        Surrogate::Atan(2.0),
        Surrogate::Sigmoid(4.0),
        Surrogate::FastSigmoid(3.0),
        Surrogate::Triangle(1.3),
    ] {
        for reset in [Reset::None, Reset::Subtract, Reset::Zero] {
            let neuron = base().surrogate(surrogate).reset(reset).trace(true);
            let neuron = neuron.detach_reset(false).smooth(true);
            let check = gradient_check(&inputs, 1e-5, |v| {
                let (alpha, beta, threshold) = (Some(&v[2]), Some(&v[3]), Some(&v[4]));
                let parameters = SynapticParameters { alpha, beta, threshold };
                let out = neuron.scan_with(&v[0], Some(&v[1]), &parameters)?;
                Ok(vec![out.spikes, out.membrane.expect("a trace"), out.state])
            })
            .unwrap();
            assert!(check.error < 3e-6, "{surrogate:?} {reset:?}: {check:?}");
        }
    }
}

/// The neuron in snnTorch's own words, step by step in f64, against the oracle.
#[test]
fn the_equations_step_by_step() {
    let (alpha, beta, threshold) = (0.75, 0.875, 1.0);
    for reset in [Reset::None, Reset::Subtract, Reset::Zero] {
        let x: Vec<f64> =
            Random::new(2).values(200, -0.4, 0.6).iter().map(|v| (*v).into()).collect();
        let (mut i, mut u, mut membranes) = (0.0, 0.0, Vec::new());
        for x in &x {
            let r = u > threshold;
            i = alpha * i + x;
            u = beta * u + i;
            match reset {
                Reset::Subtract if r => u -= threshold,
                Reset::Zero if r => u = 0.0,
                _ => {}
            }
            membranes.push(u);
        }
        let tape = Tape::off();
        let x = tape.constant(&Tensor::from_slice(oracle(), &x, [200, 1]).unwrap());
        let neuron = Synaptic::new(0.75, 0.875).reset(reset).trace(true);
        let out = neuron.scan(&x, None).unwrap();
        let fired: Vec<bool> = membranes.iter().map(|u| *u > threshold).collect();
        assert!(fired.contains(&true), "{reset:?} never fires");
        assert_eq!(bits(out.spikes.value()), fired, "{reset:?}");
        let found = out.membrane.unwrap().value().to_vec::<f64>().unwrap();
        assert!(found.iter().zip(&membranes).all(|(a, b)| (a - b).abs() < 1e-12), "{reset:?}");
        assert_eq!(out.state.value().to_vec::<f64>().unwrap()[1], found[199]);
    }
}

#[test]
fn chunks_are_the_whole() {
    let neuron = base().detach_reset(false);
    let (shape, row) = ([40, 2, 9], 18);
    let values = Random::new(3).values(40 * row, -0.4, 0.6);
    let seeds = Random::new(4).values(40 * row, -1.0, 1.0);
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &values, shape).unwrap());
        let whole = neuron.scan(&x, None).unwrap();
        let seed = Tensor::from_slice(device, &seeds, shape).unwrap();
        let gradient = whole.spikes.backward_from(&seed).unwrap();
        let gradient = gradient.get(&x).unwrap().clone();

        let tape = Tape::new();
        let (mut state, mut parts, mut outputs) = (None::<Var>, Vec::new(), Vec::new());
        for (from, to) in [(0, 13), (13, 29), (29, 40)] {
            let shape = [to - from, 2, 9];
            let part = |v: &[f32]| Tensor::from_slice(device, &v[from * row..to * row], shape);
            let x = tape.leaf(&part(&values).unwrap());
            let out = neuron.scan(&x, state.as_ref()).unwrap();
            outputs.push((out.spikes, part(&seeds).unwrap()));
            state = Some(out.state);
            parts.push(x);
        }
        let pairs: Vec<(&Var, Tensor)> = outputs.iter().map(|(v, s)| (v, s.clone())).collect();
        let gradients = seeded(&pairs).unwrap().backward().unwrap();
        let mut chunked = Vec::new();
        for part in &parts {
            chunked.extend(gradients.get(part).unwrap().to_vec::<f32>().unwrap());
        }
        let chunked = Tensor::from_slice(device, &chunked, shape).unwrap();
        // The share of a reset in the gradient of a spike is added to the rest in another order.
        assert_close(&subject.label, &chunked, &gradient, 1e-6);
        assert_eq!(
            state.unwrap().value().to_vec::<f32>().unwrap(),
            whole.state.value().to_vec::<f32>().unwrap()
        );
    }
}

/// Steps beyond what the loops of a software adapter run in one launch: the driver takes several.
/// Currents of few bits, halved from step to step: f32 holds every state of a membrane that forgets.
#[test]
fn more_steps_than_one_launch() {
    let (steps, columns) = (40_001, 3);
    let mut random = Random::new(11);
    let x: Vec<f32> = (0..steps * columns).map(|_| (random.word() % 3) as f32 * 0.75).collect();
    let gs = random.values(steps * columns, -1.0, 1.0);
    let neuron = Synaptic::new(0.0, 0.5).reset(Reset::Zero).detach_reset(false);
    conform("long", 1e-5, |device| {
        let tape = Tape::new();
        let leaf = tape.leaf(&Tensor::from_slice(device, &x, [steps, columns])?);
        let out = neuron.output(Spikes::Bits).scan(&leaf, None)?;
        let gradients =
            out.spikes.backward_from(&Tensor::from_slice(device, &gs, [steps, columns])?)?;
        let gx = gradients.get(&leaf).expect("a gradient").clone();
        Ok(vec![out.spikes.value().clone(), out.state.value().clone(), gx])
    });
}

#[test]
fn more_workgroups_than_one_axis_holds() {
    let (batch, neurons) = (65_536, 130);
    let x = Random::new(1).values(batch * neurons, -0.6, 1.4);
    let expected: Vec<bool> = x.iter().map(|x| *x > 1.0).collect();
    for subject in subjects() {
        let x = Tensor::from_slice(&subject.device, &x, [1, batch, neurons]).unwrap();
        let neuron = base().output(Spikes::Bits);
        let out = neuron.scan(&Tape::new().leaf(&x), None).unwrap();
        assert!(bits(out.spikes.value()) == expected, "{}", subject.label);
    }
}

#[test]
fn the_same_bits_every_run() {
    let case = Case::new(base().detach_reset(false), 50, 40, 33).forms([2, 1, 2]);
    for subject in subjects() {
        let runs = [(); 2].map(|()| case.run(&subject.device).unwrap());
        for ((name, a), (_, b)) in runs[0].gradients.iter().zip(&runs[1].gradients) {
            let bits = |t: &Tensor| -> Vec<u32> {
                t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(a), bits(b), "{name} on {}", subject.label);
        }
    }
}

#[test]
fn the_shadow_check_agrees() {
    for device in own_subjects().iter().map(|s| &s.device) {
        let zero = base().reset(Reset::Zero).detach_reset(false).output(Spikes::Bits);
        for (neuron, forms) in [(base(), [2, 1, 2]), (zero, [0, 1, 0])] {
            device.shadow(true);
            let outcome = Case::new(neuron, 40, 3, 50).forms(forms).run(device);
            device.shadow(false);
            if let Err(e) = outcome {
                panic!("{device}, {neuron:?}: {e}");
            }
        }
    }
}

/// One launch forward and one backward, whatever T; one more where a parameter is learned.
#[test]
fn launches_and_traffic() {
    for device in own_subjects().iter().map(|s| &s.device) {
        let (steps, columns) = (320, 512);
        let x = spikegrad::elementwise::full(device, [steps, columns], 0.3).unwrap();
        let beta = spikegrad::elementwise::full(device, [columns], 0.9).unwrap();
        for learned in [false, true] {
            let tape = Tape::new();
            let (x, beta) = (tape.leaf(&x), tape.leaf(&beta));
            let beta = learned.then_some(&beta);
            let parameters = SynapticParameters { beta, ..SynapticParameters::default() };
            let neuron = base().output(Spikes::Bits);
            let (out, forward) =
                device.profile(|| neuron.scan_with(&x, None, &parameters)).unwrap();
            let seed = spikegrad::elementwise::full(device, [steps, columns], 1.0).unwrap();
            let (_, backward) = device.profile(|| out.spikes.backward_from(&seed)).unwrap();
            assert_eq!(forward.launches(), 1);
            assert_eq!(backward.launches(), 1 + usize::from(learned));
            let per_step = |profile: &spikegrad::Profile| {
                profile.rows().iter().map(|r| r.bytes).sum::<f64>() / (steps * columns) as f64
            };
            // The input, both states of every eighth step, a bit of the spike and one of the reset.
            assert!((per_step(&forward) - 5.25).abs() < 0.01, "{}", per_step(&forward));
            if !learned {
                assert!((per_step(&backward) - 13.25).abs() < 0.01, "{}", per_step(&backward));
            }
        }
    }
}

#[test]
fn memory_for_backward() {
    let (steps, columns) = (64, 1 << 14);
    let elements = (steps * columns) as u64;
    for device in own_subjects().iter().take(2).map(|s| &s.device) {
        for (neuron, outputs, saved) in [
            (base(), 4 * elements, elements + elements / 4),
            (base().output(Spikes::Bits), elements / 8, elements + elements / 8),
        ] {
            let x = spikegrad::elementwise::full(device, [steps, columns], 0.3).unwrap();
            let tape = Tape::new();
            let x = tape.leaf(&x);
            device.reset_peak();
            let before = device.memory();
            let out = neuron.scan(&x, None).unwrap();
            let held = device.memory().held - before.held;
            assert!(held <= outputs + saved + 8 * columns as u64, "{device}: {held} bytes");
            drop(out);
        }
    }
}

#[test]
fn empty_inputs() {
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        for shape in [[0, 3], [4, 0]] {
            let x = tape.leaf(&Tensor::zeros(device, shape, DType::F32).unwrap());
            for output in [Spikes::F32, Spikes::Bits] {
                let out = base().output(output).trace(true).scan(&x, None).unwrap();
                assert_eq!(out.spikes.shape(), x.shape());
                assert_eq!(out.membrane.unwrap().shape(), x.shape());
                assert_eq!(out.state.value().to_vec::<f32>().unwrap(), vec![0.0; 2 * shape[1]]);
            }
        }
        let x = tape.leaf(&Tensor::zeros(device, [0, 1], DType::F32).unwrap());
        let state = tape.leaf(&Tensor::from_slice(device, &[0.5f32, 1.5], [2, 1]).unwrap());
        let out = base().scan(&x, Some(&state)).unwrap();
        assert_eq!(out.state.value().to_vec::<f32>().unwrap(), [0.5, 1.5]);
        // A single neuron: the state is a pair.
        let x = tape.leaf(&Tensor::from_slice(device, &[0.6f32, 0.6, 0.0], [3]).unwrap());
        let out = Synaptic::new(0.0, 1.0).scan(&x, None).unwrap();
        assert_eq!(out.spikes.value().to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
        assert_eq!(out.state.shape().dims(), [2]);
    }
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::host();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
    let x = zeros(&[4, 2, 3]);
    for (neuron, word) in [
        (Synaptic::new(1.5, 0.5), "alpha 1.5"),
        (Synaptic::new(0.5, -0.1), "beta -0.1"),
        (Synaptic::new(f32::NAN, 0.5), "alpha NaN"),
        (base().threshold(f32::NAN), "threshold NaN"),
        (base().surrogate(Surrogate::Atan(0.0)), "Atan"),
        (base().smooth(true).output(Spikes::Bits), "smooth"),
    ] {
        let error = neuron.scan(&x, None).unwrap_err();
        assert!(matches!(error, Error::Argument { op: "synaptic", .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let shape = |result: Result<SynapticOutput>, word: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    shape(base().scan(&zeros(&[]), None), "time axis");
    shape(base().scan(&x, Some(&zeros(&[2, 3]))), "expected [2, 2, 3]");
    shape(base().scan(&x, Some(&zeros(&[3, 2, 3]))), "expected [2, 2, 3]");
    let wrong = zeros(&[2]);
    let parameters = SynapticParameters { beta: Some(&wrong), ..SynapticParameters::default() };
    shape(base().scan_with(&x, None, &parameters), "beta of [2] for 3 neurons");
    let packed = tape.leaf(&Tensor::zeros(&device, [4, 2, 3], DType::Bits).unwrap());
    assert!(matches!(base().scan(&packed, None), Err(Error::DType { .. })));
    let other = Tape::new();
    let foreign = other.leaf(&Tensor::zeros(&device, [2, 2, 3], DType::F32).unwrap());
    assert!(matches!(base().scan(&x, Some(&foreign)), Err(Error::TapeMismatch { .. })));
    let elsewhere = Tensor::zeros(&Device::oracle(), [2, 2, 3], DType::F32).unwrap();
    let elsewhere = base().scan(&x, Some(&tape.leaf(&elsewhere)));
    assert!(matches!(elsewhere, Err(Error::DeviceMismatch { .. })));
    for subject in subjects().iter().filter(|s| !s.device.is_host()) {
        let x = Tensor::zeros(&subject.device, [2, 3], DType::F32).unwrap();
        let error = base().smooth(true).scan(&tape.leaf(&x), None).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}

/// Only one of the outputs may have a gradient.
#[test]
fn partial_upstream_gradients() {
    for which in 0..3 {
        conform(&format!("output {which} alone"), 1e-5, |device| {
            let tape = Tape::new();
            let x = Random::new(8).values(20 * 6, -0.6, 0.9);
            let x = tape.leaf(&Tensor::from_slice(device, &x, [20, 6])?);
            let out = base().trace(true).scan(&x, None)?;
            let y = [&out.spikes, out.membrane.as_ref().expect("a trace"), &out.state][which];
            let seed = Random::new(2).values(y.shape().count(), -1.0, 1.0);
            let gradients = y.backward_from(&Tensor::from_slice(device, &seed, y.shape())?)?;
            Ok(vec![gradients.get(&x).expect("a gradient").clone()])
        });
    }
}

/// A capture replays a step with its several launches.
#[test]
fn captured_steps_replay() {
    for device in own_subjects().iter().map(|s| &s.device) {
        let x =
            Tensor::from_slice(device, &Random::new(5).values(70 * 9, -0.4, 0.6), [70, 9]).unwrap();
        let run = || -> Result<Tensor> {
            let tape = Tape::new();
            let leaf = tape.leaf(&x);
            let out = base().scan(&leaf, None)?;
            let gradients = out.spikes.sum_all()?.backward()?;
            Ok(gradients.get(&leaf).expect("a gradient").clone())
        };
        let expected = run().unwrap().to_vec::<f32>().unwrap();
        let (found, capture) = device.capture(run).unwrap();
        capture.replay().unwrap();
        assert_eq!(found.to_vec::<f32>().unwrap(), expected, "{device}");
    }
}
