//! Fourier transforms by length, beside rustfft on one thread and on all, and the mixing of spectra.

use crate::harness::{Suite, fastest, milliseconds};
use crate::input;
use rayon::ThreadPool;
use rayon::prelude::*;
use realfft::{RealFftPlanner, RealToComplex};
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};
use spikegrad::fourier::{Scaling, fft, graph_diag, graph_diag_outer, irfft, rfft};
use spikegrad::linalg::{Layout, matmul};
use spikegrad::{Device, Result, Tape, Tensor, elementwise};
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
        let real = transform(suite, "rfft", &shape, move |device| {
            let x = input::normal(device, [lines, n])?;
            Ok(move || rfft(&x, 1, Scaling::Ortho))
        });
        let inverse = transform(suite, "irfft", &shape, move |device| {
            let z = input::normal(device, [lines, n / 2 + 1, 2])?;
            Ok(move || irfft(&z, n, 1, Scaling::Ortho))
        });
        let complex = transform(suite, "fft", &shape, move |device| {
            let z = input::normal(device, [lines, n, 2])?;
            Ok(move || fft(&z, 1, Scaling::Ortho))
        });
        for (name, rate) in [("rfft", real), ("irfft", inverse), ("fft", complex)] {
            if let Some(rate) = rate {
                suite.point("fourier", name, n as f64, rate);
            }
        }
        if suite.device.is_host() {
            beside_peers(suite, lines, n);
        }
    }
    along_the_middle(suite);
    dense(suite);
    spikes(suite);
    rank_one(suite);
    mixes(suite);
}

/// One transform, and its share of the copy kernel's bandwidth; returns bytes a nanosecond.
fn transform<W: FnMut() -> Result<Tensor>>(
    suite: &mut Suite,
    name: &str,
    shape: &str,
    setup: impl FnOnce(&Device) -> Result<W>,
) -> Option<f64> {
    let rows = suite.case("fourier", name, shape, |device| {
        let mut run = setup(device)?;
        Ok(move || run().map(drop))
    });
    let time: f64 = rows.iter().map(|r| r.fastest).sum();
    // Two passes over long lines move everything twice; what counts is what must be moved.
    let bytes = rows.iter().map(|r| r.bytes / r.launches.max(1) as f64).fold(0.0, f64::max);
    let copy = suite.roofline.bandwidth(bytes);
    if rows.is_empty() || copy <= 0.0 {
        return None;
    }
    let launches: usize = rows.iter().map(|r| r.launches).sum();
    let label = format!("{name} {shape}: share of a copy, in {launches} launches");
    suite.figure(label, 100.0 * bytes / time / copy, "%");
    Some(bytes / time)
}

/// The host's transforms and those of rustfft and realfft, in turns, on one thread and on all: plans
/// and scratch are reused, lines are spread over the threads. Unscaled, as theirs are.
fn beside_peers(suite: &mut Suite, lines: usize, n: usize) {
    let all = rayon::current_num_threads();
    for threads in if all == 1 { vec![1] } else { vec![1, all] } {
        let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return };
        let bins = n / 2 + 1;
        let values = vec![0.5f32; lines * n];
        let real = RealFftPlanner::<f32>::new().plan_fft_forward(n);
        let mut z = vec![Complex32::default(); lines * bins];
        in_turns(suite, ("rfft", lines, n), &pool, |device| {
            let x = input::normal(device, [lines, n])?;
            let ours = move || rfft(&x, 1, Scaling::None).map(drop);
            Ok((ours, || reals(&real, &values, &mut z, [n, bins])))
        });
        let complex = FftPlanner::<f32>::new().plan_fft_forward(n);
        let values = vec![Complex32::new(0.5, 0.25); lines * n];
        let mut z = vec![Complex32::default(); lines * n];
        in_turns(suite, ("fft", lines, n), &pool, |device| {
            let x = input::normal(device, [lines, n, 2])?;
            let ours = move || fft(&x, 1, Scaling::None).map(drop);
            Ok((ours, || numbers(&complex, &values, &mut z, n)))
        });
    }
}

/// The least time of ours over the least of the peer's.
fn in_turns<W: FnMut() -> Result<()> + Send, P: FnMut() + Send>(
    suite: &mut Suite,
    (name, lines, n): (&str, usize, usize),
    pool: &ThreadPool,
    setup: impl FnOnce(&Device) -> Result<(W, P)>,
) {
    let threads = pool.current_num_threads();
    let (peer, shape) = (format!("rust{name}, {threads} threads"), format!("{lines}x{n}"));
    if !suite.wants(&format!("fourier/{name} {shape} beside {peer}")) {
        return;
    }
    let mut ours = Vec::new();
    let outcome = setup(&suite.device).and_then(|(mut run, mut other)| {
        suite.effort().repeat(|| {
            let start = Instant::now();
            pool.install(&mut run)?;
            ours.push(start.elapsed().as_nanos() as f64);
            let start = Instant::now();
            pool.install(&mut other);
            Ok(start.elapsed().as_nanos() as f64)
        })
    });
    match outcome {
        Ok(times) => {
            let points = n as f64;
            let flops = if name == "fft" { 5.0 } else { 2.5 } * points * points.log2();
            let words = if name == "fft" { 4 * n } else { n + 2 * (n / 2 + 1) };
            let cost = (4.0 * (lines * words) as f64, flops * lines as f64);
            suite.plain_row("fourier", &peer, &shape, &times, cost);
            let ratio = fastest(&ours) / fastest(&times);
            suite.figure(format!("{name} {shape}: time over {peer}"), ratio, "x");
            suite.point("fourier", peer, points, cost.0 / fastest(&times));
        }
        Err(e) => suite.fail(&peer, &e),
    }
}

