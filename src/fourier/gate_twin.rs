//! The complex LIF gate.

use super::gate::Params;
use crate::host::{HostArgs, Real, columns, vectorised};
use crate::lif::Surrogate;

/// Columns that are worked on at a time: what they carry from step to step stays in the first cache.
const BLOCK: usize = 1 << 9;

/// What a gate and its surroundings are made of, real and imaginary parts next to each other.
struct Stage<'a, R> {
    z: &'a [R],
    /// Gains and shifts of a block, those of the channels again and again; nothing without.
    affine: Option<[Vec<R>; 2]>,
    scale: Option<R>,
    columns: usize,
    /// Columns of a block: whole rows of channels.
    width: usize,
    gain: R,
    threshold: R,
}

impl<'a, R: Real> Stage<'a, R> {
    fn new(args: &HostArgs<'a, R>, p: &Params) -> Self {
        let (channels, columns) = (p.channels as usize, p.columns as usize);
        let width = BLOCK.next_multiple_of(channels).min(columns);
        let repeated = |part: usize| -> Vec<R> {
            let row = &args.reals("affine")[2 * part * channels..][..2 * channels];
            row.iter().copied().cycle().take(2 * width).collect()
        };
        Self {
            z: args.reals("z"),
            affine: args.flag("AFFINE").then(|| [repeated(0), repeated(1)]),
            scale: args.flag("RESIDUAL").then(|| args.reals("scale")[0]),
            columns,
            width,
            gain: R::lit(p.gain.into()),
            threshold: R::lit(p.threshold.into()),
        }
    }

    /// Step t of `words` words of a tensor, the columns from `first` on.
    fn row(&self, of: &'a [R], t: usize, first: usize, words: usize) -> &'a [R] {
        &of[2 * (t * self.columns + first)..][..words]
    }

    /// What is gated.
    #[inline(always)]
    fn gated(&self, z: &[R], u: &mut [R]) {
        let u = &mut u[..z.len()];
        match &self.affine {
            Some([gain, shift]) => {
                let (gain, shift) = (&gain[..z.len()], &shift[..z.len()]);
                for j in 0..z.len() {
                    u[j] = gain[j] * z[j] + shift[j];
                }
            }
            None => u.copy_from_slice(z),
        }
    }
}

/// One step of a membrane: what it is charged to, and whether it fires.
#[inline(always)]
fn charge<R: Real>(v: R, u: R, gain: R, threshold: R) -> (R, bool) {
    let h = v + (u - v) * gain;
    (h, h >= threshold)
}

/// `value` if `open`, else 0.
#[inline(always)]
fn when<R: Real>(open: bool, value: R) -> R {
    if open { value } else { R::zero() }
}

/// One step of a block: membranes v charged by u; y gets what passes, words the gate's bit t.
#[inline(always)]
fn step<R: Real>(
    stage: &Stage<'_, R>,
    u: &[R],
    v: &mut [R],
    y: &mut [R],
    (words, t): (&mut [u32], usize),
) {
    let (u, v) = (&u[..y.len()], &mut v[..y.len()]);
    for (i, word) in words.iter_mut().enumerate() {
        let (a, b) = (2 * i, 2 * i + 1);
        let (ha, fa) = charge(v[a], u[a], stage.gain, stage.threshold);
        let (hb, fb) = charge(v[b], u[b], stage.gain, stage.threshold);
        (v[a], v[b]) = (when(!fa, ha), when(!fb, hb));
        let open = fa | fb;
        (y[a], y[b]) = (when(open, u[a]), when(open, u[b]));
        *word |= u32::from(open) << t;
    }
}

pub(super) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let stage = Stage::new(args, &p);
    let base = args.reals("base");
    let (y, gate) = (args.reals_mut("y"), args.words_mut("gate"));
    let (columns, width) = (stage.columns, stage.width);
    let blocks = columns::cut_mut(y, 2 * columns, 2 * width).into_iter();
    let blocks: Vec<_> = blocks.zip(columns::cut_mut(gate, columns, width)).collect();
    columns::each_block(blocks, |block, (mut y, mut gate)| {
        let first = block * width;
        let n = y.first().map_or(0, |row| row.len());
        let [mut v, mut u] = [(); 2].map(|()| vec![R::zero(); n]);
        gate.iter_mut().for_each(|words| words.fill(0));
        for (t, y) in y.iter_mut().enumerate() {
            let z = stage.row(stage.z, t, first, n);
            vectorised(
                #[inline(always)]
                || {
                    stage.gated(z, &mut u);
                    step(&stage, &u, &mut v, y, (&mut *gate[t / 32], t % 32));
                    if let Some(scale) = stage.scale {
                        for (y, base) in y.iter_mut().zip(stage.row(base, t, first, n)) {
                            *y = *base + scale * *y;
                        }
                    }
                },
            );
        }
    });
}

