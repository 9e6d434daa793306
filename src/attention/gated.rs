//! The operator: options, checks, and what is recorded on the tape.

use super::geometry::Geometry;
use super::rotary::Rotary;
use super::scatter::{self, Rows};
use super::{OP, delta, forward, gate, gather, key_gradient, order, query_gradient};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::narrow::positive;
use crate::shape::Shape;
use crate::tape::{Backward, Var};
use crate::tensor::Tensor;

/// Which positions take part in attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gate {
    /// A position is open if any of its channels spikes: one gate for all heads.
    #[default]
    Position,
    /// A position is open in a head if any channel of that head spikes.
    Head,
    /// A position is open if at least so many of its channels spike: one gate for all heads.
    AtLeast(u32),
}

/// Sliding-window attention with anchors, between open positions only.
///
/// With queries, keys and values `[S, B, D]` of S tokens, head `h` being channels `h d .. (h + 1) d`,
/// and gates `p` (keys) and `g` (queries) that spikes open, for every batch row and head:
///
/// ```text
/// seen(i, j) = p_j and j <= i and (i - j <= window or j < anchors)
/// P_ij       = exp(scale q_i . k_j) / sum over seen j' of exp(scale q_i . k_j')
/// o_i        = g_i sum over seen j of P_ij v_j        0 if no key is seen
/// ```
///
/// where q and k are turned by their position first (rotary embedding: channel `c` of a head is paired
/// with `c + d/2`, angle `i base^(-2c/d)`). The window is inclusive: `window + 1` positions, the query's
/// own among them. Silent rows are not read, in either direction: work and traffic fall with the square
/// of the share of open positions. The gradients are those of q, k and v; a gate is a comparison and
/// passes none to the spikes.
///
/// Sources: the attention path of SymbolicLight V1 and SpikeGPT's spiking blocks; the sums run over
/// blocks of keys with a running maximum and are recomputed in backward from the logarithm of their
/// denominator (FlashAttention, Dao et al. 2022).
///
/// Keep the operator between calls (clones will do): it holds the tables of rotary angles that it
/// uploaded.
///
/// ```
/// use spikegrad::attention::SpikeAttention;
/// use spikegrad::{Device, Tape, Tensor};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let tape = Tape::new();
/// let x = tape.leaf(&Tensor::from_slice(&device, &[0.5f32, -1.0, 2.0, 0.25, 1.0, 3.0], [3, 1, 2])?);
/// // Only the last two of three tokens spike.
/// let spikes = [false, false, true, false, true, true];
/// let spikes = Tensor::from_bools(&device, &spikes, [3, 1, 2])?;
/// let attention = SpikeAttention::new(1).window(8).anchors(1);
/// let y = attention.attend(&x, &x, &x, &spikes)?;
/// let y = y.value().to_vec::<f32>()?;
/// assert_eq!(y[..4], [0.0, 0.0, 2.0, 0.25]); // silent; then alone with itself
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct SpikeAttention {
    pub(super) heads: usize,
    pub(super) window: usize,
    pub(super) anchors: usize,
    pub(super) gate: Gate,
    pub(super) query_gate: bool,
    pub(super) rotary: Option<f64>,
    pub(super) scale: Option<f32>,
    tables: Rotary,
}

impl SpikeAttention {
    /// Attention of `heads` heads: window 256, 4 anchors, one gate a position for keys and queries,
    /// rotary angles of base 10,000, scale `1/sqrt(d)`.
    pub fn new(heads: usize) -> Self {
        Self {
            heads,
            window: 256,
            anchors: 4,
            gate: Gate::Position,
            query_gate: true,
            rotary: Some(10_000.0),
            scale: None,
            tables: Rotary::default(),
        }
    }

    /// How far back a query sees; the window holds `window + 1` positions. 0 to 2^32 - 1; from S - 1
    /// on all that came before.
    pub fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// How many positions at the start every later query sees, whatever its window. 0 to 2^32 - 1.
    pub fn anchors(self, anchors: usize) -> Self {
        Self { anchors, ..self }
    }

