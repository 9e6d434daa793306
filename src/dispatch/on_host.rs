//! Launches on the host: the arrays of a launch, and the code that is called with them.

use super::{Launch, Memory};
use crate::error::{Error, Result};
use crate::gpu::Access;
use crate::host::{Array, Held, Host, HostArgs, In, InUse, Loops, Precision, Real, Slot};
use crate::kernel::Program;

/// The arrays of a launch, all at once.
pub(super) fn take_arrays<'a>(
    host: &'a Host,
    launch: &'a Launch,
    program: &'a Program,
) -> Result<Held<'a>> {
    let bindings = launch.bindings.iter().zip(&program.reflection.bindings);
    let wanted = bindings.filter_map(|(bound, binding)| match &bound.memory {
        Memory::Host(buffer) => Some((&**buffer, binding.access == Access::Write)),
        Memory::Gpu(_) => None,
    });
    host.turns.take(wanted).map_err(|InUse(i)| Error::Busy {
        op: launch.kernel.name,
        tensor: program.reflection.bindings.get(i).map_or_else(String::new, |b| b.name.clone()),
    })
}

/// Runs the CPU code of a launch on its arrays, in the precision of the host.
pub(super) fn run_on_host(host: &Host, launch: &Launch, program: &Program, held: &mut Held<'_>) {
    match host.precision {
        Precision::Single => with_arrays((launch, program), held.arrays(), launch.kernel.twin.host),
        Precision::Double => {
            with_arrays((launch, program), held.arrays(), launch.kernel.twin.oracle)
        }
    }
}

/// Calls `code` on arrays: the one place where loops begin.
pub(super) fn with_arrays<'a, R: Real>(
    (launch, program): (&'a Launch, &'a Program),
    arrays: impl Iterator<Item = In<'a>>,
    code: fn(&mut HostArgs<'_, R>),
) {
    let slots = arrays.zip(&launch.bindings).map(|(array, bound)| match array {
        _ if bound.is_stand_in() => Slot::Unused,
        In::Read(array) => read_slot(array, bound.words),
        In::Write(array) => write_slot(array, bound.words),
    });
    let mut args = HostArgs {
        kernel: launch.kernel.name,
        reflection: &program.reflection,
        conditions: launch.kernel.variants[launch.variant].conditions,
        params: launch.param_bytes(),
        constants: launch.constants(),
        groups: launch.groups,
        slots: slots.collect(),
    };
    let loops = Loops::enter();
    code(&mut args);
    drop(loops);
}

/// A read-only slot over the first `words` elements of `array`.
fn read_slot<R: Real>(array: &Array, words: usize) -> Slot<'_, R> {
    match array {
        Array::Words(a) => Slot::Words(&a[..words]),
        reals => R::view(reals).map_or(Slot::Taken, |a| Slot::Reals(&a[..words])),
    }
}

/// A writable slot over the first `words` elements of `array`.
fn write_slot<R: Real>(array: &mut Array, words: usize) -> Slot<'_, R> {
    match array {
        Array::Words(a) => Slot::WordsMut(&mut a[..words]),
        reals => R::view_mut(reals).map_or(Slot::Taken, |a| Slot::RealsMut(&mut a[..words])),
    }
}
