//! Writes every kernel in every variant as other compilers take it: WGSL, and HLSL as wgpu hands it
//! to Windows' two compilers. `export FOLDER [FILE of constants]`
//!
//! Each folder has a list of what is in it, a line a pipeline: file, entry point, and the constants where
//! the compiler takes them. Each kernel is there with the constants that stand in its source, and with
//! those that tests have noted (`kernels_tests::constants`).

use kernels_tests::constants::{self, Noted};
use naga::back::hlsl;
use spikegrad::{Variant, kernels, specialise};
use std::collections::HashSet;
use std::error::Error;
use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn Error>>;
type Text = Result<String, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, noted) = match &arguments[..] {
        [folder] => (folder, Vec::new()),
        [folder, constants] => (folder, constants::read(Path::new(constants))?),
        _ => return Err("usage: export FOLDER [FILE of constants]".into()),
    };
    let mut out = Out {
        wgsl: Listed::new(Path::new(folder).join("wgsl"))?,
        fxc: Listed::new(Path::new(folder).join("fxc"))?,
        dxc: Listed::new(Path::new(folder).join("dxc"))?,
    };
    for kernel in kernels() {
        for variant in 0..kernel.variants.len() {
            out.put(&Noted { kernel, variant, constants: Vec::new() }, "", true)?;
        }
    }
    let alike = |a: &Noted, b: &Noted| (a.kernel.name, a.variant) == (b.kernel.name, b.variant);
    for sets in noted.chunk_by(alike) {
        let every = sets.len().div_ceil(FXC_SETS);
        for (number, noted) in sets.iter().enumerate().filter(|(_, n)| !n.constants.is_empty()) {
            out.put(noted, &format!("-{number}"), number.is_multiple_of(every))?;
        }
    }
    for listed in [out.wgsl, out.fxc, out.dxc] {
        listed.close()?;
    }
    Ok(())
}

/// The sets of constants of a kernel that the older of Windows' compilers gets: it takes up to a quarter
/// of a minute for one.
const FXC_SETS: usize = 6;

/// What is written for each compiler.
struct Out {
    wgsl: Listed,
    fxc: Listed,
    dxc: Listed,
}

impl Out {
    fn put(&mut self, noted: &Noted, end: &str, for_fxc: bool) -> Outcome {
        let Noted { kernel, variant, constants } = noted;
        let offers = &kernel.variants[*variant];
        // naga's own language, for Vulkan and Metal: no other compiler knows it.
        if offers.needs.coop_matrix {
            return Ok(());
        }
        let file = format!("{}-{variant}", kernel.name);
        let given: String =
            constants.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        self.wgsl.put(&format!("{file}.wgsl"), &format!("{}{given}", kernel.name), || {
            Ok(kernel.wgsl(*variant)?)
        })?;
        let file = format!("{file}{end}.hlsl");
        if for_fxc && fxc_offers(offers) {
            put_hlsl(&mut self.fxc, &file, noted, hlsl::ShaderModel::V5_1)?;
        }
        put_hlsl(&mut self.dxc, &file, noted, hlsl::ShaderModel::V6_6)
    }
}

/// Whether wgpu compiles such a variant with the older compiler: its shader model has no subgroups,
/// and no f16 of 16 bits.
fn fxc_offers(variant: &Variant) -> bool {
    !variant.needs.subgroups && !variant.needs.f16
}

fn put_hlsl(
    to: &mut Listed,
    file: &str,
    noted: &Noted,
    shader_model: hlsl::ShaderModel,
) -> Outcome {
    let Noted { kernel, variant, constants } = noted;
    // As the pipelines of the crate ask for it: see `gpu/pipelines.rs`.
    let options = hlsl::Options {
        shader_model,
        fake_missing_bindings: true,
        zero_initialize_workgroup_memory: false,
        force_loop_bounding: false,
        restrict_indexing: true,
        ..Default::default()
    };
    let program = kernel.program(*variant)?;
    let (module, info) = specialise(kernel.name, &program.module, constants)?;
    let mut text = String::new();
    let written =
        hlsl::Writer::new(&mut text, &options, &Default::default()).write(&module, &info, None)?;
    let entry = written.entry_point_names.into_iter().next().ok_or("no entry point")??;
    // Constants that are those of the source, or are not used, make no other text.
    if to.texts.insert(text.clone()) {
        to.put(file, &entry, || Ok(format!("// {constants:?}\n{text}")))?;
    }
    Ok(())
}

/// A folder of shaders and its list.
struct Listed {
    folder: PathBuf,
    list: String,
    /// Those that are not to be written twice.
    texts: HashSet<String>,
}

impl Listed {
    /// An empty folder.
    fn new(folder: PathBuf) -> Result<Self, Box<dyn Error>> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, list: String::new(), texts: HashSet::new() })
    }

    /// Lists a pipeline, and writes its text unless it is there.
    fn put(&mut self, file: &str, line: &str, text: impl FnOnce() -> Text) -> Outcome {
        let path = self.folder.join(file);
        if !path.exists() {
            std::fs::write(path, text()?)?;
        }
        self.list += &format!("{file} {line}\n");
        Ok(())
    }

    fn close(self) -> Outcome {
        Ok(std::fs::write(self.folder.join("list"), self.list)?)
    }
}
