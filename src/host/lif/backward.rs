//! `lif_backward`.

use super::block::{Neuron, Pick, Same, Table};
use super::rows::{
    Backward, PATH_HARD, PATH_NONE, PATH_SOFT, PATH_SPATIAL, Slopes, backward_row, forward_row,
    limit, spiked,
};
use super::{Layer, Options};
use crate::host::columns::{cut_mut, each_block, width};
use crate::host::{HostArgs, vectorised};
use crate::lif::params::{FULL, HARD, NONE, SOFT, SPATIAL, TIED};
use crate::lif::surrogate::{ATAN, FAST_SIGMOID, RECTANGLE, SIGMOID, Slope, TRIANGLE};

/// What a launch asks for.
#[derive(Clone, Copy)]
struct Task<'a> {
    o: Options,
    every: usize,
    gradient: u32,
    code: u32,
    learn: u32,
    tied: bool,
    checkpoints: bool,
    /// dL/ds, if it is given.
    gs: Option<&'a [f32]>,
    /// Membranes, or checkpoints.
    saved: &'a [f32],
    x: &'a [f32],
}

/// What a block of columns writes.
struct Block<'a> {
    first: usize,
    gx: Vec<&'a mut [f32]>,
    sums: Vec<&'a mut [f32]>,
}

pub(crate) fn backward(args: &mut HostArgs<'_, f32>) {
    let layer = Layer::new(args);
    let o = layer.options;
    let checkpoints = args.when("CHECKPOINTS");
    let upstream = args.constant("UPSTREAM");
    let task = Task {
        o,
        every: args.constant("EVERY").max(1) as usize,
        gradient: args.constant("GRADIENT"),
        code: args.constant("SURROGATE"),
        learn: args.constant("LEARN"),
        tied: args.constant("GAIN") == TIED,
        checkpoints,
        gs: (upstream & 1 != 0).then(|| args.reals("gs")),
        saved: args.reals(if checkpoints { "checkpoints" } else { "saved" }),
        x: args.reals("x"),
    };
    let gx = args.reals_mut("gx");
    let sums = args.reals_mut("sums");
    if upstream & 2 == 0 || task.gradient == SPATIAL {
        sums[..o.columns].fill(0.0);
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
            by_surrogate::<_, true>(&task, table.pick(), block);
        } else {
            by_surrogate::<_, false>(&task, Same(Neuron::of(&layer, 0)), block);
        }
    });
}

fn by_surrogate<P: Pick, const LEARN: bool>(task: &Task<'_>, neurons: P, block: Block<'_>) {
    match task.code {
        SIGMOID => by_path::<P, SIGMOID, LEARN>(task, neurons, block),
        FAST_SIGMOID => by_path::<P, FAST_SIGMOID, LEARN>(task, neurons, block),
        TRIANGLE => by_path::<P, TRIANGLE, LEARN>(task, neurons, block),
        RECTANGLE => by_path::<P, RECTANGLE, LEARN>(task, neurons, block),
        _ => by_path::<P, ATAN, LEARN>(task, neurons, block),
    }
}

fn by_path<P: Pick, const CODE: u32, const LEARN: bool>(
    task: &Task<'_>,
    neurons: P,
    block: Block<'_>,
) {
    let path = match (task.gradient, task.o.reset) {
        (SPATIAL, _) => PATH_SPATIAL,
        (FULL, HARD) => PATH_HARD,
        (FULL, SOFT) => PATH_SOFT,
        _ => PATH_NONE,
    };
    match path {
        PATH_HARD => by_clamp::<P, CODE, PATH_HARD, LEARN>(task, neurons, block),
        PATH_SOFT => by_clamp::<P, CODE, PATH_SOFT, LEARN>(task, neurons, block),
        PATH_SPATIAL => by_clamp::<P, CODE, PATH_SPATIAL, LEARN>(task, neurons, block),
        _ => by_clamp::<P, CODE, PATH_NONE, LEARN>(task, neurons, block),
    }
}

fn by_clamp<P: Pick, const CODE: u32, const PATH: u32, const LEARN: bool>(
    task: &Task<'_>,
    neurons: P,
    block: Block<'_>,
) {
    // One loop for both where parameters are learned: fewer copies of the code.
    if task.o.clamp || LEARN {
        run::<P, CODE, PATH, true, LEARN>(task, neurons, block);
    } else {
        run::<P, CODE, PATH, false, LEARN>(task, neurons, block);
    }
}

