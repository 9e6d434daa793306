//! Pipelines and bind groups, each made once.

use super::lock::lock;
use super::reflect::{Access, Reflection};
use super::{Context, GpuBuffer};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most storage buffers of a launch: the portable limit.
pub(crate) const MAX_BINDINGS: usize = 8;

/// The most `override`s that a launch sets.
pub(crate) const MAX_CONSTANTS: usize = 12;

/// What a pipeline is cached under: kernel (its address), variant and constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PipelineKey {
    pub(crate) kernel: usize,
    pub(crate) variant: u32,
    /// Name address and value bits.
    pub(crate) constants: [(usize, u64); MAX_CONSTANTS],
}

/// How a pipeline takes its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParamSlot {
    None,
    Immediate(u32),
    Uniform(u32),
}

/// A compiled kernel.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) raw: wgpu::ComputePipeline,
    pub(crate) params: ParamSlot,
    layout: wgpu::BindGroupLayout,
    id: u64,
}

/// What a bind group is cached under.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct BindKey {
    pipeline: u64,
    buffers: [(u64, u64); MAX_BINDINGS],
}

impl BindKey {
    /// Whether one of these buffers is bound.
    pub(super) fn uses_any(&self, ids: &[u64]) -> bool {
        self.buffers.iter().any(|(id, _)| *id != 0 && ids.contains(id))
    }
}

/// More bind groups than this are forgotten at once: a program with that many live tensors makes
/// new ones anyway.
const MAX_BIND_GROUPS: usize = 8192;

/// The layout of group 1: parameters in a uniform buffer, found by a dynamic offset.
pub(super) fn params_layout(device: &wgpu::Device) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some("parameters"),
        entries: &[wgpu::BindGroupLayoutEntry {
            binding: 0,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Uniform,
                has_dynamic_offset: true,
                min_binding_size: None,
            },
            count: None,
        }],
    })
}

impl Context {
    /// The pipeline under `key`; `make` composes and reflects the shader if it is not there yet. Only
    /// `trusted` shaders are compiled without all run-time checks.
    pub(crate) fn pipeline(
        &self,
        key: &PipelineKey,
        name: &'static str,
        constants: &[(&'static str, f64)],
        trusted: bool,
        make: impl FnOnce() -> Result<(naga::Module, Reflection)>,
    ) -> Result<Arc<Pipeline>> {
        if let Some(found) = lock(&self.pipelines).get(key) {
            return Ok(found.clone());
        }
        let (module, reflection) = make()?;
        let made = self.compile(name, module, &reflection, constants, trusted)?;
        let pipeline = Arc::new(made);
        if let Some(cache) = &self.disk_cache {
            cache.grew();
        }
        lock(&self.pipelines).insert(*key, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(
        &self,
        name: &'static str,
        mut module: naga::Module,
        reflection: &Reflection,
        constants: &[(&'static str, f64)],
        trusted: bool,
    ) -> Result<Pipeline> {
        let params = match reflection.params {
            0 => ParamSlot::None,
            n if n <= self.capabilities.immediates => ParamSlot::Immediate(n),
            n => ParamSlot::Uniform(n),
        };
        if let ParamSlot::Immediate(_) = params {
            params_to_immediates(&mut module);
        }
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let layout = self.data_layout(name, reflection);
        let module = self.shader_module(name, module, trusted);
        let raw = self.compute_pipeline(name, &module, params, &layout, constants, trusted);
        let internal = pollster::block_on(internal.pop());
        let invalid = pollster::block_on(scope.pop());
        self.check()?;
        if let Some(e) = invalid.or(internal) {
            return Err(Error::Shader { kernel: name.into(), message: e.to_string() });
        }
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Pipeline { raw, params, layout, id })
    }

    fn shader_module(&self, name: &str, module: naga::Module, trusted: bool) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(name),
            source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(module)),
        };
        let checks = runtime_checks(trusted, self.unchecked);
        // SAFETY: checks are given up for the crate's own kernels only. Every loop of theirs ends and
        // every index is within its tensor, which their tests against the oracles show.
        unsafe { self.device.create_shader_module_trusted(descriptor, checks) }
    }

    fn compute_pipeline(
        &self,
        name: &str,
        module: &wgpu::ShaderModule,
        params: ParamSlot,
        layout: &wgpu::BindGroupLayout,
        constants: &[(&'static str, f64)],
        trusted: bool,
    ) -> wgpu::ComputePipeline {
        let (groups, immediate_size) = match params {
            ParamSlot::None => (vec![Some(layout)], 0),
            ParamSlot::Immediate(size) => (vec![Some(layout)], size),
            ParamSlot::Uniform(_) => (vec![Some(layout), Some(&self.params_layout)], 0),
        };
        let pipeline_layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(name),
            bind_group_layouts: &groups,
            immediate_size,
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(name),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some(name),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants,
                zero_initialize_workgroup_memory: !trusted,
            },
            cache: self.disk_cache.as_ref().map(|c| &c.raw),
        })
    }

    fn data_layout(&self, name: &str, reflection: &Reflection) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = reflection
            .bindings
            .iter()
            .map(|b| wgpu::BindGroupLayoutEntry {
                binding: b.index,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Storage { read_only: b.access == Access::Read },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(name),
            entries: &entries,
        })
    }

