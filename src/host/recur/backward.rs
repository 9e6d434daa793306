//! The backward pass of a recurrence.

use super::tile::{LANES, Lanes, TileLeaves, ZEROS, cut, load, parameters, run, store};
use crate::host::columns::{self, each_block, width};
use crate::host::{HostArgs, vectorised};
use crate::recur::{self, Columns, Definition, RecurParams, driver_of, word_at};

/// The most steps between saved states.
const MOST: usize = 8;

/// What a block of columns writes.
struct Block<'a> {
    first: usize,
    gx: Vec<&'a mut [f32]>,
    sums: Vec<&'a mut [f32]>,
}

/// What a launch asks for.
#[derive(Clone, Copy)]
struct Task<'a> {
    p: RecurParams,
    definition: &'static Definition,
    every: usize,
    left_out: usize,
    learn: bool,
    x: &'a [f32],
    /// Gradients of spikes that were given out as bits, and of what else was emitted; or empty.
    gs: &'a [f32],
    gy: &'a [f32],
    checkpoints: &'a [f32],
    words: &'a [u32],
}

/// The smooth neuron is for gradient checks, and not made fast.
pub(crate) fn backward(args: &mut HostArgs<'_, f32>) {
    let p: RecurParams = args.params();
    if p.relaxed != 0 {
        return recur::oracle_backward(args);
    }
    let all = Columns::<f32>::new(args);
    let task = Task {
        p,
        definition: &driver_of(p.definition).definition,
        every: args.constant("EVERY") as usize,
        left_out: usize::from(args.flag("PACKED")),
        learn: args.flag("LEARN"),
        x: args.reals("x"),
        gs: args.reals("gs"),
        gy: args.reals("gy"),
        checkpoints: args.reals("checkpoints"),
        words: args.words("words"),
    };
    let row = p.columns as usize;
    let wide = width(row, (p.end - p.first) as usize);
    let mut sums = columns::cut_mut(args.reals_mut("sums"), row, wide).into_iter();
    let gx = columns::cut_mut(args.reals_mut("gx"), row, wide).into_iter();
    let blocks = gx.enumerate().map(|(i, gx)| Block {
        first: i * wide,
        gx,
        sums: sums.next().unwrap_or_default(),
    });
    each_block(blocks.collect(), |_, mut block| {
        let width = block.sums[0].len();
        for at in (0..width).step_by(LANES) {
            let own = parameters(&all, block.first + at, width - at);
            Tile::new(task, &own, &block, at).walk(&mut block);
        }
    });
}

/// A tile on its way back.
struct Tile<'a> {
    task: Task<'a>,
    own: &'a [Lanes],
    at: usize,
    /// The columns of its block, and the first of them.
    width: usize,
    first: usize,
    /// Gradients of the states, and the sums of those of the parameters.
    g: Vec<Lanes>,
    learned: Vec<Lanes>,
    /// Of each step of a chunk: inputs, states before it, spikes.
    x: Vec<Vec<Lanes>>,
    states: Vec<Vec<Lanes>>,
    fired: Vec<Vec<Lanes>>,
    /// Gradients of what a step emitted.
    above: Vec<Lanes>,
    values: Vec<Lanes>,
}

impl<'a> Tile<'a> {
    fn new(task: Task<'a>, own: &'a [Lanes], block: &Block<'_>, at: usize) -> Self {
        let d = task.definition;
        let rows = |count: usize| vec![vec![ZEROS; count]; MOST];
        let learned = if task.learn { d.parameters.len() } else { 0 };
        let (mut g, mut sums) = (vec![ZEROS; d.states.len()], vec![ZEROS; learned]);
        let resumed = g.iter_mut().map(|lanes| (lanes, task.p.resume > 0));
        let added = sums.iter_mut().map(|lanes| (lanes, task.p.resume == 2));
        for ((lanes, is_there), row) in resumed.chain(added).zip(&block.sums) {
            if is_there {
                load(lanes, row, at);
            }
        }
        Self {
            task,
            own,
            at,
            width: block.sums[0].len(),
            first: block.first,
            g,
            learned: sums,
            x: rows(d.inputs.len()),
            states: rows(d.states.len()),
            fired: rows(d.surrogates.len()),
            above: vec![ZEROS; d.emits],
            values: vec![ZEROS; d.again.ops.len().max(d.backward.ops.len())],
        }
    }

