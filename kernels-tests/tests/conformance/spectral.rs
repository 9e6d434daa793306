//! Conformance of the `spectral` family: against the oracle, and the oracle against a singular value
//! decomposition.

use kernels_tests::{Random, conform, oracle, own_subjects, seeded, subjects};
use proptest::prelude::*;
use spikegrad::spectral::{Form, HardClip, Polar, SpectralClip, Steps, spectral_norm};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// A matrix in f64, row by row.
#[derive(Debug, Clone)]
struct Matrix {
    rows: usize,
    cols: usize,
    data: Vec<f64>,
}

impl Matrix {
    fn tensor(&self, device: &Device) -> Tensor {
        Tensor::from_slice(device, &self.data, [self.rows, self.cols]).unwrap()
    }

    /// Rounded to f32, as every device but the oracle holds it.
    fn rounded(mut self) -> Self {
        self.data.iter_mut().for_each(|v| *v = f64::from(*v as f32));
        self
    }

    fn turned(&self) -> Self {
        let Self { rows, cols, data } = self;
        let data = (0..rows * cols).map(|i| data[i % rows * cols + i / rows]).collect();
        Self { rows: *cols, cols: *rows, data }
    }

    /// `U f(s) V^T` from the singular value decomposition.
    fn spectral(&self, f: impl Fn(f64) -> f64) -> Self {
        if self.rows > self.cols {
            return self.turned().spectral(f).turned();
        }
        let (m, n) = (self.rows, self.cols);
        let left = self.left_vectors();
        // Each row is s u: sum of f(s) / s u u^T X.
        let mut data = vec![0.0; m * n];
        let mut along = vec![0.0; n];
        for row in left.chunks_exact(m) {
            let square: f64 = row.iter().map(|v| v * v).sum();
            if square == 0.0 {
                continue;
            }
            along.fill(0.0);
            for (u, x) in row.iter().zip(self.data.chunks_exact(n)) {
                along.iter_mut().zip(x).for_each(|(a, x)| *a += u * x);
            }
            let factor = f(square.sqrt()) / square.sqrt() / square;
            for (u, y) in row.iter().zip(data.chunks_exact_mut(n)) {
                y.iter_mut().zip(&along).for_each(|(y, a)| *y += factor * u * a);
            }
        }
        Self { data, ..*self }
    }

    fn values(&self) -> Vec<f64> {
        if self.rows > self.cols {
            return self.turned().values();
        }
        let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>().sqrt();
        self.left_vectors().chunks_exact(self.rows).map(norm).collect()
    }

    /// Rows `s u` for every singular value s and left vector u of a wide matrix: it is brought to
    /// `L Q` by reflections, then the columns of L are rotated until they are orthogonal (one-sided
    /// Jacobi; Demmel and Veselic 1992).
    fn left_vectors(&self) -> Vec<f64> {
        let m = self.rows;
        let mut columns = self.lower_triangle_by_columns();
        for _ in 0..40 {
            let mut worst = 0.0f64;
            for p in 0..m {
                for q in p + 1..m {
                    let (head, tail) = columns.split_at_mut(q * m);
                    worst = worst.max(rotate(&mut head[p * m..][..m], &mut tail[..m]));
                }
            }
            if worst < 1e-13 {
                break;
            }
        }
        columns
    }

    /// The columns of L in `X = L Q`, one after another.
    fn lower_triangle_by_columns(&self) -> Vec<f64> {
        let (m, n) = (self.rows, self.cols);
        let mut x = self.data.clone();
        let mut columns = vec![0.0; m * m];
        for i in 0..m {
            let (done, below) = x.split_at_mut((i + 1) * n);
            let row = &mut done[i * n + i..];
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
            let end = if row[0] > 0.0 { -norm } else { norm };
            columns[i * m + i] = end;
            row[0] -= end;
            let square: f64 = row.iter().map(|v| v * v).sum();
            for (k, other) in below.chunks_exact_mut(n).enumerate() {
                let other = &mut other[i..];
                if square > 0.0 {
                    let dot: f64 = row.iter().zip(&*other).map(|(a, b)| a * b).sum();
                    let factor = 2.0 * dot / square;
                    other.iter_mut().zip(&*row).for_each(|(b, a)| *b -= factor * a);
                }
                columns[i * m + i + 1 + k] = other[0];
            }
        }
        columns
    }

    /// Whether the largest singular value is below `bound`: exactly where `bound^2 I - X X^T` has a
    /// Cholesky factor.
    fn norm_is_below(&self, bound: f64) -> bool {
        if self.rows > self.cols {
            return self.turned().norm_is_below(bound);
        }
        let (m, n) = (self.rows, self.cols);
        let row = |i: usize| &self.data[i * n..][..n];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut factor = vec![0.0; m * m];
        for i in 0..m {
            for j in 0..=i {
                let diagonal = if i == j { bound * bound } else { 0.0 };
                let known = dot(&factor[i * m..][..j], &factor[j * m..][..j]);
                let rest = diagonal - dot(row(i), row(j)) - known;
                if i > j {
                    factor[i * m + j] = rest / factor[j * m + j];
                } else if rest <= 0.0 {
                    return false;
                } else {
                    factor[i * m + i] = rest.sqrt();
                }
            }
        }
        true
    }
}

