//! The update block by block: first the directions, then the step.

use super::parallel::*;
use super::{HostArgs, keep_nan, limited, to_middle, vectorised};
use crate::elementwise::UpdateConstants;
use crate::optim::{CLIPPED, NESTEROV, SIGN, UpdateParams, WRITE};
use crate::random::threefry_lanes;

/// Elements of a block: its directions stay in the first cache.
const BLOCK: usize = 1024;

/// What all blocks of a launch read.
struct Launch<'a> {
    p: UpdateParams,
    numbers: &'a [f32],
    factor: f32,
    masked: bool,
}

/// A block of the tensors; those that a rule has not are empty.
struct Block<'a> {
    first: usize,
    x: &'a mut [f32],
    g: &'a [f32],
    moments: [&'a mut [f32]; 3],
}

pub(crate) fn update(args: &mut HostArgs<'_, f32>) {
    let p: UpdateParams = args.params();
    let (x, g, clip) = (args.reals_mut("x"), args.reals("g"), args.reals("clip"));
    // A direction may be one of many in its tensor.
    let x = &mut x[p.first as usize * (g.len() / p.items as usize)..][..g.len()];
    if clip[2] != 0.0 {
        if p.mode & WRITE != 0 {
            x.fill(0.0);
        }
        return;
    }
    let numbers = &args.reals("numbers")[p.numbers as usize..];
    let factor = if p.mode & CLIPPED != 0 { clip[0] } else { 1.0 };
    let masked = args.when("MASK");
    let launch = Launch { p, numbers, factor, masked };
    let mut moment = |name, condition| args.when(condition).then(|| args.reals_mut(name));
    let moments = [moment("m", "FIRST"), moment("v", "SECOND"), moment("n", "SLOW")];
    let [mut m, mut v, mut n] = moments.map(|m| m.map(|m| m.chunks_mut(BLOCK)));
    let blocks = x.chunks_mut(BLOCK).zip(g.chunks(BLOCK)).enumerate();
    let blocks: Vec<Block<'_>> = blocks
        .map(|(i, (x, g))| {
            let mut next = || [&mut m, &mut v, &mut n].map(part);
            Block { first: i * BLOCK, x, g, moments: next() }
        })
        .collect();
    blocks.into_par_iter().at_least(8).for_each(|block| launch.run(block));
}

/// The next block of a moment that is there.
fn part<'a>(chunks: &mut Option<std::slice::ChunksMut<'a, f32>>) -> &'a mut [f32] {
    chunks.as_mut().and_then(Iterator::next).unwrap_or_default()
}

/// `sqrt(beta2 v^2 + rest2 h^2)`, as a small change of v: no error of the root adds up over the steps.
#[inline(always)]
fn root_mean(v: f32, h: f32, [beta2, rest2]: [f32; 2]) -> f32 {
    let size = if v > h.abs() { v } else { h.abs() };
    let scale = to_middle(size);
    let (a, b) = (v * scale, h * scale);
    let root = (beta2 * a * a + rest2 * b * b).sqrt();
    // Zero where both are zero, not 0 / 0.
    let sum = a + root;
    let sum = if sum < 1e-30 { 1e-30 } else { sum };
    let next = v + rest2 * (b - a) * (b + a) / sum / scale;
    // Infinite where either is, not the difference of the two.
    keep_nan(v, keep_nan(h, if size > f32::MAX { size } else { next }))
}

