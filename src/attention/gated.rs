//! The operator: options, checks, and what is recorded on the tape.

use super::OP;
use crate::error::{Error, Result};
use crate::tape::Var;
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

/// Spike-gated sliding-window attention with anchors.
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
}

impl SpikeAttention {
    /// Attention of `heads` heads: window 256, 4 anchors, a gate a position for keys and queries,
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
        }
    }

    /// How far back a query sees: the window holds `window + 1` positions, itself included.
    pub fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// How many positions at the start every later query sees, whatever its window.
    pub fn anchors(self, anchors: usize) -> Self {
        Self { anchors, ..self }
    }

    /// Which positions are open.
    pub fn gate(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Whether the gate silences queries too (it does by default), or keys only.
    pub fn query_gate(self, query_gate: bool) -> Self {
        Self { query_gate, ..self }
    }

    /// The base of the rotary position embedding, or none.
    pub fn rotary(self, base: Option<f64>) -> Self {
        Self { rotary: base, ..self }
    }

    /// What scores are multiplied by; `1/sqrt(d)` if not set.
    pub fn scale(self, scale: Option<f32>) -> Self {
        Self { scale, ..self }
    }

    /// Attention of `q`, `k`, `v`, all `[S, B, D]`, gated by `spikes [S, B, C]`.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::DType`], [`Error::Argument`], [`Error::DeviceMismatch`].
    pub fn attend(&self, q: &Var, k: &Var, v: &Var, spikes: &Tensor) -> Result<Var> {
        let gate = self.gates(spikes)?;
        self.attend_gated(q, k, v, &gate, self.query_gate.then_some(&gate))
    }

    /// Attention with gates of the caller's own.
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
        let _ = (q, k, v, key_gate, query_gate);
        Err(Error::argument(OP, format!("{} heads: not built yet", self.heads)))
    }

    /// The gate that `spikes` open.
    ///
    /// # Errors
    /// Those of [`attend`](Self::attend).
    pub fn gates(&self, spikes: &Tensor) -> Result<Tensor> {
        Err(Error::argument(OP, format!("{:?} of {}: not built yet", self.gate, spikes.shape())))
    }
}
