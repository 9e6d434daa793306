//! Conformance of the `scan` family.

use kernels_tests::{Random, assert_close, conform, oracle, seeded, subjects};
use proptest::prelude::*;
use spikegrad::scan::{Decay, Plan, Recurrence, Wkv, WkvState, wkv};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// Names, values and how far each may be from the oracle's.
type Named = Vec<(&'static str, Tensor, f64)>;

/// Compares what `program` computes on every device with what the oracle does.
fn agree(what: &str, program: impl Fn(&Device) -> Result<Named>) {
    let run = |label: &str, device: &Device| {
        program(device).unwrap_or_else(|e| panic!("{what} on {label}: {e}"))
    };
    let expected = run("the oracle", oracle());
    for subject in subjects() {
        let found = run(&subject.label, &subject.device);
        for ((name, found, _), (_, expected, tolerance)) in found.iter().zip(&expected) {
            let what = format!("{what}: {name} on {}", subject.label);
            assert_close(&what, found, expected, *tolerance);
        }
    }
}

fn tensor(device: &Device, values: &[f32], shape: &[usize]) -> Result<Tensor> {
    Tensor::from_slice(device, values, shape)
}

/// Where the decay of a case comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Fixed,
    Value,
    Logit,
}

/// A recurrence with all that goes in.
#[derive(Debug, Clone)]
struct Case {
    scan: Recurrence,
    plan: Plan,
    form: Form,
    /// Steps, batch, channels.
    shape: [usize; 3],
    heads: usize,
    state: bool,
    logits: (f32, f32),
    tolerance: f64,
    seed: u64,
}

impl Case {
    fn new(scan: Recurrence, form: Form, shape: [usize; 3]) -> Self {
        Self {
            scan,
            plan: Plan::Sequential,
            form,
            shape,
            heads: 1,
            state: true,
            logits: (-2.0, 5.0),
            tolerance: 1e-5,
            seed: 1,
        }
    }

    fn values(&self, stream: u64, count: usize, low: f32, high: f32) -> Vec<f32> {
        Random::new(self.seed * 16 + stream).values(count, low, high)
    }

    fn rates(&self) -> Vec<f32> {
        let (low, high) = if self.form == Form::Logit { self.logits } else { (0.0, 1.0) };
        self.values(2, self.heads, low, high)
    }

    fn run(&self, device: &Device) -> Result<Named> {
        let tape = Tape::new();
        let [steps, batch, channels] = self.shape;
        let (row, count) = ([batch, channels], steps * batch * channels);
        let leaf = |values: &[f32], shape: &[usize]| -> Result<Var> {
            Ok(tape.leaf(&tensor(device, values, shape)?))
        };
        let u = leaf(&self.values(0, count, -1.0, 1.0), &self.shape)?;
        let h0 = leaf(&self.values(1, batch * channels, -2.0, 2.0), &row)?;
        let rate = leaf(&self.rates(), &[self.heads])?;
        let decay = match self.form {
            Form::Fixed => Decay::Fixed(0.8125),
            Form::Value => Decay::Value(&rate),
            Form::Logit => Decay::Logit(&rate),
        };
        let out = self.scan.plan(self.plan).scan(&u, decay, self.state.then_some(&h0))?;
        let gh = tensor(device, &self.values(3, count, -1.0, 1.0), &self.shape)?;
        let glast = tensor(device, &self.values(4, batch * channels, -1.0, 1.0), &row)?;
        let found = seeded(&[(&out.h, gh), (&out.last, glast)])?.backward()?;
        let exact = self.tolerance;
        let mut all = vec![
            ("h", out.h.value().clone(), exact),
            ("last", out.last.value().clone(), exact),
            ("gu", found.get(&u).expect("of u").clone(), exact),
        ];
        if self.state {
            all.push(("gh0", found.get(&h0).expect("of h0").clone(), exact));
        }
        // A sum over time and batch, whose terms cancel.
        if self.form != Form::Fixed {
            all.push(("grate", found.get(&rate).expect("of the decay").clone(), 10.0 * exact));
        }
        Ok(all)
    }

    fn agree(&self, what: &str) {
        agree(what, |device| self.run(device));
    }
}

const PLANS: [Plan; 3] = [Plan::Sequential, Plan::Chunked(8), Plan::Chunked(64)];

#[test]
fn decay_shapes_at_the_edges() {
    for plan in PLANS {
        for (shape, heads) in [
            ([1, 1, 1], 1),
            ([1, 3, 5], 5),
            ([7, 1, 1], 1),
            ([8, 2, 6], 2),
            ([9, 1, 129], 3),
            ([63, 1, 7], 1),
            ([64, 2, 3], 3),
            ([65, 3, 4], 2),
            ([131, 1, 2], 1),
            ([200, 2, 65], 5),
        ] {
            let case = Case::new(Recurrence::average(), Form::Logit, shape);
            Case { plan, heads, ..case }.agree(&format!("{plan:?} {shape:?}"));
        }
    }
}

