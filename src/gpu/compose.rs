//! Shader composition: imports and conditions, by `wesl`.

use super::fragments::FRAGMENTS;
use crate::error::{Error, Result};
use wesl::syntax::{DeclarationKind, GlobalDeclaration};
use wesl::{EscapeMangler, Mangler, ManglerKind, VirtualResolver, Wesl};

/// A module that one kernel's shader imports besides the fragments: its path below `package::`, and its
/// text.
pub type WgslModule = (&'static str, &'static str);

/// Composes a shader: resolves `import`s from the fragments in `shaders/` and from `modules`, keeps the
/// parts whose `@if` conditions hold (`switches` that are named are on, all others off), parses the outcome. Bindings and
/// constants of fragments have the names that stand in their files.
///
/// # Errors
/// [`Error::Shader`] with the composer's or the parser's message.
pub fn compose<'a>(
    kernel: &str,
    source: &str,
    modules: &[WgslModule],
    switches: impl IntoIterator<Item = &'a str>,
) -> Result<naga::Module> {
    let text = compose_text(kernel, source, modules, switches)?;
    let mut module = naga::front::wgsl::parse_str(&text).map_err(|e| Error::Shader {
        kernel: kernel.into(),
        message: e.emit_to_string_with_path(&text, &format!("{kernel}.wgsl")),
    })?;
    let variables = module.global_variables.iter_mut().map(|(_, v)| &mut v.name);
    variables.for_each(|name| unmangle(name, modules));
    Ok(module)
}

/// Gives a declaration of a fragment or module its own name back: the composer puts the file's before it,
/// and errors and launches should not.
fn unmangle(name: &mut Option<String>, modules: &[WgslModule]) {
    let Some(text) = name else { return };
    let Some((path, own)) = EscapeMangler.unmangle(text) else { return };
    let file = path.components.join("::");
    let known = FRAGMENTS.iter().any(|f| path.components == [f.folder, f.name])
        || modules.iter().any(|(path, _)| *path == file);
    // A name that a shader chose itself may look like one of the composer's.
    if known && EscapeMangler.mangle(&path, &own) == *text {
        *text = own;
    }
}

/// The text that [`compose`] parses. It depends on nothing but its arguments: every process gives the
/// same bytes, so that what a driver keeps of earlier runs is found again.
pub(crate) fn compose_text<'a>(
    kernel: &str,
    source: &str,
    modules: &[WgslModule],
    switches: impl IntoIterator<Item = &'a str>,
) -> Result<String> {
    let failed = |message: String| Error::Shader { kernel: kernel.into(), message };
    let path = |text: &str| text.parse().map_err(|e| failed(format!("module path {text}: {e}")));
    let mut resolver = VirtualResolver::new();
    for fragment in FRAGMENTS {
        let file = path(&format!("package::{}::{}", fragment.folder, fragment.name))?;
        resolver.add_module(file, fragment.text.into());
    }
    for (module, text) in modules {
        resolver.add_module(path(&format!("package::{module}"))?, (*text).into());
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
    for declaration in &mut composed.syntax.global_declarations {
        name_for_callers(kernel, modules, declaration.node_mut());
    }
    // The composer walks hash maps: declarations come in an order that no two processes share. WGSL
    // gives their order no meaning.
    composed.syntax.global_declarations.sort_by_cached_key(|d| d.to_string());
    Ok(composed.to_string())
}

/// Names what a text's users name as the files do: an `override` of a fragment or module, and the entry
/// point of a source that serves several kernels, `entry`, which gets the kernel's name.
fn name_for_callers(kernel: &str, modules: &[WgslModule], declaration: &mut GlobalDeclaration) {
    let (ident, name) = match declaration {
        GlobalDeclaration::Function(function) if !modules.is_empty() => {
            let is_entry = *function.ident.name() == "entry";
            (&mut function.ident, is_entry.then(|| kernel.to_string()))
        }
        GlobalDeclaration::Declaration(d) if d.kind == DeclarationKind::Override => {
            let mut name = Some(d.ident.to_string());
            unmangle(&mut name, modules);
            (&mut d.ident, name)
        }
        _ => return,
    };
    if let Some(name) = name {
        ident.rename(name);
    }
}
