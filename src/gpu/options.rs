//! What a device is opened with.

/// Which features a context asks of its adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct OpenOptions {
    /// No optional features and the default limits only.
    pub(crate) baseline: bool,
    /// Cooperative matrices, an experimental feature of `wgpu`.
    pub(crate) coop_matrix: bool,
    /// A software adapter is treated as hardware.
    pub(crate) as_hardware: bool,
    /// Built-in kernels without bounds checks.
    pub(crate) unchecked: bool,
}

pub(super) fn wanted_features(options: OpenOptions) -> wgpu::Features {
    use wgpu::Features as F;
    let always = F::TIMESTAMP_QUERY | F::PIPELINE_CACHE;
    let fast = F::SUBGROUP | F::SHADER_F16 | F::IMMEDIATES;
    match options {
        OpenOptions { baseline: true, .. } => always,
        OpenOptions { coop_matrix: true, .. } => always | fast | F::EXPERIMENTAL_COOPERATIVE_MATRIX,
        OpenOptions { .. } => always | fast,
    }
}
