//! The CPU device: it runs a launch by calling the kernel's CPU code.
//!
//! In f64 it is the oracle that every WGSL kernel is tested against, in f32 the fallback where there is no
//! GPU. What stands here serves all families; a folder holds the loops of the family of its name that
//! were made fast.

mod args;
pub(crate) mod attention;
pub(crate) mod columns;
mod each;
pub(crate) mod elementwise;
mod exp;
pub(crate) mod fourier;
mod halves;
pub(crate) mod layout;
pub(crate) mod lif;
pub(crate) mod linalg;
pub(crate) mod loss;
mod magnitude;
mod memory;
pub(crate) mod norm;
pub(crate) mod optim;
mod order;
pub(crate) mod parallel;
mod product;
mod ranged;
mod real;
pub(crate) mod recur;
pub(crate) mod reduce;
pub(crate) mod scan;
pub(crate) mod spectral;
mod sums;
mod threads;
pub(crate) mod token;
mod turns;
mod vectorised;

pub use args::HostArgs;
pub(crate) use args::Slot;
pub(crate) use each::each;
pub(crate) use exp::exp;
pub(crate) use halves::{floats, pack_halves, unpack_halves};
pub(crate) use magnitude::{UP, difference_times, to_middle, to_one};
pub use memory::Array;
pub(crate) use memory::HostBuffer;
pub(crate) use order::{above, above_zero, greatest, keep_nan, least, limited};
pub(crate) use product::{Parallelism, gemm};
pub use ranged::Ranged;
pub use real::Real;
pub(crate) use sums::{all_finite, lane_max, lane_sum, log_sum_exp, pairwise, sum_of};
pub(crate) use threads::{Frame, Loops, is_nested, threads};
pub(crate) use turns::{Held, In, InUse, Turns};
pub(crate) use vectorised::{Simd, Vectorised, lanes, multiply_add, vectorise, vectorised};

use crate::error::{Error, Result};
use std::sync::{Arc, LazyLock};

/// In which precision a host device holds and computes `f32` tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32 bits: the fallback device.
    Single,
    /// 64 bits: the oracle.
    Double,
}

/// What operators take a host device for when they choose kernels and sizes: for tests, and to export
/// what an adapter would run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Host,
    SoftwareAdapter,
    Hardware,
}

/// The CPU as a device.
#[derive(Debug)]
pub struct Host {
    pub(crate) precision: Precision,
    pub(crate) capabilities: crate::gpu::Capabilities,
    /// What operators take it for.
    pub(crate) role: Role,
    pub(crate) turns: Turns,
}

impl Host {
    /// The host in this precision: one for all its devices, whose tensors one launch may use.
    pub(crate) fn shared(precision: Precision) -> Arc<Self> {
        static SINGLE: LazyLock<Arc<Host>> = LazyLock::new(|| Host::new(Precision::Single));
        static DOUBLE: LazyLock<Arc<Host>> = LazyLock::new(|| Host::new(Precision::Double));
        match precision {
            Precision::Single => SINGLE.clone(),
            Precision::Double => DOUBLE.clone(),
        }
    }

    fn new(precision: Precision) -> Arc<Self> {
        let capabilities = crate::gpu::Capabilities::host();
        Arc::new(Self { precision, capabilities, role: Role::Host, turns: Turns::default() })
    }

    /// One that operators take for an adapter, with or without optional features. Its tensors are its own.
    pub(crate) fn rehearsing(role: Role, baseline: bool) -> Arc<Self> {
        let software = role != Role::Hardware;
        let capabilities = crate::gpu::Capabilities {
            software,
            max_iterations: software.then_some(crate::gpu::SOFTWARE_ITERATIONS),
            subgroups: !baseline,
            subgroup_size: if baseline { (0, 0) } else { (32, 32) },
            f16: !baseline,
            ..crate::gpu::Capabilities::portable()
        };
        // In f64 the oracles run, which know no ways of the host's own.
        let (precision, turns) = (Precision::Double, Turns::default());
        Arc::new(Self { precision, capabilities, role, turns })
    }

    pub(crate) fn allocate(&self, real: bool, words: usize) -> Result<HostBuffer> {
        HostBuffer::new(self.precision, real, words)
            .ok_or(Error::OutOfMemory { asked: words as u64 * 4, held: 0 })
    }

    pub(crate) fn name(&self) -> String {
        let precision = match self.precision {
            Precision::Single => "",
            Precision::Double => " in f64",
        };
        format!("host CPU{precision} ({} threads, {} lanes)", threads(), lanes())
    }
}
