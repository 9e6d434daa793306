//! The backward pass of a recurrence.

use super::tile::{LANES, Lanes, advance, column, fires, load, parameters, store};
use crate::host::columns::{cut_mut, each_block, width};
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
    words: &'a [u32],
}

/// What goes from step to step, backwards.
#[derive(Clone, Copy)]
struct Carry<const S: usize, const P: usize> {
    state: [Lanes; S],
    fired: Lanes,
    parameters: [Lanes; P],
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
        words: args.words("words"),
    };
    let row = p.columns as usize;
    let wide = width(row, (p.end - p.first) as usize);
    let mut sums = cut_mut(args.reals_mut("sums"), row, wide).into_iter();
    let gx = cut_mut(args.reals_mut("gx"), row, wide).into_iter();
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
    let own = parameters(all, block.first, block.sums[0].len());
    let mut carries: Vec<_> =
        (0..own.len()).map(|i| begin::<S, P>(task, &block, i * LANES)).collect();
    let chunks = task.p.first as usize / task.every..(task.p.end as usize).div_ceil(task.every);
    vectorised(
        #[inline(always)]
        || {
            for chunk in chunks.clone().rev() {
                for (i, (c, carry)) in own.iter().zip(&mut carries).enumerate() {
                    walk::<C, S, P>(task, &mut block, c, carry, chunk, i * LANES);
                }
            }
        },
    );
    for (i, carry) in carries.iter().enumerate() {
        let learned = if task.learn { &carry.parameters[..] } else { &[] };
        for (row, lanes) in block.sums.iter_mut().zip(carry.state.iter().chain(learned)) {
            store(row, i * LANES, lanes);
        }
    }
}

/// What a tile goes on from.
fn begin<const S: usize, const P: usize>(
    task: &Task<'_>,
    block: &Block<'_>,
    at: usize,
) -> Carry<S, P> {
    let row = |k: usize, there: bool| {
        if there { load(block.sums[k], at) } else { [0.0; LANES] }
    };
    Carry {
        state: std::array::from_fn(|k| row(k, task.p.resume > 0)),
        fired: [0.0; LANES],
        parameters: std::array::from_fn(|k| row(S + k, task.learn && task.p.resume == 2)),
    }
}

/// The steps of a chunk of a tile, computed again.
#[inline(always)]
fn walk<C: Cell<S, P>, const S: usize, const P: usize>(
    task: &Task<'_>,
    block: &mut Block<'_>,
    c: &[Lanes; P],
    carry: &mut Carry<S, P>,
    chunk: usize,
    at: usize,
) {
    let width = block.sums[0].len();
    let row = |of: &[f32], t: usize| {
        let start = t * task.p.columns as usize + block.first;
        load(&of[start..start + width], at)
    };
    let first = chunk * task.every;
    let count = task.every.min(task.p.end as usize - first).min(MOST);
    let mut states = [[[0.0; LANES]; S]; MOST + 1];
    let mut fired = [[0.0; LANES]; MOST];
    let mut inputs = [[0.0; LANES]; MOST];
    states[0] = std::array::from_fn(|k| row(task.checkpoints, chunk * S + k));
    fired[0] = fires(task.rule, c, &states[0]);
    let start = first / 32 * task.p.columns as usize + block.first;
    let words = &task.words[start..start + width];
    for k in 0..count {
        if k > 0 {
            fired[k] = bits(words, at, (first + k - 1) % 32);
        }
        inputs[k] = row(task.x, first + k);
        let mut s = states[k];
        advance::<C, S, P>(task.rule, c, &mut s, &fired[k], &inputs[k]);
        states[k + 1] = s;
    }
    for k in (0..count).rev() {
        let t = first + k;
        if task.jumps || task.gs.is_some() {
            let above = task.gs.map_or([0.0; LANES], |gs| row(gs, t));
            fire(task, c, carry, &states[k + 1][S - 1], &above);
        }
        if let Some(gtrace) = task.gtrace {
            let above = row(gtrace, t);
            (0..LANES).for_each(|i| carry.state[S - 1][i] += above[i]);
        }
        let gx = retreat::<C, S, P>(task, c, carry, &states[k], &fired[k], &inputs[k]);
        store(block.gx[t], at, &gx);
    }
    // The reset of the first step, whose spike is one of the steps before.
    if task.jumps && first == task.p.first as usize {
        fire(task, c, carry, &states[0][S - 1], &[0.0; LANES]);
    }
}

/// Bit `bit` of words, as numbers.
#[inline(always)]
fn bits(words: &[u32], at: usize, bit: usize) -> Lanes {
    let mut lanes = [0.0; LANES];
    for (lane, word) in lanes.iter_mut().zip(&words[at..]) {
        *lane = if word >> bit & 1 == 1 { 1.0 } else { 0.0 };
    }
    lanes
}

/// The share of the spikes of membranes, which get this gradient from above.
#[inline(always)]
fn fire<const S: usize, const P: usize>(
    task: &Task<'_>,
    c: &[Lanes; P],
    carry: &mut Carry<S, P>,
    membrane: &Lanes,
    above: &Lanes,
) {
    let distance = std::array::from_fn(|i| membrane[i] - c[P - 1][i]);
    let slope = slopes(task, &distance);
    for i in 0..LANES {
        let q = (above[i] + carry.fired[i]) * slope[i];
        carry.state[S - 1][i] += q;
        carry.parameters[P - 1][i] -= q;
    }
    carry.fired = [0.0; LANES];
}

/// The surrogate's derivatives.
#[inline(always)]
fn slopes(task: &Task<'_>, distance: &Lanes) -> Lanes {
    let slope = task.slope;
    match task.code {
        SIGMOID => distance.map(|u| slope.at::<SIGMOID>(u)),
        FAST_SIGMOID => distance.map(|u| slope.at::<FAST_SIGMOID>(u)),
        TRIANGLE => distance.map(|u| slope.at::<TRIANGLE>(u)),
        RECTANGLE => distance.map(|u| slope.at::<RECTANGLE>(u)),
        _ => distance.map(|u| slope.at::<ATAN>(u)),
    }
}

/// One step of a tile, back; the gradient of its input.
#[inline(always)]
fn retreat<C: Cell<S, P>, const S: usize, const P: usize>(
    task: &Task<'_>,
    c: &[Lanes; P],
    carry: &mut Carry<S, P>,
    s: &[Lanes; S],
    fired: &Lanes,
    x: &Lanes,
) -> Lanes {
    let mut gx = [0.0; LANES];
    for i in 0..LANES {
        let (own, before, g) = (column(c, i), column(s, i), column(&carry.state, i));
        let back = C::retreat(task.rule.reset, own, before, fired[i], x[i], g);
        gx[i] = back.x;
        carry.fired[i] = if task.jumps { back.fired } else { 0.0 };
        (0..S).for_each(|k| carry.state[k][i] = back.state[k]);
        (0..P).for_each(|k| carry.parameters[k][i] += back.parameters[k]);
    }
    gx
}
