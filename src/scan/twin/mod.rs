//! The CPU twins. A launch is cut into parts that threads share: blocks of columns over all steps,
//! or, where there are chunks, all columns over the steps of one. Within a part time runs outside and
//! columns inside, so that rows stream and loops vectorise.

mod carry;
mod decay;
mod parts;
mod rate;
mod wkv;
mod wkv_backward;

pub(super) use carry::{decay_carry, wkv_carry, wkv_carry_backward};
pub(super) use decay::{decay_backward, decay_scan};
pub(super) use wkv::wkv;
pub(super) use wkv_backward::wkv_backward;
