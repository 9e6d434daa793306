//! Conformance of the `attention` family.

use kernels_tests::{Random, conform, oracle, subjects};
use proptest::prelude::*;
use spikegrad::attention::{Gate, SpikeAttention};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor};

/// Which gate the queries have.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Queries {
    /// That of the keys.
    Same,
    /// None.
    All,
    /// One of their own, a head each or not.
    Own(bool),
}

/// One call with everything that goes in.
#[derive(Debug, Clone)]
struct Case {
    steps: usize,
    batch: usize,
    heads: usize,
    /// Channels of a head.
    width: usize,
    window: usize,
    anchors: usize,
    rotary: bool,
    /// The share of open positions.
    density: f32,
    /// A key gate for each head.
    by_head: bool,
    queries: Queries,
    seed: u64,
    /// What silent rows of q, k, v and the upstream gradient hold.
    silent: Option<f32>,
}

const BASE: Case = Case {
    steps: 23,
    batch: 2,
    heads: 2,
    width: 6,
    window: 5,
    anchors: 2,
    rotary: true,
    density: 0.6,
    by_head: false,
    queries: Queries::Same,
    seed: 1,
    silent: None,
};

/// Output and gradients of q, k, v: `[S, B, H d]` each.
type Outcome = [Vec<f64>; 4];

impl Case {
    fn operator(&self) -> SpikeAttention {
        let operator = SpikeAttention::new(self.heads).window(self.window).anchors(self.anchors);
        operator.rotary(self.rotary.then_some(10_000.0))
    }

    fn columns(&self) -> usize {
        self.heads * self.width
    }

    /// A gate `[S, B, heads or 1]`.
    fn gate(&self, stream: u64, by_head: bool) -> Vec<u32> {
        let groups = if by_head { self.heads } else { 1 };
        let mut random = Random::new(self.seed * 64 + stream);
        let count = self.steps * self.batch * groups;
        (0..count).map(|_| u32::from(random.uniform(0.0, 1.0) < self.density)).collect()
    }

    fn key_gate(&self) -> (Vec<u32>, bool) {
        (self.gate(10, self.by_head), self.by_head)
    }

    fn query_gate(&self) -> Option<(Vec<u32>, bool)> {
        match self.queries {
            Queries::Same => Some(self.key_gate()),
            Queries::All => None,
            Queries::Own(by_head) => Some((self.gate(11, by_head), by_head)),
        }
    }

    /// Whether position s of head h of batch row b is open.
    fn is_open(&self, gate: &Option<(Vec<u32>, bool)>, [s, b, h]: [usize; 3]) -> bool {
        match gate {
            None => true,
            Some((gate, true)) => gate[(s * self.batch + b) * self.heads + h] != 0,
            Some((gate, false)) => gate[s * self.batch + b] != 0,
        }
    }

    /// q, k, v and the upstream gradient.
    fn inputs(&self) -> [Vec<f32>; 4] {
        let count = self.steps * self.batch * self.columns();
        let (keys, queries) = (Some(self.key_gate()), self.query_gate());
        std::array::from_fn(|which| {
            let mut random = Random::new(self.seed * 64 + which as u64);
            let mut values = random.values(count, -1.5, 1.5);
            let gate = if matches!(which, 1 | 2) { &keys } else { &queries };
            for (i, value) in values.iter_mut().enumerate() {
                let row = i / self.columns();
                let at = [row / self.batch, row % self.batch, i % self.columns() / self.width];
                if let Some(silent) = self.silent
                    && !self.is_open(gate, at)
                {
                    *value = silent;
                }
            }
            values
        })
    }

    fn gate_tensor(&self, device: &Device, gate: &(Vec<u32>, bool)) -> Result<Tensor> {
        let (values, by_head) = gate;
        let shape = [self.steps, self.batch, self.heads];
        let shape = if *by_head { &shape[..] } else { &shape[..2] };
        // Every other case has gates of floats.
        if self.seed.is_multiple_of(2) {
            let reals: Vec<f32> = values.iter().map(|g| -0.5 * *g as f32).collect();
            return Tensor::from_slice(device, &reals, shape);
        }
        Tensor::from_slice(device, values, shape)
    }

