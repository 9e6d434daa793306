//! A linear layer without bias and the cross-entropy of its outputs, fused: the logits of all
//! positions never stand in memory at once.

use super::cross_entropy::{Reduction, Targets};
use super::total;
use crate::host::parallel::*;
use crate::host::{self, HostArgs, Real, greatest};
use crate::kernel::{Cost, CostArgs};
use crate::layout::{place_rows, slice};
use crate::linalg::{Layout, Matmul, matmul};
use crate::reduce::{ROWS, Range, RowIterations, over_rows};
use crate::tensor::{BY_FOUR, launch_items};
use crate::{DType, Error, Result, Tensor, Var};

crate::kernel! {
    /// Statistics of a tile of logits, and its gradient in place.
    pub(crate) static CROSS_ENTROPY_TILE = "loss/cross_entropy_tile";
    params = struct CrossEntropyTileParams {
        rows: u32,
        width: u32,
        row_first: u32,
        class_first: u32,
        classes: u32,
        /// 1 if no tile came before.
        start: u32,
        divisor: f32,
    };
    oracle = cross_entropy_tile_oracle;
    host = host::loss::cross_entropy_tile;
    variants = ROWS;
    cost = tile_cost;
    iterations = iterations;
}

crate::kernel! {
    /// `x[i] = x[i] g`, in place
    pub(super) static SCALE_BY = "loss/scale_by";
    params = struct ScaleByParams {
        items: u32,
    };
    oracle = scale_by_oracle;
    variants = BY_FOUR;
    cost = |args| Cost { bytes: 8.0 * args.words_of("x") as f64, flops: args.words_of("x") as f64 };
}

/// Three walks over a row of the tile, and two folds.
fn iterations(args: &CostArgs<'_>) -> u64 {
    let row = RowIterations::of(args, args.params::<CrossEntropyTileParams>().width);
    2 * row.walk() + row.chains() + 2 * row.fold
}

/// The tile is read once, and written once for a gradient.
fn tile_cost(args: &CostArgs<'_>) -> Cost {
    let gradient = args.constant("GRADIENT") != 0;
    let count = args.words_of("x") as f64;
    Cost { bytes: if gradient { 8.0 } else { 4.0 } * count, flops: 4.0 * count }
}

const OP: &str = "linear_cross_entropy";

/// The fewest rows that a block with all classes is worth: below, the weights and their gradient,
/// which are read and written once a block, cost more than computing the logits twice.
const FEWEST_ROWS: usize = 128;

/// The rows of a block whose classes are taken in tiles.
const TILED_ROWS: usize = 256;

/// Options of [`linear_cross_entropy_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinearCrossEntropy {
    /// The mean by default.
    pub reduction: Reduction,
    /// The most logits that stand in memory at once: by default 8 Mi (32 MiB) on a GPU, 1.5 Mi
    /// (6 MiB) on a processor. At least one row by one class is taken.
    pub budget: Option<usize>,
    /// The target of positions that are padding: they have loss 0 and gradient 0, and do not count in
    /// the mean. None by default.
    pub ignore_index: Option<u32>,
}

/// The mean cross-entropy, in nats, between `softmax(x w^T)` and targets: `x[.., K]`, `w[V, K]`,
/// targets `[..]` (u32); see [`linear_cross_entropy_with`].
///
/// # Errors
/// Those of [`linear_cross_entropy_with`].
pub fn linear_cross_entropy(x: &Var, w: &Var, targets: &Tensor) -> Result<Var> {
    linear_cross_entropy_with(x, w, targets, LinearCrossEntropy::default())
}

