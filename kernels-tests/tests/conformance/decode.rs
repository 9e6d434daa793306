//! One token at a time: what a cache remembers gives what the whole sequence gives.

use kernels_tests::{Random, conform, oracle, own_subjects, subjects};
use proptest::prelude::*;
use spikegrad::attention::{AttentionCache, Gate, SpikeAttention};
use spikegrad::lif::{Lif, Reset};
use spikegrad::scan::{WkvState, wkv};
use spikegrad::{DType, Device, Result, Tape, Tensor, Var};

/// A sequence: `[S, B, D]` tokens of q, k, v, and spikes `[S, B, C]`.
#[derive(Clone)]
struct Sequence {
    s: usize,
    b: usize,
    d: usize,
    c: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    spikes: Vec<bool>,
}

impl Sequence {
    /// Random tokens; a channel spikes once in `rare` times.
    fn new([s, b, d, c]: [usize; 4], rare: u32) -> Self {
        let mut random = Random::new(s as u64 * 31 + d as u64);
        let [q, k, v] = [3.0, 2.0, 1.0].map(|most| random.values(s * b * d, -most, most));
        let spikes = (0..s * b * c).map(|_| random.word().is_multiple_of(rare)).collect();
        Self { s, b, d, c, q, k, v, spikes }
    }

    /// Tokens `from..to` of q, k, v.
    fn tokens(&self, device: &Device, from: usize, to: usize) -> Result<[Tensor; 3]> {
        let row = self.b * self.d;
        let cut = |x: &Vec<f32>| {
            Tensor::from_slice(device, &x[from * row..to * row], [to - from, self.b, self.d])
        };
        Ok([cut(&self.q)?, cut(&self.k)?, cut(&self.v)?])
    }

    /// Their spikes, packed or as floats.
    fn spikes(&self, device: &Device, from: usize, to: usize, packed: bool) -> Result<Tensor> {
        let row = self.b * self.c;
        let cut = &self.spikes[from * row..to * row];
        let shape = [to - from, self.b, self.c];
        if packed {
            return Tensor::from_bools(device, cut, shape);
        }
        let floats: Vec<f32> = cut.iter().map(|s| f32::from(u8::from(*s))).collect();
        Tensor::from_slice(device, &floats, shape)
    }

    fn extend(
        &self,
        attention: &SpikeAttention,
        cache: &mut AttentionCache,
        device: &Device,
        range: std::ops::Range<usize>,
    ) -> Result<()> {
        let [_, k, v] = self.tokens(device, range.start, range.end)?;
        let spikes = self.spikes(device, range.start, range.end, true)?;
        attention.extend(cache, &k, &v, &spikes)
    }

    /// Token `t`; spikes of even ones are packed.
    fn decode(
        &self,
        attention: &SpikeAttention,
        cache: &mut AttentionCache,
        device: &Device,
        t: usize,
    ) -> Result<Tensor> {
        let [q, k, v] = self.tokens(device, t, t + 1)?;
        let spikes = self.spikes(device, t, t + 1, t.is_multiple_of(2))?;
        attention.decode(cache, &q, &k, &v, &spikes)
    }

    /// The first tokens at once, in two chunks, then one at a time: the outcomes of the latter.
    fn run(
        &self,
        attention: &SpikeAttention,
        device: &Device,
        chunks: [usize; 2],
    ) -> Result<Vec<Tensor>> {
        let mut cache = attention.cache(device, self.b, self.d)?;
        self.extend(attention, &mut cache, device, 0..chunks[0])?;
        self.extend(attention, &mut cache, device, chunks[0]..chunks[1])?;
        (chunks[1]..self.s).map(|t| self.decode(attention, &mut cache, device, t)).collect()
    }
}

/// Options of an attention, in numbers.
#[derive(Debug, Clone, Copy)]
struct Options {
    heads: usize,
    window: usize,
    anchors: usize,
    gate: Gate,
    query_gate: bool,
    base: Option<f64>,
}

impl Options {
    fn attention(self) -> SpikeAttention {
        let attention = SpikeAttention::new(self.heads).window(self.window).anchors(self.anchors);
        attention.gate(self.gate).query_gate(self.query_gate).rotary(self.base)
    }

