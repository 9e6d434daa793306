//! The twin of `lif_forward`.

use super::block::{Pick, Same, Table};
use super::rows::forward_row;
use super::{Layer, Options, smooth};
use crate::host::columns::{cut_mut, each_block, width};
use crate::host::{HostArgs, Real, vectorised};
use crate::lif::neuron::{HARD, NONE, SOFT};

/// What a block of columns reads and writes.
struct Block<'a, R> {
    first: usize,
    x: &'a [R],
    state: &'a mut [R],
    /// Rows of `save`, spikes and words; empty where they are not wanted.
    save: Vec<&'a mut [R]>,
    spikes: Vec<&'a mut [R]>,
    words: Vec<&'a mut [u32]>,
}

pub(in crate::lif) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let o = Options::new(args);
    let layer = Layer::new(args, o, 1, Some(3));
    let x = args.reals(0);
    let saves = args.constant_or("SAVE", 0);
    let has_state = args.constant_or("STATE", 0) != 0;
    let dense = args.is_real(6);
    let state = args.reals_mut(4);
    let save = args.reals_mut(5);
    let save = if saves == 0 { &mut [] } else { save };
    let mut words: &mut [u32] = &mut [];
    let mut spikes: &mut [R] = &mut [];
    if dense {
        spikes = args.reals_mut(6);
        if args.slots.len() > 7 {
            words = args.words_mut(7);
        }
    } else {
        words = args.words_mut(6);
    }
    if !has_state {
        state.fill(R::zero());
    }
    if let Some(code) = o.smooth {
        return smooth::forward(&layer, code, x, state, save, spikes);
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
            by_reset(&o, table.pick(), saves, block);
        } else {
            by_reset(&o, Same(layer.neuron(0)), saves, block);
        }
    });
}

fn by_reset<R: Real, P: Pick<R>>(o: &Options<R>, neurons: P, saves: u32, block: Block<'_, R>) {
    match (o.reset, o.clamp) {
        (HARD, false) => run::<R, P, HARD, false>(o, neurons, saves, block),
        (HARD, true) => run::<R, P, HARD, true>(o, neurons, saves, block),
        (SOFT, false) => run::<R, P, SOFT, false>(o, neurons, saves, block),
        (SOFT, true) => run::<R, P, SOFT, true>(o, neurons, saves, block),
        (_, false) => run::<R, P, NONE, false>(o, neurons, saves, block),
        (_, true) => run::<R, P, NONE, true>(o, neurons, saves, block),
    }
}

fn run<R: Real, P: Pick<R>, const RESET: u32, const CLAMP: bool>(
    o: &Options<R>,
    neurons: P,
    saves: u32,
    mut block: Block<'_, R>,
) {
    let n = block.state.len();
    // The charged membrane has a row to itself where it is not saved.
    let mut scratch = if saves == 1 { Vec::new() } else { vec![R::zero(); n] };
    vectorised(
        #[inline(always)]
        || {
            for t in 0..o.steps {
                if saves == 2 && t % o.every == 0 {
                    block.save[t / o.every].copy_from_slice(block.state);
                }
                let start = t * o.columns + block.first;
                let x = &block.x[start..start + n];
                let raw: &mut [R] = if saves == 1 { block.save[t] } else { &mut scratch };
                let word = block.words.get_mut(t / 32);
                let spikes = block.spikes.get_mut(t);
                let (v, bit) = (&mut *block.state, t % 32);
                match (word, spikes) {
                    (None, Some(s)) => {
                        let s = &mut s[..n];
                        forward_row::<R, P, RESET, CLAMP>(
                            o,
                            neurons,
                            x,
                            v,
                            raw,
                            #[inline(always)]
                            |i, fired| s[i] = if fired { R::one() } else { R::zero() },
                        );
                    }
                    (Some(w), spikes) => {
                        let w = &mut w[..n];
                        let kept = if bit == 0 { 0 } else { u32::MAX };
                        match spikes {
                            None => forward_row::<R, P, RESET, CLAMP>(
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
                                forward_row::<R, P, RESET, CLAMP>(
                                    o,
                                    neurons,
                                    x,
                                    v,
                                    raw,
                                    #[inline(always)]
                                    |i, fired| {
                                        w[i] = w[i] & kept | u32::from(fired) << bit;
                                        s[i] = if fired { R::one() } else { R::zero() };
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
