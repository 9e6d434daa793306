//! Tokens and their embeddings: table look-up, the shift over time, the mix of two paths, the mask of
//! the largest.
//!
//! Sequences are time-major, `[S, B, D]`: S tokens, batch, channels. Token numbers are u32 tensors of
//! any shape.

mod blend;
mod embedding;
mod rows;
mod shift;
mod sort;
mod top_k;

pub(crate) use blend::BlendBackwardParams;
pub use embedding::check_tokens;

use crate::kernel::Kernel;

/// The kernels of the family.
pub const KERNELS: &[&Kernel] = &[
    &embedding::EMBEDDING,
    &embedding::EMBEDDING_PARTS,
    &embedding::EMBEDDING_BACKWARD,
    &sort::DIGIT_COUNTS,
    &sort::DIGIT_SCAN,
    &sort::DIGIT_SCATTER,
    &sort::TOKEN_STARTS,
    &shift::TOKEN_SHIFT,
    &shift::TOKEN_SHIFT_BACKWARD,
    &shift::TOKEN_SHIFT_MIX,
    &blend::BLEND,
    &blend::BLEND_BACKWARD,
    &top_k::TOP_K_MASK,
    &top_k::TOP_K_BACKWARD,
];
