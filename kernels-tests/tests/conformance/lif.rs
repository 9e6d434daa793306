//! Conformance of the `lif` family.

use super::spikes::{bits, close_sums, terms};
use kernels_tests::{Random, assert_close, conform, oracle, seeded, subjects};
use proptest::prelude::*;
use spikegrad::lif::{Gain, Gradient, Lif, Neurons, Reset, Save, Spikes, Surrogate};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// One scan with everything that goes in.
#[derive(Debug, Clone)]
struct Case {
    lif: Lif,
    steps: usize,
    batch: usize,
    neurons: usize,
    state: bool,
    /// Of decay, threshold and gain: 0 fixed, 1 one value, 2 one a neuron.
    forms: [usize; 3],
    seed: u64,
}

/// What a scan gives: spikes, last state, and the gradients of all leaves.
struct Outcome {
    spikes: Tensor,
    state: Tensor,
    gradients: Vec<(&'static str, Tensor)>,
}

impl Case {
    fn new(lif: Lif, steps: usize, batch: usize, neurons: usize) -> Self {
        Self { lif, steps, batch, neurons, state: true, forms: [0; 3], seed: 1 }
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

    fn input(&self) -> Vec<f32> {
        self.values(0, self.steps * self.columns(), -0.6, 1.4)
    }

    /// Decay, threshold and gain.
    fn parameters(&self, tape: &Tape, device: &Device) -> Result<[Option<Var>; 3]> {
        let ranges = [(0.5, 0.98), (0.7, 1.2), (0.4, 1.1)];
        let mut vars = [None, None, None];
        for (k, (low, high)) in ranges.into_iter().enumerate() {
            let count = [0, 1, self.neurons][self.forms[k]];
            if count > 0 {
                let values = self.values(2 + k as u64, count, low, high);
                vars[k] = Some(tape.leaf(&Tensor::from_slice(device, &values, [count])?));
            }
        }
        Ok(vars)
    }

    fn run(&self, device: &Device) -> Result<Outcome> {
        let tape = Tape::new();
        let shape = [self.steps, self.batch, self.neurons];
        let row = [self.batch, self.neurons];
        let leaf = |values: &[f32], shape: &[usize]| -> Result<Var> {
            Ok(tape.leaf(&Tensor::from_slice(device, values, shape)?))
        };
        let x = leaf(&self.input(), &shape)?;
        let v0 = leaf(&self.values(1, self.columns(), -0.4, 0.4), &row)?;
        let [decay, threshold, gain] = self.parameters(&tape, device)?;
        let neurons =
            Neurons { decay: decay.as_ref(), threshold: threshold.as_ref(), gain: gain.as_ref() };
        let v0 = self.state.then_some(&v0);
        let out = self.lif.scan_with(&x, v0, &neurons)?;
        let gs = self.values(5, self.steps * self.columns(), -1.0, 1.0);
        let gv = self.values(6, self.columns(), -1.0, 1.0);
        let gs = Tensor::from_slice(device, &gs, shape)?;
        let gv = Tensor::from_slice(device, &gv, row)?;
        let found = seeded(&[(&out.spikes, gs), (&out.state, gv)])?.backward()?;
        let leaves = [
            ("x", Some(&x)),
            ("v0", v0),
            ("decay", decay.as_ref()),
            ("threshold", threshold.as_ref()),
            ("gain", gain.as_ref()),
        ];
        let mut gradients = Vec::new();
        for (name, leaf) in leaves {
            if let Some(leaf) = leaf {
                gradients.push((name, found.get(leaf).expect(name).clone()));
            }
        }
        let (spikes, state) = (out.spikes.value().clone(), out.state.value().clone());
        Ok(Outcome { spikes, state, gradients })
    }

    /// Whether a membrane of the oracle comes so near its threshold that rounding may decide.
    fn is_close_call(&self) -> bool {
        let single = Case { lif: self.lif.output(Spikes::F32), ..self.clone() };
        let (low, high) = (single.nudged(-3e-7), single.nudged(3e-7));
        low != high
    }

    /// The case with the first seed from its own on whose spikes rounding cannot change.
    fn settled(&self) -> Case {
        let seeds = (self.seed..self.seed + 200).map(|seed| Case { seed, ..self.clone() });
        let mut clear = seeds.into_iter().filter(|case| !case.is_close_call());
        clear.next().expect("a seed without a close call")
    }

    /// The oracle's spikes with all thresholds moved by `shift` a step.
    fn nudged(&self, shift: f64) -> Vec<f64> {
        let tape = Tape::off();
        let run = || -> Result<Vec<f64>> {
            let device = oracle();
            let shape = [self.steps, self.batch, self.neurons];
            let x = tape.leaf(&Tensor::from_slice(device, &self.input(), shape)?);
            let v0 = self.values(1, self.columns(), -0.4, 0.4);
            let v0 = tape.leaf(&Tensor::from_slice(device, &v0, [self.batch, self.neurons])?);
            let [decay, threshold, gain] = self.parameters(&tape, device)?;
            let base = match &threshold {
                Some(t) => t.value().to_vec::<f64>()?,
                None => vec![f64::from(self.lif.threshold_value())],
            };
            let reach = shift * self.steps as f64;
            let moved: Vec<f64> = base.iter().map(|t| t + reach * (1.0 + t.abs())).collect();
            let moved = tape.leaf(&Tensor::from_slice(device, &moved, [moved.len()])?);
            let neurons =
                Neurons { decay: decay.as_ref(), threshold: Some(&moved), gain: gain.as_ref() };
            let v0 = self.state.then_some(&v0);
            self.lif.scan_with(&x, v0, &neurons)?.spikes.value().to_vec::<f64>()
        };
        run().expect("the oracle runs")
    }

    /// Compares every device with the oracle: spikes exactly, the rest within `1e-5`.
    fn conform(&self, what: &str) {
        let case = self.settled();
        let expected = case.run(oracle()).unwrap_or_else(|e| panic!("{what}: {e}"));
        for subject in subjects() {
            let what = format!("{what} on {}", subject.label);
            let found = case.run(&subject.device).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert_eq!(bits(&found.spikes), bits(&expected.spikes), "{what}: spikes");
            assert_close(&format!("{what}: state"), &found.state, &expected.state, 1e-5);
            let terms = terms(&expected.gradients[0].1);
            for ((name, found), (_, expected)) in found.gradients.iter().zip(&expected.gradients) {
                let what = format!("{what}: gradient of {name}");
                if matches!(*name, "x" | "v0") {
                    assert_close(&what, found, expected, 1e-5);
                } else {
                    close_sums(&what, found, expected, terms, 2e-6);
                }
            }
        }
    }
}

#[test]
fn shapes_at_the_edges() {
    let lif = Lif::new().decay(0.9).output(Spikes::Bits);
    for (steps, batch, neurons) in
        [(1, 1, 1), (1, 3, 37), (7, 1, 1), (8, 2, 64), (31, 1, 129), (32, 1, 5), (33, 1, 257)]
    {
        Case::new(lif, steps, batch, neurons).conform(&format!("{steps} {batch} {neurons}"));
    }
    // Long enough for a software adapter to march.
    for steps in [128, 131, 160] {
        Case::new(lif, steps, 3, 43).conform(&format!("{steps} steps"));
    }
}

/// Currents of few bits, halved a few times between two spikes: f32 holds every membrane exactly, so
/// the spikes of thousands of steps must be the oracle's without exception.
#[test]
fn four_thousand_steps() {
    let lif = Lif::new().decay(0.5).output(Spikes::Bits);
    for steps in [4095, 4096] {
        let columns = 67;
        let mut random = Random::new(steps as u64);
        let mut grid = || (32 + random.word() % 64) as f32 / 64.0;
        let x: Vec<f32> = (0..steps * columns).map(|_| grid()).collect();
        let gs = random.values(steps * columns, -1.0, 1.0);
        for (name, save) in [("saved", Save::Membrane), ("checkpoints", Save::Checkpoints(16))] {
            conform(&format!("{steps} steps, {name}"), 1e-5, |device| {
                let tape = Tape::new();
                let leaf = tape.leaf(&Tensor::from_slice(device, &x, [steps, columns])?);
                let out = lif.save(save).scan(&leaf, None)?;
                let gs = Tensor::from_slice(device, &gs, [steps, columns])?;
                let gradients = out.spikes.backward_from(&gs)?;
                let gx = gradients.get(&leaf).expect("a gradient").clone();
                Ok(vec![out.spikes.value().clone(), out.state.value().clone(), gx])
            });
        }
    }
}

#[test]
fn more_workgroups_than_one_axis_holds() {
    let case = Case::new(Lif::new().output(Spikes::Bits), 1, 65_536, 130);
    assert!(case.columns() > 65_535 * 128);
    let x = case.input();
    let expected: Vec<bool> = x.iter().map(|x| *x >= 1.0).collect();
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let x = Tensor::from_slice(device, &x, [1, case.batch, case.neurons]).unwrap();
        let out = case.lif.scan(&tape.leaf(&x), None).unwrap();
        assert!(bits(out.spikes.value()) == expected, "{}", subject.label);
    }
}

/// The modes, one by one: each is a pipeline, so few are combined.
fn modes() -> Vec<(&'static str, Lif)> {
    let base = Lif::new().decay(0.85);
    vec![
        ("spikingjelly", Lif::spikingjelly()),
        ("symboliclight", Lif::symboliclight()),
        ("spikf_go", Lif::spikf_go()),
        ("snn_delays", Lif::snn_delays()),
        ("sltt", Lif::sltt()),
        ("max_former", Lif::max_former()),
        ("deep_eisnn", Lif::deep_eisnn()),
        ("no reset", base.reset(Reset::None)),
        ("soft, attached", base.reset(Reset::Soft).detach_reset(false)),
        ("hard to -0.2", base.reset(Reset::Hard(-0.2)).detach_reset(false)),
        ("strict", base.strict(true)),
        ("fast sigmoid", base.surrogate(Surrogate::FastSigmoid(5.0))),
        ("rectangle", base.surrogate(Surrogate::Rectangle(0.9))),
        ("spatial, hard", base.gradient(Gradient::Spatial).reset(Reset::Hard(0.1))),
        ("gain 0.7", base.gain(Gain::Fixed(0.7))),
        ("decay 0", base.decay(0.0)),
        ("decay 1", base.decay(1.0).reset(Reset::Soft)),
        ("clamped soft", base.reset(Reset::Soft).clamp(-0.3, 1.1).detach_reset(false)),
    ]
}

#[test]
fn every_mode() {
    for (name, lif) in modes() {
        Case::new(lif, 37, 3, 23).conform(name);
    }
}

#[test]
fn learned_parameters() {
    let base = Lif::new().decay(0.85);
    let soft = base.reset(Reset::Soft).detach_reset(false);
    let hard = base.reset(Reset::Hard(-0.2)).detach_reset(false);
    for (name, lif, forms) in [
        ("soft, each", soft, [2, 2, 2]),
        ("hard, each", hard, [2, 2, 2]),
        ("soft, one", soft, [1, 1, 1]),
        ("hard, mixed", hard, [2, 1, 0]),
        ("tied gain", hard.gain(Gain::Leak), [2, 0, 0]),
        ("tied gain, one", soft.gain(Gain::Leak), [1, 2, 0]),
        ("clamped", hard.clamp(-0.5, 1.3), [1, 2, 2]),
        ("spatial", soft.gradient(Gradient::Spatial), [2, 1, 2]),
    ] {
        Case::new(lif, 37, 11, 45).forms(forms).conform(name);
        let without_state = Case { state: false, ..Case::new(lif, 9, 300, 3) };
        without_state.forms(forms).conform(&format!("{name}, no state"));
    }
}

#[test]
fn checkpoints_give_the_same() {
    let base = Lif::new().decay(0.85).detach_reset(false);
    for (every, lif, forms) in [
        (1, base, [0, 0, 0]),
        (4, base.reset(Reset::Soft), [2, 2, 0]),
        (16, base.reset(Reset::Hard(-0.2)).gain(Gain::Leak), [2, 1, 0]),
        (32, base.reset(Reset::None).clamp(-0.4, 1.3), [1, 0, 0]),
    ] {
        for output in [Spikes::F32, Spikes::Bits] {
            let stored = Case::new(lif.output(output), 77, 3, 29).forms(forms);
            let lif = stored.lif.save(Save::Checkpoints(every));
            let again = Case { lif, ..stored.clone() };
            again.conform(&format!("checkpoints every {every}"));
            let (a, b) = (stored.run(oracle()).unwrap(), again.run(oracle()).unwrap());
            for ((name, a), (_, b)) in a.gradients.iter().zip(&b.gradients) {
                assert_close(&format!("{name}, every {every}"), b, a, 1e-14);
            }
        }
    }
    Case::new(base.save(Save::Checkpoints(8)), 150, 2, 31).conform("long, with checkpoints");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_scans(
        steps in 1usize..90, batch in 1usize..5, neurons in 1usize..70, seed in 0u64..1000,
        mode in 0usize..4, state: bool,
    ) {
        // Few pipelines, many shapes.
        let (lif, forms) = [
            (Lif::spikingjelly().output(Spikes::Bits), [0; 3]),
            (Lif::new().reset(Reset::Soft).detach_reset(false), [2, 1, 2]),
            (Lif::new().decay(0.9).save(Save::Checkpoints(16)), [0; 3]),
            (Lif::symboliclight(), [0; 3]),
        ][mode];
        let case = Case { lif, steps, batch, neurons, state, forms, seed };
        case.conform(&format!("{case:?}"));
    }
}

/// Against finite differences: with the surrogate's primitive in the place of the spike, backward
/// is the exact gradient.
#[test]
fn the_smooth_neuron_has_the_gradient_of_its_differences() {
    let base = Lif::new().decay(0.8).detach_reset(false).smooth(true);
    let (steps, columns) = (5, 4);
    let mut random = Random::new(9);
    let mut draw = |count: usize, low: f32, high: f32| -> Vec<f64> {
        random.values(count, low, high).into_iter().map(f64::from).collect()
    };
    let x = draw(steps * columns, -0.6, 1.4);
    let inputs: [(Vec<f64>, &[usize]); 5] = [
        (x, &[5, 2, 2]),
        (draw(columns, -0.4, 0.4), &[2, 2]),
        (draw(2, 0.5, 0.95), &[2]),
        (draw(1, 0.8, 1.2), &[1]),
        (draw(2, 0.5, 1.1), &[2]),
    ];
    for surrogate in [
        Surrogate::Atan(2.0),
        Surrogate::Sigmoid(4.0),
        Surrogate::FastSigmoid(3.0),
        Surrogate::Triangle(1.3),
    ] {
        for reset in [Reset::Soft, Reset::Hard(0.0), Reset::Hard(-0.25), Reset::None] {
            for clamp in [false, true] {
                let lif = base.surrogate(surrogate).reset(reset);
                let lif = if clamp { lif.clamp(-0.55, 1.15) } else { lif };
                let check = gradient_check(&inputs, 1e-5, |v| {
                    let neurons =
                        Neurons { decay: Some(&v[2]), threshold: Some(&v[3]), gain: Some(&v[4]) };
                    let out = lif.scan_with(&v[0], Some(&v[1]), &neurons)?;
                    Ok(vec![out.spikes, out.state])
                })
                .unwrap();
                assert!(check.error < 3e-6, "{surrogate:?} {reset:?} {clamp}: {check:?}");
            }
        }
    }
    let tied = base.gain(Gain::Leak).reset(Reset::Hard(-0.25));
    let check = gradient_check(&inputs[..3], 1e-5, |v| {
        let neurons = Neurons { decay: Some(&v[2]), ..Neurons::default() };
        let out = tied.scan_with(&v[0], Some(&v[1]), &neurons)?;
        Ok(vec![out.spikes, out.state])
    });
    let check = check.unwrap();
    assert!(check.error < 3e-6, "tied gain: {check:?}");
}

#[test]
fn chunks_are_the_whole() {
    let lif = Lif::new().decay(0.9).reset(Reset::Soft).detach_reset(false);
    let (shape, row) = ([40, 2, 9], 18);
    let values = Random::new(3).values(40 * row, -0.6, 1.4);
    let seeds = Random::new(4).values(40 * row, -1.0, 1.0);
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &values, shape).unwrap());
        let whole = lif.scan(&x, None).unwrap();
        let seed = Tensor::from_slice(device, &seeds, shape).unwrap();
        let gradient = whole.spikes.backward_from(&seed).unwrap();
        let gradient = gradient.get(&x).unwrap().to_vec::<f32>().unwrap();

        let tape = Tape::new();
        let (mut state, mut parts, mut outputs) = (None::<Var>, Vec::new(), Vec::new());
        for (from, to) in [(0, 13), (13, 29), (29, 40)] {
            let shape = [to - from, 2, 9];
            let part = |v: &[f32]| Tensor::from_slice(device, &v[from * row..to * row], shape);
            let x = tape.leaf(&part(&values).unwrap());
            let out = lif.scan(&x, state.as_ref()).unwrap();
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
        assert_eq!(chunked, gradient, "{}", subject.label);
        assert_eq!(
            state.unwrap().value().to_vec::<f32>().unwrap(),
            whole.state.value().to_vec::<f32>().unwrap()
        );
    }
}