pub(super) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let back = Back {
        stage: Stage::new(args, &p),
        gate: args.words("gate"),
        g: args.reals("upstream"),
        through: args.flag("STE"),
        detach: args.flag("DETACH"),
        surrogate: Surrogate::Atan(p.alpha),
    };
    let (columns, width, channels) = (back.stage.columns, back.stage.width, p.channels as usize);
    let each = match (&back.stage.affine, back.stage.scale) {
        (Some(_), _) => 4 * channels,
        (None, Some(_)) => channels,
        (None, None) => {
            let blocks = columns::cut_mut(args.reals_mut("gz"), 2 * columns, 2 * width);
            columns::each_block(blocks, |block, mut gz| {
                let mut work = Work::new(&back, gz.len());
                back.block(block * width, &mut gz, &mut work);
            });
            return;
        }
    };
    let chunk = (p.chunk * p.channels) as usize;
    let chunks = columns::cut_mut(args.reals_mut("gz"), 2 * columns, 2 * chunk);
    let sums = args.reals_mut("sums").chunks_exact_mut(each);
    columns::each_block(chunks.into_iter().zip(sums).collect(), |place, (mut gz, sums)| {
        let mut work = Work::new(&back, gz.len());
        let words = gz.first().map_or(0, |row| row.len());
        for from in (0..words).step_by(2 * width) {
            let to = words.min(from + 2 * width);
            let mut part: Vec<&mut [R]> = gz.iter_mut().map(|row| &mut row[from..to]).collect();
            back.block(place * chunk + from / 2, &mut part, &mut work);
        }
        work.fold(sums, channels);
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
}

/// What a thread writes on the way, and its sums.
struct Work<R> {
    /// What is gated, and its gradient.
    u: Vec<R>,
    gu: Vec<R>,
    v: Vec<R>,
    dh: Vec<R>,
    /// Membranes of all steps.
    h: Vec<R>,
    of_gain: Vec<R>,
    of_shift: Vec<R>,
    of_scale: Vec<R>,
}

impl<R: Real> Work<R> {
    fn new(back: &Back<'_, R>, steps: usize) -> Self {
        let n = 2 * back.stage.width;
        let zeros = |needed: bool| vec![R::zero(); if needed { n } else { 0 }];
        let (affine, residual) = (back.stage.affine.is_some(), back.stage.scale.is_some());
        Self {
            u: zeros(true),
            gu: zeros(true),
            v: zeros(back.through),
            dh: zeros(back.through),
            h: vec![R::zero(); if back.through { steps * n } else { 0 }],
            of_gain: zeros(affine),
            of_shift: zeros(affine),
            of_scale: zeros(residual),
        }
    }

    /// The sums of the channels: of gains and shifts, or of the scale.
    fn fold(&self, sums: &mut [R], channels: usize) {
        sums.fill(R::zero());
        if self.of_gain.is_empty() {
            for row in self.of_scale.chunks_exact(2 * channels) {
                let pairs = row.chunks_exact(2);
                sums.iter_mut().zip(pairs).for_each(|(sum, v)| *sum += v[0] + v[1]);
            }
            return;
        }
        let halves = sums.chunks_exact_mut(2 * channels).zip([&self.of_gain, &self.of_shift]);
        for (sums, values) in halves {
            for row in values.chunks_exact(2 * channels) {
                sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += *v);
            }
        }
    }
}

