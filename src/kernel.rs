//! A kernel: one GPU program with its parameters, its CPU twin and its cost, as static data.

use crate::error::{Error, Result};
use crate::gpu::{Capabilities, Reflection, compose, compose_text, reflect};
use crate::host::{HostArgs, Ranged};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// One GPU program. All kernels of the crate are `static`s of this type; a caller's own kernel is
/// declared the same way. On a GPU a caller's kernel runs with all of wgpu's run-time checks: indices
/// stay within their tensors, loops are bounded, memory of the workgroup begins as zeros.
///
/// ```
/// use spikegrad::{HostArgs, Kernel, Real};
///
/// #[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
/// #[repr(C)]
/// struct Params { count: u32, factor: f32 }
///
/// fn scale<R: Real>(args: &mut HostArgs<'_, R>) {
///     let p: Params = args.params();
///     let x = args.reals(0);
///     let y = args.reals_mut(1);
///     for (y, x) in y.iter_mut().zip(x) {
///         *y = *x * R::lit(p.factor.into());
///     }
/// }
///
/// static SCALE: Kernel = Kernel::new("mine", "scale", "
///     import package::shared::index::item_index;
///     struct Params { count: u32, factor: f32 }
///     @group(0) @binding(0) var<storage, read> x: array<f32>;
///     @group(0) @binding(1) var<storage, read_write> y: array<f32>;
///     @group(1) @binding(0) var<uniform> p: Params;
///     @compute @workgroup_size(64)
///     fn scale(@builtin(workgroup_id) group: vec3<u32>,
///              @builtin(num_workgroups) groups: vec3<u32>,
///              @builtin(local_invocation_index) local: u32) {
///         let i = item_index(group, groups, local, 64u);
///         if i < p.count { y[i] = x[i] * p.factor; }
///     }
/// ", spikegrad::twin!(scale)).params::<Params>();
/// assert_eq!(SCALE.program(0).unwrap().reflection.bindings.len(), 2);
/// ```
#[derive(Debug)]
pub struct Kernel {
    /// Its family: a folder in `src/`, `shaders/`, `kernels-tests/` and `benches/`.
    pub family: &'static str,
    /// Its name: file, entry point, bench id.
    pub name: &'static str,
    /// The WGSL source, before composition.
    pub source: &'static str,
    /// The size of the parameter struct on the Rust side, in bytes.
    pub params: usize,
    /// The CPU twin.
    pub twin: Twin,
    /// What an ideal implementation would move and compute.
    pub cost: fn(&CostArgs<'_>) -> Cost,
    /// The most turns that the loops of one invocation take, all of them together; none for a kernel
    /// whose loops have lengths that stand in its source.
    pub turns: Option<fn(&CostArgs<'_>) -> u64>,
    /// Its variants; the first is the baseline, which needs no optional feature.
    pub variants: &'static [Variant],
    /// How far an f32 run may be from the f64 twin, relative to the largest value of the tensor, or
    /// where terms cancel to their magnitudes.
    pub tolerance: f32,
    /// The fraction of elements that may differ by more than rounding explains: non-zero for kernels
    /// that compare with a threshold.
    pub mismatch: f32,
    /// The binding that only passes values within a launch: what it holds afterwards is nobody's.
    pub scratch: Option<usize>,
}

/// A kernel's CPU twin, in each precision: see [`twin!`](crate::twin).
#[derive(Debug, Clone, Copy)]
pub struct Twin {
    /// In f32: what the host device runs.
    pub single: fn(&mut HostArgs<'_, f32>),
    /// In f64: the oracle.
    pub double: fn(&mut HostArgs<'_, f64>),
    /// In f64 with the range of f32: what the shadow check asks for what the range changes.
    pub ranged: fn(&mut HostArgs<'_, Ranged>),
}

/// A [`Twin`] from a function generic over [`Real`](crate::Real).
#[macro_export]
macro_rules! twin {
    ($($function:ident)::+) => {
        $crate::Twin {
            single: $($function)::+::<f32>,
            double: $($function)::+::<f64>,
            ranged: $($function)::+::<$crate::Ranged>,
        }
    };
}

/// The source of a shader of this crate.
macro_rules! shader {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path, ".wgsl"))
    };
}
pub(crate) use shader;

/// A way to compile a kernel: conditions that are switched on in its source, and what they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Its name in reports.
    pub name: &'static str,
    /// The `@if` conditions that hold.
    pub features: &'static [&'static str],
    /// What the adapter must offer.
    pub needs: Needs,
}

