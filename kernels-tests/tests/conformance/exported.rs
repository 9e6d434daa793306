//! What is exported is enough to run a kernel without this crate: the launches are run by plain WebGPU
//! calls, and compared with what should come out.

use kernels_tests::export::{launches, missing};
use kernels_tests::subjects;
use spikegrad::wgpu;
use spikegrad::{Access, BindingElement, ExportedBinding, ExportedLaunch, write_launches};
use wgpu::util::DeviceExt;

#[test]
fn every_kernel_is_exported() {
    let missing = missing(&launches(false).unwrap());
    assert!(missing.is_empty(), "no case reaches {missing:#?}");
}

#[test]
fn exported_launches_run_without_this_crate() {
    // The adapter as it is.
    let Some(subject) = subjects().iter().find(|s| !s.device.is_host()) else { return };
    let mut wrong = Vec::new();
    let mut count = 0;
    for launch in launches(false).unwrap() {
        if launch.needs.met_by(subject.device.capabilities()) {
            count += 1;
            let found = run(subject.device.wgpu().unwrap(), &launch);
            wrong.extend(faults(&launch, &found));
        }
    }
    assert!(count > 150, "{count} launches");
    assert!(wrong.is_empty(), "of {count} launches: {wrong:#?}");
}

#[test]
fn folders_hold_what_launches_are() {
    let folder = std::env::temp_dir().join(format!("spikegrad-export-{}", std::process::id()));
    let launches = launches(true).unwrap();
    write_launches(&folder, &launches).unwrap();
    let list = std::fs::read_to_string(folder.join("launches.json")).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let tensors = std::fs::read(folder.join("tensors.bin")).unwrap();
    assert_eq!(list["version"], 1);
    let listed = list["launches"].as_array().unwrap();
    assert_eq!(listed.len(), launches.len());
    for (listed, launch) in listed.iter().zip(&launches) {
        let text = std::fs::read_to_string(folder.join(listed["wgsl"].as_str().unwrap())).unwrap();
        assert_eq!(text, launch.wgsl);
        assert!(!text.contains("override "), "{}", launch.kernel.name);
        for (listed, binding) in listed["bindings"].as_array().unwrap().iter().zip(&launch.bindings)
        {
            let [at, bytes] =
                ["at", "bytes"].map(|k| listed["before"][k].as_u64().unwrap() as usize);
            assert_eq!(&tensors[at..at + bytes], binding.before);
            assert_eq!(listed["after"].is_null(), binding.after.is_none());
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// The buffers after the launch.
fn run((device, queue): (&wgpu::Device, &wgpu::Queue), launch: &ExportedLaunch) -> Vec<Vec<u8>> {
    let name = launch.kernel.name;
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(name),
        // naga does not know the line that other compilers want.
        source: wgpu::ShaderSource::Wgsl(launch.wgsl.replace("enable subgroups;\n", "").into()),
    });
    // A layout that follows from the text would leave out what the text does not use.
    let layout = layout(device, launch);
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(name),
        layout: Some(&layout.0),
        module: &module,
        entry_point: Some(name),
        compilation_options: Default::default(),
        cache: None,
    });
    let buffer = |contents: &[u8], usage| {
        device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents,
            usage,
        })
    };
    let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
    let buffers: Vec<_> = launch.bindings.iter().map(|b| buffer(&b.before, storage)).collect();
    let params =
        (!launch.params.is_empty()).then(|| buffer(&launch.params, wgpu::BufferUsages::UNIFORM));
    let groups: Vec<Vec<&wgpu::Buffer>> =
        [buffers.iter().collect(), params.iter().collect::<Vec<_>>()].into();
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        for (number, group) in groups.iter().enumerate().filter(|(_, group)| !group.is_empty()) {
            let entries: Vec<_> = group
                .iter()
                .enumerate()
                .map(|(i, b)| wgpu::BindGroupEntry {
                    binding: i as u32,
                    resource: b.as_entire_binding(),
                })
                .collect();
            let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &layout.1[number],
                entries: &entries,
            });
            pass.set_bind_group(number as u32, &group, &[]);
        }
        let [x, y, z] = launch.groups;
        pass.dispatch_workgroups(x, y, z);
    }
    let staged: Vec<_> = buffers
        .iter()
        .map(|from| {
            let staging = device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: from.size(),
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            encoder.copy_buffer_to_buffer(from, 0, &staging, 0, from.size());
            staging
        })
        .collect();
    queue.submit([encoder.finish()]);
    staged.iter().for_each(|s| s.slice(..).map_async(wgpu::MapMode::Read, |r| r.unwrap()));
    device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    staged.iter().map(|s| s.slice(..).get_mapped_range().unwrap().to_vec()).collect()
}

/// The layout of the pipeline, and those of its groups.
fn layout(
    device: &wgpu::Device,
    launch: &ExportedLaunch,
) -> (wgpu::PipelineLayout, Vec<wgpu::BindGroupLayout>) {
    let group = |kinds: Vec<wgpu::BufferBindingType>| {
        let entry = |(i, ty)| wgpu::BindGroupLayoutEntry {
            binding: i as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let entries: Vec<_> = kinds.into_iter().enumerate().map(entry).collect();
        let descriptor = wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries };
        device.create_bind_group_layout(&descriptor)
    };
    let read_only = |b: &ExportedBinding| b.access == Access::Read;
    let storage = |b| wgpu::BufferBindingType::Storage { read_only: read_only(b) };
    let mut groups = vec![group(launch.bindings.iter().map(storage).collect())];
    if !launch.params.is_empty() {
        groups.push(group(vec![wgpu::BufferBindingType::Uniform]));
    }
    let layouts: Vec<_> = groups.iter().map(Some).collect();
    let whole = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: None,
        bind_group_layouts: &layouts,
        immediate_size: 0,
    });
    (whole, groups)
}

/// What differs from what should come out.
fn faults(launch: &ExportedLaunch, found: &[Vec<u8>]) -> Vec<String> {
    let pairs = launch.bindings.iter().zip(found);
    let judged = pairs.filter_map(|(b, found)| Some((b, b.after.as_ref()?, found)));
    judged
        .filter_map(|(binding, wanted, found)| {
            let wrong = differences(binding, wanted, found);
            let allowed = (binding.mismatch * (wanted.len() / 4) as f64) as usize;
            let (kernel, name) = (launch.kernel.name, &binding.name);
            let place = launch.variant;
            let first = |bytes: &[u8]| -> Vec<f32> {
                bytemuck::pod_collect_to_vec::<u8, f32>(bytes).into_iter().take(3).collect()
            };
            (wrong > allowed).then(|| {
                let (found, wanted) = (first(found), first(wanted));
                format!(
                    "{kernel} ({place}): {wrong} elements of {name}: {found:?}…, not {wanted:?}…"
                )
            })
        })
        .collect()
}

fn differences(binding: &ExportedBinding, wanted: &[u8], found: &[u8]) -> usize {
    let words = |bytes: &[u8]| bytemuck::pod_collect_to_vec::<u8, u32>(bytes);
    let (wanted, found) = (words(wanted), words(found));
    if binding.element != BindingElement::Real {
        return wanted.iter().zip(&found).filter(|(a, b)| a != b).count();
    }
    let reals = |words: Vec<u32>| words.into_iter().map(f32::from_bits).map(f64::from);
    let close =
        |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= binding.tolerance;
    reals(wanted).zip(reals(found)).filter(|(a, b)| !close(*a, *b)).count()
}
