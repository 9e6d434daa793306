//! Elements moved fast: floats and words alike.

mod strided;
mod transpose;

pub(crate) use strided::strided;
pub(crate) use transpose::transpose;
