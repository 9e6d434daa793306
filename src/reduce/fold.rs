//! The fold under all reductions: of the middle axis of `[outer, length, inner]`, in as many stages
//! as its length asks for, always in the same order.

use super::axes::Pass;
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, Needs, Variant, shader};
use crate::{DType, Result, Tensor};

/// One workgroup an output; for rows on hardware.
pub(super) static REDUCE_ROWS: Kernel = Kernel::new(
    "reduce",
    "reduce_rows",
    shader!("reduce/reduce_rows"),
    crate::twin!(twin::reduce_rows),
)
.params::<RowParams>()
.cost(cost)
.variants(TREES)
.turns(|args| 160 + u64::from(args.params::<RowParams>().chunk) / 512);

/// One invocation an output, without barriers.
pub(super) static REDUCE_COLUMNS: Kernel = Kernel::new(
    "reduce",
    "reduce_columns",
    shader!("reduce/reduce_columns"),
    crate::twin!(twin::reduce_columns),
)
.params::<ColumnParams>()
.cost(cost)
.turns(|args| {
    let p: ColumnParams = args.params();
    let apart = p.interleaved == 1;
    let count = u64::from(if apart { p.length.div_ceil(p.splits) } else { p.chunk });
    // Twice: a sum may be looked at again.
    2 * (count / 4 + count / 64 + 10)
});

/// The variants of a kernel that folds over a workgroup.
pub(crate) const TREES: &[Variant] = &[
    Variant { name: "baseline", conditions: &[], needs: Needs::NOTHING },
    Variant { name: "subgroups", conditions: &[], needs: Needs::SUBGROUPS },
];

/// x is read and y written once, and the center where the term has one (else x stands in for it).
fn cost(args: &CostArgs<'_>) -> Cost {
    let term = args.constants.iter().find(|(name, _)| *name == "TERM").map_or(0.0, |(_, v)| *v);
    let center = if term >= 2.0 { args.words[1] } else { 0 };
    let bytes = 4.0 * (args.words[0] + center + args.words[2]) as f64;
    Cost { bytes, flops: args.words[0] as f64 * (1.0 + term) }
}

crate::params! {
    pub(super) struct RowParams {
        outer: u32,
        length: u32,
        splits: u32,
        chunk: u32,
        divisor: f32,
    }
}

crate::params! {
    pub(super) struct ColumnParams {
        outer: u32,
        length: u32,
        inner: u32,
        splits: u32,
        chunk: u32,
        interleaved: u32,
        divisor: f32,
    }
}

/// How two values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Sum = 0,
    Max = 1,
    Min = 2,
}

/// What is folded, of each element.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Term<'a> {
    /// x
    Value,
    /// x^2
    Square,
    /// (x - center)^2, center of shape `[outer, inner]`
    Deviation(&'a Tensor),
    /// (x - other)^2, other of the shape of x
    Difference(&'a Tensor),
}

/// A fold: of terms, then divided, then rooted (sums of squares alone). What f32 holds comes out, be sums
/// on the way beyond its range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fold<'a> {
    pub(crate) op: Op,
    pub(crate) term: Term<'a>,
    pub(crate) divisor: f32,
    pub(crate) root: bool,
}

impl Fold<'_> {
    /// A fold of plain values.
    pub(crate) const fn of(op: Op) -> Self {
        Fold { op, term: Term::Value, divisor: 1.0, root: false }
    }
}

/// How one stage is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cut {
    splits: usize,
    chunk: usize,
    /// By a workgroup an output instead of an invocation.
    rows: bool,
}

/// The longest piece that one invocation sums: its chains stay at 32 elements.
const LONGEST_CHAIN: usize = 4096;
/// The longest piece that one workgroup folds: 64 elements an invocation.
const LONGEST_TREE: usize = 16_384;
/// Rows up to this length are folded by one invocation each on hardware too.
const SHORT_ROW: usize = 64;

/// The cut for software: long pieces of neighbouring elements, enough of them for every core.
fn software_cut(pass: Pass) -> Cut {
    let outputs = pass.outer * pass.inner;
    let chunk = if outputs >= 4096 { LONGEST_CHAIN } else { 1024 };
    let splits = pass.length.div_ceil(chunk);
    Cut { splits, chunk, rows: false }
}

/// The cut for hardware: as many pieces as fill it.
fn hardware_cut(pass: Pass) -> Cut {
    let outputs = pass.outer * pass.inner;
    if pass.inner == 1 && pass.length > SHORT_ROW {
        const WORKGROUPS: usize = 1024;
        let chunk = (pass.length * outputs).div_ceil(WORKGROUPS).clamp(4096, LONGEST_TREE);
        return Cut { splits: pass.length.div_ceil(chunk), chunk, rows: true };
    }
    const INVOCATIONS: usize = 1 << 16;
    let chunk = (pass.length * outputs).div_ceil(INVOCATIONS).clamp(32, LONGEST_CHAIN);
    Cut { splits: pass.length.div_ceil(chunk), chunk, rows: false }
}

/// The fold of the middle axis: a tensor of shape `[outer, inner]`.
///
/// `pass.length` must not be 0, and x must hold `outer * length * inner` f32 elements.
pub(crate) fn fold(x: &Tensor, pass: Pass, fold: Fold<'_>) -> Result<Tensor> {
    let capabilities = x.device().capabilities();
    let software = capabilities.software;
    let cut = if software { software_cut(pass) } else { hardware_cut(pass) };
    let last = cut.splits <= 1;
    // Parts of a norm are norms; of a mean they are divided, so that they do not overflow.
    let divisor = match fold {
        _ if last => fold.divisor,
        Fold { root: true, .. } | Fold { divisor: 1.0, .. } => 1.0,
        _ => cut.chunk.next_power_of_two() as f32,
    };
    let shape = [pass.outer, cut.splits.max(1), pass.inner];
    let y = Tensor::empty(x.device(), shape, DType::F32)?;
    if y.count() > 0 {
        stage(x, &y, pass, cut, Fold { divisor, ..fold })?;
    }
    if last {
        return y.reshape([pass.outer, pass.inner]);
    }
    let rest = Pass { length: cut.splits, ..pass };
    let term = if fold.root { Term::Square } else { Term::Value };
    self::fold(&y, rest, Fold { term, divisor: fold.divisor / divisor, ..fold })
}

/// One launch: from x to its pieces.
fn stage(x: &Tensor, y: &Tensor, pass: Pass, cut: Cut, fold: Fold<'_>) -> Result<()> {
    let (term, center) = match fold.term {
        Term::Value => (0, x),
        Term::Square => (1, x),
        Term::Deviation(center) => (2, center),
        Term::Difference(other) => (3, other),
    };
    let device = x.device();
    let (outer, length) = (pass.outer as u32, pass.length as u32);
    let (splits, chunk, divisor) = (cut.splits as u32, cut.chunk as u32, fold.divisor);
    let launch = if cut.rows {
        let params = RowParams { outer, length, splits, chunk, divisor };
        device.launch(&REDUCE_ROWS).params(&params).items_of(y.count(), 1)
    } else {
        let interleaved = u32::from(device.tuning().interleaved);
        let inner = pass.inner as u32;
        let params = ColumnParams { outer, length, inner, splits, chunk, interleaved, divisor };
        device.launch(&REDUCE_COLUMNS).params(&params).items_of(y.count(), 64)
    };
    launch
        .constant("OP", fold.op as u32)
        .constant("TERM", term)
        .constant("ROOT", u32::from(fold.root))
        .bind_next(x)
        .bind_next(center)
        .bind_next(y)
        .record()
}
