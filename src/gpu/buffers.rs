//! GPU buffers.

use super::Context;
use crate::error::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A buffer of the device, with an identity for caches.
#[derive(Debug, Clone)]
pub(crate) struct GpuBuffer {
    pub(crate) raw: wgpu::Buffer,
    pub(crate) id: u64,
    /// When it was last written, by the clock of the stream's writes.
    pub(crate) written: Arc<AtomicU64>,
}

/// What a tensor's buffer is used for.
pub(super) const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

impl GpuBuffer {
    pub(super) fn new(raw: wgpu::Buffer) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { raw, id: NEXT.fetch_add(1, Ordering::Relaxed), written: Arc::default() }
    }
}

impl Context {
    /// A storage buffer of `bytes` bytes; its contents are zero the first time it is used.
    ///
    /// # Errors
    /// [`Error::Limit`] above the adapter's buffer size, [`Error::OutOfMemory`] where the driver has
    /// none left, [`Error::DeviceLost`].
    pub(crate) fn create_buffer(&self, bytes: u64) -> Result<GpuBuffer> {
        self.create_raw(bytes, USAGE, "tensor").map(GpuBuffer::new)
    }

    pub(crate) fn create_raw(
        &self,
        bytes: u64,
        usage: wgpu::BufferUsages,
        label: &str,
    ) -> Result<wgpu::Buffer> {
        self.check()?;
        if bytes > self.capabilities.max_buffer {
            return Err(Error::Limit {
                what: "bytes of one buffer".into(),
                asked: bytes,
                allowed: self.capabilities.max_buffer,
            });
        }
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let invalid = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let raw = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        });
        let invalid = pollster::block_on(invalid.pop());
        let memory = pollster::block_on(memory.pop());
        self.check()?;
        match (memory, invalid) {
            (None, None) => Ok(raw),
            (Some(_), _) => Err(Error::OutOfMemory { asked: bytes, held: 0 }),
            (None, Some(e)) => Err(Error::Gpu { message: e.to_string() }),
        }
    }

    /// Writes `data` to the start of `buffer`, before whatever is submitted next.
    pub(crate) fn write(&self, buffer: &GpuBuffer, data: &[u8]) -> Result<()> {
        self.check()?;
        self.guarded(|| self.queue.write_buffer(&buffer.raw, 0, data))
    }
}