    fn run(&self, device: &Device) -> Result<Outcome> {
        let tape = Tape::new();
        let shape = [self.steps, self.batch, self.columns()];
        let [q, k, v, go] = self.inputs();
        let tensor = |values: &[f32]| Tensor::from_slice(device, values, shape);
        let (q, k, v) = (tape.leaf(&tensor(&q)?), tape.leaf(&tensor(&k)?), tape.leaf(&tensor(&v)?));
        let keys = self.gate_tensor(device, &self.key_gate())?;
        let own = match (self.queries, self.query_gate()) {
            (Queries::Own(_), Some(gate)) => Some(self.gate_tensor(device, &gate)?),
            _ => None,
        };
        let queries = match self.queries {
            Queries::Same => Some(&keys),
            _ => own.as_ref(),
        };
        let o = self.operator().attend_gated(&q, &k, &v, &keys, queries)?;
        let gradients = o.backward_from(&tensor(&go)?)?;
        let read = |var| gradients.get(var).expect("a gradient").to_vec::<f64>();
        Ok([o.value().to_vec()?, read(&q)?, read(&k)?, read(&v)?])
    }

    /// The same by the book: every pair, with a mask.
    fn dense(&self) -> Outcome {
        let [mut q, mut k, v, go] =
            self.inputs().map(|x| x.into_iter().map(f64::from).collect::<Vec<f64>>());
        if self.rotary {
            self.turn(&mut q, 1.0);
            self.turn(&mut k, 1.0);
        }
        let mut out: Outcome = std::array::from_fn(|_| vec![0.0; q.len()]);
        for b in 0..self.batch {
            for h in 0..self.heads {
                self.dense_head(b, h, [&q, &k, &v, &go], &mut out);
            }
        }
        if self.rotary {
            self.turn(&mut out[1], -1.0);
            self.turn(&mut out[2], -1.0);
        }
        out
    }

    fn dense_head(&self, b: usize, h: usize, [q, k, v, go]: [&[f64]; 4], out: &mut Outcome) {
        let (keys, queries) = (Some(self.key_gate()), self.query_gate());
        // As it is passed to the kernels.
        let scale = f64::from((self.width as f32).sqrt().recip());
        let at = |s: usize, c: usize| (s * self.batch + b) * self.columns() + h * self.width + c;
        let dot = |x: &[f64], i: usize, y: &[f64], j: usize| -> f64 {
            (0..self.width).map(|c| x[at(i, c)] * y[at(j, c)]).sum()
        };
        for i in 0..self.steps {
            if !self.is_open(&queries, [i, b, h]) {
                continue;
            }
            let seen: Vec<usize> = (0..=i)
                .filter(|j| i - j <= self.window || *j < self.anchors)
                .filter(|j| self.is_open(&keys, [*j, b, h]))
                .collect();
            let weights: Vec<f64> = seen.iter().map(|j| (scale * dot(q, i, k, *j)).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let weights: Vec<f64> = weights.iter().map(|w| w / sum).collect();
            let above: Vec<f64> = seen.iter().map(|j| dot(go, i, v, *j)).collect();
            let mean: f64 = weights.iter().zip(&above).map(|(w, a)| w * a).sum();
            for ((j, w), a) in seen.iter().zip(&weights).zip(&above) {
                let ds = w * (a - mean) * scale;
                for c in 0..self.width {
                    out[0][at(i, c)] += w * v[at(*j, c)];
                    out[1][at(i, c)] += ds * k[at(*j, c)];
                    out[2][at(*j, c)] += ds * q[at(i, c)];
                    out[3][at(*j, c)] += w * go[at(i, c)];
                }
            }
        }
    }

    /// Turns the pairs of channels of every row by its position.
    fn turn(&self, x: &mut [f64], sign: f64) {
        let half = self.width / 2;
        for (row, x) in x.chunks_exact_mut(self.width).enumerate() {
            let s = row / self.heads / self.batch;
            for c in 0..half {
                let angle = s as f64 * 10_000f64.powf(-2.0 * c as f64 / self.width as f64);
                let (sin, cos) = (sign * angle).sin_cos();
                let (a, b) = (x[c], x[c + half]);
                (x[c], x[c + half]) = (a * cos - b * sin, b * cos + a * sin);
            }
        }
    }

    /// Compares the oracle with the reference, and every device with both.
    fn conform(&self) {
        let expected = self.dense();
        check(
            &format!("{self:?} on the oracle"),
            &self.run(oracle()).unwrap(),
            &expected,
            [1e-12; 2],
        );
        for subject in subjects() {
            let what = format!("{self:?} on {}", subject.label);
            let found = self.run(&subject.device).unwrap_or_else(|e| panic!("{what}: {e}"));
            check(&what, &found, &expected, [1e-5, 1e-4]);
        }
    }
}

/// Within `tolerance` of the largest output, and of the largest of all gradients: one that is zero is
/// a difference of numbers of their size.
fn check(what: &str, found: &Outcome, expected: &Outcome, [output, gradient]: [f64; 2]) {
    let largest = |x: &[Vec<f64>]| x.iter().flatten().fold(1e-30, |m: f64, x| m.max(x.abs()));
    let scales = [largest(&expected[..1]), largest(&expected[1..])];
    for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
        let (name, allowed) = match n {
            0 => ("output", output * scales[0]),
            _ => (["gq", "gk", "gv"][n - 1], gradient * scales[1]),
        };
        for (i, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= allowed, "{what}: {name}[{i}] is {a:e}, should be {b:e}");
        }
    }
}

