//! Real transforms of short lines as products with the matrix of the transform.

use super::lines::{Kind, Request};
use super::plan::{dense_pays, root};
use crate::linalg::{Layout, matmul};
use crate::{DType, Result, Tensor};

/// The outcome in rows, if this is the fastest way: for real lines that follow each other.
pub(super) fn run(request: &Request, x: &Tensor) -> Result<Option<Tensor>> {
    let device = x.device();
    let real = matches!(request.kind, Kind::RealForward | Kind::RealInverse);
    let plain = real && request.inner == 1 && x.dtype() == DType::F32;
    let pays = !device.is_oracle() && dense_pays(request.length, device.tuning().matrix_lines);
    if !(plain && pays && x.count() > 0) {
        return Ok(None);
    }
    let (n, words) = (request.length, 2 * (request.length / 2 + 1));
    let forward = request.kind == Kind::RealForward;
    let scale = request.scale.to_bits() as usize;
    let key = [n, usize::from(forward), scale, request.middle.to_bits() as usize, 0, 0];
    let matrix = device.cached(("fourier matrix", key), || matrix(request))?;
    let shape = if forward { [n, words] } else { [words, n] };
    let rows = x.reshape([request.outer, shape[0]])?;
    matmul(&rows, &matrix.reshape(shape)?, Layout::NN).map(Some)
}

/// Of a forward transform `[N, N/2 + 1, 2]`: exp(-2 pi i k m / N); of an inverse its transpose, with the
/// mirror image of every bin that has one added, and without the imaginary parts of those that have
/// none.
fn matrix(request: &Request) -> Vec<f32> {
    let n = request.length;
    let forward = request.kind == Kind::RealForward;
    let part = |k: usize, m: usize| -> [f32; 2] {
        let edge = k == 0 || 2 * k == n;
        let weight = if edge { request.scale } else { request.scale * f64::from(request.middle) };
        let z = root(k * m % n, n);
        let (re, im) = match (forward, edge) {
            (true, _) => (z.re, z.im),
            (false, true) => (z.re, 0.0),
            (false, false) => (2.0 * z.re, 2.0 * z.im),
        };
        [(weight * re) as f32, (weight * im) as f32]
    };
    let bins = n / 2 + 1;
    if forward {
        return (0..n).flat_map(|m| (0..bins).flat_map(move |k| part(k, m))).collect();
    }
    let row = |k: usize, which: usize| (0..n).map(move |m| part(k, m)[which]);
    (0..bins).flat_map(|k| row(k, 0).chain(row(k, 1))).collect()
}
