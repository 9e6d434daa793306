//! The fold under all reductions: of the middle axis of `[outer, length, inner]`, in as many stages
//! as its length asks for, always in the same order.

use super::axes::Pass;
use crate::device::Tuning;
use crate::host::{self, HostArgs, Real, each, greatest, least};
use crate::kernel::{Cost, CostArgs, Needs, Variant};
use crate::{DType, Result, Tensor};

crate::kernel! {
    /// One workgroup an output.
    pub(crate) static REDUCE_ROWS = "reduce/reduce_rows";
    params = struct RowParams { outer: u32, length: u32, splits: u32, chunk: u32, divisor: f32 };
    oracle = reduce_rows_oracle;
    host = host::reduce::reduce_rows;
    cost = cost;
    variants = TREES;
    iterations = |args| 160 + u64::from(args.params::<RowParams>().chunk) / 512;
}

crate::kernel! {
    /// One invocation an output, without barriers.
    pub(crate) static REDUCE_COLUMNS = "reduce/reduce_columns";
    params = struct ColumnParams {
        outer: u32,
        length: u32,
        inner: u32,
        splits: u32,
        chunk: u32,
        interleaved: u32,
        divisor: f32,
    };
    oracle = reduce_columns_oracle;
    host = host::reduce::reduce_columns;
    cost = cost;
    iterations = column_iterations;
}

fn column_iterations(args: &CostArgs<'_>) -> u64 {
    let p: ColumnParams = args.params();
    let apart = p.interleaved == 1;
    let count = u64::from(if apart { p.length.div_ceil(p.splits) } else { p.chunk });
    // Twice: a sum may be looked at again.
    2 * (count / 4 + count / 64 + 10)
}

/// The variants of a kernel that folds over a workgroup.
pub(crate) const TREES: &[Variant] = &[
    Variant::portable("baseline", &[]),
    Variant { name: "subgroups", conditions: &[], needs: Needs::SUBGROUPS },
];

/// Everything moved once; an operation to fold an element, and up to three for its term.
fn cost(args: &CostArgs<'_>) -> Cost {
    let operations = 1 + args.constant("TERM");
    Cost { bytes: args.all_bytes(), flops: (args.words_of("x") * operations) as f64 }
}

fn reduce_rows_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RowParams = args.params();
    let (length, splits, chunk) = (p.length as usize, p.splits as usize, p.chunk as usize);
    fold_oracle(args, p.divisor, |out| {
        let (o, first) = (out / splits, out % splits * chunk);
        Piece { first: o * length + first, step: 1, count: chunk.min(length - first), center: o }
    });
}

fn reduce_columns_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ColumnParams = args.params();
    let (length, inner) = (p.length as usize, p.inner as usize);
    let (splits, chunk) = (p.splits as usize, p.chunk as usize);
    fold_oracle(args, p.divisor, |out| {
        let (o, s, j) = (out / inner / splits, out / inner % splits, out % inner);
        let (first, step, count) = match p.interleaved {
            1 => (s, splits, (length - s).div_ceil(splits)),
            _ => (s * chunk, 1, chunk.min(length - s * chunk)),
        };
        let first = (o * length + first) * inner + j;
        Piece { first, step: step * inner, count, center: o * inner + j }
    });
}

/// What one output is folded from: `count` elements, `step` apart, and where its center stands.
struct Piece {
    first: usize,
    step: usize,
    count: usize,
    center: usize,
}

