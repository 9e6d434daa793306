//! What errors say: what was found, and what was expected in its place.

use spikegrad::elementwise::{self, Activation, Binary};
use spikegrad::layout::concat_tensors;
use spikegrad::linalg::{Layout, Matmul, linear, matmul};
use spikegrad::loss::{self, CrossEntropy};
use spikegrad::optim::{AdamW, Schedule, Sgd};
use spikegrad::{DType, Device, Error, Param, Result, Tape, Tensor, Var};

fn tensor(shape: &[usize]) -> Tensor {
    Tensor::zeros(&Device::host(), shape, DType::F32).unwrap()
}

fn var(shape: &[usize]) -> Var {
    Tape::off().leaf(&tensor(shape))
}

fn words(shape: &[usize]) -> Tensor {
    Tensor::zeros(&Device::host(), shape, DType::U32).unwrap()
}

type Call = fn() -> Result<()>;

/// Calls that are refused, and what must stand in the message.
const REFUSED: &[(Call, &[&str])] = &[
    (
        || linear(&var(&[5, 4]), &var(&[3, 2]), None, Activation::Identity).map(drop),
        &["linear", "[5, 4]", "[3, 2]", "expected x [.., 3]"],
    ),
    (
        || linear(&var(&[5, 3]), &var(&[3]), None, Activation::Identity).map(drop),
        &["linear", "weights [3], expected [inputs, outputs]"],
    ),
    (
        || linear(&var(&[5, 3]), &var(&[3, 2]), Some(&var(&[3])), Activation::Identity).map(drop),
        &["linear", "bias [3], expected [2]"],
    ),
    (
        || matmul(&tensor(&[5, 4]), &tensor(&[3, 2]), Layout::NN).map(drop),
        &["matmul", "[5, 4] times [3, 2]", "expected [.., M, K] times [.., K, N]", "K is 4 and 3"],
    ),
    (
        || matmul(&tensor(&[5, 4]), &tensor(&[3, 2]), Layout::NT).map(drop),
        &["matmul", "[.., N, K] (transposed)", "K is 4 and 2"],
    ),
    (
        || Matmul::new().add_to(&tensor(&[5, 4]), &tensor(&[4, 2]), &tensor(&[5, 3])),
        &["matmul", "c [5, 3], expected [5, 2]"],
    ),
    (
        || {
            let options = CrossEntropy::default();
            loss::cross_entropy(&var(&[5, 4]), &words(&[4]), options).map(drop)
        },
        &["cross_entropy", "logits [5, 4] with targets [4], expected targets [5]"],
    ),
    (
        || loss::cross_entropy(&var(&[0, 4]), &words(&[0]), CrossEntropy::default()).map(drop),
        &["cross_entropy", "logits [0, 4], expected [.., classes]", "one row"],
    ),
    (|| loss::mse(&var(&[5]), &var(&[4])).map(drop), &["mse", "[5] and [4], expected one shape"]),
    (
        || {
            let x = var(&[9, 2, 3]);
            x.causal_conv(&var(&[4, 5, 6]), None, 1, Activation::Identity).map(drop)
        },
        &["causal_conv", "[9, 2, 3]", "[4, 5, 6]", "expected x [T, B, 5]"],
    ),
    (
        || {
            let x = var(&[9, 3]);
            x.causal_conv(&var(&[4, 3, 6]), None, 1, Activation::Identity).map(drop)
        },
        &["causal_conv", "x [9, 3], expected [T, B, C]"],
    ),
    (
        || {
            let x = var(&[9, 2, 3]);
            x.causal_conv(&var(&[4, 3, 6]), None, 0, Activation::Identity).map(drop)
        },
        &["causal_conv", "4 taps with a dilation of 0, expected 1 or more"],
    ),
    (
        || elementwise::binary(Binary::Add, &tensor(&[5, 4]), &tensor(&[3])).map(drop),
        &["add", "[5, 4] and [3]", "expected extents"],
    ),
    (
        || concat_tensors(&[&tensor(&[5, 4]), &tensor(&[3, 2])], 0).map(drop),
        &["concat", "[5, 4] and [3, 2]", "expected"],
    ),
    (|| sgd(|| Schedule::constant(-1.0)), &["sgd", "learning rate -1, allowed are 0 and"]),
    (
        || sgd(|| Schedule::cosine(1.0, 10).floor(f64::NAN)),
        &["sgd", "last learning rate of the schedule NaN, allowed are 0 and"],
    ),
    (
        || AdamW::builder().learning_rate(-1.0).build(&[param()]).map(drop),
        &["adamw", "learning rate -1, allowed are 0 and"],
    ),
];

fn param() -> Param {
    Param::new("x", tensor(&[2]))
}

fn sgd(schedule: fn() -> Schedule) -> Result<()> {
    Sgd::builder().schedule(schedule()).build(&[param()]).map(drop)
}

#[test]
fn messages_say_what_was_found_and_what_was_expected() {
    for (call, parts) in REFUSED {
        let error = call().expect_err(parts[0]);
        let text = error.to_string();
        for part in *parts {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
        // What `main` prints.
        assert_eq!(format!("{error:?}"), text);
    }
}

/// Bindings that stand in a fragment are named as there.
#[test]
fn bindings_have_the_names_of_their_files() {
    let device = Device::host();
    let a = tensor(&[4, 4]);
    let aliased = Matmul::new().add_to(&a, &tensor(&[4, 4]), &a).unwrap_err();
    let Error::Aliased { binding, .. } = &aliased else { panic!("{aliased}") };
    assert_eq!(binding, "a");
    // A kernel whose bindings all come from a fragment, with words for floats.
    let kernel = spikegrad::kernels().into_iter().find(|k| k.name == "matmul").unwrap();
    let bound = ["a", "b", "bias", "c", "extra"].map(|name| (name, words(&[16])));
    let launch = bound.iter().fold(device.launch(kernel), |l, (name, t)| l.bind(name, t));
    let refused = launch.record().unwrap_err();
    let Error::DType { expected, .. } = &refused else { panic!("{refused}") };
    assert!(expected.ends_with("for `a`"), "{expected}");
}