impl Variant {
    /// One that needs no optional feature.
    pub const fn portable(name: &'static str, features: &'static [&'static str]) -> Self {
        Self { name, features, needs: Needs::NOTHING }
    }
}

/// Optional features that a variant uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Subgroup operations.
    pub subgroups: bool,
    /// f16 arithmetic types.
    pub f16: bool,
    /// Cooperative matrices.
    pub coop_matrix: bool,
}

impl Needs {
    /// Nothing: runs everywhere.
    pub const NOTHING: Needs = Needs { subgroups: false, f16: false, coop_matrix: false };
    /// Subgroup operations.
    pub const SUBGROUPS: Needs = Needs { subgroups: true, ..Needs::NOTHING };
    /// f16 types in the shader.
    pub const F16: Needs = Needs { f16: true, ..Needs::NOTHING };
    /// Cooperative matrices with f16 operands.
    pub const COOP_MATRIX: Needs = Needs { coop_matrix: true, f16: true, subgroups: true };

    /// Whether `capabilities` meet these needs.
    pub fn met_by(&self, capabilities: &Capabilities) -> bool {
        (!self.subgroups || capabilities.subgroups)
            && (!self.f16 || capabilities.f16)
            && (!self.coop_matrix || capabilities.coop_matrix.is_some())
    }
}

/// The baseline alone.
pub const BASELINE: &[Variant] =
    &[Variant { name: "baseline", features: &[], needs: Needs::NOTHING }];

/// What a launch must move and compute at the least.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Bytes read and written.
    pub bytes: f64,
    /// Floating-point operations.
    pub flops: f64,
}

/// What a cost, and the number of turns, is computed from.
#[derive(Debug)]
pub struct CostArgs<'a> {
    /// The variant, by its place in the kernel's list.
    pub variant: usize,
    /// The parameter struct.
    pub params: &'a [u8],
    /// The workgroups along x, y and z.
    pub groups: [u32; 3],
    /// The words of each binding.
    pub words: &'a [u64],
    /// The constants of the launch.
    pub constants: &'a [(&'static str, f64)],
}

impl CostArgs<'_> {
    /// The parameter struct.
    pub fn params<P: bytemuck::AnyBitPattern>(&self) -> P {
        bytemuck::pod_read_unaligned(&self.params[..size_of::<P>()])
    }

    /// A constant of the launch; `default` if it sets none of that name.
    pub fn constant(&self, name: &str, default: u64) -> u64 {
        let found = self.constants.iter().find(|(known, _)| *known == name);
        found.map_or(default, |(_, value)| *value as u64)
    }

    /// The bytes of all bindings together: each moved once.
    pub fn all_bytes(&self) -> f64 {
        self.words.iter().sum::<u64>() as f64 * 4.0
    }
}

/// The turns of loops that something bounds which reflection does not see: a span, 32 bits of a word,
/// the digits of a binary search, a rank.
pub(crate) fn few_turns(_: &CostArgs<'_>) -> u64 {
    1 << 10
}

fn every_binding_once(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.all_bytes(), flops: 0.0 }
}

impl Kernel {
    /// A kernel without parameters, with the baseline variant only, whose cost is to move every
    /// binding once.
    pub const fn new(
        family: &'static str,
        name: &'static str,
        source: &'static str,
        twin: Twin,
    ) -> Self {
        Self {
            family,
            name,
            source,
            params: 0,
            twin,
            cost: every_binding_once,
            turns: None,
            variants: BASELINE,
            tolerance: 1e-4,
            mismatch: 0.0,
            scratch: None,
        }
    }

    /// The kernel with parameters of type `P`, laid out like the shader's struct.
    #[must_use]
    pub const fn params<P: bytemuck::Pod>(mut self) -> Self {
        self.params = size_of::<P>();
        self
    }

