//! `lif_forward`.

use super::block::{Neuron, Pick, Same, Table};
use super::rows::forward_row;
use super::{Layer, Options};
use crate::host::columns::{cut_mut, each_block, width};
use crate::host::{HostArgs, vectorised};
use crate::lif::params::{HARD, NONE, SOFT};

/// What a block of columns reads and writes.
struct Block<'a> {
    first: usize,
    x: &'a [f32],
    state: &'a mut [f32],
    /// Rows of `save`, spikes and words; empty where they are not wanted.
    save: Vec<&'a mut [f32]>,
    spikes: Vec<&'a mut [f32]>,
    words: Vec<&'a mut [u32]>,
}

/// What is saved for backward.
#[derive(Clone, Copy)]
struct Saving {
    /// The membrane of every step.
    membrane: bool,
    /// The state before every so many steps.
    every: Option<usize>,
}

pub(crate) fn forward(args: &mut HostArgs<'_, f32>) {
    let layer = Layer::new(args);
    let o = layer.options;
    let x = args.reals("x");
    let saves = args.constant("SAVE");
    let every = (saves == 2).then(|| args.constant("EVERY") as usize);
    let saving = Saving { membrane: saves == 1, every };
    let state = args.reals_mut("state");
    let save = args.reals_mut("save");
    let spikes: &mut [f32] = if args.when("DENSE") { args.reals_mut("spikes") } else { &mut [] };
    let words: &mut [u32] = if args.when("PACKED") { args.words_mut("words") } else { &mut [] };
    if !args.flag("STATE") {
        state.fill(0.0);
    }
    let width = width(o.columns, o.steps);
    let mut saves_cut = cut_mut(save, o.columns, width).into_iter();
    let mut spikes_cut = cut_mut(spikes, o.columns, width).into_iter();
    let mut words_cut = cut_mut(words, o.columns, width).into_iter();
    let blocks = state.chunks_mut(width).enumerate().map(|(i, state)| Block {
        first: i * width,
        x,
        state,
        save: saves_cut.next().unwrap_or_default(),
        spikes: spikes_cut.next().unwrap_or_default(),
        words: words_cut.next().unwrap_or_default(),
    });
    each_block(blocks.collect(), |_, block| {
        if layer.varies() {
            let table = Table::new(&layer, block.first, block.state.len());
            by_reset(&o, table.pick(), saving, block);
        } else {
            by_reset(&o, Same(Neuron::of(&layer, 0)), saving, block);
        }
    });
}

fn by_reset<P: Pick>(o: &Options, neurons: P, saving: Saving, block: Block<'_>) {
    match (o.reset, o.clamp) {
        (HARD, false) => run::<P, HARD, false>(o, neurons, saving, block),
        (HARD, true) => run::<P, HARD, true>(o, neurons, saving, block),
        (SOFT, false) => run::<P, SOFT, false>(o, neurons, saving, block),
        (SOFT, true) => run::<P, SOFT, true>(o, neurons, saving, block),
        (_, false) => run::<P, NONE, false>(o, neurons, saving, block),
        (_, true) => run::<P, NONE, true>(o, neurons, saving, block),
    }
}

fn run<P: Pick, const RESET: u32, const CLAMP: bool>(
    o: &Options,
    neurons: P,
    saving: Saving,
    mut block: Block<'_>,
) {
    let n = block.state.len();
    // The charged membrane has a row to itself where it is not saved.
    let mut scratch = if saving.membrane { Vec::new() } else { vec![0.0; n] };
    vectorised(
        #[inline(always)]
        || {
            for t in 0..o.steps {
                if let Some(every) = saving.every.filter(|every| t % every == 0) {
                    block.save[t / every].copy_from_slice(block.state);
                }
                let start = t * o.columns + block.first;
                let x = &block.x[start..start + n];
                let raw: &mut [f32] = if saving.membrane { block.save[t] } else { &mut scratch };
                let word = block.words.get_mut(t / 32);
                let spikes = block.spikes.get_mut(t);
                let (v, bit) = (&mut *block.state, t % 32);
                match (word, spikes) {
                    (None, Some(s)) => {
                        let s = &mut s[..n];
                        forward_row::<P, RESET, CLAMP>(
                            o,
                            neurons,
                            x,
                            v,
                            raw,
                            #[inline(always)]
                            |i, fired| s[i] = if fired { 1.0 } else { 0.0 },
                        );
                    }
                    (Some(w), spikes) => {
                        let w = &mut w[..n];
                        let kept = if bit == 0 { 0 } else { u32::MAX };
                        match spikes {
                            None => forward_row::<P, RESET, CLAMP>(
                                o,
                                neurons,
                                x,
                                v,
                                raw,
                                #[inline(always)]
                                |i, fired| w[i] = w[i] & kept | u32::from(fired) << bit,
                            ),
                            Some(s) => {
                                let s = &mut s[..n];
                                forward_row::<P, RESET, CLAMP>(
                                    o,
                                    neurons,
                                    x,
                                    v,
                                    raw,
                                    #[inline(always)]
                                    |i, fired| {
                                        w[i] = w[i] & kept | u32::from(fired) << bit;
                                        s[i] = if fired { 1.0 } else { 0.0 };
                                    },
                                );
                            }
                        }
                    }
                    (None, None) => {}
                }
            }
        },
    );
}
