//! Conformance of the `token` family.

use kernels_tests::{Random, conform, conform_sums, oracle, subjects};
use proptest::prelude::*;
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var, token};

fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

fn random_f64(seed: u64, count: usize) -> Vec<f64> {
    Random::new(seed).values(count, -1.0, 1.0).iter().map(|v| f64::from(*v)).collect()
}

/// The token that is padding, where there is one.
const PADDING: u32 = u32::MAX;

/// Where the tokens of a test come from.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Even,
    /// Most of them are one token, as spaces are in text.
    Skewed,
    /// Some are padding.
    Spoilt,
}

fn numbers(count: usize, vocabulary: usize, draw: Draw) -> Vec<u32> {
    let mut random = Random::new((count + vocabulary) as u64);
    let mut token = |i: usize| {
        let even = random.word() % vocabulary as u32;
        match draw {
            Draw::Skewed if !random.word().is_multiple_of(4) => vocabulary as u32 / 2,
            Draw::Spoilt if i.is_multiple_of(5) => PADDING,
            _ => even,
        }
    };
    (0..count).map(&mut token).collect()
}

/// The rows of some tokens and the gradient of the table, for a gradient of the rows that is `seen`.
fn embed(
    device: &Device,
    shape: &[usize],
    table: [usize; 2],
    draw: Draw,
    seen: fn(f32) -> f32,
) -> Result<Vec<Tensor>> {
    let count = shape.iter().product();
    let tokens = Tensor::from_slice(device, &numbers(count, table[0], draw), shape)?;
    let tape = Tape::new();
    let leaf = tape.leaf(&data(device, &table, 1)?);
    let y = leaf.embedding_padded(&tokens, Some(PADDING))?;
    let terms = Random::new(2).values(y.value().count(), -1.0, 1.0).into_iter().map(seen);
    let g = y.backward_from(&Tensor::from_slice(device, &terms.collect::<Vec<_>>(), y.shape())?)?;
    Ok(vec![y.value().clone(), g.get(&leaf).unwrap().clone()])
}

/// Rows to the last bit of their largest, and their gradient as the sum that it is.
fn check_embedding(shape: &[usize], table: [usize; 2], draw: Draw) {
    let what = format!("embedding of {shape:?} in {table:?}, {draw:?}");
    let run = |seen: fn(f32) -> f32| move |d: &Device| embed(d, shape, table, draw, seen);
    conform_sums(&what, 1e-6, run(f32::abs), run(|g| g));
}