#[test]
fn decay_of_every_form() {
    for scan in [Recurrence::average(), Recurrence::integrator()] {
        for form in [Form::Fixed, Form::Value, Form::Logit] {
            for plan in [Plan::Sequential, Plan::Chunked(16)] {
                let case = Case { plan, heads: 3, ..Case::new(scan, form, [37, 3, 12]) };
                case.agree(&format!("{scan:?} {form:?} {plan:?}"));
                Case { state: false, ..case }.agree(&format!("{form:?} {plan:?}, no state"));
            }
        }
    }
}

/// Decays so near 0 and 1 that one of `lam` and `1 - lam` has no digits left in f32.
#[test]
fn decay_at_the_ends_of_its_range() {
    for plan in [Plan::Sequential, Plan::Chunked(64)] {
        for logits in [(-30.0, -29.0), (29.0, 30.0), (9.0, 11.0), (-100.0, -90.0), (90.0, 100.0)] {
            for scan in [Recurrence::average(), Recurrence::integrator()] {
                let case = Case::new(scan, Form::Logit, [300, 2, 6]);
                let case = Case { plan, heads: 3, logits, tolerance: 3e-5, ..case };
                case.agree(&format!("{scan:?} {plan:?} {logits:?}"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_decays(
        steps in 1usize..300, batch in 1usize..4, group in 1usize..9, heads in 1usize..6,
        seed in 0u64..1000, state: bool, plan in 0usize..3,
    ) {
        let plan = [Plan::Auto, Plan::Sequential, Plan::Chunked(32)][plan];
        let shape = [steps, batch, group * heads];
        let case = Case::new(Recurrence::average(), Form::Logit, shape);
        let case = Case { plan, heads, state, seed, ..case };
        case.agree(&format!("{case:?}"));
    }
}

/// A causal convolution with `(1 - lam) lam^k`, plus `lam^(t+1) h0`.
#[test]
fn decay_in_closed_form() {
    let (steps, raw) = (150, [3.0f64, -0.5, 9.0]);
    let columns = raw.len();
    let u = Random::new(5).values(steps * columns, -1.0, 1.0);
    let h0 = Random::new(6).values(columns, -2.0, 2.0);
    let mut expected = vec![0.0; steps * columns];
    for (c, raw) in raw.iter().enumerate() {
        let (lam, leak) = (1.0 / (1.0 + (-raw).exp()), 1.0 / (1.0 + raw.exp()));
        for t in 0..steps {
            let past: f64 = (0..=t)
                .map(|k| leak * lam.powi(k as i32) * f64::from(u[(t - k) * columns + c]))
                .sum();
            expected[t * columns + c] = past + lam.powi(t as i32 + 1) * f64::from(h0[c]);
        }
    }
    let run = |device: &Device, plan: Plan| -> Result<Tensor> {
        let tape = Tape::off();
        let u = tape.constant(&tensor(device, &u, &[steps, 1, columns])?);
        let h0 = tape.constant(&tensor(device, &h0, &[1, columns])?);
        let raw = tape.constant(&Tensor::from_slice(device, &raw, [columns])?);
        let scan = Recurrence::average().plan(plan);
        Ok(scan.scan(&u, Decay::Logit(&raw), Some(&h0))?.h.value().clone())
    };
    let expected = Tensor::from_slice(oracle(), &expected, [steps, 1, columns]).unwrap();
    for plan in PLANS {
        assert_close("the oracle", &run(oracle(), plan).unwrap(), &expected, 1e-12);
        for subject in subjects() {
            let found = run(&subject.device, plan).unwrap();
            assert_close(&format!("{plan:?} on {}", subject.label), &found, &expected, 1e-5);
        }
    }
}

#[test]
fn sixty_five_thousand_steps() {
    for (columns, plan) in [(1, Plan::Auto), (1, Plan::Sequential), (3, Plan::Chunked(128))] {
        // A memory of 20,000 steps: a decay that is rounded once would be a part in a thousand off.
        let case = Case::new(Recurrence::average(), Form::Logit, [65_536, 1, columns]);
        let case = Case { plan, logits: (10.0, 10.001), tolerance: 1e-4, ..case };
        case.agree(&format!("{columns} {plan:?}"));
    }
}

/// Walks that a software adapter, which leaves long loops before their end, must take in several
/// launches.
#[test]
fn long_walks_of_many_columns() {
    let shape = [9000, 1, 512];
    let case = Case::new(Recurrence::average(), Form::Logit, shape);
    Case { heads: 4, ..case }.agree("long decay");
    WkvCase::new(shape).agree("long wkv");
}

#[test]
fn more_workgroups_than_one_axis_holds() {
    let columns = 65_535 * 64 + 130;
    let u = Random::new(1).values(columns, -1.0, 1.0);
    for subject in subjects() {
        let tape = Tape::new();
        let u = tape.leaf(&tensor(&subject.device, &u, &[1, columns]).unwrap());
        let out = u.trace(Decay::Fixed(0.5), None).unwrap();
        let found = out.h.value().to_vec::<f32>().unwrap();
        assert!(found == u.value().to_vec::<f32>().unwrap(), "{}", subject.label);
        let seed = u.value().clone().reshape([1, columns]).unwrap();
        let gradients = out.h.backward_from(&seed).unwrap();
        let found = gradients.get(&u).unwrap().to_vec::<f32>().unwrap();
        assert!(found == u.value().to_vec::<f32>().unwrap(), "{}", subject.label);
        let (k, w) = (
            u.detach(),
            tape.constant(&Tensor::zeros(&subject.device, [columns], DType::F32).unwrap()),
        );
        let y = wkv(&k, &k, &w, &w, None).unwrap().y;
        let found = y.value().to_vec::<f32>().unwrap();
        assert!(found == u.value().to_vec::<f32>().unwrap(), "{}", subject.label);
    }
}

fn doubles(random: &mut Random, count: usize, low: f32, high: f32) -> Vec<f64> {
    random.values(count, low, high).into_iter().map(f64::from).collect()
}

#[test]
fn decay_has_the_gradient_of_its_differences() {
    let mut random = Random::new(9);
    let (steps, row) = (19, 8);
    let u = (doubles(&mut random, steps * row, -1.0, 1.0), [19, 2, 4].as_slice());
    let h0 = (doubles(&mut random, row, -1.0, 1.0), [2, 4].as_slice());
    let raw = (doubles(&mut random, 2, -1.0, 3.0), [2].as_slice());
    let lam = (doubles(&mut random, 2, 0.2, 0.9), [2].as_slice());
    for scan in [Recurrence::average(), Recurrence::integrator()] {
        for plan in [Plan::Sequential, Plan::Chunked(8)] {
            for logit in [true, false] {
                let rate = if logit { &raw } else { &lam };
                let inputs = [u.clone(), h0.clone(), rate.clone()];
                let check = gradient_check(&inputs, 1e-5, |v| {
                    let decay = if logit { Decay::Logit(&v[2]) } else { Decay::Value(&v[2]) };
                    let out = scan.plan(plan).scan(&v[0], decay, Some(&v[1]))?;
                    Ok(vec![out.h, out.last])
                })
                .unwrap();
                assert!(check.error < 1e-7, "{scan:?} {plan:?} {logit}: {check:?}");
            }
        }
    }
}

/// Whole, in parts, and one step a call; with the gradients that flow from part to part.
#[test]
fn decay_in_parts_is_the_whole() {
    let shape = [70, 2, 6];
    let run = |device: &Device, cuts: &[usize], plan: Plan| -> Result<[Tensor; 3]> {
        let tape = Tape::new();
        let u = tape.leaf(&tensor(device, &Random::new(3).values(840, -1.0, 1.0), &shape)?);
        let raw = tape.leaf(&tensor(device, &[2.0, -0.5], &[2])?);
        let (mut parts, mut state, mut from) = (Vec::new(), None::<Var>, 0);
        for to in cuts {
            let part = u.narrow(0, from..*to)?;
            let scan = Recurrence::average().plan(plan);
            let out = scan.scan(&part, Decay::Logit(&raw), state.as_ref())?;
            parts.push(out.h);
            state = Some(out.last);
            from = *to;
        }
        let h = spikegrad::layout::concat(&parts.iter().collect::<Vec<_>>(), 0)?;
        let seed = tensor(device, &Random::new(4).values(840, -1.0, 1.0), &shape)?;
        let gradients = h.backward_from(&seed)?;
        let of = |v: &Var| gradients.get(v).expect("a gradient").clone();
        Ok([h.value().clone(), of(&u), of(&raw)])
    };
    let whole = run(oracle(), &[70], Plan::Sequential).unwrap();
    let steps: Vec<usize> = (1..=70).collect();
    for cuts in [&[70][..], &[13, 29, 70], &steps] {
        for plan in [Plan::Sequential, Plan::Chunked(8)] {
            let found = run(oracle(), cuts, plan).unwrap();
            for (found, whole) in found.iter().zip(&whole) {
                assert_close("the oracle", found, whole, 1e-12);
            }
        }
    }
    for subject in subjects() {
        for cuts in [&[13, 29, 70][..], &steps] {
            let found = run(&subject.device, cuts, Plan::Auto).unwrap();
            for (found, whole) in found.iter().zip(&whole) {
                assert_close(&subject.label, found, whole, 1e-5);
            }
        }
    }
}

#[test]
fn packed_spikes_are_the_same_as_floats() {
    let spikes: Vec<bool> = (0..70 * 6).map(|i| i * i % 7 < 2).collect();
    let floats: Vec<f32> = spikes.iter().map(|s| f32::from(u8::from(*s))).collect();
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let packed = tape.leaf(&Tensor::from_bools(device, &spikes, [70, 2, 3]).unwrap());
        let plain = tape.leaf(&tensor(device, &floats, &[70, 2, 3]).unwrap());
        let traces = [&packed, &plain].map(|s| s.trace(Decay::Fixed(0.9), None).unwrap().h);
        let [a, b] = [&traces[0], &traces[1]].map(|h| h.value().to_vec::<f32>().unwrap());
        assert_eq!(a, b, "{}", subject.label);
        let seed = spikegrad::elementwise::full(device, [70, 2, 3], 1.0).unwrap();
        let gradients =
            seeded(&[(&traces[0], seed.clone()), (&traces[1], seed)]).unwrap().backward().unwrap();
        let [a, b] = [&packed, &plain].map(|v| gradients.get(v).unwrap().to_vec::<f32>().unwrap());
        assert_eq!(a, b, "{}", subject.label);
    }
}

/// The four names are four recurrences.
#[test]
fn named_recurrences() {
    let values = [1.0f32, 2.0, -1.0, 0.5];
    let recurrence = |lam: f64, gain: f64| {
        let mut h = 0.0;
        values.map(|u| {
            h = lam * h + gain * f64::from(u);
            h
        })
    };
    let lam = 1.0 / (1.0 + (-1.5f64).exp());
    for (device, tolerance) in
        subjects().iter().map(|s| (&s.device, 1e-6)).chain([(oracle(), 1e-15)])
    {
        let tape = Tape::new();
        let u = tape.leaf(&tensor(device, &values, &[4, 1]).unwrap());
        let raw = tape.leaf(&tensor(device, &[1.5], &[1]).unwrap());
        let beta = tape.leaf(&tensor(device, &[0.75], &[]).unwrap());
        for (name, out, expected) in [
            ("decay_scan", u.decay_scan(&raw, None), recurrence(lam, 1.0 - lam)),
            ("integrate", u.leaky_integrate(Decay::Logit(&raw), None), recurrence(lam, 1.0)),
            ("fixed", u.leaky_integrate(Decay::Fixed(0.75), None), recurrence(0.75, 1.0)),
            ("trace", u.trace(Decay::Value(&beta), None), recurrence(0.75, 1.0)),
            ("average", u.moving_average(Decay::Fixed(0.25), None), recurrence(0.25, 0.75)),
        ] {
            let found = out.unwrap().h.value().to_vec::<f64>().unwrap();
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() <= tolerance, "{name}: {found:?}, not {expected:?}");
            }
        }
    }
}

/// Only the last state, or a learned decay alone, may have a gradient.
#[test]
fn decay_partial_gradients() {
    for plan in [Plan::Sequential, Plan::Chunked(8)] {
        conform(&format!("only the last state, {plan:?}"), 1e-5, |device| {
            let tape = Tape::new();
            let u = tape.leaf(&tensor(device, &Random::new(8).values(120, -1.0, 1.0), &[20, 6])?);
            let raw = tape.leaf(&tensor(device, &[0.5, 2.0], &[2])?);
            let scan = Recurrence::average().plan(plan);
            let out = scan.scan(&u, Decay::Logit(&raw), None)?;
            let seed = tensor(device, &Random::new(2).values(6, -1.0, 1.0), &[6])?;
            let gradients = out.last.backward_from(&seed)?;
            let of = |v: &Var| gradients.get(v).expect("a gradient").clone();
            Ok(vec![of(&u), of(&raw)])
        });
        conform(&format!("only the decay, {plan:?}"), 1e-5, |device| {
            let tape = Tape::new();
            let u = tensor(device, &Random::new(8).values(120, -1.0, 1.0), &[20, 6])?;
            let u = tape.constant(&u);
            let raw = tape.leaf(&tensor(device, &[0.5, 2.0], &[2])?);
            let scan = Recurrence::average().plan(plan);
            let h = scan.scan(&u, Decay::Logit(&raw), None)?.h;
            let seed = tensor(device, &Random::new(2).values(120, -1.0, 1.0), &[20, 6])?;
            let gradients = h.backward_from(&seed)?;
            Ok(vec![gradients.get(&raw).expect("a gradient").clone()])
        });
    }
}

/// A WKV scan with all that goes in.
#[derive(Debug, Clone)]
struct WkvCase {
    plan: Plan,
    /// Steps, batch, channels.
    shape: [usize; 3],
    keys: (f32, f32),
    decays: (f32, f32),
    bonuses: (f32, f32),
    state: bool,
    tolerance: f64,
    seed: u64,
}

impl WkvCase {
    fn new(shape: [usize; 3]) -> Self {
        Self {
            plan: Plan::Sequential,
            shape,
            keys: (-2.0, 2.0),
            decays: (-3.0, 1.0),
            bonuses: (-1.0, 2.0),
            state: false,
            tolerance: 1e-5,
            seed: 1,
        }
    }

    fn values(&self, stream: u64, count: usize, (low, high): (f32, f32)) -> Vec<f32> {
        Random::new(self.seed * 16 + stream).values(count, low, high)
    }

    /// k, v, w, u, gy.
    fn inputs(&self) -> [Vec<f32>; 5] {
        let [steps, batch, channels] = self.shape;
        let count = steps * batch * channels;
        [
            self.values(0, count, self.keys),
            self.values(1, count, (-1.0, 1.0)),
            self.values(2, channels, self.decays),
            self.values(3, channels, self.bonuses),
            self.values(4, count, (-1.0, 1.0)),
        ]
    }

    /// A memory of two earlier steps.
    fn memory(&self, device: &Device) -> Result<WkvState> {
        let [_, batch, channels] = self.shape;
        let n = batch * channels;
        let mut values = self.values(5, n, (-1.5, 1.5));
        values.extend(self.values(6, n, (1.0, 2.0)));
        values.extend(self.values(7, n, self.keys));
        WkvState::from_tensor(tensor(device, &values, &[3, batch, channels])?)
    }

    fn run(&self, device: &Device) -> Result<Named> {
        let tape = Tape::new();
        let channels = [self.shape[2]];
        let inputs = self.inputs();
        let leaf = |i: usize, shape: &[usize]| -> Result<Var> {
            Ok(tape.leaf(&tensor(device, &inputs[i], shape)?))
        };
        let (k, v) = (leaf(0, &self.shape)?, leaf(1, &self.shape)?);
        let (w, u) = (leaf(2, &channels)?, leaf(3, &channels)?);
        let state = if self.state { Some(self.memory(device)?) } else { None };
        let out = Wkv::new().plan(self.plan).scan(&k, &v, &w, &u, state.as_ref())?;
        let gradients = out.y.backward_from(&tensor(device, &inputs[4], &self.shape)?)?;
        let of = |v: &Var| gradients.get(v).expect("a gradient").clone();
        let exact = self.tolerance;
        Ok(vec![
            ("y", out.y.value().clone(), exact),
            ("sums", averages(out.state.tensor())?, exact),
            ("gk", of(&k), exact),
            ("gv", of(&v), exact),
            ("gw", of(&w), 10.0 * exact),
            ("gu", of(&u), 10.0 * exact),
        ])
    }

    fn agree(&self, what: &str) {
        agree(what, |device| self.run(device));
    }

    /// y, gk, gv, gw, gu from all pairs of steps, in f64.
    fn by_pairs(&self) -> [Vec<f64>; 5] {
        let [steps, batch, channels] = self.shape;
        let row = batch * channels;
        let [k, v, w, u, gy] =
            self.inputs().map(|x| x.into_iter().map(f64::from).collect::<Vec<_>>());
        let zeros = || vec![0.0; steps * row];
        let (mut y, mut gk, mut gv) = (zeros(), zeros(), zeros());
        let (mut gw, mut gu) = (vec![0.0; channels], vec![0.0; channels]);
        for (c, t) in (0..row).flat_map(|c| (0..steps).map(move |t| (c, t))) {
            let n = c % channels;
            let (decay, at) = (-w[n].exp(), t * row + c);
            let exponents: Vec<f64> = (0..=t)
                .map(|i| match t - i {
                    0 => u[n] + k[at],
                    age => (age - 1) as f64 * decay + k[i * row + c],
                })
                .collect();
            let most = exponents.iter().copied().fold(f64::MIN, f64::max);
            let total: f64 = exponents.iter().map(|e| (e - most).exp()).sum();
            let weights: Vec<f64> = exponents.iter().map(|e| (e - most).exp() / total).collect();
            y[at] = (0..=t).map(|i| weights[i] * v[i * row + c]).sum();
            for i in 0..=t {
                let g = gy[at] * weights[i];
                let moved = g * (v[i * row + c] - y[at]);
                gv[i * row + c] += g;
                gk[i * row + c] += moved;
                match t - i {
                    0 => gu[n] += moved,
                    age => gw[n] += (age - 1) as f64 * decay * moved,
                }
            }
        }
        [y, gk, gv, gw, gu]
    }

    /// Compares with the sums over all pairs: the oracle within `double`, devices within `single`.
    fn agree_with_pairs(&self, what: &str, double: f64, single: f64) {
        let channels = self.shape[2];
        let shapes: [&[usize]; 5] =
            [&self.shape, &self.shape, &self.shape, &[channels], &[channels]];
        let pairs = self.by_pairs();
        let expected: Vec<Tensor> = pairs
            .iter()
            .zip(shapes)
            .map(|(values, shape)| Tensor::from_slice(oracle(), values, shape).unwrap())
            .collect();
        let devices = subjects().iter().map(|s| (s.label.as_str(), &s.device, single));
        for (label, device, tolerance) in devices.chain([("the oracle", oracle(), double)]) {
            let mut found = self.run(device).unwrap();
            found.retain(|(name, ..)| *name != "sums");
            for ((name, found, _), expected) in found.iter().zip(&expected) {
                assert_close(&format!("{what}: {name} on {label}"), found, expected, tolerance);
            }
        }
    }
}

/// p / q of a memory: what does not depend on the exponent that it is kept with.
fn averages(memory: &Tensor) -> Result<Tensor> {
    let values = memory.to_vec::<f64>()?;
    let row = values.len() / 3;
    let ratios: Vec<f64> = (0..row).map(|i| values[i] / values[row + i]).collect();
    Tensor::from_slice(oracle(), &ratios, [row])
}

#[test]
fn wkv_shapes_at_the_edges() {
    for plan in PLANS {
        for shape in [
            [1, 1, 1],
            [1, 3, 5],
            [7, 1, 1],
            [8, 2, 6],
            [9, 1, 129],
            [63, 1, 7],
            [64, 2, 3],
            [65, 3, 4],
            [131, 1, 2],
            [200, 2, 65],
        ] {
            WkvCase { plan, ..WkvCase::new(shape) }.agree(&format!("{plan:?} {shape:?}"));
        }
        let state = WkvCase { plan, state: true, ..WkvCase::new([77, 2, 5]) };
        state.agree(&format!("{plan:?} with a state"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn random_wkv(
        steps in 1usize..300, batch in 1usize..4, channels in 1usize..40, seed in 0u64..1000,
        state: bool, plan in 0usize..3,
    ) {
        let plan = [Plan::Auto, Plan::Sequential, Plan::Chunked(32)][plan];
        let case = WkvCase { plan, state, seed, ..WkvCase::new([steps, batch, channels]) };
        case.agree(&format!("{case:?}"));
    }
}

#[test]
fn wkv_is_the_sum_over_all_pairs() {
    for plan in [Plan::Sequential, Plan::Chunked(64)] {
        let base = WkvCase { plan, ..WkvCase::new([200, 2, 7]) };
        base.agree_with_pairs(&format!("{plan:?}"), 1e-11, 1e-5);
        // Keys of +-30 and beyond, from forgetting at once to never.
        for (keys, decays) in [
            ((-30.0, 30.0), (-3.0, 1.0)),
            ((-90.0, 90.0), (-8.0, -2.0)),
            ((29.0, 31.0), (-12.0, 4.0)),
        ] {
            let case = WkvCase { keys, decays, ..base.clone() };
            case.agree_with_pairs(&format!("{plan:?} {keys:?} {decays:?}"), 1e-10, 1e-4);
        }
        // A step that counts for everything, or for nothing where anything was before.
        for bonuses in [(-120.0, -30.0), (30.0, 120.0)] {
            let case = WkvCase { bonuses, keys: (-30.0, 30.0), ..base.clone() };
            case.agree_with_pairs(&format!("{plan:?}, bonus {bonuses:?}"), 1e-10, 1e-3);
        }
    }
}

/// Keys of 30 and a memory of 20,000 steps: exponents that are added up step by step drift.
#[test]
fn wkv_of_sixty_five_thousand_steps() {
    for (channels, plan) in [(1, Plan::Auto), (3, Plan::Chunked(128)), (2, Plan::Sequential)] {
        let case = WkvCase::new([65_536, 1, channels]);
        let case = WkvCase { plan, keys: (28.0, 30.0), decays: (-10.5, -9.5), ..case };
        WkvCase { tolerance: 1e-4, ..case }.agree(&format!("{channels} {plan:?}"));
    }
}

#[test]
fn wkv_has_the_gradient_of_its_differences() {
    let mut random = Random::new(9);
    let shape = [19, 2, 3];
    let inputs: [(Vec<f64>, &[usize]); 4] = [
        (doubles(&mut random, 114, -2.0, 2.0), &shape),
        (doubles(&mut random, 114, -1.0, 1.0), &shape),
        (doubles(&mut random, 3, -2.0, 0.5), &[3]),
        (doubles(&mut random, 3, -1.0, 1.0), &[3]),
    ];
    for plan in [Plan::Sequential, Plan::Chunked(8)] {
        let check = gradient_check(&inputs, 1e-5, |v| {
            Ok(vec![Wkv::new().plan(plan).scan(&v[0], &v[1], &v[2], &v[3], None)?.y])
        })
        .unwrap();
        assert!(check.error < 1e-7, "{plan:?}: {check:?}");
    }
}

/// Whole, in parts, and one step a call.
#[test]
fn wkv_in_parts_is_the_whole() {
    let case = WkvCase { keys: (-8.0, 8.0), ..WkvCase::new([70, 2, 5]) };
    let [k, v, w, u, _] = case.inputs();
    let run = |device: &Device, cuts: &[usize], plan: Plan| -> Result<(Vec<f64>, Tensor)> {
        let tape = Tape::off();
        let constant = |values: &[f32], shape: &[usize]| -> Result<Var> {
            Ok(tape.constant(&tensor(device, values, shape)?))
        };
        let (w, u) = (constant(&w, &[5])?, constant(&u, &[5])?);
        let (mut y, mut state, mut from) = (Vec::new(), WkvState::empty(device, &[2, 5])?, 0);
        for to in cuts {
            let part = |x: &[f32]| constant(&x[from * 10..to * 10], &[to - from, 2, 5]);
            let scan = Wkv::new().plan(plan);
            let out = scan.scan(&part(&k)?, &part(&v)?, &w, &u, Some(&state))?;
            y.extend(out.y.value().to_vec::<f64>()?);
            state = out.state;
            from = *to;
        }
        Ok((y, averages(state.tensor())?))
    };
    let (whole, last) = run(oracle(), &[70], Plan::Sequential).unwrap();
    let whole = Tensor::from_slice(oracle(), &whole, [70, 10]).unwrap();
    let steps: Vec<usize> = (1..=70).collect();
    let devices = subjects().iter().map(|s| (s.label.as_str(), &s.device, 1e-5));
    for (label, device, tolerance) in devices.chain([("the oracle", oracle(), 1e-12)]) {
        for cuts in [&[70][..], &[13, 29, 70], &steps] {
            for plan in [Plan::Sequential, Plan::Chunked(8)] {
                let (y, found) = run(device, cuts, plan).unwrap();
                let y = Tensor::from_slice(oracle(), &y, [70, 10]).unwrap();
                assert_close(&format!("y, {} parts on {label}", cuts.len()), &y, &whole, tolerance);
                assert_close(&format!("state on {label}"), &found, &last, tolerance);
            }
        }
    }
}

#[test]
fn the_same_bits_every_run() {
    let bits = |t: &Tensor| -> Vec<u32> {
        t.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    };
    for subject in subjects() {
        for plan in [Plan::Sequential, Plan::Chunked(16)] {
            let decay = Case::new(Recurrence::average(), Form::Logit, [50, 40, 34]);
            let decay = Case { plan, heads: 17, ..decay };
            let wkv = WkvCase { plan, ..WkvCase::new([50, 40, 33]) };
            let runs = [(); 2].map(|()| {
                let mut all = decay.run(&subject.device).unwrap();
                all.extend(wkv.run(&subject.device).unwrap());
                all
            });
            for ((name, a, _), (_, b, _)) in runs[0].iter().zip(&runs[1]) {
                assert_eq!(bits(a), bits(b), "{name} on {}", subject.label);
            }
        }
    }
}

/// One launch each way in one walk, three in chunks; two more for the sums of learned parameters.
#[test]
fn launches_and_traffic() {
    let device = Device::host();
    let (steps, columns) = (512, 64);
    let elements = (steps * columns) as f64;
    let u = spikegrad::elementwise::full(&device, [steps, columns], 0.3).unwrap();
    let raw = spikegrad::elementwise::full(&device, [columns], 1.0).unwrap();
    let seed = spikegrad::elementwise::full(&device, [steps, columns], 1.0).unwrap();
    let per_element = |profile: &spikegrad::Profile, kernel: &str| {
        let rows = profile.rows();
        rows.iter().filter(|r| r.kernel == kernel).map(|r| r.bytes).sum::<f64>() / elements
    };
    for (plan, walks) in [(Plan::Sequential, 1), (Plan::Chunked(64), 3)] {
        let scan = Recurrence::average().plan(plan);
        let tape = Tape::new();
        let (u, raw) = (tape.leaf(&u), tape.leaf(&raw));
        let (out, forward) = device.profile(|| scan.scan(&u, Decay::Fixed(0.9), None)).unwrap();
        let (_, backward) = device.profile(|| out.h.backward_from(&seed)).unwrap();
        assert_eq!((forward.launches(), backward.launches()), (walks, walks));
        assert!((per_element(&forward, "decay_scan") - 8.0).abs() < 0.05);
        assert!((per_element(&backward, "decay_backward") - 8.0).abs() < 0.1);
        // The backward pass used the tape up.
        let (u, raw) = (tape.leaf(u.value()), tape.leaf(raw.value()));
        let (out, _) = device.profile(|| scan.scan(&u, Decay::Logit(&raw), None)).unwrap();
        let (_, backward) = device.profile(|| out.h.backward_from(&seed)).unwrap();
        assert!((per_element(&backward, "decay_backward") - 12.5).abs() < 0.2);

        let tape = Tape::new();
        let (k, w) = (tape.leaf(u.value()), tape.leaf(raw.value()));
        let scan = Wkv::new().plan(plan);
        let (out, forward) = device.profile(|| scan.scan(&k, &k, &w, &w, None)).unwrap();
        let (_, backward) = device.profile(|| out.y.backward_from(&seed)).unwrap();
        assert_eq!(forward.launches(), walks);
        assert!((per_element(&forward, "wkv") - 13.5).abs() < 0.1);
        assert!((per_element(&backward, "wkv_backward") - 21.5).abs() < 0.2);
        let tape = Tape::off();
        let (k, w) = (tape.constant(k.value()), tape.constant(w.value()));
        let (_, forward) = device.profile(|| scan.scan(&k, &k, &w, &w, None)).unwrap();
        assert!((per_element(&forward, "wkv") - 12.0).abs() < 0.1);
    }
}

#[test]
fn the_shadow_check_agrees() {
    let others = subjects().iter().filter(|s| !s.device.is_host()).take(1);
    let open = |label: &str| Device::builder().select(label).open().expect("opens again");
    for device in others.map(|s| open(&s.label)).chain([Device::host()]) {
        device.shadow(true);
        for plan in [Plan::Sequential, Plan::Chunked(16)] {
            let decay = Case::new(Recurrence::average(), Form::Logit, [50, 3, 10]);
            let outcome = Case { plan, heads: 5, ..decay }.run(&device);
            assert!(outcome.is_ok(), "{device}: {outcome:?}");
            let outcome = WkvCase { plan, ..WkvCase::new([50, 3, 10]) }.run(&device);
            assert!(outcome.is_ok(), "{device}: {outcome:?}");
        }
        device.shadow(false);
    }
}

#[test]
fn empty_inputs() {
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let zeros = |shape: &[usize]| tape.leaf(&Tensor::zeros(device, shape, DType::F32).unwrap());
        let (one, none) = (zeros(&[1]), zeros(&[0]));
        for shape in [[0, 3], [4, 0]] {
            let u = zeros(&shape);
            let out = u.decay_scan(&one, None).unwrap();
            assert_eq!(out.h.shape(), u.shape());
            assert_eq!(out.last.value().to_vec::<f32>().unwrap(), vec![0.0; shape[1]]);
            let channels = if shape[1] == 0 { &none } else { &zeros(&[3]) };
            let out = wkv(&u, &u, channels, channels, None).unwrap();
            assert_eq!(out.y.shape(), u.shape());
            assert_eq!(out.state.tensor().shape().dims(), [3, shape[1]]);
        }
        let u = zeros(&[0, 2]);
        let h0 = tape.leaf(&tensor(device, &[0.5, 1.5], &[2]).unwrap());
        let out = u.trace(Decay::Fixed(0.5), Some(&h0)).unwrap();
        assert_eq!(out.last.value().to_vec::<f32>().unwrap(), [0.5, 1.5]);
        // A single column: the state is a scalar.
        let u = tape.leaf(&tensor(device, &[1.0, 1.0, 1.0], &[3]).unwrap());
        let out = u.trace(Decay::Fixed(0.5), None).unwrap();
        assert_eq!(out.h.value().to_vec::<f32>().unwrap(), [1.0, 1.5, 1.75]);
        assert_eq!(out.last.shape().rank(), 0);
        let out = wkv(&u, &u, &one, &one, None).unwrap();
        assert_eq!(out.y.value().to_vec::<f32>().unwrap(), [1.0; 3]);
        assert_eq!(out.state.tensor().shape().dims(), [3]);
    }
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::host();
    let tape = Tape::new();
    let zeros = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
    let u = zeros(&[4, 2, 6]);
    fn shape<T>(result: Result<T>, words: &[&str]) {
        let error = result.map(drop).unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{error}");
        words.iter().for_each(|w| assert!(error.to_string().contains(w), "{error}: {w}"));
    }
    fn argument<T>(result: Result<T>, words: &[&str]) {
        let error = result.map(drop).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        words.iter().for_each(|w| assert!(error.to_string().contains(w), "{error}: {w}"));
    }
    shape(zeros(&[]).decay_scan(&zeros(&[1]), None), &["decay_scan", "time axis"]);
    shape(u.decay_scan(&zeros(&[4]), None), &["decay_scan", "4", "6 channels"]);
    shape(u.decay_scan(&zeros(&[0]), None), &["decay_scan"]);
    shape(u.leaky_integrate(Decay::Value(&zeros(&[2, 3])), None), &["leaky_integrate"]);
    shape(u.trace(Decay::Fixed(0.5), Some(&zeros(&[6, 2]))), &["trace", "initial"]);
    for wrong in [-0.1, 1.1, f32::NAN] {
        argument(u.moving_average(Decay::Fixed(wrong), None), &["moving_average", "[0, 1]"]);
    }
    let (w, packed) = (zeros(&[6]), Tensor::zeros(&device, [4, 2, 6], DType::Bits).unwrap());
    for plan in [Plan::Chunked(0), Plan::Chunked(12)] {
        let scan = Recurrence::average().plan(plan);
        argument(scan.scan(&u, Decay::Fixed(0.5), None), &["average", "multiple of 8"]);
        argument(Wkv::new().plan(plan).scan(&u, &u, &w, &w, None), &["wkv", "multiple of 8"]);
    }
    shape(wkv(&zeros(&[]), &zeros(&[]), &w, &w, None), &["wkv", "time axis"]);
    shape(wkv(&u, &zeros(&[4, 2, 5]), &w, &w, None), &["wkv", "values"]);
    shape(wkv(&u, &u, &zeros(&[5]), &w, None), &["wkv", "w of"]);
    shape(wkv(&u, &u, &w, &zeros(&[2, 3]), None), &["wkv", "u of"]);
    let state = WkvState::empty(&device, &[2, 5]).unwrap();
    shape(wkv(&u, &u, &w, &w, Some(&state)), &["wkv", "state"]);
    shape(WkvState::from_tensor(zeros(&[2, 6]).value().clone()), &["wkv", "[3"]);
    let packed = tape.leaf(&packed);
    assert!(matches!(wkv(&packed, &packed, &w, &w, None), Err(Error::DType { .. })));
    assert!(matches!(u.decay_scan(&packed, None), Err(Error::DType { .. })));
    let foreign = Tape::new().leaf(w.value());
    assert!(matches!(u.decay_scan(&foreign, None), Err(Error::TapeMismatch { .. })));
    assert!(matches!(wkv(&u, &u, &foreign, &w, None), Err(Error::TapeMismatch { .. })));
    let elsewhere = tape.leaf(&Tensor::zeros(&Device::oracle(), [6], DType::F32).unwrap());
    assert!(matches!(u.decay_scan(&elsewhere, None), Err(Error::DeviceMismatch { .. })));
    assert!(matches!(wkv(&u, &u, &elsewhere, &w, None), Err(Error::DeviceMismatch { .. })));
    let state = WkvState::empty(&Device::oracle(), &[2, 6]).unwrap();
    assert!(matches!(wkv(&u, &u, &w, &w, Some(&state)), Err(Error::DeviceMismatch { .. })));
}