fn run<P: Pick, const CODE: u32, const PATH: u32, const CLAMP: bool, const LEARN: bool>(
    task: &Task<'_>,
    neurons: P,
    mut block: Block<'_>,
) {
    let o = &task.o;
    let n = block.sums[0].len();
    let slopes = Slopes {
        slope: Slope::new(o.alpha),
        kept: o.reset != HARD,
        fires: task.gs.is_some() || PATH == PATH_SOFT || PATH == PATH_HARD,
        soft: o.reset == SOFT,
    };
    let zeros = if task.gs.is_none() { vec![0.0; n] } else { Vec::new() };
    let scratch = if LEARN { n } else { 0 };
    let (mut gh, mut gthreshold) = (vec![0.0; scratch], vec![0.0; scratch]);
    let (carry, learned) = block.sums.split_at_mut(1);
    for row in learned.iter_mut() {
        row.fill(0.0);
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
                backward_row::<P, CODE, PATH, CLAMP, LEARN>(o, &slopes, neurons, rows);
                if LEARN && task.learn != 0 {
                    let x = task.x.get(start..start + n).unwrap_or_default();
                    learn(task, &membranes, neurons, t, x, &gh, &gthreshold, learned);
                }
            }
        },
    );
    if PATH == PATH_SPATIAL {
        carry[0].fill(0.0);
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
fn learn<P: Pick>(
    task: &Task<'_>,
    membranes: &Membranes<'_>,
    neurons: P,
    t: usize,
    x: &[f32],
    gh: &[f32],
    gthreshold: &[f32],
    sums: &mut [&mut [f32]],
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
            let none = *g == 0.0 || from_rest == 0.0;
            *sum += if none { 0.0 } else { *g * from_rest };
        }
        if task.tied {
            for ((sum, g), x) in decay.iter_mut().zip(gh).zip(x) {
                *sum -= *g * *x;
            }
        }
    }
}

/// The membranes of a block: saved, or computed again from checkpoints.
struct Membranes<'a> {
    task: &'a Task<'a>,
    first: usize,
    width: usize,
    /// Membranes of `every` steps, and v after the last of them.
    again: Vec<f32>,
    v: Vec<f32>,
}

impl<'a> Membranes<'a> {
    fn new(task: &'a Task<'a>, first: usize, width: usize) -> Self {
        let rows = if task.checkpoints { task.every } else { 0 };
        let v = vec![0.0; if task.checkpoints { width } else { 0 }];
        Self { task, first, width, again: vec![0.0; rows * width], v }
    }

    /// Row `row` of what was saved.
    #[inline(always)]
    fn saved(&self, row: usize) -> &'a [f32] {
        let start = row * self.task.o.columns + self.first;
        &self.task.saved[start..start + self.width]
    }

    /// The charged membranes of step `t`.
    #[inline(always)]
    fn raw(&self, t: usize) -> &[f32] {
        if self.task.checkpoints {
            let row = t % self.task.every * self.width;
            &self.again[row..row + self.width]
        } else {
            self.saved(t)
        }
    }

    /// Computes the steps of a chunk again when its last step is reached.
    #[inline(always)]
    fn prepare<P: Pick>(&mut self, t: usize, neurons: P) {
        let o = &self.task.o;
        let is_last = t + 1 == o.steps || (t + 1).is_multiple_of(self.task.every);
        if !self.task.checkpoints || !is_last {
            return;
        }
        let chunk = t / self.task.every;
        let saved = self.saved(chunk);
        self.v.copy_from_slice(saved);
        let ends = t - chunk * self.task.every;
        for (k, raw) in self.again.chunks_exact_mut(self.width).take(ends + 1).enumerate() {
            let start = (chunk * self.task.every + k) * o.columns + self.first;
            let x = &self.task.x[start..start + self.width];
            // The bounds of the clamp are those of the numbers where there is none.
            match o.reset {
                HARD => forward_row::<P, HARD, true>(o, neurons, x, &mut self.v, raw, |_, _| {}),
                SOFT => forward_row::<P, SOFT, true>(o, neurons, x, &mut self.v, raw, |_, _| {}),
                _ => forward_row::<P, NONE, true>(o, neurons, x, &mut self.v, raw, |_, _| {}),
            }
        }
    }

    /// `v` of column `i` before step `t`; 0 before the first, unless a checkpoint holds it.
    #[inline(always)]
    fn before<P: Pick>(&self, t: usize, i: usize, neurons: &P) -> f32 {
        let o = &self.task.o;
        if self.task.checkpoints && t.is_multiple_of(self.task.every) {
            return self.saved(t / self.task.every)[i];
        }
        if t == 0 {
            return 0.0;
        }
        let h = limit::<true>(o, self.raw(t - 1)[i]);
        let neuron = neurons.at(i);
        if h >= neuron.fire_at { spiked(o.reset, h, neuron.threshold, o.v_reset) } else { h }
    }
}
