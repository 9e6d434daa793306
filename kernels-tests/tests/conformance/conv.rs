//! Conformance of the `conv` family.

use kernels_tests::{Random, assert_close, conform, oracle};
use proptest::prelude::*;
use spikegrad::elementwise::Activation;
use spikegrad::nn::{CausalConv, Module};
use spikegrad::random::Generator;
use spikegrad::tape::gradient_check;
use spikegrad::{Device, Result, Tape, Tensor, Var};

fn data(device: &Device, shape: &[usize], seed: u64) -> Result<Tensor> {
    let count = shape.iter().product();
    Tensor::from_slice(device, &Random::new(seed).values(count, -1.0, 1.0), shape)
}

/// Steps, batch, channels, outputs, taps, dilation.
type Extents = [usize; 6];

/// Outcome and gradients of both convolutions.
fn both(
    device: &Device,
    [steps, batch, channels, outputs, taps, dilation]: Extents,
) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let leaf =
        |shape: &[usize], seed| Ok::<_, spikegrad::Error>(tape.leaf(&data(device, shape, seed)?));
    let x = leaf(&[steps, batch, channels], 1)?;
    let (w, b) = (leaf(&[taps, channels], 2)?, leaf(&[channels], 3)?);
    let (full, c) = (leaf(&[taps, channels, outputs], 4)?, leaf(&[outputs], 5)?);
    let own = x.depthwise_conv(&w, Some(&b), dilation)?;
    let mixed = x.causal_conv(&full, Some(&c), dilation, Activation::Identity)?;
    let seeds = [(&own, data(device, own.shape(), 6)?), (&mixed, data(device, mixed.shape(), 7)?)];
    let gradients = kernels_tests::seeded(&seeds)?.backward()?;
    let g = [&x, &w, &b, &full, &c].map(|v| gradients.get(v).unwrap().clone());
    Ok([own.value().clone(), mixed.value().clone()].into_iter().chain(g).collect())
}

fn check(extents: Extents) {
    conform(&format!("convolutions {extents:?}"), 2e-5, |device| both(device, extents));
}

