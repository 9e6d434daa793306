//! Neurons by equations: what is made of them, on every device, against the oracle and against what they say.

use super::spikes::{bits, close_sums, terms};
use kernels_tests::{Random, assert_close, conform, oracle, seeded, subjects};
use spikegrad::lif::{Lif, Reset, Spikes, Surrogate};
use spikegrad::neuron::{self, Equations, Expr, Neuron};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// Every function there is, two inputs, three states and three outputs.
fn everything(n: &Equations) {
    let (x, y) = (n.input("x"), n.input("y"));
    let (a, b, c) = (n.state("a", 0.1), n.state("b", 0.0), n.state("c", -0.2));
    let (p, q, theta) = (n.param("p", 0.7), n.param("q", 0.4), n.param("theta", 0.3));
    let smooth = (p * a + x).tanh() + (q * b - y).sigmoid() - (0.3 * c).exp();
    let positive =
        (y.square() + 0.5).ln() + (x.abs() + 1.0).sqrt() + (b.square() + 1.0).power(-0.5);
    let bounded = (x + c).clamp(-0.4, 0.5) + x.min(a) - y.max(b);
    let chosen = a.less(y).choose(x / (1.5 + q), -y);
    let h = 0.4 * smooth + 0.2 * positive + 0.3 * bounded + chosen;
    let s = n.fire(h - theta, Surrogate::Atan(2.0));
    let r = n.fire_above(c + x - q, Surrogate::Sigmoid(3.0));
    n.next(a, h - s * theta);
    n.next(b, 0.5 * b + r.choose(h, 0.2 * y));
    n.next(c, 0.5 * c + 0.3 * (s - r) + 0.1 * n.detach(h));
    n.emit(h);
    n.emit(s);
    n.emit(0.5 * c + b);
}

/// A threshold that rises with every spike, which is not detached.
fn adaptive(n: &Equations) {
    let (x, v, a) = (n.input("x"), n.state("v", 0.0), n.state("a", 0.0));
    let (beta, rho) = (n.param("beta", 0.75), n.param("rho", 0.875));
    let (theta, k) = (n.param("theta", 0.5), n.param("k", 0.25));
    let h = beta * v + x;
    let s = n.fire(h - (theta + k * a), Surrogate::Atan(2.0));
    n.next(v, h - s * theta);
    n.next(a, rho * a + s);
    n.emit(s);
}

/// No spike at all.
fn integrator(n: &Equations) {
    let (x, v) = (n.input("x"), n.state("v", 0.25));
    let next = n.param("beta", 0.9) * v + x;
    n.next(v, next);
    n.emit(next);
}

/// LIF with soft reset.
fn leaky(n: &Equations) {
    let (x, v) = (n.input("x"), n.state("v", 0.0));
    let (beta, theta) = (n.param("beta", 0.9), n.param("theta", 1.0));
    let h = beta * v + x;
    let s = n.fire(h - theta, Surrogate::Atan(2.0));
    n.next(v, h - s * theta);
    n.emit(s);
}

