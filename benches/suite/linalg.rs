//! Matrix products: kernels by size, layouts, packed spikes by rate.

use crate::harness::{Suite, median};
use crate::input;
use spikegrad::elementwise::{self, Activation};
use spikegrad::linalg::{Layout, Matmul, MatmulKernel, linear, matmul};
use spikegrad::{Device, Result, Tape, Tensor};

pub fn measure(suite: &mut Suite) {
    squares(suite);
    layouts(suite);
    spikes(suite);
    if suite.device.is_host() {
        gemm_crate(suite);
    }
}

/// Extents of the square products: powers of two, and odd ones.
fn sizes(suite: &Suite) -> &'static [usize] {
    if suite.options.quick { &[256, 331] } else { &[256, 331, 512, 771, 1024] }
}

/// A kernel under its name in reports.
const KERNELS: [(&str, MatmulKernel); 3] = [
    ("naive", MatmulKernel::Naive),
    ("registers", MatmulKernel::Registers),
    ("tiled", MatmulKernel::Tiled),
];

fn squares(suite: &mut Suite) {
    for &n in sizes(suite) {
        for (name, kernel) in KERNELS {
            // The host has one twin for all of them.
            let name = if suite.device.is_host() { "host" } else { name };
            if name == "host" && kernel != MatmulKernel::Naive {
                continue;
            }
            let rows = suite.case("linalg", name, &format!("{n}x{n}x{n}"), |device| {
                let (a, b) = square_inputs(device, n)?;
                Ok(move || Matmul::new().kernel(kernel).run(&a, &b).map(drop))
            });
            let time: f64 = rows.iter().map(|r| r.median).sum();
            let flops: f64 = rows.iter().map(|r| r.flops).sum();
            if !rows.is_empty() {
                suite.point("matmul", name, n as f64, flops / time);
            }
        }
    }
}

fn square_inputs(device: &Device, n: usize) -> Result<(Tensor, Tensor)> {
    Ok((input::normal(device, [n, n])?, input::normal(device, [n, n])?))
}

/// The three products of a linear layer in training, at T B = 2048 rows.
fn layouts(suite: &mut Suite) {
    let n = if suite.options.quick { 256 } else { 512 };
    for layout in [Layout::NN, Layout::NT, Layout::TN] {
        let shape = format!("{layout:?} 2048, {n}, {n}");
        suite.case("linalg", "matmul", &shape, |device| {
            let a = input::normal(device, [2048, n])?;
            let b = match layout {
                Layout::TN => input::normal(device, [2048, n])?,
                _ => input::normal(device, [n, n])?,
            };
            Ok(move || matmul(&a, &b, layout).map(drop))
        });
    }
}

/// A linear layer on spikes, packed and as floats, by firing rate.
fn spikes(suite: &mut Suite) {
    let n = if suite.options.quick { 256 } else { 512 };
    for rate in [0.02, 0.1, 0.5] {
        for packed in [true, false] {
            let kind = if packed { "bits" } else { "f32" };
            let shape = format!("64x32x{n} {kind} {:.0} %", rate * 100.0);
            suite.case("linalg", "linear", &shape, |device| {
                let spikes = input::spikes(device, [64, 32, n], rate)?;
                let spikes = if packed { elementwise::pack(&spikes)? } else { spikes };
                let w = input::normal(device, [n, n])?;
                Ok(move || {
                    let tape = Tape::off();
                    let (x, w) = (tape.constant(&spikes), tape.constant(&w));
                    linear(&x, &w, None, Activation::Identity).map(drop)
                })
            });
        }
    }
}

/// The GEMM crate without anything around it, on the same sizes: what the host can reach.
fn gemm_crate(suite: &mut Suite) {
    for &n in sizes(suite) {
        let shape = format!("{n}x{n}x{n}");
        if !suite.wants(&format!("linalg/gemm crate {shape}")) {
            continue;
        }
        let (a, b, mut c) = (vec![0.5f32; n * n], vec![0.25f32; n * n], vec![0.0f32; n * n]);
        let times = suite.effort().repeat(|| {
            let start = std::time::Instant::now();
            gemm_square(n, &a, &b, &mut c);
            Ok(start.elapsed().as_nanos() as f64)
        });
        match times {
            Ok(times) => {
                let flops = 2.0 * (n as f64).powi(3);
                let cost = (12.0 * (n * n) as f64, flops);
                suite.plain_row("linalg", "gemm crate", &shape, &times, cost);
                suite.point("matmul", "gemm crate", n as f64, flops / median(&times));
            }
            Err(e) => suite.fail("gemm crate", &e),
        }
    }
}

/// `c = a b`, row-major.
fn gemm_square(n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    assert!(a.len() == n * n && b.len() == n * n && c.len() == n * n);
    let row = n as isize;
    // SAFETY: the three slices hold n * n elements each, which these strides walk row by row, and c
    // is borrowed exclusively.
    unsafe {
        // Its kernels write columns: c^T = b^T a^T.
        gemm_f32::gemm::f32::get_gemm_fn()(
            n,
            n,
            n,
            c.as_mut_ptr(),
            row,
            1,
            false,
            b.as_ptr(),
            row,
            1,
            a.as_ptr(),
            row,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm_common::Parallelism::Rayon(0),
        );
    }
}
