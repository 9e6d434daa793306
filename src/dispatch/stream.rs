//! The stream: takes launches in order and makes the device run them.

use super::capture::{BeforeReplay, Recording, Step, check_device};
use super::export::{Collecting, ExportedLaunch, Wanted};
use super::on_host::{run_on_host, take_arrays};
use super::pool::Pool;
use super::watch::{self, Watch};
use super::{Bound, Launch, Memory, Note, Profile, Storage, saved, shadow};
use crate::error::{Error, Result};
use crate::gpu::{self, Access, Batch, Binding, Capabilities, Command, Context, Element};
use crate::host::{Array, Held, Host, HostBuffer, In, InUse, Precision};
use crate::kernel::Program;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// Which kind of device does the work.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Gpu(Arc<Context>),
    Host(Arc<Host>),
}

/// Floating-point work after which a batch is submitted, so that a submission stays far below what
/// a driver's watchdog allows.
const SUBMIT_FLOPS: f64 = 2e11;

/// The bytes of what stands for a tensor that a launch does not use: the element of any binding.
const STAND_IN: u64 = 256;

impl Backend {
    /// Memory of `bytes` bytes.
    pub(super) fn allocate(&self, real: bool, bytes: u64) -> Result<Memory> {
        match self {
            Backend::Gpu(context) => context.create_buffer(bytes).map(Memory::Gpu),
            Backend::Host(host) => {
                host.allocate(real, (bytes / 4) as usize).map(|b| Memory::Host(Arc::new(b)))
            }
        }
    }

    /// The size class that holds `bytes`, within the largest buffer of the device.
    pub(super) fn clamp_class(&self, bytes: u64, class: u64) -> Result<u64> {
        let capabilities = self.capabilities();
        let largest = capabilities.max_buffer.min(capabilities.max_binding);
        if bytes > largest {
            return Err(Error::Limit {
                what: "bytes of one tensor".into(),
                asked: bytes,
                allowed: largest,
            });
        }
        Ok(if class > largest { bytes.next_multiple_of(16).min(largest) } else { class })
    }

    /// Forgets caches that keep buffers alive.
    pub(super) fn forget_buffers(&self) {
        if let Backend::Gpu(context) = self {
            context.forget_bind_groups();
        }
    }

    /// The device's name: adapter, API, kind and driver, or the host.
    pub(crate) fn name(&self) -> String {
        match self {
            Backend::Gpu(context) => context.summary.to_string(),
            Backend::Host(host) => host.name(),
        }
    }

    /// Whether this is the oracle, which has nobody to be compared with.
    fn is_oracle(&self) -> bool {
        matches!(self, Backend::Host(host) if host.precision == Precision::Double)
    }

    /// Forgets what a cache keeps of these buffers.
    pub(super) fn forget_buffers_of(&self, gone: &[Memory]) {
        if let Backend::Gpu(context) = self {
            let id = |memory: &Memory| match memory {
                Memory::Gpu(buffer) => Some(buffer.id),
                Memory::Host(_) => None,
            };
            context.forget_bind_groups_of(&gone.iter().filter_map(id).collect::<Vec<_>>());
        }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        match self {
            Backend::Gpu(context) => &context.capabilities,
            Backend::Host(host) => &host.capabilities,
        }
    }
}

/// Launches in order: those of a thread as it records them, and those of several threads as the
/// program orders their calls.
///
/// The lock on the state covers bookkeeping, and on a GPU the hand-over to the driver. It is not held
/// while loops run on the host (see `host::threads`), so that threads use the host side by side.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) backend: Backend,
    pub(crate) pool: Arc<Pool>,
    /// Tables that operators keep on the device, by their keys.
    tables: Mutex<HashMap<TableKey, (Arc<Storage>, usize)>>,
    /// Shared by the host devices of one precision: a step may use tensors of several.
    state: Arc<Mutex<State>>,
    profile: Mutex<Option<Profile>>,
    /// The storages whose buffers a caller has, too.
    lent: Mutex<Vec<Weak<Storage>>>,
    /// What stands for tensors that a launch does not use, by place and bytes.
    stand_ins: Mutex<HashMap<(usize, u64), Memory>>,
    /// Launches that are being collected for other programs.
    collecting: Mutex<Option<Collecting>>,
    /// Whether launches are checked against their oracles.
    shadow: AtomicBool,
    watch: Arc<Watch>,
}

