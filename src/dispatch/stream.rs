//! The stream: takes launches in order and makes the device run them.

use super::capture::{Recording, Step};
use super::pool::Pool;
use super::{Launch, Memory, Profile, Storage, shadow};
use crate::error::{Error, Result};
use crate::gpu::{self, Access, Batch, Capabilities, Command, Context, Element};
use crate::host::{Array, Host, HostArgs, HostBuffer, Real, Slot};
use crate::kernel::Program;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which kind of device does the work.
#[derive(Debug, Clone)]
pub(crate) enum Backend {
    Gpu(Arc<Context>),
    Host(Arc<Host>),
}

/// Floating-point work after which a batch is submitted, so that a submission stays far below what
/// a driver's watchdog allows.
const SUBMIT_FLOPS: f64 = 2e11;

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

    pub(crate) fn capabilities(&self) -> &Capabilities {
        match self {
            Backend::Gpu(context) => &context.capabilities,
            Backend::Host(host) => &host.capabilities,
        }
    }
}

/// Launches in order.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) backend: Backend,
    pub(crate) pool: Arc<Pool>,
    /// Tables that operators keep on the device, by their keys.
    tables: Mutex<HashMap<TableKey, (Arc<Storage>, usize)>>,
    state: Mutex<State>,
}

/// Whose table, and which.
pub(crate) type TableKey = (&'static str, [usize; 6]);

#[derive(Debug, Default)]
pub(super) struct State {
    batch: Batch,
    flops: f64,
    /// Steps that are being recorded, at most one a thread.
    recordings: Vec<Recording>,
    profile: Option<Profile>,
    shadow: bool,
}

impl Stream {
    pub(crate) fn new(backend: Backend) -> Self {
        let shadow = std::env::var_os("SPIKEGRAD_SHADOW").is_some_and(|v| v == "1");
        let state = Mutex::new(State { shadow, ..State::default() });
        Self { backend, pool: Arc::default(), tables: Mutex::default(), state }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.backend.capabilities()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes a launch.
    pub(crate) fn record(&self, launch: Launch) -> Result<()> {
        let program = launch.kernel.program(launch.variant)?;
        self.check(&launch, &program)?;
        let mut state = self.state();
        if state.shadow {
            state.flush(self)?;
            return shadow::run(self, &mut state, launch, &program);
        }
        self.run(&mut state, &launch, &program)?;
        state.keep(launch);
        Ok(())
    }

    /// Runs a checked launch: encodes it, or calls its twin.
    pub(super) fn run(&self, state: &mut State, launch: &Launch, program: &Program) -> Result<()> {
        match &self.backend {
            Backend::Gpu(context) => {
                enqueue(context, &mut state.batch, launch)?;
                if let Some(recording) = state.recording() {
                    enqueue(context, &mut recording.batch, launch)?;
                }
                if let Some(profile) = &mut state.profile {
                    let times = context.submit_timed(&state.batch);
                    state.batch.clear();
                    profile.add(launch, times?[0]);
                    return Ok(());
                }
                state.flops += launch.cost().flops;
                if state.flops > SUBMIT_FLOPS {
                    if let Some(recording) = state.recording() {
                        recording.batch.commands.push(Command::Submit);
                    }
                    state.flush(self)?;
                } else if state.batch.is_full(context) {
                    state.flush(self)?;
                }
                Ok(())
            }
            Backend::Host(host) => {
                let start = std::time::Instant::now();
                call_twin(host, launch, program);
                if let Some(profile) = &mut state.profile {
                    profile.add(launch, start.elapsed().as_nanos() as f64);
                }
                Ok(())
            }
        }
    }

    /// Makes the pipeline of a launch.
    pub(crate) fn compile(&self, launch: &Launch) -> Result<()> {
        match &self.backend {
            Backend::Gpu(context) => pipeline(context, launch).map(|_| ()),
            Backend::Host(_) => launch.kernel.program(launch.variant).map(|_| ()),
        }
    }

    /// What can be wrong with a launch before it reaches the driver.
    fn check(&self, launch: &Launch, program: &Program) -> Result<()> {
        let kernel = launch.kernel.name;
        let bindings = &program.reflection.bindings;
        if bindings.len() != launch.bindings.len() {
            let (found, wanted) = (launch.bindings.len(), bindings.len());
            return Err(Error::argument(kernel, format!("{found} tensors bound, not {wanted}")));
        }
        for (i, (bound, binding)) in launch.bindings.iter().zip(bindings).enumerate() {
            let foreign = |s: &Arc<Storage>| !s.is_from(&self.pool);
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
            let others = launch.bindings.iter().zip(bindings).enumerate();
            let clash = others.filter(|(j, _)| *j != i).any(|(_, (other, declared))| {
                (binding.access == Access::Write || declared.access == Access::Write)
                    && bound.memory.same(&other.memory)
            });
            if clash {
                return Err(Error::Aliased { kernel, binding: binding.name.clone() });
            }
        }
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

    /// Submits what is waiting.
    pub(crate) fn flush(&self) -> Result<()> {
        self.state().flush(self)
    }

    /// Submits what is waiting and waits until it is done.
    pub(crate) fn wait(&self) -> Result<()> {
        self.flush()?;
        match &self.backend {
            Backend::Gpu(context) => context.wait(),
            Backend::Host(_) => Ok(()),
        }
    }

    /// Zeroes the first `words` words.
    pub(crate) fn clear(&self, storage: &Arc<Storage>, words: usize) -> Result<()> {
        let mut state = self.state();
        self.clear_memory(&mut state, &storage.memory, words)?;
        if let Some(recording) = state.recording() {
            recording.adopt_storage(storage);
            recording.steps.push(Step::Clear(storage.memory.clone(), words));
        }
        Ok(())
    }

    fn clear_memory(&self, state: &mut State, memory: &Memory, words: usize) -> Result<()> {
        match memory {
            Memory::Gpu(buffer) => {
                let command = Command::Clear { buffer: buffer.clone(), bytes: words as u64 * 4 };
                state.push(self, command)
            }
            Memory::Host(buffer) => {
                clear_host(buffer, words);
                Ok(())
            }
        }
    }

    /// Copies the first `words` words.
    pub(crate) fn copy(&self, from: &Arc<Storage>, to: &Arc<Storage>, words: usize) -> Result<()> {
        let mut state = self.state();
        self.copy_memory(&mut state, &from.memory, &to.memory, words)?;
        if let Some(recording) = state.recording() {
            recording.adopt_storage(from);
            recording.adopt_storage(to);
            let (from, to) = (from.memory.clone(), to.memory.clone());
            recording.steps.push(Step::Copy(from, to, words));
        }
        Ok(())
    }

    fn copy_memory(
        &self,
        state: &mut State,
        from: &Memory,
        to: &Memory,
        words: usize,
    ) -> Result<()> {
        match (from, to) {
            (Memory::Gpu(a), Memory::Gpu(b)) => {
                let (from, to) = (a.clone(), b.clone());
                state.push(self, Command::Copy { from, to, bytes: words as u64 * 4 })
            }
            (Memory::Host(a), Memory::Host(b)) => {
                copy_host(a, b, words);
                Ok(())
            }
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
        let mut state = self.state();
        if let Some(recording) = state.recording() {
            if !fresh {
                return Err(Error::argument("write", "a tensor cannot be written in a capture"));
            }
            if storage.recycled {
                return self.upload_by_copy(&mut state, storage, array);
            }
            recording.pins.push(storage.clone());
        }
        match (&storage.memory, &self.backend) {
            (Memory::Gpu(buffer), Backend::Gpu(context)) => {
                // A queued write overtakes recorded commands: those must be on their way first.
                if storage.recycled || !fresh {
                    state.flush(self)?;
                }
                context.write(buffer, &array.device_bytes(array.len()))
            }
            (Memory::Host(buffer), _) => {
                overwrite(&mut buffer.write(), array);
                Ok(())
            }
            _ => Err(Error::argument("write", "memory of another device")),
        }
    }

    /// An upload into memory that an earlier step of the capture may write: a copy from memory of its
    /// own, so that each replay puts the elements there again.
    fn upload_by_copy(
        &self,
        state: &mut State,
        storage: &Arc<Storage>,
        array: Array,
    ) -> Result<()> {
        let words = array.len();
        let source = self.backend.allocate(storage.real, words.max(1) as u64 * 4)?;
        match (&source, &self.backend) {
            (Memory::Gpu(buffer), Backend::Gpu(context)) => {
                context.write(buffer, &array.device_bytes(words))?;
            }
            (Memory::Host(buffer), _) => overwrite(&mut buffer.write(), array),
            _ => return Err(Error::argument("write", "memory of another device")),
        }
        self.copy_memory(state, &source, &storage.memory, words)?;
        if let Some(recording) = state.recording() {
            recording.steps.push(Step::Copy(source, storage.memory.clone(), words));
        }
        Ok(())
    }

    /// Starts reading the first `words` words back.
    pub(crate) fn read(&self, storage: &Storage, words: usize) -> Result<ReadInner> {
        let mut state = self.state();
        if state.recording().is_some() {
            return Err(Error::argument("read", "a tensor cannot be read in a capture"));
        }
        state.flush(self)?;
        match (&storage.memory, &self.backend) {
            (Memory::Gpu(buffer), Backend::Gpu(context)) => {
                context.stage(buffer, words as u64 * 4).map(ReadInner::Staged)
            }
            (Memory::Host(buffer), _) => Ok(ReadInner::Ready(copy_out(buffer, words))),
            _ => Err(Error::argument("read", "memory of another device")),
        }
    }

    /// Switches the shadow check on or off.
    pub(crate) fn set_shadow(&self, on: bool) {
        self.state().shadow = on;
    }

    /// Starts a profile.
    pub(crate) fn start_profile(&self) -> Result<()> {
        let mut state = self.state();
        state.flush(self)?;
        state.profile = Some(Profile::default());
        Ok(())
    }

    /// Ends a profile.
    pub(crate) fn stop_profile(&self) -> Profile {
        self.state().profile.take().unwrap_or_default()
    }

    /// Starts recording what the calling thread does.
    pub(super) fn start_recording(&self) -> Result<()> {
        let mut state = self.state();
        if state.recording().is_some() {
            return Err(Error::argument("capture", "a capture is already being recorded"));
        }
        state.flush(self)?;
        state.recordings.push(Recording::new(self.pool.enter()));
        Ok(())
    }

    /// Ends the calling thread's recording.
    pub(super) fn stop_recording(&self) -> Option<Recording> {
        self.pool.leave();
        let mut state = self.state();
        let at = state.recordings.iter().position(Recording::is_mine)?;
        Some(state.recordings.swap_remove(at))
    }

    /// Whether launches are looked at one by one: profiled, or checked against their twins.
    pub(super) fn is_inspected(&self) -> bool {
        let state = self.state();
        state.profile.is_some() || state.shadow
    }

    /// Whether the calling thread records a step.
    pub(crate) fn is_recording(&self) -> bool {
        self.state().recording().is_some()
    }

    /// Runs one recorded step again, as if it had just been recorded.
    pub(super) fn rerun(&self, step: &Step) -> Result<()> {
        match step {
            Step::Launch(launch) => self.record((**launch).clone()),
            Step::Clear(memory, words) => self.clear_memory(&mut self.state(), memory, *words),
            Step::Copy(from, to, words) => self.copy_memory(&mut self.state(), from, to, *words),
        }
    }
}

impl State {
    /// The step that the calling thread records.
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

    fn push(&mut self, stream: &Stream, command: Command) -> Result<()> {
        if let Some(recording) = self.recording() {
            recording.batch.commands.push(command.clone());
        }
        self.batch.commands.push(command);
        if self.profile.is_some() { self.flush(stream) } else { Ok(()) }
    }

    /// Keeps what a replay of a launch needs, if a step is being recorded.
    pub(super) fn keep(&mut self, mut launch: Launch) {
        if let Some(recording) = self.recording() {
            recording.adopt(&mut launch.bindings);
            recording.steps.push(Step::Launch(Box::new(launch)));
        }
    }
}

/// A read-back on its way, or done.
pub(crate) enum ReadInner {
    Ready(Array),
    Staged(gpu::Staged),
}

/// The pipeline of a launch; made the first time.
fn pipeline(context: &Context, launch: &Launch) -> Result<Arc<gpu::Pipeline>> {
    let kernel = launch.kernel;
    context.pipeline(&launch.key(), kernel.name, launch.constants(), || {
        let program = kernel.program(launch.variant)?;
        Ok((program.module.clone(), program.reflection.clone()))
    })
}

/// Looks the pipeline and the bind group up and appends the dispatch.
fn enqueue(context: &Context, batch: &mut Batch, launch: &Launch) -> Result<()> {
    let pipeline = pipeline(context, launch)?;
    let mut buffers = Vec::with_capacity(launch.bindings.len());
    for bound in &launch.bindings {
        if let Memory::Gpu(buffer) = &bound.memory {
            buffers.push((buffer, bound.words.max(1) as u64 * 4));
        }
    }
    let bind_group = context.bind_group(&pipeline, &buffers);
    batch.dispatch(pipeline, bind_group, launch.param_bytes(), launch.groups);
    Ok(())
}

/// Calls the twin of a launch on host memory.
fn call_twin(host: &Host, launch: &Launch, program: &Program) {
    match host.precision {
        crate::host::Precision::Single => {
            with_arrays(launch, program, launch.kernel.twin.single);
        }
        crate::host::Precision::Double => {
            with_arrays(launch, program, launch.kernel.twin.double);
        }
    }
}

/// A lock on a host array, as the binding uses it.
enum Guard<'a> {
    Read(std::sync::RwLockReadGuard<'a, Array>),
    Write(std::sync::RwLockWriteGuard<'a, Array>),
}

fn with_arrays<R: Real>(launch: &Launch, program: &Program, twin: fn(&mut HostArgs<'_, R>)) {
    let mut guards: Vec<Guard<'_>> = Vec::with_capacity(launch.bindings.len());
    for (bound, binding) in launch.bindings.iter().zip(&program.reflection.bindings) {
        if let Memory::Host(buffer) = &bound.memory {
            guards.push(match binding.access {
                Access::Read => Guard::Read(buffer.read()),
                Access::Write => Guard::Write(buffer.write()),
            });
        }
    }
    let words = launch.bindings.iter().map(|b| b.words);
    let slots = guards.iter_mut().zip(words).map(|(guard, words)| match guard {
        Guard::Read(array) => read_slot(array, words),
        Guard::Write(array) => write_slot(array, words),
    });
    let mut args = HostArgs {
        kernel: launch.kernel.name,
        params: launch.param_bytes(),
        constants: launch.constants(),
        groups: launch.groups,
        slots: slots.collect(),
    };
    twin(&mut args);
}

/// A read-only slot over the first `words` elements of `array`.
pub(super) fn read_slot<R: Real>(array: &Array, words: usize) -> Slot<'_, R> {
    match array {
        Array::Words(a) => Slot::Words(&a[..words]),
        reals => R::view(reals).map_or(Slot::Taken, |a| Slot::Reals(&a[..words])),
    }
}

/// A writable slot over the first `words` elements of `array`.
pub(super) fn write_slot<R: Real>(array: &mut Array, words: usize) -> Slot<'_, R> {
    match array {
        Array::Words(a) => Slot::WordsMut(&mut a[..words]),
        reals => R::view_mut(reals).map_or(Slot::Taken, |a| Slot::RealsMut(&mut a[..words])),
    }
}

pub(super) fn clear_host(buffer: &HostBuffer, words: usize) {
    match &mut *buffer.write() {
        Array::Single(a) => a[..words].fill(0.0),
        Array::Double(a) => a[..words].fill(0.0),
        Array::Words(a) => a[..words].fill(0),
    }
}

pub(super) fn copy_host(from: &Arc<HostBuffer>, to: &Arc<HostBuffer>, words: usize) {
    if Arc::ptr_eq(from, to) {
        return;
    }
    let from = copy_out(from, words);
    overwrite(&mut to.write(), from);
}

/// The first `words` elements of a host buffer.
fn copy_out(buffer: &HostBuffer, words: usize) -> Array {
    match &*buffer.read() {
        Array::Single(a) => Array::Single(a[..words].to_vec()),
        Array::Double(a) => Array::Double(a[..words].to_vec()),
        Array::Words(a) => Array::Words(a[..words].to_vec()),
    }
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
