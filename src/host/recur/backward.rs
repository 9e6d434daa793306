//! The backward pass of a recurrence.

use super::tile::{Code, LANES, Lanes, Own, ZEROS, cut, load, store};
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
    let again = Code::new(task.definition, &task.definition.again, true);
    let back = Code::new(task.definition, &task.definition.backward, true);
    each_block(blocks.collect(), |_, mut block| {
        let own = Own::new(&all, block.first, block.sums[0].len());
        Walk::new(task, [&again, &back], &own, &block).run(&mut block);
    });
}

/// What goes from step to step in a tile, backwards: gradients of the states, and the sums of those of the
/// parameters.
struct Carry {
    g: Vec<Lanes>,
    learned: Vec<Lanes>,
}

/// Where a block reads.
#[derive(Clone, Copy)]
struct Rows<'a> {
    task: Task<'a>,
    /// Its columns, and the first of them.
    width: usize,
    first: usize,
}

impl<'a> Rows<'a> {
    /// The part of row `row` of a matrix that a tile has.
    #[inline(always)]
    fn row<T>(&self, matrix: &'a [T], row: usize, at: usize) -> &'a [T] {
        let start = row * self.task.p.columns as usize + self.first;
        cut(&matrix[start..start + self.width], at)
    }
}

/// A program with the numbers of a tile.
struct Machine<'a> {
    code: &'a Code,
    numbers: Vec<Lanes>,
}

impl<'a> Machine<'a> {
    fn new(code: &'a Code, own: &Own) -> Self {
        let mut numbers = code.numbers();
        own.tell_all(&mut numbers[code.at.parameters.clone()]);
        Self { code, numbers }
    }

    /// Tells it inputs and spikes of step `t`.
    #[inline(always)]
    fn tell(&mut self, rows: Rows<'_>, t: usize, at: usize) {
        let Task { p, x, words, .. } = rows.task;
        for (k, x_of) in self.numbers[self.code.at.inputs.clone()].iter_mut().enumerate() {
            fill(x_of, rows.row(x, k * p.steps as usize + t, at));
        }
        for (k, fired) in self.numbers[self.code.at.fired.clone()].iter_mut().enumerate() {
            let start = word_at(k, t, &p) + rows.first;
            bits(cut(&words[start..start + rows.width], at), t % 32, fired);
        }
    }

    #[inline(always)]
    fn run(&mut self) {
        self.code.run(&mut self.numbers);
    }
}

/// Writes the first numbers of a tile.
#[inline(always)]
fn fill(lanes: &mut Lanes, row: &[f32]) {
    lanes[..row.len()].copy_from_slice(row);
}

/// A block on its way back.
struct Walk<'a> {
    rows: Rows<'a>,
    own: &'a Own,
    again: Machine<'a>,
    back: Machine<'a>,
    /// The states before each step of a chunk.
    states: Vec<Vec<Lanes>>,
}

