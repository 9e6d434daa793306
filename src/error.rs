//! What can go wrong, as values.

use std::path::PathBuf;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong. Bad input never panics: it ends here, with the operator's name and
/// the shapes or numbers that offend.
///
/// `Debug` gives the text of `Display`: it is what a program prints whose `main` returns the error.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Shapes that do not fit together, or do not fit the operator.
    #[error("{op}: {detail}")]
    Shape {
        /// The operator that was called.
        op: &'static str,
        /// Which shapes, and what was expected.
        detail: String,
    },
    /// An argument outside its domain (a time constant of zero, an unknown option, …).
    #[error("{op}: {detail}")]
    Argument {
        /// The operator that was called.
        op: &'static str,
        /// Which argument, its value, and what is allowed.
        detail: String,
    },
    /// A tensor of the wrong element type.
    #[error("{op}: expected {expected} elements, found {found}")]
    DType {
        /// The operator that was called.
        op: &'static str,
        /// The type that the operator takes.
        expected: String,
        /// The type that it was given.
        found: String,
    },
    /// Tensors of one call live on different devices.
    #[error("{op}: tensors live on different devices ({left} and {right})")]
    DeviceMismatch {
        /// The operator that was called.
        op: &'static str,
        /// The device of the first tensor.
        left: String,
        /// The device that differs.
        right: String,
    },
    /// Variables of one call belong to different tapes.
    #[error("{op}: variables belong to different tapes")]
    TapeMismatch {
        /// The operator that was called.
        op: &'static str,
    },
    /// What an operator's forward pass saved was written before its backward pass read it: the
    /// gradient would be of neither value.
    #[error(
        "{op}: a tensor that its gradient needs was changed in place after the forward pass (`{binding}` of `{reader}`)"
    )]
    Changed {
        /// The operator whose backward pass read it.
        op: &'static str,
        /// The kernel, or the call, that was to read it.
        reader: &'static str,
        /// Its binding there.
        binding: String,
    },
    /// A launch would read and write one buffer at the same time.
    #[error("{kernel}: binding `{binding}` is the same buffer as another binding of the launch")]
    Aliased {
        /// The kernel that was launched.
        kernel: &'static str,
        /// The binding that shares its buffer.
        binding: String,
    },
    /// A kernel's CPU code calls the crate for a tensor that its own launch is writing, or would write
    /// one that is being read: to wait for it could be to wait for oneself.
    #[error("{op}: `{tensor}` is in use by a launch, and a call within its CPU code does not wait")]
    Busy {
        /// The operator or kernel that was called.
        op: &'static str,
        /// The tensor that is in use, by the name of its binding.
        tensor: String,
    },
    /// A limit of the device, or of the crate, was asked to be exceeded.
    #[error("{what}: asked for {asked}, allowed are {allowed}")]
    Limit {
        /// The limit.
        what: String,
        /// The amount that was asked for.
        asked: u64,
        /// The most that is allowed.
        allowed: u64,
    },
    /// The device has no memory left for a buffer.
    #[error("out of memory: {asked} bytes asked, {held} bytes held by live tensors of the device")]
    OutOfMemory {
        /// The size of the buffer.
        asked: u64,
        /// The bytes that live tensors held at that time.
        held: u64,
    },
    /// The device is gone: unplugged, reset by its driver, or destroyed.
    #[error("the device was lost: {reason}")]
    DeviceLost {
        /// What the driver said.
        reason: String,
    },
    /// No adapter answers to the selection.
    #[error("no device matches `{wanted}`; {words} choose one, or words of a name; found: {found}")]
    NoDevice {
        /// The selection.
        wanted: String,
        /// The words that may stand in its place.
        words: String,
        /// What there is instead, by name.
        found: String,
    },
    /// A feature the adapter does not have.
    #[error("{what} needs {feature}, which this device does not offer")]
    Unsupported {
        /// The thing that was asked for.
        what: String,
        /// The missing feature.
        feature: String,
    },
    /// A kernel that cannot be composed, parsed or validated.
    #[error("kernel {kernel}: {message}")]
    Shader {
        /// The kernel's name.
        kernel: String,
        /// What the composer or the validator said.
        message: String,
    },
    /// An error that the graphics API reported outside any call of ours.
    #[error("graphics API: {message}")]
    Gpu {
        /// Its text.
        message: String,
    },
    /// The shadow check found a kernel that disagrees with its oracle.
    #[error("shadow check: {0}")]
    Diverged(Box<Divergence>),
    /// A file that cannot be read or written.
    #[error("{}: {message}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// A file whose contents are not what they should be.
    #[error("{}: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        detail: String,
    },
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// A [`Error::Shape`] for `op`.
    pub fn shape(op: &'static str, detail: impl Into<String>) -> Self {
        Error::Shape { op, detail: detail.into() }
    }

    /// A [`Error::Argument`] for `op`.
    pub fn argument(op: &'static str, detail: impl Into<String>) -> Self {
        Error::Argument { op, detail: detail.into() }
    }

    /// An index out of range: `what` the operator calls it, its value and place, and what it should be
    /// below.
    pub(crate) fn index(
        (op, what): (&'static str, &str),
        index: u32,
        place: usize,
        below: usize,
    ) -> Self {
        let allowed = match below {
            0 => "there are none".to_string(),
            _ => format!("allowed are 0 to {}", below - 1),
        };
        Self::argument(op, format!("{what} {index} at position {place}, {allowed}"))
    }

    /// A [`Error::Io`] at `path`.
    pub fn io(path: impl Into<PathBuf>, error: &std::io::Error) -> Self {
        Error::Io { path: path.into(), message: error.to_string() }
    }

    /// A [`Error::Format`] at `path`.
    pub fn format(path: impl Into<PathBuf>, detail: impl Into<String>) -> Self {
        Error::Format { path: path.into(), detail: detail.into() }
    }
}

/// The first element in which a device and the oracle disagree.
#[derive(Debug, Clone, PartialEq)]
pub struct Divergence {
    /// The kernel.
    pub kernel: &'static str,
    /// Its binding, by name.
    pub tensor: String,
    /// The element's place in the binding.
    pub index: usize,
    /// What the device computed (words as their numerical value).
    pub device: f64,
    /// What the oracle computed.
    pub oracle: f64,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kernel, tensor, index, device, oracle } = self;
        write!(
            f,
            "{kernel}: `{tensor}`[{index}] is {device:e} on the device, {oracle:e} in the oracle"
        )
    }
}
