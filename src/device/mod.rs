//! Which machine computes.

use crate::dispatch::{
    Backend, Bounds, Capture, ExportedLaunch, Launch, MemoryReport, OpenCapture, Profile, StepCost,
    Stream,
};
use crate::error::{Error, Result};
use crate::gpu::wgpu::{Adapter, Device as RawDevice, DeviceDescriptor, Limits, Queue};
use crate::gpu::{self, AdapterSummary, Capabilities, Context, OpenOptions};
use crate::host::{Host, Precision, Role};
use crate::kernel::Kernel;
use std::ops::Range;
use std::sync::{Arc, Once};

mod advice;
mod builder;
mod tuning;
pub use builder::DeviceBuilder;
#[cfg(test)]
pub(crate) use tuning::{HARDWARE, SOFTWARE};
pub(crate) use tuning::{Lines, Tuning, WalkTiles};

/// A device: a GPU through Vulkan, Metal or DX12, or the host CPU. A cheap handle; clones are the
/// same device.
///
/// | selection | meaning |
/// |---|---|
/// | `best` | a hardware GPU if there is one, else the host |
/// | `gpu` | the best hardware GPU |
/// | `host` | the CPU, every kernel by its CPU code, in f32 |
/// | `oracle` | likewise in f64: what everything else is tested against |
/// | `vulkan`, `metal`, `dx12` | the best adapter of that API, software ones last |
/// | `cpu-adapter` | a software adapter (lavapipe, WARP): for correctness, not for speed |
/// | other text | the first adapter with a word in its name that begins with the text |
///
/// Case does not matter, nor space at the ends. Digits alone must be a whole word of a name (`4090`):
/// adapters have no numbers. The environment variable `SPIKEGRAD_DEVICE` takes the place of `best`.
///
/// Host devices of one precision are equal, and their tensors may be used together. The memory report
/// and its limit, profiles and the shadow check are those of one handle and its clones, and concern
/// what is computed from tensors that were made with it. A GPU that is opened twice is two devices.
#[derive(Clone)]
pub struct Device {
    stream: Arc<Stream>,
    name: Arc<str>,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Device({})", self.name)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        match (&self.stream.backend, &other.stream.backend) {
            (Backend::Host(left), Backend::Host(right)) => Arc::ptr_eq(left, right),
            _ => Arc::ptr_eq(&self.stream, &other.stream),
        }
    }
}

impl Device {
    /// The device that `SPIKEGRAD_DEVICE` names; else a hardware GPU; else the host. Says through `log`,
    /// once, which one it is and why.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if `SPIKEGRAD_DEVICE` names nothing that is here; a driver's refusal.
    pub fn best() -> Result<Self> {
        Self::select(BEST)
    }

    /// The device that `selection` names (see [`Device`]).
    ///
    /// # Errors
    /// [`Error::NoDevice`] with a list of what there is; a driver's refusal.
    pub fn select(selection: &str) -> Result<Self> {
        Self::builder().select(selection).open()
    }

    /// A GPU: the adapter that `selector` names (`vulkan`, `metal`, `dx12`, `cpu-adapter`, part of a
    /// name), or the best hardware adapter for an empty selector.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if no adapter answers; a driver's refusal.
    pub fn gpu(selector: &str) -> Result<Self> {
        let selector = if selector.is_empty() { GPU } else { selector };
        Self::builder().select(selector).open()
    }

    /// The CPU in f32.
    pub fn host() -> Self {
        Self::on_host(Precision::Single)
    }

    /// The CPU in f64: `f32` tensors are held and computed in 64 bits. The oracle of the tests.
    pub fn oracle() -> Self {
        Self::on_host(Precision::Double)
    }

    /// A device that the caller opened, to share it and its buffers ([`Tensor::buffer`],
    /// [`Tensor::from_buffer`]). Its error and loss callbacks stay the caller's.
    ///
    /// [`Device::descriptor`] asks for all that kernels can use; [`Device::required_limits`] is the
    /// least they need.
    ///
    /// [`Tensor::buffer`]: crate::Tensor::buffer
    /// [`Tensor::from_buffer`]: crate::Tensor::from_buffer
    ///
    /// # Errors
    /// [`Error::Limit`] for a device whose limits are below [`Device::required_limits`];
    /// [`Error::Argument`] for one of another adapter.
    pub fn from_wgpu(adapter: Adapter, device: RawDevice, queue: Queue) -> Result<Self> {
        Context::wrap(adapter, device, queue).map(Self::on_gpu)
    }

    /// The least limits that the kernels run with. A caller's own needs are added by
    /// [`or_better_values_from`](crate::wgpu::Limits::or_better_values_from).
    pub fn required_limits() -> Limits {
        gpu::required_limits()
    }

