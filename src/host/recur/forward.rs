//! The forward pass of a recurrence.

use super::tile::{LANES, Lanes, ZEROS, advance, cut, cut_mut, fires, load, parameters, store};
use crate::host::columns::{self, each_block, width};
use crate::host::{HostArgs, vectorised};
use crate::recur::{self, Cell, Columns, RecurParams, Rule};

/// What a block of columns reads and writes.
struct Block<'a> {
    first: usize,
    states: Vec<&'a mut [f32]>,
    /// Rows of saved states, spikes, words and membranes; empty where they are not wanted.
    save: Vec<&'a mut [f32]>,
    spikes: Vec<&'a mut [f32]>,
    words: Vec<&'a mut [u32]>,
    trace: Vec<&'a mut [f32]>,
}

/// What a launch asks for.
#[derive(Clone, Copy)]
struct Task<'a> {
    p: RecurParams,
    rule: Rule,
    every: usize,
    x: &'a [f32],
}

/// The smooth neuron is for gradient checks, and not made fast.
pub(crate) fn forward<C: Cell<S, P>, const S: usize, const P: usize>(args: &mut HostArgs<'_, f32>) {
    let rule = Rule::new(args);
    if rule.is_smooth() {
        return recur::forward::<C, S, P, f32>(args);
    }
    let (p, all) = (args.params::<RecurParams>(), Columns::<f32, P>::new(args));
    let task = Task { p, rule, every: args.constant("EVERY") as usize, x: args.reals("x") };
    let row = p.columns as usize;
    let states = args.reals_mut("states");
    if p.resume == 0 {
        states.fill(0.0);
    }
    let wide = width(row, (p.end - p.first) as usize);
    let [mut save, mut spikes, mut trace] = ["save", "spikes", "trace"]
        .map(|name| columns::cut_mut(args.reals_mut(name), row, wide).into_iter());
    let mut words = columns::cut_mut(args.words_mut("words"), row, wide).into_iter();
    let blocks =
        columns::cut_mut(states, row, wide).into_iter().enumerate().map(|(i, states)| Block {
            first: i * wide,
            states,
            save: save.next().unwrap_or_default(),
            spikes: spikes.next().unwrap_or_default(),
            words: words.next().unwrap_or_default(),
            trace: trace.next().unwrap_or_default(),
        });
    each_block(blocks.collect(), |_, block| run::<C, S, P>(task, &all, block));
}

/// Some columns on their way through time.
struct Tile<const S: usize, const P: usize> {
    parameters: [Lanes; P],
    state: [Lanes; S],
    fired: Lanes,
}

fn run<C: Cell<S, P>, const S: usize, const P: usize>(
    task: Task<'_>,
    all: &Columns<'_, f32, P>,
    mut block: Block<'_>,
) {
    let width = block.states.first().map_or(0, |row| row.len());
    let mut tiles = begin::<S, P>(task.rule, all, &block, width);
    vectorised(
        #[inline(always)]
        || {
            for t in task.p.first as usize..task.p.end as usize {
                let start = t * task.p.columns as usize + block.first;
                let x = &task.x[start..start + width];
                let saves = t.is_multiple_of(task.every) && !block.save.is_empty();
                for (i, tile) in tiles.iter_mut().enumerate() {
                    let at = i * LANES;
                    if saves {
                        let rows = block.save[t / task.every * S..].iter_mut();
                        rows.zip(&tile.state).for_each(|(row, state)| store(row, at, state));
                    }
                    let Tile { parameters, state, fired } = tile;
                    advance::<C, S, P>(task.rule, parameters, state, fired, cut(x, at));
                    emit(&mut block, t, at, fired, &state[S - 1]);
                }
            }
        },
    );
    for (i, tile) in tiles.iter().enumerate() {
        let rows = block.states.iter_mut().zip(&tile.state);
        rows.for_each(|(row, state)| store(row, i * LANES, state));
    }
}

/// The tiles of a block before the first step.
fn begin<const S: usize, const P: usize>(
    rule: Rule,
    all: &Columns<'_, f32, P>,
    block: &Block<'_>,
    width: usize,
) -> Vec<Tile<S, P>> {
    let tile = |(i, parameters)| {
        let mut tile = Tile { parameters, state: [ZEROS; S], fired: ZEROS };
        for (state, row) in tile.state.iter_mut().zip(&block.states) {
            load(state, row, i * LANES);
        }
        fires(rule, &tile.parameters, &tile.state, &mut tile.fired);
        tile
    };
    parameters(all, block.first, width).into_iter().enumerate().map(tile).collect()
}

/// Writes the spikes and membranes of a tile.
#[inline(always)]
fn emit(block: &mut Block<'_>, t: usize, at: usize, fired: &Lanes, membrane: &Lanes) {
    if let Some(row) = block.spikes.get_mut(t) {
        store(row, at, fired);
    }
    if let Some(row) = block.trace.get_mut(t) {
        store(row, at, membrane);
    }
    if let Some(row) = block.words.get_mut(t / 32) {
        let kept = if t.is_multiple_of(32) { 0 } else { u32::MAX };
        for (word, fired) in cut_mut(row, at).iter_mut().zip(fired) {
            *word = *word & kept | u32::from(*fired != 0.0) << (t % 32);
        }
    }
}
