//! Options of a device.

/// How to open a device; made by [`Device::builder`](crate::Device::builder).
#[derive(Debug, Clone)]
#[must_use]
pub struct DeviceBuilder {
    pub(super) selection: String,
    pub(super) baseline: bool,
    pub(super) coop_matrix: bool,
    pub(super) as_hardware: bool,
    pub(super) as_software: bool,
    pub(super) unchecked: bool,
    pub(super) memory_limit: Option<u64>,
}

impl Default for DeviceBuilder {
    fn default() -> Self {
        Self {
            selection: super::BEST.into(),
            baseline: false,
            coop_matrix: false,
            as_hardware: false,
            as_software: false,
            unchecked: false,
            memory_limit: None,
        }
    }
}

impl DeviceBuilder {
    /// Which device (see [`Device`](crate::Device)); `best` by default.
    pub fn select(mut self, selection: &str) -> Self {
        self.selection = selection.into();
        self
    }

    /// No optional features and the default limits: what every adapter can run. For tests.
    pub fn baseline(mut self, on: bool) -> Self {
        self.baseline = on;
        self
    }

    /// Cooperative matrices, where the adapter has them with f16 operands and f32 sums. Off by
    /// default: an experimental feature of `wgpu`, and f16 operands cost accuracy in training.
    pub fn coop_matrix(mut self, on: bool) -> Self {
        self.coop_matrix = on;
        self
    }

    /// Kernels take a software adapter, or the host, for hardware. For tests: it is slow, but it runs the
    /// kernels that hardware runs; the host runs the code of their oracles for them.
    pub fn as_hardware(mut self, on: bool) -> Self {
        self.as_hardware = on;
        self
    }

    /// Operators take the host for a software adapter. For tests: it runs the code of the oracles of the
    /// kernels that such an adapter runs.
    pub fn as_software_adapter(mut self, on: bool) -> Self {
        self.as_software = on;
        self
    }

    /// The crate's own kernels are compiled without bounds checks of their indices. A caller's kernels
    /// keep all checks. Off by default; whether it is faster depends on the driver.
    pub fn unchecked(mut self, on: bool) -> Self {
        self.unchecked = on;
        self
    }

    /// The most bytes that tensors may hold together.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }
}