    /// What this crate asks `adapter` for when it opens a device itself: the features that kernels
    /// can use, and all of its limits.
    pub fn descriptor(adapter: &Adapter) -> DeviceDescriptor<'static> {
        gpu::descriptor(adapter, OpenOptions::default())
    }

    /// The device and the queue of `wgpu`, to run passes of the caller's own; `None` on the host.
    pub fn wgpu(&self) -> Option<(&RawDevice, &Queue)> {
        match &self.stream.backend {
            Backend::Gpu(context) => Some((&context.device, &context.queue)),
            Backend::Host(_) => None,
        }
    }

    /// A device with options.
    pub fn builder() -> DeviceBuilder {
        DeviceBuilder::default()
    }

    /// The adapters of this machine, best first. The host is not among them: it is always there.
    pub fn list() -> Vec<AdapterSummary> {
        gpu::list().into_iter().map(|a| a.summary).collect()
    }

    fn on_host(precision: Precision) -> Self {
        advice::advise(cfg!(unoptimised));
        Self::on(Backend::Host(Host::shared(precision)))
    }

    /// The CPU, for which operators choose what they choose for an adapter.
    fn rehearsing(role: Role, baseline: bool) -> Self {
        Self::on(Backend::Host(Host::rehearsing(role, baseline)))
    }

    fn on_gpu(context: Context) -> Self {
        Self::on(Backend::Gpu(Arc::new(context)))
    }

    fn on(backend: Backend) -> Self {
        let name = backend.name().into();
        Self { stream: Arc::new(Stream::new(backend)), name }
    }

    /// Its name: adapter, API, kind and driver, or the host.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the host (in either precision).
    pub fn is_host(&self) -> bool {
        matches!(self.stream.backend, Backend::Host(_))
    }

    /// Refuses what runs on the CPU alone.
    pub(crate) fn expect_host(&self, what: impl Into<String>) -> Result<()> {
        if self.is_host() {
            return Ok(());
        }
        Err(Error::Unsupported { what: what.into(), feature: "a host device".into() })
    }

    /// Whether it is [`Device::oracle`].
    pub fn is_oracle(&self) -> bool {
        matches!(&self.stream.backend, Backend::Host(h) if h.precision == Precision::Double)
    }

    /// What it can do.
    pub fn capabilities(&self) -> &Capabilities {
        self.stream.capabilities()
    }

    /// A launch of `kernel` on this device.
    pub fn launch(&self, kernel: &'static Kernel) -> Launch {
        Launch::new(kernel, &self.stream, self.tuning().launch_flops)
    }

    /// The steps of each launch of a walk through time, in order, where a step costs so much: as many as
    /// this device bears, in multiples of `unit`.
    pub(crate) fn segments(&self, steps: usize, unit: usize, cost: StepCost) -> Vec<Range<usize>> {
        let flops = self.tuning().launch_flops;
        Bounds { flops, iterations: self.capabilities().max_iterations }.segments(steps, unit, cost)
    }

    /// Compiles a variant of `kernel` ahead of its first launch. `constants` are the `override`s of
    /// that launch.
    ///
    /// # Errors
    /// [`Error::Shader`] where the kernel or the driver's compiler fails.
    pub fn compile(
        &self,
        kernel: &'static Kernel,
        variant: usize,
        constants: &[(&'static str, f64)],
    ) -> Result<()> {
        let mut launch = self.launch(kernel);
        for (name, value) in constants {
            launch = launch.constant(name, *value);
        }
        self.stream.compile(launch, variant)
    }

    /// Submits what was recorded, without waiting.
    ///
    /// # Errors
    /// What the driver reported since the last call; device loss.
    pub fn flush(&self) -> Result<()> {
        self.stream.flush()
    }

    /// Submits what was recorded and waits until it is done.
    ///
    /// # Errors
    /// What the driver reported since the last call; device loss.
    pub fn wait(&self) -> Result<()> {
        self.stream.wait()
    }

    /// The memory that its tensors hold.
    pub fn memory(&self) -> MemoryReport {
        self.stream.pool.report()
    }

    /// Starts counting the peak anew.
    pub fn reset_peak(&self) {
        self.stream.pool.reset_peak();
    }

    /// Limits the bytes that tensors may hold together; `None` lifts the limit.
    pub fn set_memory_limit(&self, bytes: Option<u64>) {
        self.stream.pool.set_limit(bytes);
    }

    /// Gives cached memory back to the driver.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush).
    pub fn trim(&self) -> Result<()> {
        self.stream.wait()?;
        self.stream.pool.trim(&self.stream.backend);
        Ok(())
    }

    /// Runs `work` with every launch timed on its own, and returns what it returns with the times.
    /// Launches do not overlap while they are timed.
    ///
    /// # Errors
    /// [`Error::Argument`] while another profile of the device runs; those of `work`.
    pub fn profile<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Profile)> {
        /// Ends the profile, after a panic too.
        struct Open<'a>(&'a Stream);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.stop_profile();
            }
        }
        self.stream.start_profile()?;
        let open = Open(&self.stream);
        let outcome = work()?;
        let profile = self.stream.stop_profile();
        drop(open);
        Ok((outcome, profile))
    }

    /// Runs `work` and returns what it returns with the launches that `wanted` asks for, as data for other
    /// programs: see [`ExportedLaunch`]. `wanted` is told the kernel, the variant and the bytes of all
    /// tensors of a launch. Replays of captures are launches, too; on a GPU they are not seen.
    ///
    /// ```
    /// use spikegrad::{Device, Tape, Tensor};
    /// # fn main() -> spikegrad::Result<()> {
    /// let device = Device::host();
    /// let x = Tensor::from_slice(&device, &[-1.0f32, 2.0], [2])?;
    /// let relu = || Tape::off().constant(&x).relu();
    /// let (_, launches) = device.export(|_, _, _| true, relu)?;
    /// assert_eq!(launches[0].kernel.name, "activate");
    /// assert_eq!(launches[0].bindings[1].after.as_deref(), Some(&[0, 0, 0, 0, 0, 0, 0, 64][..]));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Argument`] while another export of the device runs; those of `work`.
    pub fn export<T>(
        &self,
        wanted: impl FnMut(&'static Kernel, usize, u64) -> bool + Send + 'static,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, Vec<ExportedLaunch>)> {
        /// Ends the export, after a panic too.
        struct Open<'a>(&'a Stream);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                self.0.stop_export();
            }
        }
        self.stream.start_export(Box::new(wanted))?;
        let open = Open(&self.stream);
        let outcome = work()?;
        let launches = self.stream.stop_export();
        drop(open);
        Ok((outcome, launches))
    }

    /// Switches the shadow check: every launch is also computed by its oracle in f64 and compared; the
    /// first that differs by more than rounding explains is an [`Error::Diverged`] that names kernel,
    /// tensor, element and both values. The oracle has nothing to be compared with. Also on with
    /// `SPIKEGRAD_SHADOW=1`. Slow; the way to check a driver.
    pub fn shadow(&self, on: bool) {
        self.stream.set_shadow(on);
    }

    /// Switches the check of indices: a class, token or other index out of range is an
    /// [`Error::Argument`] that names operator, place, index and what is allowed. On the host it comes
    /// from the operator, and from the replay of a capture that holds it; on an adapter with whatever
    /// is read next, such as the loss. On by default on the host, and on adapters in a build with debug
    /// assertions; where it is off, an index out of range counts as nothing, as padding does.
    pub fn check_indices(&self, on: bool) {
        self.stream.check_indices(on);
    }

    pub(crate) fn checks_indices(&self) -> bool {
        self.stream.checks_indices()
    }

    pub(crate) fn index_site(&self, op: &'static str, what: &'static str) -> u32 {
        self.stream.index_site(op, what)
    }

    pub(crate) fn index_note(&self) -> Result<crate::dispatch::Note> {
        self.stream.index_note()
    }

    /// Runs `step` and records its launches, to be replayed (see [`Capture`]). What other threads do
    /// on the device meanwhile is no part of it. For training there is
    /// [`TrainStep`](crate::train::TrainStep).
    ///
    /// # Errors
    /// Those of `step`; a read-back or a write of an older tensor within it; [`Error::Argument`] for
    /// work on another device within it, which replays would leave out.
    pub fn capture<T>(&self, step: impl FnOnce() -> Result<T>) -> Result<(T, Capture)> {
        let open = OpenCapture::start(&self.stream)?;
        let outcome = step()?;
        let capture = open.finish()?;
        self.stream.flush()?;
        Ok((outcome, capture))
    }

    /// Gives the device back to its driver. Every later call on it is an [`Error::DeviceLost`];
    /// nothing on the host is touched.
    pub fn destroy(&self) {
        if let Backend::Gpu(context) = &self.stream.backend {
            context.destroy();
        }
    }

    pub(crate) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }
}

