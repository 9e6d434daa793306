//! The twins of the cache's kernels.

use crate::attention::cache::{MARKS, Params};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, exp, greatest, vectorised};

/// Multiplications below which a decoded token is one thread's work.
const PARALLEL: usize = 1 << 18;

/// Spikes of either type.
enum Spikes<'a, R> {
    Reals(&'a [R]),
    Words(&'a [u32]),
}

/// What a launch reads.
struct Call<'a, R> {
    p: Params,
    /// Channels of a head.
    d: usize,
    k: &'a [R],
    v: &'a [R],
    spikes: Spikes<'a, R>,
    /// (cos, sin) of d/2 angles a row, if keys are turned.
    turns: Option<&'a [R]>,
}

impl<'a, R: Real> Call<'a, R> {
    fn new(args: &HostArgs<'a, R>) -> Self {
        let p: Params = args.params();
        let (k, v) = (args.reals("k"), args.reals("v"));
        let d = k.len() / (p.steps * p.lanes).max(1) as usize;
        let spikes = if args.when("BITS") {
            Spikes::Words(args.words("spikes"))
        } else {
            Spikes::Reals(args.reals("spikes"))
        };
        let turns = (p.half > 0).then(|| args.reals("turns"));
        Self { p, d, k, v, spikes, turns }
    }

    /// Slots of the ring, and all of a lane.
    fn ring(&self) -> usize {
        self.p.window as usize + 1
    }
    fn slots(&self) -> usize {
        self.p.anchors as usize + self.ring()
    }

    /// Whether token `t` is open in a lane.
    fn is_open(&self, t: usize, lane: usize) -> bool {
        let [lanes, heads, channels, groups] =
            [self.p.lanes, self.p.heads, self.p.channels, self.p.groups].map(|v| v as usize);
        let width = channels / groups;
        let sample = lane / heads;
        let first = lane % heads * groups / heads * width;
        let row = |t: usize| (t * (lanes / heads) + sample) * channels + first;
        let count = match self.spikes {
            Spikes::Reals(s) => {
                s[row(t)..][..width].iter().map(|s| u32::from(*s > R::zero())).sum()
            }
            Spikes::Words(s) => {
                s[row(t / 32)..][..width].iter().map(|w| w >> (t % 32) & 1).sum::<u32>()
            }
        };
        count >= self.p.least
    }

    /// The row of token `t` of a tensor `[S, lanes, d]`.
    fn row<'b>(&self, x: &'b [R], t: usize, lane: usize) -> &'b [R] {
        &x[(t * self.p.lanes as usize + lane) * self.d..][..self.d]
    }

    /// Writes a row that is turned by row `turn` of the table, times `scale`.
    #[inline(always)]
    fn turn(&self, x: &[R], turn: usize, scale: R, y: &mut [R]) {
        let Some(turns) = self.turns else {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = *x * scale);
            return;
        };
        let half = self.d / 2;
        let turns = &turns[turn * 2 * half..][..2 * half];
        let ((x0, x1), (y0, y1)) = (x.split_at(half), y.split_at_mut(half));
        for (i, turn) in turns.chunks_exact(2).enumerate() {
            y0[i] = (x0[i] * turn[0] - x1[i] * turn[1]) * scale;
            y1[i] = (x1[i] * turn[0] + x0[i] * turn[1]) * scale;
        }
    }

    /// Puts token `t` into a slot.
    #[inline(always)]
    fn keep(&self, rows: &mut [R], slot: usize, t: usize, lane: usize, turn: usize) {
        let (keys, values) = rows.split_at_mut(self.slots() * self.d);
        let at = slot * self.d..(slot + 1) * self.d;
        self.turn(self.row(self.k, t, lane), turn, R::one(), &mut keys[at.clone()]);
        values[at].copy_from_slice(self.row(self.v, t, lane));
    }
}

/// A lane's marks.
struct Marks<'a> {
    words: &'a mut [u32],
    ring: usize,
}

impl Marks<'_> {
    fn head(&self) -> usize {
        self.words[0] as usize
    }
    fn tail(&self) -> usize {
        self.words[1] as usize
    }
    fn early(&self) -> usize {
        self.words[2] as usize
    }

    /// The slots that hold keys: those of early positions, then the ring from its tail to its end, and
    /// from its start on.
    fn slots(&self, anchors: usize) -> [std::ops::Range<usize>; 3] {
        let (start, count) = (self.tail() % self.ring, self.head() - self.tail());
        let end = self.ring.min(start + count);
        let wrapped = count - (end - start);
        [0..self.early(), anchors + start..anchors + end, anchors..anchors + wrapped]
    }

    /// A slot for an open position.
    fn take(&mut self, position: u32, anchors: u32) -> usize {
        if position < anchors {
            self.words[2] += 1;
            return self.early() - 1;
        }
        let place = self.head() % self.ring;
        self.words[MARKS + place] = position;
        self.words[0] += 1;
        anchors as usize + place
    }

    /// Lets go of what a query at `position` does not see.
    fn advance(&mut self, position: u32, window: u32) {
        let mut tail = self.tail().max(self.head().saturating_sub(self.ring));
        let seen = |place: u32| u64::from(place) + u64::from(window) >= u64::from(position);
        while tail < self.head() && !seen(self.words[MARKS + tail % self.ring]) {
            tail += 1;
        }
        self.words[1] = tail as u32;
    }
}

