//! The command lines of the examples: what is refused before anything is computed, and how runs go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const EXAMPLES: [&str; 6] =
    ["quickstart", "char_lm", "forecast", "low_pass", "optimizers", "grokking"];

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("spikegrad-examples-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs an example, which cargo has built beside this test.
fn run(example: &str, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap().join("examples");
    let program = built.join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.exists(), "{} is not built: cargo build --examples", program.display());
    Command::new(program).args(["--device", "host"]).args(arguments).output().unwrap()
}

/// What an example prints when all goes well.
fn succeeds(example: &str, arguments: &[&str]) -> String {
    let output = run(example, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The line that an example ends with, and its code.
fn fails(example: &str, arguments: &[&str], code: i32) -> String {
    let output = run(example, arguments);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{example} {arguments:?}: {error}");
    // Drivers that are asked for their adapters may have lines of their own, and so has the advice on a
    // build that is not optimised.
    let others = |line: &&str| line.starts_with("error: ") || line.starts_with("warning: ");
    let own: Vec<&str> = error.lines().filter(|line| !others(line)).collect();
    let [error] = own[..] else { panic!("{error}") };
    let named = error.matches(&format!("{example}: ")).count();
    assert_eq!(named, 1, "{error}");
    error.into()
}

/// Places that cannot be written are found before training, which would be in vain.
#[test]
fn what_cannot_be_written_is_found_first() {
    let folder = Folder::new("write");
    let (out, file) = (folder.path("out"), folder.path("file"));
    fs::write(&file, "kept").unwrap();
    for example in EXAMPLES {
        let json = folder.path("none/x.json");
        let error = fails(example, &["--out", &out, "--json", &json], 2);
        assert!(error.contains("--json") && error.contains("none/x.json"), "{error}");
        fails(example, &["--out", &out, "--json", &out], 2);
        let error = fails(example, &["--out", &format!("{file}/out")], 2);
        assert!(error.contains("--out"), "{error}");
        // A later error leaves an old outcome as it was.
        let bad = ["--out", &out, "--json", &file, "--device", "no such device"];
        fails(example, &bad, 2);
        fails(example, &["--out", &out, "--json", &json, "--device", "host"], 2);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn values_say_what_is_expected() {
    for example in EXAMPLES {
        for seed in ["-1", "x", "1.5", ""] {
            let error = fails(example, &["--seed", seed], 2);
            let expected = format!("--seed {seed}: expected a whole number, 0 or more");
            assert!(error.contains(&expected), "{error}");
        }
        assert!(fails(example, &["--no-such", "1"], 2).contains("unknown option --no-such"));
        assert!(fails(example, &["--seed"], 2).contains("--seed"));
    }
    for (example, option, value, expected) in [
        ("quickstart", "--epochs", "x", "a whole number, 1 or more"),
        ("quickstart", "--epochs", "0", "a whole number, 1 or more"),
        ("quickstart", "--rate", "fast", "a number, 0 to 10"),
        ("quickstart", "--rate", "NaN", "a number, 0 to 10"),
        ("char_lm", "--gate", "x", "position, head, or a number"),
        ("forecast", "--split", "x", "shares between colons (7:2:1) or rows between commas"),
        ("optimizers", "--seeds", "0", "a whole number, 1 to 100"),
        ("grokking", "--modulus", "4", "a whole number, a prime from 2 to 997"),
        ("grokking", "--modulus", "1", "a whole number, a prime from 2 to 997"),
        ("low_pass", "--tau", "-", "a number, 1 to 1000000"),
    ] {
        let error = fails(example, &[option, value], 2);
        assert!(error.contains(&format!("{option} {value}: expected {expected}")), "{error}");
    }
    for example in ["grokking", "low_pass"] {
        let folder = Folder::new(example);
        let error = fails(example, &["--data", "x", "--out", &folder.path("out")], 2);
        assert!(error.contains("--data: this example"), "{error}");
    }
}

/// The library's warnings can be seen.
#[test]
fn a_build_that_is_not_optimised_is_warned_of() {
    let folder = Folder::new("advice");
    let output =
        run("low_pass", &["--out", &folder.path("out"), "--steps", "64", "--neurons", "2"]);
    let error = String::from_utf8(output.stderr).unwrap();
    let warned = error.contains("warning: spikegrad is built without optimisation");
    assert_eq!(warned, cfg!(unoptimised), "{error}");
}

#[test]
fn nothing_is_written_on_without_a_model() {
    let folder = Folder::new("untrained");
    let out = folder.path("out");
    for (example, arguments, option) in [
        ("char_lm", vec!["--generate", "10"], "--generate"),
        ("forecast", vec!["--predict"], "--predict"),
    ] {
        let error = fails(example, &[&arguments[..], &["--out", &out]].concat(), 1);
        assert!(error.contains(&format!("train first: the same without {option}")), "{error}");
    }
    let text = folder.path("short.txt");
    fs::write(&text, "short").unwrap();
    let error = fails("char_lm", &["--data", &text, "--out", &out], 1);
    assert!(error.starts_with("char_lm: short.txt: "), "{error}");
}

/// A run goes on for longer and at another rate, but with the same model and data.
#[test]
fn language_models_go_on() {
    let folder = Folder::new("text");
    let (out, text) = (folder.path("out"), folder.path("fox.txt"));
    fs::write(&text, "the quick brown fox jumps over the lazy dog\n".repeat(20)).unwrap();
    let small = ["--out", &out, "--data", &text, "--width", "8", "--layers", "1", "--heads", "2"];
    let more = |more: &[&'static str]| {
        let context = ["--context", "16", "--batch"];
        [&small[..], &context, more].concat()
    };
    succeeds("char_lm", &more(&["2", "--steps", "2"]));
    let longer = more(&["2", "--steps", "4", "--resume", "--rate", "0.002"]);
    let told = succeeds("char_lm", &longer);
    assert!(told.contains("after step 2") && told.contains("step 4/4"), "{told}");
    let other = more(&["3", "--steps", "4", "--resume", "--seed", "5"]);
    let error = fails("char_lm", &other, 1);
    assert!(error.contains("seed was 0, is 5; batch was 2, is 3"), "{error}");
    assert!(!error.contains("width") && !error.contains("steps"), "{error}");
    assert!(succeeds("char_lm", &["--out", &out, "--generate", "5"]).contains("tokens a second"));
}

/// A folder as that of MNIST: a few images of 8 x 8 pixels.
fn images(folder: &Folder) -> String {
    for (part, count) in [("train", 120u32), ("t10k", 8)] {
        let header = |axes: u8| [&[0, 0, 8, axes][..], &count.to_be_bytes()].concat();
        let pixels = (0..count * 64).map(|i| (i * 7919 % 251) as u8);
        let images = [header(3), [8u32.to_be_bytes(); 2].concat(), pixels.collect()].concat();
        let labels = [header(1), (0..count).map(|i| (i % 3) as u8).collect()].concat();
        fs::write(folder.path(&format!("{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.path(&format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
    folder.0.to_string_lossy().into_owned()
}

#[test]
fn classifiers_go_on() {
    let folder = Folder::new("images");
    let (data, out) = (images(&folder), folder.path("out"));
    let small = ["--data", &data, "--out", &out, "--steps", "2", "--batch", "8"];
    let more = |more: &[&'static str]| [&small[..], more].concat();
    succeeds("quickstart", &more(&["--hidden", "8", "--epochs", "1"]));
    let told = succeeds("quickstart", &more(&["--hidden", "8", "--epochs", "2", "--resume"]));
    assert!(told.contains("after epoch 1") && told.contains("epoch 2/2"), "{told}");
    let files = ["learning-curve.png", "quickstart.safetensors", "raster.png"];
    let files = files.map(|name| Path::new(&out).join(name).display().to_string()).join(", ");
    assert!(told.lines().any(|line| line == format!("written: {files}")), "{told}");
    let error = fails("quickstart", &more(&["--hidden", "9", "--epochs", "2", "--resume"]), 1);
    assert!(error.contains("--resume: saved by another run: hidden was 8, is 9"), "{error}");
}

/// One seed has no spread.
#[test]
fn one_seed_is_called_one_seed() {
    let folder = Folder::new("seed");
    let (data, out, json) = (images(&folder), folder.path("out"), folder.path("x.json"));
    let arguments = ["--task", "digits", "--optimizer", "adamw-p", "--steps", "10", "--seeds", "1"];
    let files = ["--data", &data, "--out", &out, "--json", &json, "--quick"];
    let told = succeeds("optimizers", &[&arguments[..], &files].concat());
    assert!(told.contains("(one seed)") && !told.contains('±'), "{told}");
    let numbers = fs::read_to_string(&json).unwrap();
    assert!(numbers.contains(".loss\"") && !numbers.contains("loss_spread"), "{numbers}");
}