/// The cross-entropy between `softmax(x w^T)` over V classes and targets, a scalar: `x[.., K]`,
/// `w[V, K]`, targets `[..]` (u32). What [`cross_entropy`](super::cross_entropy) of
/// [`matmul_nt`](Var::matmul_nt) gives, without the N x V logits ever being in memory.
///
/// Rows are taken in blocks, each with all classes if `budget` holds that, else in tiles of the
/// classes with an online log-sum-exp over them. The gradient is made in the same sweep, while the
/// logits are there: the loss is a scalar, so backward has only to scale it. With all classes in one
/// tile that is `6 N V K` operations for loss and gradients, as many as the three products of a
/// plain layer; with several tiles the logits are computed twice, `8 N V K`.
///
/// Rows of the target [`ignore_index`](LinearCrossEntropy::ignore_index) are padding; another target
/// that is not below V is an error, as for [`cross_entropy`](super::cross_entropy).
///
/// A head of several parts is one matrix too: for `W c + 0.1 W2 h`, concatenate `[c, h]` along the
/// last axis and `[W, 0.1 W2]` likewise.
///
/// # Errors
/// [`Error::Shape`] unless the targets have the shape of x without the last axis and w is `[V, K]`,
/// all with at least one element; [`Error::DType`]; [`Error::DeviceMismatch`];
/// [`Error::TapeMismatch`]; [`Error::Argument`] for a target out of range.
pub fn linear_cross_entropy_with(
    x: &Var,
    w: &Var,
    targets: &Tensor,
    options: LinearCrossEntropy,
) -> Result<Var> {
    check(x.value(), w.value(), targets)?;
    let (classes, padding) = (w.shape()[0], options.ignore_index);
    let wanted_rows = Targets::of(OP, targets, classes, padding, options.reduction)?;
    let (targets, divisor) = (&wanted_rows.targets, wanted_rows.divisor);
    let on = x.tape().is_on();
    let wanted = [on && x.has_gradient(), on && w.has_gradient()];
    let sweep = Sweep::new(x.value(), w.value(), targets, options.budget, divisor)?;
    let gradients = sweep.run(wanted)?;
    let y = total(&sweep.loss, divisor)?;
    let shapes = [*x.shape(), *w.shape()];
    let y = x.tape().record_one(OP, &[x, w], y, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        for (i, gradient) in gradients.into_iter().enumerate() {
            if let Some(gradient) = gradient.filter(|_| bw.needs(i)) {
                let (launch, items) = launch_items(g.device(), &SCALE_BY, gradient.count());
                launch
                    .params(&ScaleByParams { items })
                    .bind("x", &gradient)
                    .bind("g", &g)
                    .record()?;
                bw.give(i, gradient.reshape(shapes[i])?);
            }
        }
        Ok(())
    })?;
    wanted_rows.mean(y)
}

/// The cross-entropy of each position, in nats, `[..]`: for evaluation, without a gradient; else
/// like [`linear_cross_entropy`].
///
/// # Errors
/// Those of [`linear_cross_entropy_with`].
pub fn position_losses(x: &Tensor, w: &Tensor, targets: &Tensor) -> Result<Tensor> {
    position_losses_with(x, w, targets, LinearCrossEntropy::default())
}

/// Likewise, with a budget, and 0 at positions that are padding.
///
/// # Errors
/// Those of [`linear_cross_entropy_with`].
pub fn position_losses_with(
    x: &Tensor,
    w: &Tensor,
    targets: &Tensor,
    options: LinearCrossEntropy,
) -> Result<Tensor> {
    check(x, w, targets)?;
    let range =
        Range { op: OP, what: "target", below: w.shape()[0], padding: options.ignore_index };
    let targets = &range.checked(targets)?;
    let sweep = Sweep::new(x, w, targets, options.budget, 1.0)?;
    sweep.run([false; 2])?;
    sweep.loss.reshape(*targets.shape())
}

/// Checks everything but what the targets are.
fn check(x: &Tensor, w: &Tensor, targets: &Tensor) -> Result<()> {
    x.expect(OP, DType::F32)?;
    w.expect(OP, DType::F32)?;
    targets.expect(OP, DType::U32)?;
    x.same_device(OP, w)?;
    x.same_device(OP, targets)?;
    let fits = match (x.shape().split_last(), w.shape().dims()) {
        (Some((k, rows)), [_, depth]) => k == depth && targets.shape().dims() == rows,
        _ => false,
    };
    if !fits || x.count() == 0 || w.count() == 0 {
        let detail = format!(
            "x {}, weights {} and targets {}, expected [.., K], [V, K] and [..], with elements",
            x.shape(),
            w.shape(),
            targets.shape()
        );
        return Err(Error::shape(OP, detail));
    }
    Ok(())
}

/// How rows and classes are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blocks {
    /// Rows of a block.
    rows: usize,
    /// Classes of a tile.
    classes: usize,
}

impl Blocks {
    fn new(rows: usize, classes: usize, budget: usize) -> Self {
        let whole = budget / classes;
        if whole >= rows.min(FEWEST_ROWS) {
            // Blocks of about one size.
            let blocks = rows.div_ceil(whole.max(1));
            return Self { rows: rows.div_ceil(blocks), classes };
        }
        let rows = rows.min(TILED_ROWS).min(budget.max(1));
        let tiles = classes.div_ceil((budget / rows).max(1));
        Self { rows, classes: classes.div_ceil(tiles) }
    }
}

/// One computation of the loss: what its blocks share.
struct Sweep<'a> {
    /// `[N, K]`
    x: Tensor,
    w: &'a Tensor,
    targets: &'a Tensor,
    blocks: Blocks,
    /// `[N, 3]`: largest logit, sum of exponentials relative to it, logit of the target.
    stats: Tensor,
    /// `[N]`
    loss: Tensor,
    divisor: f32,
}

