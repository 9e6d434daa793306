//! Launches as data, and the stream that runs them.

mod capture;
mod export;
#[cfg(feature = "checkpoint")]
mod export_files;
mod launch;
mod on_host;
mod pool;
mod profile;
mod saved;
mod segments;
mod shadow;
mod stream;
mod verdict;
mod watch;

pub use capture::Capture;
pub(crate) use capture::{BeforeReplay, OpenCapture};
pub use export::{ExportedBinding, ExportedLaunch};
#[cfg(feature = "checkpoint")]
pub use export_files::write_launches;
pub use launch::{Bind, Bound, Launch};
pub use pool::MemoryReport;
pub(crate) use pool::{Memory, Storage};
pub use profile::{Profile, ProfileRow};
pub(crate) use saved::{InBackward, next_date};
pub(crate) use segments::{Bounds, StepCost};
pub(crate) use stream::{Backend, ReadInner, Stream, TableKey};
pub(crate) use watch::Note;
