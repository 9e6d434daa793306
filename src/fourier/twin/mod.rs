//! The CPU twins: rustfft and realfft do the transforms, in f32 and in f64.

pub(super) mod bins;
pub(super) mod chain;
pub(super) mod complex;
pub(super) mod concrete;
pub(super) mod gate;
mod lanes;
mod lines;
pub(super) mod mix;
pub(super) mod nodes;
mod passes;
mod side_by_side;
mod source;
pub(super) mod token;
pub(super) mod weight;

pub(super) use passes::split;

use super::lines::Params;
use crate::host::{HostArgs, Ranged, Real};
use realfft::RealFftPlanner;
use rustfft::num_complex::Complex;
use rustfft::{FftNum, FftPlanner};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// A precision that transforms are planned for.
pub(super) trait Precise: Real + FftNum {
    fn planners() -> MutexGuard<'static, Planners<Self>>;
}

/// The plans of a precision: made once for each length.
pub(super) struct Planners<R: FftNum> {
    complex: FftPlanner<R>,
    real: RealFftPlanner<R>,
    roots: HashMap<usize, Arc<[Complex<R>]>>,
}

impl<R: Precise> Planners<R> {
    fn new() -> Mutex<Self> {
        Mutex::new(Self {
            complex: FftPlanner::new(),
            real: RealFftPlanner::new(),
            roots: HashMap::new(),
        })
    }

    /// exp(-2 pi i k / n), k = 0 .. n
    fn roots(&mut self, n: usize) -> Arc<[Complex<R>]> {
        self.roots.entry(n).or_insert_with(|| lanes::roots(n)).clone()
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

impl Precise for Ranged {
    fn planners() -> MutexGuard<'static, Planners<Ranged>> {
        static PLANNERS: LazyLock<Mutex<Planners<Ranged>>> = LazyLock::new(Planners::new);
        PLANNERS.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whole lines, or, with several parts a line, one pass over their parts.
pub(super) fn lines<R: Precise>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (load, store) = (args.constant_or("LOAD", 0), args.constant_or("STORE", 0));
    if p.subs == 1 {
        lines::transform(&p, load, store, args);
    } else {
        passes::transform(&p, load, store, args);
    }
}
