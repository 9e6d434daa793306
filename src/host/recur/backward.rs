//! The backward pass of a recurrence.

use super::tile::{
    LANES, Lanes, ZEROS, advance, column, cut, cut_mut, fires, load, parameters, store,
};
use crate::host::columns::{self, each_block, width};
use crate::host::{HostArgs, vectorised};
use crate::lif::surrogate::{ATAN, FAST_SIGMOID, RECTANGLE, SIGMOID, Slope, TRIANGLE};
use crate::recur::{self, Cell, Columns, RecurParams, Reset, Rule, SPIKES};

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
    rule: Rule,
    every: usize,
    code: u32,
    slope: Slope<f32>,
    /// Whether a reset passes gradient to its spike.
    jumps: bool,
    learn: bool,
    x: &'a [f32],
    /// dL/ds and dL/du, if they are given.
    gs: Option<&'a [f32]>,
    gtrace: Option<&'a [f32]>,
    checkpoints: &'a [f32],
}

/// What goes from step to step, backwards, in some columns.
struct Tile<const S: usize, const P: usize> {
    parameters: [Lanes; P],
    /// Gradients: of the state, of whether it fired, and the sums of those of the parameters.
    state: [Lanes; S],
    fired: Lanes,
    learned: [Lanes; P],
}

/// The steps of a chunk of a tile, computed again: states before and after each, and whether the state
/// before had fired.
struct Again<const S: usize> {
    states: [[Lanes; S]; MOST + 1],
    fired: [Lanes; MOST + 1],
}

/// The smooth neuron is for gradient checks, and not made fast.
pub(crate) fn backward<C: Cell<S, P>, const S: usize, const P: usize>(
    args: &mut HostArgs<'_, f32>,
) {
    let rule = Rule::new(args);
    if rule.is_smooth() {
        return recur::backward::<C, S, P, f32>(args);
    }
    let (p, all) = (args.params::<RecurParams>(), Columns::<f32, P>::new(args));
    let given = |name: &str| args.uses(name).then(|| args.reals(name));
    let task = Task {
        p,
        rule,
        every: args.constant("EVERY") as usize,
        code: args.constant("SURROGATE"),
        slope: Slope::new(p.alpha),
        jumps: !args.flag("DETACHED") && rule.reset != Reset::None,
        learn: args.flag("LEARN"),
        x: args.reals("x"),
        gs: given("gs").filter(|_| args.constant("UPSTREAM") & SPIKES != 0),
        gtrace: given("gtrace"),
        checkpoints: args.reals("checkpoints"),
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
    each_block(blocks.collect(), |_, block| run::<C, S, P>(&task, &all, block));
}

fn run<C: Cell<S, P>, const S: usize, const P: usize>(
    task: &Task<'_>,
    all: &Columns<'_, f32, P>,
    mut block: Block<'_>,
) {
    let mut tiles = begin::<S, P>(task, all, &block);
    let mut again = Again { states: [[ZEROS; S]; MOST + 1], fired: [ZEROS; MOST + 1] };
    let chunks = task.p.first as usize / task.every..(task.p.end as usize).div_ceil(task.every);
    vectorised(
        #[inline(always)]
        || {
            for chunk in chunks.clone().rev() {
                for (i, tile) in tiles.iter_mut().enumerate() {
                    walk::<C, S, P>(task, &mut block, tile, &mut again, chunk, i * LANES);
                }
            }
        },
    );
    for (i, tile) in tiles.iter().enumerate() {
        let learned = if task.learn { &tile.learned[..] } else { &[] };
        for (row, lanes) in block.sums.iter_mut().zip(tile.state.iter().chain(learned)) {
            store(row, i * LANES, lanes);
        }
    }
}

/// The tiles of a block, with what an earlier launch left.
fn begin<const S: usize, const P: usize>(
    task: &Task<'_>,
    all: &Columns<'_, f32, P>,
    block: &Block<'_>,
) -> Vec<Tile<S, P>> {
    let (resumes, adds) = (task.p.resume > 0, task.learn && task.p.resume == 2);
    let tile = |(i, parameters)| {
        let (state, learned) = ([ZEROS; S], [ZEROS; P]);
        let mut tile = Tile { parameters, state, fired: ZEROS, learned };
        let state = tile.state.iter_mut().map(|lanes| (lanes, resumes));
        let learned = tile.learned.iter_mut().map(|lanes| (lanes, adds));
        for ((lanes, is_there), row) in state.chain(learned).zip(&block.sums) {
            if is_there {
                load(lanes, row, i * LANES);
            }
        }
        tile
    };
    let own = parameters(all, block.first, block.sums[0].len());
    own.into_iter().enumerate().map(tile).collect()
}

/// A chunk of a tile: its steps again, and then back.
#[inline(always)]
fn walk<'a, C: Cell<S, P>, const S: usize, const P: usize>(
    task: &Task<'a>,
    block: &mut Block<'_>,
    tile: &mut Tile<S, P>,
    again: &mut Again<S>,
    chunk: usize,
    at: usize,
) {
    let width = block.sums[0].len();
    let row = |t: usize| t * task.p.columns as usize + block.first;
    let first = chunk * task.every;
    let count = task.every.min(task.p.end as usize - first).min(MOST);
    for (k, state) in again.states[0].iter_mut().enumerate() {
        load(state, &task.checkpoints[row(chunk * S + k)..][..width], at);
    }
    fires(task.rule, &tile.parameters, &again.states[0], &mut again.fired[0]);
    for k in 0..count {
        let x = &task.x[row(first + k)..][..width];
        // The spikes come out as they were: the same numbers in the same order.
        again.states[k + 1] = again.states[k];
        again.fired[k + 1] = again.fired[k];
        let (state, fired) = (&mut again.states[k + 1], &mut again.fired[k + 1]);
        advance::<C, S, P>(task.rule, &tile.parameters, state, fired, cut(x, at));
    }
    for k in (0..count).rev() {
        let t = first + k;
        let given = |of: Option<&'a [f32]>| of.map(|of| cut(&of[row(t)..][..width], at));
        if task.jumps || task.gs.is_some() {
            fire(task, tile, &again.states[k + 1][S - 1], given(task.gs).unwrap_or(&ZEROS));
        }
        if let Some(above) = given(task.gtrace) {
            tile.state[S - 1].iter_mut().zip(above).for_each(|(g, above)| *g += *above);
        }
        let x = cut(&task.x[row(t)..][..width], at);
        retreat::<C, S, P>(
            task,
            tile,
            &again.states[k],
            &again.fired[k],
            x,
            cut_mut(block.gx[t], at),
        );
    }
    // The reset of the first step, whose spike is one of the steps before.
    if task.jumps && first == task.p.first as usize {
        fire(task, tile, &again.states[0][S - 1], &ZEROS);
    }
}

