//! The complex LIF gate.

use super::super::gate::Params;
use crate::host::{HostArgs, Real, columns, vectorised};
use crate::lif::Surrogate;

/// Columns that are worked on at a time: what they carry from step to step stays in the first cache.
const BLOCK: usize = 1 << 9;

/// What a gate and its surroundings are made of, real and imaginary parts next to each other.
struct Stage<'a, R> {
    z: &'a [R],
    /// Gain and shift of a block: those of the channels, again and again; 1 and 0 without.
    weight: Vec<R>,
    shift: Vec<R>,
    scale: R,
    columns: usize,
    gain: R,
    threshold: R,
}

impl<'a, R: Real> Stage<'a, R> {
    fn new(args: &HostArgs<'a, R>, p: &Params, weight: usize, scale: usize) -> Self {
        let affine = args.constant("AFFINE", 0) == 1;
        let residual = args.constant("RESIDUAL", 0) == 1;
        let width = 2 * block(p);
        let repeated = |i: usize, without: R| {
            let channels = args.reals(i).iter().copied().cycle();
            if affine { channels.take(width).collect() } else { vec![without; width] }
        };
        Self {
            z: args.reals(0),
            weight: repeated(weight, R::one()),
            shift: repeated(weight + 1, R::zero()),
            scale: if residual { args.reals(scale)[0] } else { R::one() },
            columns: p.columns as usize,
            gain: R::lit(p.gain.into()),
            threshold: R::lit(p.threshold.into()),
        }
    }

    /// Step t of the columns from `first` on.
    fn row(&self, t: usize, first: usize, of: &'a [R], words: usize) -> &'a [R] {
        &of[2 * (t * self.columns + first)..][..words]
    }
}

/// The columns of a block: whole rows of channels.
fn block(p: &Params) -> usize {
    BLOCK.next_multiple_of(p.channels as usize).min(p.columns as usize)
}

/// One step of membranes: v becomes what is left, u is gated, s the spikes, h what v was charged to.
#[inline(always)]
fn charge<R: Real>(stage: &Stage<'_, R>, z: &[R], v: &mut [R], [u, s, h]: [&mut [R]; 3]) {
    let n = z.len();
    let (weight, shift) = (&stage.weight[..n], &stage.shift[..n]);
    let (v, u, s, h) = (&mut v[..n], &mut u[..n], &mut s[..n], &mut h[..n]);
    for j in 0..n {
        u[j] = weight[j] * z[j] + shift[j];
        h[j] = v[j] + (u[j] - v[j]) * stage.gain;
        let fires = h[j] >= stage.threshold;
        s[j] = if fires { R::one() } else { R::zero() };
        v[j] = if fires { R::zero() } else { h[j] };
    }
}

/// Both parts open where one spikes.
#[inline(always)]
fn either<R: Real>(s: &mut [R]) {
    for pair in s.chunks_exact_mut(2) {
        let open = pair[0].max(pair[1]);
        pair.fill(open);
    }
}

pub(in super::super) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let stage = Stage::new(args, &p, 1, 4);
    let base = (args.constant("RESIDUAL", 0) == 1).then(|| args.reals(3));
    let (y, gate) = (args.reals_mut(5), args.words_mut(6));
    let (columns, width) = (stage.columns, block(&p));
    let blocks = columns::cut_mut(y, 2 * columns, 2 * width).into_iter();
    let blocks: Vec<_> = blocks.zip(columns::cut_mut(gate, columns, width)).collect();
    columns::each_block(blocks, |block, (mut y, mut gate)| {
        let first = block * width;
        let n = y.first().map_or(0, |row| row.len());
        let [mut v, mut u, mut s, mut h] = [(); 4].map(|()| vec![R::zero(); n]);
        gate.iter_mut().for_each(|words| words.fill(0));
        for (t, y) in y.iter_mut().enumerate() {
            let z = stage.row(t, first, stage.z, n);
            let base = base.map(|base| stage.row(t, first, base, n));
            vectorised(
                #[inline(always)]
                || {
                    charge(&stage, z, &mut v, [&mut u, &mut s, &mut h]);
                    either(&mut s);
                    match base {
                        Some(base) => {
                            for (((y, b), s), u) in y.iter_mut().zip(base).zip(&s).zip(&u) {
                                *y = *b + stage.scale * *s * *u;
                            }
                        }
                        None => {
                            for ((y, s), u) in y.iter_mut().zip(&s).zip(&u) {
                                *y = *s * *u;
                            }
                        }
                    }
                },
            );
            for (word, s) in gate[t / 32].iter_mut().zip(s.chunks_exact(2)) {
                *word |= u32::from(s[0] > R::zero()) << (t % 32);
            }
        }
    });
}

