//! The twin of `lif_backward`.

use super::block::{Pick, Same, Table};
use super::rows::{
    Backward, PATH_HARD, PATH_NONE, PATH_SOFT, PATH_SPATIAL, Slopes, backward_row, forward_row,
    limit, spiked,
};
use super::{Layer, Options, smooth};
use crate::host::columns::{cut_mut, each_block, width};
use crate::host::{HostArgs, Real, vectorised};
use crate::lif::neuron::{FULL, HARD, NONE, SOFT, SPATIAL, TIED};
use crate::lif::surrogate::{ATAN, FAST_SIGMOID, RECTANGLE, SIGMOID, Slope, TRIANGLE};

/// What a launch asks for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a, R> {
    pub(super) o: Options<R>,
    pub(super) gradient: u32,
    pub(super) code: u32,
    pub(super) learn: u32,
    pub(super) tied: bool,
    pub(super) checkpoints: bool,
    /// dL/ds, if it is given.
    pub(super) gs: Option<&'a [R]>,
    /// Membranes, or checkpoints.
    pub(super) saved: &'a [R],
    pub(super) x: &'a [R],
}

/// What a block of columns writes.
struct Block<'a, R> {
    first: usize,
    gx: Vec<&'a mut [R]>,
    sums: Vec<&'a mut [R]>,
}

pub(in crate::lif) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let o = Options::new(args);
    let checkpoints = !args.is_real(5);
    let layer = Layer::new(args, o, 3, (!checkpoints).then_some(5));
    let upstream = args.constant_or("UPSTREAM", 1);
    let task = Task {
        o,
        gradient: args.constant_or("GRADIENT", FULL),
        code: args.constant_or("SURROGATE", ATAN),
        learn: args.constant_or("LEARN", 0),
        tied: args.constant_or("GAIN", 0) == TIED,
        checkpoints,
        gs: (upstream & 1 != 0).then(|| args.reals(0)),
        saved: args.reals(1),
        x: args.reals(2),
    };
    let gx = args.reals_mut(6);
    let sums = args.reals_mut(7);
    if upstream & 2 == 0 || task.gradient == SPATIAL {
        sums[..o.columns].fill(R::zero());
    }
    if o.smooth.is_some() {
        return smooth::backward(&layer, &task, gx, sums);
    }
    let width = width(o.columns, o.steps);
    let mut sums = cut_mut(sums, o.columns, width).into_iter();
    let blocks = cut_mut(gx, o.columns, width).into_iter().enumerate().map(|(i, gx)| Block {
        first: i * width,
        gx,
        sums: sums.next().unwrap_or_default(),
    });
    each_block(blocks.collect(), |_, block| {
        if layer.varies() || task.learn != 0 {
            let table = Table::new(&layer, block.first, block.sums[0].len());
            by_surrogate::<R, _, true>(&task, table.pick(), block);
        } else {
            by_surrogate::<R, _, false>(&task, Same(layer.neuron(0)), block);
        }
    });
}

fn by_surrogate<R: Real, P: Pick<R>, const LEARN: bool>(
    task: &Task<'_, R>,
    neurons: P,
    block: Block<'_, R>,
) {
    match task.code {
        SIGMOID => by_path::<R, P, SIGMOID, LEARN>(task, neurons, block),
        FAST_SIGMOID => by_path::<R, P, FAST_SIGMOID, LEARN>(task, neurons, block),
        TRIANGLE => by_path::<R, P, TRIANGLE, LEARN>(task, neurons, block),
        RECTANGLE => by_path::<R, P, RECTANGLE, LEARN>(task, neurons, block),
        _ => by_path::<R, P, ATAN, LEARN>(task, neurons, block),
    }
}

