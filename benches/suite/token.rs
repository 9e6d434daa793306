//! Embeddings by the size of the vocabulary, the shift and the mix of paths, and the fused loss of a
//! language model's head next to the plain products it is made of.

use crate::harness::Suite;
use crate::input;
use spikegrad::linalg::{Layout, matmul};
use spikegrad::loss::linear_cross_entropy;
use spikegrad::{Device, Result, Tape, Tensor};

/// Characters, the tokens of a small text, those of a large one.
const VOCABULARIES: [usize; 3] = [65, 5_903, 50_000];

pub fn measure(suite: &mut Suite) {
    embeddings(suite);
    paths(suite);
    losses(suite);
}

/// Tokens drawn as words are in text: number v about as often as 1 / (v + 1).
fn tokens(device: &Device, count: usize, vocabulary: usize) -> Result<Tensor> {
    let mut uniform = input::xorshift(input::SEED);
    let mut token = || ((vocabulary as f32).powf(uniform()) - 1.0) as u32;
    let values: Vec<u32> = (0..count).map(|_| token().min(vocabulary as u32 - 1)).collect();
    Tensor::from_slice(device, &values, [count])
}

fn embeddings(suite: &mut Suite) {
    let (count, row) = (4096, 160);
    for vocabulary in VOCABULARIES {
        let shape = format!("{count} of {vocabulary}x{row}");
        suite.case("token", "embedding", &shape, |device| {
            let table = input::normal(device, [vocabulary, row])?;
            let tokens = tokens(device, count, vocabulary)?;
            let g = input::normal(device, [count, row])?;
            Ok(move || {
                let tape = Tape::new();
                tape.leaf(&table).embedding(&tokens)?.backward_from(&g).map(drop)
            })
        });
    }
}

fn paths(suite: &mut Suite) {
    let [s, b, d] = if suite.options.quick { [256, 8, 160] } else { [512, 16, 512] };
    let shape = format!("{s}x{b}x{d}");
    suite.case("token", "token_shift", &shape, |device| {
        let x = input::normal(device, [s, b, d])?;
        let mix = input::normal(device, [d])?;
        Ok(move || {
            let tape = Tape::new();
            let y = tape.leaf(&x).token_shift(&tape.leaf(&mix), None)?;
            y.backward_from(&x).map(drop)
        })
    });
    suite.case("token", "mix", &shape, |device| {
        let (x, raw) = (input::normal(device, [s, b, d])?, input::normal(device, [1])?);
        Ok(move || {
            let tape = Tape::new();
            let y = tape.leaf(&x).mix(&tape.leaf(&x), &tape.leaf(&raw))?;
            y.backward_from(&x).map(drop)
        })
    });
    suite.case("token", "top_k_mask", &shape, |device| {
        let x = input::normal(device, [s, b, d])?;
        Ok(move || {
            let tape = Tape::new();
            tape.leaf(&x).top_k_mask(d / 10)?.backward_from(&x).map(drop)
        })
    });
}

/// Loss and gradients of a head, and the three products that a plain layer of its size takes.
fn losses(suite: &mut Suite) {
    let sizes = [[2048, 5_903, 160], [2048, 48_000, 160]];
    for [n, v, k] in if suite.options.quick { &sizes[..1] } else { &sizes[..] }.iter().copied() {
        let shape = format!("{n}x{v}x{k}");
        let plain = suite.case("token", "three products", &shape, |device| {
            let (x, w) = (input::normal(device, [n, k])?, input::normal(device, [v, k])?);
            // The gradient of the logits, in blocks of rows that a binding holds.
            let rows = n.min((1 << 24) / v);
            let x = Tensor::from_slice(device, &x.to_vec::<f32>()?[..rows * k], [rows, k])?;
            Ok(move || {
                for _ in 0..n.div_ceil(rows) {
                    let g = matmul(&x, &w, Layout::NT)?;
                    matmul(&g, &w, Layout::NN).map(drop)?;
                    matmul(&g, &x, Layout::TN).map(drop)?;
                }
                Ok(())
            })
        });
        let fused = suite.case("token", "linear_cross_entropy", &shape, |device| {
            let x = input::scaled_normal(device, [n, k], 0.5)?;
            let w = input::scaled_normal(device, [v, k], 0.2)?;
            let targets = tokens(device, n, v)?;
            Ok(move || {
                let tape = Tape::new();
                let (x, w) = (tape.leaf(&x), tape.leaf(&w));
                linear_cross_entropy(&x, &w, &targets)?.backward().map(drop)
            })
        });
        let time = |rows: &[crate::harness::Row]| rows.iter().map(|r| r.median).sum::<f64>();
        if !plain.is_empty() && !fused.is_empty() {
            let name = format!("linear_cross_entropy {shape} over three products");
            suite.figure(name, time(&fused) / time(&plain), "x");
        }
    }
}
