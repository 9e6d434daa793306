//! The shadow check: every launch is also computed by its twin in f64, and compared.

use super::stream::{State, read_slot, write_slot};
use super::{Backend, Launch, Memory, Stream};
use crate::error::{Error, Result};
use crate::gpu::Access;
use crate::host::{Array, HostArgs, Precision};
use crate::kernel::Program;

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
pub(super) fn run(
    stream: &Stream,
    state: &mut State,
    launch: Launch,
    program: &Program,
) -> Result<()> {
    let mut arrays = snapshot(stream, &launch)?;
    stream.run(state, &launch, program)?;
    state.flush(stream)?;
    let written = snapshot(stream, &launch)?;
    call_oracle(&launch, program, &mut arrays);
    for ((binding, device), twin) in program.reflection.bindings.iter().zip(&written).zip(&arrays) {
        if binding.access == Access::Write
            && launch.kernel.scratch != Some(binding.index as usize)
            && let Some((index, device, twin)) = difference(&launch, device, twin)
        {
            let tensor = binding.name.clone();
            let kernel = launch.kernel.name;
            let found = Divergence { kernel, tensor, index, device, twin };
            return Err(Error::Diverged(Box::new(found)));
        }
    }
    state.keep(launch);
    Ok(())
}

/// All bindings as the oracle holds them.
fn snapshot(stream: &Stream, launch: &Launch) -> Result<Vec<Array>> {
    let copy = |bound: &super::Bound| match (&bound.memory, &stream.backend) {
        (Memory::Gpu(buffer), Backend::Gpu(context)) => {
            let bytes = context.stage(buffer, bound.words as u64 * 4)?.wait()?;
            Ok(Array::from_device_bytes(Precision::Double, bound.real, &bytes))
        }
        (Memory::Host(buffer), _) => Ok(match &*buffer.read() {
            Array::Words(a) => Array::Words(a[..bound.words].to_vec()),
            reals => Array::Double(reals.reals(bound.words).unwrap_or_default()),
        }),
        _ => Err(Error::argument(launch.kernel.name, "memory of another device")),
    };
    launch.bindings.iter().map(copy).collect()
}

fn call_oracle(launch: &Launch, program: &Program, arrays: &mut [Array]) {
    let accesses = program.reflection.bindings.iter().map(|b| b.access);
    let slots = arrays.iter_mut().zip(accesses).map(|(array, access)| {
        let words = array.len();
        match access {
            Access::Read => read_slot::<f64>(array, words),
            Access::Write => write_slot::<f64>(array, words),
        }
    });
    let mut args = HostArgs {
        kernel: launch.kernel.name,
        params: launch.param_bytes(),
        constants: launch.constants(),
        groups: launch.groups,
        slots: slots.collect(),
    };
    (launch.kernel.twin.double)(&mut args);
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