    /// The kernel with a cost of its own.
    #[must_use]
    pub const fn cost(mut self, cost: fn(&CostArgs<'_>) -> Cost) -> Self {
        self.cost = cost;
        self
    }

    /// The kernel with loops whose lengths do not stand in its source, and how many turns those of one
    /// invocation take at the most, all together, each loop one more than it has rounds. A launch with
    /// more than a device can do ([`Capabilities::max_turns`]) is refused there.
    #[must_use]
    pub const fn turns(mut self, turns: fn(&CostArgs<'_>) -> u64) -> Self {
        self.turns = Some(turns);
        self
    }

    /// The kernel with variants; the first must be the baseline.
    #[must_use]
    pub const fn variants(mut self, variants: &'static [Variant]) -> Self {
        self.variants = variants;
        self
    }

    /// The kernel with its own tolerance for the shadow check.
    #[must_use]
    pub const fn tolerance(mut self, tolerance: f32) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The kernel compares with a threshold: a small fraction of elements may differ from the twin.
    #[must_use]
    pub const fn thresholds(mut self) -> Self {
        self.mismatch = 1e-3;
        self
    }

    /// The kernel with a scratch buffer as binding `binding`: twins need not fill it.
    #[must_use]
    pub const fn scratch(mut self, binding: usize) -> Self {
        self.scratch = Some(binding);
        self
    }

    /// The last variant that a device can run: variants stand in order of preference.
    pub fn best_variant(&self, capabilities: &Capabilities) -> usize {
        self.variants.iter().rposition(|v| v.needs.met_by(capabilities)).unwrap_or(0)
    }

    /// The composed and reflected source of variant `variant`; made once.
    ///
    /// # Errors
    /// [`Error::Shader`] where the source is wrong.
    pub fn program(&'static self, variant: usize) -> Result<Arc<Program>> {
        type Programs = HashMap<(usize, usize), Arc<Program>>;
        static PROGRAMS: OnceLock<Mutex<Programs>> = OnceLock::new();
        let programs = PROGRAMS.get_or_init(Mutex::default);
        let key = (self.address(), variant);
        if let Some(found) = programs.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(found.clone());
        }
        let program = Arc::new(self.compose(variant)?);
        programs.lock().unwrap_or_else(PoisonError::into_inner).insert(key, program.clone());
        Ok(program)
    }

    /// The WGSL of variant `variant` after composition: what is compiled, for other compilers and for
    /// readers. With [`kernels`](crate::kernels) it is the text of every built-in shader. The same
    /// bytes in every process.
    ///
    /// Where subgroups are used it opens with `enable subgroups;`, which browsers ask for. naga, which
    /// compiles the kernels here, does not know that line and gets the text without it.
    ///
    /// ```
    /// for kernel in spikegrad::kernels().into_iter().take(3) {
    ///     for variant in 0..kernel.variants.len() {
    ///         assert!(kernel.wgsl(variant)?.contains(kernel.name));
    ///     }
    /// }
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shader`] where the source is wrong or there is no such variant.
    pub fn wgsl(&self, variant: usize) -> Result<String> {
        let chosen = self.variant(variant)?;
        let text = compose_text(self.name, self.source, chosen.features)?;
        // Cooperative matrices are naga's own language: no other compiler will read that text.
        if chosen.needs.subgroups && !chosen.needs.coop_matrix {
            return Ok(format!("enable subgroups;\n{text}"));
        }
        Ok(text)
    }

    fn variant(&self, variant: usize) -> Result<&'static Variant> {
        self.variants.get(variant).ok_or_else(|| Error::Shader {
            kernel: self.name.into(),
            message: format!("no variant {variant}"),
        })
    }

    fn compose(&self, variant: usize) -> Result<Program> {
        let module = compose(self.name, self.source, self.variant(variant)?.features)?;
        let reflection = reflect(self.name, &module)?;
        if reflection.params as usize != self.params {
            let message = format!(
                "the parameter struct has {} bytes in the shader and {} in Rust",
                reflection.params, self.params
            );
            return Err(Error::Shader { kernel: self.name.into(), message });
        }
        Ok(Program { module, reflection })
    }

    /// Whether it is one of the crate's own, which are trusted to end their loops and to stay within
    /// their tensors. Any other is compiled with all run-time checks.
    pub(crate) fn is_built_in(&'static self) -> bool {
        static OWN: LazyLock<HashSet<usize>> =
            LazyLock::new(|| crate::kernels().into_iter().map(Kernel::address).collect());
        OWN.contains(&self.address())
    }

    /// The identity of a kernel in caches: where its static stands.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }
}

/// A composed kernel.
#[derive(Debug)]
pub struct Program {
    /// The parsed module.
    pub module: naga::Module,
    /// What it declares.
    pub reflection: Reflection,
}