pub(in super::super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let back = Back {
        stage: Stage::new(args, &p, 3, 5),
        gate: args.words(1),
        g: args.reals(2),
        through: args.constant("STE", 0) == 1,
        detach: args.constant("DETACH", 0) == 1,
        surrogate: Surrogate::Atan(p.alpha),
        width: block(&p),
        channels: p.channels as usize,
    };
    let summed = args.constant("AFFINE", 0) == 1 || args.constant("RESIDUAL", 0) == 1;
    let gz = args.reals_mut(6);
    if !summed {
        let blocks = columns::cut_mut(gz, 2 * back.stage.columns, 2 * back.width);
        columns::each_block(blocks, |block, mut gz| {
            let mut work = Work::new(&back, gz.len());
            back.block(block * back.width, &mut gz, &mut work);
        });
        return;
    }
    let width = (p.chunk * p.channels) as usize;
    let chunks = columns::cut_mut(gz, 2 * back.stage.columns, 2 * width);
    let sums = args.reals_mut(7).chunks_exact_mut(5 * back.channels);
    columns::each_block(chunks.into_iter().zip(sums).collect(), |chunk, (mut gz, sums)| {
        let mut work = Work::new(&back, gz.len());
        let words = gz.first().map_or(0, |row| row.len());
        for from in (0..words).step_by(2 * back.width) {
            let to = words.min(from + 2 * back.width);
            let mut part: Vec<&mut [R]> = gz.iter_mut().map(|row| &mut row[from..to]).collect();
            back.block(chunk * width + from / 2, &mut part, &mut work);
        }
        work.fold(sums, back.channels);
    });
}

/// What the gradients of blocks are made from.
struct Back<'a, R> {
    stage: Stage<'a, R>,
    gate: &'a [u32],
    g: &'a [R],
    through: bool,
    detach: bool,
    surrogate: Surrogate,
    /// Columns of a block.
    width: usize,
    channels: usize,
}

/// What a thread writes on the way, and its sums.
struct Work<R> {
    /// Of one step: what is gated, spikes, gradient of what is gated.
    u: Vec<R>,
    s: Vec<R>,
    gu: Vec<R>,
    /// The gate, and G.
    open: Vec<R>,
    g: Vec<R>,
    v: Vec<R>,
    dh: Vec<R>,
    /// Membranes of all steps.
    h: Vec<R>,
    of_weight: Vec<R>,
    of_shift: Vec<R>,
    of_scale: Vec<R>,
}

impl<R: Real> Work<R> {
    fn new(back: &Back<'_, R>, steps: usize) -> Self {
        let n = 2 * back.width;
        let zeros = || vec![R::zero(); n];
        Self {
            u: zeros(),
            s: zeros(),
            gu: zeros(),
            open: zeros(),
            g: zeros(),
            v: zeros(),
            dh: zeros(),
            h: vec![R::zero(); if back.through { steps * n } else { 0 }],
            of_weight: zeros(),
            of_shift: zeros(),
            of_scale: zeros(),
        }
    }

    /// The sums of the channels: of the weights, of the shifts, of the scale.
    fn fold(&self, sums: &mut [R], channels: usize) {
        sums.fill(R::zero());
        let (weight, rest) = sums.split_at_mut(2 * channels);
        let (shift, scale) = rest.split_at_mut(2 * channels);
        for (sums, values) in [(weight, &self.of_weight), (shift, &self.of_shift)] {
            for row in values.chunks_exact(2 * channels) {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += *v);
            }
        }
        for row in self.of_scale.chunks_exact(2 * channels) {
            let pairs = row.chunks_exact(2);
            scale.iter_mut().zip(pairs).for_each(|(sum, v)| *sum += v[0] + v[1]);
        }
    }
}

