//! Device timestamps.

use super::Context;
use crate::error::{Error, Result};

/// Takes the device time at the two ends of a pass.
pub(super) struct Stopwatch {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readable: wgpu::Buffer,
    period: f64,
}

impl Context {
    /// A stopwatch, where the device has timestamps.
    pub(super) fn stopwatch(&self) -> Option<Stopwatch> {
        use wgpu::BufferUsages as Usage;
        let period = f64::from(self.capabilities.timestamps?);
        let buffer = |usage| {
            self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: 16,
                usage,
                mapped_at_creation: false,
            })
        };
        Some(Stopwatch {
            queries: self.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: buffer(Usage::QUERY_RESOLVE | Usage::COPY_SRC),
            readable: buffer(Usage::MAP_READ | Usage::COPY_DST),
            period,
        })
    }
}

impl Stopwatch {
    pub(super) fn writes(&self) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        }
    }

    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.readable, 0, Some(16));
    }

    /// Nanoseconds between the two ends.
    pub(super) fn read(&self, context: &Context) -> Result<f64> {
        let failed = |message: String| Error::Gpu { message };
        self.readable.map_async(wgpu::MapMode::Read, .., |_| {});
        context.wait()?;
        let view = self.readable.get_mapped_range(..).map_err(|e| failed(e.to_string()))?;
        let ends: Vec<u64> = bytemuck::pod_collect_to_vec(&view[..]);
        drop(view);
        self.readable.unmap();
        Ok(ends[1].saturating_sub(ends[0]) as f64 * self.period)
    }
}
