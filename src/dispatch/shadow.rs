//! The shadow check: every launch is also computed by its twin in f64, and compared.

use super::stream::{run_twin, take_arrays, with_arrays};
use super::{Backend, Launch, Memory, Stream};
use crate::error::{Error, Result};
use crate::gpu::{Access, Context};
use crate::host::{Array, Held, In, Precision};
use crate::kernel::Program;
use std::sync::Arc;
use std::time::Instant;

/// The first element in which a device and the twin disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// The kernel.
    pub kernel: &'static str,
    /// Its binding, by name.
    pub tensor: String,
    /// The element's place in the binding.
    pub index: usize,
    /// What the device computed (words as their numerical value).
    pub device: f64,
    /// What the twin computed.
    pub twin: f64,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kernel, tensor, index, device, twin } = self;
        write!(f, "{kernel}: `{tensor}`[{index}] is {device:e} on the device, {twin:e} in the twin")
    }
}

/// Runs `launch` and compares all that it wrote with the twin's outcome.
pub(super) fn run(stream: &Stream, launch: Launch, program: &Program) -> Result<()> {
    let start = Instant::now();
    let (mut arrays, written) = match &stream.backend {
        Backend::Gpu(context) => {
            let mut state = stream.state();
            state.flush(stream)?;
            let before = read_back(context, &launch)?;
            state.enqueue(stream, context, &launch)?;
            state.flush(stream)?;
            (before, read_back(context, &launch)?)
        }
        Backend::Host(host) => {
            let mut held = take_arrays(host, &launch, program)?;
            let before = snapshot(&launch, &mut held);
            run_twin(host, &launch, &mut held);
            (before, snapshot(&launch, &mut held))
        }
    };
    // No lock is held here: the oracle runs loops, too.
    call_oracle(&launch, program, &mut arrays);
    let divergence = first_divergence(&launch, program, &written, &arrays);
    match &stream.backend {
        Backend::Gpu(_) => stream.state().keep(launch),
        Backend::Host(_) => stream.state().ran(launch, start),
    }
    divergence.map_or(Ok(()), |found| Err(Error::Diverged(Box::new(found))))
}

fn first_divergence(
    launch: &Launch,
    program: &Program,
    written: &[Array],
    twins: &[Array],
) -> Option<Divergence> {
    let bindings = program.reflection.bindings.iter().zip(written).zip(twins);
    bindings
        .filter(|((binding, _), _)| {
            let scratch = launch.kernel.scratch == Some(binding.index as usize);
            binding.access == Access::Write && !scratch
        })
        .find_map(|((binding, device), twin)| {
            let (index, device, twin) = difference(launch, device, twin)?;
            let (kernel, tensor) = (launch.kernel.name, binding.name.clone());
            Some(Divergence { kernel, tensor, index, device, twin })
        })
}

/// All bindings, from a GPU, as the oracle holds them.
fn read_back(context: &Arc<Context>, launch: &Launch) -> Result<Vec<Array>> {
    let read = |bound: &super::Bound| match &bound.memory {
        Memory::Gpu(buffer) => {
            let bytes = context.stage(buffer, bound.words as u64 * 4)?.wait()?;
            Ok(Array::from_device_bytes(Precision::Double, bound.real, &bytes))
        }
        Memory::Host(_) => Err(Error::argument(launch.kernel.name, "memory of another device")),
    };
    launch.bindings.iter().map(read).collect()
}

/// All bindings, of the host, as the oracle holds them.
fn snapshot(launch: &Launch, held: &mut Held<'_>) -> Vec<Array> {
    let words = launch.bindings.iter().map(|b| b.words);
    let copy = |array: &Array, words: usize| match array {
        Array::Words(a) => Array::Words(a[..words].to_vec()),
        reals => Array::Double(reals.reals(words).unwrap_or_default()),
    };
    held.arrays()
        .zip(words)
        .map(|(array, words)| match array {
            In::Read(array) => copy(array, words),
            In::Write(array) => copy(array, words),
        })
        .collect()
}

fn call_oracle(launch: &Launch, program: &Program, arrays: &mut [Array]) {
    let accesses = program.reflection.bindings.iter().map(|b| b.access);
    let arrays = arrays.iter_mut().zip(accesses).map(|(array, access)| match access {
        Access::Read => In::Read(array),
        Access::Write => In::Write(array),
    });
    with_arrays(launch, arrays, launch.kernel.twin.double);
}

/// The first element that differs by more than the kernel allows, if more elements differ than it
/// allows.
fn difference(launch: &Launch, device: &Array, twin: &Array) -> Option<(usize, f64, f64)> {
    let kernel = launch.kernel;
    let values = |array: &Array| match array {
        Array::Words(a) => a.iter().map(|w| f64::from(*w)).collect(),
        reals => reals.reals::<f64>(reals.len()).unwrap_or_default(),
    };
    let (device, expected): (Vec<f64>, Vec<f64>) = (values(device), values(twin));
    let finite = expected.iter().filter(|v| v.is_finite());
    let scale = finite.fold(0.0, |m: f64, v| m.max(v.abs()));
    let allowed = match twin {
        Array::Words(_) => 0.0,
        _ => f64::from(kernel.tolerance) * scale + f64::MIN_POSITIVE,
    };
    let differs = |(a, b): (&f64, &f64)| {
        let both_undefined = !a.is_finite() && !b.is_finite();
        let close = (a - b).abs() <= allowed;
        !both_undefined && !close
    };
    let wrong = device.iter().zip(&expected).filter(|p| differs(*p)).count();
    if wrong as f64 <= f64::from(kernel.mismatch) * expected.len() as f64 {
        return None;
    }
    let index = device.iter().zip(&expected).position(differs)?;
    Some((index, device[index], expected[index]))
}
