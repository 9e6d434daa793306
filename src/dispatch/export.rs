//! Launches as data for other programs: text, constants, parameters, tensors before and after.

use super::shadow::{before_of, call};
use super::{Bound, Launch, Stream};
use crate::error::Result;
use crate::gpu::{Access, Element};
use crate::host::Array;
use crate::kernel::{Kernel, Needs, Program};
use std::collections::HashMap;

/// A recorded launch: all that another program needs to run it, and to judge what comes out. Made by
/// [`Device::export`](crate::Device::export).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportedLaunch {
    /// The kernel, which is the name of the entry point.
    pub kernel: &'static Kernel,
    /// The variant, by its place in the kernel's list.
    pub variant: usize,
    /// What the adapter must offer.
    pub needs: Needs,
    /// The WGSL, with constants in the place of `override`s, as compilers other than naga take it.
    pub wgsl: String,
    /// The constants that the launch set.
    pub constants: Vec<(&'static str, f64)>,
    /// The invocations of a workgroup along x, y and z, with these constants.
    pub workgroup_size: [u32; 3],
    /// The workgroups along x, y and z.
    pub groups: [u32; 3],
    /// The parameter struct, a uniform buffer at `@group(1) @binding(0)`; empty if there is none.
    pub params: Vec<u8>,
    /// The storage buffers of `@group(0)`, in order.
    pub bindings: Vec<ExportedBinding>,
}

/// A storage buffer of an [`ExportedLaunch`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportedBinding {
    /// Its name in the shader.
    pub name: String,
    /// How the shader uses it.
    pub access: Access,
    /// What it holds.
    pub element: Element,
    /// Its contents before the launch. Those of a buffer that the launch does not use are zeros.
    pub before: Vec<u8>,
    /// What the oracle leaves in it, where the launch writes it and the contents are specified.
    pub after: Option<Vec<u8>>,
    /// How far a number may be from that, absolutely: the kernel's tolerance, relative to the largest of
    /// the buffer, and what roundings of the inputs do to the oracle's. Words are equal.
    pub tolerance: f64,
    /// The fraction of elements that may differ by more: spikes of membranes within rounding of the
    /// threshold.
    pub mismatch: f64,
}

/// Which launches are wanted: told the kernel, the variant, and the bytes of all tensors.
pub(crate) type Wanted = Box<dyn FnMut(&'static Kernel, usize, u64) -> bool + Send>;

/// Launches that are being collected.
pub(super) struct Collecting {
    wanted: Wanted,
    launches: Vec<ExportedLaunch>,
    /// Composed texts, by kernel and variant.
    texts: HashMap<(&'static str, usize), String>,
}

impl std::fmt::Debug for Collecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} launches", self.launches.len())
    }
}

impl Collecting {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, launches: Vec::new(), texts: HashMap::new() }
    }

    pub(super) fn finish(self) -> Vec<ExportedLaunch> {
        self.launches
    }

    /// Takes a launch that is about to run, if it is wanted.
    pub(super) fn take(
        &mut self,
        stream: &Stream,
        launch: &Launch,
        program: &Program,
    ) -> Result<()> {
        let bytes = launch.bindings.iter().map(|b| b.words as u64 * 4).sum();
        let (kernel, variant) = (launch.kernel, launch.variant);
        if !(self.wanted)(kernel, variant, bytes) {
            return Ok(());
        }
        let text = match self.texts.get(&(kernel.name, variant)) {
            Some(text) => text.clone(),
            None => kernel.wgsl(variant)?,
        };
        let wgsl = with_constants(&text, launch.constants());
        self.texts.insert((kernel.name, variant), text);
        let before: Vec<_> = before_of(stream, launch, program)?
            .iter()
            .map(|a| near(a, |_, v| f64::from(v as f32)))
            .collect();
        let mut after = before.clone();
        call(launch, program, kernel.twin.oracle, &mut after);
        let mut nearby: Vec<Array> = before.iter().map(nudged).collect();
        call(launch, program, kernel.twin.oracle, &mut nearby);
        let arrays = before.iter().zip(after.iter().zip(&nearby)).zip(&launch.bindings);
        let bindings = arrays
            .zip(&program.reflection.bindings)
            .map(|(((before, (after, nearby)), bound), declared)| {
                let specified = declared.access == Access::Write
                    && kernel.scratch != Some(declared.name.as_str())
                    && !bound.is_stand_in();
                ExportedBinding {
                    name: declared.name.clone(),
                    access: declared.access,
                    element: declared.element,
                    before: contents(before, bound, declared.least_bytes),
                    after: specified.then(|| contents(after, bound, declared.least_bytes)),
                    tolerance: tolerance(kernel, after, nearby),
                    mismatch: kernel.mismatch.into(),
                }
            })
            .collect();
        self.launches.push(ExportedLaunch {
            kernel,
            variant,
            needs: kernel.variants[variant].needs,
            wgsl,
            constants: launch.constants().to_vec(),
            workgroup_size: program.workgroup_size(launch.constants()).unwrap_or([1; 3]),
            groups: launch.groups,
            params: launch.param_bytes().to_vec(),
            bindings,
        });
        Ok(())
    }
}

