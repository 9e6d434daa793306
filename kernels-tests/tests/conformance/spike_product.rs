//! Softmax-free attention on spikes.

use kernels_tests::{Random, conform, oracle, subjects};
use proptest::prelude::*;
use spikegrad::attention::{Form, SpikeProduct};
use spikegrad::{DType, Device, Result, Tape, Tensor, Var};

const FORMS: [Form; 2] = [Form::Linear, Form::Quadratic];

/// Spikes with the given probability of one, in thirds.
fn bools(seed: u64, count: usize, thirds: u32) -> Vec<bool> {
    let mut random = Random::new(seed);
    (0..count).map(|_| random.word() % 3 < thirds).collect()
}

fn spikes(device: &Device, seed: u64, shape: [usize; 3]) -> Result<Tensor> {
    Tensor::from_bools(device, &bools(seed, shape.iter().product(), 1), shape)
}

/// Queries, keys and values.
fn operands(device: &Device, tape: &Tape, shape: [usize; 3]) -> Result<[Var; 3]> {
    let [q, k, v] = [1, 2, 3].map(|seed| spikes(device, seed, shape));
    Ok([tape.leaf(&q?), tape.leaf(&k?), tape.leaf(&v?)])
}

fn cotangent(device: &Device, shape: [usize; 3]) -> Result<Tensor> {
    let values = Random::new(7).values(shape.iter().product(), -1.0, 1.0);
    Tensor::from_slice(device, &values, shape)
}

/// The outcome in both forms, and the gradients of each.
fn program(device: &Device, shape: [usize; 3], heads: usize) -> Result<Vec<Tensor>> {
    let mut tensors = Vec::new();
    for form in FORMS {
        let tape = Tape::new();
        let [q, k, v] = operands(device, &tape, shape)?;
        let o = SpikeProduct::new(heads).form(form).attend(&q, &k, &v)?;
        tensors.push(o.value().clone());
        let gradients = o.backward_from(&cotangent(device, shape)?)?;
        for input in [&q, &k, &v] {
            tensors.push(gradients.get(input).unwrap().clone());
        }
    }
    Ok(tensors)
}

fn check(shape: [usize; 3], heads: usize) {
    conform(&format!("{shape:?}, {heads} heads"), 1e-5, |d| program(d, shape, heads));
}

/// `scale (Q K^T) V` from the definition.
fn definition(
    [q, k, v]: &[Vec<bool>; 3],
    [s, b, d]: [usize; 3],
    heads: usize,
    scale: f64,
) -> Vec<f64> {
    let (row, width) = (b * d, d / heads);
    let mut o = vec![0.0; s * row];
    for t in 0..s {
        for column in 0..row {
            let head = column / width * width;
            let seen = (0..s)
                .filter(|u| v[u * row + column])
                .map(|u| (head..head + width).filter(|c| q[t * row + c] && k[u * row + c]).count());
            o[t * row + column] = scale * seen.sum::<usize>() as f64;
        }
    }
    o
}

/// Counts are integers: every device gives exactly the definition's, in both forms.
#[test]
fn counts_are_exact() {
    for (shape, heads, scale) in
        [([37, 2, 12], 3, 0.125), ([64, 1, 8], 1, 0.3), ([5, 3, 40], 2, 1.0), ([70, 2, 15], 3, 0.5)]
    {
        let count = shape.iter().product();
        let all = [1, 2, 3].map(|seed| bools(seed, count, 2));
        let expected = definition(&all, shape, heads, f64::from(scale));
        let own = Device::oracle();
        let devices = subjects().iter().map(|s| (s.label.as_str(), &s.device));
        for (label, device) in devices.chain([("the oracle", &own)]) {
            for form in [Form::Auto, Form::Linear, Form::Quadratic] {
                let tape = Tape::off();
                let [q, k, v] = [0, 1, 2]
                    .map(|i| tape.constant(&Tensor::from_bools(device, &all[i], shape).unwrap()));
                let product = SpikeProduct::new(heads).scale(scale).form(form);
                let o = product.attend(&q, &k, &v).unwrap();
                let o = o.value().to_vec::<f64>().unwrap();
                for (i, (o, e)) in o.iter().zip(&expected).enumerate() {
                    // The one rounding is that of the multiplication with the scale.
                    let e = if device.is_oracle() { *e } else { f64::from(*e as f32) };
                    assert_eq!(*o, e, "{label}, {form:?}, {shape:?}, element {i}");
                }
            }
        }
    }
}