/// Whose table, and which.
pub(crate) type TableKey = (&'static str, [usize; 6]);

#[derive(Debug, Default)]
pub(super) struct State {
    batch: Batch,
    flops: f64,
    /// Steps that are being recorded, at most one a frame.
    recordings: Vec<Recording>,
}

impl Stream {
    pub(crate) fn new(backend: Backend) -> Self {
        let shadow = std::env::var_os("SPIKEGRAD_SHADOW").is_some_and(|v| v == "1");
        // In a build for speed a GPU spends nothing on it.
        let watch = matches!(backend, Backend::Host(_)) || cfg!(debug_assertions);
        let state = match &backend {
            Backend::Gpu(_) => Arc::default(),
            Backend::Host(host) => host_state(host.precision),
        };
        Self {
            pool: Arc::new(Pool::new(&backend)),
            lent: Mutex::default(),
            stand_ins: Mutex::default(),
            collecting: Mutex::default(),
            backend,
            tables: Mutex::default(),
            state,
            profile: Mutex::default(),
            shadow: AtomicBool::new(shadow),
            watch: Arc::new(Watch::new(watch)),
        }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.backend.capabilities()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both take part in one recording: as one device's handles do, or the host's.
    pub(super) fn shares_state(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    fn profile(&self) -> MutexGuard<'_, Option<Profile>> {
        self.profile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for a tensor of `words` words.
    pub(crate) fn allocate(&self, real: bool, words: usize) -> Result<Arc<Storage>> {
        if let Backend::Gpu(context) = &self.backend {
            context.check()?;
        }
        self.pool.take(&self.backend, real, words.max(1))
    }

    /// The table under `key`: uploaded by the first who asks, then kept as long as the device.
    pub(crate) fn table(
        &self,
        key: TableKey,
        values: impl FnOnce() -> Vec<f32>,
    ) -> Result<(Arc<Storage>, usize)> {
        let tables = || self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = tables().get(&key) {
            return Ok(found.clone());
        }
        let values = values();
        let words = values.len();
        let storage = self.allocate(true, words)?;
        self.upload(&storage, Array::Single(values), true)?;
        tables().insert(key, (storage.clone(), words));
        Ok((storage, words))
    }

    /// Whether operators look at the indices that they take.
    pub(crate) fn checks_indices(&self) -> bool {
        self.watch.is_on()
    }

    pub(crate) fn check_indices(&self, on: bool) {
        self.watch.set(on);
    }

    /// The number under which an operator notes an index out of range: 0, nobody's, where nobody
    /// asks.
    pub(crate) fn index_site(&self, op: &'static str, what: &'static str) -> u32 {
        if self.watch.is_on() { self.watch.site((op, what)) } else { 0 }
    }

    /// Where a launch notes what it finds.
    pub(crate) fn index_note(&self) -> Result<Note> {
        match &self.backend {
            Backend::Gpu(_) => {
                self.watch.shared(|| self.backend.allocate(false, watch::WORDS as u64 * 4))
            }
            Backend::Host(_) => {
                Ok(Note(Bound::new(&self.allocate(false, watch::WORDS)?, watch::WORDS)))
            }
        }
    }

    /// What stands in place `place` of a launch that does not use the shader's `binding`: on a GPU one
    /// buffer a place, for the bindings of a launch are never one.
    pub(super) fn stand_in(&self, place: usize, binding: &Binding) -> Result<Bound> {
        let real = binding.element == Element::Real;
        let bytes = u64::from(binding.least_bytes).max(STAND_IN);
        let memory = match &self.backend {
            Backend::Host(_) => self.backend.allocate(real, 0)?,
            Backend::Gpu(_) => {
                let mut known = self.stand_ins.lock().unwrap_or_else(PoisonError::into_inner);
                let found = known.get(&(place, bytes)).cloned();
                match found {
                    Some(memory) => memory,
                    None => {
                        let made = self.backend.allocate(real, bytes)?;
                        known.insert((place, bytes), made.clone());
                        made
                    }
                }
            }
        };
        Ok(Bound::stand_in(memory, real, bytes))
    }

    /// Takes a launch.
    pub(crate) fn record(&self, mut launch: Launch) -> Result<()> {
        let program = launch.settle()?;
        let noted = launch.note.and_then(|at| launch.bindings.get(at)).map(|b| b.memory.clone());
        self.run(launch, program)?;
        match (noted, &self.backend) {
            (Some(Memory::Host(buffer)), Backend::Host(host)) => {
                self.watch.verdict(&copy_out(host, &buffer, watch::WORDS)?)
            }
            _ => Ok(()),
        }
    }

    fn run(&self, launch: Launch, program: &'static Program) -> Result<()> {
        check_device(launch.kernel.name, self)?;
        self.check(&launch, program)?;
        if let Some(collecting) = &mut *self.collecting() {
            collecting.take(self, &launch, program)?;
        }
        launch.written(program).for_each(Memory::touch);
        if self.is_shadowed() && !self.backend.is_oracle() {
            return shadow::run(self, launch, program);
        }
        match &self.backend {
            Backend::Gpu(context) => {
                let mut state = self.state();
                state.enqueue(self, context, &launch)?;
                state.keep(launch);
            }
            Backend::Host(host) => {
                let start = std::time::Instant::now();
                run_on_host(host, &launch, program, &mut take_arrays(host, &launch, program)?);
                self.ran(launch, start);
            }
        }
        Ok(())
    }

    /// Makes the pipeline of a launch that would take this variant.
    pub(crate) fn compile(&self, mut launch: Launch, variant: usize) -> Result<()> {
        launch.variant = variant;
        match &self.backend {
            Backend::Gpu(context) => pipeline(context, &launch).map(|_| ()),
            Backend::Host(_) => launch.kernel.program(launch.variant).map(|_| ()),
        }
    }

    /// What can be wrong with a launch before it reaches the driver.
    fn check(&self, launch: &Launch, program: &Program) -> Result<()> {
        let kernel = launch.kernel.name;
        let bindings = &program.reflection.bindings;
        for (i, (bound, binding)) in launch.bindings.iter().zip(bindings).enumerate() {
            let foreign = |s: &Arc<Storage>| !s.is_from(&self.pool);
            if let Some(storage) = &bound.storage {
                saved::check(storage, kernel, &binding.name)?;
            }
            if bound.storage.as_ref().is_some_and(foreign) {
                return Err(Error::DeviceMismatch {
                    op: kernel,
                    left: "the launch's".into(),
                    right: format!("that of `{}`", binding.name),
                });
            }
            if bound.real != (binding.element == Element::Real) {
                let name = |real| if real { "f32" } else { "u32, bits or f16" };
                return Err(Error::DType {
                    op: kernel,
                    expected: format!("{} for `{}`", name(!bound.real), binding.name),
                    found: name(bound.real).into(),
                });
            }
            let least = u64::from(binding.least_bytes);
            if bound.bytes < least {
                return Err(Error::Limit {
                    what: format!("{kernel}: bytes of an element of `{}`", binding.name),
                    asked: least,
                    allowed: bound.bytes,
                });
            }
            let others = launch.bindings.iter().zip(bindings).enumerate();
            let clash = others.filter(|(j, _)| *j != i).any(|(_, (other, declared))| {
                (binding.access == Access::Write || declared.access == Access::Write)
                    && bound.memory.same(&other.memory)
            });
            if clash {
                return Err(Error::Aliased { kernel, binding: binding.name.clone() });
            }
        }
        launch.check_iterations(program)?;
        let most = self.capabilities().max_groups;
        match launch.groups.iter().find(|g| **g > most) {
            Some(groups) => Err(Error::Limit {
                what: format!("{kernel}: workgroups along one axis"),
                asked: u64::from(*groups),
                allowed: u64::from(most),
            }),
            None => Ok(()),
        }
    }

    /// Books a launch that the host has run.
    pub(super) fn ran(&self, launch: Launch, start: std::time::Instant) {
        if let Some(profile) = &mut *self.profile() {
            profile.add(&launch, start.elapsed().as_nanos() as f64);
        }
        self.state().keep(launch);
    }

    /// Submits what is waiting.
    pub(crate) fn flush(&self) -> Result<()> {
        self.state().flush(self)
    }

    /// Submits what is waiting and waits until it is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.flush()?;
        self.pool.age(&self.backend);
        match &self.backend {
            Backend::Gpu(context) => context.wait(),
            Backend::Host(_) => Ok(()),
        }
    }

    /// Zeroes the first `words` words.
    pub(crate) fn clear(&self, storage: &Arc<Storage>, words: usize) -> Result<()> {
        check_device("clear", self)?;
        self.clear_memory(&storage.memory, words)?;
        if let Some(recording) = self.state().recording() {
            recording.adopt_storage(storage);
            recording.steps.push(Step::Clear(storage.memory.clone(), words));
        }
        Ok(())
    }

    fn clear_memory(&self, memory: &Memory, words: usize) -> Result<()> {
        memory.touch();
        match (memory, &self.backend) {
            (Memory::Gpu(buffer), _) => {
                let command = Command::Clear { buffer: buffer.clone(), bytes: words as u64 * 4 };
                self.state().push(self, command)
            }
            (Memory::Host(buffer), Backend::Host(host)) => {
                let mut held = host.turns.take([(&**buffer, true)].into_iter());
                match first("clear", &mut held)? {
                    In::Write(Array::Single(a)) => a[..words].fill(0.0),
                    In::Write(Array::Double(a)) => a[..words].fill(0.0),
                    In::Write(Array::Words(a)) => a[..words].fill(0),
                    In::Read(_) => {}
                }
                Ok(())
            }
            _ => Err(Error::argument("clear", "memory of another device")),
        }
    }

    /// Copies the first `words` words.
    pub(crate) fn copy(&self, from: &Arc<Storage>, to: &Arc<Storage>, words: usize) -> Result<()> {
        check_device("copy", self)?;
        saved::check(from, "copy", "from")?;
        self.copy_memory(&from.memory, &to.memory, words)?;
        if let Some(recording) = self.state().recording() {
            recording.adopt_storage(from);
            recording.adopt_storage(to);
            let (from, to) = (from.memory.clone(), to.memory.clone());
            recording.steps.push(Step::Copy(from, to, words));
        }
        Ok(())
    }

    fn copy_memory(&self, from: &Memory, to: &Memory, words: usize) -> Result<()> {
        // Nothing changes, and a driver refuses it with all that was recorded beside it.
        if from.same(to) {
            return Ok(());
        }
        to.touch();
        match (from, to, &self.backend) {
            (Memory::Gpu(a), Memory::Gpu(b), _) => {
                let (from, to) = (a.clone(), b.clone());
                self.state().push(self, Command::Copy { from, to, bytes: words as u64 * 4 })
            }
            (Memory::Host(a), Memory::Host(b), Backend::Host(host)) => copy_host(host, a, b, words),
            _ => {
                Err(Error::DeviceMismatch { op: "copy", left: "GPU".into(), right: "host".into() })
            }
        }
    }

    /// Overwrites the start of a tensor's memory with `array`.
    ///
    /// `fresh` memory is a tensor that no launch has seen. During a capture only such memory can be
    /// written (and is then kept as it is for all replays).
    pub(crate) fn upload(&self, storage: &Arc<Storage>, array: Array, fresh: bool) -> Result<()> {
        check_device("write", self)?;
        let mut state = self.state();
        if let Some(recording) = state.recording() {
            if !fresh {
                return Err(Error::argument("write", "a tensor cannot be written in a capture"));
            }
            if storage.recycled {
                drop(state);
                return self.upload_by_copy(storage, array);
            }
            recording.pins.push(storage.clone());
        } else if storage.recycled || !fresh {
            // A queued write overtakes recorded commands: those must be on their way first.
            state.flush(self)?;
        }
        drop(state);
        self.overwrite(&storage.memory, array)
    }

    /// An upload into memory that an earlier step of the capture may write: a copy from memory of its
    /// own, so that each replay puts the elements there again.
    fn upload_by_copy(&self, storage: &Arc<Storage>, array: Array) -> Result<()> {
        let words = array.len();
        let source = self.backend.allocate(storage.real, words.max(1) as u64 * 4)?;
        self.overwrite(&source, array)?;
        self.copy_memory(&source, &storage.memory, words)?;
        if let Some(recording) = self.state().recording() {
            recording.steps.push(Step::Copy(source, storage.memory.clone(), words));
        }
        Ok(())
    }

    /// Writes to the start of some memory, at once.
    pub(super) fn overwrite(&self, memory: &Memory, array: Array) -> Result<()> {
        memory.touch();
        match (memory, &self.backend) {
            (Memory::Gpu(buffer), Backend::Gpu(context)) => {
                context.write(buffer, &array.device_bytes(array.len()))
            }
            (Memory::Host(buffer), Backend::Host(host)) => {
                let mut held = host.turns.take([(&**buffer, true)].into_iter());
                if let In::Write(to) = first("write", &mut held)? {
                    overwrite(to, array);
                }
                Ok(())
            }
            _ => Err(Error::argument("write", "memory of another device")),
        }
    }

    /// Starts reading the first `words` words back.
    pub(crate) fn read(&self, storage: &Arc<Storage>, words: usize) -> Result<ReadInner> {
        check_device("read", self)?;
        saved::check(storage, "read", "tensor")?;
        let mut state = self.state();
        if state.recording().is_some() {
            return Err(Error::argument("read", "a tensor cannot be read in a capture"));
        }
        match (&storage.memory, &self.backend) {
            (Memory::Gpu(buffer), Backend::Gpu(context)) => {
                state.flush(self)?;
                let staged = context.stage(buffer, words as u64 * 4)?;
                Ok(ReadInner::Staged(staged, self.late_note(context)?))
            }
            (Memory::Host(buffer), Backend::Host(host)) => {
                drop(state);
                copy_out(host, buffer, words).map(ReadInner::Ready)
            }
            _ => Err(Error::argument("read", "memory of another device")),
        }
    }

    /// The buffer of a tensor, for passes of the caller's own; what waits is on its way.
    pub(crate) fn lend(&self, storage: &Arc<Storage>) -> Result<gpu::wgpu::Buffer> {
        let Memory::Gpu(buffer) = &storage.memory else { return Err(no_buffers("buffer")) };
        check_device("buffer", self)?;
        let mut state = self.state();
        if state.recording().is_some() {
            return Err(Error::argument("buffer", "no buffer can be handed out in a capture"));
        }
        state.flush(self)?;
        drop(state);
        storage.memory.touch();
        storage.lend();
        self.note_lent(storage);
        Ok(buffer.raw.clone())
    }

    /// Memory in a caller's buffer. A buffer that is known keeps its identity, so that launches that
    /// read and write it at once are seen.
    pub(crate) fn adopt(
        &self,
        raw: gpu::wgpu::Buffer,
        real: bool,
        words: usize,
    ) -> Result<Arc<Storage>> {
        let Backend::Gpu(context) = &self.backend else { return Err(no_buffers("from_buffer")) };
        let adopted = context.adopt(raw, words as u64 * 4)?;
        let is_it = |s: &Arc<Storage>| matches!(&s.memory, Memory::Gpu(b) if b.raw == adopted.raw);
        let known: Vec<_> = self.lent().iter().filter_map(Weak::upgrade).filter(is_it).collect();
        if let Some(same) = known.iter().find(|s| s.real == real) {
            return Ok(same.clone());
        }
        let memory = known.first().map_or(Memory::Gpu(adopted), |s| s.memory.clone());
        let storage = self.pool.adopt(memory, real);
        self.note_lent(&storage);
        Ok(storage)
    }

    fn note_lent(&self, storage: &Arc<Storage>) {
        let mut lent = self.lent();
        lent.retain(|known| known.strong_count() > 0 && known.as_ptr() != Arc::as_ptr(storage));
        lent.push(Arc::downgrade(storage));
    }

    fn lent(&self) -> MutexGuard<'_, Vec<Weak<Storage>>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What launches so far have noted, on its way from a GPU.
    fn late_note(&self, context: &Arc<Context>) -> Result<Option<LateNote>> {
        let Some(Memory::Gpu(buffer)) = self.watch.memory().filter(|_| self.watch.is_on()) else {
            return Ok(None);
        };
        let staged = context.stage(buffer, watch::WORDS as u64 * 4)?;
        let (buffer, watch) = (buffer.clone(), self.watch.clone());
        Ok(Some(LateNote { staged, buffer, watch, context: context.clone() }))
    }

    /// Switches the shadow check on or off.
    pub(crate) fn set_shadow(&self, on: bool) {
        self.shadow.store(on, Ordering::Relaxed);
    }

    fn collecting(&self) -> MutexGuard<'_, Option<Collecting>> {
        self.collecting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts collecting launches.
    pub(crate) fn start_export(&self, wanted: Wanted) -> Result<()> {
        let mut collecting = self.collecting();
        if collecting.is_some() {
            return Err(Error::argument("export", "an export of the device is already running"));
        }
        *collecting = Some(Collecting::new(wanted));
        Ok(())
    }

    /// Ends collecting launches.
    pub(crate) fn stop_export(&self) -> Vec<ExportedLaunch> {
        self.collecting().take().map_or_else(Vec::new, Collecting::finish)
    }

    /// Starts a profile.
    pub(crate) fn start_profile(&self) -> Result<()> {
        self.flush()?;
        let mut profile = self.profile();
        if profile.is_some() {
            return Err(Error::argument("profile", "a profile of the device is already running"));
        }
        *profile = Some(Profile::default());
        Ok(())
    }

    /// Ends a profile.
    pub(crate) fn stop_profile(&self) -> Profile {
        self.profile().take().unwrap_or_default()
    }

    /// Starts recording what the calling code does.
    pub(super) fn start_recording(&self) -> Result<()> {
        let mut state = self.state();
        if state.recording().is_some() {
            return Err(Error::argument("capture", "a capture is already being recorded"));
        }
        state.flush(self)?;
        state.recordings.push(Recording::new(self.pool.enter()));
        Ok(())
    }

    /// Ends the calling code's recording.
    pub(super) fn stop_recording(&self) -> Option<Recording> {
        self.pool.leave();
        let mut state = self.state();
        let at = state.recordings.iter().position(Recording::is_mine)?;
        Some(state.recordings.swap_remove(at))
    }

    /// Whether launches are looked at one by one: profiled, or checked against their oracles.
    pub(super) fn is_inspected(&self) -> bool {
        self.is_shadowed() || self.profile().is_some()
    }

    /// Whether launches are checked against their oracles.
    pub(super) fn is_shadowed(&self) -> bool {
        self.shadow.load(Ordering::Relaxed)
    }

    /// Whether the calling code records a step.
    pub(crate) fn is_recording(&self) -> bool {
        self.state().recording().is_some()
    }

    /// Lets every replay of the step that is being recorded begin with `before`: once, a second time
    /// is refused in the name of `op`. Whether a step is being recorded.
    pub(crate) fn before_replay(
        &self,
        op: &'static str,
        before: Arc<dyn BeforeReplay>,
    ) -> Result<bool> {
        let mut state = self.state();
        let Some(recording) = state.recording() else { return Ok(false) };
        if recording.before.iter().any(|b| std::ptr::addr_eq(Arc::as_ptr(b), Arc::as_ptr(&before)))
        {
            return Err(Error::argument(op, "a capture holds one step of an optimizer"));
        }
        recording.before.push(before);
        Ok(true)
    }

    /// Does `work` as if the calling code recorded no step: it is no part of replays.
    pub(crate) fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        struct Resumes<'a>(&'a Stream, Option<Recording>);
        impl Drop for Resumes<'_> {
            fn drop(&mut self) {
                self.0.state().recordings.extend(self.1.take());
            }
        }
        let mut state = self.state();
        let at = state.recordings.iter().position(Recording::is_mine);
        let resumes = Resumes(self, at.map(|at| state.recordings.swap_remove(at)));
        drop(state);
        let outcome = work();
        drop(resumes);
        outcome
    }

    /// Runs one recorded step again, as if it had just been recorded.
    pub(super) fn rerun(&self, step: &Step) -> Result<()> {
        match step {
            Step::Launch(launch) => self.record((**launch).clone()),
            Step::Clear(memory, words) => self.clear_memory(memory, *words),
            Step::Copy(from, to, words) => self.copy_memory(from, to, *words),
        }
    }
}

