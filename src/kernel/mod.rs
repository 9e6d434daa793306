//! A kernel: one GPU program with its parameters, its CPU code and its cost, as static data.

mod cost;
mod declare;
mod params;
mod variant;

pub use cost::{Cost, CostArgs};
pub use params::Params;
pub use variant::{BASELINE, Needs, Variant};

use crate::error::{Error, Result};
pub(crate) use crate::gpu::WgslModule;
use crate::gpu::{
    Capabilities, Member, Reflection, compose, compose_text, reflect, workgroup_size,
};
use crate::host::{HostArgs, Ranged};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock, OnceLock};

/// One GPU program. All kernels of the crate are `static`s of this type, declared by
/// [`kernel!`](crate::kernel); a caller's own kernel is declared the same way. On a GPU a caller's
/// kernel runs with all of wgpu's run-time checks: indices stay within their tensors, loops are bounded,
/// memory of the workgroup begins as zeros.
///
/// ```
/// use spikegrad::{HostArgs, Real, Tensor, kernel};
///
/// fn scale<R: Real>(args: &mut HostArgs<'_, R>) {
///     let p: ScaleParams = args.params();
///     let (x, y) = (args.reals("x"), args.reals_mut("y"));
///     y.iter_mut().zip(x).for_each(|(y, x)| *y = *x * R::lit(p.factor.into()));
/// }
///
/// kernel! {
///     /// `y[i] = factor x[i]`
///     static SCALE = "mine/scale" from "
///         import package::shared::index::{At, item_index};
///         struct Params { count: u32, factor: f32 }
///         @group(0) @binding(0) var<storage, read> x: array<f32>;
///         @group(0) @binding(1) var<storage, read_write> y: array<f32>;
///         @group(1) @binding(0) var<uniform> p: Params;
///         @compute @workgroup_size(64)
///         fn scale(at: At) {
///             let i = item_index(at, 64u);
///             if i < p.count { y[i] = x[i] * p.factor; }
///         }
///     ";
///     params = struct ScaleParams { count: u32, factor: f32 };
///     oracle = scale;
/// }
///
/// # fn main() -> spikegrad::Result<()> {
/// let device = spikegrad::Device::host();
/// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], [2])?;
/// let y = Tensor::zeros(&device, [2], spikegrad::DType::F32)?;
/// let params = ScaleParams { count: 2, factor: 3.0 };
/// device.launch(&SCALE).params(&params).bind("x", &x).bind("y", &y).items(2).record()?;
/// assert_eq!(y.to_vec::<f32>()?, [3.0, 6.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Kernel {
    /// Its family: a folder in `src/`, `shaders/`, `kernels-tests/` and `benches/`.
    pub family: &'static str,
    /// Its name: file, entry point, bench id.
    pub name: &'static str,
    /// The WGSL source, before composition.
    pub source: &'static str,
    /// What its source imports besides the fragments in `shaders/`.
    pub modules: &'static [WgslModule],
    /// The size of the parameter struct on the Rust side, in bytes.
    pub params: usize,
    /// Its members.
    members: fn() -> Vec<Member>,
    /// The CPU code.
    pub twin: Twin,
    /// What an ideal implementation would move and compute.
    pub cost: fn(&CostArgs<'_>) -> Cost,
    /// The most iterations that the loops of one invocation take, all of them together; none for a kernel
    /// whose loops have lengths that stand in its source.
    pub iterations: Option<fn(&CostArgs<'_>) -> u64>,
    /// Its variants; the first is the baseline, which needs no optional feature.
    pub variants: &'static [Variant],
    /// How far an f32 run may be from the oracle in f64, relative to the largest value of the tensor, or
    /// where terms cancel to their magnitudes.
    pub tolerance: f32,
    /// The fraction of elements that may differ by more than rounding explains: non-zero for kernels
    /// that compare with a threshold.
    pub mismatch: f32,
    /// The binding that only passes values within a launch: its contents are unspecified afterwards.
    pub scratch: Option<&'static str>,
    /// Whether the crate made it while the program runs.
    generated: bool,
    programs: [OnceLock<Arc<Program>>; MAX_VARIANTS],
}

/// The most variants of a kernel.
const MAX_VARIANTS: usize = 16;

/// A kernel's CPU code: see [`twin!`](crate::twin).
#[derive(Debug, Clone, Copy)]
pub struct Twin {
    /// In f32: what the host device runs. The oracle's code, or a loop that was made fast and is tested
    /// against it.
    pub host: fn(&mut HostArgs<'_, f32>),
    /// In f64: the oracle, written from the definition and not from the shader.
    pub oracle: fn(&mut HostArgs<'_, f64>),
    /// The oracle in f64 with the range of f32: what the shadow check asks for what the range changes.
    pub ranged: fn(&mut HostArgs<'_, Ranged>),
}

/// A [`Twin`] from a function generic over [`Real`](crate::Real).
#[macro_export]
macro_rules! twin {
    ($($function:ident)::+) => {
        $crate::Twin {
            host: $($function)::+::<f32>,
            oracle: $($function)::+::<f64>,
            ranged: $($function)::+::<$crate::Ranged>,
        }
    };
}

/// The iterations of loops that something bounds which reflection does not see: a span, 32 bits of a word,
/// the digits of a binary search, a rank.
pub(crate) fn few_iterations(_: &CostArgs<'_>) -> u64 {
    1 << 10
}

fn every_binding_once(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: args.all_bytes(), flops: 0.0 }
}

impl Kernel {
    /// A kernel at `family/name`, without parameters, with the baseline variant only, whose cost is to
    /// move every binding once.
    #[doc(hidden)]
    pub const fn declare(path: &'static str, source: &'static str, twin: Twin) -> Self {
        let bytes = path.as_bytes();
        let mut slash = 0;
        while slash < bytes.len() && bytes[slash] != b'/' {
            slash += 1;
        }
        assert!(slash + 1 < bytes.len(), "a kernel is declared as family/name");
        let (family, name) = path.split_at(slash);
        Self {
            family,
            name: name.split_at(1).1,
            source,
            modules: &[],
            params: 0,
            members: Vec::new,
            twin,
            cost: every_binding_once,
            iterations: None,
            variants: BASELINE,
            tolerance: 1e-4,
            mismatch: 0.0,
            scratch: None,
            generated: false,
            programs: [const { OnceLock::new() }; MAX_VARIANTS],
        }
    }

    /// The kernel with parameters of type `P`, laid out like the shader's struct.
    #[must_use]
    pub const fn params<P: Params>(mut self) -> Self {
        self.params = size_of::<P>();
        self.members = params::members::<P>;
        self
    }

    /// The kernel with modules that its source imports, `import package::PATH::item;`: texts that a
    /// table makes, or the part in which kernels of one source differ.
    #[must_use]
    pub const fn modules(mut self, modules: &'static [WgslModule]) -> Self {
        self.modules = modules;
        self
    }

    /// The kernel with a cost of its own.
    #[must_use]
    pub const fn cost(mut self, cost: fn(&CostArgs<'_>) -> Cost) -> Self {
        self.cost = cost;
        self
    }

    /// The kernel with loops whose lengths do not stand in its source, and how many iterations those of one
    /// invocation take at the most, all together, each loop one more than it has rounds. A launch with
    /// more than a device can do ([`Capabilities::max_iterations`]) is refused there.
    #[must_use]
    pub const fn iterations(mut self, iterations: fn(&CostArgs<'_>) -> u64) -> Self {
        self.iterations = Some(iterations);
        self
    }

    /// The kernel with variants, at most 16; the first must be the baseline.
    #[must_use]
    pub const fn variants(mut self, variants: &'static [Variant]) -> Self {
        assert!(variants.len() <= MAX_VARIANTS, "too many variants");
        self.variants = variants;
        self
    }

    /// The kernel with its own tolerance for the shadow check.
    #[must_use]
    pub const fn tolerance(mut self, tolerance: f32) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The kernel compares with a threshold: this fraction of elements may differ from the oracle's.
    #[must_use]
    pub const fn mismatch(mut self, fraction: f32) -> Self {
        self.mismatch = fraction;
        self
    }

    /// The kernel with a binding whose contents are unspecified after a launch: the oracle need not fill
    /// it.
    #[must_use]
    pub const fn scratch(mut self, binding: &'static str) -> Self {
        self.scratch = Some(binding);
        self
    }

    /// The kernel as one of the crate's own, which it made of texts while the program runs.
    #[must_use]
    pub(crate) const fn of_the_crate(mut self) -> Self {
        self.generated = true;
        self
    }

    /// The variant of a launch with these conditions: the last that has exactly them and that a device
    /// can run.
    ///
    /// # Errors
    /// [`Error::Shader`] where the kernel has none, or the device can run none.
    pub fn choose(&self, conditions: &[&str], capabilities: &Capabilities) -> Result<usize> {
        let runs = |v: &Variant| v.suits(conditions) && v.needs.met_by(capabilities);
        self.variants.iter().rposition(runs).ok_or_else(|| Error::Shader {
            kernel: self.name.into(),
            message: format!("no variant for the conditions {conditions:?} on this device"),
        })
    }

    /// Whether some variant knows this condition.
    pub(crate) fn knows(&self, condition: &str) -> bool {
        self.variants.iter().any(|v| v.conditions.contains(&condition))
    }

    /// The composed and reflected source of variant `variant`; made once.
    ///
    /// # Errors
    /// [`Error::Shader`] where the source is wrong, or not what the declaration says.
    pub fn program(&'static self, variant: usize) -> Result<&'static Arc<Program>> {
        let slot = self.programs.get(variant).ok_or_else(|| self.no_variant(variant))?;
        if let Some(found) = slot.get() {
            return Ok(found);
        }
        let program = Arc::new(self.compose(variant)?);
        Ok(slot.get_or_init(|| program))
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
        let text = compose_text(self.name, self.source, self.modules, chosen.switches())?;
        // Cooperative matrices are naga's own language: no other compiler will read that text.
        if chosen.needs.subgroups && !chosen.needs.coop_matrix {
            return Ok(format!("enable subgroups;\n{text}"));
        }
        Ok(text)
    }

    fn variant(&self, variant: usize) -> Result<&'static Variant> {
        self.variants.get(variant).ok_or_else(|| self.no_variant(variant))
    }

    fn no_variant(&self, variant: usize) -> Error {
        self.broken(format!("no variant {variant}"))
    }

    fn broken(&self, message: String) -> Error {
        Error::Shader { kernel: self.name.into(), message }
    }

    fn compose(&self, variant: usize) -> Result<Program> {
        let module =
            compose(self.name, self.source, self.modules, self.variant(variant)?.switches())?;
        let reflection = reflect(self.name, &module)?;
        self.compare_params(&reflection)?;
        if let Some(scratch) = self.scratch
            && !reflection.bindings.iter().any(|b| b.name == scratch)
        {
            return Err(
                self.broken(format!("no binding `{scratch}`, which is declared as scratch"))
            );
        }
        Ok(Program { module, reflection })
    }

    /// Refuses a parameter struct that is laid out otherwise in the shader than in Rust.
    fn compare_params(&self, reflection: &Reflection) -> Result<()> {
        let declared = (self.members)();
        let mut pairs = declared.iter().zip(&reflection.members);
        if let Some((rust, wgsl)) = pairs.find(|(rust, wgsl)| rust != wgsl) {
            return Err(self.broken(format!("a parameter is {wgsl} in the shader, {rust} in Rust")));
        }
        let sizes = [reflection.params as usize, self.params];
        if declared.len() != reflection.members.len() || sizes[0] != sizes[1] {
            let [shader, rust] = sizes;
            return Err(self.broken(format!(
                "the parameter struct has {} words in {shader} bytes in the shader, {} in {rust} in Rust",
                reflection.members.len(),
                declared.len(),
            )));
        }
        Ok(())
    }

    /// Whether it is one of the crate's own, which are trusted to end their loops and to stay within
    /// their tensors. Any other is compiled with all run-time checks.
    pub(crate) fn is_built_in(&'static self) -> bool {
        static OWN: LazyLock<HashSet<usize>> =
            LazyLock::new(|| crate::kernels().into_iter().map(Kernel::address).collect());
        self.generated || OWN.contains(&self.address())
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

impl Program {
    /// The workgroup size of a launch with these constants.
    pub(crate) fn workgroup_size(&self, constants: &[(&'static str, f64)]) -> Option<[u32; 3]> {
        workgroup_size(&self.module, &self.reflection.overrides, constants)
    }
}
