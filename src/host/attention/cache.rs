//! The cache of one-token decode, a lane a task.

use crate::attention::cache_oracle::Call;
use crate::attention::cache_params::RING_HEADER;
use crate::host::parallel::*;
use crate::host::{HostArgs, exp, greatest, vectorised};

/// Multiplications below which a decoded token is one thread's work.
const PARALLEL: usize = 1 << 18;

/// Appends tokens.
pub(crate) fn cache_extend(args: &mut HostArgs<'_, f32>) {
    let call = Call::new(args);
    let (rows, ring) = (args.reals_mut("rows"), args.words_mut("ring"));
    let lanes = rows.par_chunks_exact_mut(2 * call.slots() * call.d);
    let lanes = lanes.zip(ring.par_chunks_exact_mut(RING_HEADER + call.ring()));
    let lanes = lanes.take(call.p.lanes as usize).enumerate();
    lanes.for_each(|(lane, (rows, ring))| call.extend(lane, rows, ring));
}

/// A lane's rows and ring, query and outcome.
type Lane<'a> = ((&'a mut [f32], &'a mut [u32]), (&'a [f32], &'a mut [f32]));

/// Attends from one token, which joins the cache.
pub(crate) fn decode_attend(args: &mut HostArgs<'_, f32>) {
    let call = Call::new(args);
    let gated = args.flag("QUERY_GATE");
    let (rows, ring) = (args.reals_mut("rows"), args.words_mut("ring"));
    let (q, o) = (args.reals("q"), args.reals_mut("o"));
    let (lanes, d) = (call.p.lanes as usize, call.d);
    let (size, words) = (2 * call.slots() * d, RING_HEADER + call.ring());
    let single = |(number, ((rows, ring), (q, o))): (usize, Lane<'_>)| {
        vectorised(
            #[inline(always)]
            || attend(&call, number, gated, ((&mut *rows, &mut *ring), (q, &mut *o))),
        );
    };
    let seen = call.slots().min(call.p.position as usize + 1);
    if lanes * seen * d < PARALLEL {
        // To wake other threads takes longer than a few keys.
        let caches = rows.chunks_exact_mut(size).zip(ring.chunks_exact_mut(words));
        let rest = q.chunks_exact(d).zip(o.chunks_exact_mut(d));
        caches.zip(rest).take(lanes).enumerate().for_each(single);
    } else {
        let caches = rows.par_chunks_exact_mut(size).zip(ring.par_chunks_exact_mut(words));
        let rest = q.par_chunks_exact(d).zip(o.par_chunks_exact_mut(d));
        caches.zip(rest).take(lanes).enumerate().for_each(single);
    }
}

/// Keys whose scores are made at a time.
const KEYS: usize = 32;

/// The widest head whose query needs no memory of its own.
const QUERY: usize = 128;

#[inline(always)]
fn attend(call: &Call<'_, f32>, number: usize, gated: bool, lane: Lane<'_>) {
    let (p, d) = (&call.p, call.d);
    let ((rows, ring), (q, o)) = lane;
    let (open, slots) = call.join(number, rows, ring);
    o.fill(0.0);
    if gated && !open {
        return;
    }
    let (mut near, mut far) = ([0.0; QUERY], Vec::new());
    let query = if d <= QUERY {
        &mut near[..d]
    } else {
        far.resize(d, 0.0);
        &mut far[..]
    };
    call.turn(q, p.turn as usize, p.scale, query);
    let (keys, values) = rows.split_at(call.slots() * d);
    let mut sum = Softmax { most: f32::MIN, total: 0.0, some: false, o };
    for slots in slots {
        let range = slots.start * d..slots.end * d;
        let (keys, values) = (&keys[range.clone()], &values[range]);
        for (keys, values) in keys.chunks(KEYS * d).zip(values.chunks(KEYS * d)) {
            sum.add(query, keys, values);
        }
    }
    sum.finish();
}

/// A softmax of keys that come a few at a time.
struct Softmax<'a> {
    most: f32,
    total: f32,
    /// Whether there was any key.
    some: bool,
    o: &'a mut [f32],
}

impl Softmax<'_> {
    #[inline(always)]
    fn add(&mut self, query: &[f32], keys: &[f32], values: &[f32]) {
        let d = query.len();
        let mut scores = [0.0; KEYS];
        let scores = &mut scores[..keys.len() / d];
        let mut now = self.most;
        for (score, key) in scores.iter_mut().zip(keys.chunks_exact(d)) {
            *score = dot(query, key);
            now = greatest(now, *score);
        }
        let shrunk = exp(self.most - now);
        self.most = now;
        self.some = true;
        self.total *= shrunk;
        for score in scores.iter_mut() {
            *score = exp(*score - now);
        }
        for weight in scores.iter() {
            self.total += *weight;
        }
        let o = &mut self.o[..d];
        for o in o.iter_mut() {
            *o *= shrunk;
        }
        for (weight, value) in scores.iter().zip(values.chunks_exact(d)) {
            let weight = *weight;
            for (o, v) in o.iter_mut().zip(value) {
                *o += weight * *v;
            }
        }
    }

    fn finish(self) {
        // Where all scores are -infinity, 0 / 0.
        if self.some {
            self.o.iter_mut().for_each(|o| *o /= self.total);
        }
    }
}

/// The inner product, in sixteen parts.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const PARTS: usize = 16;
    let mut sums = [0.0; PARTS];
    let (a_parts, b_parts) = (a.chunks_exact(PARTS), b.chunks_exact(PARTS));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder());
    let rest: f32 = rest.map(|(a, b)| *a * *b).sum();
    for (a, b) in a_parts.zip(b_parts) {
        for i in 0..PARTS {
            sums[i] += a[i] * b[i];
        }
    }
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0] + rest
}