/// The state that all host devices of a precision share.
fn host_state(precision: Precision) -> Arc<Mutex<State>> {
    static SINGLE: LazyLock<Arc<Mutex<State>>> = LazyLock::new(Arc::default);
    static DOUBLE: LazyLock<Arc<Mutex<State>>> = LazyLock::new(Arc::default);
    match precision {
        Precision::Single => SINGLE.clone(),
        Precision::Double => DOUBLE.clone(),
    }
}

impl State {
    /// The step that the calling code records.
    fn recording(&mut self) -> Option<&mut Recording> {
        self.recordings.iter_mut().find(|r| r.is_mine())
    }

    /// Submits what is waiting.
    pub(super) fn flush(&mut self, stream: &Stream) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let Backend::Gpu(context) = &stream.backend else { return Ok(()) };
        let submitted = context.submit(&self.batch);
        self.batch.clear();
        self.flops = 0.0;
        submitted
    }

    /// Appends a launch to the batch, and to the step that is being recorded.
    pub(super) fn enqueue(
        &mut self,
        stream: &Stream,
        context: &Context,
        launch: &Launch,
    ) -> Result<()> {
        let (pipeline, bind_group) = prepare(context, launch)?;
        if let Some(recording) = self.recording() {
            let (pipeline, bind_group) = (pipeline.clone(), bind_group.clone());
            recording.batch.dispatch(pipeline, bind_group, launch.param_bytes(), launch.groups);
        }
        self.batch.dispatch(pipeline, bind_group, launch.param_bytes(), launch.groups);
        if let Some(profile) = &mut *stream.profile() {
            let times = context.submit_timed(&self.batch);
            self.batch.clear();
            profile.add(launch, times?[0]);
            return Ok(());
        }
        self.flops += launch.cost().flops;
        if self.flops > SUBMIT_FLOPS {
            if let Some(recording) = self.recording() {
                recording.batch.commands.push(Command::Submit);
            }
            return self.flush(stream);
        }
        if self.batch.is_full(context) { self.flush(stream) } else { Ok(()) }
    }

    fn push(&mut self, stream: &Stream, command: Command) -> Result<()> {
        if let Some(recording) = self.recording() {
            recording.batch.commands.push(command.clone());
        }
        self.batch.commands.push(command);
        if stream.profile().is_some() { self.flush(stream) } else { Ok(()) }
    }

    /// Keeps what a replay of a launch needs, if a step is being recorded.
    pub(super) fn keep(&mut self, mut launch: Launch) {
        if let Some(recording) = self.recording() {
            recording.adopt(&mut launch.bindings);
            recording.steps.push(Step::Launch(Box::new(launch)));
        }
    }
}

