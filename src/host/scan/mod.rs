//! Recurrences in f32. A launch is cut into parts that threads share: blocks of columns over all steps,
//! or, where there are chunks, all columns over the steps of one. Within a part time runs outside and
//! columns inside, so that rows stream and loops vectorise.

mod decay;
mod parts;
mod wkv;
mod wkv_backward;

pub(crate) use decay::{decay_backward, decay_scan};
pub(crate) use wkv::wkv;
pub(crate) use wkv_backward::wkv_backward;
