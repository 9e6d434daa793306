//! Conformance of the `layout` family.

use kernels_tests::{Random, conform};
use proptest::prelude::*;
use spikegrad::tape::{adjoint_gap, gradient_check};
use spikegrad::{DType, Device, Result, Tape, Tensor, Var, layout};

fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.5), shape)
}

/// Whole numbers, as u32.
fn words(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    Tensor::from_slice(device, &(0..count as u32).collect::<Vec<_>>(), shape)
}

fn spikes(device: &Device, shape: &[usize]) -> Result<Tensor> {
    let mut random = Random::new(3);
    let count: usize = shape.iter().product();
    let values: Vec<bool> = (0..count).map(|_| random.word().is_multiple_of(3)).collect();
    Tensor::from_bools(device, &values, shape)
}

/// Runs an operator with its backward everywhere; moving elements is exact.
fn exact(what: &str, shape: &[usize], op: impl Fn(&Var) -> Result<Var>) {
    within(0.0, what, shape, op);
}

fn within(tolerance: f64, what: &str, shape: &[usize], op: impl Fn(&Var) -> Result<Var>) {
    conform(what, tolerance, |device| {
        let tape = Tape::new();
        let x = tape.leaf(&data(device, shape, 1)?);
        let y = op(&x)?;
        let g = y.backward_from(&data(device, y.shape(), 2)?)?.get(&x).unwrap().clone();
        Ok(vec![y.value().clone(), g])
    });
}

/// The permutation of a list by a definition of its own.
fn permuted(values: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let dims: Vec<usize> = order.iter().map(|a| shape[*a]).collect();
    let element = |mut i: usize| {
        let mut at = vec![0; shape.len()];
        for (axis, extent) in order.iter().zip(&dims).rev() {
            at[*axis] = i % extent;
            i /= extent;
        }
        values[at.iter().zip(shape).fold(0, |sum, (c, extent)| sum * extent + c)]
    };
    (0..values.len()).map(element).collect()
}

#[test]
fn permutations_move_elements_where_they_belong() {
    let cases: [(&[usize], &[usize]); 11] = [
        (&[33, 65], &[1, 0]),
        // More than one task of the host's twin, which begin within runs.
        (&[50, 7, 23], &[1, 2, 0]),
        (&[3, 70, 61], &[0, 2, 1]),
        (&[3, 40, 9], &[0, 2, 1]),
        (&[1, 40, 9, 1], &[3, 2, 0, 1]),
        (&[2, 3, 4], &[2, 0, 1]),
        (&[2, 3, 4], &[2, 1, 0]),
        (&[2, 3, 4], &[0, 1, 2]),
        (&[2, 3, 2, 3, 2, 1, 2, 3], &[7, 5, 3, 1, 6, 4, 2, 0]),
        (&[0, 3], &[1, 0]),
        (&[1, 1], &[1, 0]),
    ];
    for (shape, order) in cases {
        exact(&format!("permute {shape:?} by {order:?}"), shape, |x| x.permute(order));
        let x = data(&Device::oracle(), shape, 1).unwrap();
        let values = x.to_vec::<f32>().unwrap();
        let y = layout::permute(&x, order).unwrap().to_vec::<f32>().unwrap();
        assert_eq!(y, permuted(&values, shape, order), "{shape:?} by {order:?}");
    }
}

