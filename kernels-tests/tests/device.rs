//! Devices and what can go wrong with them: selection, limits, memory, loss, sharing, wrong
//! launches, the shadow check, captures, and an operator that a caller brings along.

mod common;

use common::{AFFINE, Affine, WRONG, adapter_device, affine, affine_var, numbers};
use kernels_tests::{conform, forward, own_subjects, subjects};
use spikegrad::nn::{BatchNorm, Linear};
use spikegrad::optim::{Optimizer, Sgd};
use spikegrad::random::Generator;
use spikegrad::tape::gradient_check;
use spikegrad::{
    Capture, DType, Device, Error, Gradients, HostArgs, Kernel, Launch, Param, ReadBack, Real,
    Result, Tape, Tensor, Var, kernel, wgpu,
};

// Handles can go to other threads: this either compiles or does not.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    const fn sent<T: Send>() {}
    shared::<Device>();
    shared::<Tensor>();
    shared::<Var>();
    shared::<Tape>();
    shared::<Param>();
    shared::<Gradients>();
    shared::<Kernel>();
    shared::<Launch>();
    shared::<Capture>();
    shared::<Error>();
    sent::<ReadBack>();
};

// ---- selection ----

#[test]
fn an_unknown_device_lists_what_there_is() {
    let error = Device::select("no such adapter").unwrap_err();
    let Error::NoDevice { wanted, words, found } = &error else { panic!("{error}") };
    assert_eq!(wanted, "no such adapter");
    assert!(found.contains("host"));
    for word in ["best", "gpu", "host", "oracle", "vulkan", "metal", "dx12", "cpu-adapter"] {
        assert!(words.contains(&format!("`{word}`")), "{words} lacks {word}");
    }
    assert!(error.to_string().contains(words) && error.to_string().contains(found), "{error}");
    for adapter in Device::list() {
        assert!(found.contains(&adapter.name), "{found} lacks {}", adapter.name);
    }
    assert!(Device::gpu("no such adapter").is_err());
}

#[test]
fn the_host_answers_to_its_names() {
    assert!(Device::select("host").unwrap().is_host());
    assert!(Device::select("oracle").unwrap().is_oracle());
    assert!(!Device::host().is_oracle());
}

#[test]
fn the_environment_chooses_the_device() {
    let report = common::child("reports_the_best_device", &[("SPIKEGRAD_DEVICE", "oracle")]);
    assert!(report.contains("best: host CPU in f64"), "{report}");
    assert!(report.contains("spikegrad: host CPU in f64"), "not announced: {report}");
    assert!(report.contains("SPIKEGRAD_DEVICE"), "the reason is missing: {report}");
    for wanted in ["nonsense", "0", "1"] {
        let report = common::child("reports_the_best_device", &[("SPIKEGRAD_DEVICE", wanted)]);
        let refused = format!("best: error: no device matches `{wanted}`");
        assert!(report.contains(&refused), "{report}");
    }
    for wanted in ["HOST", " Host ", "host\n"] {
        let report = common::child("reports_the_best_device", &[("SPIKEGRAD_DEVICE", wanted)]);
        assert!(report.contains("best: host CPU ("), "{wanted:?}: {report}");
    }
    for wanted in ["", " ", "BEST"] {
        let report = common::child("reports_the_best_device", &[("SPIKEGRAD_DEVICE", wanted)]);
        assert!(!report.contains("best: error"), "{wanted:?}: {report}");
    }
}

#[cfg(unix)]
#[test]
fn a_selection_that_is_no_text_is_an_error() {
    use std::os::unix::ffi::OsStrExt;
    let wanted = std::ffi::OsStr::from_bytes(b"host\xff");
    let mut command = common::command("reports_the_best_device");
    let outcome = command.env("SPIKEGRAD_DEVICE", wanted).output().unwrap();
    let report = String::from_utf8_lossy(&outcome.stdout);
    assert!(report.contains("best: error: SPIKEGRAD_DEVICE"), "{report}");
}

/// A driver that is asked for windows looks for a display, and complains where there is none.
#[test]
fn drivers_have_nothing_to_complain_of() {
    let mut command = common::command("computes_and_never_drops");
    let outcome = command.env_remove("XDG_RUNTIME_DIR").output().unwrap();
    let text = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success() && text.is_empty(), "{text}");
}

#[test]
fn host_devices_are_equal_and_mix() {
    let (first, second) = (Device::host(), Device::select("HOST").unwrap());
    assert_eq!(first, second);
    assert_ne!(first, Device::oracle());
    assert_eq!(Device::oracle(), Device::oracle());
    let (a, b) = (numbers(&first, 4), numbers(&second, 4));
    let sum = || {
        let tape = Tape::new();
        Ok(tape.leaf(&a).add(&tape.leaf(&b))?.value().clone())
    };
    assert_eq!(sum().unwrap().to_vec::<f32>().unwrap(), [0.0, 2.0, 4.0, 6.0]);
    // A step recorded by one with tensors of the other is all there.
    for device in [&first, &second] {
        let (out, capture) = device
            .capture(|| {
                Ok([affine(&sum()?, 2.0, 0.0)?, affine(&a, 1.0, 1.0)?, affine(&b, 1.0, 2.0)?])
            })
            .unwrap();
        assert_eq!(capture.launches(), 4);
        a.write(&[1.0f32; 4]).unwrap();
        b.write(&[2.0f32; 4]).unwrap();
        let _other = [numbers(&first, 4), numbers(&second, 4)];
        capture.replay().unwrap();
        let values = out.map(|t| t.to_vec::<f32>().unwrap()[3]);
        assert_eq!(values, [6.0, 2.0, 4.0]);
        assert!(first.capture(|| second.capture(|| Ok(()))).is_err());
    }
    let oracle = numbers(&Device::oracle(), 4);
    assert!(matches!(a.same_device("test", &oracle), Err(Error::DeviceMismatch { .. })));
}

#[test]
fn an_adapter_opened_twice_is_two_devices() {
    let (Some(first), Some(second)) = (adapter_device(), adapter_device()) else { return };
    assert_ne!(first, second);
    let error = numbers(&first, 4).same_device("test", &numbers(&second, 4)).unwrap_err();
    assert!(error.to_string().contains("opened a second time"), "{error}");
}

/// Prints what the crate logs, as a program would.
struct Print;

static PRINT: Print = Print;

impl Print {
    fn install(&'static self) {
        log::set_logger(self).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    }
}

impl log::Log for Print {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("spikegrad")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            println!("spikegrad: {}", record.args());
        }
    }

    fn flush(&self) {}
}

#[test]
fn reports_the_best_device() {
    if common::is_child() {
        // Not in the parent: it shares its process with tests that keep a log of their own.
        PRINT.install();
        match Device::best() {
            Ok(device) => println!("best: {device}"),
            Err(e) => println!("best: error: {e}"),
        }
    }
}

// ---- composition ----

/// The built-in kernels' composed texts, each as a line of name, variant and digest.
fn digests() -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut lines = String::new();
    for kernel in spikegrad::kernels() {
        for variant in 0..kernel.variants.len() {
            let mut hasher = DefaultHasher::new();
            kernel.wgsl(variant).unwrap().hash(&mut hasher);
            lines += &format!("{} {variant} {:x}\n", kernel.name, hasher.finish());
        }
    }
    lines
}

