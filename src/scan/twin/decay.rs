//! The twins of `decay_scan` and `decay_backward`.

use super::parts::{Grid, Part, Rows};
use super::rate::{Rate, Table, dropped, of_channels};
use crate::host::columns::each_block;
use crate::host::vectorised;
use crate::host::{HostArgs, Real};
use crate::scan::decay::{FIXED, LOGIT, Params};

pub(super) fn grid<R: Real>(args: &HostArgs<'_, R>) -> Grid {
    Grid::new(args.params::<Params>().share)
}

/// Columns below which each is walked through for itself.
const NARROW: usize = 8;

pub(in crate::scan) fn decay_scan<R: Real>(args: &mut HostArgs<'_, R>) {
    let grid = grid(args);
    let rates = of_channels(args);
    let tied = args.constant_or("TIED", 0) != 0;
    let emit = args.constant_or("EMIT", 1) != 0;
    let starts = (args.constant_or("STATE", 0) != 0).then(|| args.reals(2));
    let u = args.reals(0);
    let h = args.reals_mut(3);
    let last = args.reals_mut(4);
    let rows = grid.cut(emit, h, grid.start, grid.chunk);
    let work = grid.parts().into_iter().zip(rows).collect();
    let ends = std::sync::Mutex::new(last);
    each_block(work, |_, (part, rows): (Part, Option<Rows<'_, R>>)| {
        let table = Table::new(&rates, &grid, &part, tied);
        let at = part.chunk * grid.columns + part.first;
        let mut state = match starts {
            Some(starts) => starts[at..at + part.width].to_vec(),
            None => vec![R::zero(); part.width],
        };
        forward(&grid, &part, &table, u, &mut state, rows);
        let to = if emit { part.first } else { at };
        if !emit || part.end == grid.steps || grid.chunks == 1 {
            let mut ends = ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            ends[to..to + part.width].copy_from_slice(&state);
        }
    });
}

fn forward<R: Real>(
    grid: &Grid,
    part: &Part,
    table: &Table<R>,
    u: &[R],
    state: &mut [R],
    mut rows: Option<Rows<'_, R>>,
) {
    let n = part.width;
    let (keep, drop, gain) = (&table.keep[..n], &table.drop[..n], &table.gain[..n]);
    let state = &mut state[..n];
    if n == grid.columns && n < NARROW {
        let u = &u[part.start * n..part.end * n];
        let mut h = rows.as_mut().and_then(Rows::whole);
        for c in 0..n {
            let mut now = state[c];
            for i in (c..u.len()).step_by(n) {
                now = keep[c] * now + (gain[c] * u[i] - dropped(drop[c], now));
                if let Some(h) = &mut h {
                    h[i] = now;
                }
            }
            state[c] = now;
        }
        return;
    }
    vectorised(
        #[inline(always)]
        || {
            for t in part.start..part.end {
                let at = t * grid.columns + part.first;
                let u = &u[at..at + n];
                for i in 0..n {
                    let share = gain[i] * u[i] - dropped(drop[i], state[i]);
                    state[i] = keep[i] * state[i] + share;
                }
                if let Some(rows) = &mut rows {
                    rows.row(t - part.start).copy_from_slice(state);
                }
            }
        },
    );
}

/// What the gradient of a decay is made from.
#[derive(Clone, Copy)]
struct History<'a, R> {
    u: &'a [R],
    h: &'a [R],
    initial: Option<&'a [R]>,
}

/// What a backward launch reads.
struct Task<'a, R> {
    grid: Grid,
    gh: Option<&'a [R]>,
    /// Where the decay is learned.
    history: Option<History<'a, R>>,
    tied: bool,
    /// Whether the sums hold those of later steps.
    more: bool,
}

/// What a part of backward writes.
struct Outputs<'a, R> {
    part: Part,
    gu: Option<Rows<'a, R>>,
    carry: &'a mut [R],
    sums: Option<&'a mut [R]>,
}

pub(in crate::scan) fn decay_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let grid = grid(args);
    let rates = of_channels(args);
    let set = |name: &str, default: u32| args.constant_or(name, default) != 0;
    let emit = set("EMIT", 1);
    let learn = set("LEARN", 0) && emit;
    let task = Task {
        grid,
        gh: set("UPSTREAM", 1).then(|| args.reals(0)),
        history: learn.then(|| History {
            u: args.reals(2),
            h: args.reals(3),
            initial: set("STATE", 0).then(|| args.reals(4)),
        }),
        tied: set("TIED", 0),
        more: set("MORE", 0),
    };
    let given = set("CARRY", 0);
    let logit = args.constant_or("FORM", FIXED) == LOGIT;
    let (gu, carry, sums) = (args.reals_mut(5), args.reals_mut(6), args.reals_mut(7));
    if !given {
        carry.fill(R::zero());
    }
    let parts = grid.parts();
    let width = parts.first().map_or(1, |part| part.width);
    let mut gu = grid.cut(emit, gu, grid.start, grid.chunk).into_iter();
    let mut sums = if learn { sums } else { &mut [] }.chunks_mut(width);
    let outputs = parts.into_iter().zip(carry.chunks_mut(width)).map(|(part, carry)| Outputs {
        part,
        gu: gu.next().flatten(),
        carry,
        sums: sums.next(),
    });
    each_block(outputs.collect(), |_, outputs| {
        let table = Table::new(&rates, &grid, &outputs.part, task.tied);
        backward(&task, &table, outputs, |c| {
            let rate: &Rate<R> = &rates[c % grid.channels];
            if logit { rate.lam * rate.leak } else { R::one() }
        });
    });
}

fn backward<R: Real>(
    task: &Task<'_, R>,
    table: &Table<R>,
    mut to: Outputs<'_, R>,
    slope: impl Fn(usize) -> R,
) {
    let (part, columns) = (to.part, task.grid.columns);
    let n = part.width;
    let (keep, drop, gain) = (&table.keep[..n], &table.drop[..n], &table.gain[..n]);
    let carry = &mut to.carry[..n];
    let zeros = vec![R::zero(); n];
    let (mut a, mut sums) = (vec![R::zero(); n], vec![R::zero(); n]);
    vectorised(
        #[inline(always)]
        || {
            let (a, sums) = (&mut a[..n], &mut sums[..n]);
            for t in (part.start..part.end).rev() {
                let at = t * columns + part.first;
                let gh = task.gh.map_or(&zeros[..n], |gh| &gh[at..at + n]);
                for i in 0..n {
                    a[i] = gh[i] + carry[i];
                    carry[i] = keep[i] * a[i] - dropped(drop[i], a[i]);
                }
                if let Some(gu) = &mut to.gu {
                    let gu = &mut gu.row(t - part.start)[..n];
                    for i in 0..n {
                        gu[i] = gain[i] * a[i];
                    }
                }
                if let Some(History { u, h, initial }) = task.history {
                    let before = match (t, initial) {
                        (0, Some(initial)) => &initial[part.first..part.first + n],
                        (0, None) => &zeros[..n],
                        _ => &h[at - columns..at - columns + n],
                    };
                    for i in 0..n {
                        sums[i] += a[i] * before[i];
                    }
                    if task.tied {
                        let u = &u[at..at + n];
                        for i in 0..n {
                            sums[i] -= a[i] * u[i];
                        }
                    }
                }
            }
        },
    );
    for (i, to) in to.sums.into_iter().flatten().enumerate() {
        let before = if task.more { *to } else { R::zero() };
        *to = before + sums[i] * slope(part.first + i);
    }
}