    /// Which positions are open.
    pub fn gate(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Whether the gate silences queries too, as it does by default, or keys only.
    pub fn query_gate(self, query_gate: bool) -> Self {
        Self { query_gate, ..self }
    }

    /// The base of the rotary embedding, or none. With one, d must be even.
    pub fn rotary(self, base: Option<f64>) -> Self {
        Self { rotary: base, ..self }
    }

    /// What scores are multiplied by; `1/sqrt(d)` if not set.
    pub fn scale(self, scale: Option<f32>) -> Self {
        Self { scale, ..self }
    }

    /// Attention of `q`, `k` and `v`, all `[S, B, D]`, gated by `spikes [S, B, C]`, packed or f32. C may
    /// differ from D; for [`Gate::Head`] it must be a multiple of the heads.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that do not fit together or D no multiple of the heads;
    /// [`Error::DType`]; [`Error::Argument`] for no heads, a window, anchors, base or scale outside its
    /// domain, or rotary embedding of an odd d; [`Error::Limit`] on a software adapter for sums too
    /// long for it; [`Error::DeviceMismatch`], [`Error::TapeMismatch`].
    pub fn attend(&self, q: &Var, k: &Var, v: &Var, spikes: &Tensor) -> Result<Var> {
        let gate = self.gates(spikes)?;
        self.attend_gated(q, k, v, &gate, self.query_gate.then_some(&gate))
    }

    /// Attention with gates of the caller's own: u32 or f32, `[S, B]` or a head each `[S, B, H]`, open
    /// where they are not 0. Without `query_gate` every query is open. The options
    /// [`gate`](Self::gate) and [`query_gate`](Self::query_gate) play no part.
    ///
    /// # Errors
    /// Those of [`attend`](Self::attend).
    pub fn attend_gated(
        &self,
        q: &Var,
        k: &Var,
        v: &Var,
        key_gate: &Tensor,
        query_gate: Option<&Tensor>,
    ) -> Result<Var> {
        let inputs = [q, k, v];
        let p = self.geometry(inputs, key_gate, query_gate)?;
        let values = inputs.map(Var::value);
        if q.shape().count() == 0 {
            let nothing = Tensor::zeros(q.device(), *q.shape(), DType::F32)?;
            return q.tape().record_one(OP, &inputs, nothing.clone(), move |bw| {
                (0..3).for_each(|i| bw.give(i, nothing.clone()));
                Ok(())
            });
        }
        let order = order::of(&p, key_gate, query_gate)?;
        let table = match (self.rotary, p.half as usize) {
            (Some(base), half @ 1..) => {
                Some(self.tables.table(q.device(), base, half, p.steps as usize)?)
            }
            _ => None,
        };
        let rows = gather::run(&p, &order, table.as_ref(), values)?;
        let out = forward::run(&p, &order, &rows)?;
        let plain = Rows { keys: false, table: None, scaled: false };
        let y = scatter::run(&p, &order, &out.o, plain, *q.shape())?;
        let saved = Saved { p, order, table, rows, o: out.o, stats: out.stats, shape: *q.shape() };
        q.tape().record_one(OP, &inputs, y, |bw| saved.backward(bw))
    }

    /// The gate that `spikes [S, B, C]` open: 0 or 1, `[S, B]` or, for [`Gate::Head`], `[S, B, H]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for spikes of another rank, or channels that do not fall into the heads;
    /// [`Error::DType`] for elements that are neither bits nor f32; [`Error::Argument`] for no heads.
    pub fn gates(&self, spikes: &Tensor) -> Result<Tensor> {
        self.check()?;
        gate::gate_of(spikes, self.gate, self.heads)
    }

    /// Checks the options that stand for themselves.
    pub(super) fn check(&self) -> Result<()> {
        let wrong = |detail: String| Err(Error::argument(OP, detail));
        if self.heads == 0 {
            return wrong("no heads".into());
        }
        for (name, value) in [("window", self.window), ("anchors", self.anchors)] {
            if u32::try_from(value).is_err() {
                return wrong(format!("{name} of {value}, allowed are 0 to {}", u32::MAX));
            }
        }
        if let Some(base) = self.rotary {
            positive(OP, "rotary base", base)?;
        }
        match self.scale {
            Some(scale) if !scale.is_finite() => wrong(format!("a scale of {scale}")),
            _ => Ok(()),
        }
    }

    /// Checks what goes in and takes its extents.
    fn geometry(
        &self,
        [q, k, v]: [&Var; 3],
        key_gate: &Tensor,
        query_gate: Option<&Tensor>,
    ) -> Result<Geometry> {
        self.check()?;
        let &[steps, batch, width] = q.shape().dims() else {
            return Err(Error::shape(OP, format!("queries of {}, not [S, B, D]", q.shape())));
        };
        for (name, input) in [("queries", q), ("keys", k), ("values", v)] {
            input.value().same_device(OP, q.value())?;
            input.value().expect(OP, DType::F32)?;
            if input.shape() != q.shape() {
                let detail = format!("{name} of {}, queries of {}", input.shape(), q.shape());
                return Err(Error::shape(OP, detail));
            }
        }
        if !width.is_multiple_of(self.heads) {
            let detail = format!("{width} channels do not fall into {} heads", self.heads);
            return Err(Error::shape(OP, detail));
        }
        let width = width / self.heads;
        if self.rotary.is_some() && !width.is_multiple_of(2) {
            let detail = format!("rotary embedding of heads of {width} channels: an odd number");
            return Err(Error::argument(OP, detail));
        }
        let key_groups = self.groups("key", q, key_gate)?;
        let query_groups = match query_gate {
            Some(gate) => self.groups("query", q, gate)?,
            None => 0,
        };
        let shares = query_gate.is_some_and(|gate| std::ptr::eq(gate, key_gate));
        let geometry = Geometry {
            steps: steps as u32,
            batch: batch as u32,
            heads: self.heads as u32,
            width: width as u32,
            quads: width.div_ceil(4) as u32,
            half: if self.rotary.is_some() { width as u32 / 2 } else { 0 },
            window: self.window.min(steps) as u32,
            anchors: self.anchors.min(steps) as u32,
            key_groups,
            query_groups,
            query_base: if shares { 0 } else { batch as u32 * key_groups },
            segments: 0,
            scale: self.scale.unwrap_or((width.max(1) as f32).sqrt().recip()),
        };
        Ok(geometry.split())
    }

    /// Gates a batch row of `gate`.
    fn groups(&self, name: &str, q: &Var, gate: &Tensor) -> Result<u32> {
        gate.same_device(OP, q.value())?;
        if gate.dtype() != DType::F32 {
            gate.expect(OP, DType::U32)?;
        }
        let dims = q.shape().dims();
        match gate.shape().dims() {
            [s, b] if [*s, *b] == dims[..2] => Ok(1),
            [s, b, h] if [*s, *b] == dims[..2] && *h == self.heads => Ok(*h as u32),
            _ => {
                let detail = format!(
                    "a {name} gate of {} for {}: neither [S, B] nor [S, B, {}]",
                    gate.shape(),
                    q.shape(),
                    self.heads
                );
                Err(Error::shape(OP, detail))
            }
        }
    }
}

/// What forward keeps: compact rows, and how they lie.
struct Saved {
    p: Geometry,
    order: Tensor,
    table: Option<Tensor>,
    /// Of q, k and v.
    rows: [Tensor; 3],
    o: Tensor,
    stats: Tensor,
    shape: Shape,
}

impl Saved {
    /// Gives the gradients of q, k and v.
    fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let Some(go) = bw.upstream(0) else { return Ok(()) };
        let (p, order) = (&self.p, &self.order);
        let go = delta::run(p, order, &self.o, go, &self.stats)?;
        let turned = self.table.as_ref();
        if bw.needs(0) {
            let gq = query_gradient::run(p, order, &self.rows, &go, &self.stats)?;
            let rows = Rows { keys: false, table: turned, scaled: true };
            bw.give(0, scatter::run(p, order, &gq, rows, self.shape)?);
        }
        if bw.needs(1) || bw.needs(2) {
            let [gk, gv] = key_gradient::run(p, order, &self.rows, &go, &self.stats)?;
            for (input, sums, table) in [(1, gk, turned), (2, gv, None)] {
                if bw.needs(input) {
                    let rows = Rows { keys: true, table, scaled: false };
                    bw.give(input, scatter::run(p, order, &sums, rows, self.shape)?);
                }
            }
        }
        Ok(())
    }
}