impl<'a> Walk<'a> {
    fn new(task: Task<'a>, codes: [&'a Code; 2], own: &'a Own, block: &Block<'_>) -> Self {
        let [again, back] = codes.map(|code| Machine::new(code, own));
        let states = vec![vec![ZEROS; task.definition.states.len()]; MOST];
        let rows = Rows { task, width: block.sums[0].len(), first: block.first };
        Self { rows, own, again, back, states }
    }

    /// All steps, from the last to the first: a chunk of all tiles before the one before it.
    fn run(mut self, block: &mut Block<'_>) {
        let Task { p, every, .. } = self.rows.task;
        let starts = (0..self.rows.width).step_by(LANES);
        let mut carries: Vec<Carry> = starts.map(|at| self.begin(block, at)).collect();
        vectorised(
            #[inline(always)]
            || {
                for chunk in (p.first as usize / every..(p.end as usize).div_ceil(every)).rev() {
                    let count = every.min(p.end as usize - chunk * every).min(MOST);
                    for (tile, carry) in carries.iter_mut().enumerate() {
                        for machine in [&mut self.again, &mut self.back] {
                            let parameters = machine.code.at.parameters.clone();
                            self.own.tell(tile, &mut machine.numbers[parameters]);
                        }
                        self.again(chunk, count, tile * LANES);
                        for k in (0..count).rev() {
                            self.retreat(carry, block, [chunk * every + k, k], tile * LANES);
                        }
                    }
                }
            },
        );
        for (tile, carry) in carries.iter().enumerate() {
            let rows = block.sums.iter_mut().zip(carry.g.iter().chain(&carry.learned));
            rows.for_each(|(row, lanes)| store(row, tile * LANES, lanes));
        }
    }

    /// What a tile goes on from: what an earlier launch left, if there is one.
    fn begin(&self, block: &Block<'_>, at: usize) -> Carry {
        let Task { p, learn, definition, .. } = self.rows.task;
        let count = definition.states.len();
        let learned = if learn { definition.parameters.len() } else { 0 };
        let row = |k: usize, is_there: bool| {
            let mut lanes = ZEROS;
            if is_there {
                load(&mut lanes, block.sums[k], at);
            }
            lanes
        };
        Carry {
            g: (0..count).map(|k| row(k, p.resume > 0)).collect(),
            learned: (count..count + learned).map(|k| row(k, p.resume == 2)).collect(),
        }
    }

    /// The states of a chunk, computed again from the saved ones and the spikes.
    #[inline(always)]
    fn again(&mut self, chunk: usize, count: usize, at: usize) {
        let Self { rows, again, states, .. } = self;
        let (task, of) = (rows.task, again.code.at.states.clone());
        for (k, state) in states[0].iter_mut().enumerate() {
            fill(state, rows.row(task.checkpoints, chunk * of.len() + k, at));
        }
        for k in 0..count - 1 {
            again.tell(*rows, chunk * task.every + k, at);
            again.numbers[of.clone()].copy_from_slice(&states[k]);
            again.run();
            for (state, place) in states[k + 1].iter_mut().zip(&again.code.outputs) {
                *state = again.numbers[*place];
            }
        }
    }

    /// Step `t`, the k-th of its chunk, back.
    #[inline(always)]
    fn retreat(&mut self, carry: &mut Carry, block: &mut Block<'_>, step: [usize; 2], at: usize) {
        let Self { rows, back, states, .. } = self;
        let ([t, k], task, code) = (step, rows.task, back.code);
        let steps = task.p.steps as usize;
        back.tell(*rows, t, at);
        back.numbers[code.at.states.clone()].copy_from_slice(&states[k]);
        back.numbers[code.at.next_gradients.clone()].copy_from_slice(&carry.g);
        for (e, above) in back.numbers[code.at.emit_gradients.clone()].iter_mut().enumerate() {
            let (from, row) = match e.checked_sub(task.left_out) {
                None => (task.gs, t),
                Some(dense) => (task.gy, dense * steps + t),
            };
            if !from.is_empty() {
                fill(above, rows.row(from, row, at));
            }
        }
        back.run();
        let (gx, rest) = code.outputs.split_at(code.at.inputs.len());
        let (gs, parameters) = rest.split_at(code.at.states.len());
        for (i, id) in gx.iter().enumerate() {
            store(block.gx[i * steps + t], at, &back.numbers[*id]);
        }
        for (sum, id) in carry.learned.iter_mut().zip(parameters) {
            sum.iter_mut().zip(&back.numbers[*id]).for_each(|(sum, g)| *sum += *g);
        }
        carry.g.iter_mut().zip(gs).for_each(|(g, id)| *g = back.numbers[*id]);
    }
}

/// Bit `bit` of words, as numbers.
#[inline(always)]
fn bits(words: &[u32], bit: usize, lanes: &mut Lanes) {
    for (lane, word) in lanes.iter_mut().zip(words) {
        *lane = (word >> bit & 1) as f32;
    }
}
