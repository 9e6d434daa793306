//! Which room of the crate uses which: what the table in ARCHITECTURE.md says, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

type Edges = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All source files of the crate, by their module path, with their text, less comments and tests.
fn sources() -> BTreeMap<Vec<String>, String> {
    fn walk(folder: &Path, path: &[String], out: &mut BTreeMap<Vec<String>, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            let stem = file.file_stem().unwrap().to_str().unwrap().to_string();
            let mut own = path.to_vec();
            if file.is_dir() {
                own.push(stem);
                walk(&file, &own, out);
            } else {
                if stem != "mod" && stem != "lib" {
                    own.push(stem);
                }
                let text = std::fs::read_to_string(&file).unwrap();
                let text = text.split("#[cfg(test)]\nmod ").next().unwrap().to_string();
                let code = text.lines().map(|l| l.split("//").next().unwrap());
                out.insert(own, code.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    let mut out = BTreeMap::new();
    walk(&root().join("src"), &[], &mut out);
    out
}

/// The paths that stand after `prefix`, each with all its names: of `crate::a::{b, c::d}` they are `a::b`
/// and `a::c::d`.
fn paths_after(text: &str, prefix: &str) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        let before = text[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$' || c == ':') {
            tree(&text[at + prefix.len()..], &[], &mut paths);
        }
    }
    paths
}

/// Adds the paths of a tree of names, each behind `front`; what follows the tree.
fn tree<'a>(text: &'a str, front: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, front, paths).trim_start();
            // What else stands here is `as NAME`.
            rest = rest.trim_start_matches(|c| c != ',' && c != '}');
            match rest.strip_prefix(',').map(str::trim_start) {
                Some(more) if !more.starts_with('}') => rest = more,
                Some(end) => return &end[1..],
                None => return rest.get(1..).unwrap_or(""),
            }
        }
    }
    let name = word(text);
    let own: Vec<String> = front.iter().cloned().chain([name.to_string()]).collect();
    let rest = &text[name.len()..];
    match rest.strip_prefix("::") {
        Some(more) => tree(more, &own, paths),
        None => {
            paths.push(own);
            rest
        }
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The room that each name at the crate's root comes from.
fn root_names(lib: &str, rooms: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for path in paths_after(lib, "pub use ").into_iter().filter(|path| rooms.contains(&path[0])) {
        if let [room, .., name] = path.as_slice() {
            names.insert(name.clone(), room.clone());
        }
    }
    names
}

/// The room of a path below the crate's root. The host's loops of a family belong to the family.
fn room_of(path: &[String], rooms: &BTreeSet<String>, roots: &BTreeMap<String, String>) -> String {
    match path {
        [host, family, ..] if host == "host" && rooms.contains(family) => family.clone(),
        [room, ..] if rooms.contains(room) => room.clone(),
        [name, ..] => roots.get(name).cloned().unwrap_or_default(),
        [] => String::new(),
    }
}

/// Which room uses which.
fn edges() -> Edges {
    let sources = sources();
    let rooms: BTreeSet<String> = sources.keys().filter_map(|path| path.first().cloned()).collect();
    let roots = root_names(&sources[&Vec::new()], &rooms);
    let mut edges = Edges::new();
    for (path, text) in sources.iter().filter(|(path, _)| !path.is_empty()) {
        let own = room_of(path, &rooms, &roots);
        let used = edges.entry(own.clone()).or_default();
        let named = paths_after(text, "crate::").into_iter();
        used.extend(named.map(|path| room_of(&path, &rooms, &roots)));
        used.retain(|room| !room.is_empty() && *room != own);
    }
    edges
}

/// The table of ARCHITECTURE.md: what each room may use, and what all rooms may.
fn table() -> (Edges, BTreeSet<String>) {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let ticked = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_string).collect()
    };
    let rows = text.lines().skip_while(|l| *l != "| room | uses |").skip(2);
    let (mut edges, mut all) = (Edges::new(), BTreeSet::new());
    for row in rows.take_while(|l| l.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let uses: BTreeSet<String> = ticked(cells[2]).into_iter().collect();
        match ticked(cells[1]).as_slice() {
            [] => all = uses,
            rooms => rooms.iter().for_each(|r| drop(edges.insert(r.clone(), uses.clone()))),
        }
    }
    (edges, all)
}