#[test]
fn every_process_composes_the_same_text() {
    let first = digests();
    let second = common::child("prints_digests_of_composed_texts", &[]);
    for line in first.lines() {
        assert!(second.contains(line), "another process composes another text for {line}");
    }
    assert!(AFFINE.wgsl(1).is_err());
}

#[test]
fn prints_digests_of_composed_texts() {
    if common::is_child() {
        print!("{}", digests());
    }
}

// ---- limits and memory ----

#[test]
fn a_tensor_that_is_too_large_is_a_limit() {
    for subject in subjects() {
        let most = subject.device.capabilities().max_buffer;
        let words = (most / 4 + 1) as usize;
        for shape in [[words, 1, 1], [1 << 20, 1 << 20, 1], [usize::MAX, 2, 3]] {
            match Tensor::empty(&subject.device, shape, DType::F32) {
                Err(Error::Limit { asked, allowed, .. }) => assert!(asked > allowed),
                other => panic!("{}: {shape:?} gave {other:?}", subject.label),
            }
        }
        assert_eq!(numbers(&subject.device, 4).to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0]);
    }
}

#[test]
fn memory_runs_out_and_comes_back() {
    for selection in common::selections() {
        let limit = 1 << 20;
        let device = Device::builder().select(&selection).memory_limit(limit).open().unwrap();
        let kept = numbers(&device, 1000);
        let mut held = Vec::new();
        let error = loop {
            match Tensor::zeros(&device, [10_000], DType::F32) {
                Ok(tensor) => held.push(tensor),
                Err(e) => break e,
            }
        };
        let Error::OutOfMemory { asked, held: bytes } = error else { panic!("{error}") };
        assert!(asked >= 40_000 && bytes <= limit && bytes + asked > limit);
        assert!(held.len() > 10, "{} tensors", held.len());
        assert_eq!(kept.to_vec::<f32>().unwrap()[999], 999.0, "{selection}: what was there is");
        held.clear();
        // Cached buffers of another size make room.
        let large = Tensor::zeros(&device, [150_000], DType::F32).unwrap();
        assert_eq!(large.to_vec::<f32>().unwrap(), vec![0.0; 150_000]);
    }
}

#[test]
fn freed_memory_is_used_again() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let first = Tensor::zeros(&device, [1000], DType::F32).unwrap();
        let one = device.memory();
        assert!(one.held >= 4000 && one.cached == 0, "{one:?}");
        drop(first);
        let none = device.memory();
        assert_eq!((none.held, none.cached, none.peak), (0, one.held, one.held));
        let again = Tensor::zeros(&device, [999], DType::F32).unwrap();
        assert_eq!(device.memory(), one, "{selection}");
        let other = Tensor::zeros(&device, [1000], DType::U32).unwrap();
        let two = device.memory();
        assert!(two.held > one.held && two.peak == two.held, "{two:?}");
        drop((again, other));
        device.reset_peak();
        assert_eq!(device.memory().peak, 0);
        device.trim().unwrap();
        assert_eq!(device.memory().cached, 0);
    }
}

#[test]
fn old_free_memory_goes_back_by_itself() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        drop(numbers(&device, 1 << 20));
        let kept = device.memory().cached;
        assert!(kept >= 4 << 20);
        for _ in 0..50 {
            std::thread::sleep(std::time::Duration::from_millis(100));
            // What is in use all the time stays.
            drop(affine(&numbers(&device, 1000), 1.0, 0.0).unwrap());
        }
        let still = device.memory().cached;
        assert!(0 < still && still < 1 << 20, "{selection}: {still} bytes");
    }
}

/// Threads of this process, and its resident memory in MiB.
#[cfg(target_os = "linux")]
fn process() -> [u64; 2] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let number = |name: &str| -> u64 {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    [number("Threads:"), number("VmRSS:") >> 10]
}

#[cfg(target_os = "linux")]
#[test]
fn thirty_devices_leave_nothing_behind() {
    let report = common::child("opens_thirty_devices", &[]);
    for selection in common::selections() {
        let line = report.lines().find_map(|l| l.strip_prefix(&format!("{selection}: ")));
        let line = line.unwrap_or_else(|| panic!("{report}"));
        let numbers: Vec<i64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        assert!(numbers[0] <= 2, "{selection}: {} threads more", numbers[0]);
        assert!(numbers[1] <= 60, "{selection}: {} MiB more", numbers[1]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn opens_thirty_devices() {
    if !common::is_child() {
        return;
    }
    let work = |selection: &str| {
        let device = Device::select(selection).unwrap();
        let param = Param::new("w", numbers(&device, 1 << 20));
        let loss = || Tape::new().param(&param).mul_scalar(2.0)?.sum_all();
        // A forward pass that nothing follows, and a step.
        assert!(loss().unwrap().value().item().unwrap() > 0.0);
        assert!(loss().unwrap().backward().unwrap().of(&param).is_some());
    };
    for selection in common::selections() {
        (0..3).for_each(|_| work(&selection));
        let before = process();
        (0..30).for_each(|_| work(&selection));
        let after = process();
        let more = |i: usize| after[i] as i64 - before[i] as i64;
        println!("\n{selection}: {} {}", more(0), more(1));
    }
}

#[test]
fn a_panic_in_a_profile_ends_it() {
    for subject in kernels_tests::own_subjects() {
        let device = &subject.device;
        let x = numbers(device, 64);
        let panicking = std::panic::AssertUnwindSafe(|| {
            device.profile(|| -> Result<()> {
                let _y = affine(&x, 1.0, 0.0)?;
                panic!("on purpose")
            })
        });
        assert!(std::panic::catch_unwind(panicking).is_err());
        let failing =
            device.profile(|| -> Result<()> { Err(Error::argument("test", "on purpose")) });
        assert!(failing.is_err());
        let _y = affine(&x, 1.0, 0.0).unwrap();
        let ((), profile) = device.profile(|| affine(&x, 1.0, 0.0).map(drop)).unwrap();
        assert_eq!(profile.launches(), 1, "{}", subject.label);
    }
}

/// The outer one would lose its launches to the inner one.
#[test]
fn a_profile_within_a_profile_is_refused() {
    for subject in own_subjects() {
        let device = &subject.device;
        let x = numbers(device, 64);
        let outer = device.profile(|| {
            let _y = affine(&x, 1.0, 0.0)?;
            let inner = device.profile(|| affine(&x, 1.0, 0.0));
            assert!(matches!(inner, Err(Error::Argument { op: "profile", .. })));
            affine(&x, 1.0, 0.0)
        });
        assert_eq!(outer.unwrap().1.launches(), 2, "{}", subject.label);
    }
}

#[test]
fn an_upload_into_recycled_memory_waits_for_its_readers() {
    for subject in subjects() {
        let device = &subject.device;
        for round in 0..20 {
            let x = Tensor::from_slice(device, &[round as f32; 64], [64]).unwrap();
            let y = affine(&x, 1.0, 0.5).unwrap();
            drop(x);
            let _next = Tensor::from_slice(device, &[-1.0f32; 64], [64]).unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap(), [round as f32 + 0.5; 64], "{}", subject.label);
        }
    }
}

// ---- loss ----

#[test]
fn a_lost_device_answers_with_an_error() {
    let Some(device) = adapter_device() else { return };
    let x = numbers(&device, 1000);
    let y = affine(&x, 2.0, 0.0).unwrap();
    let before = y.to_vec::<f32>().unwrap();
    let ((), capture) = device.capture(|| affine(&x, 2.0, 0.0).map(drop)).unwrap();
    // Work that is recorded, and work that is under way.
    let pending = affine(&y, 3.0, 1.0).unwrap();
    let reading = y.read().unwrap();
    let recorded = affine(&pending, 3.0, 1.0).unwrap();
    device.destroy();
    fn lost<T: std::fmt::Debug>(what: &str, outcome: Result<T>) {
        assert!(matches!(outcome, Err(Error::DeviceLost { .. })), "{what}: {outcome:?}");
    }
    lost("read", recorded.to_vec::<f32>());
    lost("flush", affine(&x, 1.0, 1.0).and_then(|_| device.flush()));
    lost("wait", device.wait());
    lost("write", x.write(&[0.0f32; 1000]));
    lost("zeros", Tensor::zeros(&device, [8], DType::F32));
    lost("from_slice", Tensor::from_slice(&device, &[1.0f32], [1]));
    lost("copy", x.duplicate());
    lost("clear", x.clear().and_then(|()| device.flush()));
    lost("replay", capture.replay());
    lost("capture", device.capture(|| affine(&x, 1.0, 1.0)).map(|_| ()));
    lost("profile", device.profile(|| affine(&x, 1.0, 1.0)).map(|_| ()));
    lost("async", pollster::block_on(y.to_vec_async::<f32>()));
    // The read-back that was under way either arrived or reports the loss.
    if let Ok(values) = reading.wait::<f32>() {
        assert_eq!(values, before);
    }
    assert_eq!(before[999], 1998.0);
    drop((pending, recorded, capture, x, y));
    // Another device of the same adapter is not touched.
    let other = adapter_device().unwrap();
    assert_eq!(numbers(&other, 3).to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0]);
}

#[test]
fn destroying_the_host_changes_nothing() {
    let device = Device::host();
    let x = numbers(&device, 3);
    device.destroy();
    assert_eq!(x.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0]);
}

