//! Spike-gated attention by position activity and length, beside dense attention on the same device:
//! the same kernels with every position open and the window as long as the sequence ("streamed"); and
//! this crate's matrix products and softmax with the scores in memory, causal alone ("dense") and with
//! gates and window as a mask ("dense-masked").

use crate::harness::{Suite, median, milliseconds};
use crate::input::xorshift;
use spikegrad::attention::SpikeAttention;
use spikegrad::layout::concat;
use spikegrad::{Device, Result, Tape, Tensor, Var};

const HEADS: usize = 4;
const HEAD: usize = 64;
const WINDOW: usize = 256;
const ANCHORS: usize = 4;
/// Shares of positions that are open.
const ACTIVITY: [f64; 5] = [1.0, 0.5, 0.25, 0.1, 0.05];
/// Dense scores are computed up to this length: 64 MiB a head.
const DENSE: usize = 4096;

fn lengths(quick: bool) -> &'static [usize] {
    if quick { &[512] } else { &[512, 1024, 2048, 4096, 8192] }
}

/// Queries, keys and values `[S, 1, D]`, and which positions are open.
struct Problem {
    steps: usize,
    qkv: [Tensor; 3],
    open: Vec<bool>,
}

impl Problem {
    fn new(device: &Device, steps: usize, activity: f64) -> Result<Self> {
        let mut uniform = xorshift(7);
        let shape = [steps, 1, HEADS * HEAD];
        let mut draw = || {
            let values: Vec<f32> =
                (0..steps * HEADS * HEAD).map(|_| 2.0 * uniform() - 1.0).collect();
            Tensor::from_slice(device, &values, shape)
        };
        let qkv = [draw()?, draw()?, draw()?];
        let mut uniform = xorshift(8);
        let open = (0..steps).map(|_| f64::from(uniform()) < activity).collect();
        Ok(Self { steps, qkv, open })
    }

    fn device(&self) -> &Device {
        self.qkv[0].device()
    }

    /// Whether query `i` sees key `j`, both open.
    fn near(i: usize, j: usize) -> bool {
        j <= i && (i - j <= WINDOW || j < ANCHORS)
    }

    /// Pairs that are computed, of one head.
    fn pairs(&self) -> f64 {
        let open: Vec<usize> = (0..self.steps).filter(|i| self.open[*i]).collect();
        let seen = |i: &usize| open.iter().filter(|j| Self::near(*i, **j)).count();
        open.iter().map(seen).sum::<usize>() as f64
    }

    fn gate(&self) -> Result<Tensor> {
        let open: Vec<u32> = self.open.iter().map(|open| u32::from(*open)).collect();
        Tensor::from_slice(self.device(), &open, [self.steps, 1])
    }

    /// What is added to the scores `[S, S]` of dense attention.
    fn mask(&self, causal_only: bool) -> Result<Tensor> {
        let steps = self.steps;
        let seen = |i: usize, j: usize| {
            if causal_only { j <= i } else { self.open[i] && self.open[j] && Self::near(i, j) }
        };
        let value = |at: usize| if seen(at / steps, at % steps) { 0.0 } else { -1e30 };
        let mask: Vec<f32> = (0..steps * steps).map(value).collect();
        Tensor::from_slice(self.device(), &mask, [steps, steps])
    }

    fn leaves(&self, tape: &Tape) -> [Var; 3] {
        self.qkv.each_ref().map(|tensor| tape.leaf(tensor))
    }
}

/// The scores of all pairs in memory, head by head: one head's are as large as some devices bind.
fn dense(qkv: &[Var; 3], mask: &Tensor) -> Result<Var> {
    let steps = mask.shape().dims()[0];
    let head = |h: usize| {
        let part = |x: &Var| x.narrow(2, h * HEAD..(h + 1) * HEAD)?.reshape([steps, HEAD]);
        let [q, k, v] = [part(&qkv[0])?, part(&qkv[1])?, part(&qkv[2])?];
        let scores = q.matmul_nt(&k)?.mul_scalar((HEAD as f32).sqrt().recip())?;
        let shares = scores.add(&scores.tape().constant(mask))?.softmax(1)?;
        shares.matmul(&v)
    };
    let heads = (0..HEADS).map(head).collect::<Result<Vec<_>>>()?;
    concat(&heads.iter().collect::<Vec<_>>(), 1)?.reshape([steps, 1, HEADS * HEAD])
}

