//! From device memory to the host.

use super::lock::lock;
use super::{Context, GpuBuffer};
use crate::error::{Error, Result};
use futures::channel::oneshot;
use std::sync::Arc;

/// The most idle staging buffers that are kept.
const RING: usize = 8;

/// A copy on its way to the host.
pub(crate) struct Staged {
    context: Arc<Context>,
    buffer: Option<wgpu::Buffer>,
    bytes: u64,
    mapped: oneshot::Receiver<std::result::Result<(), wgpu::BufferAsyncError>>,
    submission: wgpu::SubmissionIndex,
}

impl Context {
    /// Starts copying the first `bytes` bytes of `buffer` to the host. What is submitted before is
    /// seen, what is submitted later is not.
    pub(crate) fn stage(self: &Arc<Self>, buffer: &GpuBuffer, bytes: u64) -> Result<Staged> {
        self.check()?;
        let staging = self.staging_buffer(bytes)?;
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&buffer.raw, 0, &staging, 0, Some(bytes));
        let (done, mapped) = oneshot::channel();
        encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, 0..bytes, move |outcome| {
            // The receiver may be gone: nobody waits for this copy any more.
            let _ = done.send(outcome);
        });
        let submission = self.guarded(|| self.queue.submit([encoder.finish()]))?;
        Ok(Staged { context: self.clone(), buffer: Some(staging), bytes, mapped, submission })
    }

    /// An idle staging buffer that is large enough, or a new one.
    fn staging_buffer(&self, bytes: u64) -> Result<wgpu::Buffer> {
        let mut ring = lock(&self.staging);
        if let Some(at) = ring.iter().position(|b| b.size() >= bytes) {
            return Ok(ring.swap_remove(at));
        }
        drop(ring);
        let size = bytes.next_power_of_two().max(256).min(self.capabilities.max_buffer.max(bytes));
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        self.create_raw(size, usage, "read-back")
    }
}

impl Staged {
    /// Waits on this thread and returns the bytes.
    pub(crate) fn wait(mut self) -> Result<Vec<u8>> {
        self.poll_device()?;
        // Another thread's poll may be the one that runs the callback: it comes, but maybe not yet.
        let outcome = pollster::block_on(&mut self.mapped);
        self.context.check()?;
        match outcome {
            Ok(Ok(())) => self.take(),
            Ok(Err(e)) => Err(Error::Gpu { message: e.to_string() }),
            Err(_) => Err(Error::Gpu { message: "the read-back was dropped".into() }),
        }
    }

    /// Waits without holding up the caller's thread: another one polls the device meanwhile.
    pub(crate) async fn wait_async(self) -> Result<Vec<u8>> {
        let (done, outcome) = oneshot::channel();
        let spawned =
            std::thread::Builder::new().name("spikegrad read-back".into()).spawn(move || {
                // The future may have been dropped: then nobody waits for the outcome.
                let _ = done.send(self.wait());
            });
        spawned.map_err(|e| Error::Gpu { message: e.to_string() })?;
        outcome.await.map_err(|_| Error::Gpu { message: "the read-back was dropped".into() })?
    }

    fn poll_device(&self) -> Result<()> {
        self.context.keep_pipelines();
        let polled = self.context.device.poll(wgpu::PollType::Wait {
            submission_index: Some(self.submission.clone()),
            timeout: None,
        });
        self.context.check()?;
        polled.map(|_| ()).map_err(|e| Error::Gpu { message: e.to_string() })
    }

    fn take(&mut self) -> Result<Vec<u8>> {
        let gone = || Error::Gpu { message: "the read-back buffer is gone".into() };
        let buffer = self.buffer.take().ok_or_else(gone)?;
        let view = buffer
            .get_mapped_range(0..self.bytes)
            .map_err(|e| Error::Gpu { message: e.to_string() })?;
        let bytes = view[..].to_vec();
        drop(view);
        buffer.unmap();
        let mut ring = lock(&self.context.staging);
        if ring.len() < RING {
            ring.push(buffer);
        }
        Ok(bytes)
    }
}
