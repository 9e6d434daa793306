//! A kernel of the tests' own, devices opened for one test, and child processes.

#![allow(dead_code, reason = "each test binary uses its part")]

use spikegrad::{Cost, Device, HostArgs, Real, Result, Tensor, Var, kernel};
use std::process::Command;

impl Affine {
    pub fn new(count: usize, factor: f32, offset: f32) -> Self {
        Self { count: count as u32, factor, offset }
    }
}

/// The shader of [`AFFINE`].
pub const AFFINE_SOURCE: &str = "
    import package::shared::index::{At, item_index};
    struct Params { count: u32, factor: f32, offset: f32 }
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @group(1) @binding(0) var<uniform> p: Params;
    @compute @workgroup_size(64)
    fn affine(at: At) {
        let i = item_index(at, 64u);
        if i < p.count { y[i] = x[i] * p.factor + p.offset; }
    }";

kernel! {
    /// `y[i] = factor x[i] + offset`
    pub static AFFINE = "tests/affine" from AFFINE_SOURCE;
    params = struct Affine { count: u32, factor: f32, offset: f32 };
    oracle = affine_oracle;
    cost = |args| Cost { bytes: args.all_bytes(), flops: 2.0 * args.words[0] as f64 };
}

/// The oracle of [`AFFINE`].
pub fn affine_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Affine = args.params();
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    for (y, x) in y.iter_mut().zip(x) {
        *y = *x * R::lit(p.factor.into()) + R::lit(p.offset.into());
    }
}

kernel! {
    /// The same shader under an oracle that is wrong from element 150 on.
    pub static WRONG = "tests/wrong" from "
        struct Params { count: u32, factor: f32, offset: f32 }
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @group(1) @binding(0) var<uniform> p: Params;
        @compute @workgroup_size(64)
        fn wrong(@builtin(global_invocation_id) id: vec3<u32>) {
            if id.x < p.count { y[id.x] = x[id.x] * p.factor + p.offset; }
        }";
    params = Affine;
    oracle = wrong_oracle;
}

fn wrong_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Affine = args.params();
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
        let right = *x * R::lit(p.factor.into()) + R::lit(p.offset.into());
        *y = if i < 150 { right } else { R::zero() };
    }
}

/// `factor x + offset`
pub fn affine(x: &Tensor, factor: f32, offset: f32) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), x.shape(), x.dtype())?;
    let params = Affine::new(x.count(), factor, offset);
    let launch = x.device().launch(&AFFINE).params(&params);
    launch.bind("x", x).bind("y", &y).items(x.count()).record()?;
    Ok(y)
}

/// [`affine`] with a gradient, by the door that every caller has.
pub fn affine_var(x: &Var, factor: f32, offset: f32) -> Result<Var> {
    let y = affine(x.value(), factor, offset)?;
    x.tape().record_one("affine", &[x], y, move |backward| {
        if let Some(upstream) = backward.upstream(0).cloned() {
            backward.give(0, affine(&upstream, factor, 0.0)?);
        }
        Ok(())
    })
}

/// 0, 1, 2, …
pub fn numbers(device: &Device, count: usize) -> Tensor {
    let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
    Tensor::from_slice(device, &values, [count]).unwrap()
}

/// The name of the first adapter, unless the tests are to leave adapters out.
pub fn adapter() -> Option<String> {
    let host_only = std::env::var("SPIKEGRAD_TEST_DEVICES").is_ok_and(|v| v == "host");
    let first = || Device::list().into_iter().next();
    if host_only { None } else { first().map(|a| a.name) }
}

/// The selections of the devices that a test opens for itself: the host, and the first adapter.
pub fn selections() -> Vec<String> {
    std::iter::once("host".to_string()).chain(adapter()).collect()
}

/// A device of its own on the first adapter, if there is one.
pub fn adapter_device() -> Option<Device> {
    adapter().map(|name| Device::select(&name).unwrap())
}

/// What a caller does who has a device already.
pub fn open_by_hand() -> Option<(wgpu::Adapter, wgpu::Device, wgpu::Queue)> {
    adapter()?;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let adapter = adapters.into_iter().next()?;
    let request = adapter.request_device(&wgpu::DeviceDescriptor::default());
    let (device, queue) = pollster::block_on(request).unwrap();
    Some((adapter, device, queue))
}

const CHILD: &str = "SPIKEGRAD_TEST_CHILD";

/// Runs one test of this binary in a process of its own, with these variables, and returns all that
/// it printed.
pub fn child(test: &str, variables: &[(&str, &str)]) -> String {
    let outcome = command(test).envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&outcome.stdout) + &text(&outcome.stderr)
}

/// How [`child`] starts it.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    command
}

/// Whether this is a process that [`child`] started.
pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}
