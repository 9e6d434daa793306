//! Writes every kernel in every variant as other compilers take it: WGSL, and HLSL as wgpu hands it
//! to Windows' two compilers. `export FOLDER [part of a name]`
//!
//! Each folder has a list of what is in it, a line a shader: file, entry point.

use naga::back::hlsl;
use spikegrad::{Kernel, Variant, kernels, specialise};
use std::error::Error;
use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, wanted) = match &arguments[..] {
        [folder] => (folder, ""),
        [folder, wanted] => (folder, wanted.as_str()),
        _ => return Err("usage: export FOLDER [part of a name]".into()),
    };
    let [wgsl, fxc, dxc] = ["wgsl", "fxc", "dxc"].map(|name| Path::new(folder).join(name));
    let mut wgsl = Listed::new(wgsl)?;
    let mut fxc = Listed::new(fxc)?;
    let mut dxc = Listed::new(dxc)?;
    for kernel in kernels().into_iter().filter(|k| k.name.contains(wanted)) {
        for (i, variant) in kernel.variants.iter().enumerate() {
            // naga's own language, for Vulkan and Metal: no other compiler knows it.
            if variant.needs.coop_matrix {
                continue;
            }
            let file = format!("{}-{i}", kernel.name);
            wgsl.put(&format!("{file}.wgsl"), kernel.name, &kernel.wgsl(i)?)?;
            if fxc_offers(variant) {
                put_hlsl(&mut fxc, &file, kernel, i, hlsl::ShaderModel::V5_1)?;
            }
            put_hlsl(&mut dxc, &file, kernel, i, hlsl::ShaderModel::V6_6)?;
        }
    }
    for listed in [wgsl, fxc, dxc] {
        listed.close()?;
    }
    Ok(())
}

/// Whether wgpu compiles such a variant with the older compiler: its shader model has no subgroups,
/// and no f16 of 16 bits.
fn fxc_offers(variant: &Variant) -> bool {
    !variant.needs.subgroups && !variant.needs.f16
}

fn put_hlsl(
    to: &mut Listed,
    file: &str,
    kernel: &'static Kernel,
    variant: usize,
    shader_model: hlsl::ShaderModel,
) -> Outcome {
    // As the pipelines of the crate ask for it: see `gpu/pipelines.rs`.
    let options = hlsl::Options {
        shader_model,
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        restrict_indexing: true,
        ..Default::default()
    };
    let program = kernel.program(variant)?;
    let (module, info) = specialise(kernel.name, &program.module, &[])?;
    let mut text = String::new();
    let written =
        hlsl::Writer::new(&mut text, &options, &Default::default()).write(&module, &info, None)?;
    let entry = written.entry_point_names.into_iter().next().ok_or("no entry point")??;
    to.put(&format!("{file}.hlsl"), &entry, &text)
}

/// A folder of shaders and its list.
struct Listed {
    folder: PathBuf,
    list: String,
}

impl Listed {
    /// An empty folder.
    fn new(folder: PathBuf) -> Result<Self, Box<dyn Error>> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, list: String::new() })
    }

    fn put(&mut self, file: &str, entry: &str, text: &str) -> Outcome {
        std::fs::write(self.folder.join(file), text)?;
        self.list += &format!("{file} {entry}\n");
        Ok(())
    }

    fn close(self) -> Outcome {
        Ok(std::fs::write(self.folder.join("list"), self.list)?)
    }
}
