//! The twin of `wkv`.

use super::parts::{Grid, Part, Rows};
use crate::host::columns::each_block;
use crate::host::{HostArgs, Real, exp, least, vectorised};
use crate::scan::wkv::{EVERY, NOTHING};
use std::sync::{Mutex, PoisonError};

pub(super) fn grid<R: Real>(args: &HostArgs<'_, R>) -> Grid {
    Grid::new(args.params())
}

/// Columns that are walked through together: what they remember stays in the nearest cache.
pub(super) const STRIP: usize = 128;

/// `w' = -e^w`, finite: where that overflows nothing is left after one step, but of the step before all
/// is, and 0 times an infinity would be NaN.
pub(super) fn decay_of<R: Real>(w: R) -> R {
    -least(w.exp(), R::max_value())
}

/// e^0 for the larger of two exponents that differ by `ahead`, and for the smaller what remains.
#[inline(always)]
pub(super) fn weights<R: Real>(ahead: R) -> (R, R) {
    let e = exp(-ahead.abs());
    if ahead >= R::zero() { (R::one(), e) } else { (e, R::one()) }
}

/// The memories of a strip of columns: the sums `p` and `q` over e^o, `o = top + age decay`.
pub(super) struct Memories<R> {
    pub(super) p: [R; STRIP],
    pub(super) q: [R; STRIP],
    top: [R; STRIP],
    age: [R; STRIP],
    pub(super) decay: [R; STRIP],
    pub(super) bonus: [R; STRIP],
}

impl<R: Real> Memories<R> {
    /// Nothing remembered yet; `channel` gives w' and u of a column of the strip.
    pub(super) fn new(width: usize, channel: impl Fn(usize) -> (R, R)) -> Self {
        let zeros = [R::zero(); STRIP];
        let mut new = Self {
            p: zeros,
            q: zeros,
            top: [R::lit(NOTHING); STRIP],
            age: zeros,
            decay: zeros,
            bonus: zeros,
        };
        for i in 0..width {
            (new.decay[i], new.bonus[i]) = channel(i);
        }
        new
    }

    /// Takes rows p, q and o.
    #[inline(always)]
    pub(super) fn load(&mut self, rows: [&[R]; 3]) {
        let n = rows[0].len();
        self.p[..n].copy_from_slice(rows[0]);
        self.q[..n].copy_from_slice(rows[1]);
        self.top[..n].copy_from_slice(rows[2]);
        self.age[..n].fill(R::zero());
    }

    /// The exponent of column `i`.
    #[inline(always)]
    pub(super) fn exponent(&self, i: usize) -> R {
        self.top[i] + self.age[i] * self.decay[i]
    }

    /// The weights of the past and of the step in the output of column `i`.
    #[inline(always)]
    pub(super) fn out(&self, i: usize, key: R) -> (R, R) {
        weights(self.exponent(i) - (self.bonus[i] + key))
    }

    /// Takes a step of column `i`; the weights of the past and of the step.
    #[inline(always)]
    pub(super) fn step(&mut self, i: usize, key: R, value: R) -> (R, R) {
        let ahead = self.top[i] + (self.age[i] + R::one()) * self.decay[i] - key;
        let (past, now) = weights(ahead);
        self.p[i] = past * self.p[i] + now * value;
        self.q[i] = past * self.q[i] + now;
        let kept = ahead >= R::zero();
        self.top[i] = if kept { self.top[i] } else { key };
        self.age[i] = if kept { self.age[i] + R::one() } else { R::zero() };
        (past, now)
    }
}

/// Rows p, q and o of a matrix of memories, from row `row` on.
pub(super) fn memory_rows<R>(
    rows: &[R],
    row: usize,
    columns: usize,
    c: usize,
    n: usize,
) -> [&[R]; 3] {
    [0, 1, 2].map(|k| {
        let at = (row + k) * columns + c;
        &rows[at..at + n]
    })
}

/// What a launch reads.
struct Task<'a, R> {
    grid: Grid,
    k: &'a [R],
    v: &'a [R],
    w: &'a [R],
    u: &'a [R],
    starts: Option<&'a [R]>,
}

