//! Spectral clipping by size: each kernel, the whole clip against matrix products, the two forms at
//! equal accuracy, and a singular value decomposition on the host.

use crate::harness::{Suite, fastest};
use crate::input;
use spikegrad::linalg::{Layout, matmul};
use spikegrad::spectral::{Form, Polar, SpectralClip, Steps};
use spikegrad::{DType, Device, Result, Tensor};
use std::time::Instant;

pub fn measure(suite: &mut Suite) {
    for &shape in sizes(suite) {
        kernels(suite, shape);
        whole(suite, shape);
    }
    decomposition(suite);
}

fn sizes(suite: &Suite) -> &'static [[usize; 2]] {
    if suite.options.quick {
        &[[128, 128], [256, 256]]
    } else {
        &[[128, 128], [256, 256], [512, 512], [768, 3072], [1024, 1024]]
    }
}

/// The largest singular value over the radius, about.
const RATIO: f64 = 20.0;
/// The error, relative to the outcome, that both forms are compared at.
const ACCURACY: f64 = 1e-3;

/// A matrix of normal values.
fn matrix(device: &Device, [m, n]: [usize; 2]) -> Result<Tensor> {
    let largest = (m as f32).sqrt() + (n as f32).sqrt();
    input::scaled_normal(device, [m, n], RATIO as f32 / largest)
}

fn clip(form: Form, steps: usize) -> SpectralClip {
    SpectralClip::new(1.0).form(form).steps(Steps::Fixed(steps))
}

/// The launches of one run, by kernel.
fn kernels(suite: &mut Suite, shape: [usize; 2]) {
    let [m, n] = shape;
    for (name, form, steps) in [("classic 10", Form::Classic, 10), ("minimax 5", Form::Minimax, 5)]
    {
        suite.case("spectral", "clip", &format!("{m}x{n} {name}"), |device| {
            let x = matrix(device, shape)?;
            Ok(move || clip(form, steps).run(&x).map(drop))
        });
    }
    suite.case("spectral", "polar", &format!("{m}x{n} muon 5"), |device| {
        let x = matrix(device, shape)?;
        Ok(move || Polar::muon(5).run(&x).map(drop))
    });
}

/// What the singular values of a matrix are like.
#[derive(Clone, Copy)]
enum Values {
    /// Those of normal elements: close together where a matrix is wide.
    Normal,
    /// From the largest down to a thousandth of it, each smaller by the same factor.
    Spread,
}

impl Values {
    fn name(self) -> &'static str {
        match self {
            Values::Normal => "normal",
            Values::Spread => "spread",
        }
    }

    fn matrix(self, device: &Device, [m, n]: [usize; 2]) -> Result<Tensor> {
        match self {
            Values::Normal => matrix(device, [m, n]),
            Values::Spread => {
                let largest = (1e-3f64).powf(1.0 / m as f64);
                let mut x = vec![0.0; m * n];
                for i in 0..m {
                    x[i * n + i] = RATIO * largest.powi(i as i32);
                }
                let x = turned(&reflected(x, n), n);
                let x = turned(&reflected(x, m), m);
                Tensor::from_slice(device, &x, [m, n])
            }
        }
    }
}

/// Rows of `width` elements, each reflected at eight random planes.
fn reflected(mut x: Vec<f64>, width: usize) -> Vec<f64> {
    let mut uniform = input::xorshift(input::SEED);
    for _ in 0..8 {
        let plane: Vec<f64> = (0..width).map(|_| f64::from(uniform()) - 0.5).collect();
        let square: f64 = plane.iter().map(|v| v * v).sum();
        for row in x.chunks_exact_mut(width) {
            let dot: f64 = row.iter().zip(&plane).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(&plane).for_each(|(a, b)| *a -= 2.0 * dot / square * b);
        }
    }
    x
}

fn turned(x: &[f64], width: usize) -> Vec<f64> {
    let rows = x.len() / width;
    (0..x.len()).map(|i| x[i % rows * width + i / rows]).collect()
}