/// Points of a peer's task.
const TASK: usize = 1 << 13;

fn reals(
    plan: &Arc<dyn RealToComplex<f32>>,
    x: &[f32],
    z: &mut [Complex32],
    [n, bins]: [usize; 2],
) {
    let lines = TASK.div_ceil(n);
    let tasks = x.par_chunks(lines * n).zip(z.par_chunks_mut(lines * bins));
    let scratch = || (plan.make_scratch_vec(), plan.make_input_vec());
    tasks.for_each_init(scratch, |(work, line), (x, z)| {
        for (x, z) in x.chunks_exact(n).zip(z.chunks_exact_mut(bins)) {
            line.copy_from_slice(x);
            assert!(plan.process_with_scratch(line, z, work).is_ok());
        }
    });
}

fn numbers(plan: &Arc<dyn Fft<f32>>, x: &[Complex32], z: &mut [Complex32], n: usize) {
    let points = TASK.div_ceil(n) * n;
    let scratch = || vec![Complex32::default(); plan.get_immutable_scratch_len()];
    let tasks = x.par_chunks(points).zip(z.par_chunks_mut(points));
    tasks.for_each_init(scratch, |work, (x, z)| plan.process_immutable_with_scratch(x, z, work));
}

/// The transforms of spiking Fourier graphs: over nodes, with channels inside.
fn along_the_middle(suite: &mut Suite) {
    for (outer, n, inner) in [(8, 2484, 32), (4, 1680, 128)] {
        let shape = format!("{outer}x{n}x{inner} along the middle");
        transform(suite, "rfft", &shape, move |device| {
            let x = input::normal(device, [outer, n, inner])?;
            Ok(move || rfft(&x, 1, Scaling::Ortho))
        });
        transform(suite, "irfft", &shape, move |device| {
            let z = input::normal(device, [outer, n / 2 + 1, inner, 2])?;
            Ok(move || irfft(&z, n, 1, Scaling::Ortho))
        });
    }
}

/// Short and prime lengths as the crate transforms them, beside a product with a matrix.
fn dense(suite: &mut Suite) {
    for n in [8usize, 16, 32, 64, 97, 251] {
        let lines = SAMPLES / 4 / n;
        let shape = format!("{lines}x{n} beside a matrix");
        let columns = 2 * (n / 2 + 1);
        transform(suite, "rfft", &shape, move |device| {
            let x = input::normal(device, [lines, n])?;
            Ok(move || rfft(&x, 1, Scaling::Ortho))
        });
        suite.case("fourier", "rfft by a matrix", &shape, |device| {
            let x = input::normal(device, [lines, n])?;
            let matrix = input::normal(device, [n, columns])?;
            Ok(move || matmul(&x, &matrix, Layout::NN).map(drop))
        });
    }
}

/// Spikes of four steps along their nodes, as they are packed and unpacked first.
fn spikes(suite: &mut Suite) {
    let [steps, batch, nodes, channels] = [4, 2, 1680, 64];
    for packed in [true, false] {
        let what = if packed { "packed" } else { "unpacked first" };
        let shape = format!("{steps}x{batch}x{nodes}x{channels} spikes, {what}");
        suite.case("fourier", "rfft", &shape, |device| {
            let s =
                elementwise::pack(&input::spikes(device, [steps, batch, nodes, channels], 0.2)?)?;
            Ok(move || {
                let x = if packed { s.clone() } else { elementwise::unpack(&s)? };
                rfft(&x, 2, Scaling::Ortho).map(drop)
            })
        });
    }
}

/// FourierGNN's forward transform with its gradient at E = 128, on samples of 12 x 140 nodes: of the
/// series, and of all channels of its embedding.
fn rank_one(suite: &mut Suite) {
    let (samples, nodes, channels) = (8, 1680, 128);
    let label = format!("FourierGNN's transform and gradient, {samples}x{nodes}x{channels}");
    if !suite.wants(&format!("fourier/{label}")) {
        return;
    }
    let measured = (|| -> Result<(f64, f64)> {
        let device = suite.device.clone();
        let x = input::normal(&device, [samples, nodes])?;
        let e = input::normal(&device, [channels])?;
        let embedded = elementwise::binary(
            elementwise::Binary::Mul,
            &x.reshape([samples, nodes, 1])?,
            &e.reshape([1, 1, channels])?,
        )?;
        let [one, all] = [x, embedded];
        let g = input::normal(&device, [samples, nodes / 2 + 1, 2])?;
        let each = input::normal(&device, [samples, nodes / 2 + 1, channels, 2])?;
        let time = |x: &Tensor, g: &Tensor| {
            let run = || {
                let x = Tape::new().leaf(x);
                x.rfft(1, Scaling::Ortho)?.backward_from(g)?;
                device.wait()
            };
            Ok(milliseconds(run)?.0)
        };
        let times = suite.effort().repeat(|| Ok((time(&one, &g)?, time(&all, &each)?)))?;
        let (one, all): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
        Ok((fastest(&one), fastest(&all)))
    })();
    match measured {
        Ok((one, all)) => {
            suite.figure(format!("{label}: one spectrum"), one, "ms");
            suite.figure(format!("{label}: E spectra"), all, "ms");
            suite.figure(format!("{label}: E spectra over one"), all / one, "x");
        }
        Err(e) => suite.fail(&label, &e),
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
