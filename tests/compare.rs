//! The benchmark's comparison of two runs.

#[path = "../benches/suite/compare.rs"]
mod compare;
#[path = "../benches/suite/options.rs"]
mod options;
#[path = "../benches/suite/text.rs"]
#[expect(dead_code, reason = "the report uses the rest")]
mod text;

use compare::Outcome;
use options::{Options, USAGE};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Files of a test, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let name = format!("spikegrad-compare-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// A result of the suite with rows of these shapes and times.
    fn run(&self, name: &str, rows: &[(&str, f64)]) -> String {
        self.put(name, &result(rows).to_string())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn result(rows: &[(&str, f64)]) -> Value {
    let row = |(shape, time): &(&str, f64)| json!({"family": "linalg", "kernel": "host", "shape": shape, "min_ns": time});
    let rows: Vec<Value> = rows.iter().map(row).collect();
    json!({"suite": "spikegrad", "device": "host", "rows": rows, "figures": []})
}

/// What the command line says, or its error.
fn compared(arguments: &[&str]) -> Result<Outcome, String> {
    let parser = lexopt::Parser::from_args(arguments.iter().copied());
    let options = Options::parse(parser).map_err(|e| e.to_string())?.unwrap();
    options.comparison.unwrap().outcome()
}

/// The shapes in the order of the table, and whether they are marked.
fn order(outcome: &Outcome) -> Vec<(String, bool)> {
    let rows = outcome.table.lines().filter_map(|line| line.strip_prefix("linalg/host "));
    rows.map(|row| (row[..1].into(), row.ends_with("slower"))).collect()
}

#[test]
fn worst_rows_come_first_and_are_marked() {
    let files = Files::new("order");
    let old = files.run("old", &[("a", 100.0), ("b", 100.0), ("c", 100.0)]);
    let new = files.run("new", &[("a", 50.0), ("b", 120.0), ("c", 104.0)]);
    let found = compared(&["--compare", &old, &new]).unwrap();
    let expected = [("b".into(), true), ("c".into(), false), ("a".into(), false)];
    assert_eq!(order(&found), expected, "{}", found.table);
    assert_eq!(found.slower, 1);
    assert!(found.table.contains("0.500") && found.table.contains("1.200"), "{}", found.table);
    let threshold = |percent| compared(&["--compare", &old, &new, "--threshold", percent]);
    assert_eq!(threshold("3").unwrap().slower, 2);
    assert_eq!(threshold("21").unwrap().slower, 0);
}

/// What two runs of one tree differ by is no regression, in rows where they do.
#[test]
fn noise_is_allowed_row_by_row() {
    let files = Files::new("noise");
    let old = files.run("old", &[("a", 100.0), ("b", 100.0), ("c", 100.0)]);
    let new = files.run("new", &[("a", 130.0), ("b", 130.0), ("c", 130.0)]);
    let one = files.run("one", &[("a", 125.0), ("b", 100.0)]);
    let other = files.run("other", &[("a", 100.0), ("b", 101.0)]);
    for noise in [[&one, &other], [&other, &one]] {
        let found = compared(&["--compare", &old, &new, "--noise", noise[0], noise[1]]).unwrap();
        let expected = [("c".into(), true), ("b".into(), true), ("a".into(), false)];
        assert_eq!(order(&found), expected, "{}", found.table);
        assert!(found.table.contains("1.250"), "{}", found.table);
    }
}

#[test]
fn rows_of_one_run_alone_are_named() {
    let files = Files::new("missing");
    let old = files.run("old", &[("a", 100.0), ("b", 100.0), ("b", 300.0)]);
    let new = files.run("new", &[("a", 100.0), ("b", 100.0), ("c", 100.0)]);
    let found = compared(&["--compare", &old, &new]).unwrap();
    assert!(found.table.contains(&format!("only in {old}: linalg/host b (2)")), "{}", found.table);
    assert!(found.table.contains(&format!("only in {new}: linalg/host c")), "{}", found.table);
    assert_eq!(found.slower, 0);
    let none = files.run("none", &[("d", 100.0)]);
    let error = compared(&["--compare", &old, &none]).unwrap_err();
    assert!(error.contains("no row in common"), "{error}");
}

/// Figures are compared where they are times or rates: a higher rate is not slower.
#[test]
fn figures_are_times_and_rates() {
    let files = Files::new("figures");
    let run = |name: &str, [step, rate, launches]: [f64; 3]| {
        let mut json = result(&[]);
        json["figures"] = json!([
            {"name": "step", "unit": "ms", "value": step},
            {"name": "decode", "unit": "tokens/s", "value": rate},
            {"name": "launches", "unit": "launches", "value": launches},
        ]);
        files.put(name, &json.to_string())
    };
    let old = run("old", [2.0, 100.0, 8.0]);
    let better = run("better", [1.0, 200.0, 80.0]);
    let worse = run("worse", [3.0, 50.0, 8.0]);
    assert_eq!(compared(&["--compare", &old, &better]).unwrap().slower, 0);
    assert_eq!(compared(&["--compare", &old, &worse]).unwrap().slower, 2);
}

#[test]
fn help_lists_the_options() {
    for option in ["--compare OLD NEW", "--threshold P", "--noise A B"] {
        assert!(USAGE.contains(option), "{option}");
    }
}

#[test]
fn bad_files_and_options_are_one_line() {
    let files = Files::new("bad");
    let good = files.run("good", &[("a", 100.0)]);
    let refused = |bad: &str, says: &str| {
        for arguments in [["--compare", bad, &good], ["--compare", &good, bad]] {
            let error = compared(&arguments).unwrap_err();
            assert!(error.contains(says) && error.contains(bad), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let error = compared(&["--compare", &good, &good, "--noise", &good, bad]).unwrap_err();
        assert!(error.contains(says), "{error}");
    };
    refused("no such file", "");
    refused(&files.put("text", "{\n  \"suite\": "), "line 2");
    refused(&files.put("other", "{\"suite\": \"another\"}"), "no result of this suite");
    for field in ["family", "kernel", "shape", "min_ns"] {
        let mut json = result(&[("a", 1.0), ("b", 1.0)]);
        json["rows"][1][field] = Value::Null;
        refused(&files.put(field, &json.to_string()), &format!("rows[1].{field}: "));
    }
    let mut json = result(&[("a", 1.0)]);
    json["rows"][0]["min_ns"] = json!(-1.0);
    refused(&files.put("negative", &json.to_string()), "rows[0].min_ns: ");
    json["rows"] = json!(3);
    refused(&files.put("list", &json.to_string()), "rows: ");
    for arguments in [
        &["--compare"][..],
        &["--compare", &good],
        &["--compare", &good, "--threshold", "1"],
        &["--compare", &good, &good, &good],
        &["--compare", &good, &good, "--threshold", "-1"],
        &["--compare", &good, &good, "--threshold", "NaN"],
        &["--compare", &good, &good, "--noise", &good],
        &["--noise", &good, &good],
        &["--threshold", "1"],
    ] {
        let error = compared(arguments).unwrap_err();
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
