//! What spikes are made of may be anything, what they are cannot: a comparison with NaN makes none. What
//! reads spikes beside numbers hands these on.

use super::{Input, PLANTED, WITHOUT_ENDS, faults, input, none};
use kernels_tests::Random;
use spikegrad::attention::{Form, Gate, SpikeAttention, SpikeProduct};
use spikegrad::elementwise::unpack;
use spikegrad::encode::{self, Latency};
use spikegrad::random::Generator;
use spikegrad::{DType, Result, Tape, Tensor, Var, layout};

/// Signals over more steps than a word holds.
const SIGNALS: [&[usize]; 2] = [&[40, 12], &[33, 13]];

fn constant(y: &Tensor) -> Var {
    Tape::off().constant(y)
}

#[test]
pub(super) fn encoders() {
    let mut all = Vec::new();
    for shape in SIGNALS {
        let x = [input(shape, -0.5, 1.5)];
        for on in [false, true] {
            all.extend(faults("delta", &PLANTED, 0.0, &x, |v| {
                let found = encode::delta(v[0].value(), 0.25, on)?;
                let parts = [unpack(&found.on)?, unpack(&found.off)?];
                Ok(constant(&layout::concat_tensors(&[&parts[0], &parts[1]], 0)?))
            }));
            all.extend(faults("latency", &PLANTED, 0.0, &x, |v| {
                let options = if on { Latency::default().linear() } else { Latency::default() };
                let early = encode::latency(v[0].value(), 37, options)?;
                let fewer = options.silent_below_threshold();
                let fewer = encode::latency(v[0].value(), 37, fewer)?;
                Ok(constant(&unpack(&early)?.add(&unpack(&fewer)?)?))
            }));
        }
        for dtype in [DType::F32, DType::Bits] {
            all.extend(faults("poisson", &PLANTED, 0.0, &x, |v| {
                let mut random = Generator::new(v[0].device(), 6)?;
                let spikes = encode::poisson(v[0].value(), 35, dtype, &mut random)?;
                Ok(constant(&if dtype == DType::Bits { unpack(&spikes)? } else { spikes }))
            }));
        }
        all.extend(faults("packed", &PLANTED, 0.0, &x, |v| v[0].pack()?.unpack()));
    }
    none(&all);
}

/// Queries, keys and values that are not finite, or gradients.
#[test]
pub(super) fn products_of_spikes() {
    let mut all = Vec::new();
    for form in [Form::Linear, Form::Quadratic] {
        for shape in [&[40usize, 1, 12] as &'static [usize], &[33, 2, 10]] {
            let x: [Input; 3] = [input(shape, 0.0, 1.0); 3];
            let what = format!("{form:?} of {shape:?}");
            // Sums of 3e38 with both signs are beyond f32 on the way.
            all.extend(faults(&what, &WITHOUT_ENDS, 1e-5, &x, |v| {
                SpikeProduct::new(2).form(form).attend(&v[0], &v[1], &v[2])
            }));
        }
    }
    none(&all);
}

/// Queries, keys and values of ordinary numbers.
fn tokens(tape: &Tape, like: &Var) -> Result<[Var; 3]> {
    let leaf = |seed| {
        let values = Random::new(seed).values(40 * 12, -1.0, 1.0);
        Ok(tape.constant(&Tensor::from_slice(like.device(), &values, [40, 1, 12])?))
    };
    Ok([leaf(1)?, leaf(2)?, leaf(3)?])
}

/// Spikes as numbers open a gate above 0, gates as numbers where they are not 0.
#[test]
pub(super) fn gates() {
    let attention = SpikeAttention::new(2).window(9).gate(Gate::Head);
    let spikes = [input(&[40, 1, 12], -9.0, 1.0)];
    let mut all = faults("spikes", &PLANTED, 1e-5, &spikes, |v| {
        let [q, k, v_of] = tokens(&Tape::off(), &v[0])?;
        attention.attend(&q, &k, &v_of, v[0].value())
    });
    let gates = [input(&[40, 1, 2], 0.0, 1.0)];
    all.extend(faults("gates", &PLANTED, 1e-5, &gates, |v| {
        let [q, k, v_of] = tokens(&Tape::off(), &v[0])?;
        attention.attend_gated(&q, &k, &v_of, v[0].value(), Some(v[0].value()))
    }));
    none(&all);
}

/// The query, and keys and values that came before with it.
#[test]
pub(super) fn decoded_tokens() {
    const STEPS: usize = 12;
    let mut all = Vec::new();
    for rotary in [None, Some(100.0)] {
        let tokens = input(&[STEPS, 1, 12], -1.0, 1.0);
        let x = [input(&[1, 1, 12], -1.0, 1.0), tokens, tokens];
        // Products of 3e38 with queries are beyond f32, with both signs.
        all.extend(faults(&format!("decode, {rotary:?}"), &WITHOUT_ENDS, 1e-4, &x, |v| {
            let device = v[0].device();
            let attention = SpikeAttention::new(2).window(6).anchors(2).rotary(rotary);
            let mut cache = attention.cache(device, 1, 12)?;
            let open: Vec<bool> = (0..STEPS).flat_map(|t| [t % 5 != 1; 3]).collect();
            let spikes = |of: std::ops::Range<usize>| {
                Tensor::from_bools(device, &open[3 * of.start..3 * of.end], [of.len(), 1, 3])
            };
            let part =
                |x: &Var, of: std::ops::Range<usize>| layout::slice(x.value(), &[of, 0..1, 0..12]);
            let [before, last] = [0..STEPS - 1, STEPS - 1..STEPS];
            let (k, v_before) = (part(&v[1], before.clone())?, part(&v[2], before.clone())?);
            attention.extend(&mut cache, &k, &v_before, &spikes(before)?)?;
            let (k, v_last) = (part(&v[1], last.clone())?, part(&v[2], last.clone())?);
            let o = attention.decode(&mut cache, v[0].value(), &k, &v_last, &spikes(last)?)?;
            Ok(constant(&o))
        }));
    }
    none(&all);
}