#[test]
fn chosen_shapes() {
    for (shape, heads) in [
        ([1, 1, 1], 1),
        ([1, 2, 8], 2),
        ([33, 1, 64], 1),
        ([64, 3, 32], 4),
        ([31, 2, 21], 3),
        ([100, 1, 9], 1),
        ([7, 5, 130], 2),
    ] {
        check(shape, heads);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn random_shapes(
        s in 1usize..80, b in 1usize..4, heads in 1usize..4, d in 1usize..14, aligned: bool,
    ) {
        let d = if aligned { 4 * d } else { d };
        check([s, b, heads * d], heads);
    }
}

/// The tokens of a long sequence are summed in chunks where a GPU would else be idle.
#[test]
fn long_sequences() {
    check([3001, 1, 8], 1);
    // A software adapter leaves a loop after 65,535 iterations.
    conform("70,001 tokens", 1e-4, |d| {
        let tape = Tape::new();
        let [q, k, v] = operands(d, &tape, [70_001, 1, 2])?;
        let o = SpikeProduct::new(1).form(Form::Linear).attend(&q, &k, &v)?;
        let gradients = o.backward_from(&cotangent(d, [70_001, 1, 2])?)?;
        Ok(vec![o.value().clone(), gradients.get(&k).unwrap().clone()])
    });
}

#[test]
fn more_workgroups_than_an_axis_holds() {
    conform("many samples", 0.0, |d| {
        let tape = Tape::off();
        let [q, k, v] = operands(d, &tape, [1, 530_003, 1])?;
        Ok(vec![SpikeProduct::new(1).form(Form::Linear).attend(&q, &k, &v)?.value().clone()])
    });
}

/// The product is linear in every spike, so that the change when one is flipped is its derivative.
#[test]
fn gradients_are_the_changes_of_flipped_spikes() {
    let (shape, heads) = ([35, 2, 6], 2);
    let count = shape.iter().product();
    let all = [1, 2, 3].map(|seed| bools(seed, count, 1));
    let weights = cotangent(oracle(), shape).unwrap().to_vec::<f64>().unwrap();
    let sum = |all: &[Vec<bool>; 3]| {
        let o = definition(all, shape, heads, 0.25);
        o.iter().zip(&weights).map(|(o, w)| o * w).sum::<f64>()
    };
    for form in FORMS {
        let tape = Tape::new();
        let vars =
            [0, 1, 2].map(|i| tape.leaf(&Tensor::from_bools(oracle(), &all[i], shape).unwrap()));
        let o = SpikeProduct::new(heads).scale(0.25).form(form);
        let o = o.attend(&vars[0], &vars[1], &vars[2]).unwrap();
        let gradients = o.backward_from(&cotangent(oracle(), shape).unwrap()).unwrap();
        for (i, var) in vars.iter().enumerate() {
            let gradient = gradients.get(var).unwrap().to_vec::<f64>().unwrap();
            for (at, found) in gradient.iter().enumerate() {
                let mut flipped = all.clone();
                let mut ends = [0.0; 2];
                for (end, spike) in ends.iter_mut().zip([false, true]) {
                    flipped[i][at] = spike;
                    *end = sum(&flipped);
                }
                approx::assert_abs_diff_eq!(*found, ends[1] - ends[0], epsilon = 1e-10);
            }
        }
    }
}

/// Floats are packed on the way in, and their gradient comes out.
#[test]
fn spikes_as_floats() {
    let shape = [40, 2, 8];
    conform("floats", 1e-5, |d| {
        let tape = Tape::new();
        let [q, k, v] = operands(d, &tape, shape)?;
        let float = spikegrad::elementwise::unpack(q.value())?;
        let float = tape.leaf(&float);
        let product = SpikeProduct::new(2);
        let (from_bits, from_float) =
            (product.attend(&q, &k, &v)?, product.attend(&float, &k, &v)?);
        assert_eq!(from_bits.value().to_vec::<f32>()?, from_float.value().to_vec::<f32>()?);
        let gradient = from_float.backward_from(&cotangent(d, shape)?)?;
        Ok(vec![from_float.value().clone(), gradient.get(&float).unwrap().clone()])
    });
}

#[test]
fn silence_gives_zeros() {
    for subject in subjects() {
        let device = &subject.device;
        let tape = Tape::new();
        let silent = tape.leaf(&Tensor::zeros(device, [50, 2, 8], DType::Bits).unwrap());
        let [q, k, v] = operands(device, &tape, [50, 2, 8]).unwrap();
        for inputs in [[&silent, &k, &v], [&q, &silent, &v], [&q, &k, &silent]] {
            let o = SpikeProduct::new(2).attend(inputs[0], inputs[1], inputs[2]).unwrap();
            assert!(o.value().to_vec::<f32>().unwrap().iter().all(|v| *v == 0.0));
        }
    }
}

#[test]
fn every_run_gives_the_same_bits() {
    for subject in subjects() {
        let run = || {
            let tensors = program(&subject.device, [300, 2, 24], 3).unwrap();
            let values = tensors.iter().map(|t| t.to_vec::<f32>().unwrap());
            values.flatten().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(run(), run(), "{}", subject.label);
    }
}

#[test]
fn nothing_to_attend_to() {
    let device = Device::host();
    for shape in [[0, 2, 4], [3, 0, 4], [3, 2, 0]] {
        let tape = Tape::new();
        let x = tape.leaf(&Tensor::zeros(&device, shape, DType::Bits).unwrap());
        let o = SpikeProduct::new(2).attend(&x, &x, &x).unwrap();
        assert_eq!(o.shape().dims(), shape);
        let seed = Tensor::zeros(&device, shape, DType::F32).unwrap();
        assert!(o.backward_from(&seed).unwrap().get(&x).is_some());
    }
}

#[test]
fn bad_input_is_refused() {
    let device = Device::host();
    let tape = Tape::new();
    let bits = |shape: &[usize]| tape.leaf(&Tensor::zeros(&device, shape, DType::Bits).unwrap());
    let (x, other) = (bits(&[4, 2, 6]), bits(&[4, 2, 8]));
    let words = tape.leaf(&Tensor::zeros(&device, [4, 2, 6], DType::U32).unwrap());
    let flat = bits(&[4]);
    let refused = |product: SpikeProduct, q: &Var, k: &Var, v: &Var, part: &str| {
        let message = product.attend(q, k, v).unwrap_err().to_string();
        assert!(message.contains("spike_product") && message.contains(part), "{message}");
    };
    refused(SpikeProduct::new(0), &x, &x, &x, "no heads");
    refused(SpikeProduct::new(4), &x, &x, &x, "6 channels for 4 heads");
    refused(SpikeProduct::new(2).scale(f32::NAN), &x, &x, &x, "a scale of NaN");
    refused(SpikeProduct::new(2), &x, &other, &x, "keys [4, 2, 8]");
    refused(SpikeProduct::new(2), &x, &x, &other, "values [4, 2, 8]");
    refused(SpikeProduct::new(2), &x, &words, &x, "bits or f32");
    refused(SpikeProduct::new(1), &flat, &flat, &flat, "not [S, .., D]");
    let elsewhere = Tape::new();
    let foreign = elsewhere.leaf(x.value());
    assert!(SpikeProduct::new(2).attend(&x, &foreign, &x).is_err());
    let device = Device::oracle();
    let far = tape.leaf(&Tensor::zeros(&device, [4, 2, 6], DType::Bits).unwrap());
    refused(SpikeProduct::new(2), &x, &far, &x, "different devices");
}

/// Every launch of both forms and of backward against its twin, where sums over tokens are split too.
#[test]
fn shadowed_products_agree() {
    for subject in kernels_tests::own_subjects() {
        subject.device.shadow(true);
        for shape in [[1000, 1, 8], [70, 2, 15]] {
            program(&subject.device, shape, 1).unwrap_or_else(|e| panic!("{}: {e}", subject.label));
        }
        subject.device.shadow(false);
    }
}
