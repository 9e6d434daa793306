//! Outputs whose elements are computed one by one.

use super::parallel::*;

/// Elements that one task computes.
const CHUNK: usize = 8192;

/// `y[i] = f(i)`, in parallel.
pub(crate) fn each<T: Send>(y: &mut [T], f: impl Fn(usize) -> T + Sync) {
    y.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, y)| {
        for (k, y) in y.iter_mut().enumerate() {
            *y = f(chunk * CHUNK + k);
        }
    });
}
