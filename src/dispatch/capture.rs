//! Recording a step once and running it again without any work on the Rust side.

use super::{Backend, Bound, Launch, Memory, Storage, Stream, next_date};
use crate::error::{Error, Result};
use crate::gpu::{Arena, Batch};
use crate::host::{Array, Frame, is_nested};
use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// One recorded step of the host.
#[derive(Debug)]
pub(crate) enum Step {
    Launch(Box<Launch>),
    Clear(Memory, usize),
    Copy(Memory, Memory, usize),
}

/// What must be done before a recorded step runs again: an optimizer counts its step.
pub(crate) trait BeforeReplay: std::fmt::Debug + Send + Sync {
    /// Does it.
    fn prepare(&self) -> Result<()>;

    /// The memory that it would write now.
    fn memory(&self) -> Vec<Memory>;

    /// Takes it back, but for that memory: the step failed.
    fn undo(&self);
}

/// What has been recorded so far.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(super) batch: Batch,
    pub(super) steps: Vec<Step>,
    /// Memory from outside of the capture, and uploads within it: both must stay as they are.
    pub(super) pins: Vec<Arc<Storage>>,
    pub(super) region: u64,
    pub(super) before: Vec<Arc<dyn BeforeReplay>>,
    /// Who records: what others do on the device meanwhile is none of the step's.
    frame: Frame,
}

impl Recording {
    pub(super) fn new(region: u64) -> Self {
        let frame = Frame::here();
        let (batch, steps, pins, before) = Default::default();
        Self { batch, steps, pins, region, before, frame }
    }

    /// Whether the calling code started it.
    pub(super) fn is_mine(&self) -> bool {
        self.frame == Frame::here()
    }

    /// Pins what came from outside; lets go of what the capture's own region holds.
    pub(super) fn adopt(&mut self, bindings: &mut [Bound]) {
        for bound in bindings {
            if let Some(storage) = bound.storage.take() {
                self.adopt_storage(&storage);
            }
        }
    }

    pub(super) fn adopt_storage(&mut self, storage: &Arc<Storage>) {
        let known = |pin: &Arc<Storage>| Arc::ptr_eq(pin, storage);
        if storage.region != Some(self.region) && !self.pins.iter().any(known) {
            self.pins.push(storage.clone());
        }
    }
}

thread_local! {
    /// The steps that are being recorded on the thread: by whom, and on which device.
    static OPEN: RefCell<Vec<(Frame, Arc<Stream>)>> = const { RefCell::new(Vec::new()) };
}

/// Refuses `op` on `stream` while the calling code records a step of another device: it would be done
/// now, and no replay would do it again.
pub(super) fn check_device(op: &'static str, stream: &Stream) -> Result<()> {
    OPEN.with_borrow(|open| {
        let elsewhere = |(by, on): &&(Frame, Arc<Stream>)| {
            *by == Frame::here() && !on.shares_state(stream)
        };
        let Some((_, recorded)) = open.iter().find(elsewhere) else { return Ok(()) };
        let (here, there) = (stream.backend.name(), recorded.backend.name());
        let again = if here == there { ", opened a second time" } else { "" };
        let detail = format!(
            "work on {here}{again} in a capture of {there}: replays would leave it out (do it before \
             the capture, or on its device)"
        );
        Err(Error::argument(op, detail))
    })
}

/// A step that is being recorded. Dropped before it is finished (the step failed, or panicked), it
/// gives its memory back and leaves nothing behind.
pub(crate) struct OpenCapture<'a> {
    stream: &'a Arc<Stream>,
    finished: bool,
    /// It ends on the thread that started it.
    not_send: PhantomData<*const ()>,
}

impl<'a> OpenCapture<'a> {
    pub(crate) fn start(stream: &'a Arc<Stream>) -> Result<Self> {
        check_device("capture", stream)?;
        stream.start_recording()?;
        OPEN.with_borrow_mut(|open| open.push((Frame::here(), stream.clone())));
        Ok(Self { stream, finished: false, not_send: PhantomData })
    }

    pub(crate) fn finish(mut self) -> Result<Capture> {
        self.finished = true;
        let recording = self.stream.stop_recording();
        let gone = || Error::argument("capture", "the recording is gone");
        Ok(Capture::new(self.stream.clone(), recording.ok_or_else(gone)?))
    }
}

impl Drop for OpenCapture<'_> {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(Vec::pop);
        if !self.finished
            && let Some(recording) = self.stream.stop_recording()
        {
            self.stream.pool.dissolve(recording.region);
        }
    }
}

