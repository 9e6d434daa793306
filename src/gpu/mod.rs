//! The graphics API: the only folder that calls `wgpu`.
//!
//! It opens adapters, keeps pipelines and bind groups, composes shaders and reflects them with naga,
//! encodes batches of commands and reads results back. It knows nothing of kernels or tensors.

mod adapters;
mod buffers;
mod capabilities;
mod compose;
mod context;
mod disk_cache;
mod encode;
mod faults;
mod fragments;
mod lock;
mod loops;
mod options;
mod overrides;
mod pipelines;
mod readback;
mod reflect;
mod sharing;
mod timing;

pub use adapters::AdapterSummary;
pub(crate) use adapters::{Adapter, list};
pub(crate) use buffers::GpuBuffer;
pub(crate) use capabilities::SOFTWARE_ITERATIONS;
pub use capabilities::{Capabilities, CoopMatrix};
pub(crate) use compose::compose_text;
pub use compose::{WgslModule, compose};
pub(crate) use context::Context;
pub(crate) use encode::{Arena, Batch, Command, SLOT};
pub use fragments::shared_sources;
pub(crate) use options::OpenOptions;
pub use overrides::Override;
pub(crate) use overrides::workgroup_size;
pub(crate) use pipelines::{MAX_BINDINGS, MAX_CONSTANTS, ParamSlot, Pipeline, PipelineKey};
pub(crate) use readback::Staged;
pub use reflect::{Access, Binding, Element, Member, Reflection, Scalar, reflect, specialise};
pub(crate) use sharing::{descriptor, required_limits};
/// The crate by which a caller shares a device and its buffers.
pub use wgpu;
pub(crate) use wgpu::BindGroup;