/// Makes two vectors orthogonal; the cosine between them before.
fn rotate(a: &mut [f64], b: &mut [f64]) -> f64 {
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b.iter()) {
        aa += a * a;
        bb += b * b;
        ab += a * b;
    }
    if ab == 0.0 || ab.abs() <= 1e-14 * (aa * bb).sqrt() {
        return 0.0;
    }
    let zeta = (bb - aa) / (2.0 * ab);
    let t = if zeta == 0.0 { 1.0 } else { zeta.signum() / (zeta.abs() + zeta.hypot(1.0)) };
    let c = 1.0 / t.hypot(1.0);
    let s = c * t;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
    }
    ab.abs() / (aa * bb).sqrt()
}

fn gaussian(random: &mut Random) -> f64 {
    (0..12).map(|_| f64::from(random.uniform(-0.5, 0.5))).sum()
}

/// A matrix with these singular values: a rectangular diagonal, reflected from both sides.
fn with_values(seed: u64, rows: usize, cols: usize, values: &[f64]) -> Matrix {
    let mut random = Random::new(seed);
    let mut data = vec![0.0; rows * cols];
    values.iter().enumerate().for_each(|(i, s)| data[i * cols + i] = *s);
    let x = Matrix { rows, cols, data };
    reflected(&reflected(&x, &mut random).turned(), &mut random).turned()
}

/// A product of random reflections times `x`.
fn reflected(x: &Matrix, random: &mut Random) -> Matrix {
    let (m, n) = (x.rows, x.cols);
    let mut x = x.clone();
    for _ in 0..m.min(8) {
        let v: Vec<f64> = (0..m).map(|_| gaussian(random)).collect();
        let square: f64 = v.iter().map(|v| v * v).sum();
        let mut sums = vec![0.0; n];
        for (v, row) in v.iter().zip(x.data.chunks_exact(n)) {
            sums.iter_mut().zip(row).for_each(|(s, x)| *s += v * x);
        }
        for (v, row) in v.iter().zip(x.data.chunks_exact_mut(n)) {
            row.iter_mut().zip(&sums).for_each(|(x, s)| *x -= 2.0 * v * s / square);
        }
    }
    x
}

fn random_matrix(seed: u64, rows: usize, cols: usize, scale: f64) -> Matrix {
    let mut random = Random::new(seed);
    let data = (0..rows * cols).map(|_| scale * gaussian(&mut random)).collect();
    Matrix { rows, cols, data }.rounded()
}

/// `count` values from `largest` down to `smallest`, each smaller than the last by one factor.
fn spread(count: usize, largest: f64, smallest: f64) -> Vec<f64> {
    let factor = |i: usize| (smallest / largest).powf(i as f64 / (count.max(2) - 1) as f64);
    (0..count).map(|i| largest * factor(i)).collect()
}

fn soft(c: f64) -> impl Fn(f64) -> f64 {
    move |s| s / (s / c).hypot(1.0)
}

/// The Frobenius norm of the difference, relative to that of `expected`.
fn frobenius(found: &Tensor, expected: &Matrix) -> f64 {
    let found = found.to_vec::<f64>().unwrap();
    let difference: f64 = found.iter().zip(&expected.data).map(|(a, b)| (a - b).powi(2)).sum();
    let size: f64 = expected.data.iter().map(|v| v * v).sum();
    (difference / size.max(f64::MIN_POSITIVE)).sqrt()
}

const FORMS: [Form; 2] = [Form::Classic, Form::Minimax];

/// All ways to clip at up to `ratio` times the radius.
fn clips(c: f64, ratio: f64) -> Vec<SpectralClip> {
    let of_form = |form| {
        let clip = SpectralClip::new(c).form(form);
        let most = if form == Form::Classic { 20 } else { 9 };
        [Steps::Ratio(ratio), Steps::Bound(most), Steps::Fixed(most)].map(|s| clip.clone().steps(s))
    };
    FORMS.into_iter().flat_map(of_form).collect()
}

fn check_clip(what: &str, device: &Device, x: &Matrix, c: f64, ratio: f64, tolerance: f64) {
    let expected = x.spectral(soft(c));
    for clip in clips(c, ratio) {
        let y = clip.run(&x.tensor(device)).unwrap();
        let error = frobenius(&y, &expected);
        assert!(error <= tolerance, "{what}: {clip:?} off by {error:e}");
        let values = y.to_vec::<f64>().unwrap();
        let largest = Matrix { data: values, ..*x }.values().into_iter().fold(0.0, f64::max);
        assert!(largest <= c * (1.0 + 1e-3), "{what}: norm {largest} over {c}");
    }
}

