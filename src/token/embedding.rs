//! Rows of a table by token.

use super::rows::each_row;
use super::sort::{Sorted, sorted};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::reduce::Range;
use crate::tensor::{BY_FOUR, Items};
use crate::{DType, Error, Result, Shape, Tensor, Var};

crate::kernel! {
    /// `y[i] = table[tokens[i]]`
    pub(super) static EMBEDDING = "token/embedding";
    params = struct EmbeddingParams {
        items: u32,
        row: u32,
        vocabulary: u32,
    };
    oracle = embedding_oracle;
    variants = BY_FOUR;
    cost = cost;
}

crate::kernel! {
    /// Sums of gradients over the places of a token that reach over the edge of a piece.
    pub(super) static EMBEDDING_PARTS = "token/embedding_parts";
    params = PartParams;
    oracle = embedding_parts_oracle;
    variants = BY_FOUR;
    cost = cost_of_parts;
    iterations = |args| 4 + 2 * u64::from(args.params::<PartParams>().piece);
}

crate::kernel! {
    /// `gtable[v] = sum of g[i] over tokens[i] = v`
    pub(super) static EMBEDDING_BACKWARD = "token/embedding_backward";
    params = PartParams;
    oracle = embedding_backward_oracle;
    variants = BY_FOUR;
    cost = cost_of_gradient;
    iterations = |args| {
        let p: PartParams = args.params();
        u64::from(p.piece.max(p.pieces)) + 2
    };
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
    Cost { bytes: 4.0 * (args.words_of("tokens") + 2 * args.words_of("y")) as f64, flops: 0.0 }
}

/// At the most every gradient is read.
fn cost_of_parts(args: &CostArgs<'_>) -> Cost {
    let count = args.words_of("g") as f64;
    Cost { bytes: 4.0 * (count + args.words_of("parts") as f64), flops: count }
}

/// Every row of the table is written, and every gradient read once, here or for its part.
fn cost_of_gradient(args: &CostArgs<'_>) -> Cost {
    let words = ["g", "order", "starts", "table"].map(|name| args.words_of(name));
    Cost { bytes: 4.0 * words.iter().sum::<u64>() as f64, flops: words[0] as f64 }
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
        let items = Items::of(row);
        let params = EmbeddingParams {
            items: items.count(y.count()),
            row: items.count(row),
            vocabulary: vocabulary as u32,
        };
        let launch = items.launch(table.device(), &EMBEDDING, y.count()).params(&params);
        launch.bind("table", table).bind("tokens", tokens).bind("y", &y).record()?;
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
    let items = Items::of(row);
    let params = PartParams {
        row: items.count(row),
        pieces: pieces as u32,
        piece: piece as u32,
        vocabulary: vocabulary as u32,
    };
    let launch = items.launch(device, &EMBEDDING_PARTS, pieces * row).params(&params);
    launch
        .bind("g", g)
        .bind("tokens", tokens)
        .bind("order", &order)
        .bind("starts", &starts)
        .bind("parts", &parts)
        .record()?;
    let gradient = Tensor::empty(device, [vocabulary, row], DType::F32)?;
    let launch = items.launch(device, &EMBEDDING_BACKWARD, vocabulary * row).params(&params);
    launch
        .bind("g", g)
        .bind("order", &order)
        .bind("starts", &starts)
        .bind("parts", &parts)
        .bind("table", &gradient)
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

fn embedding_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: EmbeddingParams = args.params();
    let (table, tokens, y) = (args.reals("table"), args.words("tokens"), args.reals_mut("y"));
    let length = y.len() / tokens.len();
    each_row(y, length, |i, y| match tokens[i] < p.vocabulary {
        true => y.copy_from_slice(&table[tokens[i] as usize * length..][..length]),
        false => y.fill(R::zero()),
    });
}

/// Gradients in the order of their tokens.
struct Segments<'a, R> {
    g: &'a [R],
    order: &'a [u32],
    starts: &'a [u32],
    length: usize,
    piece: usize,
}

impl<R: Real> Segments<'_, R> {
    /// The places of token `v`.
    fn places(&self, v: usize) -> std::ops::Range<usize> {
        self.starts[v] as usize..self.starts[v + 1] as usize
    }

    /// The sum of the rows at some places.
    fn sum(&self, places: std::ops::Range<usize>, sum: &mut [R]) {
        sum.fill(R::zero());
        for position in &self.order[places] {
            add(sum, &self.g[*position as usize * self.length..][..self.length]);
        }
    }
}

fn embedding_parts_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PartParams = args.params();
    let (g, tokens, order, starts) =
        (args.reals("g"), args.words("tokens"), args.words("order"), args.words("starts"));
    let parts = args.reals_mut("parts");
    let (length, piece) = (g.len() / tokens.len(), p.piece as usize);
    let inside = starts[p.vocabulary as usize] as usize;
    let segments = Segments { g, order, starts, length, piece };
    let token = |place: usize| tokens[order[place] as usize] as usize;
    parts.par_chunks_mut(2 * length).enumerate().for_each(|(s, parts)| {
        let (first, end) = (s * piece, inside.min((s + 1) * piece));
        if first >= end {
            return;
        }
        let (head, tail) = parts.split_at_mut(length);
        let before = segments.places(token(first));
        if before.start < first {
            segments.sum(first..end.min(before.end), head);
        }
        let after = segments.places(token(end - 1));
        if after.start >= first && after.end > end {
            segments.sum(after.start..end, tail);
        }
    });
}

fn embedding_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: PartParams = args.params();
    let (g, order, starts) = (args.reals("g"), args.words("order"), args.words("starts"));
    let (parts, table) = (args.reals("parts"), args.reals_mut("table"));
    let length = table.len() / p.vocabulary as usize;
    let segments = Segments { g, order, starts, length, piece: p.piece as usize };
    each_row(table, length, |v, row| {
        let places = segments.places(v);
        if places.is_empty() {
            return row.fill(R::zero());
        }
        let (first, last) = (places.start / segments.piece, (places.end - 1) / segments.piece);
        if first == last {
            return segments.sum(places, row);
        }
        row.copy_from_slice(&parts[(2 * first + 1) * length..][..length]);
        for s in first + 1..=last {
            add(row, &parts[2 * s * length..][..length]);
        }
    });
}

/// `sum += x`
fn add<R: Real>(sum: &mut [R], x: &[R]) {
    sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x);
}