impl<'a> Sweep<'a> {
    fn new(
        x: &Tensor,
        w: &'a Tensor,
        targets: &'a Tensor,
        budget: Option<usize>,
        divisor: f32,
    ) -> Result<Self> {
        let rows = targets.count();
        let (device, depth) = (x.device(), x.count() / rows);
        let budget = budget.unwrap_or(device.tuning().logits);
        Ok(Self {
            x: x.reshape([rows, depth])?,
            w,
            targets,
            blocks: Blocks::new(rows, w.shape()[0], budget),
            stats: Tensor::empty(device, [rows, 3], DType::F32)?,
            loss: Tensor::empty(device, [rows], DType::F32)?,
            divisor,
        })
    }

    fn rows(&self) -> usize {
        self.x.shape()[0]
    }

    fn classes(&self) -> usize {
        self.w.shape()[0]
    }

    /// Losses and statistics of all rows, and the gradients that are wanted, of x `[N, K]` and of w.
    fn run(&self, wanted: [bool; 2]) -> Result<[Option<Tensor>; 2]> {
        let any = wanted.contains(&true);
        let in_one = self.blocks.classes == self.classes();
        if !(in_one && any) {
            for c in (0..self.classes()).step_by(self.blocks.classes) {
                let w = self.classes_from(c)?;
                for r in (0..self.rows()).step_by(self.blocks.rows) {
                    let _ = self.tile([r, c], &self.rows_from(r)?, &w, true, false)?;
                }
            }
        }
        if any { self.gradients(wanted, in_one) } else { Ok([None, None]) }
    }

    /// The gradients, with the statistics in the same sweep where all classes are in one tile.
    fn gradients(&self, [of_x, of_w]: [bool; 2], in_one: bool) -> Result<[Option<Tensor>; 2]> {
        let mut gx = Sum::new(of_x, &self.x, self.rows().div_ceil(self.blocks.rows));
        let mut gw = Sum::new(of_w, self.w, self.classes().div_ceil(self.blocks.classes));
        for (j, c) in (0..self.classes()).step_by(self.blocks.classes).enumerate() {
            let w = self.classes_from(c)?;
            for (i, r) in (0..self.rows()).step_by(self.blocks.rows).enumerate() {
                let x = self.rows_from(r)?;
                let g = self.tile([r, c], &x, &w, in_one, true)?;
                gx.add(i, &g, &w, Layout::NN)?;
                gw.add(j, &g, &x, Layout::TN)?;
            }
            gw.close(j, c)?;
        }
        for (i, r) in (0..self.rows()).step_by(self.blocks.rows).enumerate() {
            gx.close(i, r)?;
        }
        Ok([gx.whole, gw.whole])
    }

    fn rows_from(&self, first: usize) -> Result<Tensor> {
        rows_of(&self.x, first, self.blocks.rows)
    }

    fn classes_from(&self, first: usize) -> Result<Tensor> {
        rows_of(self.w, first, self.blocks.classes)
    }

    /// The logits of a block of rows and a tile of classes, from (row, class) on: their statistics
    /// are joined with those before, or they become their gradient.
    fn tile(
        &self,
        [row, class]: [usize; 2],
        x: &Tensor,
        w: &Tensor,
        statistics: bool,
        gradient: bool,
    ) -> Result<Tensor> {
        let logits = matmul(x, w, Layout::NT)?;
        let (rows, width) = (x.shape()[0], w.shape()[0]);
        let params = CrossEntropyTileParams {
            rows: rows as u32,
            width: width as u32,
            row_first: row as u32,
            class_first: class as u32,
            classes: self.classes() as u32,
            start: u32::from(class == 0),
            divisor: self.divisor,
        };
        over_rows(x.device(), &CROSS_ENTROPY_TILE, &params, [rows, width])
            .constant("STATISTICS", statistics)
            .constant("GRADIENT", gradient)
            .bind("x", &logits)
            .bind("targets", self.targets)
            .bind("stats", &self.stats)
            .bind("loss", &self.loss)
            .record()?;
        Ok(logits)
    }
}

/// `count` rows of a matrix from `first` on, or those that are left.
fn rows_of(x: &Tensor, first: usize, count: usize) -> Result<Tensor> {
    let &[rows, columns] = x.shape().dims() else {
        return Err(Error::shape(OP, format!("{} is no matrix", x.shape())));
    };
    slice(x, &[first..rows.min(first + count), 0..columns])
}

