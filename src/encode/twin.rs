//! The CPU twins. Comparisons are made in f32 in both precisions: spikes are the same everywhere.

use super::delta::Params as DeltaParams;
use super::latency::Params as LatencyParams;
use crate::elementwise::each;
use crate::host::{HostArgs, Real};

pub(super) fn repeat_steps<R: Real>(args: &mut HostArgs<'_, R>) {
    let x = args.reals(0);
    args.reals_mut(1).chunks_mut(x.len().max(1)).for_each(|step| step.copy_from_slice(x));
}

pub(super) fn latency<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: LatencyParams = args.params();
    let x = args.reals(0);
    let edges = &args.reals(1)[..p.last as usize];
    let row = p.packed.row as usize;
    // A NaN is above no edge.
    let step = |v: f32| edges.partition_point(|edge| v <= edge.f32() || v.is_nan());
    let steps: Vec<Option<usize>> =
        x.iter().map(|v| (p.silent == 0 || v.f32() > p.threshold).then(|| step(v.f32()))).collect();
    each(args.words_mut(2), |w| p.packed.word(w, |e| steps[e % row] == Some(e / row)));
}

pub(super) fn delta<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: DeltaParams = args.params();
    let x = args.reals(0);
    let row = p.packed.row as usize;
    let change = |e: usize| {
        let before = match e.checked_sub(row) {
            Some(earlier) => x[earlier].f32(),
            None if p.settled == 1 => x[e].f32(),
            None => 0.0,
        };
        x[e].f32() - before
    };
    let (on, off) = (args.words_mut(1), args.words_mut(2));
    each(on, |w| p.packed.word(w, |e| change(e) >= p.threshold));
    each(off, |w| p.packed.word(w, |e| change(e) <= -p.threshold));
}