/// The oracle itself follows the definition.
#[test]
fn the_oracle_clips_singular_values() {
    for (i, (rows, cols)) in [(5, 9), (9, 5), (7, 7), (12, 32), (2, 3)].into_iter().enumerate() {
        let x = random_matrix(i as u64, rows, cols, 2.0);
        check_clip("oracle", oracle(), &x, 1.5, 30.0, 1e-6);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn clipping_random_shapes(
        rows in 1usize..70, cols in 1usize..70, seed in 0u64..1000, ratio in 0.1f64..28.0,
        scale in 0i32..3,
    ) {
        let c = [1.0, 1e-3, 37.0][scale as usize];
        let values = spread(rows.min(cols), ratio * c, 1e-3 * ratio * c);
        let x = with_values(seed, rows, cols, &values).rounded();
        for subject in subjects().iter().take(2) {
            check_clip(&subject.label, &subject.device, &x, c, 30.0, 1e-4);
        }
    }
}

/// By the rule's steps, on the host, which runs the same iteration by the same plan.
fn check_large(x: &Matrix, ratio: f64) {
    let device = Device::host();
    let expected = x.spectral(soft(1.0));
    let what = format!("{} x {}, up to {ratio}", x.rows, x.cols);
    for form in FORMS {
        let clip = SpectralClip::new(1.0).form(form).steps(Steps::Ratio(ratio));
        let y = clip.run(&x.tensor(&device)).unwrap();
        let error = frobenius(&y, &expected);
        assert!(error <= 1e-4, "{what}, {form:?}: {error:e}");
        let y = Matrix { data: y.to_vec().unwrap(), ..*x };
        assert!(y.norm_is_below(1.001), "{what}, {form:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Normal matrices, whose singular values lie close together, and spread ones.
    #[test]
    fn clipping_large_random_shapes(
        rows in 1usize..=512, cols in 1usize..=2048, tall in any::<bool>(), normal in any::<bool>(),
        seed in 0u64..1000, ratio in 0.5f64..28.0,
    ) {
        let x = if normal {
            let largest = (rows as f64).sqrt() + (cols as f64).sqrt();
            random_matrix(seed, rows, cols, ratio / largest)
        } else {
            let values = spread(rows.min(cols), ratio, 1e-3 * ratio);
            with_values(seed, rows, cols, &values).rounded()
        };
        let x = if tall { x.turned() } else { x };
        check_large(&x, 1.2 * ratio);
    }
}

/// An accuracy that is asked for holds whatever the singular values, and takes fewer steps.
#[test]
fn clipping_as_accurate_as_asked_for() {
    let shapes =
        [(40, 70, 28.0, 1e-3), (64, 64, 9.0, 1e-2), (33, 20, 2.0, 0.3), (31, 90, 19.0, 0.9)];
    for (rows, cols, ratio, least) in shapes {
        let x = with_values(5, rows, cols, &spread(rows.min(cols), ratio, least * ratio)).rounded();
        let expected = x.spectral(soft(1.0));
        for subject in subjects() {
            for (form, wanted) in FORMS.into_iter().flat_map(|f| [(f, 1e-3), (f, 1e-2)]) {
                let clip = SpectralClip::new(1.0).form(form).accuracy(wanted);
                for steps in [Steps::Ratio(30.0), Steps::Bound(14)] {
                    let y = clip.clone().steps(steps).run(&x.tensor(&subject.device)).unwrap();
                    let error = frobenius(&y, &expected);
                    let what = format!("{form:?} to {wanted} on {}", subject.label);
                    assert!(error <= wanted, "{rows} x {cols} {what}: {error:e}");
                    let y = Matrix { data: y.to_vec().unwrap(), ..x };
                    assert!(y.norm_is_below(1.0 + wanted), "{rows} x {cols} {what}");
                }
            }
        }
    }
    let x = random_matrix(1, 64, 64, 1.0);
    let products = |accuracy: f64| {
        let device = Device::host();
        let x = x.tensor(&device);
        let clip = SpectralClip::new(0.1).form(Form::Minimax).steps(Steps::Ratio(200.0));
        let clip = clip.accuracy(accuracy);
        let (_, profile) = device.profile(|| clip.run(&x)).unwrap();
        profile.launches()
    };
    assert!(products(1e-2) < products(2e-7));
}

#[test]
fn clipping_512_x_2048() {
    check_large(&random_matrix(1, 512, 2048, 0.2), 14.0);
}

/// On a device and its kernels, what is known from how the matrix was made.
#[test]
fn clipping_large_shapes_on_a_device() {
    for (rows, cols, ratio) in [(300, 512, 30.0), (700, 129, 28.0)] {
        let values = spread(rows.min(cols), ratio, 1e-2);
        let x = with_values(3, rows, cols, &values);
        let clipped: Vec<f64> = values.iter().map(|s| soft(1.0)(*s)).collect();
        let expected = with_values(3, rows, cols, &clipped);
        for subject in subjects().iter().take(2) {
            let clip = SpectralClip::new(1.0).form(Form::Minimax).steps(Steps::Ratio(31.0));
            let y = clip.run(&x.tensor(&subject.device)).unwrap();
            let error = frobenius(&y, &expected);
            assert!(error < 1e-4, "{rows} x {cols} on {}: {error:e}", subject.label);
            let y = Matrix { data: y.to_vec().unwrap(), ..x };
            assert!(y.norm_is_below(1.001), "{rows} x {cols} on {}", subject.label);
        }
    }
}

/// Matrices stored as f16: sums are f32, so that what is lost is the rounding of each product.
#[test]
fn stored_as_halves() {
    for (rows, cols, ratio) in [(24, 40, 2.0), (67, 34, 9.0), (64, 150, 27.0)] {
        let values = spread(rows.min(cols), ratio, 0.02 * ratio);
        let x = with_values(9, rows, cols, &values).rounded();
        for c in [1.0, 1e-20, 1e20] {
            let x = Matrix { data: x.data.iter().map(|v| v * c).collect(), ..x }.rounded();
            let expected = x.spectral(soft(c));
            for subject in subjects() {
                let clip = SpectralClip::new(c).steps(Steps::Ratio(28.0)).storage(DType::F16);
                let y = clip.run(&x.tensor(&subject.device)).unwrap();
                let error = frobenius(&y, &expected);
                let what = format!("{rows} x {cols} at {c} on {}", subject.label);
                assert!(error < 8e-3, "{what}: {error:e}");
                let y = Matrix { data: y.to_vec().unwrap(), ..x };
                assert!(y.norm_is_below(1.001 * c), "{what}: {:?}", y.values());
            }
        }
    }
}

/// A radius far above, or far below, everything else; the polar factor and the hard clip.
#[test]
fn halves_at_the_edge() {
    let x = with_values(5, 12, 18, &spread(12, 3.0, 0.3)).rounded();
    let zero = Matrix { data: vec![0.0; 216], ..x };
    for subject in subjects() {
        let what = &subject.label;
        let run = |c: f64, x: &Matrix| {
            let clip = SpectralClip::new(c).steps(Steps::Bound(20)).storage(DType::F16);
            clip.run(&x.tensor(&subject.device)).unwrap()
        };
        assert!(frobenius(&run(1e6, &x), &x) < 1e-3, "{what}");
        assert!(frobenius(&run(1e30, &x), &x) < 1e-3, "{what}");
        assert_eq!(run(1.0, &zero).to_vec::<f32>().unwrap(), [0.0; 216]);
        let y = Matrix { data: run(1e-6, &x).to_vec().unwrap(), ..x };
        assert!(y.norm_is_below(1.001e-6), "{what}: {:?}", y.values());
        let norm = y.data.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!(norm > 1e-6, "{norm:e} on {what}");
        let exact = Polar::muon(5).run(&x.tensor(&subject.device)).unwrap();
        let exact = Matrix { data: exact.to_vec().unwrap(), ..x };
        let polar = Polar::muon(5).storage(DType::F16).run(&x.tensor(&subject.device)).unwrap();
        let error = frobenius(&polar, &exact);
        assert!(error < 1e-2, "polar factor on {what}: {error:e}");
        let hard = HardClip::new(1.0).sign(Polar::express(10).storage(DType::F16));
        let hard = hard.run(&x.tensor(&subject.device)).unwrap();
        let error = frobenius(&hard, &x.spectral(|s| s.min(1.0)));
        assert!(error < 2e-2, "hard clip on {what}: {error:e}");
    }
}

/// The kernels of hardware and of software, in extents around those of tiles.
#[test]
fn every_way_agrees_with_the_oracle() {
    let shapes = [(1, 4, 4), (3, 12, 20), (2, 33, 66), (1, 68, 64), (5, 130, 66)];
    // A little more than one, two and three tiles of columns.
    for (entries, rows, cols) in shapes.into_iter().chain([(1, 36, 65), (1, 36, 129), (1, 36, 193)])
    {
        let data = random_matrix(7, entries * rows, cols, 1.0).data;
        conform(&format!("{entries} of {rows} x {cols}"), 5e-5, |device| {
            let x = Tensor::from_slice(device, &data, [entries, rows, cols])?;
            let mut outputs = Vec::new();
            for form in FORMS {
                let clip = SpectralClip::new(3.0).form(form).steps(Steps::Bound(12));
                outputs.push(clip.run(&x)?);
            }
            outputs.push(SpectralClip::new(3.0).steps(Steps::Fixed(6)).run(&x)?);
            outputs.push(Polar::muon(5).run(&x)?);
            outputs.push(Polar::express(6).run(&x)?);
            outputs.push(HardClip::new(3.0).run(&x)?);
            outputs.push(spectral_norm(&x, 5)?);
            Ok(outputs)
        });
    }
}

/// Several tensors of one shape come out as they would alone, to the bit.
#[test]
fn lists_are_batches() {
    for subject in subjects() {
        let device = &subject.device;
        for (rows, cols) in [(12, 20), (13, 7), (1, 9)] {
            let data = |seed| random_matrix(seed, rows, cols, 1.0).data;
            let x: Vec<Tensor> = (0..3)
                .map(|i| Tensor::from_slice(device, &data(i), [rows, cols]).unwrap())
                .collect();
            let clip = SpectralClip::new(0.7).steps(Steps::Bound(12));
            let (together, flags) = clip.run_all(&x.iter().collect::<Vec<_>>()).unwrap();
            assert_eq!(flags.to_vec::<f32>().unwrap(), [0.0; 3]);
            for (x, y) in x.iter().zip(&together) {
                let alone = clip.run(x).unwrap().to_vec::<f32>().unwrap();
                let close = alone.iter().zip(y.to_vec::<f32>().unwrap());
                let worst = close.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-5, "{rows} x {cols} on {}: {worst}", subject.label);
            }
        }
    }
}

#[test]
fn vectors_have_one_singular_value() {
    let x: Vec<f64> = (1..40).map(|i| f64::from(i) * 0.01).collect();
    let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
    let check = |y: &Tensor, factor: f64, what: &str| {
        for (y, x) in y.to_vec::<f64>().unwrap().iter().zip(&x) {
            assert!((y - factor * x).abs() < 2e-6 * norm, "{what}: {y} for {x}");
        }
    };
    for subject in subjects() {
        for shape in [&[39][..], &[1, 39], &[39, 1], &[1, 39, 1]] {
            let x = Tensor::from_slice(&subject.device, &x, shape).unwrap();
            for c in [0.1, 1.0, 100.0] {
                let what = format!("{shape:?} at {c} on {}", subject.label);
                let clip = SpectralClip::new(c);
                let factor = 1.0 / (norm / c).hypot(1.0);
                check(&clip.run(&x).unwrap(), factor, &what);
                let released = if shape.len() == 1 && norm <= c { 1.0 } else { factor };
                check(&clip.compat(true).run(&x).unwrap(), released, &what);
            }
        }
    }
}

/// Several vectors in one list, each with the norm of its own.
#[test]
fn vectors_of_different_norms() {
    let scales = [0.1f32, 1.0, 30.0, 3.0];
    for shape in [[4, 1, 9], [4, 9, 1]] {
        let mut random = Random::new(19);
        let values: Vec<f32> = (0..36).map(|i| random.uniform(0.5, 1.0) * scales[i / 9]).collect();
        conform(&format!("vectors {shape:?}"), 2e-6, |device| {
            let x = Tensor::from_slice(device, &values, shape)?;
            let turned: Vec<f32> = values.iter().rev().copied().collect();
            let turned = Tensor::from_slice(device, &turned, shape)?;
            SpectralClip::new(1.0).run_all(&[&x, &turned]).map(|(y, _)| y)
        });
    }
}

/// Matrices from subnormal numbers to the largest: outcomes scale along, or are 0 where an adapter takes
/// subnormal numbers for 0.
#[test]
fn functions_of_every_scale() {
    for [rows, cols] in [[5, 8], [8, 5], [1, 7]] {
        let values = spread(rows.min(cols), 0.9, 0.2);
        let plain = with_values(23, rows, cols, &values).rounded();
        for subject in subjects() {
            let device = &subject.device;
            for scale in [1e-45, 1e-41, 1e-38, 1e-30, 1e-20, 1.0, 1e20, 1e30, 3e38] {
                let data = plain.data.iter().map(|v| v * scale).collect();
                let x = Matrix { data, ..plain }.rounded();
                let what = format!("{rows} x {cols} at {scale:e} on {}", subject.label);
                let run = |y: Result<Tensor>, expected: &Matrix, tolerance: f64, name: &str| {
                    let y = y.unwrap();
                    let found = y.to_vec::<f64>().unwrap();
                    assert!(found.iter().all(|v| v.is_finite()), "{name}, {what}: {found:?}");
                    // Half of f32's bits are gone at 1e-41, all but one at 1e-45.
                    let nothing = found.iter().all(|v| *v == 0.0);
                    if scale < 1e-44 || scale < 1e-37 && nothing {
                        return;
                    }
                    // Scaled before squares are taken.
                    let size = expected.data.iter().fold(0.0f64, |m, v| m.max(v.abs()));
                    let error = found.iter().zip(&expected.data);
                    let error = error.map(|(a, b)| (a - b).abs() / size).fold(0.0, f64::max);
                    let bits = if scale < 1e-37 { 1e-45 / scale } else { 0.0 };
                    assert!(error <= tolerance + 30.0 * bits, "{name}, {what}: off by {error:e}");
                };
                let t = x.tensor(device);
                run(Polar::express(8).run(&t), &x.spectral(|_| 1.0), 1e-4, "polar");
                let classic = |c: f64| SpectralClip::new(c).steps(Steps::Bound(20));
                if scale > 1e-37 && scale < 1e38 {
                    let c = 0.5 * scale;
                    run(classic(c).run(&t), &x.spectral(soft(c)), 1e-5, "soft, along");
                    let c = f64::from(c as f32);
                    run(HardClip::new(c).run(&t), &x.spectral(|s| s.min(c)), 1e-5, "hard, along");
                }
                let over = (scale * 1e3).clamp(1e-37, 3e38);
                run(classic(3e38).run(&t), &x.spectral(soft(3e38)), 1e-5, "soft, far below");
                run(classic(1e-37).run(&t), &x.spectral(soft(1e-37)), 2e-3, "soft, far above");
                let hard = x.spectral(|s| s.min(10.0));
                run(HardClip::new(10.0).run(&t), &hard, 1e-4, "hard, at 10");
                // Below the radius nothing changes, to the bit, in a tape too.
                if scale < 1e38 {
                    let bits = |t: &Tensor| -> Vec<u32> {
                        t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect()
                    };
                    let y = HardClip::new(over).run(&t).unwrap();
                    assert_eq!(bits(&y), bits(&t), "hard below, {what}");
                    if scale > 1e-37 {
                        let leaf = Tape::new().leaf(&t);
                        let y = leaf.hard_clip(&HardClip::new(over)).unwrap();
                        assert_eq!(bits(y.value()), bits(&t), "hard below on a tape, {what}");
                        let y = leaf.polar(&Polar::express(8)).unwrap();
                        let expected = x.spectral(|_| 1.0);
                        run(Ok(y.value().clone()), &expected, 1e-4, "polar on a tape");
                    }
                }
                let norm = spectral_norm(&t, 200).unwrap();
                let largest = Matrix {
                    rows: 1,
                    cols: 1,
                    data: vec![x.values().into_iter().fold(0.0, f64::max)],
                };
                run(Ok(norm), &largest, 1e-3, "norm");
            }
        }
    }
}

/// Both ends of f32 in one matrix.
#[test]
fn matrices_of_every_size_at_once() {
    type Run = fn(&Tensor) -> Result<Tensor>;
    let runs: [(&str, Run); 9] = [
        ("muon's polar", |x| Polar::muon(5).run(x)),
        ("classic polar", |x| Polar::classic(20).run(x)),
        ("polar express", |x| Polar::express(8).run(x)),
        ("soft", |x| SpectralClip::new(1.0).run(x)),
        ("soft, large", |x| SpectralClip::new(1e38).run(x)),
        ("soft, small", |x| SpectralClip::new(1e-37).run(x)),
        ("hard", |x| HardClip::new(1.0).run(x)),
        ("hard, large", |x| HardClip::new(1e38).run(x)),
        ("norm", |x| spectral_norm(x, 50)),
    ];
    let (most, tiny) = (2.4e38f32, 1e-40f32);
    let cells = [
        (0, most),
        (1, -most),
        (6, most),
        (7, most),
        (14, tiny),
        (16, -tiny),
        (21, 1.2e-38),
        (23, -0.0),
    ];
    let mut wide = [0.0f32; 24];
    cells.into_iter().for_each(|(at, v)| wide[at] = v);
    let tall: Vec<f32> = (0..24).map(|i| wide[i % 4 * 6 + i / 4]).collect();
    for (x, shape) in [(&wide[..], [4, 6]), (&tall, [6, 4])] {
        for (what, run) in runs {
            let outcome = |device: &Device| -> Vec<f64> {
                let x = Tensor::from_slice(device, x, shape).unwrap();
                run(&x).unwrap().to_vec().unwrap()
            };
            let expected = outcome(oracle());
            let size = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
            for subject in subjects() {
                let found = outcome(&subject.device);
                let errors = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / size);
                let worst = errors.fold(0.0, f64::max);
                let finite = found.iter().all(|v| v.is_finite());
                assert!(
                    finite && worst < 1e-4,
                    "{what} of {shape:?} on {}: {found:?}, not {expected:?}",
                    subject.label
                );
            }
        }
    }
}

/// Singular values just below the radius stay to the bit; one above it does not.
#[test]
fn hard_clipping_is_the_identity_below_the_radius() {
    for subject in subjects() {
        for [rows, cols] in [[9, 14], [14, 9], [8, 8]] {
            let x = with_values(31, rows, cols, &spread(rows.min(cols), 0.97, 0.3)).rounded();
            let t = x.tensor(&subject.device);
            let y = HardClip::new(1.0).run(&t).unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap(), t.to_vec::<f32>().unwrap(), "{}", subject.label);
            let y = HardClip::new(0.9).run(&t).unwrap();
            let error = frobenius(&y, &x.spectral(|s| s.min(0.9)));
            assert!(error < 1e-5, "{error:e} on {}", subject.label);
        }
    }
}