/// A recorded step: [`replay`](Self::replay) runs it again on the same memory.
///
/// A step is recorded by [`Device::capture`](crate::Device::capture), which also runs it once. What
/// changes between runs must live in tensors that are written in between
/// ([`Tensor::write`](crate::Tensor::write)): inputs, random counters. A step of an
/// [`Optimizer`](crate::optim::Optimizer) within it is counted anew by every replay. Tensors made
/// inside the step keep their memory; those that the caller still holds show the newest run.
#[derive(Debug)]
pub struct Capture {
    stream: Arc<Stream>,
    recording: Recording,
    arena: Option<Arena>,
    /// What it writes, each once.
    written: Vec<Memory>,
    /// What of that is older than the step and written before the last launch that looks at indices:
    /// the host keeps it while the step can fail.
    exposed: Vec<Memory>,
}

impl Capture {
    fn new(stream: Arc<Stream>, recording: Recording) -> Self {
        let arena = match &stream.backend {
            Backend::Gpu(context) => context.arena_for(&recording.batch),
            Backend::Host(_) => None,
        };
        let steps = &recording.steps;
        let looks = |s: &Step| matches!(s, Step::Launch(launch) if launch.note.is_some());
        let failing = steps.iter().rposition(looks).map_or(0, |last| last + 1);
        let older = |memory: &Memory| recording.pins.iter().any(|pin| pin.memory.same(memory));
        let exposed = written(&steps[..failing]).into_iter().filter(older).collect();
        let written = written(steps);
        Self { stream, recording, arena, written, exposed }
    }

    /// Runs the step again. Returns when it is submitted, not when it is done.
    ///
    /// Where it fails, no optimizer has counted a step. On the host everything that is older than the
    /// capture (parameters, the state of optimizers and layers) then holds what it held before; an
    /// index out of range that an adapter reports later, with what is read next, undoes nothing.
    ///
    /// # Errors
    /// Device loss; a replay while another step is being recorded; on the host an index out of range
    /// ([`Device::check_indices`](crate::Device::check_indices)).
    pub fn replay(&self) -> Result<()> {
        check_device("replay", &self.stream)?;
        if self.stream.is_recording() {
            return Err(Error::argument("replay", "a capture cannot be replayed in a capture"));
        }
        let mut attempt = Attempt::new(self)?;
        attempt.prepare()?;
        self.stream.flush()?;
        match &self.stream.backend {
            Backend::Gpu(context) if !self.stream.is_inspected() => {
                let date = next_date();
                self.written.iter().for_each(|memory| memory.touch_at(date));
                context.replay(&self.recording.batch, self.arena.as_ref())?;
            }
            _ => self.recording.steps.iter().try_for_each(|s| self.stream.rerun(s))?,
        }
        attempt.done = true;
        Ok(())
    }

    /// The launches in the step.
    pub fn launches(&self) -> usize {
        self.recording.steps.iter().filter(|s| matches!(s, Step::Launch(_))).count()
    }

    /// The kernels of the step, in order.
    pub fn kernels(&self) -> Vec<&'static str> {
        let name = |s: &Step| if let Step::Launch(l) = s { Some(l.kernel.name) } else { None };
        self.recording.steps.iter().filter_map(name).collect()
    }
}

/// A replay. Dropped before it is done, it leaves everything as it was before.
struct Attempt<'a> {
    capture: &'a Capture,
    kept: Vec<(Memory, Array)>,
    /// How many of those that prepare have done so.
    prepared: usize,
    done: bool,
}

impl<'a> Attempt<'a> {
    fn new(capture: &'a Capture) -> Result<Self> {
        let Capture { stream, recording, written, exposed, .. } = capture;
        // Where arrays may be in use, or launches are compared, every launch can fail.
        let any = stream.is_shadowed() || is_nested();
        let own = if any { written } else { exposed }.iter().cloned();
        let kept = match &stream.backend {
            Backend::Gpu(_) => Vec::new(),
            Backend::Host(host) => own
                .chain(recording.before.iter().flat_map(|before| before.memory()))
                .map(|memory| Ok((memory.clone(), memory.contents(host)?)))
                .collect::<Result<_>>()?,
        };
        Ok(Self { capture, kept, prepared: 0, done: false })
    }

    fn prepare(&mut self) -> Result<()> {
        for before in &self.capture.recording.before {
            before.prepare()?;
            self.prepared += 1;
        }
        Ok(())
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        for (memory, array) in self.kept.drain(..) {
            if let Err(e) = self.capture.stream.overwrite(&memory, array) {
                log::error!("a failed replay could not be taken back: {e}");
            }
        }
        self.capture.recording.before[..self.prepared].iter().for_each(|before| before.undo());
    }
}

/// The memory that some steps write.
fn written(steps: &[Step]) -> Vec<Memory> {
    let mut found = HashMap::new();
    let mut add = |memory: &Memory| {
        found.entry(memory.address()).or_insert_with(|| memory.clone());
    };
    for step in steps {
        match step {
            Step::Launch(launch) => {
                if let Ok(program) = launch.kernel.program(launch.variant) {
                    launch.written(program).for_each(&mut add);
                }
            }
            Step::Clear(memory, _) | Step::Copy(_, memory, _) => add(memory),
        }
    }
    found.into_values().collect()
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stream.pool.dissolve(self.recording.region);
    }
}
