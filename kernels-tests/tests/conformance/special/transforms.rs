//! What is not finite makes all that comes of its line NaN or infinite, and leaves other lines alone:
//! every plan of a transform, forward and backward.

use super::subjects;
use kernels_tests::{Random, Subject};
use spikegrad::fourier::Scaling;
use spikegrad::{Device, Result, Tape, Tensor, Var};

/// A transform along the middle of `[outer, length, inner]`, its words before and after, and points.
#[derive(Clone, Copy)]
struct Transform {
    name: &'static str,
    run: fn(&Var, usize) -> Result<Var>,
    /// Words of a point, and whether there are only those of half a spectrum.
    before: (usize, bool),
    after: (usize, bool),
}

const TRANSFORMS: [Transform; 4] = [
    Transform {
        name: "fft",
        run: |x, _| x.fft(1, Scaling::Ortho),
        before: (2, false),
        after: (2, false),
    },
    Transform {
        name: "ifft",
        run: |x, _| x.ifft(1, Scaling::ByLength),
        before: (2, false),
        after: (2, false),
    },
    Transform {
        name: "rfft",
        run: |x, _| x.rfft(1, Scaling::None),
        before: (1, false),
        after: (2, true),
    },
    Transform {
        name: "irfft",
        run: |x, n| x.irfft(n, 1, Scaling::Ortho),
        before: (2, true),
        after: (1, false),
    },
];

/// Numbers of one side of a transform: `[outer, points, inner, words]`.
#[derive(Clone, Copy)]
struct Side {
    outer: usize,
    points: usize,
    inner: usize,
    words: usize,
}

impl Side {
    fn of((words, half): (usize, bool), [outer, length, inner]: [usize; 3]) -> Self {
        let points = if half { length / 2 + 1 } else { length };
        Self { outer, points, inner, words }
    }

    fn count(&self) -> usize {
        self.outer * self.points * self.inner * self.words
    }

    fn shape(&self) -> Vec<usize> {
        let shape = vec![self.outer, self.points, self.inner];
        if self.words == 2 { [shape, vec![2]].concat() } else { shape }
    }

    /// The line that element i belongs to.
    fn line(&self, i: usize) -> usize {
        let i = i / self.words;
        i / self.inner / self.points * self.inner + i % self.inner
    }

    /// The elements of a line.
    fn elements(&self, line: usize) -> Vec<usize> {
        (0..self.count()).filter(|i| self.line(*i) == line).collect()
    }
}

/// Outcome, and gradient for `seed`.
fn run(
    device: &Device,
    transform: Transform,
    [before, after]: [Side; 2],
    length: usize,
    [x, seed]: [&[f32]; 2],
) -> [Vec<f32>; 2] {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::from_slice(device, x, before.shape()).unwrap());
    let y = (transform.run)(&x, length).unwrap();
    let g = y.backward_from(&Tensor::from_slice(device, seed, after.shape()).unwrap()).unwrap();
    [y.value().to_vec().unwrap(), g.get(&x).unwrap().to_vec().unwrap()]
}

/// What is planted into lines with others between: at the first, the second and the last element, and at
/// one further back than half.
const FAULTS: [f32; 4] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];

/// These lines.
const PLANTED: [usize; 4] = [1, 2, 5, 7];

/// The element of line number `which` of those where something is planted.
fn place(side: Side, which: usize) -> usize {
    let elements = side.elements(PLANTED[which]);
    let last = elements.len() - 1;
    elements[[0, 1.min(last), last, 2 * last / 3][which]]
}

fn check(label: &str, device: &Device, transform: Transform, extents: [usize; 3]) {
    let [before, after] = [transform.before, transform.after].map(|side| Side::of(side, extents));
    let mut random = Random::new(11);
    let plain = [before, after].map(|side| random.values(side.count(), -1.0, 1.0));
    let expected = run(device, transform, [before, after], extents[1], [&plain[0], &plain[1]]);
    // Lines beside the planted ones may have been transformed in another way.
    let tolerance = 4e-6 * (extents[1] as f32).sqrt();
    let directions = [("outcome", before, after), ("gradient", after, before)];
    for (which, (what, from, to)) in directions.into_iter().enumerate() {
        let mut planted = plain.clone();
        for (i, fault) in FAULTS.into_iter().enumerate() {
            planted[which][place(from, i)] = fault;
        }
        let found = run(device, transform, [before, after], extents[1], [&planted[0], &planted[1]]);
        for (i, (f, e)) in found[which].iter().zip(&expected[which]).enumerate() {
            let right = match PLANTED.contains(&to.line(i)) {
                true => !f.is_finite(),
                false => (f - e).abs() <= tolerance,
            };
            assert!(
                right,
                "{} of {extents:?} on {label}, planted in lines {:?}: {what} {i}, of line {}, is {f}, \
                 without that {e}",
                transform.name,
                PLANTED,
                to.line(i)
            );
        }
    }
}

/// Lines that follow each other, and lines that stand side by side.
fn check_all(extents: &[[usize; 3]]) {
    for Subject { label, device } in subjects() {
        for transform in TRANSFORMS {
            for extents in extents {
                check(label, device, transform, *extents);
            }
        }
    }
}

/// Lines for every kernel of a transform.
pub(super) fn some_lines() {
    check_all(&[[9, 16, 1], [2, 41, 19], [8, 8192, 1]]);
}

#[test]
fn short_lines() {
    let lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14, 16, 37, 41, 60, 82, 97];
    for length in lengths {
        check_all(&[[9, length, 1], [2, length, 19]]);
    }
}

#[test]
fn long_lines() {
    // Large primes; more than workgroup memory holds; a prime of that kind.
    check_all(&[[8, 128, 1], [8, 1009, 1], [3, 2018, 3], [8, 8192, 1], [8, 4099, 1]]);
}