/// Zero, rank-deficient, tiny and huge matrices.
#[test]
fn matrices_at_the_edge() {
    let deficient = with_values(5, 12, 18, &[6.0, 3.0, 3.0, 1e-3]).rounded();
    for subject in subjects() {
        let device = &subject.device;
        let zero = Tensor::from_slice(device, &[0.0f32; 20], [4, 5]).unwrap();
        for form in FORMS {
            let clip = SpectralClip::new(1.0).form(form).steps(Steps::Bound(12));
            assert_eq!(clip.run(&zero).unwrap().to_vec::<f32>().unwrap(), [0.0; 20]);
        }
        assert_eq!(Polar::muon(5).run(&zero).unwrap().to_vec::<f32>().unwrap(), [0.0; 20]);
        assert_eq!(HardClip::new(1.0).run(&zero).unwrap().to_vec::<f32>().unwrap(), [0.0; 20]);
        check_clip(&subject.label, device, &deficient, 1.0, 10.0, 1e-5);
        for scale in [1e-20, 1e20] {
            let x =
                Matrix { data: deficient.data.iter().map(|v| v * scale).collect(), ..deficient };
            let x = x.rounded();
            // The radius moves along with the scale, or stays: then nothing, or all, is clipped.
            check_clip(&subject.label, device, &x, scale, 10.0, 1e-5);
            let y = SpectralClip::new(1.0).steps(Steps::Fixed(30)).run(&x.tensor(device)).unwrap();
            if scale < 1.0 {
                assert!(frobenius(&y, &x) < 1e-6, "{}", subject.label);
            } else {
                let largest =
                    y.to_vec::<f64>().unwrap().iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                assert!(largest <= 1.0 && largest > 0.1, "{largest} on {}", subject.label);
            }
            let y = Polar::express(8).run(&x.tensor(device)).unwrap();
            let same = Polar::express(8).run(&deficient.tensor(device)).unwrap();
            let same = Matrix { data: same.to_vec().unwrap(), ..deficient };
            assert!(frobenius(&y, &same) < 1e-3, "{}", subject.label);
        }
    }
}

