//! Tables, embeddings and matrices with numbers that are not finite.

use super::subjects;
use super::{PLANTED, WITHOUT_ENDS, faults, input, none, singly};
use kernels_tests::{Random, Subject};
use spikegrad::spectral::{Form, HardClip, Polar, SpectralClip, spectral_norm};
use spikegrad::{Result, Tape, Tensor, Var, fourier};

#[test]
pub(super) fn rows_of_a_table() {
    let mut all = Vec::new();
    for shape in [&[12usize, 16] as &'static [usize], &[11, 13]] {
        // Tokens that occur once, often and never; padding.
        let tokens = [3u32, 0, 7, 3, 3, 10, 1, 5, 6, 3];
        for padding in [None, Some(3), Some(99)] {
            let what = format!("embedding {shape:?}, padding {padding:?}");
            all.extend(faults(&what, &PLANTED, 1e-6, &[input(shape, -1.0, 1.0)], |v| {
                let tokens = Tensor::from_slice(v[0].device(), &tokens, [2, 5])?;
                v[0].embedding_padded(&tokens, padding)
            }));
        }
    }
    none(&all);
}

#[test]
pub(super) fn lines_in_the_values_of_nodes() {
    let nodes = [input(&[3, 12], -1.0, 1.0), input(&[2, 3, 2, 5], -1.0, 1.0)];
    let mut all =
        singly("node lines", &PLANTED, 1e-5, &nodes, |v| fourier::node_lines(&v[0], &v[1]));
    let tokens = [
        input(&[9], -1.0, 1.0),
        input(&[9], 0.5, 1.0),
        input(&[4, 11], 0.5, 1.0),
        input(&[2, 3, 11], 0.5, 1.5),
    ];
    // The gradient of a step sums products of lines with gradients over all windows.
    all.extend(faults("token lines", &WITHOUT_ENDS, 1e-4, &tokens, |v| {
        fourier::token_lines(&v[0], &v[1], &v[2], &v[3])
    }));
    none(&all);
}

/// A matrix with a number that is not finite has none that is in its outcome and gradient; those before
/// and after it are what they were.
#[test]
pub(super) fn matrices() {
    type Run = fn(&Var) -> Result<Var>;
    let runs: [(&str, Run); 4] = [
        ("clip", |x| x.spectral_clip(&SpectralClip::new(0.5))),
        ("minimax clip", |x| x.spectral_clip(&SpectralClip::new(0.5).form(Form::Minimax))),
        ("polar", |x| x.polar(&Polar::muon(5))),
        ("hard clip", |x| x.hard_clip(&HardClip::new(0.5))),
    ];
    for shape in [[3usize, 6, 9], [3, 9, 5], [3, 1, 9], [3, 36, 65]] {
        let count = shape[1] * shape[2];
        let plain = Random::new(9).values(3 * count, -1.0, 1.0);
        for Subject { label, device } in subjects() {
            let tensor = |x: &[f32]| Tensor::from_slice(device, x, shape).unwrap();
            for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut planted = plain.clone();
                planted[count + 5] = fault;
                let norms = spectral_norm(&tensor(&planted), 3).unwrap().to_vec::<f32>().unwrap();
                let finite: Vec<bool> = norms.iter().map(|v| v.is_finite()).collect();
                assert_eq!(finite, [true, false, true], "spectral norm on {label}: {norms:?}");
                for (what, run) in runs {
                    let outcome = |x: &[f32]| {
                        let (tape, x) = (Tape::new(), tensor(x));
                        let leaf = tape.leaf(&x);
                        let y = run(&leaf).unwrap();
                        let g = y.backward_from(&tensor(&plain)).unwrap();
                        let alone = run(&tape.constant(&x)).unwrap();
                        [y.value(), g.get(&leaf).unwrap(), alone.value()]
                            .map(|t| t.to_vec::<f32>().unwrap())
                    };
                    let (found, expected) = (outcome(&planted), outcome(&plain));
                    for (found, expected) in found.iter().zip(&expected) {
                        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
                            let right = if i / count == 1 { !f.is_finite() } else { f == e };
                            assert!(right, "{what} of {fault} on {label}: [{i}] is {f}, was {e}");
                        }
                    }
                }
            }
        }
    }
}
