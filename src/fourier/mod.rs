//! Fourier transforms of any length, and operators on spectra.
//!
//! A complex tensor is an f32 tensor whose last axis holds the real and the imaginary part:
//! `[.., 2]`. Axes are counted without it. Its gradient has the same shape and holds the derivatives
//! with respect to both parts, dL/dRe + i dL/dIm.
//!
//! Every length has a transform: a mixed radix of 2, 3, 4, 5, 7, 8 and primes up to 37, and
//! Bluestein's convolution where a larger prime divides it. Real lines of even length are complex
//! ones of half the length. Roots of unity and chirps are made in f64, once a device.

mod bins;
mod chain;
mod codes;
mod complex;
mod complex_linear;
mod concrete;
mod dense;
mod gate;
pub(crate) mod gate_kernels;
mod lines;
mod mix;
mod nodes;
mod oracle;
pub(crate) mod plan;
mod shrink;
pub(crate) mod spectrum;
mod token_lines;
mod transform;

pub use codes::{cpg_codes, cpg_pairs};
pub use complex_linear::complex_linear;
pub use concrete::HardConcrete;
pub use gate::{ComplexGate, Gated};
pub use mix::{graph_dense, graph_diag, graph_diag_outer};
pub use nodes::node_lines;
pub use token_lines::token_lines;
pub use transform::{Scaling, fft, ifft, irfft, rfft};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &bins::BIN_GATE,
    &bins::BIN_GATE_BACKWARD,
    &concrete::HARD_CONCRETE,
    &concrete::HARD_CONCRETE_BACKWARD,
    &gate_kernels::COMPLEX_GATE,
    &gate_kernels::COMPLEX_GATE_BACKWARD,
    &complex::COMPLEX_MAP,
    &complex::COMPLEX_MAP_BACKWARD,
    &complex::COMPLEX_PRODUCT,
    &complex_linear::COMPLEX_WEIGHT,
    &complex_linear::COMPLEX_WEIGHT_BACKWARD,
    &lines::FFT_LINES,
    &lines::FFT_SPLIT,
    &lines::FFT_TILE,
    &chain::MIX_DENSE,
    &chain::MIX_REACHED,
    &mix::MIX_DIAG,
    &mix::MIX_DIAG_BACKWARD,
    &mix::MIX_SHRINK,
    &mix::MIX_SHRINK_BACKWARD,
    &nodes::NODE_LINES,
    &nodes::NODE_LINES_BACKWARD,
    &token_lines::TOKEN_LINES,
    &token_lines::TOKEN_LINES_BACKWARD,
];
