//! The forward pass of a recurrence.

use super::tile::{LANES, Lanes, TileLeaves, ZEROS, cut_mut, load, parameters, run, store};
use crate::host::columns::{self, each_block, width};
use crate::host::{HostArgs, vectorised};
use crate::recur::{self, Columns, Definition, RecurParams, driver_of};

/// What a block of columns reads and writes.
struct Block<'a> {
    first: usize,
    states: Vec<&'a mut [f32]>,
    /// Rows of saved states, words and what is emitted; empty where they are not wanted.
    save: Vec<&'a mut [f32]>,
    words: Vec<&'a mut [u32]>,
    y: Vec<&'a mut [f32]>,
}

/// What a launch asks for.
#[derive(Clone, Copy)]
struct Task<'a> {
    p: RecurParams,
    definition: &'static Definition,
    every: usize,
    /// How many of what is emitted first are left out of `y`.
    left_out: usize,
    x: &'a [f32],
}

/// The smooth neuron is for gradient checks, and not made fast.
pub(crate) fn forward(args: &mut HostArgs<'_, f32>) {
    let p: RecurParams = args.params();
    if p.relaxed != 0 {
        return recur::oracle_forward(args);
    }
    let all = Columns::<f32>::new(args);
    let task = Task {
        p,
        definition: &driver_of(p.definition).definition,
        every: args.constant("EVERY") as usize,
        left_out: usize::from(args.flag("PACKED")),
        x: args.reals("x"),
    };
    let row = p.columns as usize;
    let states = args.reals_mut("states");
    if p.resume == 0 {
        states.fill(0.0);
    }
    let wide = width(row, (p.end - p.first) as usize);
    let cut = |rows| columns::cut_mut(rows, row, wide).into_iter();
    let [mut save, mut y] = ["save", "y"].map(|name| cut(args.reals_mut(name)));
    let mut words = columns::cut_mut(args.words_mut("words"), row, wide).into_iter();
    let blocks = cut(states).enumerate().map(|(i, states)| Block {
        first: i * wide,
        states,
        save: save.next().unwrap_or_default(),
        words: words.next().unwrap_or_default(),
        y: y.next().unwrap_or_default(),
    });
    each_block(blocks.collect(), |_, mut block| {
        let width = block.states.first().map_or(0, |row| row.len());
        for at in (0..width).step_by(LANES) {
            let own = parameters(&all, block.first + at, width - at);
            walk(task, &own, &mut block, at);
        }
    });
}

/// All steps of a tile.
fn walk(task: Task<'_>, own: &[Lanes], block: &mut Block<'_>, at: usize) {
    let Definition { forward, inputs, states, emits, .. } = task.definition;
    let mut values = vec![ZEROS; forward.ops.len()];
    let (mut x, mut s) = (vec![ZEROS; inputs.len()], vec![ZEROS; states.len()]);
    s.iter_mut().zip(&block.states).for_each(|(s, row)| load(s, row, at));
    let (next, rest) = forward.outputs.split_at(states.len());
    let (emitted, fired) = rest.split_at(*emits);
    let width = block.states[0].len();
    vectorised(
        #[inline(always)]
        || {
            for t in task.p.first as usize..task.p.end as usize {
                if t.is_multiple_of(task.every) && !block.save.is_empty() {
                    let rows = block.save[t / task.every * s.len()..].iter_mut();
                    rows.zip(&s).for_each(|(row, s)| store(row, at, s));
                }
                for (k, x) in x.iter_mut().enumerate() {
                    let row = k * task.p.steps as usize + t;
                    let start = row * task.p.columns as usize + block.first;
                    load(x, &task.x[start..start + width], at);
                }
                let leaves = TileLeaves { inputs: &x, states: &s, ..TileLeaves::of(own) };
                run(forward, &leaves, &mut values);
                s.iter_mut().zip(next).for_each(|(s, id)| *s = values[*id]);
                for (k, id) in emitted[task.left_out..].iter().enumerate() {
                    if let Some(row) = block.y.get_mut(k * task.p.steps as usize + t) {
                        store(row, at, &values[*id]);
                    }
                }
                for (k, id) in fired.iter().enumerate() {
                    let row = k * (task.p.steps as usize).div_ceil(32) + t / 32;
                    if let Some(row) = block.words.get_mut(row) {
                        note(cut_mut(row, at), &values[*id], t % 32);
                    }
                }
            }
        },
    );
    block.states.iter_mut().zip(&s).for_each(|(row, s)| store(row, at, s));
}

/// Writes spikes as bit `bit` of words; the first clears the others.
#[inline(always)]
fn note(words: &mut [u32], fired: &Lanes, bit: usize) {
    let kept = if bit == 0 { 0 } else { u32::MAX };
    for (word, fired) in words.iter_mut().zip(fired) {
        *word = *word & kept | u32::from(*fired != 0.0) << bit;
    }
}
