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
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let found = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let mut adapters: Vec<Adapter> = found.into_iter().map(Adapter::new).collect();
    adapters.sort_by_key(Adapter::rank);
    adapters
}