#[test]
fn the_same_bits_every_run() {
    let lif = Lif::new().decay(0.9).detach_reset(false);
    let case = Case::new(lif, 50, 40, 33).forms([2, 1, 2]);
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

/// Inputs at the end of the range of f32 must not become NaN under a clamp, nor in the gradient.
#[test]
fn huge_inputs_stay_numbers() {
    let clamped = Lif::symboliclight();
    let values = [3e38f32, -3e38, 0.5, 3e38, 3e38, -3e38, 1.5, 0.0, -3e38, 2.0, 3e38, -1.0];
    for lif in [clamped, clamped.output(Spikes::Bits), clamped.save(Save::Checkpoints(4))] {
        conform("huge inputs", 1e-5, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&Tensor::from_slice(device, &values, [6, 2])?);
            let out = lif.scan(&x, None)?;
            let seed = spikegrad::elementwise::full(device, [6, 2], 1.0)?;
            let gradient = out.spikes.backward_from(&seed)?;
            let gradient = gradient.get(&x).expect("a gradient").clone();
            for tensor in [out.state.value(), &gradient] {
                assert!(tensor.to_vec::<f32>()?.iter().all(|v| v.is_finite()));
            }
            Ok(vec![out.spikes.value().clone(), out.state.value().clone(), gradient])
        });
    }
}

