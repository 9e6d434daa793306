//! The LIF scan in f32. Columns are independent: they are cut into blocks that threads share, and within
//! a block time runs outside and columns inside, so that rows stream and loops vectorise.

mod backward;
mod block;
mod forward;
mod rows;

pub(crate) use backward::backward;
pub(crate) use forward::forward;

/// The options of a launch.
type Options = crate::lif::membrane::Options<f32>;

/// The parameters of a layer.
type Layer<'a> = crate::lif::membrane::Layer<'a, f32>;
