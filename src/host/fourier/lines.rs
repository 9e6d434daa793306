//! Transforms of whole lines.

use super::line::{Line, SERIAL, Scratch};
use super::source::Source;
use super::strided_axis;
use crate::fourier::spectrum::LineParams;
use crate::host::HostArgs;
use crate::host::parallel::*;

/// Words of a task.
const TASK: usize = 1 << 15;

pub(super) fn transform(p: &LineParams, load: u32, store: u32, args: &mut HostArgs<'_, f32>) {
    let line = Line::plan(p, load, store);
    let (x, y) = (Source::of(p, args), args.reals_mut("y"));
    if p.load_inner == 1 {
        contiguous(p, &line, x, y);
    } else {
        strided_axis::transform(p, &line, x, y);
    }
}

/// Lines whose points follow each other.
fn contiguous(p: &LineParams, line: &Line, x: Source<'_>, y: &mut [f32]) {
    let [read, written] = line.words();
    let (read, written) = (read * p.load_extent as usize, written * p.store_extent as usize);
    let each = line.at_once(p);
    let run = |scratch: &mut Scratch, (first, y): (usize, &mut [f32])| {
        for (l, y) in y.chunks_mut(each * written).enumerate() {
            line.run(p, (x, (first + l * each) * read), y, scratch);
        }
    };
    let lines = TASK.div_ceil(read + written);
    if y.len() < SERIAL {
        return run(&mut line.scratch(p), (0, y));
    }
    let tasks = y.par_chunks_mut(lines * written).enumerate();
    tasks.for_each_init(|| line.scratch(p), |scratch, (task, y)| run(scratch, (task * lines, y)));
}
