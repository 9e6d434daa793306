//! Attention without a softmax, on binary queries, keys and values.

mod lanes;
mod operand;
pub(super) mod outer;
pub(super) mod overlap;
pub(super) mod rows;

use crate::{DType, Error, Result, Tensor, Var};
pub(crate) use lanes::HeadParams;
use lanes::Lanes;
use rows::Rows;

const OP: &str = "spike_product";

/// In which order `Q K^T V` is multiplied. The outcome is the same to the bit: sums of products of
/// spikes are integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// [`Quadratic`](Self::Quadratic) on a GPU where `2 S <= d`, else [`Linear`](Self::Linear).
    #[default]
    Auto,
    /// `Q (K^T V)`: `S d^2` operations a head, 1/32 of them (for `K^T V`) by population counts.
    Linear,
    /// `(Q K^T) V`: `S^2 d` operations a head.
    Quadratic,
}

/// Spiking self-attention: `O = scale (Q K^T) V` in each head of each sample, over all tokens, for
/// spikes Q, K, V. No softmax, no mask: what a query sees is a count of coinciding spikes.
///
/// Spikes `[S, .., D]` are packed along the S tokens ([`DType::Bits`]); f32 spikes are packed first.
/// Channels `h d .. (h + 1) d` belong to head h, `d = D / heads`. The outcome is f32 `[S, .., D]`.
/// All counts are exact as long as they are below 2^24 (`S d <= 2^24` is enough), so that both
/// [`Form`]s, and every device, agree to the bit.
///
/// ```
/// use spikegrad::{Device, Tape, Tensor, attention::SpikeProduct};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let tape = Tape::new();
/// let spikes = |s: [bool; 4]| Tensor::from_bools(&device, &s, [2, 1, 2]).map(|s| tape.leaf(&s));
/// let q = spikes([true, true, false, true])?; // two tokens, one sample, two channels
/// let k = spikes([true, false, true, true])?;
/// let v = spikes([false, true, true, true])?;
/// let o = SpikeProduct::new(1).scale(0.5).attend(&q, &k, &v)?;
/// assert_eq!(o.value().to_vec::<f32>()?, [1.0, 1.5, 0.5, 0.5]);
/// # Ok(())
/// # }
/// ```
///
/// Zhou et al., "Spikformer: When Spiking Neural Network Meets Transformer", ICLR 2023, equation 6.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct SpikeProduct {
    heads: usize,
    scale: f32,
    form: Form,
}

impl SpikeProduct {
    /// With this many heads, a scale of 0.125 (that of Spikformer) and [`Form::Auto`].
    pub fn new(heads: usize) -> Self {
        Self { heads, scale: 0.125, form: Form::Auto }
    }

    /// What the counts are multiplied by.
    pub fn scale(mut self, scale: f32) -> Self {
        self.scale = scale;
        self
    }

    /// The order of the products.
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// `scale Q K^T V`, f32 of the shape of `q`. Two launches.
    ///
    /// Gradients are those of the product as a function of real numbers, and always come from the
    /// linear form: with `M = K^T V` and `gM = scale Q^T gO`, `gQ = scale gO M^T`, `gK = V gM^T`,
    /// `gV = K gM`. Four launches, none of them quadratic in S. What is saved is packed, but for M.
    ///
    /// # Errors
    /// [`Error::Argument`] for no heads or a scale that is not finite; [`Error::Shape`] for fewer than
    /// two axes, shapes that differ, channels that are no multiple of the heads; [`Error::DType`] for
    /// other elements than bits and f32; [`Error::DeviceMismatch`], [`Error::TapeMismatch`];
    /// [`Error::Limit`], [`Error::OutOfMemory`].
    pub fn attend(&self, q: &Var, k: &Var, v: &Var) -> Result<Var> {
        let lanes = self.check(q, k, v)?;
        let shape = *q.shape();
        if shape.count() == 0 {
            let nothing = Tensor::zeros(q.device(), shape, DType::F32)?;
            return q.tape().record_one(OP, &[q, k, v], nothing.clone(), move |bw| {
                (0..3).for_each(|i| bw.give(i, nothing.clone()));
                Ok(())
            });
        }
        let (q, k, v) = (packed(q)?, packed(k)?, packed(v)?);
        let operands = [q.value(), k.value(), v.value()].map(Tensor::clone);
        let short = 2 * lanes.steps <= lanes.width && q.device().tuning().scores;
        let (o, overlap) = match self.form {
            Form::Auto if short => self.quadratic(lanes, &operands)?,
            Form::Quadratic => self.quadratic(lanes, &operands)?,
            Form::Auto | Form::Linear => self.linear(lanes, &operands)?,
        };
        let saved = Saved { lanes, scale: self.scale, operands, overlap };
        q.tape().record_one(OP, &[&q, &k, &v], o.reshape(shape)?, move |bw| saved.backward(bw))
    }

