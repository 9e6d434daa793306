//! What one file alone may name.

use std::path::Path;

/// The files under `folder` that hold `text`.
fn files_with(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_with(&path, text, found);
        } else if std::fs::read_to_string(&path).is_ok_and(|t| t.contains(text)) {
            found.push(path.display().to_string());
        }
    }
}

/// Only these files of `src/host` hold `name`.
fn named_by(name: &str, files: &[&str]) {
    let mut found = Vec::new();
    files_with(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), name, &mut found);
    assert!(found.len() > files.len(), "nobody names {name}");
    let allowed = |f: &String| files.iter().any(|file| f.ends_with(&format!("host/{file}")));
    found.retain(|f| !allowed(f) && !f.ends_with("host/house.rs"));
    assert!(found.is_empty(), "{name} in {found:?}");
}

/// A loop that is run by rayon itself would run on the caller's threads, where it may wait for ever (see
/// `threads`).
#[test]
fn nobody_else_names_rayon() {
    named_by("rayon::", &["parallel.rs", "threads.rs"]);
    named_by("Parallelism::Rayon", &["parallel.rs"]);
}

/// A closure that is handed to pulp as it is may run without vector instructions, its multiply-adds as
/// library calls (see `vectorised`).
#[test]
fn nobody_else_names_pulp() {
    named_by("pulp::", &["vectorised.rs"]);
}