/// A matrix that is not finite becomes zeros and raises its flag; its neighbours are as they would
/// be without it.
#[test]
fn faults_raise_flags() {
    for subject in subjects() {
        let device = &subject.device;
        for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for shape in [[3, 6, 9], [3, 1, 9]] {
                let count = shape[1] * shape[2];
                let good = Random::new(9).values(3 * count, -1.0, 1.0);
                let mut bad = good.clone();
                bad[count + 5] = fault;
                let run = |values: &[f32]| {
                    let x = Tensor::from_slice(device, values, shape).unwrap();
                    let (y, flags) = SpectralClip::new(0.5).run_flagged(&x).unwrap();
                    let (p, _) = Polar::muon(5).run_flagged(&x).unwrap();
                    [y, flags, p].map(|t| t.to_vec::<f32>().unwrap())
                };
                let (clean, found) = (run(&good), run(&bad));
                assert_eq!(clean[1], [0.0; 3]);
                assert_eq!(found[1], [0.0, 1.0, 0.0], "{fault} on {}", subject.label);
                for (clean, found) in [(&clean[0], &found[0]), (&clean[2], &found[2])] {
                    assert!(found[count..2 * count].iter().all(|v| *v == 0.0), "{found:?}");
                    assert_eq!(found[..count], clean[..count]);
                    assert_eq!(found[2 * count..], clean[2 * count..]);
                }
            }
        }
    }
}

