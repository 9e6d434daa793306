//! What holds for every kernel of the table, without a GPU.

use spikegrad::{Device, Kernel, Needs, Variant, kernels, specialise};
use std::collections::HashSet;
use std::path::Path;

/// Every kernel in every variant.
fn variants() -> impl Iterator<Item = (&'static Kernel, usize, &'static Variant)> {
    kernels().into_iter().flat_map(|k| k.variants.iter().enumerate().map(move |(i, v)| (k, i, v)))
}

#[test]
fn names_are_unique_and_name_the_files() {
    let mut seen = HashSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shaders");
    for kernel in kernels() {
        assert!(seen.insert(kernel.name), "two kernels are named {}", kernel.name);
        // Kernels of cells share the driver's sources.
        let of_cell = kernel.modules.iter().any(|(path, _)| *path == "cell");
        let shared = |direction: &&str| kernel.name.ends_with(&format!("_{direction}"));
        let direction = ["forward", "backward"].into_iter().find(shared).filter(|_| of_cell);
        let (folder, name) = direction.map_or((kernel.family, kernel.name), |d| ("recur", d));
        let file = root.join(folder).join(format!("{name}.wgsl"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        assert_eq!(text, kernel.source, "{} is made from another file", kernel.name);
        assert!(text.starts_with("// "), "{file:?} must open with its formula");
    }
    assert!(!seen.is_empty());
}

#[test]
fn every_shader_file_is_a_kernel() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shaders");
    let sources: HashSet<_> = kernels().iter().map(|k| k.source).collect();
    for family in std::fs::read_dir(root).unwrap() {
        for file in std::fs::read_dir(family.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let (is_kernel, known) = (text.contains("@compute"), sources.contains(text.as_str()));
            assert_eq!(is_kernel, known, "{path:?}: entry points are kernels, fragments are not");
        }
    }
}

#[test]
fn baselines_need_nothing_and_come_first() {
    for kernel in kernels() {
        assert_eq!(kernel.variants[0].needs, Needs::NOTHING, "{}", kernel.name);
    }
}

#[test]
fn shaders_are_what_their_declarations_say() {
    let wrong: Vec<_> = variants()
        .filter_map(|(kernel, i, _)| kernel.program(i).err())
        .map(|e| e.to_string())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn programs_compose_and_keep_the_portable_limits() {
    for (kernel, i, variant) in variants() {
        // `program` itself checks: entry point, binding numbers, size of the parameter struct.
        let program = kernel.program(i).unwrap_or_else(|e| panic!("{}: {e}", variant.name));
        let label = format!("{} ({})", kernel.name, variant.name);
        let reflection = &program.reflection;
        let invocations: u32 = reflection.workgroup_size.iter().product();
        assert!(invocations <= 256, "{label}: {invocations} invocations");
        let bytes = reflection.workgroup_memory;
        assert!(bytes <= 16 << 10, "{label}: {bytes} bytes of workgroup memory");
        assert!(reflection.bindings.len() <= 8, "{label}");
        assert!(reflection.params <= 128, "{label}: parameters do not fit immediates");
    }
}

/// Errors name bindings, and launches constants, as the files do.
#[test]
fn names_of_bindings_and_constants_are_those_of_the_files() {
    for (kernel, i, variant) in variants() {
        let program = kernel.program(i).unwrap();
        let bindings = program.reflection.bindings.iter().map(|b| &b.name);
        for name in bindings.chain(program.reflection.overrides.iter().map(|o| &o.name)) {
            assert!(!name.contains("package"), "{} ({}): {name}", kernel.name, variant.name);
        }
    }
}

/// Tint takes a struct of arguments for different in each invocation as soon as one of its members is, and
/// refuses barriers behind it; naga's HLSL has no place for a subgroup's numbers in a struct.
#[test]
fn arguments_in_a_struct_suit_other_compilers() {
    use naga::{Binding, BuiltIn, TypeInner};
    for (kernel, i, variant) in variants() {
        let barriers = kernel.wgsl(i).unwrap().contains("workgroupBarrier");
        let module = &kernel.program(i).unwrap().module;
        for argument in &module.entry_points[0].function.arguments {
            let TypeInner::Struct { members, .. } = &module.types[argument.ty].inner else {
                continue;
            };
            for member in members {
                let Some(Binding::BuiltIn(builtin)) = member.binding else { continue };
                let suits = match builtin {
                    BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups => true,
                    BuiltIn::LocalInvocationIndex => !barriers,
                    _ => false,
                };
                let label = format!("{} ({})", kernel.name, variant.name);
                assert!(suits, "{label}: {builtin:?} in a struct");
            }
        }
    }
}

#[test]
fn exported_texts_enable_what_they_use() {
    for (kernel, i, variant) in variants() {
        let text = kernel.wgsl(i).unwrap();
        // A function such as subgroupAdd, not a variable.
        let calls = |after: &str| after.starts_with(char::is_uppercase);
        let uses_subgroups = text.split("subgroup").skip(1).any(calls);
        // What naga alone compiles follows naga's rules.
        if !variant.needs.coop_matrix {
            let enabled = text.starts_with("enable subgroups;\n");
            assert_eq!(enabled, uses_subgroups, "{} ({})", kernel.name, variant.name);
        }
    }
}

#[test]
fn programs_translate_for_every_api() {
    for (kernel, i, variant) in variants() {
        let program = kernel.program(i).unwrap_or_else(|e| panic!("{e}"));
        let label = format!("{} ({})", kernel.name, variant.name);
        let (module, info) =
            specialise(kernel.name, &program.module, &[]).unwrap_or_else(|e| panic!("{e}"));
        naga::back::spv::write_vec(&module, &info, &spirv_options(), None)
            .unwrap_or_else(|e| panic!("{label} to SPIR-V: {e}"));
        naga::back::msl::write_string(&module, &info, &msl_options(), &Default::default())
            .unwrap_or_else(|e| panic!("{label} to MSL: {e}"));
        // DX12 has no cooperative matrices.
        if !variant.needs.coop_matrix {
            let mut text = String::new();
            let options = hlsl_options();
            naga::back::hlsl::Writer::new(&mut text, &options, &Default::default())
                .write(&module, &info, None)
                .unwrap_or_else(|e| panic!("{label} to HLSL: {e}"));
            // naga writes the constructor of an array once for each name that its type has.
            let mut made = HashSet::new();
            let constructors = text.lines().filter(|l| l.starts_with("ret_Constructarray"));
            for line in constructors {
                assert!(made.insert(line), "{label} to HLSL: twice `{line}`");
            }
        }
    }
}

fn spirv_options() -> naga::back::spv::Options<'static> {
    naga::back::spv::Options { lang_version: (1, 6), ..Default::default() }
}

fn msl_options() -> naga::back::msl::Options {
    naga::back::msl::Options {
        lang_version: (3, 1),
        fake_missing_bindings: true,
        ..Default::default()
    }
}

fn hlsl_options() -> naga::back::hlsl::Options {
    naga::back::hlsl::Options {
        shader_model: naga::back::hlsl::ShaderModel::V6_6,
        fake_missing_bindings: true,
        ..Default::default()
    }
}

/// An adapter that validates everything and runs nothing, with or without optional features.
fn noop_device(features: wgpu::Features) -> Device {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::NOOP;
    descriptor.backend_options.noop.enable = true;
    let instance = wgpu::Instance::new(descriptor);
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let required_features = features & adapter.features();
    let mut required_limits = wgpu::Limits::default();
    if required_features.contains(wgpu::Features::IMMEDIATES) {
        required_limits.max_immediate_size = 128;
    }
    let request =
        wgpu::DeviceDescriptor { required_features, required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&request)).unwrap();
    Device::from_wgpu(adapter, device, queue).unwrap()
}

/// Pipelines and layouts are valid with WebGPU's default limits, on a device that needs no driver.
#[test]
fn pipelines_are_valid_on_the_noop_adapter() {
    use wgpu::Features as F;
    for features in [F::empty(), F::SUBGROUP | F::SHADER_F16 | F::IMMEDIATES] {
        let device = noop_device(features);
        for (kernel, i, variant) in variants() {
            if variant.needs.met_by(device.capabilities()) {
                device.compile(kernel, i, &[]).unwrap_or_else(|e| panic!("{}: {e}", variant.name));
            }
        }
    }
}

#[test]
fn kernels_with_loops_say_how_long_they_are() {
    let mut silent = Vec::new();
    for (kernel, i, variant) in variants() {
        let program = kernel.program(i).unwrap_or_else(|e| panic!("{e}"));
        if kernel.iterations.is_none() && program.reflection.open_loops {
            silent.push(format!("{} ({})", kernel.name, variant.name));
        }
    }
    assert!(silent.is_empty(), "loops whose iterations no kernel states: {silent:#?}");
}
