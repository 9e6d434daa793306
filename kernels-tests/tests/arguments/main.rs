//! No public function panics on an argument: each is called many times with bad ones, alone and in
//! combination, and must return. What it returns is checked elsewhere.
//!
//! `every_public_function_is_called` holds the list against the source.

mod bad;
mod data;
mod devices;
mod layers;
mod operators;
mod tensors;

use std::collections::BTreeSet;
use std::path::Path;

/// Names of functions that take nothing but what the caller wrote for them (a twin's arguments, a
/// backward's), or that are called by others that are called here.
const ELSEWHERE: &[&str] = &[
    // what a twin is called with: its own bugs panic, as documented
    "reals",
    "reals_mut",
    "words",
    "words_mut",
    "constant_real",
    "is_real",
    "groups",
    // parts of a declaration, which `kernel!` makes calls of: one with all of them is launched
    "declare",
    "modules",
    "cost",
    "variants",
    "iterations",
    "tolerance",
    "mismatch",
    "scratch",
    // need an adapter or a device of the caller's
    "from_wgpu",
    "descriptor",
    // ends the device of all other tests
    "destroy",
];

/// The public functions and methods of a source file, tests left out.
fn functions(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    let begins = ["pub fn ", "pub const fn ", "pub async fn "];
    let name = |line: &str| {
        let rest = begins.iter().find_map(|begin| line.trim_start().strip_prefix(begin))?;
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        (end > 0).then(|| rest[..end].to_string())
    };
    text.lines().filter_map(name).collect()
}

fn sources(folder: &Path, out: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_public_function_is_called() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut crate_sources, mut here) = (Vec::new(), Vec::new());
    sources(&root.join("../src"), &mut crate_sources);
    sources(&root.join("tests/arguments"), &mut here);
    let here = here.concat();
    let called = |name: &String| {
        let call = |ending: &str| here.contains(&format!("{name}{ending}"));
        call("(") || call("::<") || call(",") || ELSEWHERE.contains(&name.as_str())
    };
    let names: BTreeSet<String> = crate_sources.iter().flat_map(|text| functions(text)).collect();
    let missing: Vec<_> = names.into_iter().filter(|name| !called(name)).collect();
    assert!(missing.is_empty(), "never called with bad arguments: {missing:?}");
}