fn no_buffers(what: &str) -> Error {
    Error::Unsupported { what: format!("Tensor::{what}"), feature: "a GPU".into() }
}

/// A read-back on its way, or done.
pub(crate) enum ReadInner {
    Ready(Array),
    Staged(gpu::Staged, Option<LateNote>),
}

/// What launches have noted about indices out of range, on its way from a GPU.
pub(crate) struct LateNote {
    staged: gpu::Staged,
    buffer: gpu::GpuBuffer,
    watch: Arc<Watch>,
    context: Arc<Context>,
}

impl LateNote {
    pub(crate) fn wait(self) -> Result<()> {
        let Self { staged, buffer, watch, context } = self;
        Self::judge(&staged.wait()?, &buffer, &watch, &context)
    }

    pub(crate) async fn wait_async(self) -> Result<()> {
        let Self { staged, buffer, watch, context } = self;
        Self::judge(&staged.wait_async().await?, &buffer, &watch, &context)
    }

    /// What the note says; whoever has been told clears it.
    fn judge(
        bytes: &[u8],
        buffer: &gpu::GpuBuffer,
        watch: &Watch,
        context: &Context,
    ) -> Result<()> {
        let note = Array::from_device_bytes(Precision::Single, false, bytes);
        let verdict = watch.verdict(&note);
        let clear = || context.write(buffer, &[0; watch::WORDS * 4]);
        verdict.or_else(|error| clear().and(Err(error)))
    }
}