/// Whole runs at equal accuracy, interleaved, so that a busy machine slows all of them.
fn whole(suite: &mut Suite, shape: [usize; 2]) {
    let [m, n] = shape;
    for values in [Values::Normal, Values::Spread] {
        if !suite.wants(&format!("spectral/whole {m}x{n} {}", values.name())) {
            continue;
        }
        match compare(suite, shape, values) {
            Ok(found) => report(suite, shape, values, &found),
            Err(e) => suite.fail("spectral clip", &e),
        }
    }
}

/// Steps of each form, and the shortest times in nanoseconds.
struct Found {
    classic_steps: usize,
    minimax_steps: usize,
    /// A product `m x m x m`, the classic and the minimax clip, the classic one in f16, Muon's factor,
    /// and both clips by as many steps as the bound asks for.
    times: [f64; 7],
    /// Operations of Muon's factor, as its kernels state them.
    muon: f64,
}

fn compare(suite: &Suite, [m, n]: [usize; 2], values: Values) -> Result<Found> {
    let device = suite.device.clone();
    let x = values.matrix(&device, [m, n])?;
    let exact = clip(Form::Classic, 30).run(&x)?.to_vec::<f32>()?;
    let classic_steps = least_steps(&x, &exact, Form::Classic)?;
    let minimax_steps = least_steps(&x, &exact, Form::Minimax)?;
    let a = input::normal(&device, [m, m])?;
    let by_bound = |form| {
        let clip = SpectralClip::new(1.0).form(form).steps(Steps::Ratio(RATIO));
        clip.accuracy(ACCURACY).run(&x)
    };
    let works: [&dyn Fn() -> Result<Tensor>; 7] = [
        &|| matmul(&a, &a, Layout::NN),
        &|| clip(Form::Classic, classic_steps).run(&x),
        &|| clip(Form::Minimax, minimax_steps).run(&x),
        &|| clip(Form::Classic, classic_steps).storage(DType::F16).run(&x),
        &|| Polar::muon(5).run(&x),
        &|| by_bound(Form::Classic),
        &|| by_bound(Form::Minimax),
    ];
    let runs = suite.effort().repeat(|| {
        let mut times = [0.0; 7];
        for (time, work) in times.iter_mut().zip(works) {
            let start = Instant::now();
            let y = work()?;
            device.wait()?;
            *time = start.elapsed().as_nanos() as f64;
            drop(y);
        }
        Ok(times)
    })?;
    let shortest = |i: usize| fastest(&runs.iter().map(|t| t[i]).collect::<Vec<_>>());
    let (_, profile) = device.profile(|| Polar::muon(5).run(&x))?;
    let muon = profile.rows().iter().map(|row| row.flops).sum();
    Ok(Found { classic_steps, minimax_steps, times: std::array::from_fn(shortest), muon })
}

/// The fewest steps that are accurate enough.
fn least_steps(x: &Tensor, exact: &[f32], form: Form) -> Result<usize> {
    let size: f64 = exact.iter().map(|v| f64::from(*v).powi(2)).sum();
    for steps in 1..30 {
        let y = clip(form, steps).run(x)?.to_vec::<f32>()?;
        let gap: f64 = y.iter().zip(exact).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        if (gap / size).sqrt() <= ACCURACY {
            return Ok(steps);
        }
    }
    Ok(30)
}

/// Operations of `products` symmetric products, the Gram matrix and the last product: as full products,
/// and as many as half of each symmetric one takes.
fn flops([m, n]: [usize; 2], products: usize) -> [f64; 2] {
    let (cube, panel) = ((m as f64).powi(3), (m * m * n) as f64);
    let full = |halves: f64| 2.0 * halves * (products as f64 * cube + panel) + 2.0 * panel;
    [full(1.0), full(0.5)]
}