#[test]
fn embeddings_agree_with_the_oracle() {
    let cases: [(&[usize], [usize; 2]); 12] = [
        // 142 terms of about 0.5 whose sum is 0.07.
        (&[177], [1, 1]),
        (&[1], [1, 1]),
        (&[], [3, 4]),
        (&[7], [2, 3]),
        (&[31, 3], [65, 20]),
        (&[257], [255, 5]),
        (&[1030], [256, 8]),
        (&[1030], [257, 4]),
        (&[4096], [65, 12]),
        (&[16, 8, 4], [5_903, 16]),
        (&[500], [70_001, 3]),
        (&[40], [17_000_000, 1]),
    ];
    for (shape, table) in cases {
        for draw in [Draw::Even, Draw::Skewed, Draw::Spoilt] {
            if table[0] > 100_000 && !matches!(draw, Draw::Even) {
                continue;
            }
            check_embedding(shape, table, draw);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn embeddings_of_any_size_agree(
        count in 1usize..700, vocabulary in 1usize..400, row in 1usize..12, skewed in any::<bool>(),
    ) {
        let draw = if skewed { Draw::Skewed } else { Draw::Spoilt };
        check_embedding(&[count], [vocabulary, row], draw);
    }
}

#[test]
fn gradients_of_a_table_are_sums_over_positions() {
    // Against the plain sum: the order, the pieces and the digits are no part of the outcome.
    for subject in subjects() {
        for (count, vocabulary) in [(1000, 7), (700, 300), (300, 70_000)] {
            let tokens = numbers(count, vocabulary, Draw::Skewed);
            let device = &subject.device;
            let tape = Tape::new();
            let table = tape.leaf(&Tensor::zeros(device, [vocabulary, 4], DType::F32).unwrap());
            let y =
                table.embedding(&Tensor::from_slice(device, &tokens, [count]).unwrap()).unwrap();
            let seed: Vec<f32> = (0..count * 4).map(|i| (i % 13) as f32).collect();
            let seed_tensor = Tensor::from_slice(device, &seed, [count, 4]).unwrap();
            let g = y.backward_from(&seed_tensor).unwrap();
            let mut expected = vec![0.0f32; vocabulary * 4];
            for (i, token) in tokens.iter().enumerate() {
                for c in 0..4 {
                    expected[*token as usize * 4 + c] += seed[i * 4 + c];
                }
            }
            let found = g.get(&table).unwrap().to_vec::<f32>().unwrap();
            assert_eq!(found, expected, "{} {count} {vocabulary}", subject.label);
        }
    }
}

#[test]
fn padding_reads_zeros_and_gives_nothing() {
    for (subject, padding) in subjects().iter().flat_map(|s| [(s, 0), (s, 2), (s, u32::MAX)]) {
        let device = &subject.device;
        let tape = Tape::new();
        let table = tape.leaf(&spikegrad::elementwise::full(device, [2, 3], 1.0).unwrap());
        let tokens = Tensor::from_slice(device, &[1u32, padding, padding], [3]).unwrap();
        let y = table.embedding_padded(&tokens, Some(padding)).unwrap();
        let rows = [[1.0f32; 3], [0.0; 3], [0.0; 3]].concat();
        assert_eq!(y.value().to_vec::<f32>().unwrap(), rows, "{}", subject.label);
        let seed = spikegrad::elementwise::full(device, [3, 3], 2.0).unwrap();
        let g = y.backward_from(&seed).unwrap();
        let expected = [[0.0f32; 3], [2.0; 3]].concat();
        assert_eq!(g.get(&table).unwrap().to_vec::<f32>().unwrap(), expected, "{}", subject.label);
    }
    assert!(token::check_tokens(&[0, 4, 2], 5).is_ok());
    let found = token::check_tokens(&[0, 5, 2], 5).unwrap_err();
    assert!(matches!(found, Error::Argument { .. }));
    assert!(found.to_string().contains("token 5 at position 1, allowed are 0 to 4"), "{found}");
}

/// Inputs x, mix, previous.
fn shifted(device: &Device, [s, b, d]: [usize; 3], with_previous: bool) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let x = tape.leaf(&data(device, &[s, b, d], 1)?);
    let mix = tape.leaf(&data(device, &[d], 2)?);
    let previous = tape.leaf(&data(device, &[b, d], 3)?);
    let y = x.token_shift(&mix, with_previous.then_some(&previous))?;
    let g = y.backward_from(&data(device, &[s, b, d], 4)?)?;
    let gradients = [&x, &mix, &previous].into_iter().filter_map(|leaf| g.get(leaf).cloned());
    Ok([y.value().clone()].into_iter().chain(gradients).collect())
}

#[test]
fn token_shifts_agree_with_the_oracle() {
    let shapes = [[1, 1, 1], [2, 3, 5], [37, 2, 12], [5, 1, 130], [401, 3, 8], [65_537, 1, 4]];
    for shape in shapes {
        for with_previous in [false, true] {
            conform(&format!("token_shift {shape:?} {with_previous}"), 5e-6, |device| {
                shifted(device, shape, with_previous)
            });
        }
    }
}

#[test]
fn a_sequence_shifted_in_chunks_is_the_whole_one_shifted() {
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::off();
        let x = tape.leaf(&data(device, &[9, 2, 4], 1).unwrap());
        let mix = tape.leaf(&data(device, &[4], 2).unwrap());
        let whole = x.token_shift(&mix, None).unwrap();
        let first = x.narrow(0, 0..4).unwrap();
        let last = first.narrow(0, 3..4).unwrap().value().reshape([2, 4]).unwrap();
        let second = x.narrow(0, 4..9).unwrap();
        let parts = [
            first.token_shift(&mix, None).unwrap(),
            second.token_shift(&mix, Some(&tape.constant(&last))).unwrap(),
        ];
        let joined: Vec<f32> =
            parts.iter().flat_map(|p| p.value().to_vec::<f32>().unwrap()).collect();
        assert_eq!(joined, whole.value().to_vec::<f32>().unwrap(), "{}", subject.label);
    }
}

fn mixed(device: &Device, shape: &[usize], raw: f32, raw_shape: &[usize]) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let (a, b) = (tape.leaf(&data(device, shape, 1)?), tape.leaf(&data(device, shape, 2)?));
    let raw = tape.leaf(&Tensor::from_slice(device, &[raw], raw_shape)?);
    let y = a.mix(&b, &raw)?;
    let g = y.backward_from(&data(device, shape, 3)?)?;
    let gradients = [&a, &b, &raw].map(|leaf| g.get(leaf).unwrap().clone());
    Ok([y.value().clone()].into_iter().chain(gradients).collect())
}

