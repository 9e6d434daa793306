//! What a composed module declares: the one place where bindings are read from, never written twice.

use super::overrides::{self, Override};
use crate::error::{Error, Result};
use naga::{AddressSpace, ScalarKind, StorageAccess, TypeInner};

/// How a shader uses a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
}

/// What a binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// f32 scalars or vectors.
    Real,
    /// u32 scalars, vectors, atomics.
    Word,
    /// f16 scalars or vectors.
    Half,
}

/// One storage binding of group 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its name in the shader.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// How it is used.
    pub access: Access,
    /// What it holds.
    pub element: Element,
    /// The bytes of the smallest buffer that it can be bound to: one element of an array, which may
    /// be a vector.
    pub least_bytes: u32,
}

/// What a word of the parameter struct holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// `u32`
    Uint,
    /// `i32`
    Sint,
    /// `f32`
    Float,
}

/// One word of the parameter struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The member that it belongs to, also of a struct within the struct. Members `key_0`, `key_1`, …
    /// are words of one, `key`: WGSL has no arrays of scalars there.
    pub name: String,
    /// Where it stands, in bytes.
    pub offset: u32,
    /// What it holds.
    pub scalar: Scalar,
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, offset, scalar } = self;
        write!(f, "`{name}` ({scalar:?} at byte {offset})")
    }
}

/// What an entry point declares.
#[derive(Debug, Clone, PartialEq)]
pub struct Reflection {
    /// The storage bindings of group 0, in order, without gaps.
    pub bindings: Vec<Binding>,
    /// The size in bytes of the parameter struct at `@group(1) @binding(0)`; 0 if there is none.
    pub params: u32,
    /// The words of that struct, in order.
    pub members: Vec<Member>,
    /// The workgroup size with the `override`s at their defaults.
    pub workgroup_size: [u32; 3],
    /// Bytes of workgroup memory with the `override`s at their defaults.
    pub workgroup_memory: u32,
    /// The `override`s.
    pub overrides: Vec<Override>,
    /// Whether it has a loop whose length is not in the source: it depends on parameters, data or the
    /// place of the invocation.
    pub open_loops: bool,
}

