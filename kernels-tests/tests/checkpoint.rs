//! Checkpoints: what is saved comes back with the same bits, and what does not fit is refused.

use half::f16;
use kernels_tests::{Random, oracle, subjects};
use spikegrad::checkpoint::Checkpoint;
use spikegrad::optim::{AdamW, Optimizer};
use spikegrad::{Device, Error, Param, Tensor};
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
            optimizer.tick().unwrap();
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
        ("halves", Tensor::from_slice(&device, &[1.0f32; 7], [7]).unwrap()),
        ("words", Tensor::from_slice(&device, &[1u32; 5], [5, 1]).unwrap()),
        ("weights", Tensor::from_slice(&device, &[1.0f32], [1]).unwrap()),
    ];
    let before = bits(&other);
    let message = list(&other).load(&path).unwrap_err().to_string();
    for part in [
        "`floats` has shape [3, 13], expected [13, 3]",
        "`halves` holds F16, expected F32",
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

/// Every truncation, and every byte changed: an error, or (in the padding of the header) the very
/// same contents. Never a panic, never other values.
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
            Ok(_) => assert_eq!(bits(&loaded), bits(&saved)),
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
    let data = good.len() - 1;
    let mut bad = good.clone();
    bad[data] ^= 1;
    fs::write(&path, &bad).unwrap();
    let message = list(&saved).load(&path).unwrap_err().to_string();
    assert!(message.contains("checksum"), "{message}");
    assert!(matches!(list(&saved).load(folder.file("none")), Err(Error::Io { .. })));
    assert!(matches!(list(&saved).save(folder.file("none/a")), Err(Error::Io { .. })));
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