#[test]
fn packed_spikes_and_words_move_too() {
    conform("bits and words", 0.0, |device| {
        let (s, w) = (spikes(device, &[45, 20, 10])?, words(device, &[40, 70])?);
        Ok(vec![
            layout::permute(&s, &[0, 2, 1])?,
            layout::slice(&s, &[0..45, 3..7, 1..10])?,
            layout::pad(&s, &[(0, 0), (1, 0), (0, 2)])?,
            layout::concat_tensors(&[&s, &s], 2)?,
            layout::transpose(&w)?,
            layout::slice(&w, &[3..4, 0..69])?,
            layout::pad(&w, &[(1, 2), (3, 4)])?,
            layout::expand(&layout::slice(&w, &[0..1, 0..70])?, [3, 70])?,
        ])
    });
    let s = spikes(&Device::host(), &[45, 2, 3]).unwrap();
    let (flat, moved) = (s.to_bools().unwrap(), layout::permute(&s, &[0, 2, 1]).unwrap());
    let moved = moved.to_bools().unwrap();
    for (t, i, j) in [(0, 0, 0), (44, 1, 2), (33, 0, 2), (20, 1, 0)] {
        assert_eq!(flat[t * 6 + i * 3 + j], moved[t * 6 + j * 2 + i]);
    }
    assert!(layout::permute(&s, &[1, 0, 2]).is_err());
    assert!(layout::slice(&s, &[0..32, 0..2, 0..3]).is_err());
    assert!(layout::concat_tensors(&[&s, &s], 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn slices_pads_and_joins_of_any_shape(
        dims in prop::collection::vec(1usize..9, 1..5),
        seed in any::<u32>(),
    ) {
        let mut random = Random::new(u64::from(seed));
        let mut below = |n: usize| random.word() as usize % n;
        let ranges: Vec<_> = dims.iter().map(|n| { let a = below(*n); a..a + 1 + below(n - a) }).collect();
        let widths: Vec<_> = dims.iter().map(|_| (below(3), below(3))).collect();
        let axis = below(dims.len());
        exact(&format!("slice {dims:?} {ranges:?}"), &dims, |x| x.slice(&ranges));
        exact(&format!("pad {dims:?} {widths:?}"), &dims, |x| x.pad(&widths));
        // The gradients of the two parts are added, with one rounding.
        within(1e-7, &format!("concat {dims:?} {axis}"), &dims, |x| {
            let part = x.narrow(axis, 0..1)?;
            layout::concat(&[x, &part, &x.tape().constant(x.value())], axis)
        });
    }
}

#[test]
fn values_of_slices_pads_joins_and_repetitions() {
    let d = Device::oracle();
    let x = Tensor::from_slice(&d, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]).unwrap();
    let read = |t: Tensor| t.to_vec::<f32>().unwrap();
    assert_eq!(read(layout::slice(&x, &[0..2, 1..3]).unwrap()), [2.0, 3.0, 5.0, 6.0]);
    assert_eq!(
        read(layout::pad(&x, &[(1, 0), (0, 1)]).unwrap()),
        [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 0.0]
    );
    let first = layout::slice(&x, &[0..2, 0..1]).unwrap();
    assert_eq!(
        read(layout::concat_tensors(&[&x, &first], 1).unwrap()),
        [1.0, 2.0, 3.0, 1.0, 4.0, 5.0, 6.0, 4.0]
    );
    assert_eq!(read(layout::expand(&first, [2, 2]).unwrap()), [1.0, 1.0, 4.0, 4.0]);
    assert_eq!(layout::slice(&x, &[0..2, 1..1]).unwrap().count(), 0);
    assert_eq!(layout::expand(&x, [0, 2, 3]).unwrap().count(), 0);
}

#[test]
fn repetitions_agree_with_the_oracle() {
    for (from, to) in
        [([5, 1, 7].as_slice(), [2, 5, 3, 7].as_slice()), (&[1], &[1000]), (&[], &[3])]
    {
        conform(&format!("expand {from:?} to {to:?}"), 1e-6, |device| {
            let tape = Tape::new();
            let x = tape.leaf(&data(device, from, 1)?);
            let y = x.expand(to)?;
            let g = y.backward_from(&data(device, to, 2)?)?.get(&x).unwrap().clone();
            Ok(vec![y.value().clone(), g])
        });
    }
}

#[test]
fn many_workgroups_are_folded() {
    conform("expand and pad beyond 65,535 workgroups", 0.0, |device| {
        let x = data(device, &[1, 65_536], 1)?;
        let y = layout::expand(&x, [65, 65_536])?;
        let z = layout::pad(&y, &[(1, 0), (0, 1)])?;
        Ok(vec![
            layout::slice(&y, &[64..65, 65_000..65_536])?,
            layout::slice(&z, &[65..66, 65_000..65_537])?,
        ])
    });
}

#[test]
fn backward_is_the_adjoint() {
    let d = Device::oracle();
    let x = data(&d, &[3, 4, 5], 1).unwrap();
    type Op = fn(&Var) -> Result<Var>;
    let ops: [(&str, Op, &[usize]); 6] = [
        ("permute", |v| v.permute(&[2, 0, 1]), &[5, 3, 4]),
        ("transpose", |v| v.transpose(), &[3, 5, 4]),
        ("slice", |v| v.slice(&[1..3, 0..4, 2..3]), &[2, 4, 1]),
        ("pad", |v| v.pad(&[(1, 0), (0, 0), (2, 1)]), &[4, 4, 8]),
        ("reshape", |v| v.reshape([6, 10]), &[6, 10]),
        ("expand", |v| v.expand([2, 3, 4, 5]), &[2, 3, 4, 5]),
    ];
    for (name, op, shape) in ops {
        let gap = adjoint_gap(&x, &data(&d, shape, 2).unwrap(), op).unwrap();
        assert!(gap < 1e-12, "{name}: {gap}");
    }
    let values: Vec<f64> = (0..12).map(f64::from).collect();
    let inputs = [(values.clone(), [3, 4].as_slice()), (values, &[3, 4])];
    let outcome = gradient_check(&inputs, 1e-3, |v| Ok(vec![layout::concat(&[&v[0], &v[1]], 1)?]));
    assert!(outcome.unwrap().error < 1e-9);
}

#[test]
fn mistakes_are_errors() {
    let d = Device::host();
    let tape = Tape::new();
    let x = tape.leaf(&data(&d, &[2, 3], 1).unwrap());
    let line = tape.leaf(&data(&d, &[3], 1).unwrap());
    let refused = [
        x.permute(&[0]),
        x.permute(&[0, 0]),
        x.permute(&[0, 2]),
        line.transpose(),
        x.slice(std::slice::from_ref(&(0..2))),
        x.slice(&[0..3, 0..3]),
        #[expect(clippy::reversed_empty_ranges, reason = "the mistake under test")]
        x.slice(&[1..0, 0..3]),
        x.narrow(2, 0..1),
        x.pad(&[(1, 1)]),
        x.pad(&[(usize::MAX, 1), (0, 0)]),
        x.reshape([7]),
        x.expand([2, 4]),
        x.expand([3]),
        layout::concat(&[], 0),
        layout::concat(&[&x], 2),
        layout::concat(&[&x, &line], 0),
        layout::concat(&[&x, &x.transpose().unwrap()], 0),
        layout::concat(&[&x, &Tape::new().leaf(x.value())], 0),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
    let half = Tensor::empty(&d, [2, 3], DType::F16).unwrap();
    assert!(layout::transpose(&half).is_err());
}
