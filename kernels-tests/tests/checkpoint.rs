//! Checkpoints: what is saved comes back with the same bits, and what does not fit is refused.

use half::f16;
use kernels_tests::{Random, oracle, subjects};
use spikegrad::checkpoint::{Checkpoint, Stored};
use spikegrad::optim::{AdamW, Optimizer};
use spikegrad::{DType, Device, Error, Param, Tensor};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("spikegrad-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One tensor of each type, with values that are easily lost: signed zeros, subnormals, infinities,
/// NaN.
fn tensors(device: &Device, seed: u64) -> Vec<(&'static str, Tensor)> {
    let mut random = Random::new(seed);
    let mut floats = random.values(34, -1e-3, 1e3);
    floats.extend([-0.0, 1e-42, f32::INFINITY, f32::NAN, f32::MAX]);
    let halves: Vec<f16> = (0..7).map(|_| f16::from_f32(random.uniform(-9.0, 9.0))).collect();
    let words: Vec<u32> = (0..5).map(|_| random.word()).collect();
    let spikes: Vec<bool> = (0..37 * 3).map(|_| random.word().is_multiple_of(3)).collect();
    let empty: [f32; 0] = [];
    vec![
        ("floats", Tensor::from_slice(device, &floats, [3, 13]).unwrap()),
        ("halves", Tensor::from_slice(device, &halves, [7]).unwrap()),
        ("words", Tensor::from_slice(device, &words, [5, 1]).unwrap()),
        ("spikes", Tensor::from_bools(device, &spikes, [37, 3]).unwrap()),
        ("scalar", Tensor::from_slice(device, &[0.1f64], []).unwrap()),
        ("empty", Tensor::from_slice(device, &empty, [0, 4]).unwrap()),
    ]
}

fn list(tensors: &[(&'static str, Tensor)]) -> Checkpoint {
    tensors.iter().fold(Checkpoint::new(), |c, (name, t)| c.tensor(*name, t))
}

/// All elements as bits.
fn bits(tensors: &[(&'static str, Tensor)]) -> Vec<Vec<u64>> {
    let bits = |t: &Tensor| -> Vec<u64> {
        match t.dtype() {
            spikegrad::DType::F32 => {
                t.to_vec::<f64>().unwrap().iter().map(|v| v.to_bits()).collect()
            }
            spikegrad::DType::F16 => {
                t.to_vec::<f16>().unwrap().iter().map(|v| v.to_bits().into()).collect()
            }
            spikegrad::DType::U32 => {
                t.to_vec::<u32>().unwrap().into_iter().map(u64::from).collect()
            }
            spikegrad::DType::Bits => t.to_bools().unwrap().into_iter().map(u64::from).collect(),
        }
    };
    tensors.iter().map(|(_, t)| bits(t)).collect()
}

#[test]
fn every_type_comes_back_with_its_bits() {
    let folder = Folder::new("types");
    let devices = subjects().iter().map(|s| (s.label.as_str(), &s.device));
    for (label, device) in devices.chain([("oracle", oracle())]) {
        let path = folder.file("all.safetensors");
        let saved = tensors(device, 1);
        list(&saved).note("epoch", 7).note("text", "\"ä\"\n").save(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        list(&saved).note("epoch", 7).note("text", "\"ä\"\n").save(&path).unwrap();
        assert!(bytes == fs::read(&path).unwrap(), "{label}: the same state, other bytes");

        let loaded = tensors(device, 2);
        assert_ne!(bits(&saved), bits(&loaded));
        let notes = list(&loaded).load(&path).unwrap();
        assert_eq!(bits(&saved), bits(&loaded), "{label}");
        assert_eq!(notes.parse::<u32>("epoch").unwrap(), 7);
        assert_eq!(notes.get("text"), Some("\"ä\"\n"));
        assert!(notes.parse::<u32>("text").is_err() && notes.parse::<u32>("none").is_err());
        let names: Vec<_> =
            fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }
}

#[test]
fn an_optimizer_comes_back_on_another_device() {
    let folder = Folder::new("optimizer");
    let path = folder.file("state");
    for subject in subjects() {
        let build = |device: &Device, value: f32| {
            let param = Param::new("x", Tensor::from_slice(device, &[value; 4], [4]).unwrap());
            let optimizer = AdamW::builder().clip_norm(1.0).build(std::slice::from_ref(&param));
            (param, optimizer.unwrap())
        };
        let step = |param: &Param, optimizer: &mut AdamW| {
            let leaf = spikegrad::Tape::new().param(param);
            optimizer.step(&leaf.backward_from(param.value()).unwrap()).unwrap();
        };
        let (x, mut first) = build(&subject.device, 1.0);
        (0..3).for_each(|_| step(&x, &mut first));
        let state = |x: &Param, o: &AdamW| {
            Checkpoint::new().params(std::slice::from_ref(x)).optimizer("optimizer", o)
        };
        state(&x, &first).save(&path).unwrap();
        step(&x, &mut first);

        let (y, mut second) = build(&Device::host(), 5.0);
        let notes = state(&y, &second).load(&path).unwrap();
        second.set_steps(notes.parse("optimizer.steps").unwrap());
        assert_eq!(second.steps(), 3);
        step(&y, &mut second);
        let (x, y) = (x.value().to_vec::<f32>().unwrap(), y.value().to_vec::<f32>().unwrap());
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-6), "{x:?} {y:?}");
    }
}

#[test]
fn what_differs_is_named_and_nothing_is_overwritten() {
    let folder = Folder::new("differs");
    let path = folder.file("a");
    let device = Device::host();
    let saved = tensors(&device, 1);
    list(&saved).save(&path).unwrap();
    let other = [
        ("floats", Tensor::from_slice(&device, &[1.0f32; 39], [13, 3]).unwrap()),
        ("halves", Tensor::from_bools(&device, &[true; 7], [7]).unwrap()),
        ("words", Tensor::from_slice(&device, &[1u32; 5], [5, 1]).unwrap()),
        ("weights", Tensor::from_slice(&device, &[1.0f32], [1]).unwrap()),
    ];
    let before = bits(&other);
    let message = list(&other).load(&path).unwrap_err().to_string();
    for part in [
        "`floats` has shape [3, 13], expected [13, 3]",
        "`halves` holds F16, expected BOOL",
        "`weights` is missing",
        "`spikes` was not expected",
    ] {
        assert!(message.contains(part), "{message}");
    }
    assert!(!message.contains("`words`"), "{message}");
    assert_eq!(bits(&other), before);
    let message = list(&other).load_part(&path).unwrap_err().to_string();
    assert!(message.contains("missing") && !message.contains("not expected"), "{message}");
    list(&other[2..3]).load_part(&path).unwrap();
    assert_eq!(bits(&other[2..3]), bits(&saved[2..3]));
    let twice = list(&saved).tensor("words", &saved[2].1);
    assert!(matches!(twice.save(&path), Err(Error::Argument { .. })));
}

/// Every truncation, and every byte changed, those of the header to each of a few others: an error, or
/// (in the padding of the header) the very same contents. Never a panic, never other values or notes.
#[test]
fn damage_is_found() {
    let folder = Folder::new("damage");
    let path = folder.file("a");
    let device = Device::host();
    let saved = tensors(&device, 1);
    list(&saved).note("epoch", 3).save(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let check = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let loaded = tensors(&device, 2);
        match list(&loaded).load(&path) {
            Ok(notes) => {
                let shown = String::from_utf8_lossy(bytes);
                assert_eq!(bits(&loaded), bits(&saved), "{shown}");
                assert_eq!(notes.get("epoch"), Some("3"), "{shown}");
            }
            Err(Error::Format { path: named, .. }) => assert_eq!(named, path),
            Err(other) => panic!("{other}"),
        }
    };
    for end in 0..good.len() {
        fs::write(&path, &good[..end]).unwrap();
        assert!(matches!(list(&saved).load(&path), Err(Error::Format { .. })), "cut at {end}");
    }
    for i in 0..good.len() {
        let mut bad = good.clone();
        bad[i] ^= 1 << (i % 8);
        check(&bad);
    }
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    for i in 8..header {
        for other in b"UI0x_\" \t".iter().filter(|other| **other != good[i]) {
            let mut bad = good.clone();
            bad[i] = *other;
            check(&bad);
        }
    }
    let data = good.len() - 1;
    let mut bad = good.clone();
    bad[data] ^= 1;
    fs::write(&path, &bad).unwrap();
    let message = list(&saved).load(&path).unwrap_err().to_string();
    assert!(message.contains("checksum"), "{message}");
    assert!(matches!(list(&saved).load(folder.file("none")), Err(Error::Io { .. })));
    assert!(matches!(list(&saved).save(folder.file("none/a")), Err(Error::Io { .. })));
}

/// Four threads and a second process save to one path: every save succeeds, and what is left is one of
/// them, without any other file.
#[test]
fn several_save_to_one_path() {
    let folder = Folder::new("race");
    let path = folder.file("race.safetensors");
    let save = |value: f32, count: usize| {
        let x = Tensor::from_slice(&Device::host(), &vec![value; 100_000], [100_000]).unwrap();
        for _ in 0..count {
            Checkpoint::new().tensor("x", &x).save(&path).unwrap();
        }
    };
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "saves_for_another_process"])
        .env("SPIKEGRAD_TEST_SAVE", &path)
        .stdout(Stdio::null())
        .spawn();
    std::thread::scope(|scope| {
        for value in 0..4 {
            scope.spawn(move || save(value as f32, 10));
        }
    });
    assert!(other.unwrap().wait().unwrap().success());
    let x = Tensor::from_slice(&Device::host(), &vec![-1.0f32; 100_000], [100_000]).unwrap();
    Checkpoint::new().tensor("x", &x).load(&path).unwrap();
    let values = x.to_vec::<f32>().unwrap();
    assert!(values[0] >= 0.0 && values.iter().all(|v| *v == values[0]));
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

/// The second process of [`several_save_to_one_path`]; by itself it does nothing.
#[test]
fn saves_for_another_process() {
    let Some(path) = std::env::var_os("SPIKEGRAD_TEST_SAVE") else { return };
    let x = Tensor::from_slice(&Device::host(), &vec![9.0f32; 100_000], [100_000]).unwrap();
    for _ in 0..10 {
        Checkpoint::new().tensor("x", &x).save(&path).unwrap();
    }
}

#[test]
fn names_that_files_and_tensors_can_have() {
    let folder = Folder::new("names");
    let device = Device::host();
    let x = Tensor::from_slice(&device, &[1.0f32], [1]).unwrap();
    let reserved = Checkpoint::new().tensor("__metadata__", &x);
    let path = folder.file("reserved");
    for refused in [reserved.save(&path).err(), reserved.load(&path).err()] {
        let message = refused.unwrap().to_string();
        assert!(message.contains("`__metadata__`"), "{message}");
    }
    assert!(!path.exists());
    for name in ["", "\"", "\\", "ä\0\n", "spikegrad", "__metadata"] {
        let one = Checkpoint::new().tensor(name, &x);
        one.save(&path).unwrap();
        one.load(&path).unwrap();
    }
    for length in [250, 251, 255] {
        let path = folder.file(&"n".repeat(length));
        Checkpoint::new().tensor("x", &x).save(&path).unwrap();
        assert_eq!(Checkpoint::notes(&path).unwrap().iter().count(), 0);
    }
    let path = folder.file(&"天".repeat(85));
    Checkpoint::new().tensor("x", &x).save(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn links_are_followed() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("links");
    fs::create_dir(folder.file("runs")).unwrap();
    let (file, link) = (folder.file("runs/1.safetensors"), folder.file("latest"));
    symlink("runs/1.safetensors", folder.file("first")).unwrap();
    symlink("first", &link).unwrap();
    let x = Tensor::from_slice(&Device::host(), &[1.0f32], [1]).unwrap();
    for note in 0..2 {
        // At first the links lead nowhere.
        Checkpoint::new().tensor("x", &x).note("n", note).save(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::symlink_metadata(folder.file("first")).unwrap().is_symlink());
        assert_eq!(Checkpoint::notes(&file).unwrap().parse::<u32>("n").unwrap(), note);
    }
    assert_eq!(fs::read_dir(folder.file("runs")).unwrap().count(), 1);
    symlink("round", folder.file("round")).unwrap();
    let error = Checkpoint::new().tensor("x", &x).save(folder.file("round")).unwrap_err();
    assert!(error.to_string().contains("too many links"), "{error}");
}

/// A file with this list, and these bytes after it.
fn stored(list: &str, bytes: &[u8]) -> Vec<u8> {
    [&(list.len() as u64).to_le_bytes(), list.as_bytes(), bytes].concat()
}

#[test]
fn a_file_changed_elsewhere_is_read_on_demand() {
    let folder = Folder::new("edited");
    let path = folder.file("a");
    let device = Device::host();
    let x = Tensor::from_slice(&device, &[1.0f32, 2.0], [2]).unwrap();
    let file = Checkpoint::new().tensor("x", &x);
    file.clone().note("epoch", 3).save(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 8;
    bytes[at..][..4].copy_from_slice(&7.0f32.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let refused = file.load(&path).unwrap_err().to_string();
    for part in ["checksum of before the change", "Checkpoint::edited", "accept_edits"] {
        assert!(refused.contains(part), "{refused}");
    }
    Checkpoint::notes(&path).unwrap_err();
    let notes = file.clone().edited(true).load(&path).unwrap();
    assert_eq!(notes.parse::<u32>("epoch").unwrap(), 3);
    assert_eq!(x.to_vec::<f32>().unwrap(), [7.0, 2.0]);
    Checkpoint::accept_edits(&path).unwrap();
    assert_eq!(file.load(&path).unwrap().parse::<u32>("epoch").unwrap(), 3);
    fs::write(&path, &bytes[..at]).unwrap();
    file.edited(true).load(&path).unwrap_err();
    Checkpoint::accept_edits(&path).unwrap_err();
}

/// Files as others publish them: half the precision, twice the precision, counts of 64 bits.
#[test]
fn files_of_other_types_are_converted() {
    let folder = Folder::new("published");
    let path = folder.file("model.safetensors");
    let list = r#"{"__metadata__":{"format":"pt"},
        "half":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
        "brain":{"dtype":"BF16","shape":[2,1],"data_offsets":[4,8]},
        "double":{"dtype":"F64","shape":[2],"data_offsets":[8,24]},
        "count":{"dtype":"I64","shape":[],"data_offsets":[24,32]},
        "minus":{"dtype":"I8","shape":[1],"data_offsets":[32,33]},
        "mask":{"dtype":"BOOL","shape":[3],"data_offsets":[33,36]},
        "scale":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[36,37]}}"#;
    let mut bytes = Vec::new();
    [1.5f32, -0.1].iter().for_each(|v| bytes.extend(f16::from_f32(*v).to_le_bytes()));
    [3.0e38f32, 0.1].iter().for_each(|v| bytes.extend(half::bf16::from_f32(*v).to_le_bytes()));
    [0.1f64, 1e39].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    bytes.extend(5_000_000_000i64.to_le_bytes());
    bytes.extend([0xFF, 1, 0, 1, 0x38]);
    fs::write(&path, stored(list, &bytes)).unwrap();

    let file = Stored::open(&path).unwrap();
    let listed: Vec<String> =
        file.tensors().map(|t| format!("{} {} {:?}", t.name, t.kind, t.shape)).collect();
    let expected = [
        "half F16 [2]",
        "brain BF16 [2, 1]",
        "double F64 [2]",
        "count I64 []",
        "minus I8 [1]",
        "mask BOOL [3]",
        "scale F8_E4M3 [1]",
    ];
    assert_eq!(listed, expected);
    assert_eq!(file.metadata().into_iter().collect::<Vec<_>>(), [("format", "pt")]);

    for subject in subjects() {
        let device = &subject.device;
        let read = |name: &str, dtype| file.read(name, device, dtype);
        let values = |name: &str, dtype| read(name, dtype).unwrap().to_vec::<f32>().unwrap();
        let tenth = f16::from_f32(-0.1).to_f32();
        assert_eq!(values("half", DType::F32), [1.5, tenth]);
        assert_eq!(values("half", DType::F16), [1.5, tenth]);
        let brain = [3.0e38, 0.1].map(|v| half::bf16::from_f32(v).to_f32());
        assert_eq!(values("brain", DType::F32), brain);
        assert_eq!(values("count", DType::F32), [5e9]);
        assert_eq!(values("minus", DType::F32), [-1.0]);
        assert_eq!(read("mask", DType::Bits).unwrap().to_bools().unwrap(), [true, false, true]);
        let refused = |name: &str, dtype| read(name, dtype).unwrap_err().to_string();
        let double = refused("double", DType::F32);
        assert!(double.ends_with("`double` holds F64, expected F32, and element 1 is 1e39"));
        assert!(refused("brain", DType::F16).contains("element 0 is 3"));
        assert!(refused("count", DType::U32).ends_with("element 0 is 5000000000.0"));
        assert!(refused("minus", DType::U32).ends_with("element 0 is -1.0"));
        assert!(refused("scale", DType::F32).ends_with("`scale` holds F8_E4M3, expected F32"));
        assert!(refused("none", DType::F32).ends_with("`none` is missing"));

        // Into tensors that there are: everything or nothing.
        let half = Tensor::from_slice(device, &[0.0f32; 2], [2]).unwrap();
        let double = Tensor::from_slice(device, &[0.0f32; 2], [2]).unwrap();
        let both = Checkpoint::new().tensor("half", &half).tensor("double", &double);
        both.load_part(&path).unwrap_err();
        assert_eq!(half.to_vec::<f32>().unwrap(), [0.0; 2]);
        Checkpoint::new().tensor("half", &half).load_part(&path).unwrap();
        assert_eq!(half.to_vec::<f32>().unwrap(), [1.5, tenth]);
    }
    let wide = file.read("double", oracle(), DType::F32).unwrap();
    assert_eq!(wide.to_vec::<f64>().unwrap(), [0.1, 1e39]);
}

#[test]
fn what_is_no_file_of_tensors_is_refused() {
    let folder = Folder::new("unknown");
    let path = folder.file("a");
    let list = r#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}"#;
    let whole = stored(list, &[0; 8]);
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert!(matches!(Stored::open(&path), Err(Error::Format { .. })), "cut at {end}");
    }
    let bad = [
        [&whole[..], &[0]].concat(),
        u64::MAX.to_le_bytes().to_vec(),
        (1u64 << 40).to_le_bytes().repeat(2),
        stored("[]", &[]),
        stored(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, &[0; 4]),
        stored(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, &[0; 8]),
        stored(r#"{"a":{"dtype":"F9","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
    ];
    for bytes in bad {
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(Stored::open(&path), Err(Error::Format { .. })), "{bytes:?}");
    }
    assert!(matches!(Stored::open(folder.file("none")), Err(Error::Io { .. })));
    // Nine axes are listed, but no tensor has them.
    fs::write(&path, &whole).unwrap();
    let file = Stored::open(&path).unwrap();
    assert_eq!(file.tensors().next().unwrap().shape.len(), 9);
    let refused = file.read("a", &Device::host(), DType::F32).unwrap_err();
    assert!(matches!(refused, Error::Limit { .. }), "{refused}");
}

/// Runs the training binary; kills it after a random number of saved steps, at a random moment of
/// the next one, `kills` times. Returns the steps from which it went on.
fn train(device: &str, file: &std::path::Path, steps: u64, kills: usize, seed: u64) -> Vec<u64> {
    let mut random = Random::new(seed);
    let mut starts = Vec::new();
    for attempt in 0.. {
        let mut child = Command::new(env!("CARGO_BIN_EXE_resumable"))
            .args([device, &file.to_string_lossy(), &steps.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        starts.push(first.strip_prefix("from ").unwrap().parse().unwrap());
        if attempt >= kills {
            assert!(lines.all(|line| line.is_ok()));
            assert!(child.wait().unwrap().success());
            return starts;
        }
        let saved = random.word() as usize % (2 * steps as usize / (3 * kills)).max(1);
        for line in lines.by_ref().take(saved) {
            line.unwrap();
        }
        std::thread::sleep(Duration::from_micros(u64::from(random.word() % 6000)));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it was done before it was killed");
    }
    starts
}

/// Killed at random moments and resumed, a run ends with the same bytes as one left alone.
fn killed_runs_end_alike(device: &str, steps: u64, kills: usize) {
    let folder = Folder::new(&format!("kill-{device}"));
    let (whole, cut) = (folder.file("whole.safetensors"), folder.file("cut.safetensors"));
    assert_eq!(train(device, &whole, steps, 0, 0), [0]);
    let expected = fs::read(&whole).unwrap();
    for seed in 1..3 {
        let starts = train(device, &cut, steps, kills, seed);
        assert!(starts.windows(2).all(|w| w[0] <= w[1]), "{starts:?}");
        assert!(*starts.last().unwrap() > 0, "{starts:?}");
        assert!(fs::read(&cut).unwrap() == expected, "other bytes on {device} after {starts:?}");
        fs::remove_file(&cut).unwrap();
    }
}

#[test]
fn killed_and_resumed_on_the_host() {
    killed_runs_end_alike("host", 90, 6);
}

#[test]
fn killed_and_resumed_on_a_software_adapter() {
    if std::env::var("SPIKEGRAD_TEST_DEVICES").is_ok_and(|v| v == "host")
        || Device::select("cpu-adapter").is_err()
    {
        println!("skipped: no software adapter here");
        return;
    }
    killed_runs_end_alike("cpu-adapter", 12, 2);
}
