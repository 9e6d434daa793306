//! Bad arguments, and what calls functions with them.

use half::f16;
use kernels_tests::Random;
use spikegrad::{DType, Device, Shape, Tape, Tensor, Var};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Instant;

/// Draws arguments. Most are sound on their own, so that the odd one meets sound others.
pub struct Bad {
    random: Random,
    pub device: Device,
    tape: Tape,
    other: Tape,
    tensors: Vec<Tensor>,
    foreign: Vec<Tensor>,
}

const SIZES: &[usize] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    12,
    16,
    31,
    32,
    33,
    64,
    100,
    1000,
    65_535,
    65_536,
    1 << 20,
    1 << 24,
    1 << 31,
    u32::MAX as usize,
    1 << 32,
    1 << 40,
    1 << 62,
    usize::MAX / 2,
    usize::MAX / 2 + 1,
    usize::MAX - 1,
    usize::MAX,
];

const REALS: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    0.9,
    2.0,
    1e-3,
    -1e-3,
    1e-45,
    1e-60,
    1e-300,
    1e30,
    -1e30,
    1e39,
    1e300,
    f64::MAX,
    f64::MIN_POSITIVE,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

impl Bad {
    fn new(device: &Device) -> Self {
        let oracle = Device::oracle();
        let foreign = vec![
            Tensor::zeros(&oracle, [2, 3], DType::F32).unwrap(),
            Tensor::zeros(&oracle, [3], DType::U32).unwrap(),
        ];
        Self {
            random: Random::new(1),
            device: device.clone(),
            tape: Tape::new(),
            other: Tape::new(),
            tensors: pool(device),
            foreign,
        }
    }

    fn restart(&mut self, seed: u64) {
        self.random = Random::new(seed);
        self.tape = if self.one_in(8) { Tape::off() } else { Tape::new() };
        self.other = Tape::new();
    }

    pub fn index(&mut self, count: usize) -> usize {
        self.random.word() as usize % count.max(1)
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.index(count) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }

    pub fn on(&mut self) -> bool {
        self.one_in(2)
    }

    /// A count, an extent, a number of steps.
    pub fn size(&mut self) -> usize {
        if self.one_in(3) { self.pick(SIZES) } else { self.index(6) }
    }

    pub fn small(&mut self) -> usize {
        self.index(6)
    }

    pub fn long(&mut self) -> u64 {
        self.size() as u64
    }

    pub fn axis(&mut self) -> usize {
        if self.one_in(8) { self.size() } else { self.index(4) }
    }

    pub fn axes(&mut self) -> Vec<usize> {
        (0..self.index(4)).map(|_| self.axis()).collect()
    }

    pub fn sizes(&mut self) -> Vec<usize> {
        let count = if self.one_in(16) { 9 } else { self.index(5) };
        (0..count).map(|_| self.size()).collect()
    }

    pub fn double(&mut self) -> f64 {
        self.pick(REALS)
    }

    pub fn real(&mut self) -> f32 {
        self.double() as f32
    }

    pub fn dtype(&mut self) -> DType {
        self.pick(&[DType::F32, DType::F32, DType::F16, DType::U32, DType::Bits])
    }

    pub fn shape(&mut self) -> Shape {
        let dims = self.sizes();
        Shape::new(&dims).unwrap_or_else(|_| *self.tensor().shape())
    }

    pub fn range(&mut self) -> std::ops::Range<usize> {
        self.size()..self.size()
    }

    /// Any tensor.
    pub fn tensor(&mut self) -> Tensor {
        if self.one_in(24) {
            self.pick(&self.foreign.clone())
        } else {
            self.pick(&self.tensors.clone())
        }
    }

    /// A tensor of floats of a few shapes that fit each other.
    pub fn float(&mut self, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        if count > 1 << 14 || self.one_in(6) {
            return self.tensor();
        }
        let values: Vec<f32> = (0..count).map(|i| (i % 7) as f32 * 0.25 - 0.5).collect();
        Tensor::from_slice(&self.device, &values, shape).unwrap_or_else(|_| self.tensor())
    }

    /// Words of a few shapes that fit, out of range at times.
    pub fn words(&mut self, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        if count > 1 << 14 || self.one_in(6) {
            return self.tensor();
        }
        let values: Vec<u32> = (0..count).map(|_| self.word()).collect();
        Tensor::from_slice(&self.device, &values, shape).unwrap_or_else(|_| self.tensor())
    }

    pub fn word(&mut self) -> u32 {
        if self.one_in(6) {
            self.pick(&[u32::MAX, 1 << 31, 1 << 20, 100])
        } else {
            self.index(3) as u32
        }
    }

    pub fn spikes(&mut self, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        if count > 1 << 14 || self.one_in(6) {
            return self.tensor();
        }
        let values: Vec<bool> = (0..count).map(|i| i % 3 == 0).collect();
        Tensor::from_bools(&self.device, &values, shape).unwrap_or_else(|_| self.tensor())
    }

    pub fn tape(&mut self) -> Tape {
        if self.one_in(24) { self.other.clone() } else { self.tape.clone() }
    }