    /// `Q (K^T V)`, and `K^T V`.
    fn linear(&self, lanes: Lanes, [q, k, v]: &[Tensor; 3]) -> Result<(Tensor, Option<Tensor>)> {
        let d = lanes.width;
        let m = overlap::overlap(k, v, lanes)?;
        let rows = Rows { a: q, b: &m, transposed: false, k: d, n: d, scale: self.scale };
        Ok((rows.run(lanes)?, Some(m)))
    }

    /// `(Q K^T) V`.
    fn quadratic(&self, lanes: Lanes, [q, k, v]: &[Tensor; 3]) -> Result<(Tensor, Option<Tensor>)> {
        let (s, d) = (lanes.steps, lanes.width);
        let scores = Rows { a: q, b: k, transposed: true, k: d, n: s, scale: 1.0 }.run(lanes)?;
        let rows = Rows { a: &scores, b: v, transposed: false, k: s, n: d, scale: self.scale };
        Ok((rows.run(lanes)?, None))
    }

    fn check(&self, q: &Var, k: &Var, v: &Var) -> Result<Lanes> {
        if self.heads == 0 {
            return Err(Error::argument(OP, "no heads"));
        }
        if !self.scale.is_finite() {
            return Err(Error::argument(OP, format!("a scale of {}", self.scale)));
        }
        for input in [q, k, v] {
            q.value().same_device(OP, input.value())?;
            if !matches!(input.dtype(), DType::Bits | DType::F32) {
                let (expected, found) = ("bits or f32".into(), input.dtype().to_string());
                return Err(Error::DType { op: OP, expected, found });
            }
        }
        let &[steps, ref samples @ .., channels] = q.shape().dims() else {
            return Err(Error::shape(OP, format!("queries of {}, not [S, .., D]", q.shape())));
        };
        if k.shape() != q.shape() || v.shape() != q.shape() {
            let detail = format!("queries {}, keys {}, values {}", q.shape(), k.shape(), v.shape());
            return Err(Error::shape(OP, detail));
        }
        if !channels.is_multiple_of(self.heads) {
            return Err(Error::shape(OP, format!("{channels} channels for {} heads", self.heads)));
        }
        let count = samples.iter().product::<usize>() * self.heads;
        Ok(Lanes { steps, count, width: channels / self.heads })
    }
}

/// The spikes as bits; the gradient passes.
fn packed(spikes: &Var) -> Result<Var> {
    if spikes.dtype() == DType::Bits { Ok(spikes.clone()) } else { spikes.pack() }
}

/// What backward needs.
struct Saved {
    lanes: Lanes,
    scale: f32,
    operands: [Tensor; 3],
    /// `K^T V`, where forward made it.
    overlap: Option<Tensor>,
}

impl Saved {
    fn backward(&self, bw: &mut crate::tape::Backward<'_>) -> Result<()> {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let [q, k, v] = &self.operands;
        let (lanes, d, shape) = (self.lanes, self.lanes.width, *g.shape());
        let product = |a: &Tensor, b: &Tensor, transposed, scale| {
            Rows { a, b, transposed, k: d, n: d, scale }.run(lanes)?.reshape(shape)
        };
        if bw.needs(0) {
            let m = match &self.overlap {
                Some(m) => m.clone(),
                None => overlap::overlap(k, v, lanes)?,
            };
            bw.give(0, product(&g, &m, true, self.scale)?);
        }
        if bw.needs(1) || bw.needs(2) {
            let gm = outer::outer(q, &g, lanes, self.scale)?;
            if bw.needs(1) {
                bw.give(1, product(v, &gm, true, 1.0)?);
            }
            if bw.needs(2) {
                bw.give(2, product(k, &gm, false, 1.0)?);
            }
        }
        Ok(())
    }
}