pub fn measure(suite: &mut Suite) {
    for &steps in lengths(suite.options.quick) {
        let label = format!("attention/gated S={steps}");
        if suite.wants(&label)
            && let Err(e) = sweep(suite, steps)
        {
            suite.fail(&label, &e);
        }
    }
}

fn sweep(suite: &mut Suite, steps: usize) -> Result<()> {
    let device = suite.device.clone();
    let mut masked = None;
    if steps <= DENSE {
        let problem = Problem::new(&device, steps, 0.1)?;
        let whole = SpikeAttention::new(HEADS).window(steps).anchors(0).rotary(None);
        let all = Tensor::from_slice(&device, &vec![1u32; steps], [steps, 1])?;
        let times =
            both(suite, &problem, &|[q, k, v]| whole.attend_gated(q, k, v, &all, Some(&all)))?;
        keep(suite, steps, "dense, streamed", times);
        let kinds = [("dense", true), ("dense-masked", false)];
        for (kind, causal_only) in kinds {
            let mask = problem.mask(causal_only)?;
            let times = both(suite, &problem, &|qkv| dense(qkv, &mask))?;
            keep(suite, steps, kind, times);
            masked = Some(times);
        }
    }
    for activity in ACTIVITY {
        let problem = Problem::new(&device, steps, activity)?;
        let attention = SpikeAttention::new(HEADS).window(WINDOW).anchors(ANCHORS).rotary(None);
        let gate = problem.gate()?;
        let times = both(suite, &problem, &|[q, k, v]| {
            attention.attend_gated(q, k, v, &gate, Some(&gate))
        })?;
        let kind = format!("gated, activity {activity}");
        keep(suite, steps, &kind, times);
        let pairs = problem.pairs() * HEADS as f64;
        let name = |what: &str| format!("attention S={steps}, activity {activity}: {what}");
        suite.figure(name("pairs"), pairs, "pairs");
        suite.figure(name("forward, a pair"), times[0] * 1e6 / pairs, "ns");
        suite.figure(name("forward and backward, a pair"), times[1] * 1e6 / pairs, "ns");
        if let Some(masked) = masked {
            suite.figure(name("dense-masked forward takes"), masked[0] / times[0], "times");
            let ratio = masked[1] / times[1];
            suite.figure(name("dense-masked forward and backward takes"), ratio, "times");
        }
    }
    Ok(())
}

/// Milliseconds of forward alone, and of forward and backward.
fn both(
    suite: &Suite,
    problem: &Problem,
    attend: &dyn Fn(&[Var; 3]) -> Result<Var>,
) -> Result<[f64; 2]> {
    let device = problem.device();
    let forward = || {
        let tape = Tape::off();
        let y = attend(&problem.leaves(&tape))?;
        device.wait()?;
        Ok(y)
    };
    let backward = || {
        let tape = Tape::new();
        let leaves = problem.leaves(&tape);
        let y = attend(&leaves)?;
        let gradients = y.backward_from(&problem.qkv[0])?;
        device.wait()?;
        Ok(gradients)
    };
    let effort = suite.effort();
    let forward = effort.repeat(|| Ok(milliseconds(forward)?.0))?;
    let backward = effort.repeat(|| Ok(milliseconds(backward)?.0))?;
    Ok([median(&forward), median(&backward)])
}

fn keep(suite: &mut Suite, steps: usize, kind: &str, [forward, backward]: [f64; 2]) {
    suite.figure(format!("attention S={steps}, {kind}: forward"), forward, "ms");
    suite.figure(format!("attention S={steps}, {kind}: forward and backward"), backward, "ms");
    suite.point("attention", kind, steps as f64, backward);
}