#[test]
fn silent_and_always_firing() {
    for (value, fires) in [(0.0f32, false), (5.0, true)] {
        let expected = vec![fires; 70 * 5];
        for subject in subjects() {
            let x = spikegrad::elementwise::full(&subject.device, [70, 5], value).unwrap();
            let lif = Lif::new().output(Spikes::Bits);
            let out = lif.scan(&Tape::new().leaf(&x), None).unwrap();
            assert_eq!(bits(out.spikes.value()), expected, "{}", subject.label);
            // The bits after the last step are zero.
            let words = out.spikes.value().clone();
            assert_eq!(words.words(), 3 * 5);
        }
    }
}

/// Devices that no other test works on at the same time.
fn own_devices() -> Vec<Device> {
    let mut devices = vec![Device::host()];
    for subject in subjects().iter().filter(|s| !s.device.is_host()).take(1) {
        let name = subject.label.clone();
        devices.push(Device::builder().select(&name).open().expect("opens again"));
    }
    devices
}

/// What stays allocated between forward and backward: the outputs, and 4 bytes a neuron and step,
/// or 4/C (and 1/8 where the spikes are not bits already).
#[test]
fn memory_for_backward() {
    let (steps, columns) = (64, 1 << 14);
    let elements = (steps * columns) as u64;
    let state = 4 * columns as u64;
    for device in &own_devices() {
        for (lif, outputs, saved) in [
            (Lif::new(), 4 * elements, 4 * elements),
            (Lif::new().output(Spikes::Bits), elements / 8, 4 * elements),
            (
                Lif::new().output(Spikes::Bits).save(Save::Checkpoints(16)),
                elements / 8,
                elements / 4,
            ),
            (Lif::new().save(Save::Checkpoints(16)), 4 * elements, elements / 4 + elements / 8),
        ] {
            let tape = Tape::new();
            let x = spikegrad::elementwise::full(device, [steps, columns], 0.3).unwrap();
            let x = tape.leaf(&x);
            device.reset_peak();
            let before = device.memory();
            let out = lif.scan(&x, None).unwrap();
            let after = device.memory();
            let most = outputs + state + saved;
            assert!(
                after.held - before.held <= most && after.peak - before.held <= most,
                "{lif:?} on {}: {} bytes, allowed are {most}",
                device,
                after.held - before.held
            );
            drop(out);
        }
        // Nothing is kept without a gradient.
        let x = spikegrad::elementwise::full(device, [steps, columns], 0.3).unwrap();
        let before = device.memory().held;
        let out = Lif::new().output(Spikes::Bits).scan(&Tape::off().leaf(&x), None).unwrap();
        assert!(device.memory().held - before <= elements / 8 + state);
        drop(out);
    }
}

