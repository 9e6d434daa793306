//! Devices and buffers that a caller shares.

use super::buffers::USAGE;
use super::faults::unheard;
use super::options::{OpenOptions, wanted_features};
use super::{Context, GpuBuffer};
use crate::error::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The least limits that the kernels run with: WebGPU's defaults of what a compute shader touches.
pub(crate) fn required_limits() -> wgpu::Limits {
    let most = wgpu::Limits::default();
    wgpu::Limits {
        max_bind_groups: 2,
        max_bindings_per_bind_group: most.max_storage_buffers_per_shader_stage,
        max_dynamic_uniform_buffers_per_pipeline_layout: 1,
        max_uniform_buffers_per_shader_stage: 1,
        max_storage_buffers_per_shader_stage: most.max_storage_buffers_per_shader_stage,
        max_storage_buffer_binding_size: most.max_storage_buffer_binding_size,
        max_buffer_size: most.max_buffer_size,
        min_uniform_buffer_offset_alignment: super::SLOT,
        max_compute_workgroup_storage_size: most.max_compute_workgroup_storage_size,
        max_compute_invocations_per_workgroup: most.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: most.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: most.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: most.max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension: most.max_compute_workgroups_per_dimension,
        // What there must be of everything else is what any adapter has.
        ..wgpu::Limits::downlevel_webgl2_defaults()
    }
}

/// Refuses a device on which kernels would fail later.
pub(super) fn check_limits(device: &wgpu::Device) -> Result<()> {
    let mut outcome = Ok(());
    required_limits().check_limits_with_fail_fn(&device.limits(), true, |name, asked, allowed| {
        outcome = Err(Error::Limit { what: format!("{name} of the device"), asked, allowed });
    });
    outcome
}

/// What a device of `adapter` is asked for.
pub(crate) fn descriptor(
    adapter: &wgpu::Adapter,
    options: OpenOptions,
) -> wgpu::DeviceDescriptor<'static> {
    let features = wanted_features(options) & adapter.features();
    let mut limits = if options.baseline { wgpu::Limits::default() } else { adapter.limits() };
    limits.max_immediate_size = if features.contains(wgpu::Features::IMMEDIATES) {
        adapter.limits().max_immediate_size.min(128)
    } else {
        0
    };
    let experimental = if features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX) {
        // SAFETY: the experimental features of wgpu may be unsound where they are used wrongly;
        // the one used here is asked for only when the caller switched it on.
        unsafe { wgpu::ExperimentalFeatures::enabled() }
    } else {
        wgpu::ExperimentalFeatures::disabled()
    };
    wgpu::DeviceDescriptor {
        label: Some("spikegrad"),
        required_features: features,
        required_limits: limits,
        experimental_features: experimental,
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        trace: wgpu::Trace::Off,
    }
}

impl Context {
    /// A caller's buffer, the first `bytes` bytes of which are a tensor.
    ///
    /// # Errors
    /// [`Error::Argument`] for a buffer that is too small or lacks usages, [`Error::Limit`] above
    /// the largest binding, [`Error::DeviceMismatch`] for another device's, [`Error::Gpu`] for one that
    /// is destroyed.
    pub(crate) fn adopt(&self, raw: wgpu::Buffer, bytes: u64) -> Result<GpuBuffer> {
        const OP: &str = "from_buffer";
        self.check()?;
        let missing = USAGE - raw.usage();
        if !missing.is_empty() {
            return Err(Error::argument(OP, format!("the buffer lacks {missing:?}")));
        }
        // Shaders may see a tensor as vectors.
        let needed = bytes.max(1).next_multiple_of(16);
        if raw.size() < needed {
            let detail = format!("a buffer of {} bytes, not {needed}", raw.size());
            return Err(Error::argument(OP, detail));
        }
        let allowed = self.capabilities.max_binding;
        if needed > allowed {
            return Err(Error::Limit {
                what: "bytes of one tensor".into(),
                asked: needed,
                allowed,
            });
        }
        let left = self.summary.to_string();
        let right = "that of the buffer, unless it is about to be mapped".to_string();
        let foreign = Error::DeviceMismatch { op: OP, left, right };
        match self.owns(&raw) {
            Some(false) => return Err(foreign),
            Some(true) => self.try_binding(&raw, needed)?,
            // A number that the instance does not know is a panic of wgpu's. Nothing has been changed
            // by then: it looks numbers up before it makes anything of them.
            None => catch_unwind(AssertUnwindSafe(|| self.try_binding(&raw, needed)))
                .unwrap_or(Err(foreign))?,
        }
        Ok(GpuBuffer::new(raw))
    }

    /// Whether a buffer is one of the device's; `None` for one that is mapped, of which nobody knows.
    ///
    /// wgpu finds a buffer by a number that every instance counts for itself: to use another instance's
    /// would find another buffer under its number, or none, which is a panic. So the buffer is asked
    /// for something that it always refuses, to be mapped from an odd place on, and whoever hears of
    /// that is the device it belongs to. One without a callback panics, as wgpu has it, with nothing
    /// done and no lock held.
    fn owns(&self, raw: &wgpu::Buffer) -> Option<bool> {
        let ask = |refused: &dyn Fn()| {
            let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
            let done = catch_unwind(AssertUnwindSafe(|| unheard(refused))).is_ok();
            (done, pollster::block_on(scope.pop()).is_some())
        };
        let (done, heard) = ask(&|| raw.map_async(wgpu::MapMode::Read, 1..5, |_| {}));
        if done && !heard && raw.get_mapped_range(..).is_ok() {
            return None;
        }
        // Until it is told otherwise wgpu holds the buffer for mapped, and has something to say to that.
        ask(&|| raw.unmap());
        Some(heard)
    }

    /// Binds a buffer once, to see whether the device takes it.
    fn try_binding(&self, raw: &wgpu::Buffer, bytes: u64) -> Result<()> {
        let entry = wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: false },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let label = Some("from_buffer");
        let descriptor = wgpu::BindGroupLayoutDescriptor { label, entries: &[entry] };
        let buffer =
            wgpu::BufferBinding { buffer: raw, offset: 0, size: wgpu::BufferSize::new(bytes) };
        let resource = wgpu::BindingResource::Buffer(buffer);
        let entries = &[wgpu::BindGroupEntry { binding: 0, resource }];
        self.guarded(|| {
            let layout = &self.device.create_bind_group_layout(&descriptor);
            let group = wgpu::BindGroupDescriptor { label, layout, entries };
            drop(self.device.create_bind_group(&group));
        })
    }
}