impl Launch<'_> {
    fn on(&self, flag: u32) -> bool {
        self.p.mode & flag != 0
    }

    fn run(&self, block: Block<'_>) {
        let Block { first, x, g, moments: [m, v, n] } = block;
        let mut directions = [0.0; BLOCK];
        let u = &mut directions[..x.len()];
        u.iter_mut().zip(g).for_each(|(u, g)| *u = (*g * self.factor) * self.factor);
        match [&m, &v, &n].map(|moment| moment.is_empty()) {
            [true, ..] => {}
            [_, true, _] => self.momentum(u, m),
            [.., true] => self.adam(u, m, v, None),
            _ => self.adam(u, m, v, Some(n)),
        }
        let mut resting = [false; BLOCK];
        if self.masked {
            let resting = &mut resting[..u.len()];
            self.find_resting(first, resting);
            // Chosen, not branched on: which elements rest cannot be predicted.
            for ((m, v), rests) in m.iter_mut().zip(v).zip(&*resting) {
                *m = if *rests { 0.0 } else { *m };
                *v = if *rests { 0.0 } else { *v };
            }
        }
        if self.on(WRITE) {
            let shrink = self.numbers[9];
            x.iter_mut().zip(u).for_each(|(x, u)| *x = shrink * *u);
        } else if self.masked {
            let mut kept = [0.0; BLOCK];
            kept[..x.len()].copy_from_slice(x);
            self.step(x, u);
            for ((x, kept), rests) in x.iter_mut().zip(kept).zip(resting) {
                *x = if rests { kept } else { *x };
            }
        } else {
            self.step(x, u);
        }
    }

    /// Which elements from `first`, an even one, the mask lets rest.
    fn find_resting(&self, first: usize, resting: &mut [bool]) {
        const PAIRS: usize = 16;
        let draw = self.numbers[10] as u32;
        let (key, threshold) = (self.p.key, self.p.threshold);
        vectorised(
            #[inline(always)]
            || {
                for (i, resting) in resting.chunks_mut(2 * PAIRS).enumerate() {
                    let start = (first / 2 + i * PAIRS) as u32;
                    let [even, odd] = threefry_lanes::<PAIRS>(key, start, draw);
                    let mut rests = [[false; 2]; PAIRS];
                    for ((rests, even), odd) in rests.iter_mut().zip(even).zip(odd) {
                        *rests = [even >= threshold, odd >= threshold];
                    }
                    resting.copy_from_slice(&rests.as_flattened()[..resting.len()]);
                }
            },
        );
    }

    /// The directions in place of the gradients.
    fn momentum(&self, u: &mut [f32], m: &mut [f32]) {
        let (mu, rest) = (self.p.beta1, self.p.rest1);
        let nesterov = self.on(NESTEROV);
        // A subnormal momentum is 0: rounding would keep it from ever getting there.
        let least = f32::MIN_POSITIVE;
        for (u, m) in u.iter_mut().zip(m) {
            let h = rest * *u;
            let next = mu * *m + h;
            *m = if next.abs() < least { 0.0 } else { next };
            *u = if nesterov { mu * *m + h } else { *m };
        }
        if self.on(SIGN) {
            for u in u {
                let sign = |on: bool| if on { 1.0 } else { 0.0 };
                *u = keep_nan(*u, sign(*u > 0.0) - sign(*u < 0.0));
            }
        }
    }

    fn adam(&self, u: &mut [f32], m: &mut [f32], v: &mut [f32], slow: Option<&mut [f32]>) {
        let p = &self.p;
        let (beta1, rest1) = (p.beta1, p.rest1);
        let (beta2, rest2) = (p.beta2, p.rest2);
        let number = |i: usize| self.numbers[i];
        let (c1, c2, eps, theta) = (number(1), number(2), number(8), number(7));
        if theta > 0.0 {
            for (u, v) in u.iter_mut().zip(&*v) {
                let most = theta.sqrt() * *v;
                *u = limited(*u, -most, most);
            }
        }
        let mut slow_part = [0.0; BLOCK];
        if let Some(n) = slow {
            let (mix, beta3, rest3) = (number(4), number(5), number(6));
            for ((part, n), u) in slow_part.iter_mut().zip(n).zip(&*u) {
                *n = beta3 * *n + rest3 * *u;
                *part = mix * *n;
            }
        }
        for (((u, m), v), slow) in u.iter_mut().zip(m).zip(v).zip(&slow_part) {
            let h = *u;
            *m = beta1 * *m + rest1 * h;
            *v = root_mean(*v, h, [beta2, rest2]);
            *u = (c1 * *m + *slow) / (c2 * *v + eps);
        }
    }

    fn step(&self, x: &mut [f32], u: &[f32]) {
        let UpdateParams { mode, decay, scale, gain, low, high, .. } = self.p;
        let constants = UpdateConstants { mode, decay, scale, gain, low, high };
        let [decay, gain] = constants.rates(self.numbers);
        UpdateConstants::decayed(x, decay);
        x.iter_mut().zip(u).for_each(|(x, u)| *x -= gain * *u);
        constants.constrain(x);
    }
}
