//! Batches of commands, and their way to the queue.

use super::{Context, GpuBuffer, ParamSlot, Pipeline};
use crate::error::Result;
use std::sync::Arc;

/// One thing for the device to do.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Run a kernel; its parameters are `params[offset..]` of the batch.
    Dispatch { pipeline: Arc<Pipeline>, bind_group: wgpu::BindGroup, params: u32, groups: [u32; 3] },
    /// Copy the first bytes of a buffer to another.
    Copy { from: GpuBuffer, to: GpuBuffer, bytes: u64 },
    /// Zero the first bytes of a buffer.
    Clear { buffer: GpuBuffer, bytes: u64 },
    /// Submit what came before: a submission must stay below what a driver's watchdog allows.
    Submit,
}

/// Commands in order, and the parameters of their dispatches.
#[derive(Debug, Default, Clone)]
pub(crate) struct Batch {
    pub(crate) commands: Vec<Command>,
    params: Vec<u8>,
    uniform_slots: u32,
}

/// A uniform buffer that holds the parameters of a batch, one slot a dispatch.
#[derive(Debug)]
pub(crate) struct Arena {
    buffer: wgpu::Buffer,
    bind_group: wgpu::BindGroup,
    slots: u32,
}

/// Bytes of a slot: the strictest alignment of a dynamic offset, and the largest parameter struct.
pub(crate) const SLOT: u32 = 256;

impl Arena {
    pub(super) fn new(device: &wgpu::Device, layout: &wgpu::BindGroupLayout, slots: u32) -> Self {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("parameters"),
            size: u64::from(slots * SLOT),
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("parameters"),
            layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &buffer,
                    offset: 0,
                    size: wgpu::BufferSize::new(u64::from(SLOT)),
                }),
            }],
        });
        Self { buffer, bind_group, slots }
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Appends a dispatch.
    pub(crate) fn dispatch(
        &mut self,
        pipeline: Arc<Pipeline>,
        bind_group: wgpu::BindGroup,
        params: &[u8],
        groups: [u32; 3],
    ) {
        let offset = self.params.len() as u32;
        self.params.extend_from_slice(params);
        if let ParamSlot::Uniform(_) = pipeline.params {
            self.uniform_slots += 1;
        }
        self.commands.push(Command::Dispatch { pipeline, bind_group, params: offset, groups });
    }

    /// Whether the shared arena has no slot left for another dispatch.
    pub(crate) fn is_full(&self, context: &Context) -> bool {
        self.uniform_slots >= context.arena.slots || self.commands.len() >= 512
    }

    pub(crate) fn clear(&mut self) {
        self.commands.clear();
        self.params.clear();
        self.uniform_slots = 0;
    }

    /// The slots of this batch's uniform parameters, one after another.
    fn uniform_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; (self.uniform_slots * SLOT) as usize];
        let mut slot = 0;
        for command in &self.commands {
            if let Command::Dispatch { pipeline, params, .. } = command
                && let ParamSlot::Uniform(size) = pipeline.params
            {
                let (from, size) = (*params as usize, size as usize);
                bytes[slot..slot + size].copy_from_slice(&self.params[from..from + size]);
                slot += SLOT as usize;
            }
        }
        bytes
    }
}

impl Context {
    /// An arena that keeps the parameters of `batch` for good: for replays.
    pub(crate) fn arena_for(&self, batch: &Batch) -> Option<Arena> {
        (batch.uniform_slots > 0).then(|| {
            let arena = Arena::new(&self.device, &self.params_layout, batch.uniform_slots);
            self.queue.write_buffer(&arena.buffer, 0, &batch.uniform_bytes());
            arena
        })
    }

    /// Submits a batch, its parameters through the shared arena.
    pub(crate) fn submit(&self, batch: &Batch) -> Result<()> {
        self.check()?;
        if batch.uniform_slots > 0 {
            self.queue.write_buffer(&self.arena.buffer, 0, &batch.uniform_bytes());
        }
        self.guarded(|| self.submit_with(batch, &self.arena))
    }

