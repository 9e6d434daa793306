//! The forward pass of a recurrence.

use super::tile::{Code, LANES, Lanes, Own, ZEROS, cut_mut, load, store};
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
    let code = Code::new(task.definition, &task.definition.forward, false);
    each_block(blocks.collect(), |_, mut block| {
        let width = block.states.first().map_or(0, |row| row.len());
        let own = Own::new(&all, block.first, width);
        walk(task, &code, &own, &mut block, width);
    });
}

/// All steps of a block: a step of all its tiles before the next, so that rows are read as they stand.
fn walk(task: Task<'_>, code: &Code, own: &Own, block: &mut Block<'_>, width: usize) {
    let count = code.at.states.len();
    let mut numbers = code.numbers();
    own.tell_all(&mut numbers[code.at.parameters.clone()]);
    let mut states = vec![ZEROS; width.div_ceil(LANES) * count];
    for (tile, states) in states.chunks_exact_mut(count).enumerate() {
        let rows = states.iter_mut().zip(&block.states);
        rows.for_each(|(state, row)| load(state, row, tile * LANES));
    }
    vectorised(
        #[inline(always)]
        || {
            for t in task.p.first as usize..task.p.end as usize {
                for (tile, states) in states.chunks_exact_mut(count).enumerate() {
                    own.tell(tile, &mut numbers[code.at.parameters.clone()]);
                    step(task, code, &mut numbers, states, block, t, tile * LANES);
                }
            }
        },
    );
    for (tile, states) in states.chunks_exact(count).enumerate() {
        let rows = block.states.iter_mut().zip(states);
        rows.for_each(|(row, state)| store(row, tile * LANES, state));
    }
}

/// Step `t` of the tile from column `at` on.
#[inline(always)]
fn step(
    task: Task<'_>,
    code: &Code,
    numbers: &mut [Lanes],
    states: &mut [Lanes],
    block: &mut Block<'_>,
    t: usize,
    at: usize,
) {
    let (steps, width) = (task.p.steps as usize, block.states[0].len());
    let (next, rest) = code.outputs.split_at(states.len());
    let (emitted, fired) = rest.split_at(task.definition.emits);
    if t.is_multiple_of(task.every) && !block.save.is_empty() {
        let rows = block.save[t / task.every * states.len()..].iter_mut();
        rows.zip(&*states).for_each(|(row, state)| store(row, at, state));
    }
    numbers[code.at.states.clone()].copy_from_slice(states);
    for (k, x) in numbers[code.at.inputs.clone()].iter_mut().enumerate() {
        let start = (k * steps + t) * task.p.columns as usize + block.first;
        load(x, &task.x[start..start + width], at);
    }
    code.run(numbers);
    for (k, id) in emitted[task.left_out..].iter().enumerate() {
        if let Some(row) = block.y.get_mut(k * steps + t) {
            store(row, at, &numbers[*id]);
        }
    }
    for (k, id) in fired.iter().enumerate() {
        if let Some(row) = block.words.get_mut(k * steps.div_ceil(32) + t / 32) {
            note(cut_mut(row, at), &numbers[*id], t % 32);
        }
    }
    states.iter_mut().zip(next).for_each(|(state, place)| *state = numbers[*place]);
}

/// Writes spikes as bit `bit` of words; the first clears the others.
#[inline(always)]
fn note(words: &mut [u32], fired: &Lanes, bit: usize) {
    let kept = if bit == 0 { 0 } else { u32::MAX };
    for (word, fired) in words.iter_mut().zip(fired) {
        *word = *word & kept | u32::from(*fired != 0.0) << bit;
    }
}