// ---- sharing a device with the caller ----

#[test]
fn a_device_of_the_caller_computes() {
    let Some((adapter, raw, queue)) = common::open_by_hand() else { return };
    let device = Device::from_wgpu(adapter, raw.clone(), queue).unwrap();
    let y = affine(&numbers(&device, 100), 2.0, 1.0).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap()[99], 199.0);
    assert!(!device.capabilities().subgroups, "the caller asked for no features");
    // The caller loses it: an error again, not a panic.
    raw.destroy();
    let outcome = affine(&y, 1.0, 1.0).and_then(|z| z.to_vec::<f32>());
    assert!(matches!(outcome, Err(Error::DeviceLost { .. } | Error::Gpu { .. })), "{outcome:?}");
}

/// A pass of a program's own: `x[i] = 10 x[i] + i` for the first `count` floats of a buffer, without a
/// line of ours.
fn own_pass(device: &wgpu::Device, queue: &wgpu::Queue, buffer: &wgpu::Buffer, count: u32) {
    let source = format!(
        "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
         @compute @workgroup_size(1)
         fn own(@builtin(global_invocation_id) id: vec3<u32>) {{
             if id.x < {count}u {{ x[id.x] = 10.0 * x[id.x] + f32(id.x); }}
         }}"
    );
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("own"),
        compilation_options: Default::default(),
        cache: None,
    });
    let entry = wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() };
    let layout = pipeline.get_bind_group_layout(0);
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &[entry],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &group, &[]);
    pass.dispatch_workgroups(count, 1, 1);
    drop(pass);
    queue.submit([encoder.finish()]);
}

/// A buffer of a program's own.
fn own_buffer(device: &wgpu::Device, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let label = None;
    device.create_buffer(&wgpu::BufferDescriptor { label, size, usage, mapped_at_creation: false })
}

const TENSOR: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// Devices whose `wgpu` the test has: one that it opened, and one that the crate opened.
fn shared_devices() -> Vec<Device> {
    let own = common::open_by_hand().map(|(a, d, q)| Device::from_wgpu(a, d, q).unwrap());
    own.into_iter().chain(adapter_device()).collect()
}

#[test]
fn a_pass_of_the_callers_runs_on_a_tensor_and_back() {
    for device in shared_devices() {
        let (raw, queue) = device.wgpu().unwrap();
        // What was recorded before is there, what is recorded afterwards sees the pass.
        let x = affine(&numbers(&device, 5), 2.0, 1.0).unwrap();
        own_pass(raw, queue, &x.buffer().unwrap(), 5);
        let y = affine(&x, 1.0, 0.5).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), [10.5, 31.5, 52.5, 73.5, 94.5]);
        // A buffer of the caller's as a tensor, in both directions.
        let buffer = own_buffer(raw, 32, TENSOR);
        let held = device.memory();
        let z = Tensor::from_buffer(&device, buffer.clone(), [5], DType::F32).unwrap();
        assert_eq!(device.memory(), held, "it is the caller's");
        z.copy_from(&x).unwrap();
        own_pass(raw, queue, &z.buffer().unwrap(), 5);
        assert_eq!(z.to_vec::<f32>().unwrap(), [100.0, 311.0, 522.0, 733.0, 944.0]);
        // It is seen that both are one buffer.
        let same = Tensor::from_buffer(&device, buffer.clone(), [5], DType::F32).unwrap();
        let launch =
            device.launch(&AFFINE).params(&Affine::new(5, 1.0, 0.0)).bind("x", &z).bind("y", &same);
        assert!(matches!(launch.items(5).record(), Err(Error::Aliased { .. })));
        // It outlives its tensors, untouched by others that come later.
        let before = z.to_vec::<f32>().unwrap();
        drop((z, same));
        let others: Vec<Tensor> = (0..8).map(|_| numbers(&device, 5)).collect();
        let again = Tensor::from_buffer(&device, buffer, [5], DType::F32).unwrap();
        assert_eq!(again.to_vec::<f32>().unwrap(), before);
        drop(others);
    }
}