/// A factor on the device is a factor of the radius.
#[test]
fn the_radius_can_change_on_the_device() {
    let data = random_matrix(2, 6, 10, 1.0).data;
    for subject in own_subjects() {
        let device = &subject.device;
        let x = Tensor::from_slice(device, &data, [6, 10]).unwrap();
        let factor = Tensor::from_slice(device, &[1.0f32], [1]).unwrap();
        let clip = SpectralClip::new(0.5).factor(&factor);
        let (y, capture) = device.capture(|| clip.run(&x)).unwrap();
        for c in [0.5f64, 2.0, 0.125] {
            factor.write(&[(c / 0.5) as f32]).unwrap();
            capture.replay().unwrap();
            let expected = SpectralClip::new(c).run(&x).unwrap();
            let expected = expected.to_vec::<f32>().unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap(), expected, "{c} on {}", subject.label);
        }
    }
}

#[test]
fn polar_factors() {
    for (rows, cols, smallest) in [(9, 14, 0.1), (14, 9, 0.1), (40, 68, 0.05)] {
        let values = spread(rows.min(cols), 3.0, smallest);
        let x = with_values(rows as u64, rows, cols, &values).rounded();
        let expected = x.spectral(|_| 1.0);
        for subject in subjects() {
            let run = |polar: Polar| polar.run(&x.tensor(&subject.device)).unwrap();
            for polar in [Polar::express(8), Polar::classic(25)] {
                let error = frobenius(&run(polar.clone()), &expected);
                assert!(error < 1e-4, "{polar:?} on {}: {error:e}", subject.label);
            }
            let y = Matrix { data: run(Polar::muon(5)).to_vec().unwrap(), ..x };
            assert!(y.values().iter().all(|s| (0.6..1.25).contains(s)), "{:?}", y.values());
        }
    }
}