/// How often the effect of one rounding of the inputs a launch's own roundings may have.
const ROUNDINGS: f64 = 8.0;

/// How far the numbers of a buffer may be from the oracle's, which gives `nearby` for inputs that are
/// rounded otherwise.
fn tolerance(kernel: &Kernel, oracle: &Array, nearby: &Array) -> f64 {
    let reals = |array: &Array| array.reals::<f64>(array.len()).unwrap_or_default();
    let (oracle, nearby) = (reals(oracle), reals(nearby));
    let greatest = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|v| v.is_finite()).fold(0.0, |most: f64, v| most.max(v.abs()))
    };
    let largest = greatest(&mut oracle.iter().copied());
    let rounding = greatest(&mut oracle.iter().zip(&nearby).map(|(a, b)| a - b));
    f64::from(kernel.tolerance) * largest + ROUNDINGS * rounding
}

/// Numbers up and down by a unit in the last place of f32, in no simple order.
fn nudged(array: &Array) -> Array {
    near(array, |i, v| {
        let up = (i as u32).wrapping_mul(0x9E37_79B9) >> 31 == 1;
        v * (1.0 + if up { f64::from(f32::EPSILON) } else { -f64::from(f32::EPSILON) })
    })
}

fn near(array: &Array, change: impl Fn(usize, f64) -> f64) -> Array {
    match array {
        Array::Double(a) => {
            Array::Double(a.iter().enumerate().map(|(i, v)| change(i, *v)).collect())
        }
        other => other.clone(),
    }
}

/// The contents of a buffer of at least one element.
fn contents(array: &Array, bound: &Bound, least: u32) -> Vec<u8> {
    let mut bytes = array.device_bytes(bound.words.min(array.len()));
    if bytes.len() < least as usize {
        bytes.resize(least as usize, 0);
    }
    bytes
}

/// A composed text with `const`s in the place of its `override`s.
pub(crate) fn with_constants(text: &str, constants: &[(&'static str, f64)]) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.trim_start().strip_prefix("override ").and_then(|rest| declared(rest, constants))
        {
            Some(constant) => out.push_str(&constant),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// `const NAME: type = value;` for `NAME: type = default;`.
fn declared(declaration: &str, constants: &[(&'static str, f64)]) -> Option<String> {
    let (name, rest) = declaration.trim_end().strip_suffix(';')?.split_once(':')?;
    let (kind, default) = rest.split_once('=').unwrap_or((rest, "0"));
    let (name, kind, default) = (name.trim(), kind.trim(), default.trim());
    let value = match constants.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => match kind {
            "bool" => (*value != 0.0).to_string(),
            "u32" => format!("{}u", *value as u32),
            "i32" => format!("{}i", *value as i32),
            // With enough digits that the same number is read again.
            _ => format!("{:?}f", *value as f32),
        },
        None => default.to_string(),
    };
    Some(format!("const {name}: {kind} = {value};"))
}

#[cfg(test)]
mod tests {
    use super::with_constants;

    #[test]
    fn constants_take_the_place_of_overrides() {
        let text = "override WG: u32 = 64u;\noverride ON: bool = false;\n  override X: f32 = 0.5;\n\
                    override WIDE: u32 = select(1u, WG, ON);\nfn f() {}";
        let found = with_constants(text, &[("WG", 128.0), ("ON", 1.0), ("X", 1e-7)]);
        let wanted = "const WG: u32 = 128u;\nconst ON: bool = true;\nconst X: f32 = 1e-7f;\n\
                      const WIDE: u32 = select(1u, WG, ON);\nfn f() {}\n";
        assert_eq!(found, wanted);
    }
}
