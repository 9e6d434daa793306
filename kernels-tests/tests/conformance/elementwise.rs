//! Conformance of the `elementwise` family.

use half::f16;
use kernels_tests::{Random, conform, conform_sums, subjects};
use proptest::prelude::*;
use spikegrad::elementwise::{self, Activation, Binary, Unary};
use spikegrad::tape::gradient_check;
use spikegrad::{DType, Device, Error, Result, Tape, Tensor, Var};

/// Every function of one number, with constants that suit all of them, and some more.
fn unaries() -> impl Iterator<Item = Unary> {
    let more = [Unary::Affine { scale: -1.5, shift: 0.25 }, Unary::Power(1.7)];
    Unary::all(-0.5, 0.75).into_iter().chain(more)
}

fn activations() -> Vec<Activation> {
    Activation::all(0.1, 0.0)
}

/// Values in ±[0.3, 2.3): away from the poles and kinks at 0, and from overflow.
fn away_from_zero(random: &mut Random, count: usize) -> Vec<f32> {
    let one = |r: &mut Random| {
        let v = r.uniform(0.3, 2.3);
        if r.word() & 1 == 1 { v } else { -v }
    };
    (0..count).map(|_| one(random)).collect()
}

/// Output and gradients of an operator of one or two leaves, for a pseudo-random upstream gradient.
fn with_gradients(
    device: &Device,
    inputs: &[(&[f32], &[usize])],
    operator: impl Fn(&[Var]) -> Result<Var>,
) -> Result<Vec<Tensor>> {
    let tape = Tape::new();
    let leaf = |(v, s): &(&[f32], &[usize])| Ok(tape.leaf(&Tensor::from_slice(device, v, *s)?));
    let leaves: Vec<Var> = inputs.iter().map(leaf).collect::<Result<_>>()?;
    let y = operator(&leaves)?;
    let seed = Random::new(5).values(y.value().count(), 0.5, 1.5);
    let gradients = y.backward_from(&Tensor::from_slice(device, &seed, *y.shape())?)?;
    let mut outputs = vec![y.value().clone()];
    for leaf in &leaves {
        outputs.push(gradients.get(leaf).expect("every leaf has a gradient").clone());
    }
    Ok(outputs)
}

fn check_binary(op: Binary, a: &[usize], b: &[usize]) {
    let mut random = Random::new(a.len() as u64 * 31 + b.len() as u64);
    let x = away_from_zero(&mut random, a.iter().product());
    let y = away_from_zero(&mut random, b.iter().product());
    let size = |v: &[f32]| -> Vec<f32> { v.iter().map(|v| v.abs()).collect() };
    let run = |device: &Device, x: &[f32], y: &[f32]| {
        with_gradients(device, &[(x, a), (y, b)], |v| v[0].binary(op, &v[1]))
    };
    let what = format!("{op:?} of {a:?} and {b:?}");
    conform_sums(&what, 3e-6, |d| run(d, &size(&x), &size(&y)), |d| run(d, &x, &y));
}

#[test]
fn fill_writes_every_element() {
    for count in [1, 63, 64, 65, 65_535 * 64 + 1] {
        conform("fill", 0.0, |device| Ok(vec![elementwise::full(device, [count], 2.5)?]));
    }
}

#[test]
fn gradients_that_cancel() {
    // Two terms of about 0.5 whose sum is -0.0016.
    check_binary(Binary::Div, &[1, 1, 1, 1], &[2, 1, 1]);
}