/// One launch forward and one backward, whatever T; one more where a parameter is learned.
#[test]
fn launches_and_traffic() {
    for device in &own_devices() {
        let (steps, columns) = (300, 512);
        let x = spikegrad::elementwise::full(device, [steps, columns], 0.3).unwrap();
        let decay = spikegrad::elementwise::full(device, [columns], 0.9).unwrap();
        for learned in [false, true] {
            let tape = Tape::new();
            let (x, decay) = (tape.leaf(&x), tape.leaf(&decay));
            let neurons = Neurons { decay: learned.then_some(&decay), ..Neurons::default() };
            let lif = Lif::new().output(Spikes::Bits);
            let (out, forward) = device.profile(|| lif.scan_with(&x, None, &neurons)).unwrap();
            let seed = spikegrad::elementwise::full(device, [steps, columns], 1.0).unwrap();
            let (_, backward) = device.profile(|| out.spikes.backward_from(&seed)).unwrap();
            assert_eq!(forward.launches(), 1);
            assert_eq!(backward.launches(), 1 + usize::from(learned));
            let per_step = |profile: &spikegrad::Profile| {
                profile.rows().iter().map(|r| r.bytes).sum::<f64>() / (steps * columns) as f64
            };
            assert!((per_step(&forward) - 8.125).abs() < 0.05, "{}", per_step(&forward));
            if !learned {
                assert!((per_step(&backward) - 12.0).abs() < 0.05, "{}", per_step(&backward));
            }
        }
    }
}

