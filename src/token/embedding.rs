//! Rows of a table by token.

use super::cells::Cells;
use super::sort::{Sorted, sorted};
use super::twin;
use crate::elementwise::CELLS;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::reduce::Range;
use crate::{DType, Error, Result, Shape, Tensor, Var};

/// `y[i] = table[tokens[i]]`
pub(super) static EMBEDDING: Kernel =
    Kernel::new("token", "embedding", shader!("token/embedding"), crate::twin!(twin::embedding))
        .params::<Params>()
        .variants(CELLS)
        .cost(cost);

/// Sums of gradients over the places of a token that reach over the edge of a piece.
pub(super) static EMBEDDING_PARTS: Kernel = Kernel::new(
    "token",
    "embedding_parts",
    shader!("token/embedding_parts"),
    crate::twin!(twin::embedding_parts),
)
.params::<PartParams>()
.variants(CELLS)
.cost(cost_of_parts)
.turns(|args| 4 + 2 * u64::from(args.params::<PartParams>().piece));

/// `gtable[v] = sum of g[i] over tokens[i] = v`
pub(super) static EMBEDDING_BACKWARD: Kernel = Kernel::new(
    "token",
    "embedding_backward",
    shader!("token/embedding_backward"),
    crate::twin!(twin::embedding_backward),
)
.params::<PartParams>()
.variants(CELLS)
.cost(cost_of_gradient)
.turns(|args| {
    let p: PartParams = args.params();
    u64::from(p.piece.max(p.pieces)) + 2
});

crate::params! {
    pub(super) struct Params {
        cells: u32,
        row: u32,
        vocabulary: u32,
    }
}

crate::params! {
    pub(super) struct PartParams {
        row: u32,
        pieces: u32,
        piece: u32,
        vocabulary: u32,
    }
}

/// A row read and one written for each token.
fn cost(args: &CostArgs<'_>) -> Cost {
    Cost { bytes: 4.0 * (args.words[1] + 2 * args.words[2]) as f64, flops: 0.0 }
}

/// At the most every gradient is read.
fn cost_of_parts(args: &CostArgs<'_>) -> Cost {
    let count = args.words[0] as f64;
    Cost { bytes: 4.0 * (count + args.words[4] as f64), flops: count }
}

/// Every row of the table is written, and every gradient read once, here or for its part.
fn cost_of_gradient(args: &CostArgs<'_>) -> Cost {
    let words = args.words[0] + args.words[1] + args.words[2] + args.words[4];
    Cost { bytes: 4.0 * words as f64, flops: args.words[0] as f64 }
}

const OP: &str = "embedding";

/// Places of the sorted order that one invocation adds up, at the least.
const PIECE: usize = 32;
/// The most pieces: all of them may be of one token, whose sum one invocation adds up.
const MOST_PIECES: usize = 1 << 15;

impl Var {
    /// The rows of this table by token: for a table `[V, D]` and `tokens [..]` (u32) the tensor
    /// `y[.., D]` with `y[i] = table[tokens[i]]`; one launch.
    ///
    /// A token that is not below `V` is an error (see
    /// [`Device::check_indices`](crate::Device::check_indices)); where that is not checked, it reads a
    /// row of zeros and gives no gradient. [`check_tokens`](crate::token::check_tokens) finds such
    /// tokens before they are uploaded.
    ///
    /// The gradient of the table, `gtable[v] = sum of gy[i] over tokens[i] = v`, is made without
    /// atomics: the positions are sorted by token (a stable radix sort), then each row of the table
    /// adds up its own, long ones in pieces, always in the same order. The work is O(N D + V D) for
    /// N tokens.
    ///
    /// # Errors
    /// [`Error::Shape`] for a table that is no matrix, or too many axes; [`Error::DType`] for a
    /// table that is not f32 or tokens that are not u32; [`Error::DeviceMismatch`];
    /// [`Error::Argument`] for a token out of range.
    pub fn embedding(&self, tokens: &Tensor) -> Result<Var> {
        self.embedding_padded(tokens, None)
    }

    /// Likewise; the token `padding`, below `V` or not, reads a row of zeros and gives no gradient.
    ///
    /// # Errors
    /// Those of [`embedding`](Self::embedding).
    pub fn embedding_padded(&self, tokens: &Tensor, padding: Option<u32>) -> Result<Var> {
        self.value().expect(OP, DType::F32)?;
        tokens.expect(OP, DType::U32)?;
        self.value().same_device(OP, tokens)?;
        let &[vocabulary, row] = self.shape().dims() else {
            return Err(Error::shape(OP, format!("a table of shape {}, not [V, D]", self.shape())));
        };
        let mut shape = tokens.shape().to_vec();
        shape.push(row);
        let shape = Shape::new(&shape)?;
        let tokens = Range { op: OP, what: "token", below: vocabulary, padding }.checked(tokens)?;
        let y = forward(self.value(), &tokens, shape)?;
        self.tape().record_one(OP, &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let gradient = backward(g, &tokens, [vocabulary, row])?;
                bw.give(0, gradient);
            }
            Ok(())
        })
    }
}

fn forward(table: &Tensor, tokens: &Tensor, shape: Shape) -> Result<Tensor> {
    let &[vocabulary, row] = table.shape().dims() else {
        return Err(Error::shape(OP, "no table"));
    };
    let y = Tensor::empty(table.device(), shape, DType::F32)?;
    if y.count() > 0 {
        let cells = Cells::of(row);
        let params = Params {
            cells: cells.count(y.count()),
            row: cells.count(row),
            vocabulary: vocabulary as u32,
        };
        let launch = cells.launch(table.device(), &EMBEDDING, y.count()).params(&params);
        launch.bind_next(table).bind_next(tokens).bind_next(&y).record()?;
    }
    Ok(y)
}

fn backward(g: &Tensor, tokens: &Tensor, [vocabulary, row]: [usize; 2]) -> Result<Tensor> {
    let device = g.device();
    if g.count() == 0 || vocabulary == 0 {
        return Tensor::zeros(device, [vocabulary, row], DType::F32);
    }
    let Sorted { order, starts } = sorted(tokens, vocabulary)?;
    let piece = PIECE.max(tokens.count().div_ceil(MOST_PIECES));
    let pieces = tokens.count().div_ceil(piece);
    let parts = Tensor::empty(device, [pieces, 2, row], DType::F32)?;
    let cells = Cells::of(row);
    let params = PartParams {
        row: cells.count(row),
        pieces: pieces as u32,
        piece: piece as u32,
        vocabulary: vocabulary as u32,
    };
    let launch = cells.launch(device, &EMBEDDING_PARTS, pieces * row).params(&params);
    launch
        .bind_next(g)
        .bind_next(tokens)
        .bind_next(&order)
        .bind_next(&starts)
        .bind_next(&parts)
        .record()?;
    let gradient = Tensor::empty(device, [vocabulary, row], DType::F32)?;
    let launch = cells.launch(device, &EMBEDDING_BACKWARD, vocabulary * row).params(&params);
    launch
        .bind_next(g)
        .bind_next(&order)
        .bind_next(&starts)
        .bind_next(&parts)
        .bind_next(&gradient)
        .record()?;
    Ok(gradient)
}

/// Refuses tokens that are not below the size of the vocabulary: for data on the host, before it is
/// uploaded.
///
/// # Errors
/// [`Error::Argument`] with the first such token and its position.
pub fn check_tokens(tokens: &[u32], vocabulary: usize) -> Result<()> {
    Range { op: "check_tokens", what: "token", below: vocabulary, padding: None }
        .check_slice(tokens)
}