/// Each singular value goes through the polynomials by itself, whatever the shape: of wide matrices
/// several are combined before the matrix is touched.
#[test]
fn polar_factors_are_polynomials_of_singular_values() {
    let polars = [Polar::muon(1), Polar::muon(5), Polar::muon(6), Polar::classic(7)];
    let polars =
        polars.into_iter().chain([Polar::express(5), Polar::custom(&[[2.0, -1.5, 0.5]; 4])]);
    let polars: Vec<Polar> = polars.collect();
    for (rows, cols) in [(9, 14), (7, 14), (20, 90), (70, 30), (12, 12), (3, 64)] {
        let values = spread(rows.min(cols), 3.0, 3e-3);
        let x = with_values(7, rows, cols, &values).rounded();
        let norm = x.data.iter().map(|v| v * v).sum::<f64>().sqrt();
        for polar in &polars {
            let margin = if *polar == Polar::express(5) { 1.01 } else { 1.0 };
            let step = |s: f64, [a, b, c]: &[f64; 3]| s * (a + s * s * (b + s * s * c));
            let through = |s: f64| polar.coefficients().iter().fold(s, step);
            let expected = x.spectral(|s| through(s / (margin * norm + 1e-7)));
            for subject in subjects() {
                let error = frobenius(&polar.run(&x.tensor(&subject.device)).unwrap(), &expected);
                let what = format!("{rows} x {cols} on {}", subject.label);
                assert!(error < 1e-4, "{what}, {polar:?}: {error:e}");
            }
        }
    }
}

#[test]
fn hard_clipping() {
    for (rows, cols) in [(9, 14), (14, 9), (24, 24)] {
        let x = with_values(4, rows, cols, &spread(rows.min(cols), 5.0, 0.2)).rounded();
        let expected = x.spectral(|s| s.min(1.3));
        for subject in subjects() {
            let y = HardClip::new(1.3).run(&x.tensor(&subject.device)).unwrap();
            let error = frobenius(&y, &expected);
            assert!(error < 1e-4, "{rows} x {cols} on {}: {error:e}", subject.label);
        }
    }
}

#[test]
fn spectral_norms() {
    for (rows, cols) in [(1, 1), (3, 50), (50, 3), (31, 17)] {
        for scale in [1.0, 1e-20, 1e20] {
            let values = spread(rows.min(cols), 2.0 * scale, 0.1 * scale);
            let x = with_values(6, rows, cols, &values).rounded();
            for subject in subjects() {
                let found = spectral_norm(&x.tensor(&subject.device), 100).unwrap();
                let found = f64::from(found.item().unwrap()) / (2.0 * scale);
                assert!((found - 1.0).abs() < 1e-4, "{rows} x {cols}: {found}");
            }
        }
    }
}

fn leaf(seed: u64, rows: usize, cols: usize, scale: f64) -> Vec<f64> {
    random_matrix(seed, rows, cols, scale).data
}

#[test]
fn gradients_by_differences() {
    let check = |shape: &[usize], what: &str, f: &dyn Fn(&Var) -> Result<Var>| {
        let (rows, cols) = match *shape {
            [cols] => (1, cols),
            [rows, cols] => (rows, cols),
            [entries, rows, cols] => (entries * rows, cols),
            _ => unreachable!(),
        };
        let x = (leaf(1, rows, cols, 1.0), shape);
        let outcome = gradient_check(&[x], 1e-5, |v| Ok(vec![f(&v[0])?])).unwrap();
        assert!(outcome.error < 1e-6, "{what} {shape:?}: {outcome:?}");
    };
    for shape in [&[3, 5][..], &[5, 3], &[4, 4], &[2, 2, 3], &[5], &[1, 4]] {
        for form in FORMS {
            // The same polynomials with a gradient and without.
            let steps = Steps::Fixed(if form == Form::Classic { 14 } else { 6 });
            let clip = SpectralClip::new(0.8).form(form).steps(steps);
            check(shape, &format!("{form:?}"), &|x| x.spectral_clip(&clip));
        }
        check(shape, "muon", &|x| x.polar(&Polar::muon(3)));
        let hard = HardClip::new(0.8).sign(Polar::classic(12));
        check(shape, "hard", &|x| x.hard_clip(&hard));
    }
}