    fn is_open(&self, x: &Sequence, t: usize, b: usize, h: usize) -> bool {
        let row = &x.spikes[(t * x.b + b) * x.c..][..x.c];
        let count = |row: &[bool]| row.iter().filter(|s| **s).count();
        match self.gate {
            Gate::Position => count(row) > 0,
            Gate::AtLeast(least) => count(row) >= least as usize,
            Gate::Head => count(&row[h * x.c / self.heads..(h + 1) * x.c / self.heads]) > 0,
        }
    }

    /// A head's row of `values`, turned by its position.
    fn turned(&self, x: &Sequence, values: &[f32], [t, b, h]: [usize; 3]) -> Vec<f64> {
        let d = x.d / self.heads;
        let row = &values[(t * x.b + b) * x.d + h * d..][..d];
        let row: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
        let Some(base) = self.base else { return row };
        let half = d / 2;
        let turn = |c: usize| {
            let (sin, cos) = (t as f64 * base.powf(-((c % half) as f64) / half as f64)).sin_cos();
            if c < half {
                row[c] * cos - row[c + half] * sin
            } else {
                row[c] * cos + row[c - half] * sin
            }
        };
        (0..d).map(turn).collect()
    }

    /// The outcome for token i, from the definition.
    fn definition(&self, x: &Sequence, i: usize) -> Vec<f64> {
        let d = x.d / self.heads;
        let mut o = vec![0.0; x.b * x.d];
        for (b, h) in (0..x.b).flat_map(|b| (0..self.heads).map(move |h| (b, h))) {
            if self.query_gate && !self.is_open(x, i, b, h) {
                continue;
            }
            let q = self.turned(x, &x.q, [i, b, h]);
            let near = |j: &usize| i - j <= self.window || *j < self.anchors;
            let seen = (0..=i).filter(near).filter(|j| self.is_open(x, *j, b, h));
            let score = |j: usize| {
                let k = self.turned(x, &x.k, [j, b, h]);
                let s: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
                (j, (s / (d as f64).sqrt()).exp())
            };
            let weights: Vec<(usize, f64)> = seen.map(score).collect();
            let total: f64 = weights.iter().map(|(_, w)| w).sum();
            for (j, w) in weights {
                for c in 0..d {
                    let v = x.v[(j * x.b + b) * x.d + h * d + c];
                    o[b * x.d + h * d + c] += w / total * f64::from(v);
                }
            }
        }
        o
    }
}

/// Decodes on every device: the oracle against the definition, the others against the oracle.
fn check(x: &Sequence, options: Options, chunks: [usize; 2]) {
    let what = format!("{options:?}, [{}, {}, {}, {}], {chunks:?}", x.s, x.b, x.d, x.c);
    let attention = options.attention();
    let outcomes = x.run(&attention, oracle(), chunks).unwrap_or_else(|e| panic!("{what}: {e}"));
    for (o, t) in outcomes.iter().zip(chunks[1]..) {
        // 1/sqrt(d) reaches a kernel in f32.
        let exact = (x.d / options.heads).isqrt().pow(2) == x.d / options.heads;
        let epsilon = if exact { 1e-12 } else { 1e-6 };
        let expected = options.definition(x, t);
        for (i, (o, e)) in o.to_vec::<f64>().unwrap().iter().zip(&expected).enumerate() {
            assert!((o - e).abs() <= epsilon, "{what}: token {t}, element {i}: {o}, should be {e}");
        }
    }
    conform(&what, 1e-5, |device| x.run(&attention, device, chunks));
}

const PLAIN: Options = Options {
    heads: 2,
    window: 5,
    anchors: 2,
    gate: Gate::Position,
    query_gate: true,
    base: Some(10_000.0),
};

#[test]
fn every_gate_and_window() {
    let x = Sequence::new([24, 2, 8, 6], 9);
    for gate in [Gate::Position, Gate::Head, Gate::AtLeast(2), Gate::AtLeast(0)] {
        for query_gate in [true, false] {
            for (window, anchors) in [(5, 2), (0, 0)] {
                check(&x, Options { window, anchors, gate, query_gate, ..PLAIN }, [4, 11]);
            }
        }
    }
    for (window, anchors) in [(3, 0), (40, 0), (0, 3), (40, 50), (7, 40)] {
        check(&x, Options { window, anchors, gate: Gate::Head, ..PLAIN }, [4, 11]);
    }
}

