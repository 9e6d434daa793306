//! The complex LIF gate.

use super::super::gate::Params;
use super::complex::{complex, complex_mut};
use crate::host::{HostArgs, Real, columns};
use crate::lif::Surrogate;
use rustfft::num_complex::Complex;

/// One step of both membranes: what they were charged to, and their spikes.
#[inline(always)]
fn step<R: Real>(v: &mut Complex<R>, z: Complex<R>, gain: R, threshold: R) -> (Complex<R>, [R; 2]) {
    let h = *v + (z - *v) * gain;
    let spike = |h: R| if h >= threshold { R::one() } else { R::zero() };
    let s = [spike(h.re), spike(h.im)];
    *v = Complex::new(h.re * (R::one() - s[0]), h.im * (R::one() - s[1]));
    (h, s)
}

pub(in super::super) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let (columns, steps) = (p.columns as usize, p.steps as usize);
    let (gain, threshold) = (R::lit(p.gain.into()), R::lit(p.threshold.into()));
    let z = complex(args.reals(0));
    let (y, gate) = (complex_mut(args.reals_mut(1)), args.words_mut(2));
    let width = columns::width(columns, steps);
    let blocks = columns::cut_mut(y, columns, width).into_iter();
    let blocks: Vec<_> = blocks.zip(columns::cut_mut(gate, columns, width)).collect();
    columns::each_block(blocks, |block, (mut y, mut gate)| {
        let first = block * width;
        let mut v = vec![Complex::<R>::default(); y.first().map_or(0, |row| row.len())];
        gate.iter_mut().for_each(|words| words.fill(0));
        for (t, y) in y.iter_mut().enumerate() {
            let z = &z[t * columns + first..][..v.len()];
            let words = &mut gate[t / 32];
            for (((v, z), y), word) in v.iter_mut().zip(z).zip(y.iter_mut()).zip(words.iter_mut()) {
                let (_, s) = step(v, *z, gain, threshold);
                let open = s[0].max(s[1]);
                *y = z.scale(open);
                *word |= u32::from(open > R::zero()) << (t % 32);
            }
        }
    });
}

pub(in super::super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let through = args.constant("STE", 0) == 1;
    let detach = args.constant("DETACH", 0) == 1;
    let columns = p.columns as usize;
    let (z, gate, g) = (complex(args.reals(0)), args.words(1), complex(args.reals(2)));
    let gz = complex_mut(args.reals_mut(3));
    let width = columns::width(columns, p.steps as usize);
    let blocks = columns::cut_mut(gz, columns, width);
    columns::each_block(blocks, |block, mut gz| {
        let first = block * width;
        for (t, gz) in gz.iter_mut().enumerate() {
            for (c, gz) in gz.iter_mut().enumerate() {
                let open = gate[t / 32 * columns + first + c] >> (t % 32) & 1 == 1;
                let g = g[t * columns + first + c];
                *gz = if open { g } else { Complex::default() };
            }
        }
        if through {
            for c in 0..gz.first().map_or(0, |row| row.len()) {
                through_membranes(&p, detach, c, (z, g, first), &mut gz);
            }
        }
    });
}

/// Adds what reaches column `c` of a block through the neurons.
fn through_membranes<R: Real>(
    p: &Params,
    detach: bool,
    c: usize,
    (z, g, first): (&[Complex<R>], &[Complex<R>], usize),
    gz: &mut [&mut [Complex<R>]],
) {
    let (gain, threshold) = (R::lit(p.gain.into()), R::lit(p.threshold.into()));
    let surrogate = Surrogate::Atan(p.alpha);
    let at = |t: usize| t * p.columns as usize + first + c;
    let mut v = Complex::<R>::default();
    let seen: Vec<_> = (0..gz.len()).map(|t| step(&mut v, z[at(t)], gain, threshold)).collect();
    let mut dh = [R::zero(); 2];
    for (t, (h, s)) in seen.into_iter().enumerate().rev() {
        let (z, g) = (z[at(t)], g[at(t)]);
        let dg = g.re * z.re + g.im * z.im;
        for (i, h) in [h.re, h.im].into_iter().enumerate() {
            let dv = dh[i] * (R::one() - gain);
            let reset = if detach { R::zero() } else { h * dv };
            let ds = dg * (R::one() - s[1 - i]) - reset;
            dh[i] = ds * surrogate.derivative(h - threshold) + dv * (R::one() - s[i]);
        }
        gz[t][c] += Complex::new(dh[0] * gain, dh[1] * gain);
    }
}