#[test]
fn convolutions_of_chosen_extents() {
    // One of all; more taps than steps; primes; more than 65,535 workgroups' worth of elements.
    for extents in [[1, 1, 1, 1, 1, 1], [3, 2, 5, 4, 7, 2], [31, 3, 17, 5, 4, 3]] {
        check(extents);
    }
    conform("a long series", 2e-5, |device| {
        let x = Tape::off().constant(&data(device, &[66_000, 1, 257], 1)?);
        let w = x.tape().constant(&data(device, &[2, 257], 2)?);
        let y = x.depthwise_conv(&w, None, 5)?;
        Ok(vec![y.narrow(0, 0..7)?.value().clone(), y.narrow(0, 65_990..66_000)?.value().clone()])
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_of_any_extents(
        steps in 1usize..40, batch in 1usize..4, channels in 1usize..20, outputs in 1usize..9,
        taps in 1usize..6, dilation in 1usize..4,
    ) {
        check([steps, batch, channels, outputs, taps, dilation]);
    }
}

/// By the definition, in f64.
#[test]
fn convolutions_by_definition() {
    let (steps, batch, channels, taps, dilation) = (9, 2, 3, 3, 2);
    let device = oracle();
    let tape = Tape::off();
    let x = data(device, &[steps, batch, channels], 1).unwrap();
    let (w, full) = (
        data(device, &[taps, channels], 2).unwrap(),
        data(device, &[taps, channels, 2], 3).unwrap(),
    );
    let [xs, ws, fs] = [&x, &w, &full].map(|t| t.to_vec::<f64>().unwrap());
    let at = |t: usize, back: usize, b: usize, c: usize| {
        t.checked_sub(back).map_or(0.0, |t| xs[(t * batch + b) * channels + c])
    };
    let (mut own, mut mixed) = (Vec::new(), Vec::new());
    for t in 0..steps {
        for b in 0..batch {
            let seen = |k: usize, c: usize| at(t, (taps - 1 - k) * dilation, b, c);
            let pairs = || (0..taps).flat_map(|k| (0..channels).map(move |c| (k, c)));
            own.extend(
                (0..channels)
                    .map(|c| (0..taps).map(|k| ws[k * channels + c] * seen(k, c)).sum::<f64>()),
            );
            mixed.extend((0..2).map(|o| {
                pairs().map(|(k, c)| fs[(k * channels + c) * 2 + o] * seen(k, c)).sum::<f64>()
            }));
        }
    }
    let x = tape.constant(&x);
    let found = x.depthwise_conv(&tape.constant(&w), None, dilation).unwrap();
    let own = Tensor::from_slice(device, &own, [steps, batch, channels]).unwrap();
    assert_close("depth-wise", found.value(), &own, 1e-12);
    let found = x.causal_conv(&tape.constant(&full), None, dilation, Activation::Identity).unwrap();
    let mixed = Tensor::from_slice(device, &mixed, [steps, batch, 2]).unwrap();
    assert_close("full", found.value(), &mixed, 1e-12);
}

#[test]
fn gradients_of_convolutions() {
    let values = |count, seed| Random::new(seed).values(count, -1.0, 1.0);
    let values = |count, seed| values(count, seed).iter().map(|v| f64::from(*v)).collect();
    let inputs = [
        (values(30, 1), [5, 2, 3].as_slice()),
        (values(9, 2), &[3, 3]),
        (values(3, 3), &[3]),
        (values(36, 4), &[3, 3, 4]),
        (values(4, 5), &[4]),
    ];
    let outcome = gradient_check(&inputs, 1e-5, |v| {
        let own = v[0].depthwise_conv(&v[1], Some(&v[2]), 1)?;
        let mixed = v[0].causal_conv(&v[3], Some(&v[4]), 2, Activation::Gelu)?;
        Ok(vec![own, mixed])
    });
    assert!(outcome.as_ref().unwrap().error < 1e-6, "{outcome:?}");
}

#[test]
fn the_future_has_no_part() {
    let device = Device::host();
    let mut random = Generator::new(&device, 1).unwrap();
    let full = CausalConv::new([4, 3], 3, &mut random).unwrap().dilation(2);
    let own = CausalConv::depthwise(4, 3, &mut random).unwrap().activation(Activation::Relu);
    assert_eq!(full.params().len() + own.params().len(), 4);
    let values = data(&device, &[8, 1, 4], 1).unwrap().to_vec::<f32>().unwrap();
    let mut other = values.clone();
    other[5 * 4..].fill(9.0);
    let tape = Tape::off();
    let run = |layer: &CausalConv, values: &[f32]| {
        let x = tape.constant(&Tensor::from_slice(&device, values, [8, 1, 4]).unwrap());
        kernels_tests::forward(layer, &x, false)
            .unwrap()
            .narrow(0, 0..5)
            .unwrap()
            .value()
            .to_vec::<f32>()
            .unwrap()
    };
    for layer in [&full, &own] {
        assert_eq!(run(layer, &values), run(layer, &other));
    }
}

#[test]
fn bad_input_is_refused() {
    let device = Device::host();
    let tape = Tape::new();
    let v = |shape: &[usize]| tape.leaf(&data(&device, shape, 1).unwrap());
    let x = || v(&[5, 2, 3]);
    let full = |x: Var, w: Var, b: Option<&Var>, d| x.causal_conv(&w, b, d, Activation::Identity);
    let refused = [
        x().depthwise_conv(&v(&[2, 4]), None, 1),
        x().depthwise_conv(&v(&[2, 3]), Some(&v(&[2])), 1),
        x().depthwise_conv(&v(&[2, 3]), None, 0),
        x().depthwise_conv(&v(&[0, 3]), None, 1),
        x().depthwise_conv(&v(&[2, 3]), None, usize::MAX),
        v(&[5, 3]).depthwise_conv(&v(&[2, 3]), None, 1),
        full(x(), v(&[2, 4, 3]), None, 1),
        full(x(), v(&[2, 3]), None, 1),
        full(x(), v(&[2, 3, 4]), Some(&v(&[3])), 1),
        full(x(), v(&[0, 3, 4]), None, 1),
        x().depthwise_conv(&tape.leaf(&data(oracle(), &[2, 3], 1).unwrap()), None, 1),
    ];
    for (i, outcome) in refused.iter().enumerate() {
        assert!(outcome.is_err(), "mistake {i} was accepted");
    }
    let mut random = Generator::new(&device, 1).unwrap();
    assert!(CausalConv::new([0, 3], 2, &mut random).is_err());
    assert!(CausalConv::depthwise(3, 0, &mut random).is_err());
    // No steps are no mistake.
    let none = v(&[0, 2, 3]);
    assert_eq!(*none.depthwise_conv(&v(&[2, 3]), None, 1).unwrap().shape(), [0, 2, 3]);
    let y = full(none, v(&[2, 3, 4]), None, 1).unwrap();
    assert_eq!(*y.shape(), [0, 2, 4]);
    assert!(y.backward_from(y.value()).is_ok());
}