#[test]
fn shapes_at_the_edges() {
    let base = BASE;
    let cases = [
        // One position; an even smaller head; no window; no anchors; both.
        Case { steps: 1, batch: 1, heads: 1, width: 2, density: 1.0, ..base.clone() },
        Case { steps: 7, batch: 1, heads: 3, width: 1, rotary: false, ..base.clone() },
        Case { window: 0, ..base.clone() },
        Case { anchors: 0, ..base.clone() },
        Case { window: 0, anchors: 0, ..base.clone() },
        // More of them than positions.
        Case { anchors: 40, ..base.clone() },
        Case { window: 23, anchors: 0, ..base.clone() },
        Case { window: usize::MAX >> 32, anchors: usize::MAX >> 32, ..base.clone() },
        // Nothing open, everything open.
        Case { density: 0.0, ..base.clone() },
        Case { density: 1.0, ..base.clone() },
        // Heads that are no whole vectors, and wide ones.
        Case { width: 7, rotary: false, ..base.clone() },
        Case { width: 64, steps: 70, window: 33, density: 0.8, ..base.clone() },
        Case { width: 72, heads: 1, steps: 41, density: 0.9, ..base.clone() },
        // Wider than what a workgroup sums in registers; tiles that are full and not.
        Case { width: 129, rotary: false, heads: 1, steps: 65, window: 64, ..base.clone() },
        Case { width: 260, batch: 1, steps: 33, density: 1.0, ..base.clone() },
        Case { steps: 32, window: 31, anchors: 0, density: 1.0, ..base.clone() },
        Case { steps: 97, window: 1, anchors: 33, density: 1.0, ..base.clone() },
    ];
    cases.iter().for_each(Case::conform);
}

#[test]
fn gates_of_every_kind() {
    for (by_head, queries) in [
        (true, Queries::Same),
        (true, Queries::All),
        (false, Queries::All),
        (false, Queries::Own(true)),
        (true, Queries::Own(false)),
        (true, Queries::Own(true)),
    ] {
        for (density, seed) in [(0.15, 3), (0.5, 4)] {
            let case = Case { by_head, queries, density, seed, heads: 3, width: 4, ..BASE };
            case.conform();
        }
    }
}