/// The share of the spikes of membranes, which get this gradient from above.
#[inline(always)]
fn fire<const S: usize, const P: usize>(
    task: &Task<'_>,
    tile: &mut Tile<S, P>,
    membrane: &Lanes,
    above: &[f32],
) {
    match task.code {
        SIGMOID => fire_by::<S, P, SIGMOID>(task.slope, tile, membrane, above),
        FAST_SIGMOID => fire_by::<S, P, FAST_SIGMOID>(task.slope, tile, membrane, above),
        TRIANGLE => fire_by::<S, P, TRIANGLE>(task.slope, tile, membrane, above),
        RECTANGLE => fire_by::<S, P, RECTANGLE>(task.slope, tile, membrane, above),
        _ => fire_by::<S, P, ATAN>(task.slope, tile, membrane, above),
    }
}

#[inline(always)]
fn fire_by<const S: usize, const P: usize, const CODE: u32>(
    slope: Slope<f32>,
    tile: &mut Tile<S, P>,
    membrane: &Lanes,
    above: &[f32],
) {
    let Tile { parameters, state, fired, learned } = tile;
    let (threshold, state, learned) = (&parameters[P - 1], &mut state[S - 1], &mut learned[P - 1]);
    let n = above.len().min(LANES);
    let above = &above[..n];
    for i in 0..n {
        let q = (above[i] + fired[i]) * slope.at::<CODE>(membrane[i] - threshold[i]);
        state[i] += q;
        learned[i] -= q;
        fired[i] = 0.0;
    }
}

/// One step of a tile, back; `gx` gets the gradient of its input.
#[inline(always)]
fn retreat<C: Cell<S, P>, const S: usize, const P: usize>(
    task: &Task<'_>,
    tile: &mut Tile<S, P>,
    before: &[Lanes; S],
    fired: &Lanes,
    x: &[f32],
    gx: &mut [f32],
) {
    match task.rule.reset {
        Reset::None => back::<C, S, P>(task, Reset::None, tile, before, fired, x, gx),
        Reset::Subtract => back::<C, S, P>(task, Reset::Subtract, tile, before, fired, x, gx),
        Reset::Zero => back::<C, S, P>(task, Reset::Zero, tile, before, fired, x, gx),
    }
}

#[inline(always)]
fn back<C: Cell<S, P>, const S: usize, const P: usize>(
    task: &Task<'_>,
    reset: Reset,
    tile: &mut Tile<S, P>,
    before: &[Lanes; S],
    fired: &Lanes,
    x: &[f32],
    gx: &mut [f32],
) {
    let n = x.len().min(LANES);
    let (x, gx, jumps) = (&x[..n], &mut gx[..n], task.jumps);
    for i in 0..n {
        let (own, g) = (column(&tile.parameters, i), column(&tile.state, i));
        let back = C::retreat(reset, own, column(before, i), fired[i], x[i], g);
        gx[i] = back.x;
        tile.fired[i] = if jumps { back.fired } else { 0.0 };
        for (row, g) in tile.state.iter_mut().zip(back.state) {
            row[i] = g;
        }
        for (row, g) in tile.learned.iter_mut().zip(back.parameters) {
            row[i] += g;
        }
    }
}