#[test]
fn a_buffer_that_was_handed_out_is_nobody_elses() {
    for device in shared_devices() {
        let x = numbers(&device, 5);
        let buffer = x.buffer().unwrap();
        drop(x);
        let others: Vec<Tensor> = (0..8).map(|_| numbers(&device, 5)).collect();
        let (raw, queue) = device.wgpu().unwrap();
        own_pass(raw, queue, &buffer, 5);
        for other in others {
            assert_eq!(other.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
        }
        let x = Tensor::from_buffer(&device, buffer, [5], DType::F32).unwrap();
        assert_eq!(x.to_vec::<f32>().unwrap(), [0.0, 11.0, 22.0, 33.0, 44.0]);
        // Between forward and backward it counts as a write.
        let y = Tape::new().leaf(&x).square().unwrap().sum_all().unwrap();
        let _buffer = x.buffer().unwrap();
        assert!(matches!(y.backward(), Err(Error::Changed { op: "square", .. })));
    }
}

#[test]
fn buffers_that_cannot_be_tensors_are_refused() {
    let host = Device::host();
    assert!(matches!(numbers(&host, 3).buffer(), Err(Error::Unsupported { .. })));
    assert!(host.wgpu().is_none());
    for device in shared_devices() {
        let (raw, _) = device.wgpu().unwrap();
        let tensor = |buffer, on: &Device| Tensor::from_buffer(on, buffer, [5], DType::F32);
        let small = tensor(own_buffer(raw, 20, TENSOR), &device);
        assert!(matches!(small, Err(Error::Argument { op: "from_buffer", .. })));
        let unwritable = own_buffer(raw, 32, TENSOR - wgpu::BufferUsages::COPY_DST);
        let error = tensor(unwritable, &device).unwrap_err().to_string();
        assert!(error.contains("COPY_DST"), "{error}");
        let destroyed = own_buffer(raw, 32, TENSOR);
        destroyed.destroy();
        assert!(matches!(tensor(destroyed, &device), Err(Error::Gpu { .. })));
        let outcome = tensor(own_buffer(raw, 32, TENSOR), &host);
        assert!(matches!(outcome, Err(Error::Unsupported { .. })));
        let x = numbers(&device, 5);
        let captured = device.capture(|| x.buffer());
        assert!(matches!(captured, Err(Error::Argument { op: "buffer", .. })));
        // Nothing of this is left for later calls.
        assert_eq!(x.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }
}

#[test]
fn buffers_of_another_device_are_refused() {
    let Some((adapter, raw, queue)) = common::open_by_hand() else { return };
    let request = adapter.request_device(&wgpu::DeviceDescriptor::default());
    let (other, _queue) = pollster::block_on(request).unwrap();
    let device = Device::from_wgpu(adapter, raw, queue).unwrap();
    let foreign = Tensor::from_buffer(&device, own_buffer(&other, 32, TENSOR), [5], DType::F32);
    assert!(matches!(foreign, Err(Error::DeviceMismatch { op: "from_buffer", .. })), "{foreign:?}");
    assert_eq!(numbers(&device, 2).to_vec::<f32>().unwrap(), [0.0, 1.0]);
}

/// Whether the number of the buffer is another buffer's here, or nobody's; whether its own device
/// listens or not.
#[test]
fn buffers_of_another_instance_are_refused() {
    let (Some(device), Some(other)) = (adapter_device(), adapter_device()) else { return };
    let Some((_, silent, _queue)) = common::open_by_hand() else { return };
    let mine: Vec<Tensor> = (0..3).map(|_| numbers(&device, 5)).collect();
    let refused = |buffer: &wgpu::Buffer| {
        let outcome = Tensor::from_buffer(&device, buffer.clone(), [5], DType::F32);
        assert!(matches!(outcome, Err(Error::DeviceMismatch { .. })), "{outcome:?}");
    };
    let theirs: Vec<Tensor> = (0..40).map(|_| numbers(&other, 5)).collect();
    theirs.iter().for_each(|tensor| refused(&tensor.buffer().unwrap()));
    let buffers: Vec<_> = (0..40).map(|_| own_buffer(&silent, 32, TENSOR)).collect();
    buffers.iter().for_each(refused);
    // Both go on, and nothing was written.
    for tensor in &mine {
        assert_eq!(tensor.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }
    let again = Tensor::from_buffer(&device, mine[0].buffer().unwrap(), [5], DType::F32).unwrap();
    assert_eq!(again.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    let shared = Tensor::from_buffer(&other, theirs[0].buffer().unwrap(), [5], DType::F32).unwrap();
    assert_eq!(shared.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0]);
}

/// What a caller does to a buffer after it became a tensor is an error of the next call that needs it.
#[test]
fn buffers_that_a_caller_maps_or_destroys_are_errors() {
    for device in shared_devices() {
        let (raw, _) = device.wgpu().unwrap();
        let tensor = |buffer| Tensor::from_buffer(&device, buffer, [5], DType::F32).unwrap();
        let mapped = raw.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 32,
            usage: TENSOR,
            mapped_at_creation: true,
        });
        let x = tensor(mapped.clone());
        assert!(matches!(x.to_vec::<f32>(), Err(Error::Gpu { .. })));
        assert!(matches!(x.write(&[1.0f32; 5]), Err(Error::Gpu { .. })));
        mapped.unmap();
        x.write(&[1.0f32; 5]).unwrap();
        let (y, capture) = device.capture(|| affine(&x, 2.0, 1.0)).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), [3.0; 5]);
        mapped.destroy();
        assert!(matches!(capture.replay(), Err(Error::Gpu { .. })));
        assert!(matches!(x.to_vec::<f32>(), Err(Error::Gpu { .. })));
        assert!(matches!(x.write(&[1.0f32; 5]), Err(Error::Gpu { .. })));
        let launch = affine(&x, 1.0, 0.5).and_then(|y| y.to_vec::<f32>());
        assert!(matches!(launch, Err(Error::Gpu { .. })), "{launch:?}");
        // The bind group of a destroyed buffer is made anew for another kernel.
        let squared = Tape::new().leaf(&x).square().and_then(|y| y.value().to_vec::<f32>());
        assert!(matches!(squared, Err(Error::Gpu { .. })), "{squared:?}");
        assert!(device.profile(|| affine(&x, 1.0, 0.5)).is_err());
        // Nothing of this is left for later calls.
        assert_eq!(numbers(&device, 3).to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0]);
    }
}

/// A replay that an adapter refuses counts no step.
#[test]
fn a_refused_replay_counts_no_step() {
    for device in shared_devices() {
        let (raw, _) = device.wgpu().unwrap();
        let buffer = own_buffer(raw, 32, TENSOR);
        let gradient = Tensor::from_buffer(&device, buffer.clone(), [5], DType::F32).unwrap();
        let param = Param::new("x", numbers(&device, 5));
        let mut sgd = Sgd::builder().build(std::slice::from_ref(&param)).unwrap();
        let step = || sgd.step(&Tape::new().param(&param).backward_from(&gradient)?);
        let ((), capture) = device.capture(step).unwrap();
        capture.replay().unwrap();
        assert_eq!(sgd.steps(), 2);
        buffer.destroy();
        assert!(matches!(capture.replay(), Err(Error::Gpu { .. })));
        assert_eq!(sgd.steps(), 2);
    }
}

#[test]
fn a_device_is_opened_as_the_crate_asks_for() {
    let Some((adapter, raw, queue)) = common::open_by_hand() else { return };
    let own = wgpu::Limits { max_bind_groups: 3, ..Device::required_limits() };
    assert!(own.check_limits(&raw.limits()), "what the crate needs, every adapter has");
    let mut wanted = Device::descriptor(&adapter);
    wanted.required_limits = wanted.required_limits.or_better_values_from(&own);
    let (full, its_queue) = pollster::block_on(adapter.request_device(&wanted)).unwrap();
    let device = Device::from_wgpu(adapter.clone(), full, its_queue).unwrap();
    assert_eq!(device.capabilities(), adapter_device().unwrap().capabilities());
    drop((raw, queue));
    // The least that is asked for is enough; less is an error at once.
    let open = |limits: wgpu::Limits| {
        let wanted = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
        let (raw, queue) = pollster::block_on(adapter.request_device(&wanted)).unwrap();
        Device::from_wgpu(adapter.clone(), raw, queue)
    };
    let least = open(Device::required_limits()).unwrap();
    let y = affine(&numbers(&least, 100), 2.0, 1.0).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap()[99], 199.0);
    match open(wgpu::Limits::downlevel_defaults()) {
        Err(Error::Limit { what, asked, allowed }) => {
            assert!(what.starts_with("max_") && asked > allowed, "{what}: {asked}, {allowed}");
        }
        other => panic!("{other:?}"),
    }
}