/// Anchors that so many queries see that their gradients are summed in segments.
#[test]
fn long_columns_of_anchors() {
    for (steps, window, anchors, density, queries) in [
        (700, 16, 3, 0.5, Queries::Same),
        (331, 0, 5, 0.9, Queries::All),
        (1300, 200, 4, 0.2, Queries::Own(true)),
        (600, 3, 4, 0.0, Queries::All),
    ] {
        let case = Case { steps, window, anchors, density, queries, width: 8, batch: 1, ..BASE };
        case.conform();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn random_calls(
        steps in 1usize..90, batch in 1usize..4, heads in 1usize..4, half in 1usize..12,
        window in 0usize..40, anchors in 0usize..6, density in 0.0f32..1.0, rotary: bool,
        by_head: bool, own in 0usize..4, seed in 0u64..1000,
    ) {
        let queries = [Queries::Same, Queries::All, Queries::Own(true), Queries::Own(false)][own];
        let width = if rotary { 2 * half } else { half };
        let case = Case {
            steps, batch, heads, width, window, anchors, density, rotary, by_head, queries, seed,
            silent: None,
        };
        case.conform();
    }
}

/// Silent rows are not read: whatever they hold, the outcome is the same to the last bit.
#[test]
fn silent_rows_are_not_read() {
    for queries in [Queries::Same, Queries::Own(true), Queries::All] {
        let filled = |silent| Case { silent: Some(silent), queries, anchors: 4, ..BASE };
        for subject in subjects() {
            let expected = filled(0.0).run(&subject.device).unwrap();
            let found = filled(f32::NAN).run(&subject.device).unwrap();
            assert_eq!(found, expected, "{queries:?} on {}", subject.label);
        }
    }
    let (keys, out) = (Some(BASE.key_gate()), BASE.run(oracle()).unwrap());
    for (i, rows) in out[0].chunks_exact(BASE.columns()).enumerate() {
        let open = BASE.is_open(&keys, [i / BASE.batch, i % BASE.batch, 0]);
        assert_eq!(rows.iter().any(|x| *x != 0.0), open, "row {i}");
    }
}

/// Extreme scores: the running maximum keeps exponentials in range.
#[test]
fn large_scores_stay_numbers() {
    let shape = [40, 1, 4];
    let values = Random::new(5).values(160, -1.0, 1.0);
    conform("large scores", 1e-4, |device| {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &values, shape)?);
        let spikes = spikegrad::elementwise::full(device, shape, 1.0)?;
        let attention = SpikeAttention::new(1).window(12).scale(Some(300.0));
        let y = attention.attend(&x, &x, &x, &spikes)?;
        assert!(y.value().to_vec::<f32>()?.iter().all(|y| y.is_finite()));
        Ok(vec![y.value().clone()])
    });
}

#[test]
fn gates_count_spikes() {
    for [steps, batch, channels] in [[1, 1, 1], [31, 3, 12], [33, 2, 6], [70, 1, 96]] {
        let mut random = Random::new(steps as u64);
        let count = steps * batch * channels;
        let spikes: Vec<bool> = (0..count).map(|_| random.word().is_multiple_of(12)).collect();
        let reals: Vec<f32> = spikes.iter().map(|s| f32::from(u8::from(*s))).collect();
        let heads = if channels == 1 { 1 } else { 3 };
        let operator = SpikeAttention::new(heads);
        for (gate, groups, least) in [
            (Gate::Position, 1, 1),
            (Gate::Head, heads, 1),
            (Gate::AtLeast(0), 1, 0),
            (Gate::AtLeast(2), 1, 2),
            (Gate::AtLeast(5), 1, 5),
        ] {
            let rows = spikes.chunks_exact(channels / groups);
            let expected: Vec<u32> =
                rows.map(|row| u32::from(row.iter().filter(|s| **s).count() >= least)).collect();
            let operator = operator.clone().gate(gate);
            for subject in subjects() {
                let shape = [steps, batch, channels];
                let packed = Tensor::from_bools(&subject.device, &spikes, shape).unwrap();
                let dense = Tensor::from_slice(&subject.device, &reals, shape).unwrap();
                for spikes in [packed, dense] {
                    let found = operator.gates(&spikes).unwrap();
                    let rank = if gate == Gate::Head { 3 } else { 2 };
                    assert_eq!(found.shape().rank(), rank);
                    let what = format!("{gate:?}, {} on {}", spikes.dtype(), subject.label);
                    assert_eq!(found.to_vec::<u32>().unwrap(), expected, "{what}");
                }
            }
        }
    }
}

/// `attend` is `attend_gated` with the gates of the spikes.
#[test]
fn spikes_become_gates() {
    let (shape, channels) = ([21, 2, 8], 6);
    let values = Random::new(7).values(21 * 2 * 8, -1.0, 1.0);
    let mut random = Random::new(8);
    let count = 21 * 2 * channels;
    let spikes: Vec<bool> = (0..count).map(|_| random.word().is_multiple_of(9)).collect();
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let x = tape.constant(&Tensor::from_slice(device, &values, shape).unwrap());
        let spikes = Tensor::from_bools(device, &spikes, [21, 2, channels]).unwrap();
        for (gate, both) in [(Gate::Position, true), (Gate::Head, true), (Gate::AtLeast(2), false)]
        {
            let operator = SpikeAttention::new(2).window(6).gate(gate).query_gate(both);
            let found = operator.attend(&x, &x, &x, &spikes).unwrap();
            let gate = operator.gates(&spikes).unwrap();
            let queries = both.then_some(&gate);
            let expected = operator.attend_gated(&x, &x, &x, &gate, queries).unwrap();
            let read = |y: &spikegrad::Var| y.value().to_vec::<f32>().unwrap();
            assert_eq!(read(&found), read(&expected), "{}", subject.label);
        }
    }
}