/// Appends tokens.
pub(super) fn extend<R: Real>(args: &mut HostArgs<'_, R>) {
    let call = Call::new(args);
    let (p, ring) = (call.p, call.ring());
    let (rows, marks) = (args.reals_mut("rows"), args.words_mut("marks"));
    let lanes = rows.par_chunks_exact_mut(2 * call.slots() * call.d);
    let lanes = lanes.zip(marks.par_chunks_exact_mut(MARKS + ring));
    lanes.take(p.lanes as usize).enumerate().for_each(|(lane, (rows, words))| {
        let mut marks = Marks { words, ring };
        let kept = (0..p.early).chain(p.late..p.steps).enumerate();
        for (r, t) in kept.filter(|(_, t)| call.is_open(*t as usize, lane)) {
            let slot = marks.take(p.position + t, p.anchors);
            call.keep(rows, slot, t as usize, lane, p.turn as usize + r);
        }
        marks.advance(p.position + p.steps, p.window);
    });
}

/// A lane of a decoded token.
struct Lane<'a, R> {
    /// Its number.
    lane: usize,
    q: &'a [R],
    rows: &'a mut [R],
    marks: Marks<'a>,
    o: &'a mut [R],
}

/// A lane's rows and marks, query and outcome.
type Part<'a, R> = ((&'a mut [R], &'a mut [u32]), (&'a [R], &'a mut [R]));

/// Attends from one token, which joins the cache.
pub(super) fn decode<R: Real>(args: &mut HostArgs<'_, R>) {
    let call = Call::new(args);
    let gated = args.flag("QUERY_GATE");
    let (rows, marks) = (args.reals_mut("rows"), args.words_mut("marks"));
    let (q, o) = (args.reals("q"), args.reals_mut("o"));
    let (lanes, d, ring) = (call.p.lanes as usize, call.d, call.ring());
    let (size, words) = (2 * call.slots() * d, MARKS + ring);
    let one = |(lane, part): (usize, Part<'_, R>)| {
        let ((rows, words), (q, o)) = part;
        let mut lane = Lane { lane, q, rows, marks: Marks { words, ring }, o };
        vectorised(
            #[inline(always)]
            || lane.attend(&call, gated),
        );
    };
    let seen = call.slots().min(call.p.position as usize + 1);
    if lanes * seen * d < PARALLEL {
        // To wake other threads takes longer than a few keys.
        let caches = rows.chunks_exact_mut(size).zip(marks.chunks_exact_mut(words));
        let rest = q.chunks_exact(d).zip(o.chunks_exact_mut(d));
        caches.zip(rest).take(lanes).enumerate().for_each(one);
    } else {
        let caches = rows.par_chunks_exact_mut(size).zip(marks.par_chunks_exact_mut(words));
        let rest = q.par_chunks_exact(d).zip(o.par_chunks_exact_mut(d));
        caches.zip(rest).take(lanes).enumerate().for_each(one);
    }
}

/// Keys whose scores are made at a time.
const KEYS: usize = 32;

/// The widest head whose query needs no memory of its own.
const QUERY: usize = 128;

impl<R: Real> Lane<'_, R> {
    #[inline(always)]
    fn attend(&mut self, call: &Call<'_, R>, gated: bool) {
        let (p, d) = (&call.p, call.d);
        let open = call.is_open(0, self.lane);
        self.marks.advance(p.position, p.window);
        if open {
            let slot = self.marks.take(p.position, p.anchors);
            call.keep(self.rows, slot, 0, self.lane, p.turn as usize);
        }
        self.o.fill(R::zero());
        if gated && !open {
            return;
        }
        let (mut near, mut far) = ([R::zero(); QUERY], Vec::new());
        let query = if d <= QUERY {
            &mut near[..d]
        } else {
            far.resize(d, R::zero());
            &mut far[..]
        };
        call.turn(self.q, p.turn as usize, R::lit(f64::from(p.scale)), query);
        let (keys, values) = self.rows.split_at(call.slots() * d);
        let most = R::lit(f32::MIN.into());
        let mut sum = Softmax { most, total: R::zero(), some: false, o: self.o };
        for slots in self.marks.slots(p.anchors as usize) {
            let range = slots.start * d..slots.end * d;
            let (keys, values) = (&keys[range.clone()], &values[range]);
            for (keys, values) in keys.chunks(KEYS * d).zip(values.chunks(KEYS * d)) {
                sum.add(query, keys, values);
            }
        }
        sum.finish();
    }
}

/// A softmax of keys that come a few at a time.
struct Softmax<'a, R> {
    most: R,
    total: R,
    /// Whether there was any key.
    some: bool,
    o: &'a mut [R],
}

impl<R: Real> Softmax<'_, R> {
    #[inline(always)]
    fn add(&mut self, query: &[R], keys: &[R], values: &[R]) {
        let d = query.len();
        let mut scores = [R::zero(); KEYS];
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
fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    const PARTS: usize = 16;
    let mut sums = [R::zero(); PARTS];
    let (a_parts, b_parts) = (a.chunks_exact(PARTS), b.chunks_exact(PARTS));
    let rest = a_parts.remainder().iter().zip(b_parts.remainder());
    let rest: R = rest.map(|(a, b)| *a * *b).sum();
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