fn fold_oracle<R: Real>(
    args: &mut HostArgs<'_, R>,
    divisor: f32,
    piece: impl Fn(usize) -> Piece + Sync,
) {
    let (op, term, root) = (args.constant("OP"), args.constant("TERM"), args.flag("ROOT"));
    let (x, center) = (args.reals("x"), args.reals("center"));
    let square = |v: R| v * v;
    each(args.reals_mut("y"), |out| {
        let piece = piece(out);
        let elements = (0..piece.count).map(|k| piece.first + k * piece.step);
        let terms = elements.map(|at| match term {
            0 => x[at],
            1 => square(x[at]),
            2 => square(x[at] - center[piece.center]),
            _ => square(x[at] - center[at]),
        });
        let total = match op {
            0 => terms.sum::<R>(),
            1 => terms.fold(R::neg_infinity(), |y, v| greatest(v, y)),
            _ => terms.fold(R::infinity(), |y, v| least(v, y)),
        };
        let y = total / R::lit(divisor.into());
        if root { y.sqrt() } else { y }
    });
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

/// How one stage is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FoldSplit {
    parts: usize,
    chunk: usize,
    /// By a workgroup an output instead of an invocation.
    rows: bool,
}

/// The longest piece that one invocation folds where outputs alone keep the device busy: its chains stay
/// at 32 elements.
const LONGEST_CHAIN: usize = 4096;

/// The split into as many parts as fill the device, none of them too short or too long.
fn split(tuning: &Tuning, pass: Pass) -> FoldSplit {
    let outputs = pass.outer * pass.inner;
    let share = |among: usize, [least, most]: [usize; 2]| {
        (pass.length * outputs).div_ceil(among).clamp(least, most)
    };
    let rows = pass.inner == 1 && pass.length > tuning.short_row;
    let chunk = match rows {
        true => share(tuning.workgroups, tuning.tree),
        false if outputs >= tuning.invocations => LONGEST_CHAIN,
        false => share(tuning.invocations, tuning.chain),
    };
    FoldSplit { parts: pass.length.div_ceil(chunk), chunk, rows }
}

/// The fold of the middle axis: a tensor of shape `[outer, inner]`.
///
/// `pass.length` must not be 0, and x must hold `outer * length * inner` f32 elements.
pub(crate) fn fold(x: &Tensor, pass: Pass, fold: Fold<'_>) -> Result<Tensor> {
    let split = split(x.device().tuning(), pass);
    let last = split.parts <= 1;
    // Parts of a norm are norms; those of a mean, or of its root, are divided, so that they do not overflow.
    let divisor = match fold {
        _ if last => fold.divisor,
        Fold { divisor: 1.0, .. } => 1.0,
        _ => split.chunk.next_power_of_two() as f32,
    };
    let shape = [pass.outer, split.parts.max(1), pass.inner];
    let y = Tensor::empty(x.device(), shape, DType::F32)?;
    if y.count() > 0 {
        stage(x, &y, pass, split, Fold { divisor, ..fold })?;
    }
    if last {
        return y.reshape([pass.outer, pass.inner]);
    }
    let rest = Pass { length: split.parts, ..pass };
    let term = if fold.root { Term::Square } else { Term::Value };
    self::fold(&y, rest, Fold { term, divisor: fold.divisor / divisor, ..fold })
}

/// One launch: from x to its parts.
fn stage(x: &Tensor, y: &Tensor, pass: Pass, split: FoldSplit, fold: Fold<'_>) -> Result<()> {
    let (term, center) = match fold.term {
        Term::Value => (0, None),
        Term::Square => (1, None),
        Term::Deviation(center) => (2, Some(center)),
        Term::Difference(other) => (3, Some(other)),
    };
    let device = x.device();
    let (outer, length) = (pass.outer as u32, pass.length as u32);
    let (splits, chunk, divisor) = (split.parts as u32, split.chunk as u32, fold.divisor);
    let launch = if split.rows {
        let params = RowParams { outer, length, splits, chunk, divisor };
        device.launch(&REDUCE_ROWS).params(&params).workgroups(y.count())
    } else {
        let interleaved = u32::from(device.tuning().interleaved);
        let inner = pass.inner as u32;
        let params = ColumnParams { outer, length, inner, splits, chunk, interleaved, divisor };
        device.launch(&REDUCE_COLUMNS).params(&params).items(y.count())
    };
    launch
        .constant("OP", fold.op as u32)
        .constant("TERM", term)
        .constant("ROOT", fold.root)
        .bind("x", x)
        .bind_if("center", center)
        .bind("y", y)
        .record()
}
