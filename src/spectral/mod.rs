//! Functions of singular values, by matrix products alone.
//!
//! With `X = U diag(s) V^T`:
//!
//! | | what becomes of a singular value | |
//! |---|---|---|
//! | [`SpectralClip`] | `s / sqrt(1 + (s / c)^2)`: below `c`, small ones kept | soft spectral clipping |
//! | [`HardClip`] | `min(s, c)` | from two matrix signs; the identity below `c` |
//! | [`Polar`] | 1 (0 stays 0) | Muon's update, the nearest orthogonal matrix |
//! | [`spectral_norm`] | the largest of them | power iteration |
//!
//! All of them take a matrix, a batch of matrices `[.., rows, cols]`, or a list of tensors of one
//! shape, and run them together: as many launches for a hundred matrices as for one. Everything that
//! depends on the data (scales, bounds, numbers of steps) stays on the device, so that a captured
//! training step can hold them.
//!
//! # How soft clipping works
//!
//! On the short side of `X` (`m x m`, `m <= n`), `A = (I + X X^T / c^2) / alpha` has its eigenvalues in
//! `[1 / alpha, 1]` where `alpha = 1 + b / c^2` and `b`, the smaller of the largest row sum and the
//! Frobenius norm of `X X^T`, bounds the largest eigenvalue. (The minimax form, whose first polynomial
//! needs `(X X^T)^2` anyway, takes the root of that matrix's bound, which is tighter.) The Newton-Schulz iteration for the inverse
//! square root is run on the pair `(M, Z)`, which starts as `(A, I)`:
//!
//! ```text
//! M <- p(M)^2 M,  Z <- p(M) Z        M -> I,  Z -> A^(-1/2);   out = Z X / sqrt(alpha)
//! p(M) = (3 I - M) / 2               classic
//! p(M) = a I + b M + c M^2           minimax quintic: a, b, c are chosen for the interval that the
//!                                    eigenvalues lie in at that iteration; where the bound decides on
//!                                    the steps, c = 0 at the last one if that is accurate enough
//! ```
//!
//! This is the coupled iteration `T = (3 I - Z Y) / 2, Y <- Y T, Z <- T Z` of the released code written
//! with `M = Z Y` (the product form of Cheng, Higham, Kenney and Laub, "Approximating the logarithm of
//! a matrix to specified accuracy", 2001): the same numbers in exact arithmetic, with as many products.
//! But every product is one of polynomials of a single symmetric matrix, so that only the half on and
//! above the diagonal has to be computed. In the released form that fails: the half that is left out
//! is not the mirror image of the other by more than rounding, and the iteration amplifies the
//! difference.
//!
//! Sources: SPECTRA (spectral clipping of gradients and updates); Higham, "Functions of Matrices"
//! (2008), chapter 6; Jordan et al., "Muon" (2024); Amsel et al., "The Polar Express" (2025).

mod apply;
mod batch;
mod blend;
mod bound;
mod clip;
mod hard;
mod norm;
mod plan;
mod polar;
mod power;
mod product;
mod schedule;
mod tiling;
mod unrolled;
mod vector;
mod wide;

pub use clip::{Form, SpectralClip, Steps};
pub use hard::HardClip;
pub use polar::Polar;
pub use power::spectral_norm;

pub(crate) use apply::ApplyProductParams;
pub(crate) use product::{SymmetricProductParams, upper_tile};

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &apply::APPLY_PRODUCT,
    &apply::APPLY_PRODUCT_TILED,
    &blend::MATRIX_BLEND,
    &plan::CLIP_PLAN,
    &plan::CLIP_START,
    &wide::CROP,
    &bound::GRAM_ROWS,
    &hard::HARD_JOIN,
    &norm::MATRIX_SCALE,
    &norm::NORM_PARTS,
    &product::SYMMETRIC_PRODUCT,
    &product::SYMMETRIC_PRODUCT_TILED,
    &wide::TO_WIDE,
    &power::UNIT_VECTORS,
    &vector::VECTOR_CLIP,
];