// ---- wrong launches ----

#[test]
fn wrong_launches_are_named() {
    for subject in subjects() {
        let device = &subject.device;
        let (x, y) = (numbers(device, 64), numbers(device, 64));
        let words = Tensor::zeros(device, [64], DType::U32).unwrap();
        let launch = || device.launch(&AFFINE).params(&common::Affine::new(64, 1.0, 0.0));
        let error = launch().bind("x", &x).bind("y", &x).record().unwrap_err();
        assert!(matches!(error, Error::Aliased { kernel: "affine", .. }), "{error}");
        let error = launch().bind("x", &x).record().unwrap_err();
        assert!(error.to_string().contains("1 tensors bound, not 2"), "{error}");
        let error = launch().bind("x", &x).bind("y", &y).bind("z", &y).record().unwrap_err();
        assert!(error.to_string().contains("3 tensors bound, not 2"), "{error}");
        let error = launch().bind("x", &words).bind("y", &y).record().unwrap_err();
        assert!(matches!(error, Error::DType { op: "affine", .. }), "{error}");
        let error = launch().params(&1u32).bind("x", &x).bind("y", &y).record().unwrap_err();
        assert!(error.to_string().contains("bytes of parameters"), "{error}");
        let error =
            launch().bind("x", &x).bind("y", &y).groups([65_536, 1, 1]).record().unwrap_err();
        assert!(matches!(error, Error::Limit { asked: 65_536, .. }), "{error}");
        let other = numbers(&Device::oracle(), 64);
        let error = launch().bind("x", &other).bind("y", &y).record().unwrap_err();
        assert!(matches!(error, Error::DeviceMismatch { .. }), "{error}");
        let error = launch().when("NO", false).bind("x", &x).bind("y", &y).record().unwrap_err();
        assert!(matches!(error, Error::Shader { .. }), "{error}");
        // None of them left anything behind.
        launch().bind("x", &x).bind("y", &y).items(64).record().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[63], 63.0, "{}", subject.label);
    }
}

kernel! {
    /// `y = x[0].x`, with a table of vectors that the launch does not use.
    static STAND_IN = "tests/stand_in" from "
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
        @group(0) @binding(2) var<storage, read_write> y: array<f32>;
        override USED: bool = false;
        @compute @workgroup_size(1)
        fn stand_in() {
            y[0] = x[0];
            if USED { y[0] += table[0].w; }
        }";
    oracle = stand_in_oracle;
}

fn stand_in_oracle<R: spikegrad::Real>(args: &mut spikegrad::HostArgs<'_, R>) {
    args.reals_mut("y")[0] = args.reals("x")[0];
}

#[test]
fn a_short_tensor_stands_in_for_vectors() {
    for subject in subjects() {
        let (x, y) = (numbers(&subject.device, 1), numbers(&subject.device, 1));
        x.write(&[5.0f32]).unwrap();
        let launch = subject.device.launch(&STAND_IN).bind("x", &x).bind("table", &x);
        launch.bind("y", &y).record().unwrap();
        assert_eq!(y.item().unwrap(), 5.0, "{}", subject.label);
    }
    // Whatever stands in has at least the smallest size class.
    for kernel in spikegrad::kernels() {
        for variant in 0..kernel.variants.len() {
            for binding in &kernel.program(variant).unwrap().reflection.bindings {
                assert!(binding.least_bytes <= 256, "{}: {}", kernel.name, binding.name);
            }
        }
    }
}

// ---- trust ----

kernel! {
    /// Fills the memory of a workgroup, for the next launch to find.
    static LEAVE = "tests/leave" from "
        @group(0) @binding(0) var<storage, read_write> y: array<u32>;
        var<workgroup> kept: array<u32, 1024>;
        @compute @workgroup_size(64)
        fn leave(@builtin(local_invocation_index) local: u32) {
            for (var i = local; i < 1024u; i += 64u) { kept[i] = 7u; y[i] = kept[i]; }
        }";
    oracle = nothing;
    iterations = |_| 17;
}

kernel! {
    /// Shows what it finds in the memory of a workgroup.
    static FIND = "tests/find" from "
        @group(0) @binding(0) var<storage, read_write> y: array<u32>;
        var<workgroup> kept: array<u32, 1024>;
        @compute @workgroup_size(64)
        fn find(@builtin(local_invocation_index) local: u32) {
            for (var i = local; i < 1024u; i += 64u) { y[i] = kept[i]; }
        }";
    oracle = nothing;
    iterations = |_| 17;
}

