//! Buffers by size class: freed memory waits for the next tensor of its class.

use super::{Backend, saved};
use crate::error::{Error, Result};
use crate::gpu::GpuBuffer;
use crate::host::{Frame, HostBuffer, Precision, Role};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Memory of either kind of device.
#[derive(Debug, Clone)]
pub(crate) enum Memory {
    Gpu(GpuBuffer),
    Host(Arc<HostBuffer>),
}

impl Memory {
    /// Whether both are the same buffer.
    pub(crate) fn same(&self, other: &Memory) -> bool {
        match (self, other) {
            (Memory::Gpu(a), Memory::Gpu(b)) => a.id == b.id,
            (Memory::Host(a), Memory::Host(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Memory of a live tensor. It goes back to the pool with the last handle.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) memory: Memory,
    /// Whether it holds floats (as against words); on the host these are different arrays.
    pub(crate) real: bool,
    /// Whether it was used by another tensor before: an unsubmitted launch may still read that.
    pub(crate) recycled: bool,
    class: u64,
    pub(crate) region: Option<u64>,
    /// When it was handed out, by the clock of writes.
    pub(super) born: u64,
    /// Whether a caller has the buffer, too: nobody else may get it then.
    lent: AtomicBool,
    pool: Arc<Pool>,
}

impl Storage {
    /// Whether a device with the pool `pool` can use it: its own memory, and that of any host device
    /// of its precision.
    pub(crate) fn is_from(&self, pool: &Arc<Pool>) -> bool {
        Arc::ptr_eq(&self.pool, pool) || (pool.host.is_some() && pool.host == self.pool.host)
    }

    /// Whether a caller has the buffer, too.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Relaxed)
    }

    pub(super) fn lend(&self) {
        self.lent.store(true, Ordering::Relaxed);
    }

    /// The bytes of its memory, which may be more than its tensor takes.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.memory {
            Memory::Gpu(buffer) => buffer.raw.size(),
            Memory::Host(_) => self.class,
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        state.held -= self.class;
        if self.is_lent() {
            return;
        }
        state.cached += self.class;
        let key = Key { class: self.class, real: self.real };
        let free = match self.region.and_then(|id| state.regions.get_mut(&id)) {
            Some(region) => region,
            None => &mut state.free,
        };
        free.entry(key).or_default().push((self.memory.clone(), Instant::now()));
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    class: u64,
    real: bool,
}

/// Free memory and when it was freed, the oldest first.
type FreeLists = HashMap<Key, Vec<(Memory, Instant)>>;

/// Free memory that nobody asked for in this time goes back to the system, when the device is next
/// used.
const KEPT_FOR: Duration = Duration::from_secs(3);

/// How often old memory is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The memory of one device.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// The precision of a host device.
    host: Option<Precision>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: FreeLists,
    /// Free lists of captures: what was freed while a step was recorded may be used again within
    /// that step only, since a replay will write it again.
    regions: HashMap<u64, FreeLists>,
    /// The regions that allocations from these frames belong to now.
    current: Vec<(Frame, u64)>,
    swept: Option<Instant>,
    held: u64,
    cached: u64,
    peak: u64,
    limit: Option<u64>,
}

/// What a device's memory is used for, in bytes of size classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// Held by live tensors.
    pub held: u64,
    /// The most that live tensors held at one time since the last
    /// [`reset_peak`](crate::Device::reset_peak).
    pub peak: u64,
    /// Free, waiting for the next tensor.
    pub cached: u64,
}

/// The smallest size class, in bytes: more than the largest vector of a shader, so that any tensor can
/// stand in for a binding that a launch does not use.
const SMALLEST: u64 = 256;

/// The size class of a buffer: powers of two and one and a half times these, so that at most a third
/// is wasted.
pub(crate) fn size_class(bytes: u64) -> u64 {
    let power = bytes.max(SMALLEST).next_power_of_two();
    let between = power / 4 * 3;
    if bytes <= between && between >= SMALLEST { between } else { power }
}