#[test]
fn mixes_agree_with_the_oracle() {
    let shapes: [&[usize]; 6] = [&[1], &[3, 5], &[2, 2, 2], &[31, 7, 11], &[64, 100], &[259, 1031]];
    for shape in shapes {
        for (raw, raw_shape) in [(0.0, &[][..]), (-2.5, &[1]), (9.0, &[1, 1])] {
            let what = format!("mix {shape:?} by {raw}");
            conform(&what, 1e-5, |device| mixed(device, shape, raw, raw_shape));
        }
    }
}

/// Values of which many are equal, both zeros among them.
fn ranked(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let mut random = Random::new(shape.len() as u64);
    let mut value = || match random.word() % 9 {
        0 => -0.0,
        level => (level as f32 - 5.0) * (1.0 + (random.word() % 3) as f32),
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
    Tensor::from_slice(device, &values, shape)
}

#[test]
fn masks_of_the_largest_agree_with_the_oracle() {
    let shapes: [&[usize]; 6] = [&[1], &[3, 7], &[2, 5, 64], &[40, 65], &[3, 1031], &[5003, 3]];
    for shape in shapes {
        let length = shape[shape.len() - 1];
        for k in [1, length.div_ceil(9), length] {
            conform(&format!("top {k} of {shape:?}"), 1e-6, |device| {
                let mut out = Vec::new();
                for x in [data(device, shape, 1)?, ranked(device, shape)?] {
                    let tape = Tape::new();
                    let x = tape.leaf(&x);
                    let y = x.top_k_mask(k)?;
                    if shape.len() > 1 {
                        out.push(y.pack()?.value().clone());
                    }
                    let g = y.backward_from(&data(device, shape, 2)?)?;
                    out.extend([y.value().clone(), g.get(&x).unwrap().clone()]);
                }
                Ok(out)
            });
        }
    }
}

#[test]
fn masks_have_k_ones_and_take_the_first_of_equals() {
    for subject in subjects() {
        let tape = Tape::off();
        let x = [3.0f32, 1.0, 2.0, 3.0, -0.0, 3.0, 0.0, 0.0, -1.0, f32::MAX, -5.0, f32::MIN];
        let x = tape.leaf(&Tensor::from_slice(&subject.device, &x, [2, 6]).unwrap());
        for (k, expected) in
            [(2, [1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]), (3, [1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 0, 0])]
        {
            let expected = expected.map(|v| v as f32);
            let mut found = x.top_k_mask(k).unwrap().value().to_vec::<f32>().unwrap();
            if k == 2 {
                // Of the two zeros of the second row only the first counts.
                assert_eq!(found[6..8], [1.0, 0.0], "{}", subject.label);
                found[6] = 0.0;
            }
            assert_eq!(found, expected, "{} {k}", subject.label);
        }
    }
}

#[test]
fn the_gradient_of_a_mask_is_that_of_its_surrogate() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from_slice(oracle(), &[0.5f64, -0.25, 2.0], [3]).unwrap());
    let y = x.top_k_mask(2).unwrap();
    let seed = Tensor::from_slice(oracle(), &[1.0f64, 2.0, -3.0], [3]).unwrap();
    let g = y.backward_from(&seed).unwrap();
    let slope = |u: f64| 1.0 / (1.0 + (std::f64::consts::PI * u).powi(2));
    let expected = [slope(0.0), 2.0 * slope(-0.75), -3.0 * slope(1.5)];
    for (found, expected) in g.get(&x).unwrap().to_vec::<f64>().unwrap().iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn gradients_match_differences() {
    let x = [3, 2, 5].as_slice();
    let inputs = [
        (random_f64(1, 30), x),
        (random_f64(2, 30), x),
        (random_f64(3, 5), &[5]),
        (random_f64(4, 10), &[2, 5]),
        (random_f64(5, 1), &[]),
        (random_f64(6, 28), &[7, 4]),
    ];
    let outcome = gradient_check(&inputs, 1e-5, |v: &[Var]| {
        let tokens = Tensor::from_slice(v[0].device(), &[6u32, 0, 6, 7, 3, 6], [2, 3])?;
        Ok(vec![
            v[0].token_shift(&v[2], None)?,
            v[1].token_shift(&v[2], Some(&v[3]))?,
            v[0].mix(&v[1], &v[4])?,
            v[5].embedding_padded(&tokens, Some(7))?,
        ])
    });
    let outcome = outcome.unwrap();
    assert!(outcome.error < 1e-7, "{outcome:?}");
}

