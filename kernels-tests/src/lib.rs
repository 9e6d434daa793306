//! What the conformance tests share: the devices under test, random data, comparisons.

pub mod cases;
pub mod constants;
pub mod export;
pub mod golden;

use spikegrad::elementwise::Activation;
use spikegrad::nn::{Layer, Pass};
use spikegrad::random::Generator;
use spikegrad::{DType, Device, Result, Tensor, Var};
use std::sync::OnceLock;

/// A device under test.
#[derive(Debug)]
pub struct Subject {
    /// What failures call it.
    pub label: String,
    /// The device.
    pub device: Device,
}

/// The devices that every kernel is tested on: the host, and each adapter of the machine with all it
/// offers, likewise with the kernels that hardware gets, and so with the portable baseline. Opened
/// once a process.
///
/// `SPIKEGRAD_TEST_DEVICES=host` leaves the adapters out.
pub fn subjects() -> &'static [Subject] {
    static SUBJECTS: OnceLock<Vec<Subject>> = OnceLock::new();
    SUBJECTS.get_or_init(own_subjects)
}

/// Those devices opened anew, for one test alone: a capture records every launch of its device.
///
/// # Panics
/// If an adapter cannot be opened.
pub fn own_subjects() -> Vec<Subject> {
    constants::note();
    let mut subjects = vec![Subject { label: "host".into(), device: Device::host() }];
    if std::env::var("SPIKEGRAD_TEST_DEVICES").is_ok_and(|v| v == "host") {
        return subjects;
    }
    for adapter in Device::list() {
        let ways =
            [("", false, false), (" (as hardware)", true, false), (" (baseline)", true, true)];
        for (way, as_hardware, baseline) in ways {
            let label = format!("{}{way}", adapter.name);
            let builder = Device::builder().select(&adapter.name);
            match builder.as_hardware(as_hardware).baseline(baseline).open() {
                Ok(device) => subjects.push(Subject { label, device }),
                Err(e) => panic!("{label} cannot be opened: {e}"),
            }
        }
    }
    subjects
}

/// Every activation but the identity.
pub const ACTIVATIONS: [Activation; 9] = [
    Activation::Relu,
    Activation::LeakyRelu(0.1),
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Silu,
    Activation::Softplus,
    Activation::SquaredRelu,
];

/// The oracle: the host in f64.
pub fn oracle() -> &'static Device {
    static ORACLE: OnceLock<Device> = OnceLock::new();
    ORACLE.get_or_init(Device::oracle)
}

/// A small deterministic generator for test data.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    /// The next 32 bits.
    pub fn word(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }

    /// Uniform in [low, high), on a grid that f32 holds exactly.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.word() >> 8) as f32 / (1 << 24) as f32)
    }

    /// `count` values uniform in [low, high).
    pub fn values(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| self.uniform(low, high)).collect()
    }
}

/// Asserts that `found` is within `tolerance` of `expected`, relative to its largest value, and
/// names the worst element if not.
///
/// # Panics
/// If it is not.
pub fn assert_close(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_within(what, found, expected, expected, tolerance);
}

/// Likewise, relative to the largest value of `expected` and `magnitudes`.
fn assert_within(
    what: &str,
    found: &Tensor,
    expected: &Tensor,
    magnitudes: &Tensor,
    tolerance: f64,
) {
    assert_eq!(found.shape(), expected.shape(), "{what}: shapes");
    let [found, expected, magnitudes] = [found, expected, magnitudes]
        .map(|t| t.to_vec::<f64>().unwrap_or_else(|e| panic!("{what}: {e}")));
    let scale = expected.iter().chain(&magnitudes).fold(1e-30, |m: f64, v| m.max(v.abs()));
    let errors = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / scale);
    let worst = errors.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((i, error)) = worst {
        assert!(
            error <= tolerance,
            "{what}: element {i} of {} is {:e}, should be {:e} (relative {error:e} > {tolerance:e})",
            found.len(),
            found[i],
            expected[i]
        );
    }
}