impl Pool {
    pub(crate) fn new(backend: &Backend) -> Self {
        let host = match backend {
            Backend::Host(host) => (host.role == Role::Host).then_some(host.precision),
            Backend::Gpu(_) => None,
        };
        Self { host, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for `words` words.
    pub(crate) fn take(
        self: &Arc<Self>,
        backend: &Backend,
        real: bool,
        words: usize,
    ) -> Result<Arc<Storage>> {
        let bytes = words as u64 * 4;
        let class = backend.clamp_class(bytes, size_class(bytes))?;
        let key = Key { class, real };
        let (found, region) = self.reuse(key, backend)?;
        let recycled = found.is_some();
        let memory = match found {
            Some(memory) => memory,
            None => self.create(backend, key).inspect_err(|_| self.state().held -= class)?,
        };
        let (born, pool) = (saved::now(), self.clone());
        let lent = AtomicBool::new(false);
        Ok(Arc::new(Storage { memory, real, recycled, class, region, born, lent, pool }))
    }

    /// A caller's memory: not counted, and not the pool's when its tensors are gone.
    pub(super) fn adopt(self: &Arc<Self>, memory: Memory, real: bool) -> Arc<Storage> {
        let (born, lent, pool) = (saved::now(), AtomicBool::new(true), self.clone());
        let (recycled, class, region) = (true, 0, None);
        Arc::new(Storage { memory, real, recycled, class, region, born, lent, pool })
    }

    /// Counts the new buffer as held and takes it from a free list where there is one.
    fn reuse(&self, key: Key, backend: &Backend) -> Result<(Option<Memory>, Option<u64>)> {
        let mut state = self.state();
        state.age(backend);
        let region = state.region_of_this_frame();
        let private = region.and_then(|id| state.regions.get_mut(&id));
        let found = private
            .and_then(|lists| lists.get_mut(&key)?.pop())
            .or_else(|| state.free.get_mut(&key)?.pop())
            .map(|(memory, _)| memory);
        if found.is_some() {
            state.cached -= key.class;
        } else if let Some(limit) = state.limit
            && state.held + state.cached + key.class > limit
        {
            state.trim(backend);
            if state.held + key.class > limit {
                return Err(Error::OutOfMemory { asked: key.class, held: state.held });
            }
        }
        state.held += key.class;
        state.peak = state.peak.max(state.held);
        Ok((found, region))
    }

    /// New memory; where the driver has none, what is cached is given back first.
    fn create(&self, backend: &Backend, key: Key) -> Result<Memory> {
        match backend.allocate(key.real, key.class) {
            Err(Error::OutOfMemory { asked, .. }) => {
                let mut state = self.state();
                state.trim(backend);
                let held = state.held - key.class;
                drop(state);
                backend.allocate(key.real, key.class).map_err(|e| match e {
                    Error::OutOfMemory { .. } => Error::OutOfMemory { asked, held },
                    other => other,
                })
            }
            other => other,
        }
    }

    pub(crate) fn report(&self) -> MemoryReport {
        let state = self.state();
        MemoryReport { held: state.held, peak: state.peak, cached: state.cached }
    }

    pub(crate) fn reset_peak(&self) {
        let mut state = self.state();
        state.peak = state.held;
    }

    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.state().limit = limit;
    }

    pub(crate) fn trim(&self, backend: &Backend) {
        self.state().trim(backend);
    }

    /// Gives back what has been free for long.
    pub(crate) fn age(&self, backend: &Backend) {
        self.state().age(backend);
    }

    /// Starts a region; allocations of this frame belong to it until [`leave`](Self::leave).
    pub(crate) fn enter(&self) -> u64 {
        // A number for all pools: a step may use the memory of several.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        state.regions.insert(id, FreeLists::default());
        state.current.push((Frame::here(), id));
        id
    }

    pub(crate) fn leave(&self) {
        let here = Frame::here();
        self.state().current.retain(|(frame, _)| *frame != here);
    }

    /// Ends a region: its free memory is anybody's again.
    pub(crate) fn dissolve(&self, id: u64) {
        let mut state = self.state();
        for (key, list) in state.regions.remove(&id).into_iter().flatten() {
            let free = state.free.entry(key).or_default();
            free.extend(list);
            free.sort_by_key(|(_, freed)| *freed);
        }
    }
}

impl State {
    fn region_of_this_frame(&self) -> Option<u64> {
        if self.current.is_empty() {
            return None;
        }
        let here = Frame::here();
        self.current.iter().find(|(frame, _)| *frame == here).map(|(_, region)| *region)
    }

    fn age(&mut self, backend: &Backend) {
        let now = Instant::now();
        if self.swept.is_some_and(|at| now.duration_since(at) < SWEEP_EVERY) {
            return;
        }
        self.swept = Some(now);
        let mut old = Vec::new();
        for (key, list) in &mut self.free {
            let count = list.partition_point(|(_, freed)| now.duration_since(*freed) >= KEPT_FOR);
            self.cached -= key.class * count as u64;
            old.extend(list.drain(..count).map(|(memory, _)| memory));
        }
        self.free.retain(|_, list| !list.is_empty());
        backend.forget_buffers_of(&old);
    }

    fn trim(&mut self, backend: &Backend) {
        let freed: u64 = self.free.iter().map(|(key, list)| key.class * list.len() as u64).sum();
        self.free.clear();
        self.cached -= freed;
        backend.forget_buffers();
    }
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn classes_waste_at_most_a_third() {
        for bytes in [1, 255, 256, 257, 384, 385, 512, 1000, 1 << 20, (1 << 20) + 1, 3 << 19] {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(4));
            assert!(bytes <= 256 || class * 2 <= bytes * 3 + 8, "{bytes} -> {class}");
        }
    }
}