fn define(name: &str, equations: fn(&Equations)) -> Neuron {
    Neuron::define(name, equations).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A scan with all that goes in.
#[derive(Clone)]
struct Case {
    neuron: Neuron,
    inputs: usize,
    shape: [usize; 3],
    state: bool,
    /// Parameters that are tensors: names, and whether each neuron has its own.
    learned: Vec<(&'static str, bool)>,
    seed: u64,
}

impl Case {
    fn new(neuron: Neuron, inputs: usize, shape: [usize; 3]) -> Self {
        Self { neuron, inputs, shape, state: true, learned: Vec::new(), seed: 1 }
    }

    fn values(&self, stream: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
        Random::new(self.seed * 64 + stream).values(count, low, high)
    }

    /// What is emitted and the last states; the gradients of all leaves, inputs first.
    fn run(&self, device: &Device, shift: f32) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let tape = Tape::new();
        let [_, batch, neurons] = self.shape;
        let leaf = |values: &[f32], shape: &[usize]| -> Result<Var> {
            Ok(tape.leaf(&Tensor::from_slice(device, values, shape)?))
        };
        let count: usize = self.shape.iter().product();
        let draw = |k: usize| leaf(&self.values(k as u64, count, -0.6, 0.9), &self.shape);
        let inputs: Vec<Var> = (0..self.inputs).map(draw).collect::<Result<_>>()?;
        let states = self.neuron.states().count();
        let values: Vec<f32> = self.values(10, states * batch * neurons, -0.3, 0.6);
        let values: Vec<f32> = values.iter().map(|v| v + shift).collect();
        let state = leaf(&values, &[states, batch, neurons])?;
        let mut named = Vec::new();
        for (k, (name, each)) in self.learned.iter().enumerate() {
            let count = if *each { neurons } else { 1 };
            let values = self.values(11 + k as u64, count, 0.3, 0.8);
            named.push((*name, leaf(&values, &[count])?));
        }
        let parameters: Vec<(&str, &Var)> = named.iter().map(|(name, v)| (*name, v)).collect();
        let given: Vec<&Var> = inputs.iter().collect();
        let out = self.neuron.scan_with(&given, self.state.then_some(&state), &parameters)?;
        let outputs: Vec<&Var> = out.emitted.iter().chain([&out.state]).collect();
        let mut seeds = Vec::new();
        for (k, y) in outputs.iter().enumerate() {
            let values = self.values(20 + k as u64, y.shape().count(), -1.0, 1.0);
            seeds.push((*y, Tensor::from_slice(device, &values, y.shape())?));
        }
        let found = seeded(&seeds)?.backward()?;
        let mut leaves = given;
        leaves.extend(self.state.then_some(&state));
        leaves.extend(named.iter().map(|(_, v)| v));
        let gradients = leaves.iter().map(|v| found.get(v).expect("a gradient").clone());
        Ok((outputs.iter().map(|v| v.value().clone()).collect(), gradients.collect()))
    }

    /// Compares every device with the oracle: bits exactly, the rest within `1e-5`.
    fn conform(&self, what: &str) {
        let spikes = |case: &Case, shift: f32| -> Vec<Vec<bool>> {
            let (outputs, _) = case.run(oracle(), shift).unwrap_or_else(|e| panic!("{what}: {e}"));
            let is_whole = |y: &&Tensor| {
                y.dtype() == DType::Bits
                    || y.to_vec::<f64>().unwrap().iter().all(|v| *v == 0.0 || *v == 1.0)
            };
            outputs.iter().filter(is_whole).map(bits).collect()
        };
        let seeds = (self.seed..self.seed + 200).map(|seed| Case { seed, ..self.clone() });
        let clear = |case: &Case| spikes(case, 0.0) == spikes(case, 1e-5);
        let case = seeds.into_iter().find(clear).expect("a seed without a close call");
        let (expected, wanted) = case.run(oracle(), 0.0).unwrap();
        for subject in subjects() {
            let what = format!("{what} on {}", subject.label);
            let (found, gradients) =
                case.run(&subject.device, 0.0).unwrap_or_else(|e| panic!("{what}: {e}"));
            for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                if found.dtype() == DType::Bits {
                    assert_eq!(bits(found), bits(expected), "{what}: output {k}");
                } else {
                    assert_close(&format!("{what}: output {k}"), found, expected, 1e-5);
                }
            }
            let plain = case.inputs + usize::from(case.state);
            for (k, (found, expected)) in gradients.iter().zip(&wanted).enumerate() {
                let what = format!("{what}: gradient {k}");
                if k < plain {
                    assert_close(&what, found, expected, 3e-5);
                } else {
                    close_sums(&what, found, expected, terms(&wanted[0]), 2e-5);
                }
            }
        }
    }
}

#[test]
fn every_function_on_every_device() {
    let neuron = define("everything", everything);
    for shape in [[1, 1, 1], [7, 2, 5], [8, 1, 130], [33, 3, 7], [70, 1, 129]] {
        let case = Case::new(neuron.clone(), 2, shape);
        case.conform(&format!("everything {shape:?}"));
        let learned = vec![("theta", false), ("p", true)];
        Case { learned, state: false, ..case }.conform(&format!("everything learned {shape:?}"));
    }
}