    /// The bind group of `pipeline` over these buffers (each with the bytes the shader may see).
    pub(crate) fn bind_group(
        &self,
        pipeline: &Pipeline,
        buffers: &[(&GpuBuffer, u64)],
    ) -> Result<wgpu::BindGroup> {
        let mut key = BindKey { pipeline: pipeline.id, buffers: [(0, 0); MAX_BINDINGS] };
        for (slot, (buffer, bytes)) in key.buffers.iter_mut().zip(buffers) {
            *slot = (buffer.id, *bytes);
        }
        let mut cache = lock(&self.bind_groups);
        if let Some(found) = cache.get(&key) {
            return Ok(found.clone());
        }
        let entries: Vec<_> = buffers
            .iter()
            .enumerate()
            .map(|(i, (buffer, bytes))| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer.raw,
                    offset: 0,
                    size: wgpu::BufferSize::new(*bytes),
                }),
            })
            .collect();
        let descriptor =
            wgpu::BindGroupDescriptor { label: None, layout: &pipeline.layout, entries: &entries };
        let made = self.guarded(|| self.device.create_bind_group(&descriptor))?;
        if cache.len() >= MAX_BIND_GROUPS {
            cache.clear();
        }
        cache.insert(key, made.clone());
        Ok(made)
    }
}

/// What a compiled shader checks while it runs: everything, unless it is one of the crate's own. Of
/// these, loops are not bounded, and on request indices are not either.
fn runtime_checks(trusted: bool, unchecked: bool) -> wgpu::ShaderRuntimeChecks {
    let all = wgpu::ShaderRuntimeChecks::checked();
    if trusted {
        wgpu::ShaderRuntimeChecks { bounds_checks: !unchecked, force_loop_bounding: false, ..all }
    } else {
        all
    }
}

/// Moves the parameter struct from the uniform buffer to immediates: the shader says it once, the
/// adapter decides how it travels.
fn params_to_immediates(module: &mut naga::Module) {
    for (_, variable) in module.global_variables.iter_mut() {
        if variable.space == naga::AddressSpace::Uniform {
            variable.space = naga::AddressSpace::Immediate;
            variable.binding = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::runtime_checks;

    #[test]
    fn only_trusted_shaders_give_checks_up() {
        for unchecked in [false, true] {
            let theirs = runtime_checks(false, unchecked);
            assert!(theirs.force_loop_bounding && theirs.bounds_checks);
            let ours = runtime_checks(true, unchecked);
            assert!(!ours.force_loop_bounding);
            assert_eq!(ours.bounds_checks, !unchecked);
        }
    }
}