#[test]
fn the_shadow_check_agrees() {
    for device in &own_devices() {
        let bits = Lif::new().decay(0.9).output(Spikes::Bits);
        let rest = Lif::new().reset(Reset::Hard(-0.3));
        let again = rest.save(Save::Checkpoints(8));
        // A threshold alone: what stands in the rows of the others is seen too.
        for (lif, forms) in [(bits, [2, 1, 2]), (rest, [0, 1, 0]), (again, [0, 2, 0])] {
            device.shadow(true);
            let outcome = Case::new(lif, 40, 3, 50).forms(forms).run(device);
            device.shadow(false);
            if let Err(e) = outcome {
                panic!("{device}, {lif:?}: {e}");
            }
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
                let out = Lif::new().output(output).scan(&x, None).unwrap();
                assert_eq!(out.spikes.shape(), x.shape());
                assert_eq!(out.state.value().to_vec::<f32>().unwrap(), vec![0.0; shape[1]]);
            }
        }
        let x = tape.leaf(&Tensor::zeros(device, [0, 2], DType::F32).unwrap());
        let v0 = tape.leaf(&Tensor::from_slice(device, &[0.5f32, 1.5], [2]).unwrap());
        let out = Lif::new().scan(&x, Some(&v0)).unwrap();
        assert_eq!(out.state.value().to_vec::<f32>().unwrap(), [0.5, 1.5]);
        // A single neuron: the state is a scalar.
        let x = tape.leaf(&Tensor::from_slice(device, &[0.6f32, 0.6, 0.6], [3]).unwrap());
        let out = Lif::new().decay(0.9).scan(&x, None).unwrap();
        assert_eq!(out.spikes.value().to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
        assert_eq!(out.state.shape().rank(), 0);
    }
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::host();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
    let x = zeros(&[4, 2, 3]);
    let lif = Lif::new();
    for (lif, word) in [
        (lif.decay(1.5), "decay"),
        (lif.tau(0.5), "decay"),
        (lif.tau(f32::NAN), "decay"),
        (lif.threshold(f32::NAN), "threshold"),
        (lif.clamp(1.0, -1.0), "clamp"),
        (lif.reset(Reset::Hard(f32::INFINITY)), "reset"),
        (lif.gain(Gain::Fixed(f32::NAN)), "gain"),
        (lif.surrogate(Surrogate::Atan(0.0)), "Atan"),
        (lif.save(Save::Checkpoints(12)), "checkpoints"),
        (lif.save(Save::Checkpoints(0)), "checkpoints"),
        (lif.smooth(true).output(Spikes::Bits), "smooth"),
    ] {
        let error = lif.scan(&x, None).unwrap_err();
        assert!(matches!(error, Error::Argument { op: "lif", .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    let shape = |result: Result<spikegrad::lif::LifOutput>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
    };
    shape(lif.scan(&zeros(&[]), None));
    shape(lif.scan(&x, Some(&zeros(&[3, 2]))));
    shape(lif.scan(&x, Some(&zeros(&[6]))));
    let wrong = zeros(&[2]);
    shape(lif.scan_with(&x, None, &Neurons { decay: Some(&wrong), ..Neurons::default() }));
    let gain = zeros(&[3]);
    let neurons = Neurons { gain: Some(&gain), ..Neurons::default() };
    for lif in [lif.gain(Gain::Leak), lif.save(Save::Checkpoints(8))] {
        let error = lif.scan_with(&x, None, &neurons).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
    }
    let packed = tape.leaf(&Tensor::zeros(&device, [4, 2, 3], DType::Bits).unwrap());
    assert!(matches!(lif.scan(&packed, None), Err(Error::DType { .. })));
    let other = Tape::new();
    let foreign = other.leaf(&Tensor::zeros(&device, [2, 3], DType::F32).unwrap());
    assert!(matches!(lif.scan(&x, Some(&foreign)), Err(Error::TapeMismatch { .. })));
    let elsewhere = tape.leaf(&Tensor::zeros(&Device::oracle(), [2, 3], DType::F32).unwrap());
    assert!(matches!(lif.scan(&x, Some(&elsewhere)), Err(Error::DeviceMismatch { .. })));
    for subject in subjects().iter().filter(|s| !s.device.is_host()) {
        let x = Tensor::zeros(&subject.device, [2, 3], DType::F32).unwrap();
        let error = lif.smooth(true).scan(&tape.leaf(&x), None).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}

/// Only the state, only the spikes, or neither may have a gradient.
#[test]
fn partial_upstream_gradients() {
    conform("only the state", 1e-5, |device| {
        let tape = Tape::new();
        let x = Random::new(8).values(20 * 6, -0.6, 1.4);
        let x = tape.leaf(&Tensor::from_slice(device, &x, [20, 6])?);
        let out = Lif::spikingjelly().scan(&x, None)?;
        let seed = Tensor::from_slice(device, &Random::new(2).values(6, -1.0, 1.0), [6])?;
        let gradients = out.state.backward_from(&seed)?;
        Ok(vec![gradients.get(&x).expect("a gradient").clone()])
    });
}

/// A software adapter leaves a shader after 65,535 iterations, in silence: longer scans are refused.
#[test]
fn scans_too_long_for_a_software_adapter_are_refused() {
    for subject in subjects() {
        let device = &subject.device;
        let x = Tensor::zeros(device, [(1 << 15) + 1, 1], DType::F32).expect("a tensor");
        let scan = Lif::new().scan(&Tape::off().constant(&x), None);
        let is_cut = device.capabilities().max_iterations.is_some();
        match scan {
            Ok(_) => assert!(!is_cut, "{}", subject.label),
            Err(error) => {
                assert!(is_cut, "{}: {error}", subject.label);
                assert!(
                    error.to_string().contains("asked for 32769, allowed are 32768"),
                    "{error}"
                );
            }
        }
    }
}
