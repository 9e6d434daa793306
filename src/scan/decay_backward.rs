//! The backward launch of a recurrence.

use super::decay::{INITIAL, Params, RATE, Scan, U};
use super::decay_forward::emits;
use super::plan::{Share, WALKS};
use super::{decay_carry, twin};
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::tape::Backward;
use crate::{DType, Result, Shape, Tensor, reduce};

/// `a = gh[t] + lam a`, from the last step to the first
pub(super) static DECAY_BACKWARD: Kernel = Kernel::new(
    "scan",
    "decay_backward",
    shader!("scan/decay_backward"),
    crate::twin!(twin::decay_backward),
)
.params::<Params>()
.variants(WALKS)
.cost(cost)
.turns(|args| args.params::<Params>().share.turns(args, 37, 8));

/// The upstream gradient and that of the input; where the decay is learned, the input and every
/// eighth row of the output.
fn cost(args: &CostArgs<'_>) -> Cost {
    if !emits(args) {
        return Cost::default();
    }
    let share = args.params::<Params>().share.fraction();
    let set = |name: &str| args.constants.iter().any(|c| c.0 == name && c.1 != 0.0);
    let mut moved = args.words[5] as f64;
    let mut flops = 4.0;
    if args.constants.iter().all(|c| c.0 != "UPSTREAM" || c.1 != 0.0) {
        moved += args.words[0] as f64;
    }
    if set("LEARN") {
        moved += args.words[2] as f64 + args.words[3] as f64 / 8.0;
        flops = 11.0;
    }
    let states = (args.words[6] + args.words[7]) as f64;
    let elements = args.words[5] as f64 * share;
    Cost { bytes: (moved * share + states) * 4.0, flops: elements * flops }
}

/// What backward needs.
pub(super) struct Saved {
    pub(super) scan: Scan,
    /// Input and output, where the decay is learned.
    pub(super) history: Option<(Tensor, Tensor)>,
    /// The state before the first step, likewise.
    pub(super) initial: Option<Tensor>,
}

/// Where a launch reads and writes.
struct Bindings<'a> {
    gu: &'a Tensor,
    carry: &'a Tensor,
    sums: &'a Tensor,
    /// Whether `carry` holds anything.
    given: bool,
    /// Whether `sums` does.
    more: bool,
    emit: bool,
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
        let learn = bw.needs(RATE) && self.history.is_some();
        let gu = Tensor::empty(&device, shape, DType::F32)?;
        let states = [cut.chunks, cut.columns];
        let sums = if learn { states } else { [1, 1] };
        let sums = Tensor::empty(&device, sums, DType::F32)?;
        let carry = self.carry(bw, &device, &gu, &sums)?;
        let given = cut.is_chunked() || bw.upstream(1).is_some();
        for (i, share) in cut.shares().into_iter().rev().enumerate() {
            let (given, more) = (given || i > 0, i > 0);
            let to = Bindings { gu: &gu, carry: &carry, sums: &sums, given, more, emit: true };
            self.walk(bw, share, to)?;
        }
        bw.give(U, gu);
        if bw.needs(INITIAL) {
            bw.give(INITIAL, self.first_row(&carry, &shape)?);
        }
        if let Some(rate) = self.scan.rate.as_ref().filter(|_| learn) {
            let rows = sums.count() / cut.channels;
            let heads = rate.count();
            let sums = sums.reshape([rows, heads, cut.channels / heads])?;
            bw.give(RATE, reduce::sum(&sums, &[0, 2], false)?.reshape(rate.shape())?);
        }
        Ok(())
    }

    /// The gradient that each chunk begins with at its end.
    fn carry(
        &self,
        bw: &Backward<'_>,
        device: &crate::Device,
        gu: &Tensor,
        sums: &Tensor,
    ) -> Result<Tensor> {
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
            let to = Bindings { gu, carry: &carry, sums, given: false, more: false, emit: false };
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

    fn walk(&self, bw: &Backward<'_>, share: Share, to: Bindings<'_>) -> Result<()> {
        let scan = &self.scan;
        let gh = bw.upstream(0);
        let learn = to.emit && bw.needs(RATE) && self.history.is_some();
        let launch = scan.prepare(scan.cut.walk(to.gu.device(), &DECAY_BACKWARD), share);
        let launch = launch
            .constant("TIED", u32::from(scan.tied))
            .constant("STATE", u32::from(self.initial.is_some()))
            .constant("CARRY", u32::from(to.given))
            .constant("UPSTREAM", u32::from(gh.is_some()))
            .constant("LEARN", u32::from(learn))
            .constant("MORE", u32::from(to.more))
            .constant("EMIT", u32::from(to.emit));
        // One of them is there: where there is no gradient of h, there is one of the last state.
        let Some(any) = gh.or(bw.upstream(1)) else { return Ok(()) };
        let (u, h) = self.history.as_ref().map_or((any, any), |(u, h)| (u, h));
        let launch =
            launch.bind_next(gh.unwrap_or(any)).bind_next(scan.rate(any)).bind_next(u).bind_next(h);
        let launch = launch.bind_next(self.initial.as_ref().unwrap_or(any));
        launch.bind_next(to.gu).bind_next(to.carry).bind_next(to.sums).record()
    }
}

/// `[T, …]` from `[…]`.
fn with_steps(steps: usize, step: &Shape) -> Result<Shape> {
    let dims: Vec<usize> = std::iter::once(steps).chain(step.iter().copied()).collect();
    Shape::new(&dims)
}
