//! `decay_scan` and `decay_backward`.

use super::parts::{Grid, Part, Rows};
use crate::host::columns::each_block;
use crate::host::{HostArgs, vectorised};
use crate::scan::params::{DecayParams, LOGIT};
use crate::scan::rate::{Rate, dropped, of_channels};

/// The rates of a part's columns, each number for itself.
struct Table {
    keep: Vec<f32>,
    drop: Vec<f32>,
    gain: Vec<f32>,
}

impl Table {
    fn new(rates: &[Rate<f32>], grid: &Grid, part: &Part, tied: bool) -> Self {
        let at = |c: usize| &rates[c % grid.channels];
        let columns = part.first..part.first + part.width;
        Self {
            keep: columns.clone().map(|c| at(c).keep).collect(),
            drop: columns.clone().map(|c| at(c).drop).collect(),
            gain: columns.map(|c| if tied { at(c).leak } else { 1.0 }).collect(),
        }
    }
}

/// Columns below which each is walked through for itself.
const NARROW: usize = 8;

pub(crate) fn decay_scan(args: &mut HostArgs<'_, f32>) {
    let grid = Grid::new(args.params::<DecayParams>().share);
    let rates = of_channels(args);
    let (tied, emit) = (args.flag("TIED"), args.flag("EMIT"));
    let starts = args.flag("STATE").then(|| args.reals("starts"));
    let u = args.reals("u");
    let (h, last) = (args.reals_mut("h"), args.reals_mut("last"));
    let rows = grid.cut(emit, h, grid.start, grid.chunk);
    let work = grid.parts().into_iter().zip(rows).collect();
    let ends = std::sync::Mutex::new(last);
    each_block(work, |_, (part, rows): (Part, Option<Rows<'_>>)| {
        let table = Table::new(&rates, &grid, &part, tied);
        let at = part.chunk * grid.columns + part.first;
        let mut state = match starts {
            Some(starts) => starts[at..at + part.width].to_vec(),
            None => vec![0.0; part.width],
        };
        forward(&grid, &part, &table, u, &mut state, rows);
        let to = if emit { part.first } else { at };
        if !emit || part.end == grid.steps || grid.chunks == 1 {
            let mut ends = ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            ends[to..to + part.width].copy_from_slice(&state);
        }
    });
}

fn forward(
    grid: &Grid,
    part: &Part,
    table: &Table,
    u: &[f32],
    state: &mut [f32],
    mut rows: Option<Rows<'_>>,
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
struct History<'a> {
    u: &'a [f32],
    h: &'a [f32],
    initial: Option<&'a [f32]>,
}

/// What a backward launch reads.
struct Task<'a> {
    grid: Grid,
    gh: Option<&'a [f32]>,
    /// Where the decay is learned.
    history: Option<History<'a>>,
    tied: bool,
    /// Whether the sums hold those of later steps.
    more: bool,
}

/// What a part of backward writes.
struct Outputs<'a> {
    part: Part,
    gu: Option<Rows<'a>>,
    carry: &'a mut [f32],
    sums: Option<&'a mut [f32]>,
}

pub(crate) fn decay_backward(args: &mut HostArgs<'_, f32>) {
    let grid = Grid::new(args.params::<DecayParams>().share);
    let rates = of_channels(args);
    let emit = args.flag("EMIT");
    let learn = args.flag("LEARN") && emit;
    let task = Task {
        grid,
        gh: args.flag("UPSTREAM").then(|| args.reals("gh")),
        history: learn.then(|| History {
            u: args.reals("u"),
            h: args.reals("h"),
            initial: args.flag("STATE").then(|| args.reals("initial")),
        }),
        tied: args.flag("TIED"),
        more: args.flag("MORE"),
    };
    let given = args.flag("CARRY");
    let logit = args.constant("FORM") == LOGIT;
    let [gu, carry, sums] = ["gu", "carry", "sums"].map(|name| args.reals_mut(name));
    if !given {
        carry.fill(0.0);
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
            let rate: &Rate<f32> = &rates[c % grid.channels];
            if logit { rate.lam * rate.leak } else { 1.0 }
        });
    });
}

fn backward(task: &Task<'_>, table: &Table, mut to: Outputs<'_>, slope: impl Fn(usize) -> f32) {
    let (part, columns) = (to.part, task.grid.columns);
    let n = part.width;
    let (keep, drop, gain) = (&table.keep[..n], &table.drop[..n], &table.gain[..n]);
    let carry = &mut to.carry[..n];
    let zeros = vec![0.0; n];
    let (mut a, mut sums) = (vec![0.0; n], vec![0.0; n]);
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
        let before = if task.more { *to } else { 0.0 };
        *to = before + sums[i] * slope(part.first + i);
    }
}
