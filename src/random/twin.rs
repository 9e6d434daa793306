//! The CPU twins. Draws are made in f32 in both precisions: they are the same bits everywhere.

use super::bernoulli::{BitsParams, EachBitsParams, EachParams, Params as BernoulliParams};
use super::dropout::Params as DropoutParams;
use super::normal::Params as NormalParams;
use super::threefry::{unit, word_of};
use super::uniform::Params as UniformParams;
use crate::elementwise::each;
use crate::host::{HostArgs, Real};

pub(super) fn advance<R: Real>(args: &mut HostArgs<'_, R>) {
    let step = args.words_mut(0);
    step[0] = step[0].wrapping_add(1);
}

fn real<R: Real>(x: f32) -> R {
    R::lit(f64::from(x))
}

fn one_if<R: Real>(condition: bool) -> R {
    if condition { R::one() } else { R::zero() }
}

pub(super) fn uniform<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UniformParams = args.params();
    let step = args.words(0)[0];
    each(args.reals_mut(1), |e| real(unit(word_of(p.key, step, e))));
}

pub(super) fn normal<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NormalParams = args.params();
    let step = args.words(0)[0];
    let table = args.reals(1);
    each(args.reals_mut(2), |e| {
        let word = word_of(p.key, step, e);
        let magnitude = word & 0x7fff_ffff;
        let octave = (magnitude.leading_zeros() - 1).min(31);
        // The bits after the first one, at the top.
        let rest = magnitude.checked_shl(octave + 2).unwrap_or(0);
        let at = 2 * (octave * 32 + (rest >> 27)) as usize;
        let fraction = (rest >> 15 & 0xfff) as f32;
        let value = table[at].f32() + table[at + 1].f32() * fraction;
        real(if word >> 31 == 1 { -value } else { value })
    });
}

pub(super) fn bernoulli<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BernoulliParams = args.params();
    let step = args.words(0)[0];
    each(args.reals_mut(1), |e| one_if(p.chance.holds(word_of(p.key, step, e))));
}

pub(super) fn bernoulli_each<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EachParams = args.params();
    let step = args.words(0)[0];
    let chances = args.reals(1);
    each(args.reals_mut(2), |e| {
        one_if(unit(word_of(p.key, step, e)) < chances[e % p.period as usize].f32())
    });
}

pub(super) fn bernoulli_bits<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BitsParams = args.params();
    let step = args.words(0)[0];
    each(args.words_mut(1), |w| p.packed.word(w, |e| p.chance.holds(word_of(p.key, step, e))));
}

pub(super) fn bernoulli_each_bits<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EachBitsParams = args.params();
    let step = args.words(0)[0];
    let chances = args.reals(1);
    let chance = |e: usize| chances[e % p.period as usize].f32();
    each(args.words_mut(2), |w| p.packed.word(w, |e| unit(word_of(p.key, step, e)) < chance(e)));
}

pub(super) fn dropout<R: Real>(args: &mut HostArgs<'_, R>) {
    let step = args.words(0)[0];
    args.words_mut(3)[0] = step;
    masked(args, step);
}

pub(super) fn dropout_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let step = args.words(0)[0];
    masked(args, step);
}

/// Binding 2 = binding 1 scaled, or 0 where the mask drops.
fn masked<R: Real>(args: &mut HostArgs<'_, R>, step: u32) {
    let p: DropoutParams = args.params();
    let x = args.reals(1);
    each(args.reals_mut(2), |e| {
        if word_of(p.key, step, e) < p.threshold { R::zero() } else { x[e] * real(p.scale) }
    });
}