impl<R: Real> Back<'_, R> {
    /// The gradient of the columns from `first` on; adds to the sums.
    fn block(&self, first: usize, gz: &mut [&mut [R]], work: &mut Work<R>) {
        let n = gz.first().map_or(0, |row| row.len());
        if self.through {
            self.membranes(first, n, gz.len(), work);
            work.dh.fill(R::zero());
        }
        for (t, gz) in gz.iter_mut().enumerate().rev() {
            let words = &self.gate[t / 32 * self.stage.columns + first..][..n / 2];
            for (open, word) in work.open.chunks_exact_mut(2).zip(words) {
                open.fill(if word >> (t % 32) & 1 == 1 { R::one() } else { R::zero() });
            }
            let z = self.stage.row(t, first, self.stage.z, n);
            let g = self.stage.row(t, first, self.g, n);
            vectorised(
                #[inline(always)]
                || {
                    self.through_gate(z, g, work);
                    if self.through {
                        self.through_membranes(t, n, work);
                    }
                    self.through_affine(z, gz, work);
                },
            );
        }
    }

    /// Runs the membranes of a block forward, all steps kept.
    fn membranes(&self, first: usize, n: usize, steps: usize, work: &mut Work<R>) {
        work.v.fill(R::zero());
        for t in 0..steps {
            let z = self.stage.row(t, first, self.stage.z, n);
            let h = &mut work.h[t * n..][..n];
            let (v, u, s) = (&mut work.v, &mut work.u, &mut work.s);
            vectorised(
                #[inline(always)]
                || charge(&self.stage, z, v, [u, s, h]),
            );
        }
    }

    /// `gu = g G`, the gate a constant, and the sum for the scale.
    #[inline(always)]
    fn through_gate(&self, z: &[R], g: &[R], work: &mut Work<R>) {
        let n = z.len();
        let stage = &self.stage;
        let (weight, shift) = (&stage.weight[..n], &stage.shift[..n]);
        let (open, u, gu) = (&work.open[..n], &mut work.u[..n], &mut work.gu[..n]);
        let (scaled, sums) = (&mut work.g[..n], &mut work.of_scale[..n]);
        for j in 0..n {
            u[j] = weight[j] * z[j] + shift[j];
            let passed = open[j] * g[j];
            sums[j] += passed * u[j];
            scaled[j] = stage.scale * g[j];
            gu[j] = stage.scale * passed;
        }
    }

    /// Adds what reaches u through the neurons.
    #[inline(always)]
    fn through_membranes(&self, t: usize, n: usize, work: &mut Work<R>) {
        let (gain, threshold) = (self.stage.gain, self.stage.threshold);
        let (h, u, g) = (&work.h[t * n..][..n], &work.u[..n], &work.g[..n]);
        let (dh, gu) = (&mut work.dh[..n], &mut work.gu[..n]);
        for j in (0..n).step_by(2) {
            let dg = g[j] * u[j] + g[j + 1] * u[j + 1];
            let spike = |h: R| if h >= threshold { R::one() } else { R::zero() };
            let s = [spike(h[j]), spike(h[j + 1])];
            for k in 0..2 {
                let h = h[j + k];
                let dv = dh[j + k] * (R::one() - gain);
                let reset = if self.detach { R::zero() } else { h * dv };
                let ds = dg * (R::one() - s[1 - k]) - reset;
                let slope = self.surrogate.derivative(h - threshold);
                dh[j + k] = ds * slope + dv * (R::one() - s[k]);
                gu[j + k] += dh[j + k] * gain;
            }
        }
    }

    /// `gz = weight gu`, and the sums for weight and shift.
    #[inline(always)]
    fn through_affine(&self, z: &[R], gz: &mut [R], work: &mut Work<R>) {
        let n = z.len();
        let (weight, gu) = (&self.stage.weight[..n], &work.gu[..n]);
        let (of_weight, of_shift) = (&mut work.of_weight[..n], &mut work.of_shift[..n]);
        for j in 0..n {
            of_weight[j] += gu[j] * z[j];
            of_shift[j] += gu[j];
            gz[j] = weight[j] * gu[j];
        }
    }
}
