//! Fourier transforms by length, beside rustfft on one thread and on all, and the mixing of spectra.

use crate::harness::{Suite, median};
use crate::input;
use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex32;
use spikegrad::fourier::{Scaling, fft, graph_diag, graph_diag_outer, irfft, rfft};
use spikegrad::{Device, Result, Tape, Tensor};
use std::sync::Arc;
use std::time::Instant;

/// Samples of a case, over all its lines.
const SAMPLES: usize = 1 << 20;

/// Powers of two; twelve times the variables of data sets of traffic, weather, power and epidemics;
/// primes.
const LENGTHS: [usize; 19] = [
    64,
    256,
    1024,
    4096,
    1 << 14,
    1 << 17,
    1680,
    660,
    7116,
    4440,
    11_556,
    2484,
    3900,
    24_000,
    97,
    251,
    1021,
    4093,
    16_381,
];

pub fn measure(suite: &mut Suite) {
    let lengths = if suite.options.quick { &LENGTHS[2..9] } else { &LENGTHS[..] };
    for &n in lengths {
        let lines = (SAMPLES / n).max(1);
        let shape = format!("{lines}x{n}");
        transform(suite, "rfft", &shape, n, move |device| {
            let x = input::normal(device, [lines, n])?;
            Ok(move || rfft(&x, 1, Scaling::Ortho))
        });
        transform(suite, "irfft", &shape, n, move |device| {
            let z = input::normal(device, [lines, n / 2 + 1, 2])?;
            Ok(move || irfft(&z, n, 1, Scaling::Ortho))
        });
        transform(suite, "fft", &shape, n, move |device| {
            let z = input::normal(device, [lines, n, 2])?;
            Ok(move || fft(&z, 1, Scaling::Ortho))
        });
        if suite.device.is_host() {
            peer(suite, lines, n, 1);
            peer(suite, lines, n, rayon::current_num_threads());
        }
    }
    along_the_middle(suite);
    mixes(suite);
}

/// One transform, and its share of the copy kernel's bandwidth.
fn transform<W: FnMut() -> Result<Tensor>>(
    suite: &mut Suite,
    name: &str,
    shape: &str,
    n: usize,
    setup: impl FnOnce(&Device) -> Result<W>,
) {
    let rows = suite.case("fourier", name, shape, |device| {
        let mut run = setup(device)?;
        Ok(move || run().map(drop))
    });
    let time: f64 = rows.iter().map(|r| r.fastest).sum();
    // Two passes over long lines move everything twice; what counts is what must be moved.
    let bytes = rows.iter().map(|r| r.bytes / r.launches.max(1) as f64).fold(0.0, f64::max);
    let copy = suite.roofline.bandwidth(bytes);
    if !rows.is_empty() && copy > 0.0 {
        let share = bytes / time / copy;
        suite.figure(format!("{name} {shape}: share of a copy"), 100.0 * share, "%");
        suite.point("fourier", name, n as f64, bytes / time);
    }
}

/// A batch by realfft, with plans and scratch reused, lines spread over `threads` threads.
fn peer(suite: &mut Suite, lines: usize, n: usize, threads: usize) {
    let (name, shape) = (format!("rustfft, {threads} threads"), format!("{lines}x{n}"));
    if !suite.wants(&format!("fourier/rfft {name} {shape}")) {
        return;
    }
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
    let plan = RealFftPlanner::<f32>::new().plan_fft_forward(n);
    let bins = n / 2 + 1;
    let (x, mut z) = (vec![0.5f32; lines * n], vec![Complex32::default(); lines * bins]);
    let times = suite.effort().repeat(|| {
        let start = Instant::now();
        pool.install(|| batch(&plan, &x, &mut z, [n, bins]));
        Ok(start.elapsed().as_nanos() as f64)
    });
    match times {
        Ok(times) => {
            let bytes = 4.0 * x.len() as f64 + 8.0 * z.len() as f64;
            let points = n as f64;
            let flops = 2.5 * points * points.log2() * lines as f64;
            suite.plain_row("fourier", &name, &shape, &times, (bytes, flops));
            suite.point("fourier", name, points, bytes / median(&times));
        }
        Err(e) => suite.fail(&name, &e),
    }
}

fn batch(
    plan: &Arc<dyn RealToComplex<f32>>,
    x: &[f32],
    z: &mut [Complex32],
    [n, bins]: [usize; 2],
) {
    let lines = (1usize << 13).div_ceil(n);
    let tasks = x.par_chunks(lines * n).zip(z.par_chunks_mut(lines * bins));
    let scratch = || (plan.make_scratch_vec(), plan.make_input_vec());
    tasks.for_each_init(scratch, |(work, line), (x, z)| {
        for (x, z) in x.chunks_exact(n).zip(z.chunks_exact_mut(bins)) {
            line.copy_from_slice(x);
            assert!(plan.process_with_scratch(line, z, work).is_ok());
        }
    });
}

/// The transforms of spiking Fourier graphs: over nodes, with channels inside.
fn along_the_middle(suite: &mut Suite) {
    for (outer, n, inner) in [(8, 2484, 32), (4, 1680, 128)] {
        suite.case("fourier", "rfft", &format!("{outer}x{n}x{inner} along the middle"), |device| {
            let x = input::normal(device, [outer, n, inner])?;
            Ok(move || rfft(&x, 1, Scaling::Ortho).map(drop))
        });
    }
}

/// The Fourier graph operator at E = 128, forward and backward, on 2 samples of 12 x 140 nodes; from
/// one spectrum a sample, and from one a channel.
fn mixes(suite: &mut Suite) {
    let (samples, nodes, channels) = (2, 1680, 128);
    for outer in [true, false] {
        let shape = format!(
            "{samples}x{nodes}x{channels}, {}",
            ["E spectra", "one spectrum"][usize::from(outer)]
        );
        suite.case("fourier", "graph operator", &shape, |device| {
            let x = input::normal(device, [samples, nodes])?;
            let e = input::normal(device, [channels])?;
            let w = input::scaled_normal(device, [3, 4, channels], 0.02)?;
            let g = input::normal(device, [samples, nodes / 2 + 1, channels, 2])?;
            Ok(move || {
                let tape = Tape::new();
                let (x, e, w) = (tape.constant(&x), tape.leaf(&e), tape.leaf(&w));
                let z = if outer {
                    graph_diag_outer(&x.rfft(1, Scaling::Ortho)?, &e, &w, 0.01)?
                } else {
                    let embedded = x.reshape([samples, nodes, 1])?.mul(&e)?;
                    graph_diag(&embedded.rfft(1, Scaling::Ortho)?, &w, 0.01)?
                };
                z.backward_from(&g).map(drop)
            })
        });
    }
}