#[test]
fn heads_of_all_kinds() {
    for (d, heads, base) in [
        (1, 1, None),
        (5, 1, None),
        (3, 3, None),
        (8, 1, None),
        (4, 2, Some(100.0)),
        (12, 2, Some(10_000.0)),
        (48, 3, Some(10_000.0)),
        (140, 1, Some(500.0)),
    ] {
        let x = Sequence::new([18, 1, d, 2 * heads], 3);
        check(&x, Options { heads, base, gate: Gate::Head, ..PLAIN }, [0, 5]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_sequences(
        s in 1usize..60, b in 1usize..4, heads in 1usize..4, wide: bool, rare in 1u32..20,
        window in 0usize..100, anchors in 0usize..9, gate in 0usize..3, query_gate: bool,
        cuts in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let d = if wide { 8 } else { 4 };
        let x = Sequence::new([s, b, heads * d, heads * 3], rare);
        let gate = [Gate::Position, Gate::Head, Gate::AtLeast(2)][gate];
        let second = (cuts.1 * s as f64) as usize;
        let first = (cuts.0 * second as f64) as usize;
        check(&x, Options { heads, window, anchors, gate, query_gate, ..PLAIN }, [first, second]);
    }
}

/// Token by token is what the whole sequence at once gives.
#[test]
fn decoding_equals_attending() {
    let x = Sequence::new([70, 2, 16, 6], 6);
    for (gate, query_gate, window, anchors) in [
        (Gate::Position, true, 9, 2),
        (Gate::Head, true, 9, 0),
        (Gate::Head, false, 200, 3),
        (Gate::AtLeast(2), false, 5, 1),
    ] {
        let attention = Options { gate, query_gate, window, anchors, ..PLAIN }.attention();
        let all = subjects().iter().map(|s| (&s.device, s.label.as_str(), 1e-5));
        for (device, label, tolerance) in all.chain([(oracle(), "the oracle", 1e-12)]) {
            let tape = Tape::off();
            let [q, k, v] = x.tokens(device, 0, x.s).unwrap().map(|x| tape.constant(&x));
            let spikes = x.spikes(device, 0, x.s, true).unwrap();
            let whole = attention.attend(&q, &k, &v, &spikes).unwrap();
            let whole = whole.value().to_vec::<f64>().unwrap();
            let single = x.run(&attention, device, [11, 20]).unwrap();
            let single: Vec<f64> = single.iter().flat_map(|o| o.to_vec::<f64>().unwrap()).collect();
            let rest = &whole[20 * x.b * x.d..];
            assert_eq!(single.len(), rest.len());
            for (i, (found, expected)) in single.iter().zip(rest).enumerate() {
                let close = (found - expected).abs() <= tolerance;
                assert!(close, "{label}, {gate:?}, element {i}: {found}, should be {expected}");
            }
        }
    }
}

/// More tokens at once than a workgroup takes at a time, and than the ring holds.
#[test]
fn long_prefill() {
    let x = Sequence::new([400, 1, 8, 4], 6);
    for window in [20, 130, 500] {
        check(&x, Options { heads: 1, window, ..PLAIN }, [170, 395]);
    }
}

/// A window that a software adapter walks through in larger workgroups, or refuses.
#[test]
fn long_windows() {
    let x = Sequence::new([14_002, 1, 8, 1], 1);
    check(&x, Options { heads: 1, window: 14_000, ..PLAIN }, [5, 14_000]);
    for subject in subjects().iter().filter(|s| !s.device.is_host()) {
        let attention = SpikeAttention::new(1).window(100_000);
        let mut cache = attention.cache(&subject.device, 1, 8).unwrap();
        let outcome = x.extend(&attention, &mut cache, &subject.device, 0..14_002);
        let refused = matches!(outcome, Err(spikegrad::Error::Limit { .. }));
        assert_eq!(
            refused,
            subject.device.capabilities().max_iterations.is_some(),
            "{}",
            subject.label
        );
        assert_eq!(cache.position(), if refused { 0 } else { 14_002 });
    }
}

/// Positions far beyond any table of angles.
#[test]
fn far_positions() {
    let x = Sequence::new([40, 1, 8, 4], 4);
    let options = Options { heads: 1, anchors: 0, ..PLAIN };
    let attention = options.attention();
    conform("after 100,000 silent tokens", 1e-5, |device| {
        let mut cache = attention.cache(device, 1, 8)?;
        let nothing = Tensor::zeros(device, [50_000, 1, 8], DType::F32)?;
        let silent = Tensor::zeros(device, [50_000, 1, 4], DType::Bits)?;
        attention.extend(&mut cache, &nothing, &nothing, &silent)?;
        attention.extend(&mut cache, &nothing, &nothing, &silent)?;
        assert_eq!(cache.position(), 100_000);
        (0..x.s).map(|t| x.decode(&attention, &mut cache, device, t)).collect()
    });
    // Rotations are relative: the outcome is that at the start.
    let mut far = attention.cache(oracle(), 1, 8).unwrap();
    let nothing = Tensor::zeros(oracle(), [1000, 1, 8], DType::F32).unwrap();
    let silent = Tensor::zeros(oracle(), [1000, 1, 4], DType::Bits).unwrap();
    attention.extend(&mut far, &nothing, &nothing, &silent).unwrap();
    for t in 0..x.s {
        let found = x.decode(&attention, &mut far, oracle(), t).unwrap().to_vec::<f64>().unwrap();
        for (found, expected) in found.iter().zip(options.definition(&x, t)) {
            approx::assert_abs_diff_eq!(*found, expected, epsilon = 1e-6);
        }
    }
}

/// A copy goes on by itself, and an emptied cache starts anew.
#[test]
fn caches_are_copied_and_emptied() {
    let x = Sequence::new([20, 2, 8, 4], 4);
    let attention = PLAIN.attention();
    for subject in subjects() {
        let device = &subject.device;
        let mut cache = attention.cache(device, 2, 8).unwrap();
        x.extend(&attention, &mut cache, device, 0..8).unwrap();
        let mut copy = cache.duplicate().unwrap();
        let go_on = |cache: &mut AttentionCache, from: usize| -> Vec<u32> {
            let tokens = (from..x.s)
                .map(|t| x.decode(&attention, cache, device, t).unwrap().to_vec::<f32>());
            tokens.flat_map(|o| o.unwrap()).map(f32::to_bits).collect()
        };
        let first = go_on(&mut cache, 8);
        assert_eq!(first, go_on(&mut copy, 8), "{}", subject.label);
        cache.reset().unwrap();
        assert_eq!(cache.position(), 0);
        x.extend(&attention, &mut cache, device, 0..8).unwrap();
        assert_eq!(first, go_on(&mut cache, 8), "{} after a reset", subject.label);
    }
}

/// `[B, D]` is `[1, B, D]`.
#[test]
fn tokens_without_their_axis() {
    let x = Sequence::new([6, 2, 8, 4], 2);
    let attention = PLAIN.attention();
    let device = Device::host();
    let (mut one, mut other) =
        (attention.cache(&device, 2, 8).unwrap(), attention.cache(&device, 2, 8).unwrap());
    for t in 0..x.s {
        let expected = x.decode(&attention, &mut one, &device, t).unwrap();
        let [q, k, v] = x.tokens(&device, t, t + 1).unwrap().map(|x| x.reshape([2, 8]).unwrap());
        let spikes = x.spikes(&device, t, t + 1, false).unwrap().reshape([2, 4]).unwrap();
        let found = attention.decode(&mut other, &q, &k, &v, &spikes).unwrap();
        assert_eq!(found.shape().dims(), [2, 8]);
        assert_eq!(found.to_vec::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
    }
}

/// Every launch against its twin, the cache included.
#[test]
fn shadowed_decoding_agrees() {
    let x = Sequence::new([60, 2, 16, 6], 5);
    for subject in own_subjects() {
        subject.device.shadow(true);
        for gate in [Gate::Position, Gate::Head] {
            let attention = Options { gate, window: 9, ..PLAIN }.attention();
            let run = x.run(&attention, &subject.device, [13, 40]);
            run.unwrap_or_else(|e| panic!("{}: {e}", subject.label));
        }
        subject.device.shadow(false);
    }
}

#[test]
fn nothing_to_decode() {
    let device = Device::host();
    let attention = PLAIN.attention();
    for [b, d] in [[0, 8], [2, 0]] {
        let mut cache = attention.cache(&device, b, d).unwrap();
        let x = Tensor::zeros(&device, [1, b, d], DType::F32).unwrap();
        let spikes = Tensor::zeros(&device, [1, b, 4], DType::Bits).unwrap();
        attention.extend(&mut cache, &x, &x, &spikes).unwrap();
        assert_eq!(attention.decode(&mut cache, &x, &x, &x, &spikes).unwrap().count(), 0);
        assert_eq!(cache.position(), 2);
    }
    let mut cache = attention.cache(&device, 1, 4).unwrap();
    let x = Tensor::from_slice(&device, &[1.0f32; 4], [1, 1, 4]).unwrap();
    // No channel of the gate: no position is ever open.
    let spikes = Tensor::zeros(&device, [1, 1, 0], DType::F32).unwrap();
    let o = attention.decode(&mut cache, &x, &x, &x, &spikes).unwrap();
    assert_eq!(o.to_vec::<f32>().unwrap(), [0.0; 4]);
}

#[test]
fn bad_input_is_refused() {
    let device = Device::host();
    let attention = PLAIN.attention();
    let message = |e: spikegrad::Error| e.to_string();
    assert!(message(attention.cache(&device, 1, 7).unwrap_err()).contains("7 channels"));
    assert!(message(attention.cache(&device, 1, 6).unwrap_err()).contains("3 channels a head"));
    let endless = PLAIN.attention().window(u32::MAX as usize);
    assert!(matches!(endless.cache(&device, 1, 8), Err(spikegrad::Error::Limit { .. })));

    let mut cache = attention.cache(&device, 2, 8).unwrap();
    let zeros = |shape: &[usize], dtype| Tensor::zeros(&device, shape, dtype).unwrap();
    let (x, spikes) = (zeros(&[1, 2, 8], DType::F32), zeros(&[1, 2, 4], DType::Bits));
    let mut refused = |tensors: [&Tensor; 4], part: &str| {
        let [q, k, v, s] = tensors;
        let found = message(attention.decode(&mut cache, q, k, v, s).unwrap_err());
        assert!(found.contains("decode") && found.contains(part), "{found}");
        assert_eq!(cache.position(), 0);
    };
    let two = zeros(&[2, 2, 8], DType::F32);
    let spikes_of_two = zeros(&[2, 2, 4], DType::Bits);
    refused([&two, &two, &two, &spikes_of_two], "more than one token");
    refused([&x, &zeros(&[1, 2, 4], DType::F32), &x, &spikes], "[1, 2, 4]");
    refused([&x, &x, &x, &zeros(&[1, 3, 4], DType::F32)], "spikes [1, 3, 4]");
    refused([&x, &x, &x, &zeros(&[1, 2, 4], DType::U32)], "f32 or bits");
    refused([&x, &x, &spikes, &spikes], "expected f32");
    let flat = zeros(&[2, 8], DType::F32);
    refused([&flat, &flat, &flat, &zeros(&[2, 4], DType::Bits)], "beside queries");
    let other = Device::oracle();
    let far = Tensor::zeros(&other, [1, 2, 8], DType::F32).unwrap();
    refused([&x, &far, &x, &spikes], "different devices");

    let message =
        message(PLAIN.attention().window(9).extend(&mut cache, &x, &x, &spikes).unwrap_err());
    assert!(message.contains("other options"), "{message}");
    let heads = Options { gate: Gate::Head, heads: 4, base: None, ..PLAIN }.attention();
    let mut cache = heads.cache(&device, 2, 8).unwrap();
    let odd = zeros(&[1, 2, 6], DType::F32);
    assert!(heads.decode(&mut cache, &x, &x, &x, &odd).is_err());
}

/// A recurrence over `x[T, B, N]` from a state: outputs `[T, B, N]`, and the state after them.
type Recurrence = fn(&Tensor, Option<Tensor>) -> Result<(Tensor, Tensor)>;

/// A parameter of the tape of `x`, one value a channel.
fn parameter(x: &Var, seed: u64, low: f32, high: f32) -> Result<Var> {
    let count = x.shape().last().copied().unwrap_or(1);
    let values = Random::new(seed).values(count, low, high);
    Ok(x.tape().constant(&Tensor::from_slice(x.device(), &values, [count])?))
}

fn spiking(x: &Tensor, state: Option<Tensor>) -> Result<(Tensor, Tensor)> {
    let tape = Tape::off();
    let state = state.map(|s| tape.constant(&s));
    let lif = Lif::new().decay(0.9).reset(Reset::Soft);
    let out = lif.scan(&tape.constant(x), state.as_ref())?;
    Ok((out.spikes.value().clone(), out.state.value().clone()))
}

fn decaying(x: &Tensor, state: Option<Tensor>) -> Result<(Tensor, Tensor)> {
    let tape = Tape::off();
    let x = tape.constant(x);
    let state = state.map(|s| tape.constant(&s));
    let out = x.decay_scan(&parameter(&x, 5, 0.0, 4.0)?, state.as_ref())?;
    Ok((out.h.value().clone(), out.last.value().clone()))
}

/// Keys and values are the same tensor.
fn averaging(x: &Tensor, state: Option<Tensor>) -> Result<(Tensor, Tensor)> {
    let x = Tape::off().constant(x);
    let (w, u) = (parameter(&x, 6, -3.0, 0.0)?, parameter(&x, 7, -1.0, 1.0)?);
    let state = state.map(WkvState::from_tensor).transpose()?;
    let out = wkv(&x, &x, &w, &u, state.as_ref())?;
    Ok((out.y.value().clone(), out.state.tensor().clone()))
}

/// The state is the last token.
fn shifting(x: &Tensor, state: Option<Tensor>) -> Result<(Tensor, Tensor)> {
    let x = Tape::off().constant(x);
    let state = state.map(|s| x.tape().constant(&s));
    let y = x.token_shift(&parameter(&x, 8, 0.0, 1.0)?, state.as_ref())?;
    let last = x.shape()[0] - 1;
    let last = x.narrow(0, last..last + 1)?.reshape(&x.shape().dims()[1..])?;
    Ok((y.value().clone(), last.value().clone()))
}

/// Other recurrences of a language model: all tokens at once, and the first ones, then one at a time.
#[test]
fn recurrences_go_on_from_their_state() {
    let all: [(&str, Recurrence); 4] =
        [("lif", spiking), ("decay", decaying), ("wkv", averaging), ("shift", shifting)];
    let [steps, batch, channels] = [50, 3, 6];
    let row = batch * channels;
    let values = Random::new(3).values(steps * row, -2.0, 3.0);
    for (name, run) in all {
        let devices = subjects().iter().map(|s| (&s.device, s.label.as_str(), 1e-5));
        for (device, label, tolerance) in devices.chain([(oracle(), "the oracle", 1e-12)]) {
            let part = |from: usize, to: usize| {
                let part = &values[from * row..to * row];
                Tensor::from_slice(device, part, [to - from, batch, channels]).unwrap()
            };
            let (whole, _) = run(&part(0, steps), None).unwrap();
            for prefill in [1, 33] {
                let (first, mut state) = run(&part(0, prefill), None).unwrap();
                let mut found = first.to_vec::<f64>().unwrap();
                for t in prefill..steps {
                    let (y, next) = run(&part(t, t + 1), Some(state)).unwrap();
                    found.extend(y.to_vec::<f64>().unwrap());
                    state = next;
                }
                for (i, (found, e)) in found.iter().zip(whole.to_vec::<f64>().unwrap()).enumerate()
                {
                    let close = (found - e).abs() <= tolerance * (1.0 + e.abs());
                    assert!(close, "{name} on {label}, element {i}: {found}, should be {e}");
                }
            }
        }
    }
}