#[test]
fn rooms_use_what_the_table_says() {
    let (allowed, all) = table();
    let mut wrong = Vec::new();
    for (room, used) in edges() {
        let listed = allowed.get(&room).cloned().unwrap_or_default();
        let used: BTreeSet<String> = used.difference(&all).cloned().collect();
        for other in used.difference(&listed) {
            wrong.push(format!("{room} uses {other}, which is not in the table"));
        }
        for other in listed.difference(&used) {
            wrong.push(format!("{room} does not use {other}, which is in the table"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The file that a path names, as far as there are files.
fn file_of(sources: &BTreeMap<Vec<String>, String>, mut path: Vec<String>) -> Vec<String> {
    while !sources.contains_key(&path) {
        path.pop();
    }
    path
}

fn is_folder(path: &[String]) -> bool {
    root().join("src").join(path.join("/")).is_dir()
}

/// The files that each file names; what comes through a folder's own file is that file's business.
fn files_used() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let sources = sources();
    let mut uses = BTreeMap::new();
    for (path, text) in &sources {
        let parent = &path[..path.len().saturating_sub(1)];
        let mut used = BTreeSet::new();
        for (prefix, base) in [("crate::", &path[..0]), ("super::", parent), ("self::", path)] {
            for named in paths_after(text, prefix) {
                let up = named.iter().take_while(|name| *name == "super").count();
                let base = &base[..base.len().saturating_sub(up)];
                used.insert(file_of(&sources, [base, &named[up..]].concat()));
            }
        }
        used.retain(|file| file != path && !file.is_empty() && !is_folder(file));
        uses.insert(path.clone(), used);
    }
    uses
}

#[test]
fn no_files_use_each_other() {
    let uses = files_used();
    let mut pairs = Vec::new();
    for (file, used) in &uses {
        for other in used.iter().filter(|other| file < *other && uses[*other].contains(file)) {
            pairs.push(format!("{} and {}", file.join("/"), other.join("/")));
        }
    }
    assert!(pairs.is_empty(), "files that use each other: {pairs:#?}");
}

/// The fragments that a text imports, as `folder/name`.
fn imports(text: &str) -> BTreeSet<String> {
    let paths = text.split("package::").skip(1);
    paths
        .filter_map(|path| {
            let (folder, rest) = path.split_once("::")?;
            let name = word(rest);
            (word(folder) == folder).then(|| format!("{folder}/{name}"))
        })
        .collect()
}

/// All shaders and fragments, as `folder/name`, with what each imports; modules that tables in `src/` make
/// are among them under the name of their table.
fn shader_imports() -> Edges {
    let mut edges = Edges::new();
    for folder in std::fs::read_dir(root().join("shaders")).unwrap() {
        let folder = folder.unwrap();
        let family = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            edges.insert(format!("{family}/{name}"), imports(&text));
        }
    }
    let tables =
        ["elementwise/activation", "elementwise/binary", "elementwise/unary", "recur/wgsl"];
    for table in tables.map(String::from) {
        let text = std::fs::read_to_string(root().join(format!("src/{table}.rs"))).unwrap();
        let imported = imports(&text);
        edges.entry(table).or_default().extend(imported);
    }
    edges
}

/// A fragment that one family alone uses stands in its folder; one that two use is shared.
#[test]
fn shared_fragments_serve_two_families() {
    let imports = shader_imports();
    let mut wrong = Vec::new();
    for fragment in imports.keys().filter(|file| file.starts_with("shared/")) {
        // All that reach it, through other shared fragments too.
        let (mut families, mut open) = (BTreeSet::new(), vec![fragment]);
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            for (file, _) in imports.iter().filter(|(_, used)| used.contains(at)) {
                match file.split_once('/').unwrap().0 {
                    "shared" if seen.insert(file) => open.push(file),
                    "shared" => {}
                    family => drop(families.insert(family)),
                }
            }
        }
        if families.len() < 2 {
            wrong.push(format!("{fragment} serves {families:?} alone"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a family imports of another's folder is a module that the other hands out.
#[test]
fn families_import_their_own_fragments_and_shared_ones() {
    let imports = shader_imports();
    let mut wrong = Vec::new();
    for (file, used) in &imports {
        let family = file.split_once('/').unwrap().0;
        for other in used {
            let of = other.split_once('/').unwrap().0;
            // Linear layers end in an activation; equations are made of all functions.
            let handed = other == "elementwise/activation" && family == "linalg"
                || of == "elementwise" && file == "recur/wgsl";
            // A cell and its sizes are composed into the driver, of which it takes types and helpers.
            let of_driver = family == "recur" && (of == "cell" || of == "sizes")
                || of == "recur" && family == "neuron";
            let handed = handed || of_driver;
            if of != family && of != "shared" && !handed {
                wrong.push(format!("{file} imports {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The operator that CONTRIBUTING.md shows is the one in its file.
#[test]
fn the_walk_through_shows_what_is_there() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (guide, file) = (read("CONTRIBUTING.md"), read("src/tensor/fill.rs"));
    let shown = guide.split("```rust,ignore\n").nth(1).unwrap().split("```").next().unwrap();
    for part in shown.trim().split("\n\n") {
        assert!(file.contains(part), "not in src/tensor/fill.rs:\n{part}");
    }
}

/// The files that hold `name` are these.
fn named_by(name: &str, files: &[&str]) {
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| text.contains(name))
        .map(|(path, _)| path.join("/"))
        .collect();
    assert_eq!(found, files, "files that name {name}");
}

/// A loop that is run by rayon itself would run on the caller's threads, where it may wait for ever (see
/// `src/host/threads.rs`).
#[test]
fn two_files_name_rayon() {
    named_by("rayon::", &["host/parallel", "host/threads"]);
    named_by("Parallelism::Rayon", &["host/parallel"]);
}

/// A closure that is handed to pulp as it is may run without vector instructions, its multiply-adds as
/// library calls (see `src/host/vectorised.rs`).
#[test]
fn one_file_names_pulp() {
    named_by("pulp::", &["host/vectorised"]);
}

/// All files below a folder, with their paths from the repository's root.
fn texts_below(folder: &str, texts: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(root().join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            texts_below(&name, texts);
        } else {
            texts.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// A comment that sends its reader to `family/name` sends him to a file or a folder that is there.
#[test]
fn files_that_comments_name_exist() {
    let mut texts = BTreeMap::new();
    texts_below("src", &mut texts);
    texts_below("shaders", &mut texts);
    let families: BTreeSet<_> = texts
        .keys()
        .filter_map(|path| path.strip_prefix("shaders/")?.split_once('/'))
        .map(|(family, _)| family.to_string())
        .collect();
    let is_there = |name: &str| {
        let at = |folder: &str| format!("{folder}/{name}");
        ["src", "src/host", "shaders"].map(at).iter().any(|path| {
            texts.keys().any(|text| {
                text.strip_prefix(path.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/']))
            })
        })
    };
    let of_a_path = |c: char| c.is_alphanumeric() || "_/.".contains(c);
    let mut stale = Vec::new();
    for (file, text) in &texts {
        let comments = text.lines().filter_map(|line| line.split_once("//"));
        for word in comments.flat_map(|(_, c)| c.split(|c: char| !of_a_path(c))) {
            let word = word.trim_end_matches('.');
            let family =
                word.split_once('/').filter(|(f, name)| families.contains(*f) && !name.is_empty());
            if family.is_some() && !is_there(word) {
                stale.push(format!("{file} names {word}"));
            }
        }
    }
    assert!(stale.is_empty(), "{stale:#?}");
}
