//! Transposition and permutation of axes.

use super::strided::strided;
use super::view::{ELEMENTS, View, moved, refuse_time, strides};
use crate::host::{self, HostArgs, Real, each};
use crate::kernel::few_iterations;
use crate::{Error, Result, Shape, Tensor, Var};

crate::kernel! {
    /// `y[b, j, i] = x[b, i, j]`
    pub(crate) static TRANSPOSE = "layout/transpose";
    params = struct TransposeParams { batch: u32, rows: u32, columns: u32 };
    oracle = transpose_oracle;
    host = host::layout::transpose;
    variants = ELEMENTS;
    iterations = few_iterations;
}

fn transpose_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TransposeParams = args.params();
    moved!(args, |x, y| transpose_plain(&p, x, y))
}

fn transpose_plain<T: Copy + Send + Sync>(p: &TransposeParams, x: &[T], y: &mut [T]) {
    let (rows, columns) = (p.rows as usize, p.columns as usize);
    each(y, |at| {
        let (b, j, i) = (at / rows / columns, at / rows % columns, at % rows);
        x[(b * rows + i) * columns + j]
    });
}

/// x with its axes in another order: axis `a` of the outcome is axis `order[a]` of x.
///
/// f32, u32, and packed spikes whose time axis stays first.
///
/// # Errors
/// [`Error::Argument`] unless `order` names every axis once; [`Error::DType`] for f16.
pub fn permute(x: &Tensor, order: &[usize]) -> Result<Tensor> {
    check_order("permute", x.shape(), order)?;
    let view = View::of("permute", x)?;
    refuse_time("permute", &view, order.first() == Some(&0))?;
    let dims: Vec<usize> = order.iter().map(|a| view.shape()[*a]).collect();
    let dims = Shape::new(&dims)?;
    let y = match merged(view.shape(), order).as_slice() {
        [] | [_] => view.words.reshape(dims)?,
        axes => match as_transpose(axes).filter(|p| by_tiles(x, p)) {
            Some(params) => by_tile(&view, dims, &params)?,
            None => {
                let steps = strides(view.shape());
                let steps: Vec<usize> = order.iter().map(|a| steps[*a]).collect();
                strided(&view, dims, &steps, 0)?
            }
        },
    };
    view.restore(y)
}

/// x with its last two axes exchanged.
///
/// # Errors
/// [`Error::Shape`] below two axes; those of [`permute`].
pub fn transpose(x: &Tensor) -> Result<Tensor> {
    permute(x, &last_two(x.shape())?)
}

fn last_two(shape: &Shape) -> Result<Vec<usize>> {
    let rank = shape.rank();
    if rank < 2 {
        return Err(Error::shape("transpose", format!("{shape} has fewer than two axes")));
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    Ok(order)
}

fn check_order(op: &'static str, shape: &Shape, order: &[usize]) -> Result<()> {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..shape.rank()) {
        let detail = format!("{order:?} is no order of the {} axes of {shape}", shape.rank());
        return Err(Error::argument(op, detail));
    }
    Ok(())
}

/// The axes of the outcome as (first axis of x, extent), with runs of axes that stay together made
/// one and axes of extent 1 left out.
fn merged(shape: &Shape, order: &[usize]) -> Vec<(usize, usize)> {
    let mut rank_of = vec![0; shape.rank()];
    let solid = (0..shape.rank()).filter(|a| shape[*a] != 1);
    for (rank, axis) in solid.enumerate() {
        rank_of[axis] = rank;
    }
    let mut runs: Vec<(usize, usize, usize)> = Vec::new();
    for axis in order.iter().filter(|a| shape[**a] != 1) {
        match runs.last_mut() {
            Some((_, next, extent)) if rank_of[*axis] == *next => {
                *next += 1;
                *extent *= shape[*axis];
            }
            _ => runs.push((rank_of[*axis], rank_of[*axis] + 1, shape[*axis])),
        }
    }
    runs.into_iter().map(|(first, _, extent)| (first, extent)).collect()
}

/// The permutation as a batch of transpositions, if it is one.
fn as_transpose(axes: &[(usize, usize)]) -> Option<TransposeParams> {
    let (batch, columns, rows) = match axes {
        [(a, columns), (b, rows)] if a > b => (1, *columns, *rows),
        [(0, batch), (a, columns), (b, rows)] if a > b => (*batch, *columns, *rows),
        _ => return None,
    };
    Some(TransposeParams { batch: batch as u32, rows: rows as u32, columns: columns as u32 })
}

/// Whether tiles pay: for matrices that fill some of a tile.
fn by_tiles(x: &Tensor, p: &TransposeParams) -> bool {
    x.device().tuning().tiles && p.rows >= 8 && p.columns >= 8
}

fn by_tile(view: &View, dims: Shape, params: &TransposeParams) -> Result<Tensor> {
    let y = view.output(dims)?;
    let tiles = (params.rows as usize).div_ceil(32) * (params.columns as usize).div_ceil(32);
    let groups = params.batch as usize * tiles;
    if groups > 0 {
        let launch = view.launch(&TRANSPOSE).params(params);
        launch.bind("x", &view.words).bind("y", &y).workgroups(groups).record()?;
    }
    Ok(y)
}

impl Var {
    /// Its axes in another order; see [`layout::permute`](crate::layout::permute).
    ///
    /// # Errors
    /// Those of [`layout::permute`](crate::layout::permute).
    pub fn permute(&self, order: &[usize]) -> Result<Var> {
        let y = permute(self.value(), order)?;
        let mut back = vec![0; order.len()];
        for (to, from) in order.iter().enumerate() {
            back[*from] = to;
        }
        self.tape().record_one("permute", &[self], y, move |bw| {
            if let Some(gradient) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let g = permute(gradient, &back)?;
                bw.give(0, g);
            }
            Ok(())
        })
    }

    /// Its last two axes exchanged.
    ///
    /// # Errors
    /// Those of [`layout::transpose`](crate::layout::transpose).
    pub fn transpose(&self) -> Result<Var> {
        self.permute(&last_two(self.shape())?)
    }
}