fn by_path<R: Real, P: Pick<R>, const CODE: u32, const LEARN: bool>(
    task: &Task<'_, R>,
    neurons: P,
    block: Block<'_, R>,
) {
    let path = match (task.gradient, task.o.reset) {
        (SPATIAL, _) => PATH_SPATIAL,
        (FULL, HARD) => PATH_HARD,
        (FULL, SOFT) => PATH_SOFT,
        _ => PATH_NONE,
    };
    match path {
        PATH_HARD => by_clamp::<R, P, CODE, PATH_HARD, LEARN>(task, neurons, block),
        PATH_SOFT => by_clamp::<R, P, CODE, PATH_SOFT, LEARN>(task, neurons, block),
        PATH_SPATIAL => by_clamp::<R, P, CODE, PATH_SPATIAL, LEARN>(task, neurons, block),
        _ => by_clamp::<R, P, CODE, PATH_NONE, LEARN>(task, neurons, block),
    }
}

fn by_clamp<R: Real, P: Pick<R>, const CODE: u32, const PATH: u32, const LEARN: bool>(
    task: &Task<'_, R>,
    neurons: P,
    block: Block<'_, R>,
) {
    // One loop for both where parameters are learned: fewer copies of the code.
    if task.o.clamp || LEARN {
        run::<R, P, CODE, PATH, true, LEARN>(task, neurons, block);
    } else {
        run::<R, P, CODE, PATH, false, LEARN>(task, neurons, block);
    }
}

fn run<
    R: Real,
    P: Pick<R>,
    const CODE: u32,
    const PATH: u32,
    const CLAMP: bool,
    const LEARN: bool,
>(
    task: &Task<'_, R>,
    neurons: P,
    mut block: Block<'_, R>,
) {
    let o = &task.o;
    let n = block.sums[0].len();
    let slopes = Slopes {
        slope: Slope::new(o.alpha),
        kept: o.reset != HARD,
        fires: task.gs.is_some() || PATH == PATH_SOFT || PATH == PATH_HARD,
        soft: o.reset == SOFT,
    };
    let zeros = if task.gs.is_none() { vec![R::zero(); n] } else { Vec::new() };
    let scratch = if LEARN { n } else { 0 };
    let (mut gh, mut gthreshold) = (vec![R::zero(); scratch], vec![R::zero(); scratch]);
    let (carry, learned) = block.sums.split_at_mut(1);
    for row in learned.iter_mut() {
        row.fill(R::zero());
    }
    let mut membranes = Membranes::new(task, block.first, n);
    vectorised(
        #[inline(always)]
        || {
            for t in (0..o.steps).rev() {
                membranes.prepare(t, neurons);
                let start = t * o.columns + block.first;
                let rows = Backward {
                    raw: membranes.raw(t),
                    upstream: task.gs.map_or(&zeros[..], |gs| &gs[start..start + n]),
                    gx: block.gx[t],
                    carry: carry[0],
                    gh: &mut gh,
                    gthreshold: &mut gthreshold,
                };
                backward_row::<R, P, CODE, PATH, CLAMP, LEARN>(o, &slopes, neurons, rows);
                if LEARN && task.learn != 0 {
                    let x = task.x.get(start..start + n).unwrap_or_default();
                    learn(task, &membranes, neurons, t, x, &gh, &gthreshold, learned);
                }
            }
        },
    );
    if PATH == PATH_SPATIAL {
        carry[0].fill(R::zero());
    }
    if LEARN && task.learn != 0 {
        // The first step's share of the decay is left to the reader, who knows v[-1].
        let left = if task.checkpoints { None } else { learned.get_mut(3) };
        if let Some(row) = left {
            row.copy_from_slice(&gh);
        }
    }
}