/// Runs `program` on the oracle and on every device under test and compares all tensors it returns:
/// floats within `tolerance` of the largest value of each tensor, words (u32, bits) exactly.
///
/// # Panics
/// If a device disagrees, or the program fails.
pub fn conform(
    what: &str,
    tolerance: f64,
    program: impl Fn(&Device) -> spikegrad::Result<Vec<Tensor>>,
) {
    let run = |label: &str, device: &Device| {
        program(device).unwrap_or_else(|e| panic!("{what} on {label}: {e}"))
    };
    let expected = run("the oracle", oracle());
    for subject in subjects() {
        let found = run(&subject.label, &subject.device);
        assert_agree(&format!("{what} on {}", subject.label), &found, &expected, tolerance);
    }
}

/// Likewise for a program of floats that adds up terms which may cancel: within `tolerance` of the
/// largest value that the oracle finds for it or for `magnitudes`, the same program over the magnitudes
/// of the terms.
///
/// # Panics
/// If a device disagrees, or a program fails.
pub fn conform_sums(
    what: &str,
    tolerance: f64,
    magnitudes: impl Fn(&Device) -> spikegrad::Result<Vec<Tensor>>,
    program: impl Fn(&Device) -> spikegrad::Result<Vec<Tensor>>,
) {
    let run = |label: &str, outcome: spikegrad::Result<Vec<Tensor>>| {
        outcome.unwrap_or_else(|e| panic!("{what} on {label}: {e}"))
    };
    let expected = run("the oracle", program(oracle()));
    let scales = run("the oracle", magnitudes(oracle()));
    for Subject { label, device } in subjects() {
        let found = run(label, program(device));
        assert_eq!((found.len(), scales.len()), (expected.len(), expected.len()), "{what}");
        for (i, found) in found.iter().enumerate() {
            let what = format!("{what} on {label}, output {i}");
            assert_within(&what, found, &expected[i], &scales[i], tolerance);
        }
    }
}

/// Asserts that tensors agree: floats within `tolerance` of the largest value of each tensor, words
/// (u32, bits) exactly.
///
/// # Panics
/// If they do not.
pub fn assert_agree(what: &str, found: &[Tensor], expected: &[Tensor], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let what = format!("{what}, output {i}");
        match found.dtype() {
            DType::F32 | DType::F16 => assert_close(&what, found, expected, tolerance),
            DType::U32 => {
                let [found, expected] = [found, expected].map(|t| t.to_vec::<u32>().unwrap());
                assert_eq!(found, expected, "{what}");
            }
            DType::Bits => {
                assert_eq!(found.to_bools().unwrap(), expected.to_bools().unwrap(), "{what}");
            }
        }
    }
}

/// A scalar whose backward gives each variable its seed: for programs with several outputs.
///
/// # Errors
/// Those of [`spikegrad::Tape::record`].
pub fn seeded(outputs: &[(&Var, Tensor)]) -> spikegrad::Result<Var> {
    let vars: Vec<&Var> = outputs.iter().map(|(var, _)| *var).collect();
    let seeds: Vec<Tensor> = outputs.iter().map(|(_, seed)| seed.clone()).collect();
    let Some(first) = vars.first() else {
        return Err(spikegrad::Error::argument("seeded", "no outputs"));
    };
    let scalar = Tensor::zeros(first.device(), [1], DType::F32)?;
    first.tape().record_one("seeded", &vars, scalar, move |bw| {
        for (i, seed) in seeds.into_iter().enumerate() {
            bw.give(i, seed);
        }
        Ok(())
    })
}

/// What a layer makes of `x`, in training or not.
///
/// # Errors
/// The layer's.
pub fn forward(layer: &dyn Layer, x: &Var, training: bool) -> Result<Var> {
    if !training {
        return layer.forward(x, &mut Pass::new(x.tape()));
    }
    let mut random = Generator::new(x.device(), 0)?;
    layer.forward(x, &mut Pass::training(x.tape(), &mut random))
}
