//! Train spiking networks on any GPU.

mod device;
mod dispatch;
mod dtype;
mod error;
mod gpu;
mod host;
mod kernel;
mod shape;
mod tensor;

pub mod tape;

pub mod elementwise;
pub mod encode;
pub mod layout;
pub mod lif;
pub mod linalg;
pub mod loss;
pub mod optim;
pub mod random;
pub mod reduce;

pub mod nn;

#[cfg(feature = "checkpoint")]
pub mod checkpoint;
#[cfg(feature = "data")]
pub mod data;
#[cfg(feature = "plot")]
pub mod plot;

pub use device::{Device, DeviceBuilder};
pub use dispatch::{Bind, Bound, Capture, Divergence, Launch, MemoryReport, Profile, ProfileRow};
pub use dtype::DType;
pub use error::{Error, Result};
pub use gpu::{
    Access, AdapterSummary, Binding, Capabilities, CoopMatrix, Element as BindingElement,
    Reflection, api, compose, reflect, shared_sources, specialise,
};
pub use host::{Array, HostArgs, Real};
pub use kernel::{BASELINE, Cost, CostArgs, Kernel, Needs, Program, Twin, Variant};
pub use shape::{IntoShape, MAX_RANK, Shape};
pub use tape::{Gradients, Param, Tape, Var};
pub use tensor::{Element, ReadBack, Tensor};

/// All kernels of the crate. What holds for every kernel is tested over this table.
pub fn kernels() -> Vec<&'static Kernel> {
    [
        elementwise::KERNELS,
        random::KERNELS,
        reduce::KERNELS,
        layout::KERNELS,
        linalg::KERNELS,
        lif::KERNELS,
        loss::KERNELS,
        optim::KERNELS,
        encode::KERNELS,
    ]
    .concat()
}