#[test]
fn neurons_of_one_spike() {
    let neuron = define("adaptive", adaptive);
    for shape in [[1, 1, 3], [31, 2, 5], [32, 1, 64], [65, 1, 300], [131, 2, 43]] {
        let packed = Case::new(neuron.clone().output(Spikes::Bits), 1, shape);
        packed.conform(&format!("adaptive, packed {shape:?}"));
        let learned = vec![("beta", true), ("k", true), ("rho", false)];
        let case = Case { learned, ..Case::new(neuron.clone(), 1, shape) };
        case.conform(&format!("adaptive {shape:?}"));
    }
}

#[test]
fn a_neuron_without_spikes() {
    for state in [false, true] {
        let learned = vec![("beta", true)];
        let case = Case::new(define("integrator", integrator), 1, [45, 2, 33]);
        Case { state, learned, ..case }.conform("integrator");
    }
}

/// A spike may stand anywhere in the list of operations: the 16th and the 32nd are no types.
#[test]
fn a_spike_at_every_place() {
    for before in [11, 12, 13, 27, 28, 29] {
        let neuron = Neuron::define("placed", |n| {
            let (x, v) = (n.input("x"), n.state("v", 0.0));
            let h = (0..before).fold(v + x, |h, _| h.tanh());
            let s = n.fire(h, Surrogate::Atan(2.0));
            n.next(v, 0.5 * v + (h - s).abs());
            n.emit(s);
        });
        Case::new(neuron.unwrap(), 1, [9, 2, 3]).conform(&format!("a spike after {before}"));
    }
}

#[test]
fn limits_may_be_infinite() {
    let neuron = Neuron::define("limits", |n| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, 0.5 * v + x.clamp(0.1, f32::INFINITY));
        n.emit(v.clamp(f32::NEG_INFINITY, 0.7));
        n.emit(x.clamp(f32::NEG_INFINITY, f32::INFINITY));
    });
    Case::new(neuron.unwrap(), 1, [9, 2, 3]).conform("infinite limits");
}

/// Between 0 and 1 a choice mixes.
#[test]
fn a_choice_by_any_number_is_the_same_everywhere() {
    let neuron = Neuron::define("mixes", |n| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        let gate = x.sigmoid();
        let both = n.fire(x, Surrogate::Atan(2.0)) * n.fire(v, Surrogate::Atan(2.0));
        n.next(v, gate.choose(v, x));
        n.emit(both.choose(v, -x));
    });
    Case::new(neuron.unwrap(), 1, [9, 2, 3]).conform("a choice by any number");
}

