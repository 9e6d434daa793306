//! What an adapter can do, as plain data.

/// What a device can do. Kernels choose their variants from this and from nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Capabilities {
    /// A software adapter, or the host: barriers are dear, wide register tiles are cheap.
    pub software: bool,
    /// Subgroup operations.
    pub subgroups: bool,
    /// The smallest and largest subgroup that the driver may choose.
    pub subgroup_size: (u32, u32),
    /// f16 arithmetic types in shaders. (f16 storage needs no feature.)
    pub f16: bool,
    /// Bytes of parameters that a launch can pass without a buffer; 0 where there are none.
    pub immediates: u32,
    /// The cooperative matrix shapes with f16 operands and f32 accumulators.
    pub coop_matrix: Option<CoopMatrix>,
    /// Timestamps at the ends of a pass, and their unit in nanoseconds.
    pub timestamps: Option<f32>,
    /// A pipeline cache that can be kept on disk.
    pub pipeline_cache: bool,
    /// The largest buffer, in bytes.
    pub max_buffer: u64,
    /// The largest part of a buffer that a shader can see, in bytes.
    pub max_binding: u64,
    /// Workgroups along one axis of a launch.
    pub max_groups: u32,
    /// Invocations in a workgroup.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_memory: u32,
    /// Storage buffers of a shader.
    pub max_storage_buffers: u32,
    /// The iterations that all loops of an invocation may take together, where there is such a limit:
    /// llvmpipe ends every loop after 65,535, and says nothing.
    pub max_iterations: Option<u64>,
}

/// Shape of a cooperative matrix product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoopMatrix {
    /// Rows, columns and depth of one product (8 or 16, all equal).
    pub size: u32,
}

impl Capabilities {
    /// The capabilities of the host device.
    pub(crate) fn host() -> Self {
        Self {
            software: true,
            max_buffer: 1 << 40,
            max_binding: 1 << 40,
            max_workgroup_memory: u32::MAX,
            ..Self::portable()
        }
    }

    /// What every WebGPU adapter guarantees: no optional feature, default limits.
    pub fn portable() -> Self {
        Self {
            software: false,
            subgroups: false,
            subgroup_size: (0, 0),
            f16: false,
            immediates: 0,
            coop_matrix: None,
            timestamps: None,
            pipeline_cache: false,
            max_buffer: 256 << 20,
            max_binding: 128 << 20,
            max_groups: 65_535,
            max_invocations: 256,
            max_workgroup_memory: 16 << 10,
            max_storage_buffers: 8,
            max_iterations: None,
        }
    }

    /// These capabilities without any optional feature and with the default limits: the baseline
    /// that every kernel must run on. Whether the adapter is software, and how long its loops may
    /// be, stays known.
    #[must_use]
    pub fn baseline(&self) -> Self {
        let &Self { software, timestamps, max_iterations, .. } = self;
        Self { software, timestamps, max_iterations, ..Self::portable() }
    }
}

/// What a software adapter takes: a little less than where llvmpipe ends loops.
pub(crate) const SOFTWARE_ITERATIONS: u64 = 65_000;