impl<R: Real> Back<'_, R> {
    /// The gradient of the columns from `first` on; adds to the sums.
    fn block(&self, first: usize, gz: &mut [&mut [R]], work: &mut Work<R>) {
        let n = gz.first().map_or(0, |row| row.len());
        let stage = &self.stage;
        if self.through {
            self.membranes(first, n, gz.len(), work);
            work.dh.fill(R::zero());
        }
        for (t, gz) in gz.iter_mut().enumerate().rev() {
            let words = &self.gate[t / 32 * stage.columns + first..][..n / 2];
            let (z, g) = (stage.row(stage.z, t, first, n), stage.row(self.g, t, first, n));
            vectorised(
                #[inline(always)]
                || {
                    passed(g, (words, t % 32), &mut work.gu);
                    if let Some(scale) = stage.scale {
                        times_scale(z, scale, (words, t % 32), work);
                    }
                    if self.through {
                        stage.gated(z, &mut work.u);
                        self.through_membranes(t, g, work);
                    }
                    match &stage.affine {
                        Some([gain, _]) => through_affine(z, gain, gz, work),
                        None => gz.copy_from_slice(&work.gu[..n]),
                    }
                },
            );
        }
    }

    /// Runs the membranes of a block forward, all steps kept.
    fn membranes(&self, first: usize, n: usize, steps: usize, work: &mut Work<R>) {
        let stage = &self.stage;
        work.v.fill(R::zero());
        for t in 0..steps {
            let z = stage.row(stage.z, t, first, n);
            let h = &mut work.h[t * n..][..n];
            let (v, u) = (&mut work.v[..n], &mut work.u[..n]);
            vectorised(
                #[inline(always)]
                || {
                    stage.gated(z, u);
                    for j in 0..n {
                        let (charged, fires) = charge(v[j], u[j], stage.gain, stage.threshold);
                        h[j] = charged;
                        v[j] = when(!fires, charged);
                    }
                },
            );
        }
    }

    /// Adds what reaches u through the neurons.
    #[inline(always)]
    fn through_membranes(&self, t: usize, g: &[R], work: &mut Work<R>) {
        let n = g.len();
        let (gain, threshold) = (self.stage.gain, self.stage.threshold);
        let scale = self.stage.scale.unwrap_or(R::one());
        let (h, u) = (&work.h[t * n..][..n], &work.u[..n]);
        let (dh, gu) = (&mut work.dh[..n], &mut work.gu[..n]);
        for j in (0..n).step_by(2) {
            let dg = scale * (g[j] * u[j] + g[j + 1] * u[j + 1]);
            let s = [h[j] >= threshold, h[j + 1] >= threshold];
            for k in 0..2 {
                let h = h[j + k];
                let dv = dh[j + k] * (R::one() - gain);
                let reset = if self.detach { R::zero() } else { h * dv };
                let ds = when(!s[1 - k], dg) - reset;
                let slope = self.surrogate.derivative(h - threshold);
                dh[j + k] = ds * slope + when(!s[k], dv);
                gu[j + k] += dh[j + k] * gain;
            }
        }
    }
}

/// `gu = g G`, the gate a constant.
#[inline(always)]
fn passed<R: Real>(g: &[R], (words, t): (&[u32], usize), gu: &mut [R]) {
    let gu = &mut gu[..g.len()];
    for (i, word) in words.iter().enumerate() {
        let open = word >> t & 1 == 1;
        (gu[2 * i], gu[2 * i + 1]) = (when(open, g[2 * i]), when(open, g[2 * i + 1]));
    }
}

/// The sum for the scale, and `gu = scale gu`.
#[inline(always)]
fn times_scale<R: Real>(u: &[R], scale: R, (words, t): (&[u32], usize), work: &mut Work<R>) {
    let (gu, sums) = (&mut work.gu[..u.len()], &mut work.of_scale[..u.len()]);
    for j in 0..u.len() {
        // A closed gate contributes nothing, whatever stands behind it.
        let open = words[j / 2] >> t & 1 == 1;
        sums[j] += when(open, gu[j] * u[j]);
        gu[j] = when(open, gu[j] * scale);
    }
}

/// `gz = gain gu`, and the sums for gain and shift.
#[inline(always)]
fn through_affine<R: Real>(z: &[R], gain: &[R], gz: &mut [R], work: &mut Work<R>) {
    let n = z.len();
    let (gain, gu, gz) = (&gain[..n], &work.gu[..n], &mut gz[..n]);
    let (of_gain, of_shift) = (&mut work.of_gain[..n], &mut work.of_shift[..n]);
    for j in 0..n {
        of_gain[j] += gu[j] * z[j];
        of_shift[j] += gu[j];
        gz[j] = gain[j] * gu[j];
    }
}