#[test]
fn backward_is_the_gradient_of_differences() {
    let mut random = Random::new(11);
    let mut draw = |count: usize| -> Vec<f64> {
        random.values(count, -1.2, 1.2).into_iter().map(f64::from).collect()
    };
    let shape = [9usize, 2, 8];
    let inputs: [(Vec<f64>, &[usize]); 3] =
        [(draw(144), &shape), (draw(144), &shape), (draw(144), &shape)];
    let keys = [1u32, 1, 0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1];
    for (window, anchors, rotary, gated) in
        [(3, 2, true, true), (0, 0, false, false), (8, 0, true, false), (2, 9, false, true)]
    {
        let rotary = rotary.then_some(100.0);
        let operator = SpikeAttention::new(2).window(window).anchors(anchors).rotary(rotary);
        let check = gradient_check(&inputs, 1e-5, |v| {
            let gate = Tensor::from_slice(v[0].device(), &keys, [9, 2])?;
            let queries = gated.then_some(&gate);
            Ok(vec![operator.attend_gated(&v[0], &v[1], &v[2], &gate, queries)?])
        });
        let check = check.unwrap();
        assert!(check.error < 1e-7, "window {window}, {anchors} anchors: {check:?}");
    }
}

/// What has no gradient costs no gradient; the others are the same.
#[test]
fn only_wanted_gradients() {
    let case = BASE;
    let shape = [case.steps, case.batch, case.columns()];
    let inputs = case.inputs();
    for subject in subjects() {
        let device = &subject.device;
        let all = case.run(device).unwrap();
        for wanted in 0..3 {
            let tape = Tape::new();
            let mut vars = Vec::new();
            for (i, x) in inputs[..3].iter().enumerate() {
                let x = Tensor::from_slice(device, x, shape).unwrap();
                vars.push(if i == wanted { tape.leaf(&x) } else { tape.constant(&x) });
            }
            let gate = case.gate_tensor(device, &case.key_gate()).unwrap();
            let operator = case.operator();
            let o =
                operator.attend_gated(&vars[0], &vars[1], &vars[2], &gate, Some(&gate)).unwrap();
            let go = Tensor::from_slice(device, &inputs[3], shape).unwrap();
            let gradients = o.backward_from(&go).unwrap();
            let found = gradients.get(&vars[wanted]).unwrap().to_vec::<f64>().unwrap();
            assert_eq!(found, all[wanted + 1], "input {wanted} on {}", subject.label);
        }
    }
}

#[test]
fn the_same_bits_every_run() {
    let case = Case { steps: 400, window: 20, anchors: 3, batch: 3, width: 16, ..BASE };
    for subject in subjects() {
        let [a, b] = [(); 2].map(|()| case.run(&subject.device).unwrap());
        let bits = |x: &Outcome| x.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&a), bits(&b), "{}", subject.label);
    }
}

/// One position: the output is the value where it is open.
#[test]
fn more_workgroups_than_one_axis_holds() {
    let batch = 70_000;
    let gate: Vec<u32> = (0..batch as u32).map(|b| u32::from(b % 3 != 0)).collect();
    for subject in subjects() {
        let device = &subject.device;
        // A workgroup a head there, of 64 invocations that meet at barriers.
        let heads = if device.capabilities().software { 20 } else { 1 };
        let values = Random::new(2).values(batch * heads, -1.0, 1.0);
        let expected: Vec<f32> =
            values.iter().enumerate().map(|(i, v)| *v * gate[i / heads] as f32).collect();
        let tape = Tape::off();
        let v = tape.constant(&Tensor::from_slice(device, &values, [1, batch, heads]).unwrap());
        let gate = Tensor::from_slice(device, &gate, [1, batch]).unwrap();
        let operator = SpikeAttention::new(heads).rotary(None);
        let o = operator.attend_gated(&v, &v, &v, &gate, Some(&gate)).unwrap();
        assert!(o.value().to_vec::<f32>().unwrap() == expected, "{}", subject.label);
    }
}