fn nothing<R: spikegrad::Real>(_: &mut spikegrad::HostArgs<'_, R>) {}

/// A caller's kernel sees nothing of what other kernels left in the memory of a workgroup, nor what
/// lies beyond its tensors, whatever the crate's own kernels are trusted with.
#[test]
fn a_callers_kernel_is_not_trusted() {
    let Some(name) = common::adapter() else { return };
    let device = Device::builder().select(&name).unchecked(true).open().unwrap();
    let y = Tensor::zeros(&device, [1024], DType::U32).unwrap();
    for _ in 0..4 {
        device.launch(&LEAVE).bind("y", &y).groups([16, 1, 1]).record().unwrap();
        assert_eq!(y.to_vec::<u32>().unwrap(), [7; 1024]);
        device.launch(&FIND).bind("y", &y).groups([16, 1, 1]).record().unwrap();
        assert_eq!(y.to_vec::<u32>().unwrap(), [0; 1024]);
    }
    // The crate's own kernels compute as ever.
    let x = Tape::new().leaf(&numbers(&device, 1000));
    assert_eq!(x.add(&x).unwrap().value().to_vec::<f32>().unwrap()[999], 1998.0);
}

// ---- the pipeline cache ----

/// A folder of this test's own.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("spikegrad-{name}-{}", std::process::id()));
    // One of an earlier process with this number may be there.
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

#[test]
fn the_pipeline_cache_is_kept_while_the_program_runs() {
    let Some(device) = adapter_device() else { return };
    if !device.capabilities().pipeline_cache {
        return;
    }
    let cache = folder("kept");
    let text = cache.to_str().unwrap();
    let start = || common::child("computes_and_never_drops", &[("SPIKEGRAD_CACHE", text)]);
    assert!(start().contains("sum 6"), "the first start");
    let files = || std::fs::read_dir(&cache).unwrap().map(|f| f.unwrap().path());
    let paths: Vec<_> = files().collect();
    let [path] = paths.as_slice() else { panic!("one file is expected: {paths:?}") };
    let sound = std::fs::read(path).unwrap();
    let written = std::fs::metadata(path).unwrap().modified().unwrap();
    assert!(start().contains("sum 6"), "the second start");
    assert_eq!(std::fs::metadata(path).unwrap().modified().unwrap(), written, "written in vain");
    // A file that was replaced by anything else is of no consequence, and sound afterwards.
    for at in [0, 9, 20, 30, 50, 80].map(|at: usize| at.min(sound.len() - 1)) {
        let mut wrong = sound.clone();
        wrong[at] ^= 0xfe;
        std::fs::write(path, &wrong).unwrap();
        let report = start();
        assert!(report.contains("sum 6"), "byte {at}: {report}");
        assert_eq!(std::fs::read(path).unwrap(), sound, "byte {at}: not replaced");
    }
    for wrong in [&[][..], &sound[..sound.len() / 2], &[0; 5000], b"something else"] {
        std::fs::write(path, wrong).unwrap();
        assert!(start().contains("sum 6"));
        assert_eq!(std::fs::read(path).unwrap(), sound);
    }
    assert_eq!(files().count(), 1, "temporary files are left");
    std::fs::remove_dir_all(&cache).unwrap();
}

#[test]
fn off_means_no_cache_in_any_case() {
    let Some(_) = common::adapter() else { return };
    for off in ["off", "OFF", " Off "] {
        let report = common::child("computes_and_never_drops", &[("SPIKEGRAD_CACHE", off)]);
        assert!(report.contains("sum 6"), "{report}");
        assert!(!std::path::Path::new(off).exists(), "a folder named {off}");
    }
}

#[test]
fn computes_and_never_drops() {
    if common::is_child() {
        let Some(device) = adapter_device() else { return };
        let x = Tape::new().leaf(&numbers(&device, 4));
        println!("sum {}", x.sum_all().unwrap().value().item().unwrap());
        std::mem::forget((device, x));
    }
}

#[test]
fn tensors_refuse_wrong_types_and_counts() {
    for subject in subjects() {
        let x = numbers(&subject.device, 6);
        assert!(matches!(x.to_vec::<u32>(), Err(Error::DType { .. })));
        assert!(matches!(x.to_bools(), Err(Error::DType { .. })));
        assert!(matches!(x.write(&[1u32; 6]), Err(Error::DType { .. })));
        assert!(matches!(x.write(&[1.0f32; 5]), Err(Error::Shape { .. })));
        assert!(matches!(x.reshape([7]), Err(Error::Shape { .. })));
        assert!(matches!(x.item(), Err(Error::Shape { .. })));
        let wrong = Tensor::from_slice(&subject.device, &[1.0f32; 5], [6]);
        assert!(matches!(wrong, Err(Error::Shape { .. })));
        assert!(matches!(
            Tensor::zeros(&subject.device, [1; 9], DType::F32),
            Err(Error::Limit { .. })
        ));
    }
}

#[test]
fn more_workgroups_than_one_axis_holds() {
    let count = 65_535 * 64 + 1000;
    for subject in subjects() {
        let y = affine(&numbers(&subject.device, count), 1.0, 1.0).unwrap().to_vec::<f32>();
        let y = y.unwrap();
        let wrong = y.iter().enumerate().find(|(i, v)| **v != *i as f32 + 1.0);
        assert_eq!(wrong, None, "{}", subject.label);
    }
}

#[test]
fn nothing_is_no_special_case() {
    for subject in subjects() {
        let none = Tensor::zeros(&subject.device, [0, 5], DType::F32).unwrap();
        assert_eq!(none.to_vec::<f32>().unwrap(), [0.0; 0]);
        assert_eq!(none.duplicate().unwrap().to_vec::<f32>().unwrap(), [0.0; 0]);
        none.write::<f32>(&[]).unwrap();
        none.clear().unwrap();
        assert_eq!(affine(&none, 1.0, 1.0).unwrap().to_vec::<f32>().unwrap(), [0.0; 0]);
    }
}

// ---- the shadow check ----

#[test]
fn the_shadow_check_names_the_first_difference() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let (x, y) = (numbers(&device, 200), numbers(&device, 200));
        let run = |kernel| {
            let params = common::Affine::new(200, 2.0, 1.0);
            device.launch(kernel).params(&params).bind("x", &x).bind("y", &y).items(200).record()
        };
        run(&WRONG).unwrap();
        device.shadow(true);
        run(&AFFINE).unwrap();
        let outcome = run(&WRONG);
        if device.is_host() {
            // The host runs the twin itself: nothing to differ from.
            outcome.unwrap();
            continue;
        }
        let Err(Error::Diverged(found)) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((found.kernel, found.tensor.as_str(), found.index), ("wrong", "y", 150));
        assert_eq!((found.device, found.oracle), (301.0, 0.0));
        let text = outcome.unwrap_err().to_string();
        assert!(
            text.contains("wrong: `y`[150] is 3.01e2 on the device, 0e0 in the oracle"),
            "{text}"
        );
        device.shadow(false);
        run(&WRONG).unwrap();
    }
}

