//! Shader composition: imports and conditions, by `wesl`.

use crate::elementwise;
use crate::error::{Error, Result};
use wesl::{EscapeMangler, Mangler, ManglerKind, VirtualResolver, Wesl};

/// The fragments in `shaders/shared/`, and those that tables of functions make, by the name under which a shader imports them:
/// `import package::shared::NAME::item;`.
const SHARED: &[(&str, &str)] = &[
    ("activation", elementwise::ACTIVATION_WGSL),
    ("applied", include_str!("../../shaders/shared/applied.wgsl")),
    ("binary", elementwise::BINARY_WGSL),
    ("blocks", include_str!("../../shaders/shared/blocks.wgsl")),
    ("butterfly", include_str!("../../shaders/shared/butterfly.wgsl")),
    ("cache", include_str!("../../shaders/shared/cache.wgsl")),
    ("cells", include_str!("../../shaders/shared/cells.wgsl")),
    ("complex", include_str!("../../shaders/shared/complex.wgsl")),
    ("concrete", include_str!("../../shaders/shared/concrete.wgsl")),
    ("curves", include_str!("../../shaders/shared/curves.wgsl")),
    ("decay", include_str!("../../shaders/shared/decay.wgsl")),
    ("deviation", include_str!("../../shaders/shared/deviation.wgsl")),
    ("digits", include_str!("../../shaders/shared/digits.wgsl")),
    ("finite", include_str!("../../shaders/shared/finite.wgsl")),
    ("gate", include_str!("../../shaders/shared/gate.wgsl")),
    ("gated", include_str!("../../shaders/shared/gated.wgsl")),
    ("graph", include_str!("../../shaders/shared/graph.wgsl")),
    ("half", include_str!("../../shaders/shared/half.wgsl")),
    ("heads", include_str!("../../shaders/shared/heads.wgsl")),
    ("index", include_str!("../../shaders/shared/index.wgsl")),
    ("magnitude", include_str!("../../shaders/shared/magnitude.wgsl")),
    ("math", include_str!("../../shaders/shared/math.wgsl")),
    ("membrane", include_str!("../../shaders/shared/membrane.wgsl")),
    ("numbers", include_str!("../../shaders/shared/numbers.wgsl")),
    ("operands", include_str!("../../shaders/shared/operands.wgsl")),
    ("pairs", include_str!("../../shaders/shared/pairs.wgsl")),
    ("product", include_str!("../../shaders/shared/product.wgsl")),
    ("quad", include_str!("../../shaders/shared/quad.wgsl")),
    ("reduce", include_str!("../../shaders/shared/reduce.wgsl")),
    ("rng", include_str!("../../shaders/shared/rng.wgsl")),
    ("scores", include_str!("../../shaders/shared/scores.wgsl")),
    ("second_look", include_str!("../../shaders/shared/second_look.wgsl")),
    ("spectrum", include_str!("../../shaders/shared/spectrum.wgsl")),
    ("squares", include_str!("../../shaders/shared/squares.wgsl")),
    ("stages", include_str!("../../shaders/shared/stages.wgsl")),
    ("step", include_str!("../../shaders/shared/step.wgsl")),
    ("strides", include_str!("../../shaders/shared/strides.wgsl")),
    ("surrogate", include_str!("../../shaders/shared/surrogate.wgsl")),
    ("symmetric", include_str!("../../shaders/shared/symmetric.wgsl")),
    ("taps", include_str!("../../shaders/shared/taps.wgsl")),
    ("tile", include_str!("../../shaders/shared/tile.wgsl")),
    ("tiles", include_str!("../../shaders/shared/tiles.wgsl")),
    ("token", include_str!("../../shaders/shared/token.wgsl")),
    ("unary", elementwise::UNARY_WGSL),
    ("walk", include_str!("../../shaders/shared/walk.wgsl")),
    ("wkv", include_str!("../../shaders/shared/wkv.wgsl")),
];

/// Names and sources of the shared fragments: what a caller's own shader can import.
pub fn shared_sources() -> &'static [(&'static str, &'static str)] {
    SHARED
}

/// Composes a shader: resolves `import`s from the shared fragments, keeps the parts whose `@if`
/// conditions hold (`switches` that are named are on, all others off), parses the outcome. Bindings and
/// constants of fragments have the names that stand in their files.
///
/// # Errors
/// [`Error::Shader`] with the composer's or the parser's message.
pub fn compose<'a>(
    kernel: &str,
    source: &str,
    switches: impl IntoIterator<Item = &'a str>,
) -> Result<naga::Module> {
    let text = compose_text(kernel, source, switches)?;
    let mut module = naga::front::wgsl::parse_str(&text).map_err(|e| Error::Shader {
        kernel: kernel.into(),
        message: e.emit_to_string_with_path(&text, &format!("{kernel}.wgsl")),
    })?;
    let variables = module.global_variables.iter_mut().map(|(_, v)| &mut v.name);
    variables.chain(module.overrides.iter_mut().map(|(_, o)| &mut o.name)).for_each(unmangle);
    Ok(module)
}

/// Gives a declaration of a shared fragment its own name back: the composer puts the fragment's before
/// it, and errors and launches should not.
fn unmangle(name: &mut Option<String>) {
    let Some(text) = name else { return };
    let Some((path, own)) = EscapeMangler.unmangle(text) else { return };
    let [shared, fragment] = path.components.as_slice() else { return };
    let known = SHARED.iter().any(|(name, _)| name == fragment);
    // A name that a shader chose itself may look like one of the composer's.
    if shared == "shared" && known && EscapeMangler.mangle(&path, &own) == *text {
        *text = own;
    }
}

/// The text that [`compose`] parses. It depends on nothing but its arguments: every process gives the
/// same bytes, so that what a driver keeps of earlier runs is found again.
pub(crate) fn compose_text<'a>(
    kernel: &str,
    source: &str,
    switches: impl IntoIterator<Item = &'a str>,
) -> Result<String> {
    let failed = |message: String| Error::Shader { kernel: kernel.into(), message };
    let path = |text: &str| text.parse().map_err(|e| failed(format!("module path {text}: {e}")));
    let mut resolver = VirtualResolver::new();
    for (name, text) in SHARED {
        resolver.add_module(path(&format!("package::shared::{name}"))?, (*text).into());
    }
    let root = path("package::kernel")?;
    resolver.add_module(root.clone(), source.into());
    let mut compiler = Wesl::new_barebones().set_custom_resolver(resolver);
    compiler.use_imports(true).use_condcomp(true).use_stripping(true);
    compiler.keep_all_entrypoints();
    compiler.set_mangler(ManglerKind::Escape);
    compiler.set_missing_feature_behavior(false);
    for switch in switches {
        compiler.set_feature(switch, true);
    }
    let mut composed = compiler.compile(&root).map_err(|e| failed(e.to_string()))?;
    // The composer walks hash maps: declarations come in an order that no two processes share. WGSL
    // gives their order no meaning.
    composed.syntax.global_declarations.sort_by_cached_key(|d| d.to_string());
    Ok(composed.to_string())
}