    /// Submits a batch again, its parameters in an arena of its own.
    pub(crate) fn replay(&self, batch: &Batch, arena: Option<&Arena>) -> Result<()> {
        self.check()?;
        self.guarded(|| self.submit_with(batch, arena.unwrap_or(&self.arena)))
    }

    fn submit_with(&self, batch: &Batch, arena: &Arena) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let mut slot = 0;
        let mut rest = batch.commands.as_slice();
        while let Some(first) = rest.first() {
            match first {
                Command::Dispatch { .. } => {
                    let is_dispatch = |c: &Command| matches!(c, Command::Dispatch { .. });
                    let run = rest.iter().take_while(|c| is_dispatch(c)).count();
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    for command in &rest[..run] {
                        encode_dispatch(&mut pass, command, &batch.params, arena, &mut slot);
                    }
                    drop(pass);
                    rest = &rest[run..];
                }
                Command::Copy { from, to, bytes } => {
                    encoder.copy_buffer_to_buffer(&from.raw, 0, &to.raw, 0, Some(*bytes));
                    rest = &rest[1..];
                }
                Command::Clear { buffer, bytes } => {
                    encoder.clear_buffer(&buffer.raw, 0, Some(*bytes));
                    rest = &rest[1..];
                }
                Command::Submit => {
                    let next = self.device.create_command_encoder(&Default::default());
                    self.queue.submit([std::mem::replace(&mut encoder, next).finish()]);
                    rest = &rest[1..];
                }
            }
        }
        self.queue.submit([encoder.finish()]);
    }

    /// Submits a batch command by command and waits; returns nanoseconds of each command.
    pub(crate) fn submit_timed(&self, batch: &Batch) -> Result<Vec<f64>> {
        self.check()?;
        if batch.uniform_slots > 0 {
            self.queue.write_buffer(&self.arena.buffer, 0, &batch.uniform_bytes());
        }
        let mut times = Vec::with_capacity(batch.commands.len());
        let mut slot = 0;
        for command in &batch.commands {
            times.push(self.time_one(command, batch, &mut slot)?);
        }
        Ok(times)
    }

    fn time_one(&self, command: &Command, batch: &Batch, slot: &mut u32) -> Result<f64> {
        let Command::Dispatch { .. } = command else {
            let single = Batch { commands: vec![command.clone()], ..Batch::default() };
            let start = std::time::Instant::now();
            self.guarded(|| self.submit_with(&single, &self.arena))?;
            self.wait()?;
            return Ok(start.elapsed().as_nanos() as f64);
        };
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let stopwatch = self.stopwatch();
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: stopwatch.as_ref().map(super::timing::Stopwatch::writes),
        });
        encode_dispatch(&mut pass, command, &batch.params, &self.arena, slot);
        drop(pass);
        if let Some(watch) = &stopwatch {
            watch.resolve(&mut encoder);
        }
        self.wait()?;
        let start = std::time::Instant::now();
        self.guarded(|| self.queue.submit([encoder.finish()]))?;
        self.wait()?;
        let wall = start.elapsed().as_nanos() as f64;
        match stopwatch {
            Some(watch) => watch.read(self),
            None => Ok(wall),
        }
    }
}

fn encode_dispatch(
    pass: &mut wgpu::ComputePass<'_>,
    command: &Command,
    params: &[u8],
    arena: &Arena,
    slot: &mut u32,
) {
    let Command::Dispatch { pipeline, bind_group, params: offset, groups } = command else {
        return;
    };
    pass.set_pipeline(&pipeline.raw);
    pass.set_bind_group(0, bind_group, &[]);
    match pipeline.params {
        ParamSlot::None => {}
        ParamSlot::Immediate(size) => {
            let from = *offset as usize;
            pass.set_immediates(0, &params[from..from + size as usize]);
        }
        ParamSlot::Uniform(_) => {
            pass.set_bind_group(1, &arena.bind_group, &[*slot * SLOT]);
            *slot += 1;
        }
    }
    pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
}