/// Long equations need no more stack than short ones.
#[test]
fn long_equations_are_no_deep_calls() {
    let define = || {
        Neuron::define("long", |n| {
            let (x, v) = (n.input("x"), n.state("v", 0.0));
            let h = (0..4000).fold(v + x, |h, _| h.tanh());
            n.next(v, h);
            n.emit(h);
        })
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(define);
    assert!(thread.unwrap().join().unwrap().is_ok());
}

/// Against finite differences: with the surrogate's primitive in the place of the spike, backward is the
/// exact gradient.
#[test]
fn gradients_are_those_of_differences() {
    let smooth = |n: &Equations| {
        let (x, y) = (n.input("x"), n.input("y"));
        let (a, b) = (n.state("a", 0.0), n.state("b", 0.0));
        let (p, theta) = (n.param("p", 0.7), n.param("theta", 0.3));
        let h = (p * a + x).tanh() * (b - y).sigmoid() - (0.3 * b).exp() / (p + 1.5);
        let h =
            h + (y.square() + 0.5).ln() + (x.square() + 1.0).sqrt() + (b.abs() + 1.0).power(0.5);
        let s = n.fire(h - theta, Surrogate::Atan(2.0));
        let r = n.fire(a - x, Surrogate::Sigmoid(3.0));
        n.next(a, h - s * theta);
        n.next(b, 0.5 * b + r.choose(h, 0.2 * y).min(x + 3.0).max(-h));
        n.emit(s);
        n.emit(a * h);
    };
    let neuron = Neuron::define("smooth", smooth).unwrap().smooth(true);
    let mut random = Random::new(5);
    let mut draw = |count: usize| -> Vec<f64> {
        random.values(count, -0.6, 0.8).into_iter().map(f64::from).collect()
    };
    let inputs: [(Vec<f64>, &[usize]); 5] = [
        (draw(44), &[11, 2, 2]),
        (draw(44), &[11, 2, 2]),
        (draw(8), &[2, 2, 2]),
        (draw(2), &[2]),
        (draw(1), &[1]),
    ];
    let check = gradient_check(&inputs, 1e-6, |v| {
        let parameters = [("p", &v[3]), ("theta", &v[4])];
        let out = neuron.scan_with(&[&v[0], &v[1]], Some(&v[2]), &parameters)?;
        Ok(out.emitted.into_iter().chain([out.state]).collect())
    });
    let check = check.unwrap();
    assert!(check.error < 1e-5, "{check:?}");
}

/// The same neuron twice: spikes to the bit, gradients as close as f32 is.
#[test]
fn lif_by_equations_is_the_scan() {
    let neuron = define("leaky", leaky);
    let lif = Lif::new().decay(0.9).reset(Reset::Soft).detach_reset(false);
    let lif = lif.surrogate(Surrogate::Atan(2.0));
    for subject in subjects() {
        let values = Random::new(7).values(100 * 150, -0.6, 0.9);
        let run = |by_equations: bool| -> Result<[Tensor; 3]> {
            let tape = Tape::new();
            let x = tape.leaf(&Tensor::from_slice(&subject.device, &values, [100, 3, 50])?);
            let (spikes, state) = if by_equations {
                let mut out = neuron.scan(&[&x])?;
                (out.emitted.remove(0), out.state.reshape([3, 50])?)
            } else {
                let out = lif.scan(&x, None)?;
                (out.spikes, out.state)
            };
            let gradient = spikes.square()?.mean_all()?.backward()?;
            Ok([spikes.value().clone(), state.value().clone(), gradient.get(&x).unwrap().clone()])
        };
        let ([spikes, state, gradient], [found, end, g]) =
            (run(false).unwrap(), run(true).unwrap());
        assert!(bits(&spikes).contains(&true));
        assert_eq!(bits(&found), bits(&spikes), "{}", subject.label);
        assert_close(&format!("{}: state", subject.label), &end, &state, 1e-6);
        assert_close(&format!("{}: gradient", subject.label), &g, &gradient, 1e-5);
    }
}

/// The equations in a loop, in f64, against the oracle.
#[test]
fn equations_mean_what_they_say() {
    let (beta, rho, theta, k) = (0.75, 0.875, 0.5, 0.25);
    let x: Vec<f64> = Random::new(2).values(200, -0.4, 0.7).iter().map(|v| (*v).into()).collect();
    let (mut v, mut a, mut expected) = (0.0, 0.0, Vec::new());
    for x in &x {
        let h = beta * v + x;
        let s = if h >= theta + k * a { 1.0 } else { 0.0 };
        (v, a) = (h - s * theta, rho * a + s);
        expected.push(s);
    }
    let tape = Tape::off();
    let x = tape.constant(&Tensor::from_slice(oracle(), &x, [200, 1]).unwrap());
    let out = define("adaptive", adaptive).scan(&[&x]).unwrap();
    assert_eq!(out.emitted[0].value().to_vec::<f64>().unwrap(), expected);
    assert_eq!(out.state.value().to_vec::<f64>().unwrap(), [v, a]);
    assert!(expected.contains(&1.0));
}

/// Neurons of the literature in their own words: names, states at the start, and a step of states with an
/// input, which says whether it fires.
type Said = (&'static str, fn() -> Result<Neuron>, [f64; 2], fn([f64; 2], f64) -> ([f64; 2], f64));

const LITERATURE: [Said; 6] = [
    ("leaky integrator", neuron::leaky_integrator, [0.0; 2], |[v, _], x| {
        let v = 0.9f32 as f64 * v + x;
        ([v, 0.0], v)
    }),
    ("adaptive", neuron::adaptive, [0.0; 2], |[v, a], x| {
        let h = 0.9f32 as f64 * v + x;
        let s = f64::from(h >= 1.0 + 0.2f32 as f64 * a);
        ([h - s, 0.97f32 as f64 * a + s], s)
    }),
    ("quadratic", neuron::quadratic, [0.0; 2], |[v, _], x| {
        let h = v + (x + (v + 0.1f32 as f64) * (v - 0.8f32 as f64)) / 2.0;
        let s = f64::from(h >= 1.0);
        ([if s == 1.0 { -0.1f32 as f64 } else { h }, 0.0], s)
    }),
    ("exponential", neuron::exponential, [0.0; 2], |[v, _], x| {
        let h = v + (x - 0.1f32 as f64 - v + (v - 0.8f32 as f64).exp()) / 2.0;
        let s = f64::from(h >= 1.0);
        ([if s == 1.0 { -0.1f32 as f64 } else { h }, 0.0], s)
    }),
    ("izhikevich", neuron::izhikevich, [-65.0, -13.0], |[mut v, mut u], x| {
        for _ in 0..2 {
            v += 0.5 * ((0.04f32 as f64 * v + 5.0) * v + 140.0 - u + 30.0 * x);
        }
        u += 0.02f32 as f64 * (0.2f32 as f64 * v - u);
        if v >= 30.0 { ([-65.0, u + 8.0], 1.0) } else { ([v, u], 0.0) }
    }),
    ("resonate and fire", neuron::resonate_and_fire, [0.0; 2], |[re, im], x| {
        let (decay, sine) = (0.95f32 as f64, 0.484f32 as f64);
        let (a, b) = (decay * (0.875 * re - sine * im) + x, decay * (sine * re + 0.875 * im));
        if b >= 1.0 { ([0.0, 1.0], 1.0) } else { ([a, b], 0.0) }
    }),
];

#[test]
fn neurons_of_the_literature_are_their_formulas() {
    for (name, neuron, start, step) in LITERATURE {
        let scale = if name == "izhikevich" { 30.0 } else { 1.0 };
        let x = Random::new(6).values(300, -0.3, 0.9);
        let (mut states, mut expected) = (start, Vec::new());
        for x in &x {
            let (next, out) = step(states, f64::from(*x));
            states = next;
            expected.push(out);
        }
        let x: Vec<f64> = x.iter().map(|x| f64::from(*x) * scale).collect();
        let tape = Tape::off();
        let x = tape.constant(&Tensor::from_slice(oracle(), &x, [300, 1]).unwrap());
        let out = neuron().unwrap().scan(&[&x]).unwrap();
        let found = out.emitted[0].value().to_vec::<f64>().unwrap();
        let far = found.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 1e-9);
        assert!(!far, "{name}: {found:?} {expected:?}");
        assert!(expected.iter().any(|s| *s > 0.5), "{name} is silent");
        let case = Case::new(neuron().unwrap(), 1, [40, 2, 35]);
        Case { state: false, ..case }.conform(name);
    }
}

/// Handed on, states and gradients are those of the whole; numbers may differ between neurons of the same
/// equations, which share their kernels.
#[test]
fn chunks_are_the_whole_and_numbers_are_not_compiled_in() {
    let neuron = define("adaptive", adaptive).with("beta", 0.5).unwrap();
    assert_eq!(neuron.kernels().map(|k| k.name), ["adaptive_forward", "adaptive_backward"]);
    let again = define("adaptive", adaptive);
    assert!(std::ptr::eq(neuron.kernels()[0], again.kernels()[0]));
    let values = Random::new(3).values(40 * 18, -0.4, 0.8);
    conform("adaptive in chunks", 1e-5, |device| {
        let run = |cuts: &[usize]| -> Result<[Tensor; 2]> {
            let tape = Tape::new();
            let x = tape.leaf(&Tensor::from_slice(device, &values, [40, 2, 9])?);
            let (mut state, mut loss, mut first) = (None, None::<Var>, 0);
            for end in cuts {
                let part = x.slice(&[first..*end, 0..2, 0..9])?;
                let out = neuron.scan_with(&[&part], state.as_ref(), &[])?;
                let sum = out.emitted[0].square()?.sum_all()?;
                loss = Some(match loss {
                    Some(loss) => loss.add(&sum)?,
                    None => sum,
                });
                (state, first) = (Some(out.state), *end);
            }
            let gradients = loss.expect("a chunk").backward()?;
            Ok([state.expect("a state").value().clone(), gradients.get(&x).unwrap().clone()])
        };
        let (whole, cut) = (run(&[40])?, run(&[5, 6, 40])?);
        for (cut, whole) in cut.iter().zip(&whole) {
            assert_close("chunks", cut, whole, 1e-5);
        }
        Ok(cut.to_vec())
    });
}

/// What differs in a constant, a zero's sign or a name is another neuron.
#[test]
fn other_equations_have_other_kernels() {
    let made = |constant: f32, name: &str| {
        let neuron = Neuron::define("constants", |n| {
            let (x, v, p) = (n.input("x"), n.state("v", 0.0), n.param(name, 0.5));
            n.next(v, p * v + x.max(n.constant(constant)));
            n.emit(v);
        });
        neuron.unwrap().kernels()[0]
    };
    let all = [made(1.0, "p"), made(2.0, "p"), made(0.0, "p"), made(-0.0, "p"), made(1.0, "q")];
    for (i, kernel) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|other| !std::ptr::eq(*other, *kernel)), "neuron {i}");
    }
    assert!(std::ptr::eq(all[0], made(1.0, "p")));
}