/// A wrong shader, with what it makes of `x[i]`, and its oracle.
macro_rules! wrong_shader {
    ($name:ident = $wrong:literal, $oracle:ident) => {
        kernel! {
            static $name = "tests/wrong" from concat!(
                "struct Params { count: u32, factor: f32, offset: f32 }
                 @group(0) @binding(0) var<storage, read> x: array<f32>;
                 @group(0) @binding(1) var<storage, read_write> y: array<f32>;
                 @group(1) @binding(0) var<uniform> p: Params;
                 @compute @workgroup_size(64)
                 fn wrong(@builtin(global_invocation_id) id: vec3<u32>) {
                     let i = id.x;
                     if i < p.count { y[i] = ",
                $wrong,
                "; }
}"
            );
            params = Affine;
            oracle = $oracle;
        }
    };
}

fn each<R: Real>(args: &mut HostArgs<'_, R>, make: impl Fn(usize, &[R]) -> R) {
    let (x, y) = (args.reals("x"), args.reals_mut("y"));
    y.iter_mut().enumerate().for_each(|(i, y)| *y = make(i, x));
}

fn squares_scaled_down<R: Real>(args: &mut HostArgs<'_, R>) {
    each(args, |i, x| x[i] * x[i] * R::lit(1e-30));
}

fn scaled_up<R: Real>(args: &mut HostArgs<'_, R>) {
    each(args, |i, x| x[i] * R::lit(1e30));
}

fn sums_of_four<R: Real>(args: &mut HostArgs<'_, R>) {
    each(args, |i, x| (0..4).map(|k| x[i / 4 * 4 + k]).sum());
}

/// Wrong by less than the largest value, by zeros and by infinities: where nothing on the way is out
/// of range and no terms are so large, neither is an excuse.
#[test]
fn the_shadow_check_names_what_f32_does_not_explain() {
    wrong_shader!(EARLY_ZERO = "select(x[i] * 1e30, 0.0, abs(x[i]) < 1e-28)", scaled_up);
    wrong_shader!(EARLY_INFINITY = "x[i] * x[i] * x[i] / x[i] * 1e-30", squares_scaled_down);
    wrong_shader!(
        LOST_TERM = "x[i / 4u * 4u] + x[i / 4u * 4u + 1u] + x[i / 4u * 4u + 2u]",
        sums_of_four
    );
    let cases: [(&'static Kernel, [f32; 4], usize, [f64; 2]); 3] = [
        (&EARLY_ZERO, [2e-28, 5e-29, 1e-29, 1e-31], 1, [0.0, 50.0]),
        (&EARLY_INFINITY, [1e10, 1e15, 2e18, 1e5], 1, [f64::INFINITY, 1.0]),
        (&LOST_TERM, [1000.0, -1000.0, 3.0, 1.0], 0, [3.0, 4.0]),
    ];
    let Some(device) = adapter_device() else { return };
    device.shadow(true);
    for (kernel, x, index, values) in cases {
        let x = Tensor::from_slice(&device, &x, [4]).unwrap();
        let y = Tensor::zeros(&device, [4], DType::F32).unwrap();
        let params = common::Affine::new(4, 0.0, 0.0);
        let launch = device.launch(kernel).params(&params).bind("x", &x).bind("y", &y).items(4);
        let outcome = launch.record();
        let Err(Error::Diverged(found)) = &outcome else { panic!("{outcome:?} of {kernel:?}") };
        assert_eq!(found.index, index, "{found}");
        for (found, wanted) in [found.device, found.oracle].into_iter().zip(values) {
            assert!(found == wanted || (found / wanted - 1.0).abs() < 1e-5, "{found} {wanted}");
        }
    }
}

/// Sums that cancel, values beyond and below the range of f32: no divergence, on any device.
#[test]
fn the_shadow_check_accuses_no_sound_device() {
    for subject in own_subjects() {
        let device = &subject.device;
        device.shadow(true);
        let mut random = Generator::new(device, 5).unwrap();
        let layer = Linear::builder(8, 16).build(&mut random).unwrap();
        let norm = BatchNorm::new(16, device).unwrap();
        for _ in 0..3 {
            let tape = Tape::new();
            let x = tape.constant(&random.normal([32, 8]).unwrap());
            // The bias before a batch norm has a gradient of 0 but for rounding.
            let y = forward(&layer, &x, true).and_then(|y| forward(&norm, &y, true)).unwrap();
            let loss = y.tanh().and_then(|y| y.square()?.mean_all()).unwrap();
            loss.backward().unwrap_or_else(|e| panic!("{}: {e}", subject.label));
        }
        let x = [1e30f32, -1e30, 1e-30, 1e-40, 1.0];
        let x = Tensor::from_slice(device, &x, [5]).unwrap();
        let mut square = Tape::off().constant(&x);
        for _ in 0..2 {
            square = square.square().unwrap_or_else(|e| panic!("{}: {e}", subject.label));
        }
        let (wide, c) = (random.normal([6, 10]).unwrap(), 0.5);
        let clip = spikegrad::spectral::SpectralClip::new(c);
        drop(clip.run(&wide).unwrap_or_else(|e| panic!("{}: {e}", subject.label)));
    }
}

#[test]
fn the_environment_switches_the_shadow_check_on() {
    if common::adapter().is_none() {
        return;
    }
    let report = common::child("launches_a_wrong_kernel", &[("SPIKEGRAD_SHADOW", "1")]);
    assert!(report.contains("shadow check: wrong: `y`[150]"), "{report}");
    let report = common::child("launches_a_wrong_kernel", &[("SPIKEGRAD_SHADOW", "0")]);
    assert!(report.contains("no difference"), "{report}");
}

#[test]
fn launches_a_wrong_kernel() {
    let (true, Some(device)) = (common::is_child(), adapter_device()) else { return };
    let (x, y) = (numbers(&device, 200), numbers(&device, 200));
    let params = common::Affine::new(200, 2.0, 1.0);
    match device.launch(&WRONG).params(&params).bind("x", &x).bind("y", &y).items(200).record() {
        Ok(()) => println!("no difference"),
        Err(e) => println!("{e}"),
    }
}

// ---- captures ----

/// `w <- w + lr (w - x)^2 x`, by temporaries of equal size, so that their memory is used again.
fn train(w: &Tensor, x: &Tensor, lr: f32) -> Result<Tensor> {
    let mut value = affine(x, -1.0, 0.25)?;
    for k in 0..5 {
        let next = affine(&value, 0.5, k as f32)?;
        value = affine(&next, 1.0, -0.125)?;
    }
    let step = affine(&value, lr, 0.0)?;
    w.copy_from(&step)?;
    affine(w, 1.0, 0.0)
}

#[test]
fn a_replay_equals_running_the_step() {
    for subject in subjects() {
        let device = &subject.device;
        let (x, w, expected) = (numbers(device, 300), numbers(device, 300), numbers(device, 300));
        let (out, capture) = device.capture(|| train(&w, &x, 0.5)).unwrap();
        assert_eq!(capture.launches(), 13);
        assert!(capture.kernels().iter().all(|k| *k == "affine"));
        for round in 0..4 {
            let values: Vec<f32> = (0..300).map(|i| (i * round) as f32 * 0.25).collect();
            x.write(&values).unwrap();
            capture.replay().unwrap();
            // Other work in between takes memory from the pool, but none of the capture's.
            let noise = numbers(device, 300);
            let direct = train(&expected, &x, 0.5).unwrap();
            let (replayed, wanted) =
                (out.to_vec::<f32>().unwrap(), direct.to_vec::<f32>().unwrap());
            assert_eq!(replayed, wanted, "{}, round {round}", subject.label);
            assert_eq!(w.to_vec::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
            assert_eq!(noise.to_vec::<f32>().unwrap()[299], 299.0);
        }
    }
}

#[test]
fn temporaries_of_a_capture_share_memory() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let (x, w) = (numbers(&device, 1000), numbers(&device, 1000));
        let before = device.memory();
        let (out, capture) = device.capture(|| train(&w, &x, 0.5)).unwrap();
        let after = device.memory();
        let buffers = (after.held + after.cached - before.held - before.cached) / before.held * 2;
        assert!(buffers <= 4, "{selection}: {buffers} buffers for 13 launches");
        drop(capture);
        drop((x, w, out));
        assert_eq!(device.memory().held, 0);
        device.trim().unwrap();
        assert_eq!(device.memory().cached, 0, "{selection}: a capture gives its memory back");
    }
}

#[test]
fn constants_made_in_a_capture_last() {
    for subject in subjects() {
        let device = &subject.device;
        let x = numbers(device, 64);
        let step = || {
            // The constant takes the memory that the temporary gave up.
            drop(affine(&x, 5.0, 5.0)?);
            let constant = Tensor::from_slice(device, &[7.0f32; 64], [64])?;
            affine(&constant, 1.0, 0.5)
        };
        let (out, capture) = device.capture(step).unwrap();
        for _ in 0..2 {
            assert_eq!(out.to_vec::<f32>().unwrap(), [7.5; 64], "{}", subject.label);
            capture.replay().unwrap();
        }
        assert_eq!(out.to_vec::<f32>().unwrap(), [7.5; 64], "{}", subject.label);
    }
}

#[test]
fn a_capture_refuses_what_cannot_be_replayed() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let x = numbers(&device, 64);
        let ((), earlier) = device.capture(|| affine(&x, 1.0, 1.0).map(drop)).unwrap();
        let held = device.memory().held;
        type Step<'a> = Box<dyn Fn() -> Result<()> + 'a>;
        let steps: [(&str, Step<'_>); 5] = [
            ("read", Box::new(|| affine(&x, 1.0, 1.0)?.to_vec::<f32>().map(drop))),
            ("item", Box::new(|| Tensor::zeros(&device, [1], DType::F32)?.item().map(drop))),
            ("write", Box::new(|| x.write(&[0.0f32; 64]))),
            ("capture", Box::new(|| device.capture(|| Ok(())).map(drop))),
            ("replay", Box::new(|| earlier.replay())),
        ];
        for (what, step) in steps {
            let outcome = device.capture(step).map(|_| ());
            assert!(matches!(outcome, Err(Error::Argument { .. })), "{what}: {outcome:?}");
        }
        // A failed capture leaves the device as it was.
        assert_eq!(x.to_vec::<f32>().unwrap()[63], 63.0, "{selection}");
        assert_eq!(device.memory().held, held);
        drop((x, earlier));
        device.trim().unwrap();
        assert_eq!(device.memory().cached, 0, "{selection}: a failed capture keeps memory");
    }
}