    /// All steps, from the last to the first.
    fn walk(mut self, block: &mut Block<'_>) {
        let p = self.task.p;
        let chunks = p.first as usize / self.task.every..(p.end as usize).div_ceil(self.task.every);
        vectorised(
            #[inline(always)]
            || {
                for chunk in chunks.clone().rev() {
                    let first = chunk * self.task.every;
                    let count = self.task.every.min(p.end as usize - first).min(MOST);
                    self.again(chunk, count);
                    for k in (0..count).rev() {
                        self.retreat(first + k, k, block);
                    }
                }
            },
        );
        for (row, lanes) in block.sums.iter_mut().zip(self.g.iter().chain(&self.learned)) {
            store(row, self.at, lanes);
        }
    }

    /// The part of row `row` of a matrix that the block has.
    #[inline(always)]
    fn row<T>(&self, matrix: &'a [T], row: usize) -> &'a [T] {
        let start = row * self.task.p.columns as usize + self.first;
        &matrix[start..start + self.width]
    }

    /// The steps of a chunk, computed again from the saved states and spikes.
    #[inline(always)]
    fn again(&mut self, chunk: usize, count: usize) {
        let (task, at) = (self.task, self.at);
        let Definition { again, states, .. } = task.definition;
        for k in 0..states.len() {
            let row = self.row(task.checkpoints, chunk * states.len() + k);
            load(&mut self.states[0][k], row, at);
        }
        for k in 0..count {
            let t = chunk * task.every + k;
            for i in 0..self.x[k].len() {
                let row = self.row(task.x, i * task.p.steps as usize + t);
                load(&mut self.x[k][i], row, at);
            }
            for f in 0..self.fired[k].len() {
                let start = word_at(f, t, &task.p) + self.first;
                bits(
                    cut(&task.words[start..start + self.width], at),
                    t % 32,
                    &mut self.fired[k][f],
                );
            }
            if k + 1 == count {
                break;
            }
            let leaves = TileLeaves {
                inputs: &self.x[k],
                states: &self.states[k],
                fired: Some(&self.fired[k]),
                ..TileLeaves::of(self.own)
            };
            run(again, &leaves, &mut self.values);
            for (state, id) in self.states[k + 1].iter_mut().zip(&again.outputs) {
                *state = self.values[*id];
            }
        }
    }

    /// Step `t`, the k-th of its chunk, back.
    #[inline(always)]
    fn retreat(&mut self, t: usize, k: usize, block: &mut Block<'_>) {
        let (task, at) = (self.task, self.at);
        let Definition { backward, inputs, states, .. } = task.definition;
        for e in 0..self.above.len() {
            let (from, row) = match e.checked_sub(task.left_out) {
                None => (task.gs, t),
                Some(dense) => (task.gy, dense * task.p.steps as usize + t),
            };
            if !from.is_empty() {
                let row = self.row(from, row);
                load(&mut self.above[e], row, at);
            }
        }
        let leaves = TileLeaves {
            inputs: &self.x[k],
            states: &self.states[k],
            fired: Some(&self.fired[k]),
            next_gradients: &self.g,
            emit_gradients: &self.above,
            parameters: self.own,
        };
        run(backward, &leaves, &mut self.values);
        let (gx, rest) = backward.outputs.split_at(inputs.len());
        let (gs, parameters) = rest.split_at(states.len());
        for (i, id) in gx.iter().enumerate() {
            store(block.gx[i * task.p.steps as usize + t], at, &self.values[*id]);
        }
        self.g.iter_mut().zip(gs).for_each(|(g, id)| *g = self.values[*id]);
        for (sum, id) in self.learned.iter_mut().zip(parameters) {
            sum.iter_mut().zip(&self.values[*id]).for_each(|(sum, g)| *sum += *g);
        }
    }
}

/// Bit `bit` of words, as numbers.
#[inline(always)]
fn bits(words: &[u32], bit: usize, lanes: &mut Lanes) {
    for (lane, word) in lanes.iter_mut().zip(words) {
        *lane = (word >> bit & 1) as f32;
    }
}
