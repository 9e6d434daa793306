//! What is not finite reaches, through attention, what sees it, and nothing else: elsewhere numbers are
//! what they would be without.

use super::subjects;
use kernels_tests::{Random, Subject};
use spikegrad::attention::SpikeAttention;
use spikegrad::{Device, Tape, Tensor};

const STEPS: usize = 75;
const WIDTH: usize = 8;

/// Attention with one head, and which of its positions are open.
#[derive(Clone, Copy)]
struct Case {
    window: usize,
    anchors: usize,
    /// One position in so many is silent.
    silent: usize,
}

/// Query, key, value, and the gradient from above.
const PLACES: [&str; 4] = ["q", "k", "v", "go"];

impl Case {
    fn is_open(&self, i: usize) -> bool {
        i % self.silent != self.silent - 1
    }

    fn sees(&self, i: usize, j: usize) -> bool {
        self.is_open(i) && self.is_open(j) && j <= i && (i - j <= self.window || j < self.anchors)
    }

    /// Output, and gradients of q, k and v.
    fn run(&self, device: &Device, inputs: &[Vec<f32>; 4]) -> [Vec<f32>; 4] {
        let shape = [STEPS, 1, WIDTH];
        let tensor = |x: &Vec<f32>| Tensor::from_slice(device, x, shape).unwrap();
        let tape = Tape::new();
        let [q, k, v] = [0, 1, 2].map(|i| tape.leaf(&tensor(&inputs[i])));
        let open: Vec<u32> = (0..STEPS).map(|i| u32::from(self.is_open(i))).collect();
        let open = Tensor::from_slice(device, &open, [STEPS, 1]).unwrap();
        let attention = SpikeAttention::new(1).window(self.window).anchors(self.anchors);
        let attention = attention.rotary(None);
        let y = attention.attend_gated(&q, &k, &v, &open, Some(&open)).unwrap();
        let found = y.value().to_vec().unwrap();
        let g = y.backward_from(&tensor(&inputs[3])).unwrap();
        let [q, k, v] = [&q, &k, &v].map(|leaf| g.get(leaf).unwrap().to_vec().unwrap());
        [found, q, k, v]
    }

    /// Whether element (row, c) of outcome `out` depends on channel `channel` of row `at` of `place`.
    fn depends(
        &self,
        place: usize,
        (at, channel): (usize, usize),
        out: usize,
        (row, c): (usize, usize),
    ) -> bool {
        // The queries whose weights, or whose weights' gradients, depend on it.
        let changed = |i: usize| match place {
            0 | 3 => i == at && self.is_open(i),
            _ => self.sees(i, at),
        };
        match (out, place) {
            (0, 3) | (3, 2) => false,
            (0, 2) => self.sees(row, at) && c == channel,
            (0 | 1, _) => changed(row),
            (3, 3) => self.sees(at, row) && c == channel,
            _ => (0..STEPS).any(|i| changed(i) && self.sees(i, row)),
        }
    }
}

fn check(case: Case, label: &str, device: &Device) {
    let plain: [Vec<f32>; 4] =
        [5, 6, 7, 8].map(|seed| Random::new(seed).values(STEPS * WIDTH, -1.0, 1.0));
    let expected = case.run(device, &plain);
    for (place, name) in PLACES.into_iter().enumerate() {
        // Seen by all; in the middle of a tile; silent, perhaps; the last.
        for at in [0, 3, 37, STEPS - 1] {
            for fault in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let channel = at % WIDTH;
                let mut inputs = plain.clone();
                inputs[place][at * WIDTH + channel] = fault;
                let found = case.run(device, &inputs);
                for (out, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
                        let to = (i / WIDTH, i % WIDTH);
                        let right = match case.depends(place, (at, channel), out, to) {
                            // exp(-infinity) = 0 takes a key out.
                            true => !f.is_finite() || (name == "k" && fault.is_infinite()),
                            false => (f - e).abs() <= 1e-5 * e.abs().max(1.0),
                        };
                        assert!(
                            right,
                            "{label}, window {} and {} anchors: {fault} in row {at} of {name}: \
                             outcome {out} at {to:?} is {f}, without it {e}",
                            case.window, case.anchors
                        );
                    }
                }
            }
        }
    }
}

#[test]
pub(super) fn reaches_what_sees_it_and_nothing_else() {
    let cases = [
        Case { window: STEPS, anchors: 0, silent: STEPS + 1 },
        Case { window: 9, anchors: 0, silent: STEPS + 1 },
        Case { window: 9, anchors: 5, silent: 4 },
        Case { window: 40, anchors: 2, silent: 7 },
    ];
    for case in cases {
        for Subject { label, device } in subjects() {
            check(case, label, device);
        }
    }
}