/// What replays would leave out is refused, with both devices' names.
#[test]
fn a_capture_refuses_work_on_another_device() {
    let (host, oracle) = (Device::host(), Device::oracle());
    let mut pairs = vec![(host.clone(), oracle.clone()), (oracle, host.clone())];
    if let (Some(adapter), Some(again)) = (adapter_device(), adapter_device()) {
        pairs.extend([(adapter.clone(), host.clone()), (host, adapter.clone()), (adapter, again)]);
    }
    for (device, other) in pairs {
        let (x, y) = (numbers(&device, 64), numbers(&other, 64));
        let ((), earlier) = other.capture(|| affine(&y, 1.0, 1.0).map(drop)).unwrap();
        type Step<'a> = Box<dyn Fn() -> Result<()> + 'a>;
        let steps: [(&str, Step<'_>); 9] = [
            ("affine", Box::new(|| affine(&y, 1.0, 1.0).map(drop))),
            ("write", Box::new(|| y.write(&[0.0f32; 64]))),
            ("write", Box::new(|| Tensor::from_slice(&other, &[0.0f32], [1]).map(drop))),
            ("clear", Box::new(|| y.clear())),
            ("clear", Box::new(|| Tensor::zeros(&other, [1], DType::F32).map(drop))),
            ("copy", Box::new(|| Tensor::empty(&other, [64], DType::F32)?.copy_from(&y))),
            ("read", Box::new(|| y.to_vec::<f32>().map(drop))),
            ("capture", Box::new(|| other.capture(|| Ok(())).map(drop))),
            ("replay", Box::new(|| earlier.replay())),
        ];
        for (what, step) in steps {
            let outcome = device.capture(|| {
                let _y = affine(&x, 2.0, 0.0)?;
                step()
            });
            let error = outcome.map(drop).expect_err(what);
            let text = error.to_string();
            assert!(matches!(error, Error::Argument { op, .. } if op == what), "{what}: {text}");
            assert!(text.contains(device.name()) && text.contains(other.name()), "{text}");
        }
        // Neither is any worse for it, and what other threads do is none of the step's.
        earlier.replay().unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[63], 63.0);
        let (z, capture) = device
            .capture(|| {
                let _other = std::thread::scope(|scope| {
                    scope.spawn(|| affine(&y, 1.0, 1.0).unwrap()).join().unwrap()
                });
                affine(&x, 2.0, 0.0)
            })
            .unwrap();
        capture.replay().unwrap();
        assert_eq!((capture.launches(), z.to_vec::<f32>().unwrap()[63]), (1, 126.0));
    }
}

#[test]
fn a_panic_in_a_capture_ends_it() {
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let x = numbers(&device, 64);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = device.capture(|| -> Result<()> { panic!("on purpose") });
        }));
        assert!(panicked.is_err());
        assert_eq!(x.to_vec::<f32>().unwrap()[63], 63.0, "{selection}");
    }
}

// ---- profiles, read-backs, threads ----

#[test]
fn a_profile_counts_and_times_launches() {
    // Devices of its own: a profile counts what other threads do as well.
    for selection in common::selections() {
        let device = Device::select(&selection).unwrap();
        let x = numbers(&device, 1000);
        let (y, profile) = device.profile(|| affine(&affine(&x, 2.0, 0.0)?, 1.0, 1.0)).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap()[999], 1999.0);
        let rows = profile.rows();
        assert_eq!((rows.len(), rows[0].kernel, rows[0].launches), (1, "affine", 2));
        assert_eq!((rows[0].bytes, rows[0].flops), (16_000.0, 4_000.0));
        assert!(rows[0].nanoseconds > 0.0, "{selection}");
        assert!(profile.to_string().contains("affine"));
    }
}

#[test]
fn read_backs_see_what_came_before() {
    for subject in subjects() {
        let device = &subject.device;
        let x = numbers(device, 64);
        let early = x.read().unwrap();
        let async_one = x.to_vec_async::<f32>();
        x.write(&[9.0f32; 64]).unwrap();
        let late = x.read().unwrap();
        assert_eq!(late.wait::<f32>().unwrap(), [9.0; 64]);
        assert_eq!(early.wait::<f32>().unwrap()[63], 63.0, "{}", subject.label);
        // A future does nothing before it is polled.
        assert_eq!(pollster::block_on(async_one).unwrap(), [9.0; 64]);
        let dropped = x.read().unwrap();
        drop(dropped);
        let many: Vec<_> = (0..20).map(|_| x.read().unwrap()).collect();
        for read in many {
            assert_eq!(pollster::block_on(read.wait_async::<f32>()).unwrap(), [9.0; 64]);
        }
    }
}

#[test]
fn threads_share_a_device() {
    for subject in subjects() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for round in 0..10 {
                        let base = (thread * 100 + round) as f32;
                        let x = Tensor::from_slice(&subject.device, &[base; 100], [100]).unwrap();
                        let y = affine(&affine(&x, 2.0, 1.0).unwrap(), 1.0, 1.0).unwrap();
                        assert_eq!(y.to_vec::<f32>().unwrap(), [base * 2.0 + 2.0; 100]);
                    }
                });
            }
        });
    }
}

// ---- a caller's own operator ----

#[test]
fn a_callers_operator_conforms() {
    conform("affine", 1e-6, |device| {
        let tape = Tape::new();
        let x = tape.leaf(&numbers(device, 1000));
        let y = affine_var(&affine_var(&x, 0.5, 1.0)?, -3.0, 0.25)?;
        let gradients = y.backward_from(&numbers(device, 1000))?;
        Ok(vec![y.value().clone(), gradients.get(&x).unwrap().clone()])
    });
}

#[test]
fn a_callers_gradient_is_checked() {
    let x = (vec![0.5, -1.25, 2.0], [3].as_slice());
    let outcome = gradient_check(std::slice::from_ref(&x), 1e-5, |v| {
        Ok(vec![affine_var(&affine_var(&v[0], 0.5, 1.0)?, -3.0, 0.25)?])
    });
    assert!(outcome.unwrap().error < 1e-8);
    // The check can fail: an operator whose backward forgets its factor.
    let outcome = gradient_check(&[x], 1e-5, |v| {
        let output = affine(v[0].value(), 3.0, 0.0)?;
        let forgetful = v[0].tape().record_one("forgetful", &[&v[0]], output, |backward| {
            if let Some(upstream) = backward.upstream(0).cloned() {
                backward.give(0, upstream);
            }
            Ok(())
        })?;
        Ok(vec![forgetful])
    });
    assert!(outcome.unwrap().error > 0.5);
}

#[test]
fn tapes_do_not_mix_and_run_once() {
    let device = Device::host();
    let (one, other) = (Tape::new(), Tape::new());
    let x = one.leaf(&numbers(&device, 1));
    let foreign = other.record_one("op", &[&x], numbers(&device, 1), |_| Ok(()));
    assert!(matches!(foreign, Err(Error::TapeMismatch { op: "op" })));
    let y = affine_var(&x, 2.0, 0.0).unwrap();
    assert_eq!(y.backward().unwrap().get(&x).unwrap().to_vec::<f32>().unwrap(), [2.0]);
    assert!(matches!(y.backward(), Err(Error::Argument { .. })), "a tape runs once");
    let wide = one.leaf(&numbers(&device, 2));
    assert!(matches!(wide.backward(), Err(Error::Shape { .. })), "no scalar");
}