// The words of selections; the table at [`Device`] says what they choose.
const BEST: &str = "best";
const GPU: &str = "gpu";
const HOST: &str = "host";
const ORACLE: &str = "oracle";
const APIS: [&str; 3] = ["vulkan", "metal", "dx12"];
const CPU_ADAPTER: &str = "cpu-adapter";

/// The text of a selection as it is compared.
fn normal(selection: &str) -> String {
    selection.trim().to_lowercase()
}

/// What `SPIKEGRAD_DEVICE` says, if anything.
fn variable() -> Result<Option<String>> {
    match std::env::var("SPIKEGRAD_DEVICE") {
        Ok(text) => Ok(Some(normal(&text)).filter(|text| !text.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(e) => Err(Error::argument("SPIKEGRAD_DEVICE", e.to_string())),
    }
}

/// Whether `wanted` means the adapter `name`, both in lower case: it begins a word of the name. A
/// number must be a whole word, since a device is no index.
fn names(name: &str, wanted: &str) -> bool {
    let number = wanted.bytes().all(|b| b.is_ascii_digit());
    let inside = |c: char| c.is_alphanumeric() || (number && c == '.');
    let begins = |at: usize| !name[..at].chars().next_back().is_some_and(inside);
    let ends = |at: usize| !number || !name[at..].chars().next().is_some_and(inside);
    let mut found = name.match_indices(wanted);
    !wanted.is_empty() && found.any(|(at, text)| begins(at) && ends(at + text.len()))
}

/// Says through `log`, once a process, which device was chosen.
fn announce(device: &Device, why: &str) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::info!("{device} ({why})"));
}