#[test]
fn the_same_program_gives_the_same_bits() {
    for subject in subjects() {
        let device = &subject.device;
        let run = || -> Vec<Vec<u32>> {
            let out = [
                embed(device, &[3000], [65, 12], Draw::Skewed, |g| g).unwrap(),
                shifted(device, [300, 2, 33], true).unwrap(),
                mixed(device, &[70, 1001], 0.3, &[]).unwrap(),
            ];
            let bits =
                |t: &Tensor| t.to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
            out.iter().flatten().map(bits).collect()
        };
        assert_eq!(run(), run(), "{}", subject.label);
    }
}

#[test]
fn nothing_in_nothing_out() {
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let zeros = |shape: &[usize], dtype| Tensor::zeros(device, shape, dtype).unwrap();
        for (count, table) in [(0, [3, 2]), (4, [3, 0]), (4, [0, 2])] {
            let leaf = tape.leaf(&zeros(&table, DType::F32));
            // In an empty table there is nothing but padding.
            let padding = Some(0).filter(|_| table[0] == 0);
            let y = leaf.embedding_padded(&zeros(&[count], DType::U32), padding).unwrap();
            assert_eq!(*y.shape(), [count, table[1]]);
            assert!(y.value().to_vec::<f32>().unwrap().iter().all(|v| *v == 0.0));
            let tape = Tape::new();
            let leaf = tape.leaf(leaf.value());
            let y = leaf.embedding_padded(&zeros(&[count], DType::U32), padding).unwrap();
            let g = y.backward_from(&zeros(y.shape(), DType::F32)).unwrap();
            let gradient = g.get(&leaf).unwrap().to_vec::<f32>().unwrap();
            assert!(gradient.iter().all(|v| *v == 0.0), "{}", subject.label);
        }
        for shape in [[0, 2, 3], [2, 0, 3], [2, 3, 0]] {
            let out = shifted(device, shape, true).unwrap();
            let zero = |t: &Tensor| t.to_vec::<f32>().unwrap().iter().all(|v| *v == 0.0);
            assert!(out.iter().all(zero), "{}", subject.label);
            let out = mixed(device, &shape, 1.0, &[]).unwrap();
            assert!(out.iter().all(zero), "{}", subject.label);
            if shape[2] > 0 {
                let x = tape.leaf(&zeros(&shape, DType::F32));
                assert_eq!(x.top_k_mask(1).unwrap().value().count(), 0);
            }
        }
    }
}

#[test]
fn mistakes_are_errors() {
    let tape = Tape::new();
    let zeros = |shape: &[usize], dtype| tape.leaf(&Tensor::zeros(oracle(), shape, dtype).unwrap());
    let float = |shape: &[usize]| zeros(shape, DType::F32);
    let tokens = Tensor::zeros(oracle(), [2], DType::U32).unwrap();
    let elsewhere = Device::host();
    let far = tape.leaf(&Tensor::zeros(&elsewhere, [3], DType::F32).unwrap());
    let far_tokens = Tensor::zeros(&elsewhere, [2], DType::U32).unwrap();
    let x = float(&[4, 2, 3]);
    let (mix, previous) = (float(&[3]), float(&[2, 3]));
    let refused = [
        float(&[3]).embedding(&tokens),
        float(&[3, 2, 2]).embedding(&tokens),
        zeros(&[3, 2], DType::U32).embedding(&tokens),
        float(&[3, 2]).embedding(float(&[2]).value()),
        float(&[3, 2]).embedding(&far_tokens),
        float(&[]).token_shift(&mix, None),
        float(&[3]).token_shift(&mix, None),
        x.token_shift(&float(&[2]), None),
        x.token_shift(&float(&[1, 3]), None),
        x.token_shift(&mix, Some(&float(&[3, 2]))),
        x.token_shift(&far, None),
        zeros(&[4, 2, 3], DType::Bits).token_shift(&mix, None),
        x.token_shift(&mix, Some(&Tape::new().leaf(previous.value()))),
        x.top_k_mask(0),
        x.top_k_mask(4),
        float(&[]).top_k_mask(1),
        float(&[2, 0]).top_k_mask(1),
        zeros(&[4, 2, 3], DType::Bits).top_k_mask(1),
        x.mix(&previous, &float(&[])),
        x.mix(&x, &float(&[2])),
        x.mix(&x, &float(&[0])),
        x.mix(&zeros(&[4, 2, 3], DType::Bits), &float(&[])),
        x.mix(&x, &zeros(&[1], DType::U32)),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
}
