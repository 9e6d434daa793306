//! Transforms on the host: rustfft and realfft take lines that follow each other, vector lanes those that
//! stand side by side.

mod gate;
mod lanes;
mod line;
mod lines;
mod source;
mod strided_axis;

pub(crate) use gate::{complex_gate, complex_gate_backward};

use crate::fourier::spectrum::LineParams;
use crate::host::HostArgs;
use realfft::RealFftPlanner;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// Plans: made once for each length.
struct Planners {
    complex: FftPlanner<f32>,
    real: RealFftPlanner<f32>,
    roots: HashMap<usize, Arc<[Complex<f32>]>>,
}

impl Planners {
    fn new() -> Mutex<Self> {
        Mutex::new(Self {
            complex: FftPlanner::new(),
            real: RealFftPlanner::new(),
            roots: HashMap::new(),
        })
    }

    /// exp(-2 pi i k / n), k = 0 .. n
    fn roots(&mut self, n: usize) -> Arc<[Complex<f32>]> {
        self.roots.entry(n).or_insert_with(|| lanes::roots(n)).clone()
    }
}

fn planners() -> MutexGuard<'static, Planners> {
    static PLANNERS: LazyLock<Mutex<Planners>> = LazyLock::new(Planners::new);
    PLANNERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole lines.
pub(crate) fn fft_lines(args: &mut HostArgs<'_, f32>) {
    let p: LineParams = args.params();
    lines::transform(&p, args.constant("LOAD"), args.constant("STORE"), args);
}
