//! One open adapter.

use super::capabilities::SOFTWARE_ITERATIONS;
use super::disk_cache::DiskCache;
use super::faults::Faults;
use super::lock::lock;
use super::options::OpenOptions;
use super::pipelines::{BindKey, PipelineKey};
use super::sharing::{check_limits, descriptor};
use super::{Adapter, AdapterSummary, Capabilities, CoopMatrix, Pipeline};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// An open device with its caches.
pub(crate) struct Context {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    pub(crate) capabilities: Capabilities,
    pub(crate) summary: AdapterSummary,
    pub(super) faults: Arc<Faults>,
    pub(super) pipelines: Mutex<HashMap<PipelineKey, Arc<Pipeline>>>,
    pub(super) bind_groups: Mutex<HashMap<BindKey, wgpu::BindGroup>>,
    pub(super) arena: super::encode::Arena,
    pub(super) params_layout: wgpu::BindGroupLayout,
    pub(super) staging: Mutex<Vec<wgpu::Buffer>>,
    pub(super) disk_cache: Option<DiskCache>,
    /// Built-in kernels are compiled without bounds checks.
    pub(super) unchecked: bool,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("adapter", &self.summary).finish_non_exhaustive()
    }
}

impl Context {
    /// Opens `adapter`.
    pub(crate) fn open(adapter: &Adapter, options: OpenOptions) -> Result<Self> {
        let request = adapter.raw.request_device(&descriptor(&adapter.raw, options));
        let (device, queue) =
            pollster::block_on(request).map_err(|e| Error::Gpu { message: e.to_string() })?;
        check_limits(&device)?;
        let faults = Arc::new(Faults::default());
        let seen = faults.clone();
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| seen.report(e.to_string())));
        let seen = faults.clone();
        device.set_device_lost_callback(move |reason, text| seen.lose(reason, &text));
        let mut capabilities = read_capabilities(adapter, &device, &queue);
        if options.baseline {
            capabilities = capabilities.baseline();
        }
        capabilities.software &= !options.as_hardware;
        let mut context = Self::assemble(adapter, device, queue, capabilities, faults);
        context.unchecked = options.unchecked;
        Ok(context)
    }

    /// Wraps a device that the caller opened. Its error callbacks stay the caller's.
    pub(crate) fn wrap(
        raw: wgpu::Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
    ) -> Result<Self> {
        let adapter = Adapter::new(raw);
        if device.adapter_info() != adapter.raw.get_info() {
            let detail = format!("the device is not one of {}", adapter.summary);
            return Err(Error::argument("from_wgpu", detail));
        }
        check_limits(&device)?;
        let capabilities = read_capabilities(&adapter, &device, &queue);
        Ok(Self::assemble(&adapter, device, queue, capabilities, Arc::default()))
    }

    fn assemble(
        adapter: &Adapter,
        device: wgpu::Device,
        queue: wgpu::Queue,
        capabilities: Capabilities,
        faults: Arc<Faults>,
    ) -> Self {
        let params_layout = super::pipelines::params_layout(&device);
        let disk_cache = capabilities.pipeline_cache.then(|| DiskCache::open(adapter, &device));
        Self {
            arena: super::encode::Arena::new(&device, &params_layout, 256),
            summary: adapter.summary.clone(),
            disk_cache: disk_cache.flatten(),
            unchecked: false,
            device,
            queue,
            capabilities,
            faults,
            params_layout,
            pipelines: Mutex::default(),
            bind_groups: Mutex::default(),
            staging: Mutex::default(),
        }
    }

    /// Whether the device still works: reports loss and errors that came outside of calls.
    pub(crate) fn check(&self) -> Result<()> {
        self.faults.check()
    }

    /// Hands something to the driver that it refuses where a caller has mapped or destroyed a buffer
    /// that both share: the error is this call's, whoever else listens to the device.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let done = work();
        let invalid = pollster::block_on(invalid.pop());
        self.check()?;
        invalid.map_or(Ok(done), |e| Err(Error::Gpu { message: e.to_string() }))
    }

    /// Gives the device back to the driver; every later call reports its loss.
    pub(crate) fn destroy(&self) {
        self.faults.lose(wgpu::DeviceLostReason::Destroyed, "destroyed by the program");
        self.device.destroy();
    }

    /// Forgets cached bind groups, which keep their buffers alive.
    pub(crate) fn forget_bind_groups(&self) {
        lock(&self.bind_groups).clear();
    }

    /// Forgets the bind groups of these buffers.
    pub(crate) fn forget_bind_groups_of(&self, ids: &[u64]) {
        if !ids.is_empty() {
            lock(&self.bind_groups).retain(|key, _| !key.uses_any(ids));
        }
    }

    /// Writes new pipelines to the file of the cache. Called where the device has work and the caller
    /// is about to wait for it.
    pub(super) fn keep_pipelines(&self) {
        if let Some(cache) = &self.disk_cache {
            cache.save_in_time();
        }
    }

    /// Waits until all that was submitted is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.keep_pipelines();
        let waited = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        waited.map(|_| ()).map_err(|e| Error::Gpu { message: e.to_string() })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let Some(cache) = &self.disk_cache {
            cache.save_now();
        }
    }
}

fn read_capabilities(
    adapter: &Adapter,
    device: &wgpu::Device,
    queue: &wgpu::Queue,
) -> Capabilities {
    use wgpu::Features as F;
    let features = device.features();
    let limits = device.limits();
    let info = adapter.raw.get_info();
    let has = |f: F| features.contains(f);
    Capabilities {
        software: adapter.is_software(),
        subgroups: has(F::SUBGROUP),
        subgroup_size: if has(F::SUBGROUP) {
            (info.subgroup_min_size, info.subgroup_max_size)
        } else {
            (0, 0)
        },
        f16: has(F::SHADER_F16),
        immediates: if has(F::IMMEDIATES) { limits.max_immediate_size } else { 0 },
        coop_matrix: has(F::EXPERIMENTAL_COOPERATIVE_MATRIX)
            .then(|| coop_shape(&adapter.raw))
            .flatten(),
        timestamps: has(F::TIMESTAMP_QUERY).then(|| queue.get_timestamp_period()),
        pipeline_cache: has(F::PIPELINE_CACHE),
        max_buffer: limits.max_buffer_size,
        max_binding: limits.max_storage_buffer_binding_size,
        max_groups: limits.max_compute_workgroups_per_dimension,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        max_workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_iterations: adapter.is_software().then_some(SOFTWARE_ITERATIONS),
    }
}

/// The largest square shape with f16 operands and an f32 accumulator.
fn coop_shape(adapter: &wgpu::Adapter) -> Option<CoopMatrix> {
    use wgpu::CooperativeScalarType as Scalar;
    let shapes = adapter.cooperative_matrix_properties();
    let fits = |p: &&wgpu::CooperativeMatrixProperties| {
        p.m_size == p.n_size
            && p.n_size == p.k_size
            && matches!(p.m_size, 8 | 16)
            && p.ab_type == Scalar::F16
            && p.cr_type == Scalar::F32
    };
    shapes.iter().filter(fits).map(|p| CoopMatrix { size: p.m_size }).max_by_key(|c| c.size)
}
