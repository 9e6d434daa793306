//! The backward launch of a recurrence.

use super::decay_carry;
use super::params::{DecayParams, LOGIT, Share, emits};
use super::plan::WALKS;
use super::rate::{Scan, of_channels};
use crate::host::{self, HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::tape::Backward;
use crate::{DType, Device, Result, Shape, Tensor, kernel, reduce};

kernel! {
    /// `a = gh[t] + lam a`, from the last step to the first
    pub(super) static DECAY_BACKWARD = "scan/decay_backward";
    params = DecayParams;
    oracle = decay_backward;
    host = host::scan::decay_backward;
    variants = WALKS;
    cost = cost;
    iterations = |args| args.params::<DecayParams>().share.iterations(args, 37, 8);
}

/// The upstream gradient and that of the input; where the decay is learned, the input and every
/// eighth row of the output.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<DecayParams>().share.fraction();
    let words = |name| args.words_of(name) as f64;
    let moved = (words("gh") + words("gu") + words("u") + words("h") / 8.0) * share;
    let flops = if args.constant("LEARN") != 0 { 11.0 } else { 4.0 };
    Cost {
        bytes: (moved + words("carry") + words("sums")) * 4.0,
        flops: words("gu") * share * flops,
    }
}

fn decay_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let share = args.params::<DecayParams>().share;
    let (columns, rates) = (share.columns as usize, of_channels(args));
    let (tied, given, more) = (args.flag("TIED"), args.flag("CARRY"), args.flag("MORE"));
    let (state, emit, learn) = (args.flag("STATE"), args.flag("EMIT"), args.flag("LEARN"));
    let (upstream, logit) = (args.flag("UPSTREAM"), args.constant("FORM") == LOGIT);
    let [gh, u, h, initial] = ["gh", "u", "h", "initial"].map(|name| args.reals(name));
    let [gu, carry, sums] = ["gu", "carry", "sums"].map(|name| args.reals_mut(name));
    for (chunk, c, steps) in share.walks() {
        let (at, rate) = (chunk * columns + c, &rates[c % rates.len()]);
        let mut through = if given { carry[at] } else { R::zero() };
        let mut sum = R::zero();
        for i in steps.rev().map(|t| t * columns + c) {
            let a = through + if upstream { gh[i] } else { R::zero() };
            through = rate.decayed(a);
            if emit {
                gu[i] = rate.gain(tied) * a;
            }
            if emit && learn {
                let before = match i.checked_sub(columns) {
                    Some(before) => h[before],
                    None if state => initial[i],
                    None => R::zero(),
                };
                sum += a * if tied { before - u[i] } else { before };
            }
        }
        carry[at] = through;
        if emit && learn {
            let slope = if logit { rate.lam * rate.leak } else { R::one() };
            let before = if more { sums[at] } else { R::zero() };
            sums[at] = sum * slope + before;
        }
    }
}

/// The inputs of the node.
pub(super) const U: usize = 0;
pub(super) const RATE: usize = 1;
pub(super) const INITIAL: usize = 2;

/// What backward needs.
pub(super) struct Saved {
    pub(super) scan: Scan,
    /// Input and output, where the decay is learned.
    pub(super) history: Option<(Tensor, Tensor)>,
    /// The state before the first step, likewise.
    pub(super) initial: Option<Tensor>,
}

/// What a launch writes.
struct Outputs<'a> {
    /// With the sums, where it is no search for what goes from chunk to chunk.
    gu: Option<&'a Tensor>,
    /// Where the decay is learned.
    sums: Option<&'a Tensor>,
    carry: &'a Tensor,
    /// Whether `carry` holds anything.
    given: bool,
    /// Whether `sums` does.
    more: bool,
}