#[test]
fn nothing_in_nothing_out() {
    let device = Device::host();
    let tape = Tape::new();
    for shape in [[0, 2, 4], [3, 0, 4], [3, 2, 0]] {
        let x = tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
        let spikes = Tensor::zeros(&device, [shape[0], shape[1], 2], DType::F32).unwrap();
        let y = SpikeAttention::new(2).attend(&x, &x, &x, &spikes).unwrap();
        assert_eq!(y.shape(), x.shape());
    }
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::host();
    let tape = Tape::new();
    let var = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
    let gate = |shape: &[usize]| Tensor::zeros(&device, shape, DType::U32).unwrap();
    let x = var(&[5, 2, 12]);
    let ok = gate(&[5, 2]);
    let attend = |operator: SpikeAttention, gate: &Tensor| {
        operator.attend_gated(&x, &x, &x, gate, Some(gate)).map(drop)
    };
    let base = SpikeAttention::new(2);
    attend(base.clone(), &ok).unwrap();
    // Heads: none, no divisor, an odd width with rotary embedding (and without).
    assert!(matches!(attend(SpikeAttention::new(0), &ok), Err(Error::Argument { .. })));
    assert!(matches!(attend(SpikeAttention::new(5), &ok), Err(Error::Shape { .. })));
    assert!(matches!(attend(SpikeAttention::new(4), &ok), Err(Error::Argument { .. })));
    attend(SpikeAttention::new(4).rotary(None), &ok).unwrap();
    // Options outside their domains.
    for operator in [
        base.clone().window(1 << 32),
        base.clone().anchors(usize::MAX),
        base.clone().rotary(Some(0.0)),
        base.clone().rotary(Some(f64::NAN)),
        base.clone().scale(Some(f32::INFINITY)),
    ] {
        assert!(matches!(attend(operator, &ok), Err(Error::Argument { .. })));
    }
    // Gates.
    for shape in [&[5, 3][..], &[4, 2], &[5, 2, 3], &[5], &[5, 2, 2, 1], &[2, 5]] {
        assert!(
            matches!(attend(base.clone(), &gate(shape)), Err(Error::Shape { .. })),
            "{shape:?}"
        );
    }
    attend(base.clone(), &gate(&[5, 2, 2])).unwrap();
    let bits = Tensor::zeros(&device, [5, 2], DType::Bits).unwrap();
    assert!(matches!(attend(base.clone(), &bits), Err(Error::DType { .. })));
    let elsewhere = Tensor::zeros(oracle(), [5, 2], DType::U32).unwrap();
    assert!(matches!(attend(base.clone(), &elsewhere), Err(Error::DeviceMismatch { .. })));
    // Queries, keys, values.
    let mixed = |k: &spikegrad::Var| base.attend_gated(&x, k, &x, &ok, None).map(drop);
    assert!(matches!(mixed(&var(&[5, 2, 6])), Err(Error::Shape { .. })));
    assert!(matches!(mixed(&tape.constant(&gate(&[5, 2, 12]))), Err(Error::DType { .. })));
    let flat = var(&[10, 12]);
    assert!(base.attend_gated(&flat, &flat, &flat, &ok, None).is_err());
    let other = Tape::new().leaf(x.value());
    assert!(matches!(mixed(&other), Err(Error::TapeMismatch { .. })));
    // Spikes.
    assert!(matches!(base.gates(&gate(&[5, 2, 4])), Err(Error::DType { .. })));
    let by_head = base.clone().gate(Gate::Head);
    assert!(matches!(by_head.gates(var(&[5, 2, 3]).value()), Err(Error::Shape { .. })));
    assert!(matches!(base.gates(var(&[5, 2]).value()), Err(Error::Shape { .. })));
}

/// Nothing is turned: what stands in for the table of angles may be shorter than one of its pairs.
#[test]
fn one_value_without_rotary_embedding() {
    conform("one value", 1e-6, |device| {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::from_slice(device, &[0.5f32], [1, 1, 1])?);
        let spikes = Tensor::from_bools(device, &[true], [1, 1, 1])?;
        let y = SpikeAttention::new(1).rotary(None).attend(&x, &x, &x, &spikes)?;
        let gradients = y.sum_all()?.backward()?;
        let gx = gradients.get(&x).cloned();
        Ok(std::iter::once(y.value().clone()).chain(gx).collect())
    });
}
