//! Devices, launches, captures, profiles, kernels.

use super::bad::Trials;
use spikegrad::wgpu;
use spikegrad::{
    Array, Capabilities, Cost, CostArgs, Device, Error, HostArgs, Needs, Real, Tensor, Variant,
    compose, kernel, kernels, reflect, shared_sources, specialise,
};

const SOURCE: &str = "
    struct Params { count: u32 }
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @group(1) @binding(0) var<uniform> p: Params;
    override WG: u32 = 1;
    @compute @workgroup_size(1)
    fn arguments(@builtin(workgroup_id) id: vec3<u32>) { if id.x < p.count { y[id.x] = x[id.x] * f32(WG); } }";

kernel! {
    static KERNEL = "tests/arguments" from SOURCE;
    params = u32;
    oracle = oracle;
    cost = |args: &CostArgs<'_>| Cost {
        bytes: args.all_bytes() + args.words_of("no") as f64,
        flops: f64::from(args.params::<u32>()),
    };
    variants = spikegrad::BASELINE;
    iterations = |args: &CostArgs<'_>| u64::from(args.params::<u32>());
    tolerance = 1e-4;
    mismatch = 1e-3;
    scratch = "y";
    modules = &[("no", "")];
}

fn oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let (count, factor) = (args.params::<u32>() as usize, args.constant("WG"));
    let _ = (args.flag("WG"), args.when("NO"), args.uses("x"));
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    for (y, x) in y.iter_mut().zip(x).take(count) {
        *y = *x * R::lit(f64::from(factor));
    }
}

#[test]
fn devices() {
    let mut t = Trials::new(40);
    t.on("Device", |b| {
        let text = b.text();
        let _ = (Device::select(&text).is_ok(), Device::gpu(&text).is_ok(), Device::list().len());
        let builder = Device::builder().select(&text).baseline(b.on()).coop_matrix(b.on());
        let _ = builder.as_hardware(b.on()).unchecked(b.on()).memory_limit(b.long()).open().is_ok();
        let device = Device::host();
        let _ = (
            device.name().len(),
            device.is_host(),
            device.is_oracle(),
            device.capabilities().subgroups,
        );
        device.set_memory_limit(Some(b.long()));
        device.reset_peak();
        let _ = (device.memory(), device.flush(), device.wait(), device.trim());
        device.shadow(b.on());
        device.check_indices(b.on());
        let _ = (Device::best().is_ok(), Device::required_limits());
        Capabilities::portable().baseline()
    });
    t.on("buffers", |b| {
        let device = b.device.clone();
        let _ = b.tensor().buffer().is_ok();
        if let Some((raw, _)) = device.wgpu() {
            let usage = b.pick(&[
                wgpu::BufferUsages::COPY_DST,
                wgpu::BufferUsages::STORAGE,
                wgpu::BufferUsages::all(),
                wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_DST
                    | wgpu::BufferUsages::COPY_SRC,
            ]);
            let usage = usage & !(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::MAP_WRITE);
            let size = 4 * b.small() as u64;
            let descriptor =
                wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
            let buffer = raw.create_buffer(&descriptor);
            let on = if b.one_in(4) { Device::host() } else { device.clone() };
            let _ = Tensor::from_buffer(&on, buffer, b.sizes(), b.dtype()).is_ok();
        }
    });
    t.on("Launch", |b| {
        let device = b.device.clone();
        let mut launch = device.launch(&KERNEL);
        if b.one_in(4) {
            launch = launch.constant("WG", b.double());
        }
        if b.one_in(8) {
            launch = launch.constant("NO", 1.0);
        }
        launch = if b.one_in(4) { launch.params(&[1u64; 64]) } else { launch.params(&3u32) };
        for name in ["x", "y", "z"].into_iter().take(if b.on() { 2 } else { b.index(4) }) {
            launch = launch.bind(name, &b.float(&[3]));
        }
        if b.on() {
            launch = launch.groups([b.word(), 1, b.small() as u32]);
        }
        if b.on() {
            launch = launch.items(b.size());
        }
        let _ = launch.record();
        let x = b.float(&[3]);
        let launch = device.launch(&KERNEL).params(&3u32).when("NO", b.on()).bind("x", &x);
        let launch = if b.on() { launch.unused("y") } else { launch.bind_if("no", Some(&x)) };
        let launch = if b.on() { launch.workgroups(b.size()) } else { launch.items(b.size()) };
        let _ = launch.record();
        let _ = device.compile(&KERNEL, b.size(), &[("WG", b.double())]);
        device.wait()
    });
    t.on("capture and profile", |b| {
        let device = b.device.clone();
        let x = b.any();
        let fail = b.on();
        let work = || {
            let _y = x.mul_scalar(2.0)?;
            if fail { Err(Error::argument("test", "on purpose")) } else { Ok(()) }
        };
        if let Ok(((), capture)) = device.capture(work) {
            let _ = (capture.launches(), capture.kernels().len(), capture.replay());
        }
        if let Ok(((), launches)) = device.export(|_, _, bytes| bytes < 100, work) {
            let _ = spikegrad::write_launches("/dev/null/no", &launches).is_ok();
        }
        let _ = Device::builder().select("host").as_software_adapter(b.on()).open().is_ok();
        if let Ok(((), profile)) = device.profile(work) {
            let _ = (profile.nanoseconds(), profile.launches());
            let rows = profile.rows();
            let _ = rows.first().map(|r| (r.gigabytes_per_second(), r.gigaflops()));
        }
    });
    t.on("Kernel", |b| {
        let all = kernels();
        let kernel = all[b.index(all.len())];
        let variant = if b.on() { 0 } else { b.size() };
        let _ = (kernel.wgsl(variant).is_ok(), kernel.program(variant).is_ok());
        let capabilities = Capabilities::portable();
        let _ = (
            Needs::F16.met_by(&capabilities),
            Variant::portable("a", &["A"]).switches().count(),
            kernel.choose(&["NO"], &capabilities).is_ok(),
            Needs::F16.names(),
        );
        let source = b.pick(&[
            "",
            "fn",
            "@compute @workgroup_size(0) fn x() {}",
            "import package::no::thing;",
            SOURCE,
        ]);
        if let Ok(module) = compose("arguments", source, &[("a::b", "")], ["A"]) {
            let _ = (reflect("arguments", &module).is_ok(), reflect("x", &module).is_ok());
            let _ = specialise("arguments", &module, &[("WG", b.double()), ("NO", 1.0)]).is_ok();
        }
        shared_sources().count()
    });
    t.on("Error and Array", |b| {
        let _ = Error::shape("test", b.text()).to_string();
        let _ = Error::format(b.text(), b.text()).to_string();
        let _ = Error::io(b.text(), &std::io::Error::other("x")).to_string();
        let array = Array::Words(vec![0; b.small()]);
        (array.len(), array.is_empty())
    });
    t.done();
}
