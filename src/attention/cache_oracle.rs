//! What the kernels of the cache compute, from the definition.

use super::cache_params::{CacheParams, RING_HEADER};
use crate::host::{HostArgs, Real, greatest};

/// Spikes of either type.
enum Spikes<'a, R> {
    Reals(&'a [R]),
    Words(&'a [u32]),
}

/// What a launch reads.
pub(crate) struct Call<'a, R> {
    pub(crate) p: CacheParams,
    /// Channels of a head.
    pub(crate) d: usize,
    k: &'a [R],
    v: &'a [R],
    spikes: Spikes<'a, R>,
    /// (cos, sin) of d/2 angles a row, if keys are turned.
    turns: Option<&'a [R]>,
}

impl<'a, R: Real> Call<'a, R> {
    pub(crate) fn new(args: &HostArgs<'a, R>) -> Self {
        let p: CacheParams = args.params();
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
    pub(crate) fn ring(&self) -> usize {
        self.p.window as usize + 1
    }
    pub(crate) fn slots(&self) -> usize {
        self.p.anchors as usize + self.ring()
    }

    /// Whether token `t` is open in a lane.
    pub(crate) fn is_open(&self, t: usize, lane: usize) -> bool {
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
    pub(crate) fn turn(&self, x: &[R], turn: usize, scale: R, y: &mut [R]) {
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

    /// Puts token `t` into a slot of a lane.
    #[inline(always)]
    pub(crate) fn keep(&self, rows: &mut [R], slot: usize, t: usize, lane: usize, turn: usize) {
        let (keys, values) = rows.split_at_mut(self.slots() * self.d);
        let at = slot * self.d..(slot + 1) * self.d;
        self.turn(self.row(self.k, t, lane), turn, R::one(), &mut keys[at.clone()]);
        values[at].copy_from_slice(self.row(self.v, t, lane));
    }

    /// Puts the open ones among the tokens of the call into a lane's cache.
    pub(crate) fn extend(&self, lane: usize, rows: &mut [R], words: &mut [u32]) {
        let p = &self.p;
        let mut ring = Ring { words, slots: self.ring() };
        let kept = (0..p.early).chain(p.late..p.steps).enumerate();
        for (r, t) in kept.filter(|(_, t)| self.is_open(*t as usize, lane)) {
            let slot = ring.take(p.position + t, p.anchors);
            self.keep(rows, slot, t as usize, lane, p.turn as usize + r);
        }
        ring.advance(p.position + p.steps, p.window);
    }

    /// Puts the token of the call into a lane's cache, if it is open; whether it is, and the slots of all
    /// keys that its query sees.
    #[inline(always)]
    pub(crate) fn join(&self, lane: usize, rows: &mut [R], words: &mut [u32]) -> (bool, Slots) {
        let p = &self.p;
        let mut ring = Ring { words, slots: self.ring() };
        let open = self.is_open(0, lane);
        ring.advance(p.position, p.window);
        if open {
            let slot = ring.take(p.position, p.anchors);
            self.keep(rows, slot, 0, lane, p.turn as usize);
        }
        (open, ring.seen(p.anchors as usize))
    }
}

/// The slots that hold what is seen: those of early positions, then the ring from its tail to its end,
/// and from its start on.
pub(crate) type Slots = [std::ops::Range<usize>; 3];

/// What a lane remembers of its positions.
struct Ring<'a> {
    words: &'a mut [u32],
    slots: usize,
}

impl Ring<'_> {
    fn head(&self) -> usize {
        self.words[0] as usize
    }
    fn tail(&self) -> usize {
        self.words[1] as usize
    }
    fn early(&self) -> usize {
        self.words[2] as usize
    }

    fn seen(&self, anchors: usize) -> Slots {
        let (start, count) = (self.tail() % self.slots, self.head() - self.tail());
        let end = self.slots.min(start + count);
        let wrapped = count - (end - start);
        [0..self.early(), anchors + start..anchors + end, anchors..anchors + wrapped]
    }

    /// A slot for an open position.
    fn take(&mut self, position: u32, anchors: u32) -> usize {
        if position < anchors {
            self.words[2] += 1;
            return self.early() - 1;
        }
        let place = self.head() % self.slots;
        self.words[RING_HEADER + place] = position;
        self.words[0] += 1;
        anchors as usize + place
    }

    /// Lets go of what a query at `position` does not see.
    fn advance(&mut self, position: u32, window: u32) {
        let mut tail = self.tail().max(self.head().saturating_sub(self.slots));
        let seen = |place: u32| u64::from(place) + u64::from(window) >= u64::from(position);
        while tail < self.head() && !seen(self.words[RING_HEADER + tail % self.slots]) {
            tail += 1;
        }
        self.words[1] = tail as u32;
    }
}

/// Appends tokens.
pub(super) fn extend<R: Real>(args: &mut HostArgs<'_, R>) {
    let call = Call::new(args);
    let (rows, ring) = (args.reals_mut("rows"), args.words_mut("ring"));
    let rows = rows.chunks_exact_mut(2 * call.slots() * call.d);
    let lanes = rows.zip(ring.chunks_exact_mut(RING_HEADER + call.ring()));
    for (lane, (rows, ring)) in lanes.take(call.p.lanes as usize).enumerate() {
        call.extend(lane, rows, ring);
    }
}

/// `o = sum_j exp(s_j) v_j / sum_j exp(s_j)`, `s_j = scale q . k_j`, j over what the cache shows of a
/// lane.
pub(super) fn decode<R: Real>(args: &mut HostArgs<'_, R>) {
    let call = Call::new(args);
    let gated = args.flag("QUERY_GATE");
    let (d, values) = (call.d, call.slots() * call.d);
    let (rows, ring) = (args.reals_mut("rows"), args.words_mut("ring"));
    let (q, o) = (args.reals("q"), args.reals_mut("o"));
    for lane in 0..call.p.lanes as usize {
        let rows = &mut rows[lane * 2 * values..][..2 * values];
        let words = RING_HEADER + call.ring();
        let (open, slots) = call.join(lane, rows, &mut ring[lane * words..][..words]);
        let o = &mut o[lane * d..][..d];
        o.fill(R::zero());
        let slots: Vec<usize> = slots.into_iter().flatten().collect();
        if slots.is_empty() || gated && !open {
            continue;
        }
        let mut query = vec![R::zero(); d];
        let scale = R::lit(call.p.scale.into());
        call.turn(&q[lane * d..][..d], call.p.turn as usize, scale, &mut query);
        let score = |slot: &usize| query.iter().zip(&rows[slot * d..]).map(|(q, k)| *q * *k).sum();
        let scores: Vec<R> = slots.iter().map(score).collect();
        let most = scores.iter().copied().reduce(greatest).unwrap_or(R::zero());
        let weights: Vec<R> = scores.iter().map(|s| (*s - most).exp()).collect();
        let total: R = weights.iter().copied().sum();
        for (c, o) in o.iter_mut().enumerate() {
            let value = |slot: &usize| rows[values + slot * d + c];
            *o = slots.iter().zip(&weights).map(|(slot, w)| *w * value(slot)).sum::<R>() / total;
        }
    }
}
