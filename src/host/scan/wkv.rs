//! `wkv`.

use super::parts::{Grid, Part, Rows};
use crate::host::columns::each_block;
use crate::host::{HostArgs, vectorised};
use crate::scan::memory::{EVERY, NOTHING, decay_of, weights};
use std::sync::{Mutex, PoisonError};

/// Columns that are walked through together: what they remember stays in the nearest cache.
pub(super) const STRIP: usize = 128;

/// The memories of a strip of columns: the sums `p` and `q` over e^o, `o = top + age decay`.
pub(super) struct Memories {
    pub(super) p: [f32; STRIP],
    pub(super) q: [f32; STRIP],
    top: [f32; STRIP],
    age: [f32; STRIP],
    pub(super) decay: [f32; STRIP],
    pub(super) bonus: [f32; STRIP],
}

impl Memories {
    /// Nothing remembered yet; `channel` gives w' and u of a column of the strip.
    pub(super) fn new(width: usize, channel: impl Fn(usize) -> (f32, f32)) -> Self {
        let zeros = [0.0; STRIP];
        let mut new = Self {
            p: zeros,
            q: zeros,
            top: [NOTHING as f32; STRIP],
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
    pub(super) fn load(&mut self, rows: [&[f32]; 3]) {
        let n = rows[0].len();
        self.p[..n].copy_from_slice(rows[0]);
        self.q[..n].copy_from_slice(rows[1]);
        self.top[..n].copy_from_slice(rows[2]);
        self.age[..n].fill(0.0);
    }

    /// The exponent of column `i`.
    #[inline(always)]
    pub(super) fn exponent(&self, i: usize) -> f32 {
        self.exponent_after(i, 0.0)
    }

    /// Likewise, some steps later: `scan/wkv.wgsl`.
    #[inline(always)]
    fn exponent_after(&self, i: usize, steps: f32) -> f32 {
        let age = self.age[i] + steps;
        let decays = age != 0.0 && self.q[i] != 0.0;
        self.top[i] + if decays { age * self.decay[i] } else { 0.0 }
    }

    /// The weights of the past and of the step in the output of column `i`.
    #[inline(always)]
    pub(super) fn out(&self, i: usize, key: f32) -> (f32, f32) {
        weights(self.exponent(i) - (self.bonus[i] + key))
    }

    /// Takes a step of column `i`; the weights of the past and of the step.
    #[inline(always)]
    pub(super) fn step(&mut self, i: usize, key: f32, value: f32) -> (f32, f32) {
        let ahead = self.exponent_after(i, 1.0) - key;
        let (past, now) = weights(ahead);
        self.p[i] = past * self.p[i] + now * value;
        self.q[i] = past * self.q[i] + now;
        let kept = ahead >= 0.0;
        self.top[i] = if kept { self.top[i] } else { key };
        self.age[i] = if kept { self.age[i] + 1.0 } else { 0.0 };
        (past, now)
    }
}

/// Rows p, q and o of a matrix of memories, from row `row` on.
pub(super) fn memory_rows(
    rows: &[f32],
    row: usize,
    columns: usize,
    c: usize,
    n: usize,
) -> [&[f32]; 3] {
    [0, 1, 2].map(|k| {
        let at = (row + k) * columns + c;
        &rows[at..at + n]
    })
}

/// What a launch reads.
struct Task<'a> {
    grid: Grid,
    k: &'a [f32],
    v: &'a [f32],
    w: &'a [f32],
    u: &'a [f32],
    starts: Option<&'a [f32]>,
}

pub(crate) fn wkv(args: &mut HostArgs<'_, f32>) {
    let grid = Grid::new(args.params());
    let (emit, saves) = (args.flag("EMIT"), args.flag("SAVE"));
    let starts = args.flag("STATE").then(|| args.reals("starts"));
    let [k, v, w, u] = ["k", "v", "w", "u"].map(|name| args.reals(name));
    let task = Task { grid, k, v, w, u, starts };
    let [y, saved, last] = ["y", "saved", "last"].map(|name| args.reals_mut(name));
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
fn keep(m: &Memories, to: &mut [f32], columns: usize, strip: &Strip) {
    let first = strip.part.first + strip.offset;
    for i in 0..strip.width {
        let c = first + i;
        (to[c], to[columns + c], to[2 * columns + c]) = (m.p[i], m.q[i], m.exponent(i));
    }
}

fn forward(
    task: &Task<'_>,
    strip: &Strip,
    y: &mut Option<Rows<'_>>,
    saved: &mut Option<Rows<'_>>,
) -> Memories {
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
