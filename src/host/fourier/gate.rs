//! The complex LIF gate: blocks of columns, their states in the first cache.

use crate::fourier::gate_kernels::GateParams;
use crate::host::{HostArgs, columns, vectorised};
use crate::lif::Surrogate;

/// Columns that are worked on at a time: what they carry from step to step stays in the first cache.
const BLOCK: usize = 1 << 9;

/// What a gate and its surroundings are made of, real and imaginary parts next to each other.
struct Stage<'a> {
    z: &'a [f32],
    /// Gains and shifts of a block, those of the channels again and again; nothing without.
    affine: Option<[Vec<f32>; 2]>,
    scale: Option<f32>,
    columns: usize,
    /// Columns of a block: whole rows of channels.
    width: usize,
    gain: f32,
    threshold: f32,
}

impl<'a> Stage<'a> {
    fn new(args: &HostArgs<'a, f32>, p: &GateParams) -> Self {
        let (channels, columns) = (p.channels as usize, p.columns as usize);
        let width = BLOCK.next_multiple_of(channels).min(columns);
        let repeated = |part: usize| -> Vec<f32> {
            let row = &args.reals("affine")[2 * part * channels..][..2 * channels];
            row.iter().copied().cycle().take(2 * width).collect()
        };
        Self {
            z: args.reals("z"),
            affine: args.flag("AFFINE").then(|| [repeated(0), repeated(1)]),
            scale: args.flag("RESIDUAL").then(|| args.reals("scale")[0]),
            columns,
            width,
            gain: p.gain,
            threshold: p.threshold,
        }
    }

    /// Step t of `words` words of a tensor, the columns from `first` on.
    fn row(&self, of: &'a [f32], t: usize, first: usize, words: usize) -> &'a [f32] {
        &of[2 * (t * self.columns + first)..][..words]
    }

    /// What is gated.
    #[inline(always)]
    fn gated(&self, z: &[f32], u: &mut [f32]) {
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
fn charge(v: f32, u: f32, gain: f32, threshold: f32) -> (f32, bool) {
    let h = v + (u - v) * gain;
    (h, h >= threshold)
}

/// `value` if `open`, else 0.
#[inline(always)]
fn when(open: bool, value: f32) -> f32 {
    if open { value } else { 0.0 }
}

/// One step of a block: membranes v charged by u; y gets what passes, words the gate's bit t.
#[inline(always)]
fn step(
    stage: &Stage<'_>,
    u: &[f32],
    v: &mut [f32],
    y: &mut [f32],
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

pub(crate) fn complex_gate(args: &mut HostArgs<'_, f32>) {
    let p: GateParams = args.params();
    let stage = Stage::new(args, &p);
    let base = args.reals("base");
    let (y, gate) = (args.reals_mut("y"), args.words_mut("gate"));
    let (columns, width) = (stage.columns, stage.width);
    let blocks = columns::cut_mut(y, 2 * columns, 2 * width).into_iter();
    let blocks: Vec<_> = blocks.zip(columns::cut_mut(gate, columns, width)).collect();
    columns::each_block(blocks, |block, (mut y, mut gate)| {
        let first = block * width;
        let n = y.first().map_or(0, |row| row.len());
        let [mut v, mut u] = [(); 2].map(|()| vec![0.0; n]);
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

pub(crate) fn complex_gate_backward(args: &mut HostArgs<'_, f32>) {
    let p: GateParams = args.params();
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
            let mut part: Vec<&mut [f32]> = gz.iter_mut().map(|row| &mut row[from..to]).collect();
            back.block(place * chunk + from / 2, &mut part, &mut work);
        }
        work.fold(sums, channels);
    });
}

/// What the gradients of blocks are made from.
struct Back<'a> {
    stage: Stage<'a>,
    gate: &'a [u32],
    g: &'a [f32],
    through: bool,
    detach: bool,
    surrogate: Surrogate,
}

/// What a thread writes on the way, and its sums.
struct Work {
    /// What is gated, and its gradient.
    u: Vec<f32>,
    gu: Vec<f32>,
    v: Vec<f32>,
    dh: Vec<f32>,
    /// Membranes of all steps.
    h: Vec<f32>,
    of_gain: Vec<f32>,
    of_shift: Vec<f32>,
    of_scale: Vec<f32>,
}

impl Work {
    fn new(back: &Back<'_>, steps: usize) -> Self {
        let n = 2 * back.stage.width;
        let zeros = |needed: bool| vec![0.0; if needed { n } else { 0 }];
        let (affine, residual) = (back.stage.affine.is_some(), back.stage.scale.is_some());
        Self {
            u: zeros(true),
            gu: zeros(true),
            v: zeros(back.through),
            dh: zeros(back.through),
            h: vec![0.0; if back.through { steps * n } else { 0 }],
            of_gain: zeros(affine),
            of_shift: zeros(affine),
            of_scale: zeros(residual),
        }
    }

    /// The sums of the channels: of gains and shifts, or of the scale.
    fn fold(&self, sums: &mut [f32], channels: usize) {
        sums.fill(0.0);
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

impl Back<'_> {
    /// The gradient of the columns from `first` on; adds to the sums.
    fn block(&self, first: usize, gz: &mut [&mut [f32]], work: &mut Work) {
        let n = gz.first().map_or(0, |row| row.len());
        let stage = &self.stage;
        if self.through {
            self.membranes(first, n, gz.len(), work);
            work.dh.fill(0.0);
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
    fn membranes(&self, first: usize, n: usize, steps: usize, work: &mut Work) {
        let stage = &self.stage;
        work.v.fill(0.0);
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
    fn through_membranes(&self, t: usize, g: &[f32], work: &mut Work) {
        let n = g.len();
        let (gain, threshold) = (self.stage.gain, self.stage.threshold);
        let scale = self.stage.scale.unwrap_or(1.0);
        let (h, u) = (&work.h[t * n..][..n], &work.u[..n]);
        let (dh, gu) = (&mut work.dh[..n], &mut work.gu[..n]);
        for j in (0..n).step_by(2) {
            let dg = scale * (g[j] * u[j] + g[j + 1] * u[j + 1]);
            let s = [h[j] >= threshold, h[j + 1] >= threshold];
            for k in 0..2 {
                let h = h[j + k];
                let dv = dh[j + k] * (1.0 - gain);
                let reset = if self.detach { 0.0 } else { h * dv };
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
fn passed(g: &[f32], (words, t): (&[u32], usize), gu: &mut [f32]) {
    let gu = &mut gu[..g.len()];
    for (i, word) in words.iter().enumerate() {
        let open = word >> t & 1 == 1;
        (gu[2 * i], gu[2 * i + 1]) = (when(open, g[2 * i]), when(open, g[2 * i + 1]));
    }
}

/// The sum for the scale, and `gu = scale gu`.
#[inline(always)]
fn times_scale(u: &[f32], scale: f32, (words, t): (&[u32], usize), work: &mut Work) {
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
fn through_affine(z: &[f32], gain: &[f32], gz: &mut [f32], work: &mut Work) {
    let n = z.len();
    let (gain, gu, gz) = (&gain[..n], &work.gu[..n], &mut gz[..n]);
    let (of_gain, of_shift) = (&mut work.of_gain[..n], &mut work.of_shift[..n]);
    for j in 0..n {
        of_gain[j] += gu[j] * z[j];
        of_shift[j] += gu[j];
        gz[j] = gain[j] * gu[j];
    }
}