/// A gradient as a sum of products, block by block of its rows.
struct Sum<'a> {
    like: &'a Tensor,
    blocks: Vec<Option<Tensor>>,
    wanted: bool,
    whole: Option<Tensor>,
}

impl<'a> Sum<'a> {
    fn new(wanted: bool, like: &'a Tensor, blocks: usize) -> Self {
        Self { like, blocks: vec![None; blocks], wanted, whole: None }
    }

    /// Adds a product to block `i`.
    fn add(&mut self, i: usize, a: &Tensor, b: &Tensor, layout: Layout) -> Result<()> {
        match self.blocks.get_mut(i).filter(|_| self.wanted) {
            Some(Some(sum)) => Matmul::new().layout(layout).add_to(a, b, sum),
            Some(empty) => {
                *empty = Some(matmul(a, b, layout)?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Puts block `i`, which is complete, to its place from row `first` on.
    fn close(&mut self, i: usize, first: usize) -> Result<()> {
        let block = self.blocks.get_mut(i).and_then(Option::take);
        let Some(block) = block else { return Ok(()) };
        if self.blocks.len() == 1 {
            self.whole = Some(block);
            return Ok(());
        }
        let whole = match self.whole.take() {
            Some(whole) => whole,
            None => Tensor::empty(self.like.device(), *self.like.shape(), DType::F32)?,
        };
        place_rows(&block, &whole, first)?;
        self.whole = Some(whole);
        Ok(())
    }
}

fn cross_entropy_tile_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: CrossEntropyTileParams = args.params();
    let (statistics, gradient) = (args.flag("STATISTICS"), args.flag("GRADIENT"));
    let (width, row_first) = (p.width as usize, p.row_first as usize);
    let (logits, targets) = (args.reals_mut("x"), args.words("targets"));
    let (stats, loss) = (args.reals_mut("stats"), args.reals_mut("loss"));
    let divisor = R::lit(f64::from(p.divisor));
    for (r, x) in logits.chunks_exact_mut(width).take(p.rows as usize).enumerate() {
        let (row, target) = (row_first + r, targets[row_first + r]);
        let stats = &mut stats[3 * row..][..3];
        let hit = target.checked_sub(p.class_first).map(|c| c as usize);
        let hit = hit.filter(|c| target < p.classes && *c < width);
        if statistics {
            let before = if p.start == 1 {
                [R::neg_infinity(), R::zero(), R::zero()]
            } else {
                [stats[0], stats[1], stats[2]]
            };
            let largest = x.iter().fold(before[0], |most, x| greatest(most, *x));
            // Where every logit so far is -infinity, their exponentials are 0.
            let shift = if largest == R::neg_infinity() { R::zero() } else { largest };
            let sum: R = x.iter().map(|x| (*x - shift).exp()).sum();
            let sum = before[1] * (before[0] - shift).exp() + sum;
            stats.copy_from_slice(&[largest, sum, hit.map_or(before[2], |c| x[c])]);
            let inside = target < p.classes;
            loss[row] = if inside { sum.ln() - (stats[2] - largest) } else { R::zero() };
        }
        if !gradient {
            continue;
        }
        for (c, x) in x.iter_mut().enumerate() {
            let probability = (*x - stats[0]).exp() / stats[1];
            let wanted = if hit == Some(c) { R::one() } else { R::zero() };
            *x = if target < p.classes { (probability - wanted) / divisor } else { R::zero() };
        }
    }
}

fn scale_by_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let (x, g) = (args.reals_mut("x"), args.reals("g")[0]);
    if g != R::one() {
        x.par_chunks_mut(1 << 14).for_each(|x| x.iter_mut().for_each(|x| *x *= g));
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    const CPU_BUDGET: usize = 3 << 19;
    const GPU_BUDGET: usize = 1 << 23;

    #[test]
    fn the_budget_is_kept() {
        let whole = Blocks::new(2048, 5_903, CPU_BUDGET);
        assert_eq!(whole, Blocks { rows: 256, classes: 5_903 });
        assert_eq!(Blocks::new(2048, 48_000, GPU_BUDGET).classes, 48_000);
        assert_eq!(Blocks::new(2048, 48_000, CPU_BUDGET).rows, 256);
        for (rows, classes, budget) in
            [(2048, 100_000, GPU_BUDGET), (7, 11, 20), (7, 11, 1), (1, 1, 0), (1, 10, 10)]
        {
            let blocks = Blocks::new(rows, classes, budget);
            assert!(blocks.rows * blocks.classes <= budget.max(1), "{blocks:?}");
            assert!(
                blocks.rows <= rows
                    && blocks.classes <= classes
                    && blocks.rows * blocks.classes > 0
            );
        }
    }
}