impl DeviceBuilder {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoDevice`] with a list of what there is; a driver's refusal.
    pub fn open(self) -> Result<Device> {
        let device = self.find()?;
        device.set_memory_limit(self.memory_limit);
        Ok(device)
    }

    fn find(&self) -> Result<Device> {
        match (normal(&self.selection).as_str(), variable()?) {
            (BEST, Some(wanted)) if wanted != BEST => {
                let device = self.named(&wanted)?;
                announce(&device, "SPIKEGRAD_DEVICE");
                Ok(device)
            }
            (BEST, _) => {
                let (device, why) = match gpu::list().into_iter().find(|a| !a.is_software()) {
                    Some(adapter) => (self.open_adapter(&adapter)?, "the best GPU here"),
                    None => (Device::host(), "no GPU here"),
                };
                announce(&device, why);
                Ok(device)
            }
            (wanted, _) => self.named(wanted),
        }
    }

    fn named(&self, wanted: &str) -> Result<Device> {
        match wanted {
            HOST if self.as_hardware => {
                return Ok(Device::rehearsing(Role::Hardware, self.baseline));
            }
            HOST if self.as_software => {
                return Ok(Device::rehearsing(Role::SoftwareAdapter, self.baseline));
            }
            HOST => return Ok(Device::host()),
            ORACLE => return Ok(Device::oracle()),
            _ => {}
        }
        let adapters = gpu::list();
        let matches = |a: &&gpu::Adapter| match wanted {
            GPU => !a.is_software(),
            api if APIS.contains(&api) => a.summary.backend == wanted,
            CPU_ADAPTER => a.is_software(),
            _ => names(&a.summary.name.to_lowercase(), wanted),
        };
        match adapters.iter().find(matches) {
            Some(adapter) => self.open_adapter(adapter),
            None => {
                let names: Vec<String> = adapters.iter().map(|a| a.summary.to_string()).collect();
                let adapters =
                    if names.is_empty() { "no adapters".into() } else { names.join(", ") };
                let words = [BEST, GPU, HOST, ORACLE].into_iter().chain(APIS).chain([CPU_ADAPTER]);
                let words = words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                let found = format!("host, {adapters}");
                Err(Error::NoDevice { wanted: wanted.into(), words, found })
            }
        }
    }

    fn open_adapter(&self, adapter: &gpu::Adapter) -> Result<Device> {
        let options = OpenOptions {
            baseline: self.baseline,
            coop_matrix: self.coop_matrix,
            as_hardware: self.as_hardware,
            unchecked: self.unchecked,
        };
        Context::open(adapter, options).map(Device::on_gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_selection_begins_a_word() {
        let software = "llvmpipe (llvm 15.0.6, 256 bits)";
        for wanted in ["llvmpipe", "llvm", "llvm 15", "256", software] {
            assert!(names(software, wanted), "{wanted}");
        }
        for wanted in ["0", "1", "15", "6", "5", "pipe", "its", "", "25"] {
            assert!(!names(software, wanted), "{wanted}");
        }
        let hardware = "nvidia geforce rtx 4090";
        assert!(names(hardware, "rtx 40") && names(hardware, "geforce") && names(hardware, "4090"));
        assert!(!names(hardware, "40") && !names(hardware, "force") && !names(hardware, "0"));
    }
}