#[test]
fn a_captured_scan_replays() {
    let neuron = define("everything", everything);
    for subject in subjects() {
        let device = &subject.device;
        let x = Tensor::zeros(device, [9, 4], DType::F32).unwrap();
        let run = || -> Result<Tensor> {
            let tape = Tape::new();
            let v = tape.leaf(&x);
            let out = neuron.scan(&[&v, &v])?;
            out.emitted[1].sum_all()?.backward().map(|g| g.get(&v).unwrap().clone())
        };
        let (gradient, capture) = device.capture(run).unwrap();
        x.write(&Random::new(4).values(36, -0.5, 0.9)).unwrap();
        capture.replay().unwrap();
        let replayed = gradient.to_vec::<f32>().unwrap();
        assert_eq!(replayed, run().unwrap().to_vec::<f32>().unwrap(), "{}", subject.label);
        assert!(replayed.iter().any(|g| *g != 0.0));
    }
}

fn refused(name: &str, equations: impl FnOnce(&Equations), word: &str) {
    let error = Neuron::define(name, equations).expect_err(word);
    assert!(matches!(error, Error::Argument { op: "neuron", .. }), "{error}");
    assert!(error.to_string().contains(word), "{word}: {error}");
}

#[test]
fn wrong_equations_are_errors_that_name_them() {
    refused("none", |_| (), "given out");
    refused("no input", leaky, "a to z");
    refused("", leaky, "a to z");
    refused("_", leaky, "a to z");
    refused("2_compartments", leaky, "a to z");
    refused("no_state", |n| n.emit(n.input("x")), "no state");
    let no_next = |n: &Equations| {
        let (x, _) = (n.input("x"), n.state("left", 0.0));
        n.emit(x);
    };
    refused("no_next", no_next, "`left` has no next value");
    let twice = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, x);
        n.next(v, x + 1.0);
        n.emit(x);
    };
    refused("twice", twice, "`v` has two next values");
    refused("input", |n| n.emit(n.state("v", 0.0)), "no input");
    let division = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, x / 0.0);
        n.emit(x);
    };
    refused("division", division, "division by zero");
    let infinite = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", f32::NAN));
        n.next(v, x * f32::INFINITY);
        n.emit(x);
    };
    refused("infinite", infinite, "v is NaN");
    let step = |f: fn(Expr<'_>) -> Expr<'_>| {
        move |n: &Equations| {
            let (x, v) = (n.input("x"), n.state("v", 0.0));
            n.next(v, f(x));
            n.emit(x);
        }
    };
    refused("crossed", step(|x| x.clamp(1.0, -1.0)), "1 is above -1");
    refused("no_limit", step(|x| x.clamp(f32::NAN, 1.0)), "a limit is NaN");
    refused("power", step(|x| x.power(f32::INFINITY)), "an exponent is inf");
    let constants = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, x.min(-n.constant(1e30) * 1e30));
        n.emit(x);
    };
    refused("constants", constants, "a constant is -inf");
    let none = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, x / (n.constant(1.0) - 1.0));
        n.emit(x);
    };
    refused("a_zero", none, "division by zero");
    let names = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("x", 0.0));
        n.next(v, x);
        n.emit(x);
    };
    refused("names", names, "`x` is used twice");
    let surrogate = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, n.fire(x, Surrogate::Atan(0.0)));
        n.emit(x);
    };
    refused("surrogate", surrogate, "Atan(0.0)");
    let foreign = |n: &Equations| {
        let other = Equations::default();
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(v, x);
        n.emit(other.input("x"));
    };
    refused("foreign", foreign, "other equations");
    let many = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        let sum = (0..17).fold(x, |sum, k| sum + n.param(&format!("p{k}"), 0.5));
        n.next(v, sum);
        n.emit(x);
    };
    refused("many", many, "17 parameters");
    let no_state_after = |n: &Equations| {
        let (x, v) = (n.input("x"), n.state("v", 0.0));
        n.next(x, v);
        n.next(v, x);
        n.emit(x);
    };
    refused("no_state_after", no_state_after, "no state");
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::host();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
    let (x, y) = (zeros(&[4, 2, 3]), zeros(&[4, 3, 2]));
    let (one, two) = (define("adaptive", adaptive), define("everything", everything));
    let wrong = |result: Result<_>, word: &str| {
        let error = result.map(|_: spikegrad::neuron::NeuronOutput| ()).unwrap_err();
        assert!(error.to_string().contains(word), "{word}: {error}");
    };
    wrong(one.scan(&[]), "no input, expected x");
    wrong(one.scan(&[&x, &x]), "2 inputs, expected x");
    wrong(two.scan(&[&x]), "1 inputs, expected x, y");
    wrong(two.scan(&[&x, &y]), "inputs of [4, 2, 3] and [4, 3, 2]");
    wrong(one.scan(&[&zeros(&[])]), "time axis");
    wrong(one.scan_with(&[&x], Some(&zeros(&[1, 2, 3])), &[]), "expected [2, 2, 3]");
    wrong(
        one.scan_with(&[&x], None, &[("gamma", &x)]),
        "no parameter `gamma`, there are beta, rho",
    );
    let p = zeros(&[3]);
    wrong(one.scan_with(&[&x], None, &[("k", &p), ("k", &p)]), "given twice");
    wrong(one.scan_with(&[&x], None, &[("k", &zeros(&[2]))]), "k of [2] for 3 neurons");
    wrong(two.clone().output(Spikes::Bits).scan(&[&x, &x]), "no spike");
    wrong(one.clone().output(Spikes::Bits).smooth(true).scan(&[&x]), "smooth");
    assert!(one.clone().with("beta", f32::NAN).is_err());
    assert!(one.clone().with("x", 1.0).is_err());
    let packed = tape.leaf(&Tensor::zeros(&device, [4, 2, 3], DType::Bits).unwrap());
    assert!(matches!(one.scan(&[&packed]), Err(Error::DType { .. })));
    for shape in [[0, 3], [4, 0]] {
        let out = two.scan(&[&zeros(&shape), &zeros(&shape)]).unwrap();
        assert_eq!(out.emitted.len(), 3);
        assert!(out.emitted.iter().all(|y| y.shape().dims() == shape));
        assert_eq!(out.state.shape().dims(), [3, shape[1]]);
    }
}