/// Where every pipeline that is made is logged: kernel, variant, constants.
const PIPELINES: &str = "spikegrad::pipelines";

/// The pipeline of a launch; made the first time.
fn pipeline(context: &Context, launch: &Launch) -> Result<Arc<gpu::Pipeline>> {
    let kernel = launch.kernel;
    let (key, trusted) = (launch.key(), kernel.is_built_in());
    context.pipeline(&key, kernel.name, launch.constants(), trusted, || {
        let constants = launch.constants().iter().map(|(name, value)| format!(" {name}={value}"));
        let constants = constants.collect::<String>();
        log::trace!(target: PIPELINES, "{} {}{constants}", kernel.name, launch.variant);
        let program = kernel.program(launch.variant)?;
        Ok((program.module.clone(), program.reflection.clone()))
    })
}

/// The pipeline and the bind group of a launch.
fn prepare(context: &Context, launch: &Launch) -> Result<(Arc<gpu::Pipeline>, gpu::BindGroup)> {
    let pipeline = pipeline(context, launch)?;
    let program = launch.kernel.program(launch.variant)?;
    let mut buffers = Vec::with_capacity(launch.bindings.len());
    for (bound, binding) in launch.bindings.iter().zip(&program.reflection.bindings) {
        if let Memory::Gpu(buffer) = &bound.memory {
            // What stands for a tensor that is not used has no words.
            let bytes = (bound.words as u64 * 4).max(u64::from(binding.least_bytes));
            buffers.push((buffer, bytes));
        }
    }
    let bind_group = context.bind_group(&pipeline, &buffers)?;
    Ok((pipeline, bind_group))
}