#[test]
fn binary_with_broadcasting() {
    let shapes: [(&[usize], &[usize]); 14] = [
        (&[1], &[1]),
        (&[4, 64], &[4, 64]),
        (&[7, 13], &[7, 13]),
        (&[7, 13], &[13]),
        (&[7, 13], &[7, 1]),
        (&[1, 13], &[7, 1]),
        (&[], &[3, 5]),
        (&[3, 5], &[1]),
        (&[2, 3, 4, 5], &[3, 1, 5]),
        (&[2, 1, 4, 1], &[1, 3, 1, 5]),
        (&[2, 1, 2, 1, 2, 1, 2, 1], &[1, 2, 1, 2, 1, 2, 1, 2]),
        (&[5, 1, 1, 3], &[5, 2, 2, 3]),
        (&[0, 3], &[3]),
        (&[0], &[0]),
    ];
    let binaries = Binary::all();
    for (i, (a, b)) in shapes.into_iter().enumerate() {
        // All operators where both shapes agree, and where they do not; one each for the rest.
        if i == 2 || i == 8 {
            Binary::all().into_iter().for_each(|op| check_binary(op, a, b));
        } else {
            check_binary(binaries[i % binaries.len()], a, b);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn binary_of_any_shapes(
        dims in prop::collection::vec((1usize..6, any::<bool>(), any::<bool>()), 0..6),
        op in 0usize..4,
        cut in 0usize..6,
    ) {
        let side = |keep: &dyn Fn(&(usize, bool, bool)) -> bool| -> Vec<usize> {
            dims.iter().map(|d| if keep(d) { d.0 } else { 1 }).collect()
        };
        let a = side(&|d| d.1);
        let b = side(&|d| d.2 || !d.1);
        check_binary(Binary::all()[op], &a, &b[cut.min(b.len())..]);
    }
}

#[test]
fn binary_of_many_elements() {
    // More than 65,535 workgroups of 256 invocations, in the narrow variant.
    let count = 65_536 * 256 + 3;
    for s in subjects().iter().filter(|s| !s.device.is_host()) {
        let a = elementwise::full(&s.device, [count], 1.5).unwrap();
        let b = elementwise::full(&s.device, [1], -0.25).unwrap();
        for y in
            [elementwise::binary(Binary::Add, &a, &a), elementwise::binary(Binary::Sub, &a, &b)]
        {
            let y = y.unwrap().to_vec::<f32>().unwrap();
            let expected = y[0];
            assert!(expected == 3.0 || expected == 1.75, "{}", s.label);
            assert!(y.iter().all(|v| *v == expected), "{}", s.label);
        }
    }
}

#[test]
fn ties_share_the_gradient() {
    for op in [Binary::Minimum, Binary::Maximum] {
        conform("ties", 1e-6, |device| {
            let x = [1.0, 2.0, -3.0];
            let y = [1.0, 1.0, -2.0];
            with_gradients(device, &[(&x, &[3]), (&y, &[3])], |v| v[0].binary(op, &v[1]))
        });
    }
}

#[test]
fn binary_gradients_are_those_of_finite_differences() {
    let mut random = Random::new(3);
    let mut values = |n| away_from_zero(&mut random, n).into_iter().map(f64::from).collect();
    let (x, y): (Vec<f64>, Vec<f64>) = (values(12), values(4));
    for op in Binary::all() {
        let inputs = [(x.clone(), [3, 1, 4].as_slice()), (y.clone(), [2, 2, 1].as_slice())];
        let inputs = [(inputs[0].0.clone(), &[3, 4][..]), (inputs[1].0.clone(), &[4][..])];
        let outcome = gradient_check(&inputs, 1e-5, |v| Ok(vec![v[0].binary(op, &v[1])?])).unwrap();
        assert!(outcome.error < 1e-7, "{op:?}: {outcome:?}");
    }
    // The same variable on both sides.
    let outcome = gradient_check(&[(x, &[12])], 1e-5, |v| Ok(vec![v[0].mul(&v[0])?])).unwrap();
    assert!(outcome.error < 1e-7, "{outcome:?}");
}

#[test]
fn unary_functions() {
    for f in unaries() {
        let positive = f.apply(-1.0f64).is_nan();
        for count in [1, 64, 1021] {
            let x = away_from_zero(&mut Random::new(count as u64), count);
            let x: Vec<f32> = x.into_iter().map(|v| if positive { v.abs() } else { v }).collect();
            conform(&format!("{f:?} of {count}"), 1e-6, |device| {
                with_gradients(device, &[(&x, &[count])], |v| v[0].unary(f))
            });
        }
        let x = away_from_zero(&mut Random::new(9), 24);
        let x = x.into_iter().map(|v| f64::from(if positive { v.abs() } else { v })).collect();
        let outcome = gradient_check(&[(x, &[24])], 1e-6, |v| Ok(vec![v[0].unary(f)?])).unwrap();
        assert!(outcome.error < 1e-7, "{f:?}: {outcome:?}");
    }
}

/// The largest difference between `found` and `expected`, relative to `max(|expected|, least)`.
fn worst(found: &[f32], expected: &[f64], least: f64) -> f64 {
    let error = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() / b.abs().max(least);
    found.iter().zip(expected).map(error).fold(0.0, f64::max)
}

/// Values over [-20, 20], and densely near 0.
fn dense_range() -> Vec<f32> {
    let wide = (-20_000..=20_000).map(|i| i as f32 * 1e-3);
    let near = (-120..=120).map(|i: i32| 1.2f32.powi(i.abs() - 100) * 0.1 * i.signum() as f32);
    wide.chain(near).collect()
}

/// Points on both sides of 0, away from the kinks of all functions.
fn points() -> impl Iterator<Item = f64> {
    (1..40).map(|i| f64::from(i) * 0.11).flat_map(|x| [x, -x])
}

/// Compares `found` with the central difference of `f` at `x`, if that is a number.
fn compare(label: &str, x: f64, f: impl Fn(f64) -> f64, found: f64) -> bool {
    const STEP: f64 = 1e-5;
    let expected = (f(x + STEP) - f(x - STEP)) / (2.0 * STEP);
    let close = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
    assert!(close || expected.is_nan(), "{label} at {x}: {found}, not {expected}");
    !expected.is_nan()
}

macro_rules! derivatives_hold {
    ($functions:expr) => {
        for f in $functions {
            let label = format!("{f:?}");
            let number = |x: &f64| {
                compare(&label, *x, |x| f.derivative(x), f.second_derivative(*x));
                compare(&label, *x, |x| f.apply(x), f.derivative(*x))
            };
            let seen = points().filter(number).count();
            assert!(seen > 30, "{label} is a number at {seen} points");
        }
    };
}

#[test]
fn derivatives_are_those_of_finite_differences() {
    derivatives_hold!(unaries());
    derivatives_hold!(activations());
}

#[test]
fn derivatives_of_two_are_those_of_finite_differences() {
    for f in Binary::all() {
        for (a, b) in points().map(|x| (x, 0.7 * x + 0.3 * x.signum())) {
            let label = format!("{f:?} with {a}, {b}");
            let [by_a, by_b] = f.derivatives(a, b);
            let [twice_a, by_both, twice_b] = f.second_derivatives(a, b);
            compare(&label, a, |a| f.apply(a, b), by_a);
            compare(&label, b, |b| f.apply(a, b), by_b);
            compare(&label, a, |a| f.derivatives(a, b)[0], twice_a);
            compare(&label, b, |b| f.derivatives(a, b)[0], by_both);
            compare(&label, a, |a| f.derivatives(a, b)[1], by_both);
            compare(&label, b, |b| f.derivatives(a, b)[1], twice_b);
        }
    }
}

/// The methods of tensors and variables are the rows of the tables.
#[test]
fn methods_apply_their_functions() {
    conform("methods", 1e-6, |device| {
        let x = Tensor::from_slice(device, &[0.4f32, 1.1, 2.3], [3])?;
        let v = Tape::new().leaf(&x);
        assert_eq!(x.exp()?.to_vec::<f32>()?, v.exp()?.value().to_vec::<f32>()?);
        assert_eq!(x.gelu()?.to_vec::<f32>()?, v.gelu()?.value().to_vec::<f32>()?);
        Ok(vec![x.exp()?, x.clamp(0.5, 2.0)?, x.gelu()?, x.mul(&x)?.add_scalar(1.0)?])
    });
}

#[test]
fn exp_and_ln_are_accurate() {
    let x: Vec<f32> = (-8700..=8800).map(|i| i as f32 * 1e-2).collect();
    let exps: Vec<f64> = x.iter().map(|v| f64::from(*v).exp()).collect();
    let logs: Vec<f32> =
        exps.iter().map(|v| *v as f32).chain((1..4000).map(|i| i as f32 * 5e-4)).collect();
    let logs: Vec<f32> = logs.into_iter().filter(|v| *v >= f32::MIN_POSITIVE).collect();
    let expected: Vec<f64> = logs.iter().map(|v| f64::from(*v).ln()).collect();
    for s in subjects() {
        let run = |f, v: &[f32]| {
            let x = Tensor::from_slice(&s.device, v, [v.len()]).unwrap();
            elementwise::unary(f, &x).unwrap().to_vec::<f32>().unwrap()
        };
        let exp = worst(&run(Unary::Exp, &x), &exps, 1e-37);
        let ln = worst(&run(Unary::Ln, &logs), &expected, 1e-30);
        println!("{}: exp {exp:e}, ln {ln:e}", s.label);
        assert!(exp < 3e-7 && ln < 3e-7, "{}: exp {exp:e}, ln {ln:e}", s.label);
    }
}

#[test]
fn activations_are_accurate() {
    let x = dense_range();
    let oracle = kernels_tests::oracle();
    let on = |device: &Device, f: Activation| {
        let t = Tensor::from_slice(device, &x, [x.len()]).unwrap();
        let one = elementwise::full_like(&t, 1.0).unwrap();
        [
            elementwise::activate(f, &t).unwrap(),
            elementwise::activate_backward(f, &t, &one).unwrap(),
        ]
    };
    for f in activations() {
        let expected = on(oracle, f).map(|t| t.to_vec::<f64>().unwrap());
        for s in subjects() {
            for (i, found) in on(&s.device, f).into_iter().enumerate() {
                // Some derivatives pass through 0, where f32 has no relative accuracy.
                let least = if i == 0 { 1e-3 } else { 5e-2 };
                let error = worst(&found.to_vec::<f32>().unwrap(), &expected[i], least);
                println!("{f:?}, derivative {i}, on {}: {error:e}", s.label);
                assert!(error < 2e-6, "{f:?}, derivative {i}, on {}: {error:e}", s.label);
            }
        }
    }
}

#[test]
fn activation_gradients() {
    for f in activations() {
        let x = away_from_zero(&mut Random::new(4), 37);
        conform(&format!("{f:?}"), 2e-6, |device| {
            with_gradients(device, &[(&x, &[37])], |v| v[0].activate(f))
        });
        let x = x.into_iter().map(f64::from).collect();
        let outcome = gradient_check(&[(x, &[37])], 1e-5, |v| Ok(vec![v[0].activate(f)?])).unwrap();
        assert!(outcome.error < 1e-7, "{f:?}: {outcome:?}");
    }
}

/// f32 values that are hard to round to f16: ties, subnormals, overflow, random bits.
fn hard_to_round() -> Vec<f32> {
    let mut random = Random::new(7);
    let mut values: Vec<f32> = (0..=0xffffu16)
        .map(|b| f16::from_bits(b).to_f32())
        .filter(|v| v.is_finite())
        .flat_map(|v| [v, v.next_up(), v.next_down()])
        .collect();
    let between: Vec<f32> = values.windows(2).map(|w| 0.5 * (w[0] + w[1])).collect();
    values.extend(between);
    values.extend((0..20_001).map(|_| random.uniform(-7e4, 7e4)));
    values.extend([1e30, -1e30, 65519.9, 65520.0, -65520.0, f32::MIN_POSITIVE, 1e-8]);
    values
}

#[test]
fn half_is_rounded_alike_everywhere() {
    let x = hard_to_round();
    let expected: Vec<f16> = x.iter().map(|v| f16::from_f32(v.clamp(-65504.0, 65504.0))).collect();
    for s in subjects() {
        let t = Tensor::from_slice(&s.device, &x, [x.len()]).unwrap();
        let half = elementwise::to_half(&t).unwrap();
        let found = half.to_vec::<f16>().unwrap();
        for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
            // Subnormal f32 may be flushed on their way in: both signs of zero are right then.
            let same = a.to_bits() == b.to_bits() || (a.to_f32() == 0.0 && b.to_f32() == 0.0);
            assert!(same, "{}: {} becomes {a:?}, not {b:?}", s.label, x[i]);
        }
        let back = elementwise::from_half(&half).unwrap().to_vec::<f32>().unwrap();
        for (i, (a, b)) in back.iter().zip(&found).enumerate() {
            assert_eq!(*a, b.to_f32(), "{}: element {i}", s.label);
        }
    }
}

#[test]
fn casts_pass_gradients() {
    for shape in [&[1][..], &[3, 5], &[33, 7], &[64, 2, 3], &[100], &[0, 4], &[5, 0]] {
        let count = shape.iter().product();
        let x = Random::new(count as u64).values(count, 0.0, 1.0);
        conform(&format!("half of {shape:?}"), 1e-6, |device| {
            with_gradients(device, &[(&x, shape)], |v| v[0].to_half()?.from_half())
        });
        conform(&format!("bits of {shape:?}"), 0.0, |device| {
            let mut out = with_gradients(device, &[(&x, shape)], |v| v[0].pack()?.unpack())?;
            let bits = elementwise::pack(&Tensor::from_slice(device, &x, shape)?)?;
            assert_eq!(bits.dtype(), DType::Bits);
            out.push(bits);
            Ok(out)
        });
        for s in subjects() {
            let t = Tensor::from_slice(&s.device, &x, shape).unwrap();
            let expected: Vec<bool> = x.iter().map(|v| *v > 0.5).collect();
            assert_eq!(elementwise::pack(&t).unwrap().to_bools().unwrap(), expected);
            let bits = Tensor::from_bools(&s.device, &expected, shape).unwrap();
            let spikes: Vec<f32> = expected.iter().map(|b| f32::from(u8::from(*b))).collect();
            assert_eq!(elementwise::unpack(&bits).unwrap().to_vec::<f32>().unwrap(), spikes);
        }
    }
}

#[test]
fn references_of_the_benchmarks() {
    for count in [1, 1000, 1001] {
        let x = Random::new(1).values(count, -1.0, 1.0);
        conform("copy", 0.0, |device| {
            Ok(vec![elementwise::copy(&Tensor::from_slice(device, &x, [count])?)?])
        });
        conform("fma_peak", 1e-5, |device| Ok(vec![elementwise::fma_peak(device, count, 3)?]));
    }
}

#[test]
fn accumulated_gradients() {
    for count in [1, 128, 1003] {
        let x = Random::new(2).values(count, -1.0, 1.0);
        conform("x^2 + x by three uses", 1e-6, |device| {
            with_gradients(device, &[(&x, &[count])], |v| v[0].mul(&v[0])?.add(&v[0]))
        });
    }
}

#[test]
fn the_same_bits_every_run() {
    let x = Random::new(11).values(4099, -2.0, 2.0);
    for s in subjects() {
        let run = || {
            let out =
                with_gradients(&s.device, &[(&x, &[4099])], |v| v[0].gelu()?.mul(&v[0].exp()?));
            out.unwrap().iter().map(|t| t.to_vec::<f32>().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(run(), run(), "{}", s.label);
    }
}

#[test]
fn mistakes_are_errors() {
    let device = Device::host();
    let tape = Tape::new();
    let leaf = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::F32).unwrap());
    let (x, y) = (leaf(&[2, 3]), leaf(&[4]));
    assert!(matches!(x.add(&y), Err(Error::Shape { op: "add", .. })));
    let bits = tape.constant(&Tensor::zeros(&device, [2, 3], DType::Bits).unwrap());
    assert!(matches!(x.mul(&bits), Err(Error::DType { op: "mul", .. })));
    assert!(matches!(bits.relu(), Err(Error::DType { .. })));
    assert!(matches!(x.unpack(), Err(Error::DType { .. })));
    assert!(matches!(bits.pack(), Err(Error::DType { .. })));
    assert!(matches!(x.from_half(), Err(Error::DType { .. })));
    assert!(matches!(x.clamp(1.0, 0.0), Err(Error::Argument { .. })));
    assert!(matches!(x.div_scalar(0.0), Err(Error::Argument { .. })));
    assert!(matches!(x.leaky_relu(f32::NAN), Err(Error::Argument { .. })));
    let other = Tape::new().leaf(x.value());
    assert!(matches!(x.add(&other), Err(Error::TapeMismatch { .. })));
    let elsewhere = tape.leaf(&Tensor::zeros(&Device::oracle(), [2, 3], DType::F32).unwrap());
    assert!(matches!(x.add(&elsewhere), Err(Error::DeviceMismatch { .. })));
}
