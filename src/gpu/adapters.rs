//! Finding adapters.

/// One adapter of the machine, as [`Device::list`](crate::Device::list) shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterSummary {
    /// The name the driver gives.
    pub name: String,
    /// The graphics API: `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Driver name and version.
    pub driver: String,
}

impl std::fmt::Display for AdapterSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {}", self.name, self.backend, self.kind)?;
        if self.driver.is_empty() { f.write_str(")") } else { write!(f, "; {})", self.driver) }
    }
}

/// An adapter that can be opened.
pub(crate) struct Adapter {
    pub(crate) raw: wgpu::Adapter,
    pub(crate) summary: AdapterSummary,
}

impl Adapter {
    pub(crate) fn new(raw: wgpu::Adapter) -> Self {
        let info = raw.get_info();
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        };
        let driver = [info.driver, info.driver_info]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ");
        let backend = info.backend.to_str().to_string();
        Self { raw, summary: AdapterSummary { name: info.name, backend, kind, driver } }
    }

    pub(crate) fn is_software(&self) -> bool {
        self.summary.kind == "software"
    }

    /// Real GPUs first, discrete before integrated; software last.
    pub(crate) fn rank(&self) -> u32 {
        match self.summary.kind {
            "discrete" => 0,
            "integrated" => 1,
            "virtual" => 2,
            "other" => 3,
            _ => 4,
        }
    }
}

/// All adapters, best first.
pub(crate) fn list() -> Vec<Adapter> {
    let Some(instance) = instance() else { return Vec::new() };
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut adapters: Vec<Adapter> = found.into_iter().map(Adapter::new).collect();
    adapters.sort_by_key(Adapter::rank);
    adapters
}

/// The instance of the graphics API, without window systems: nothing is shown, and with them a driver
/// looks for a display and complains on stderr where there is none.
#[cfg(target_os = "linux")]
fn instance() -> Option<wgpu::Instance> {
    use wgpu::hal::vulkan;
    let plain = wgpu::InstanceDescriptor::new_without_display_handle();
    let descriptor = wgpu::hal::InstanceDescriptor {
        name: "spikegrad",
        flags: plain.flags,
        memory_budget_thresholds: plain.memory_budget_thresholds,
        backend_options: plain.backend_options,
        telemetry: None,
        display: None,
    };
    let windows: [&std::ffi::CStr; 3] =
        [c"VK_KHR_wayland_surface", c"VK_KHR_xcb_surface", c"VK_KHR_xlib_surface"];
    let without_windows = move |arguments: vulkan::CreateInstanceCallbackArgs<'_, '_, '_>| {
        arguments.extensions.retain(|extension| !windows.contains(extension));
    };
    // SAFETY: the extensions that are left out serve to make surfaces, which is refused without them
    // and never asked for here.
    let made = unsafe {
        vulkan::Instance::init_with_callback(&descriptor, Some(Box::new(without_windows)))
    };
    match made {
        // SAFETY: the instance was made above and belongs to nobody else.
        Ok(raw) => Some(unsafe { wgpu::Instance::from_hal::<wgpu::hal::api::Vulkan>(raw) }),
        Err(e) => {
            log::debug!("no Vulkan: {e}");
            None
        }
    }
}

/// The instance of the graphics APIs.
#[cfg(not(target_os = "linux"))]
fn instance() -> Option<wgpu::Instance> {
    Some(wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle()))
}
