//! `wkv_backward`.

use super::parts::{Grid, Part, Rows};
use super::wkv::{Memories, STRIP, memory_rows};
use crate::host::columns::each_block;
use crate::host::{HostArgs, vectorised};
use crate::scan::memory::EVERY;

/// What a launch reads.
struct Task<'a> {
    grid: Grid,
    k: &'a [f32],
    v: &'a [f32],
    gy: &'a [f32],
    /// Memories of every eighth step.
    saved: &'a [f32],
    /// w' and u of every column.
    constants: &'a [f32],
    /// Whether the sums hold those of later steps.
    more: bool,
}

/// What a part writes: of the gradients that go from chunk to chunk, and the sums over time, one row
/// of each chunk.
struct Outputs<'a> {
    part: Part,
    gk: Option<Rows<'a>>,
    gv: Option<Rows<'a>>,
    carry: [Option<&'a mut [f32]>; 2],
    sums: Option<[&'a mut [f32]; 2]>,
}

pub(crate) fn wkv_backward(args: &mut HostArgs<'_, f32>) {
    let grid = Grid::new(args.params());
    let [k, v, gy, saved] = ["k", "v", "gy", "saved"].map(|name| args.reals(name));
    let (saved, constants) = saved.split_at(3 * grid.steps.div_ceil(EVERY) * grid.columns);
    let (emit, given, more) = (args.flag("EMIT"), args.flag("CARRY"), args.flag("MORE"));
    let task = Task { grid, k, v, gy, saved, constants, more };
    let [gk, gv, carry, sums] = ["gk", "gv", "carry", "sums"].map(|name| args.reals_mut(name));
    let parts = grid.parts();
    let width = parts.first().map_or(1, |part| part.width);
    let cut = |to| grid.cut(emit, to, grid.start, grid.chunk).into_iter();
    let (mut gk, mut gv) = (cut(gk), cut(gv));
    if !given {
        carry.fill(0.0);
    }
    let (gp, gq) = carry.split_at_mut(carry.len() / 2);
    let (mut gp, mut gq) = (gp.chunks_mut(width), gq.chunks_mut(width));
    let (gw, gu) = sums.split_at_mut(sums.len() / 2);
    let mut sums = gw.chunks_mut(width).zip(gu.chunks_mut(width));
    let outputs = parts.into_iter().map(|part| Outputs {
        part,
        gk: gk.next().flatten(),
        gv: gv.next().flatten(),
        carry: [gp.next(), gq.next()],
        sums: sums.next().map(|(gw, gu)| [gw, gu]),
    });
    each_block(outputs.collect(), |_, mut outputs| {
        let part = outputs.part;
        let mut block = Block::new();
        for offset in (0..part.width).step_by(STRIP) {
            let n = STRIP.min(part.width - offset);
            backward(&task, &mut outputs, offset, n, &mut block);
        }
    });
}

/// A row of a strip.
type Row = [f32; STRIP];

/// The steps of a block, computed again: the memory before each, its weights, its output.
struct Block {
    p: [Row; EVERY],
    q: [Row; EVERY],
    y: [Row; EVERY],
    /// Of the past and of the step, over the denominator of y.
    out: [[Row; EVERY]; 2],
    /// Those of the next memory.
    into: [[Row; EVERY]; 2],
}

impl Block {
    fn new() -> Box<Self> {
        let rows = [[0.0; STRIP]; EVERY];
        Box::new(Self { p: rows, q: rows, y: rows, out: [rows; 2], into: [rows; 2] })
    }

    /// Takes step `j` of the block.
    #[inline(always)]
    fn step(&mut self, j: usize, m: &mut Memories, k: &[f32], v: &[f32]) {
        let n = k.len();
        let v = &v[..n];
        let (p, q, y) = (&mut self.p[j][..n], &mut self.q[j][..n], &mut self.y[j][..n]);
        let [out_past, out_now] = &mut self.out;
        let (out_past, out_now) = (&mut out_past[j][..n], &mut out_now[j][..n]);
        for i in 0..n {
            (p[i], q[i]) = (m.p[i], m.q[i]);
            let (past, now) = m.out(i, k[i]);
            let scale = (past * m.q[i] + now).recip();
            (out_past[i], out_now[i]) = (past * scale, now * scale);
            y[i] = out_past[i] * m.p[i] + out_now[i] * v[i];
        }
        let [in_past, in_now] = &mut self.into;
        let (in_past, in_now) = (&mut in_past[j][..n], &mut in_now[j][..n]);
        for i in 0..n {
            (in_past[i], in_now[i]) = m.step(i, k[i], v[i]);
        }
    }
}

/// What goes from step to step, backwards: gp, gq, and the sums gw' and gu.
struct Carry {
    gp: Row,
    gq: Row,
    decay: Row,
    bonus: Row,
}

impl Carry {
    /// Step `j` of the block; writes gk and gv.
    #[inline(always)]
    fn emit(&mut self, s: &Block, j: usize, v: &[f32], gy: &[f32], gk: &mut [f32], gv: &mut [f32]) {
        let n = v.len();
        let (gy, gk, gv) = (&gy[..n], &mut gk[..n], &mut gv[..n]);
        for i in 0..n {
            let (gp, gq, now) = (self.gp[i], self.gq[i], s.into[1][j][i]);
            let direct = s.out[1][j][i] * gy[i];
            let moved = direct * (v[i] - s.y[j][i]);
            gk[i] = moved + now * (v[i] * gp + gq);
            gv[i] = direct + now * gp;
            self.bonus[i] += moved;
            let lost = s.into[0][j][i] * (s.p[j][i] * gp + s.q[j][i] * gq);
            self.decay[i] += if s.q[j][i] == 0.0 { 0.0 } else { lost };
        }
    }

    /// Goes to the memory before step `j`.
    #[inline(always)]
    fn retreat(&mut self, s: &Block, j: usize, gy: &[f32]) {
        for (i, gy) in gy.iter().enumerate() {
            let through = s.out[0][j][i] * *gy;
            self.gp[i] = s.into[0][j][i] * self.gp[i] + through;
            self.gq[i] = s.into[0][j][i] * self.gq[i] - through * s.y[j][i];
        }
    }
}

fn backward(task: &Task<'_>, to: &mut Outputs<'_>, offset: usize, n: usize, block: &mut Block) {
    let (part, columns) = (to.part, task.grid.columns);
    let first = part.first + offset;
    let mut m =
        Memories::new(n, |i| (task.constants[first + i], task.constants[columns + first + i]));
    let zeros = [0.0; STRIP];
    let mut carry = Carry { gp: zeros, gq: zeros, decay: zeros, bonus: zeros };
    if let [Some(gp), Some(gq)] = &to.carry {
        carry.gp[..n].copy_from_slice(&gp[offset..offset + n]);
        carry.gq[..n].copy_from_slice(&gq[offset..offset + n]);
    }
    let row = |matrix: &'_ [f32], t: usize| {
        let at = t * columns + first;
        at..at + n.min(matrix.len())
    };
    vectorised(
        #[inline(always)]
        || {
            let blocks = (part.start..part.end).step_by(EVERY);
            for t in blocks.rev() {
                m.load(memory_rows(task.saved, t / EVERY * 3, columns, first, n));
                let steps = EVERY.min(part.end - t);
                for j in 0..steps {
                    let at = row(task.k, t + j);
                    block.step(j, &mut m, &task.k[at.clone()], &task.v[at]);
                }
                for j in (0..steps).rev() {
                    let at = row(task.k, t + j);
                    let gy = &task.gy[at.clone()];
                    if let (Some(gk), Some(gv)) = (&mut to.gk, &mut to.gv) {
                        let step = t + j - part.start;
                        let gk = &mut gk.row(step)[offset..offset + n];
                        let gv = &mut gv.row(step)[offset..offset + n];
                        carry.emit(block, j, &task.v[at], gy, gk, gv);
                    }
                    carry.retreat(block, j, gy);
                }
            }
        },
    );
    if let Some([decay, bonus]) = &mut to.sums {
        for i in 0..n {
            let [decay, bonus] = [&mut decay[offset + i], &mut bonus[offset + i]];
            let before = if task.more { [*decay, *bonus] } else { [0.0; 2] };
            *decay = before[0] + m.decay[i] * carry.decay[i];
            *bonus = before[1] + carry.bonus[i];
        }
    }
    if let [Some(gp), Some(gq)] = &mut to.carry {
        gp[offset..offset + n].copy_from_slice(&carry.gp[..n]);
        gq[offset..offset + n].copy_from_slice(&carry.gq[..n]);
    }
}
