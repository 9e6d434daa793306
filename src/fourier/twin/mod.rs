//! The CPU twins: rustfft and realfft do the transforms, in f32 and in f64.

pub(super) mod bins;
pub(super) mod complex;
pub(super) mod concrete;
pub(super) mod gate;
mod lines;
pub(super) mod mix;
pub(super) mod nodes;
mod passes;
pub(super) mod token;
pub(super) mod weight;

use super::lines::Params;
use crate::host::{HostArgs, Real};
use realfft::RealFftPlanner;
use rustfft::{FftNum, FftPlanner};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A precision that transforms are planned for.
pub(super) trait Precise: Real + FftNum {
    fn planners() -> MutexGuard<'static, Planners<Self>>;
}

/// The plans of a precision: made once for each length.
pub(super) struct Planners<R: FftNum> {
    complex: FftPlanner<R>,
    real: RealFftPlanner<R>,
}

impl<R: FftNum> Planners<R> {
    fn new() -> Mutex<Self> {
        Mutex::new(Self { complex: FftPlanner::new(), real: RealFftPlanner::new() })
    }
}

impl Precise for f32 {
    fn planners() -> MutexGuard<'static, Planners<f32>> {
        static PLANNERS: LazyLock<Mutex<Planners<f32>>> = LazyLock::new(Planners::new);
        PLANNERS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Precise for f64 {
    fn planners() -> MutexGuard<'static, Planners<f64>> {
        static PLANNERS: LazyLock<Mutex<Planners<f64>>> = LazyLock::new(Planners::new);
        PLANNERS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole lines, or, with several parts a line, one pass over their parts.
pub(super) fn lines<R: Precise>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (load, store) = (args.constant("LOAD", 0), args.constant("STORE", 0));
    if p.subs == 1 {
        lines::transform(&p, load, store, args);
    } else {
        passes::transform(&p, load, store, args);
    }
}