impl Saved {
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let Some(some) = bw.upstream(0).or(bw.upstream(1)) else { return Ok(()) };
        let device = some.device().clone();
        let cut = &self.scan.cut;
        let shape = match bw.upstream(0) {
            Some(gh) => *gh.shape(),
            None => with_steps(cut.steps, some.shape())?,
        };
        let rate = self.scan.rate.as_ref();
        let rate = rate.filter(|_| bw.needs(RATE) && self.history.is_some());
        let gu = Tensor::empty(&device, shape, DType::F32)?;
        let sums = match rate {
            Some(_) => Some(Tensor::empty(&device, [cut.chunks, cut.columns], DType::F32)?),
            None => None,
        };
        let carry = self.carry(bw, &device)?;
        let given = cut.is_chunked() || bw.upstream(1).is_some();
        for (i, share) in cut.shares().into_iter().rev().enumerate() {
            let (given, more) = (given || i > 0, i > 0);
            let (gu, sums) = (Some(&gu), sums.as_ref());
            self.walk(bw, share, Outputs { gu, sums, carry: &carry, given, more })?;
        }
        bw.give(U, gu);
        if bw.needs(INITIAL) {
            bw.give(INITIAL, self.first_row(&carry, &shape)?);
        }
        if let (Some(rate), Some(sums)) = (rate, sums) {
            let rows = sums.count() / cut.channels;
            let heads = rate.count();
            let sums = sums.reshape([rows, heads, cut.channels / heads])?;
            bw.give(RATE, reduce::sum(&sums, &[0, 2], false)?.reshape(rate.shape())?);
        }
        Ok(())
    }

    /// The gradient that each chunk begins with at its end.
    fn carry(&self, bw: &Backward<'_>, device: &Device) -> Result<Tensor> {
        let cut = &self.scan.cut;
        let of_last = bw.upstream(1);
        if !cut.is_chunked() {
            return match of_last {
                Some(last) => last.duplicate(),
                None => Tensor::empty(device, [1, cut.columns], DType::F32),
            };
        }
        let carry = Tensor::empty(device, [cut.chunks, cut.columns], DType::F32)?;
        if bw.upstream(0).is_some() {
            let (given, more) = (false, false);
            let to = Outputs { gu: None, sums: None, carry: &carry, given, more };
            self.walk(bw, cut.whole(), to)?;
        } else {
            carry.clear()?;
        }
        decay_carry::join(&self.scan, of_last, &carry, true)?;
        Ok(carry)
    }

    /// The gradient of the state before the first step: what the first chunk left.
    fn first_row(&self, carry: &Tensor, shape: &Shape) -> Result<Tensor> {
        let cut = &self.scan.cut;
        let carry = carry.reshape([cut.chunks, cut.columns])?;
        let row = crate::layout::slice(&carry, &[0..1, 0..cut.columns])?;
        row.reshape(Shape::new(&shape.dims()[1..])?)
    }

    fn walk(&self, bw: &Backward<'_>, share: Share, to: Outputs<'_>) -> Result<()> {
        let scan = &self.scan;
        let gh = bw.upstream(0);
        let history = self.history.as_ref().filter(|_| to.sums.is_some());
        let initial = self.initial.as_ref().filter(|_| to.sums.is_some());
        let launch = scan.prepare(scan.cut.walk(to.carry.device(), &DECAY_BACKWARD), share);
        launch
            .constant("TIED", scan.tied)
            .constant("STATE", initial.is_some())
            .constant("CARRY", to.given)
            .constant("UPSTREAM", gh.is_some())
            .constant("LEARN", to.sums.is_some())
            .constant("MORE", to.more)
            .constant("EMIT", to.gu.is_some())
            .bind_if("gh", gh)
            .bind_if("u", history.map(|(u, _)| u))
            .bind_if("h", history.map(|(_, h)| h))
            .bind_if("initial", initial)
            .bind_if("gu", to.gu)
            .bind("carry", to.carry)
            .bind_if("sums", to.sums)
            .record()
    }
}

/// `[T, …]` from `[…]`.
fn with_steps(steps: usize, step: &Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(steps).chain(step.iter().copied()).collect();
    Shape::new(&dims)
}