/// The exact derivative, by the formula with divided differences: that of the iteration equals it.
#[test]
fn gradients_on_every_device() {
    for (rows, cols) in [(6, 10), (10, 6), (8, 8)] {
        let (x, g) = (leaf(2, rows, cols, 1.0), leaf(3, rows, cols, 1.0));
        conform(&format!("gradient of {rows} x {cols}"), 1e-4, |device| {
            let mut outputs = Vec::new();
            for form in FORMS {
                let tape = Tape::new();
                let leaf = tape.leaf(&Tensor::from_slice(device, &x, [rows, cols])?);
                let clip = SpectralClip::new(0.9).form(form).steps(Steps::Ratio(20.0));
                let y = leaf.spectral_clip(&clip)?;
                let seed = Tensor::from_slice(device, &g, [rows, cols])?;
                let gradients = seeded(&[(&y, seed)])?.backward()?;
                outputs.extend([y.value().clone(), gradients.get(&leaf).unwrap().clone()]);
            }
            let tape = Tape::new();
            let leaf = tape.leaf(&Tensor::from_slice(device, &x, [rows, cols])?);
            let y = leaf.hard_clip(&HardClip::new(0.9).sign(Polar::muon(5)))?;
            let seed = Tensor::from_slice(device, &g, [rows, cols])?;
            let gradients = seeded(&[(&y, seed)])?.backward()?;
            outputs.extend([y.value().clone(), gradients.get(&leaf).unwrap().clone()]);
            Ok(outputs)
        });
    }
}

#[test]
fn the_same_bits_every_time() {
    let data = random_matrix(8, 67, 90, 1.0).data;
    for subject in subjects() {
        let x = Tensor::from_slice(&subject.device, &data, [67, 90]).unwrap();
        let run = || {
            let clip = SpectralClip::new(0.5).form(Form::Minimax).run(&x).unwrap();
            let polar = Polar::express(6).run(&x).unwrap();
            [clip, polar]
                .map(|t| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(run(), run(), "{}", subject.label);
    }
}

#[test]
fn mistakes_are_errors() {
    let device = Device::host();
    let x = Tensor::from_slice(&device, &[1.0f32; 6], [2, 3]).unwrap();
    let argument = |e: Result<Tensor>| assert!(matches!(e, Err(Error::Argument { .. })), "{e:?}");
    for c in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60, 1e60] {
        argument(SpectralClip::new(c).run(&x));
        argument(HardClip::new(c).run(&x));
    }
    for accuracy in [0.0, 1e-8, 0.6, -1.0, f64::NAN] {
        assert!(SpectralClip::new(1.0).accuracy(accuracy).run(&x).is_err(), "accuracy {accuracy}");
    }
    for steps in [Steps::Fixed(0), Steps::Bound(0), Steps::Fixed(1000), Steps::Ratio(f64::NAN)] {
        argument(SpectralClip::new(1.0).steps(steps).run(&x));
    }
    argument(SpectralClip::new(1.0).storage(DType::U32).run(&x));
    argument(SpectralClip::new(1.0).form(Form::Minimax).storage(DType::F16).run(&x));
    argument(Polar::muon(5).storage(DType::Bits).run(&x));
    argument(Polar::muon(0).run(&x));
    argument(Polar::custom(&[[1.0, f64::NAN, 0.0]]).run(&x));
    argument(spectral_norm(&x, 0));
    assert!(matches!(SpectralClip::new(1.0).run_all(&[]), Err(Error::Argument { .. })));
    let other = Tensor::from_slice(&device, &[1.0f32; 6], [3, 2]).unwrap();
    let error = SpectralClip::new(1.0).run_all(&[&x, &other]);
    assert!(matches!(error, Err(Error::Shape { .. })));
    let words = Tensor::from_slice(&device, &[1u32; 6], [2, 3]).unwrap();
    assert!(matches!(SpectralClip::new(1.0).run(&words), Err(Error::DType { .. })));
    assert!(matches!(Polar::muon(5).run(&words), Err(Error::DType { .. })));
    let far = Tensor::from_slice(&Device::oracle(), &[1.0f32; 6], [2, 3]).unwrap();
    let error = Polar::muon(5).run_all(&[&x, &far]);
    assert!(matches!(error, Err(Error::DeviceMismatch { .. })));
    let error = SpectralClip::new(1.0).factor(&words).run(&x);
    assert!(matches!(error, Err(Error::DType { .. })));
    let leaf = Tape::new().leaf(&x.reshape([6]).unwrap());
    let error = leaf.spectral_clip(&SpectralClip::new(1.0).compat(true));
    assert!(matches!(error, Err(Error::Unsupported { .. })));
}

#[test]
fn nothing_to_clip() {
    for subject in subjects() {
        for shape in [[0, 4, 5], [2, 0, 5], [2, 4, 0]] {
            let x = Tensor::from_slice(&subject.device, &[0.0f32; 0], shape).unwrap();
            assert_eq!(*SpectralClip::new(1.0).run(&x).unwrap().shape(), shape);
            assert_eq!(*Polar::muon(5).run(&x).unwrap().shape(), shape);
            assert_eq!(*HardClip::new(1.0).run(&x).unwrap().shape(), shape);
            assert_eq!(spectral_norm(&x, 3).unwrap().count(), shape[0]);
        }
    }
}