/// Replaces the `override`s of a module by values (names not in `constants` take their defaults),
/// validates the outcome, and returns it with its validation record.
///
/// # Errors
/// [`Error::Shader`]: an invalid module, a constant that the shader does not have.
pub fn specialise(
    kernel: &str,
    module: &naga::Module,
    constants: &[(&'static str, f64)],
) -> Result<(naga::Module, naga::valid::ModuleInfo)> {
    let failed = |message: String| Error::Shader { kernel: kernel.into(), message };
    let info = validate(kernel, module)?;
    let mut values = naga::back::PipelineConstants::default();
    for (name, value) in constants {
        values.insert((*name).to_string(), *value);
    }
    let processed = naga::back::pipeline_constants::process_overrides(module, &info, None, &values);
    let (module, info) = processed.map_err(|e| failed(e.to_string()))?;
    Ok((module.into_owned(), info.into_owned()))
}

fn validate(kernel: &str, module: &naga::Module) -> Result<naga::valid::ModuleInfo> {
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    Validator::new(ValidationFlags::all(), Capabilities::all())
        .subgroup_stages(naga::valid::ShaderStages::all())
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(module)
        .map_err(|e| Error::Shader {
            kernel: kernel.into(),
            message: format!("{e}: {}", error_chain(&e)),
        })
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(e) = next {
        text = format!("{text}; {e}");
        next = e.source();
    }
    text
}

/// Reads what the module's entry point declares.
///
/// # Errors
/// [`Error::Shader`] where the shader breaks a rule of the house: one entry point, named like the
/// kernel; storage bindings in group 0, numbered from 0 without gaps, at most eight; parameters at
/// `@group(1) @binding(0) var<uniform>`.
pub fn reflect(kernel: &str, module: &naga::Module) -> Result<Reflection> {
    let broken = |message: String| Error::Shader { kernel: kernel.into(), message };
    let [entry] = module.entry_points.as_slice() else {
        return Err(broken("expected one entry point".into()));
    };
    if entry.name != kernel {
        return Err(broken(format!("the entry point is named {}", entry.name)));
    }
    let mut layouter = naga::proc::Layouter::default();
    let mut out = Reflection {
        bindings: Vec::new(),
        params: 0,
        members: Vec::new(),
        workgroup_size: entry.workgroup_size,
        workgroup_memory: 0,
        overrides: overrides::of(module),
        open_loops: super::loops::has_open_loop(module),
    };
    if let Ok((plain, _)) = specialise(kernel, module, &[]) {
        out.workgroup_size = plain.entry_points[0].workgroup_size;
        if layouter.update(plain.to_ctx()).is_ok() {
            let shared = |v: &naga::GlobalVariable| v.space == AddressSpace::WorkGroup;
            let bytes = plain.global_variables.iter().filter(|(_, v)| shared(v));
            out.workgroup_memory = bytes.map(|(_, v)| layouter[v.ty].size).sum();
        }
    }
    for (_, variable) in module.global_variables.iter() {
        let name = variable.name.clone().unwrap_or_default();
        match (variable.space, &variable.binding) {
            (AddressSpace::Storage { access }, Some(at)) if at.group == 0 => {
                out.bindings.push(Binding {
                    index: at.binding,
                    access: if access.contains(StorageAccess::STORE) {
                        Access::Write
                    } else {
                        Access::Read
                    },
                    element: element(module, variable.ty)
                        .ok_or_else(|| broken(format!("binding {name} is no array of scalars")))?,
                    least_bytes: least_bytes(module, variable.ty),
                    name,
                });
            }
            (AddressSpace::Uniform, Some(at)) if (at.group, at.binding) == (1, 0) => {
                out.params = params_size(module, variable.ty);
                members(module, variable.ty, ("", 0), &mut out.members);
            }
            (_, Some(at)) => {
                let place = format!("@group({}) @binding({})", at.group, at.binding);
                return Err(broken(format!("`{name}` at {place} is neither data nor parameters")));
            }
            (_, None) => {}
        }
    }
    out.bindings.sort_by_key(|b| b.index);
    if out.bindings.iter().enumerate().any(|(i, b)| b.index as usize != i) {
        return Err(broken("bindings of group 0 are not numbered 0, 1, 2, …".into()));
    }
    if out.bindings.len() > 8 {
        return Err(broken(format!("{} storage bindings, 8 are portable", out.bindings.len())));
    }
    Ok(out)
}

impl Reflection {
    /// The value of an `override` in a launch with these constants; none for one that the shader does
    /// not have.
    pub fn constant(&self, name: &str, constants: &[(&'static str, f64)]) -> Option<f64> {
        overrides::value(&self.overrides, name, constants)
    }
}

/// `key` of `key_0`.
fn unnumbered(name: &str) -> &str {
    let numbered = |(_, number): &(&str, &str)| number.parse::<u32>().is_ok();
    name.rsplit_once('_').filter(numbered).map_or(name, |(array, _)| array)
}

/// Lists the words of a member of type `ty`.
fn members(
    module: &naga::Module,
    ty: naga::Handle<naga::Type>,
    (name, offset): (&str, u32),
    out: &mut Vec<Member>,
) {
    let mut push = |name: String, offset: u32, scalar: &naga::Scalar| {
        let scalar = match scalar.kind {
            ScalarKind::Uint => Scalar::Uint,
            ScalarKind::Sint => Scalar::Sint,
            _ => Scalar::Float,
        };
        out.push(Member { name, offset, scalar });
    };
    match &module.types[ty].inner {
        TypeInner::Scalar(scalar) => push(name.into(), offset, scalar),
        TypeInner::Vector { size, scalar } => {
            (0..*size as u32).for_each(|i| push(name.into(), offset + 4 * i, scalar));
        }
        TypeInner::Array { base, size: naga::ArraySize::Constant(n), stride } => {
            for i in 0..n.get() {
                members(module, *base, (name, offset + i * stride), out);
            }
        }
        TypeInner::Struct { members: inner, .. } => {
            for member in inner {
                let name = unnumbered(member.name.as_deref().unwrap_or_default());
                members(module, member.ty, (name, offset + member.offset), out);
            }
        }
        // The validator lets nothing else into a uniform buffer.
        _ => {}
    }
}

fn params_size(module: &naga::Module, ty: naga::Handle<naga::Type>) -> u32 {
    match module.types[ty].inner {
        TypeInner::Struct { span, .. } => span,
        ref inner => inner.size(module.to_ctx()),
    }
}

fn least_bytes(module: &naga::Module, ty: naga::Handle<naga::Type>) -> u32 {
    match module.types[ty].inner {
        TypeInner::Array { size: naga::ArraySize::Constant(n), stride, .. } => {
            stride.saturating_mul(n.get())
        }
        TypeInner::Array { stride, .. } => stride,
        ref inner => inner.size(module.to_ctx()),
    }
}

fn element(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<Element> {
    let scalar = match module.types[ty].inner {
        TypeInner::Array { base, .. } => return element(module, base),
        TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => scalar,
        TypeInner::Vector { scalar, .. } => scalar,
        _ => return None,
    };
    match (scalar.kind, scalar.width) {
        (ScalarKind::Float, 4) => Some(Element::Real),
        (ScalarKind::Float, 2) => Some(Element::Half),
        (ScalarKind::Uint, 4) => Some(Element::Word),
        _ => None,
    }
}