/// Adds one step to the sums for decay, threshold and gain.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the rows of one step; a struct would say no more")]
fn learn<R: Real, P: Pick<R>>(
    task: &Task<'_, R>,
    membranes: &Membranes<'_, R>,
    neurons: P,
    t: usize,
    x: &[R],
    gh: &[R],
    gthreshold: &[R],
    sums: &mut [&mut [R]],
) {
    let o = &task.o;
    let [decay, threshold, gain, ..] = sums else { return };
    if task.learn & 2 != 0 {
        for (sum, g) in threshold.iter_mut().zip(gthreshold) {
            *sum += *g;
        }
    }
    if task.learn & 4 != 0 {
        for ((sum, g), x) in gain.iter_mut().zip(gh).zip(x) {
            *sum += *g * *x;
        }
    }
    if task.learn & 1 != 0 {
        let rest = o.v_rest();
        for (i, (sum, g)) in decay.iter_mut().zip(gh).enumerate() {
            // Nothing without a gradient, whatever the membrane, nor at rest, whatever the gradient.
            let from_rest = membranes.before(t, i, &neurons) - rest;
            let none = *g == R::zero() || from_rest == R::zero();
            *sum += if none { R::zero() } else { *g * from_rest };
        }
        if task.tied {
            for ((sum, g), x) in decay.iter_mut().zip(gh).zip(x) {
                *sum -= *g * *x;
            }
        }
    }
}

/// The membranes of a block: saved, or computed again from checkpoints.
struct Membranes<'a, R> {
    task: &'a Task<'a, R>,
    first: usize,
    width: usize,
    /// Membranes of `every` steps, and v after the last of them.
    again: Vec<R>,
    v: Vec<R>,
}

impl<'a, R: Real> Membranes<'a, R> {
    fn new(task: &'a Task<'a, R>, first: usize, width: usize) -> Self {
        let rows = if task.checkpoints { task.o.every } else { 0 };
        let v = vec![R::zero(); if task.checkpoints { width } else { 0 }];
        Self { task, first, width, again: vec![R::zero(); rows * width], v }
    }

    /// Row `row` of what was saved.
    #[inline(always)]
    fn saved(&self, row: usize) -> &'a [R] {
        let start = row * self.task.o.columns + self.first;
        &self.task.saved[start..start + self.width]
    }

    /// The charged membranes of step `t`.
    #[inline(always)]
    fn raw(&self, t: usize) -> &[R] {
        if self.task.checkpoints {
            let row = t % self.task.o.every * self.width;
            &self.again[row..row + self.width]
        } else {
            self.saved(t)
        }
    }

    /// Computes the steps of a chunk again when its last step is reached.
    #[inline(always)]
    fn prepare<P: Pick<R>>(&mut self, t: usize, neurons: P) {
        let o = &self.task.o;
        let is_last = t + 1 == o.steps || (t + 1).is_multiple_of(o.every);
        if !self.task.checkpoints || !is_last {
            return;
        }
        let chunk = t / o.every;
        let saved = self.saved(chunk);
        self.v.copy_from_slice(saved);
        let ends = t - chunk * o.every;
        for (k, raw) in self.again.chunks_exact_mut(self.width).take(ends + 1).enumerate() {
            let start = (chunk * o.every + k) * o.columns + self.first;
            let x = &self.task.x[start..start + self.width];
            // The bounds of the clamp are those of the numbers where there is none.
            match o.reset {
                HARD => forward_row::<R, P, HARD, true>(o, neurons, x, &mut self.v, raw, |_, _| {}),
                SOFT => forward_row::<R, P, SOFT, true>(o, neurons, x, &mut self.v, raw, |_, _| {}),
                _ => forward_row::<R, P, NONE, true>(o, neurons, x, &mut self.v, raw, |_, _| {}),
            }
        }
    }

    /// `v` of column `i` before step `t`; 0 before the first, unless a checkpoint holds it.
    #[inline(always)]
    fn before<P: Pick<R>>(&self, t: usize, i: usize, neurons: &P) -> R {
        let o = &self.task.o;
        if self.task.checkpoints && t.is_multiple_of(o.every) {
            return self.saved(t / o.every)[i];
        }
        if t == 0 {
            return R::zero();
        }
        let h = limit::<R, true>(o, self.raw(t - 1)[i]);
        let neuron = neurons.at(i);
        if h >= neuron.fire_at { spiked(o.reset, h, neuron.threshold, o.v_reset) } else { h }
    }
}