fn report(suite: &mut Suite, [m, n]: [usize; 2], values: Values, found: &Found) {
    let [product, classic, minimax, half, muon, classic_bound, minimax_bound] = found.times;
    let label = format!("spectral {m}x{n} {}", values.name());
    let cube = 2.0 * (m as f64).powi(3) / product;
    suite.figure(format!("{label}: matrix product"), cube, "GFLOP/s");
    let (k, q) = (found.classic_steps, found.minimax_steps);
    // In the first iteration Z is I, in the last one M is not needed.
    for (form, products, time) in
        [("classic", 3 * k - 3, classic), ("minimax", 4 * q - 3, minimax), ("muon", 10, muon)]
    {
        let [full, done] = match form {
            // Each of its steps has a Gram matrix and a last product of its own, in the plain iteration.
            "muon" => [5.0 * flops([m, n], 1)[0], found.muon],
            _ => flops([m, n], products),
        };
        suite.figure(format!("{label}: {form}, as full products"), full / time, "GFLOP/s");
        suite.figure(format!("{label}: {form}, over matrix product"), full / time / cube, "x");
        suite.figure(format!("{label}: {form}, halves, over that"), done / time / cube, "x");
        if form == "classic" {
            suite.point("spectral", format!("{}, as full", values.name()), m as f64, full / time);
        }
    }
    suite.figure(format!("{label}: classic, {k} steps"), classic / 1e6, "ms");
    suite.figure(format!("{label}: minimax, {q} steps"), minimax / 1e6, "ms");
    suite.figure(format!("{label}: classic, {k} steps, f16"), half / 1e6, "ms");
    suite.figure(format!("{label}: muon, 5 steps"), muon / 1e6, "ms");
    suite.figure(format!("{label}: classic over minimax time"), classic / minimax, "x");
    suite.figure(format!("{label}: classic, by its bound"), classic_bound / 1e6, "ms");
    suite.figure(format!("{label}: minimax, by its bound"), minimax_bound / 1e6, "ms");
    let ratio = classic_bound / minimax_bound;
    suite.figure(format!("{label}: classic over minimax time, by their bounds"), ratio, "x");
    suite.point("spectral", "matrix product", m as f64, cube);
}

/// One-sided Jacobi in f64, on one thread: what clipping by singular values costs on the host.
fn decomposition(suite: &mut Suite) {
    let extents: &[usize] = if suite.options.quick { &[128] } else { &[128, 256, 512] };
    for &extent in extents {
        let shape = format!("{extent}x{extent}");
        if !suite.wants(&format!("spectral/jacobi {shape}")) {
            continue;
        }
        let mut uniform = input::xorshift(input::SEED);
        let rows: Vec<f64> = (0..extent * extent).map(|_| f64::from(uniform()) - 0.5).collect();
        let start = Instant::now();
        let sweeps = jacobi(rows, extent);
        let time = start.elapsed().as_nanos() as f64;
        let flops = sweeps as f64 * (extent as f64).powi(3) * 6.0;
        let bytes = 8.0 * (extent * extent) as f64;
        suite.plain_row("spectral", "jacobi (host, f64)", &shape, &[time], (bytes, flops));
        suite.figure(format!("spectral {shape}: jacobi (host, f64)"), time / 1e6, "ms");
    }
}

/// Rotates the rows until they are orthogonal; the sweeps that took.
fn jacobi(mut rows: Vec<f64>, n: usize) -> usize {
    for sweep in 1..=30 {
        let mut worst = 0.0f64;
        for p in 0..n {
            for q in p + 1..n {
                let (head, tail) = rows.split_at_mut(q * n);
                worst = worst.max(rotate(&mut head[p * n..][..n], &mut tail[..n]));
            }
        }
        if worst < 1e-13 {
            return sweep;
        }
    }
    30
}

/// Makes two rows orthogonal; the cosine between them before.
fn rotate(a: &mut [f64], b: &mut [f64]) -> f64 {
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b.iter()) {
        aa += a * a;
        bb += b * b;
        ab += a * b;
    }
    let cosine = ab.abs() / (aa * bb).sqrt().max(f64::MIN_POSITIVE);
    if cosine < 1e-14 {
        return cosine;
    }
    let zeta = (bb - aa) / (2.0 * ab);
    let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
    let c = 1.0 / t.hypot(1.0);
    let s = c * t;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
    }
    cosine
}
