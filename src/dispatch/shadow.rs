//! The shadow check: every launch is also computed by its oracle in f64, and compared.

use super::on_host::{run_on_host, take_arrays, with_arrays};
use super::verdict::{self, Alternatives};
use super::{Backend, Launch, Memory, Stream};
use crate::error::{Divergence, Error, Result};
use crate::gpu::{Access, Binding, Context};
use crate::host::{Array, Held, HostArgs, In, Precision, Real};
use crate::kernel::{Kernel, Program};
use half::f16;
use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

/// What two f16 that were rounded from nearly equal numbers may differ by, relative: a unit in the
/// last place.
const HALF_ROUNDING: f64 = 1.0 / 1024.0;

/// Runs `launch` and compares all that it wrote with the oracle's outcome.
pub(super) fn run(stream: &Stream, launch: Launch, program: &Program) -> Result<()> {
    let start = Instant::now();
    let (before, written) = match &stream.backend {
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
            run_on_host(host, &launch, program, &mut held);
            (before, snapshot(&launch, &mut held))
        }
    };
    // No lock is held here: the oracle runs loops, too.
    let divergence = first_divergence(&launch, program, &before, &written);
    match &stream.backend {
        Backend::Gpu(_) => stream.state().keep(launch),
        Backend::Host(_) => stream.ran(launch, start),
    }
    divergence.map_or(Ok(()), |found| Err(Error::Diverged(Box::new(found))))
}

/// The first element that differs by more than rounding explains, if more elements do than the
/// kernel allows.
fn first_divergence(
    launch: &Launch,
    program: &Program,
    before: &[Array],
    written: &[Array],
) -> Option<Divergence> {
    let kernel = launch.kernel;
    let oracle = |arrays: &mut [Array]| call(launch, program, kernel.twin.oracle, arrays);
    let ranged = |arrays: &mut [Array]| call(launch, program, kernel.twin.ranged, arrays);
    let mut twins = before.to_vec();
    oracle(&mut twins);
    let alternatives = OnceCell::new();
    let alternatives = || alternatives.get_or_init(|| Alternatives::new(before, oracle, ranged));
    let looked_at = |(_, binding): &(usize, &Binding)| {
        binding.access == Access::Write && kernel.scratch != Some(binding.name.as_str())
    };
    let bindings = program.reflection.bindings.iter().enumerate().filter(looked_at);
    bindings.into_iter().find_map(|(b, binding)| {
        let (device, twin) = (&written[b], &twins[b]);
        let allowed = (f64::from(kernel.mismatch) * twin.len() as f64) as usize;
        if launch.bindings[b].halves {
            let (device, twin) = (halves(device), halves(twin));
            let wrong = half_differences(kernel, &device, &twin);
            let index = *wrong.first().filter(|_| wrong.len() > allowed)?;
            return Some(divergence(kernel, &binding.name, index, &device, &twin));
        }
        let wrong = unexplained(kernel, (b, allowed), device, twin, alternatives);
        let index = *wrong.first().filter(|_| wrong.len() > allowed)?;
        Some(divergence(kernel, &binding.name, index, device, twin))
    })
}

/// The elements of an f16 tensor that differ.
fn half_differences(kernel: &Kernel, device: &Array, twin: &Array) -> Vec<usize> {
    verdict::differences(device, twin, f64::from(kernel.tolerance).max(HALF_ROUNDING))
}

/// The elements of binding `b` that differ; where they are more than `allowed`, those that rounding
/// does not explain.
fn unexplained<'a>(
    kernel: &Kernel,
    (b, allowed): (usize, usize),
    device: &Array,
    twin: &Array,
    alternatives: impl Fn() -> &'a Alternatives,
) -> Vec<usize> {
    let tolerance = f64::from(kernel.tolerance);
    let mut wrong = verdict::differences(device, twin, tolerance);
    if wrong.len() > allowed {
        let limits = (tolerance, verdict::allowance(twin, tolerance));
        wrong.retain(|i| !verdict::explained(alternatives(), (b, *i), device, twin, limits));
    }
    wrong
}

fn divergence(
    kernel: &Kernel,
    tensor: &str,
    index: usize,
    device: &Array,
    oracle: &Array,
) -> Divergence {
    let (device, oracle) = (value(device, index), value(oracle, index));
    Divergence { kernel: kernel.name, tensor: tensor.into(), index, device, oracle }
}

/// The numbers that words hold as pairs of f16.
fn halves(array: &Array) -> Array {
    match array {
        Array::Words(words) => {
            let pair =
                |w: &u32| [*w as u16, (*w >> 16) as u16].map(|bits| f16::from_bits(bits).to_f64());
            Array::Double(words.iter().flat_map(pair).collect())
        }
        reals => reals.clone(),
    }
}

/// An element, words as their numerical value.
fn value(array: &Array, index: usize) -> f64 {
    match array {
        Array::Single(values) => f64::from(values[index]),
        Array::Double(values) => values[index],
        Array::Words(words) => f64::from(words[index]),
    }
}

/// All bindings of a launch that is about to run, as the oracle holds them.
pub(super) fn before_of(stream: &Stream, launch: &Launch, program: &Program) -> Result<Vec<Array>> {
    match &stream.backend {
        Backend::Gpu(context) => {
            stream.flush()?;
            read_back(context, launch)
        }
        Backend::Host(host) => Ok(snapshot(launch, &mut take_arrays(host, launch, program)?)),
    }
}

/// All bindings, from a GPU, as the oracle holds them.
fn read_back(context: &Arc<Context>, launch: &Launch) -> Result<Vec<Array>> {
    let read = |bound: &super::Bound| match &bound.memory {
        Memory::Gpu(_) if bound.is_stand_in() => {
            Ok(Array::from_device_bytes(Precision::Double, bound.real, &[]))
        }
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

pub(super) fn call<R: Real>(
    launch: &Launch,
    program: &Program,
    twin: fn(&mut HostArgs<'_, R>),
    arrays: &mut [Array],
) {
    let accesses = program.reflection.bindings.iter().map(|b| b.access);
    let arrays = arrays.iter_mut().zip(accesses).map(|(array, access)| match access {
        Access::Read => In::Read(array),
        Access::Write => In::Write(array),
    });
    with_arrays((launch, program), arrays, twin);
}