/// The first of the arrays that `op` asked for.
fn first<'a>(
    op: &'static str,
    held: &'a mut std::result::Result<Held<'_>, InUse>,
) -> Result<In<'a>> {
    let busy = || Error::Busy { op, tensor: "the tensor".into() };
    held.as_mut().ok().and_then(|held| held.arrays().next()).ok_or_else(busy)
}

fn copy_host(
    host: &Host,
    from: &Arc<HostBuffer>,
    to: &Arc<HostBuffer>,
    words: usize,
) -> Result<()> {
    let busy = |InUse(i)| Error::Busy { op: "copy", tensor: ["from", "to"][i].into() };
    let mut held = host.turns.take([(&**from, false), (&**to, true)].into_iter()).map_err(busy)?;
    let mut arrays = held.arrays();
    match (arrays.next(), arrays.next()) {
        (Some(In::Read(Array::Single(a))), Some(In::Write(Array::Single(b)))) => {
            b[..words].copy_from_slice(&a[..words]);
        }
        (Some(In::Read(Array::Double(a))), Some(In::Write(Array::Double(b)))) => {
            b[..words].copy_from_slice(&a[..words]);
        }
        (Some(In::Read(Array::Words(a))), Some(In::Write(Array::Words(b)))) => {
            b[..words].copy_from_slice(&a[..words]);
        }
        // Both hold elements of one type, in the precision of the device.
        _ => {}
    }
    Ok(())
}