pub(in crate::scan) fn wkv<R: Real>(args: &mut HostArgs<'_, R>) {
    let grid = grid(args);
    let emit = args.constant_or("EMIT", 1) != 0;
    let saves = args.constant_or("SAVE", 0) != 0;
    let starts = (args.constant_or("STATE", 0) != 0).then(|| args.reals(4));
    let [k, v, w, u] = [0, 1, 2, 3].map(|i| args.reals(i));
    let task = Task { grid, k, v, w, u, starts };
    let (y, saved, last) = (args.reals_mut(5), args.reals_mut(6), args.reals_mut(7));
    let memories = if saves { 3 * grid.steps.div_ceil(EVERY) * grid.columns } else { 0 };
    let (saved, constants) = saved.split_at_mut(memories);
    if saves {
        for c in 0..grid.columns {
            constants[c] = decay_of(w[c % grid.channels]);
            constants[grid.columns + c] = u[c % grid.channels];
        }
    }
    let rows = grid.cut(emit, y, grid.start, grid.chunk).into_iter();
    let rows =
        rows.zip(grid.cut(saves, saved, 3 * (grid.start / EVERY), 3 * grid.chunk.div_ceil(EVERY)));
    let work = grid.parts().into_iter().zip(rows).collect();
    let last = Mutex::new(last);
    each_block(work, |_, (part, (mut y, mut saved)): (Part, _)| {
        for offset in (0..part.width).step_by(STRIP) {
            let strip = Strip { part, offset, width: STRIP.min(part.width - offset) };
            let m = forward(&task, &strip, &mut y, &mut saved);
            if !emit || part.end == grid.steps || grid.chunks == 1 {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                let row = if emit { 0 } else { 3 * part.chunk };
                keep(&m, &mut last[row * grid.columns..], grid.columns, &strip);
            }
        }
    });
}

/// Columns of a part.
struct Strip {
    part: Part,
    offset: usize,
    width: usize,
}

/// Writes p, q and o to the first three rows of `to`.
fn keep<R: Real>(m: &Memories<R>, to: &mut [R], columns: usize, strip: &Strip) {
    let first = strip.part.first + strip.offset;
    for i in 0..strip.width {
        let c = first + i;
        (to[c], to[columns + c], to[2 * columns + c]) = (m.p[i], m.q[i], m.exponent(i));
    }
}

fn forward<R: Real>(
    task: &Task<'_, R>,
    strip: &Strip,
    y: &mut Option<Rows<'_, R>>,
    saved: &mut Option<Rows<'_, R>>,
) -> Memories<R> {
    let Strip { part, offset, width: n } = *strip;
    let columns = task.grid.columns;
    let first = part.first + offset;
    let mut m = Memories::new(n, |i| {
        let channel = (first + i) % task.grid.channels;
        (decay_of(task.w[channel]), task.u[channel])
    });
    if let Some(starts) = task.starts {
        m.load(memory_rows(starts, 3 * part.chunk, columns, first, n));
    }
    vectorised(
        #[inline(always)]
        || {
            for t in part.start..part.end {
                let step = t - part.start;
                if let Some(saved) = saved.as_mut().filter(|_| step % EVERY == 0) {
                    let row = step / EVERY * 3;
                    saved.row(row)[offset..offset + n].copy_from_slice(&m.p[..n]);
                    saved.row(row + 1)[offset..offset + n].copy_from_slice(&m.q[..n]);
                    let exponents = &mut saved.row(row + 2)[offset..offset + n];
                    for (i, o) in exponents.iter_mut().enumerate() {
                        *o = m.exponent(i);
                    }
                }
                let at = t * columns + first;
                let (k, v) = (&task.k[at..at + n], &task.v[at..at + n]);
                if let Some(y) = y.as_mut() {
                    let y = &mut y.row(step)[offset..offset + n];
                    for i in 0..n {
                        let (past, now) = m.out(i, k[i]);
                        y[i] = (past * m.p[i] + now * v[i]) / (past * m.q[i] + now);
                    }
                }
                for i in 0..n {
                    m.step(i, k[i], v[i]);
                }
            }
        },
    );
    m
}