    fn on_tape(&mut self, tensor: &Tensor) -> Var {
        let tape = self.tape();
        if self.one_in(4) { tape.constant(tensor) } else { tape.leaf(tensor) }
    }

    /// Any variable.
    pub fn any(&mut self) -> Var {
        let tensor = self.tensor();
        self.on_tape(&tensor)
    }

    /// A variable of this shape, mostly.
    pub fn var(&mut self, shape: &[usize]) -> Var {
        let tensor = self.float(shape);
        self.on_tape(&tensor)
    }

    pub fn var_of_spikes(&mut self, shape: &[usize]) -> Var {
        let tensor = self.spikes(shape);
        self.on_tape(&tensor)
    }

    pub fn text(&mut self) -> String {
        self.pick(&["", "w", "a.b", "__metadata__", "\u{0}", "\u{1F980}", "x/y", "..", "\n", "9"])
            .into()
    }
}

/// Tensors of every type, and of shapes at the edges.
fn pool(device: &Device) -> Vec<Tensor> {
    let shapes: &[&[usize]] = &[
        &[],
        &[0],
        &[1],
        &[3],
        &[4],
        &[32],
        &[2, 3],
        &[3, 2],
        &[3, 3],
        &[1, 1],
        &[0, 3],
        &[3, 0],
        &[4, 2, 3],
        &[2, 0, 3],
        &[1, 1, 1],
        &[33, 2, 4],
        &[2, 2, 2, 2],
        &[1; 8],
        &[2, 1, 2, 1, 2, 1, 2, 1],
    ];
    let mut tensors = Vec::new();
    for shape in shapes {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| i as f32 * 0.5 - 1.0).collect();
        let halves: Vec<f16> = values.iter().map(|v| f16::from_f32(*v)).collect();
        let words: Vec<u32> = (0..count as u32).map(|i| i % 3).collect();
        tensors.push(Tensor::from_slice(device, &values, *shape).unwrap());
        tensors.push(Tensor::from_slice(device, &values, *shape).unwrap());
        tensors.push(Tensor::from_slice(device, &halves, *shape).unwrap());
        tensors.push(Tensor::from_slice(device, &words, *shape).unwrap());
        tensors.push(Tensor::zeros(device, *shape, DType::Bits).unwrap());
    }
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40] {
        tensors.push(Tensor::from_slice(device, &[value; 6], [2, 3]).unwrap());
    }
    // Large words as f32 bits, counts and classes.
    tensors.push(Tensor::from_slice(device, &[u32::MAX; 3], [3]).unwrap());
    tensors
}

thread_local! {
    /// What the last panic said, with its place.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Panics within trials are noted and not printed.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|quiet| *quiet) {
                SAID.with_borrow_mut(|said| *said = info.to_string());
            } else {
                usual(info);
            }
        }));
    });
}

/// Calls of one family of functions.
pub struct Trials {
    subjects: Vec<(String, Bad)>,
    failures: Vec<String>,
    rounds: u64,
}

impl Trials {
    /// On the host, and with fewer rounds on the first adapter.
    pub fn new(rounds: u64) -> Self {
        note_panics();
        let host_only = std::env::var("SPIKEGRAD_TEST_DEVICES").is_ok_and(|v| v == "host");
        let mut names = vec!["host".to_string()];
        names.extend(Device::list().into_iter().take(usize::from(!host_only)).map(|a| a.name));
        let open = |name: String| {
            let device = Device::builder().select(&name).memory_limit(1 << 20).open().unwrap();
            let bad = Bad::new(&device);
            (name, bad)
        };
        let subjects = names.into_iter().map(open).collect();
        Self { subjects, failures: Vec::new(), rounds }
    }

    /// Calls `function` again and again.
    pub fn on<T>(&mut self, name: &str, mut function: impl FnMut(&mut Bad) -> T) {
        if std::env::var("SPIKEGRAD_TRACE").is_ok() {
            eprintln!("{name}");
        }
        for (label, bad) in &mut self.subjects {
            let rounds = if label == "host" { self.rounds } else { self.rounds / 8 };
            let mut seen = Vec::new();
            for seed in 0..rounds {
                bad.restart(seed * 7919 + 13);
                let start = Instant::now();
                QUIET.set(true);
                let outcome = catch_unwind(AssertUnwindSafe(|| drop(function(bad))));
                QUIET.set(false);
                if outcome.is_err() {
                    let said = SAID.take();
                    let place = said.lines().next().unwrap_or_default().to_string();
                    if !seen.contains(&place) {
                        let said = said.replace('\n', " ");
                        self.failures.push(format!("{name} on {label}, round {seed}: {said}"));
                        seen.push(place);
                    }
                }
                let seconds = start.elapsed().as_secs_f64();
                if seconds > 20.0 {
                    self.failures.push(format!("{name} on {label}, round {seed}: {seconds} s"));
                }
            }
        }
    }

    /// Fails if a call did.
    pub fn done(self) {
        assert!(self.failures.is_empty(), "\n{}\n", self.failures.join("\n"));
    }
}