impl Memory {
    /// All that it holds, on the host.
    pub(super) fn contents(&self, host: &Host) -> Result<Array> {
        let Memory::Host(buffer) = self else {
            return Err(Error::argument("replay", "memory of another device"));
        };
        let mut held = host.turns.take([(&**buffer, false)].into_iter());
        Ok(match first("replay", &mut held)? {
            In::Read(array) => array.clone(),
            In::Write(array) => array.clone(),
        })
    }
}

/// The first `words` elements of a host buffer.
fn copy_out(host: &Host, buffer: &HostBuffer, words: usize) -> Result<Array> {
    let mut held = host.turns.take([(buffer, false)].into_iter());
    Ok(match first("read", &mut held)? {
        In::Read(Array::Single(a)) => Array::Single(a[..words].to_vec()),
        In::Read(Array::Double(a)) => Array::Double(a[..words].to_vec()),
        In::Read(Array::Words(a)) => Array::Words(a[..words].to_vec()),
        In::Write(array) => array.clone(),
    })
}

/// Overwrites the start of `to`, changing the precision where the two differ.
fn overwrite(to: &mut Array, from: Array) {
    match (to, from) {
        (Array::Single(to), Array::Single(from)) => to[..from.len()].copy_from_slice(&from),
        (Array::Double(to), Array::Double(from)) => to[..from.len()].copy_from_slice(&from),
        (Array::Words(to), Array::Words(from)) => to[..from.len()].copy_from_slice(&from),
        (Array::Single(to), Array::Double(from)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from as f32);
        }
        (Array::Double(to), Array::Single(from)) => {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(from));
        }
        // A tensor's element type fixes its array; the two kinds never meet.
        (Array::Words(_), _) | (_, Array::Words(_)) => {}
    }
}
