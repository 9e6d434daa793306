//! Reverse-mode differentiation over device tensors.

mod backward;
mod check;
mod gradients;
mod param;
mod var;

pub use backward::Backward;
pub use check::{GradCheck, adjoint_gap, gradient_check};
pub use gradients::Gradients;
pub use param::{Orientation, Param};
pub use var::Var;

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use backward::{Input, Node};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use var::Place;

/// Records operators in creation order; [`Var::backward`] walks them in reverse, each node consuming
/// its upstream gradient and recording launches on the same stream as the forward pass.
///
/// A backward pass uses up what was recorded, and frees what each node saved as it goes. The tape is
/// empty then and may be used again; variables from before have no place on it, and an operator that
/// takes one is an error.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// No two tapes of a process have one.
    id: u64,
    state: Mutex<State>,
    /// Whether operators are recorded at all.
    off: bool,
}

/// What was recorded since the last backward pass. It holds slots and no [`Var`]s, which would keep
/// the tape, and with it themselves, alive.
#[derive(Debug, Default)]
struct State {
    /// How many backward passes there were.
    generation: u64,
    /// The gradients that the pass will have places for.
    slots: usize,
    nodes: Vec<Node>,
    /// The slots of parameters, by their ids.
    params: HashMap<u64, usize>,
}

impl Default for Inner {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), state: Mutex::default(), off: false }
    }
}

impl State {
    /// Room for `count` gradients.
    fn take_slots(&mut self, count: usize) -> std::ops::Range<usize> {
        let first = self.slots;
        self.slots += count;
        first..self.slots
    }

    /// Refuses a place from before the last backward pass.
    fn check(&self, op: &'static str, place: Place) -> Result<usize> {
        if place.generation == self.generation {
            return Ok(place.slot);
        }
        let detail = "the variable was recorded before a backward pass of its tape, which used up \
                      what was recorded: make it anew, or detach it";
        Err(Error::argument(op, detail))
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tape that records nothing: for inference. Nothing is saved, nothing has a gradient. All such
    /// tapes count as one: their variables may meet.
    pub fn off() -> Self {
        Self { inner: Arc::new(Inner { off: true, ..Inner::default() }) }
    }

    /// Whether it records.
    pub fn is_on(&self) -> bool {
        !self.inner.off
    }

    /// A variable that gets a gradient.
    pub fn leaf(&self, value: &Tensor) -> Var {
        if self.inner.off {
            return self.constant(value);
        }
        let mut state = self.state();
        let place = Place { generation: state.generation, slot: state.take_slots(1).start };
        Var::new(self.clone(), value.clone(), Some(place))
    }

    /// A variable that gets none.
    pub fn constant(&self, value: &Tensor) -> Var {
        Var::new(self.clone(), value.clone(), None)
    }

    /// The leaf of a parameter: the same one however often it is asked for between two backward
    /// passes.
    pub fn param(&self, param: &Param) -> Var {
        if self.inner.off {
            return self.constant(param.value());
        }
        let mut state = self.state();
        let slot = match state.params.get(&param.id()) {
            Some(slot) => *slot,
            None => {
                let slot = state.take_slots(1).start;
                state.params.insert(param.id(), slot);
                slot
            }
        };
        let place = Place { generation: state.generation, slot };
        Var::new(self.clone(), param.value().clone(), Some(place))
    }

    /// Records an operator: the door for the crate's own and for a caller's.
    ///
    /// `inputs` are what it was computed from, `outputs` what it computed. `backward` runs at most
    /// once, if any output has a gradient; it reads [`Backward::upstream`] and gives one gradient
    /// for each input that [`needs`](Backward::needs) one, of that input's shape.
    ///
    /// What `backward` saves are tensors: a [`Var`] in it would keep its own tape alive for ever. If
    /// one that existed before is written between here and the backward pass, its first use there is
    /// [`Error::Changed`].
    ///
    /// # Errors
    /// [`Error::TapeMismatch`] if an input belongs to another tape; [`Error::Argument`] if one is
    /// from before a backward pass of this tape.
    pub fn record(
        &self,
        op: &'static str,
        inputs: &[&Var],
        outputs: Vec<Tensor>,
        backward: impl FnOnce(&mut Backward<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Vec<Var>> {
        if inputs.iter().any(|v| !self.is(v.tape())) {
            return Err(Error::TapeMismatch { op });
        }
        let mut state = self.state();
        let input = |var: &&Var| {
            let Some(place) = var.place() else { return Ok(None) };
            Ok(Some(Input { slot: state.check(op, place)?, shape: *var.shape() }))
        };
        let known: Vec<Option<Input>> = inputs.iter().map(input).collect::<Result<_>>()?;
        if known.iter().all(Option::is_none) {
            return Ok(outputs.into_iter().map(|t| Var::new(self.clone(), t, None)).collect());
        }
        let slots = state.take_slots(outputs.len());
        let device = inputs[0].device().clone();
        state.nodes.push(Node::new(op, device, known, slots.clone(), Box::new(backward)));
        let generation = state.generation;
        let var = |(slot, t)| Var::new(self.clone(), t, Some(Place { generation, slot }));
        Ok(slots.zip(outputs).map(var).collect())
    }

    /// Like [`record`](Self::record), for an operator with one output.
    ///
    /// # Errors
    /// Those of [`record`](Self::record).
    pub fn record_one(
        &self,
        op: &'static str,
        inputs: &[&Var],
        output: Tensor,
        backward: impl FnOnce(&mut Backward<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Var> {
        let mut outputs = self.record(op, inputs, vec![output], backward)?;
        outputs.pop().ok_or(Error::TapeMismatch { op })
    }

    fn is(&self, other: &Tape) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || (self.inner.off && other.inner.off)
    }

    fn id(&self) -> u64 {
        self.inner.id
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reverse walk from gradients of some places.
    fn run_backward(&self, seeds: Vec<(Place, Tensor)>) -> Result<Gradients> {
        let mut state = self.state();
        let seed = |(place, seed)| Ok((state.check("backward", place)?, seed));
        let seeds = seeds.into_iter().map(seed).collect::<Result<_>>()?;
        let next = State { generation: state.generation + 1, ..State::default() };
        let recorded = std::mem::replace(&mut *state, next);
        // Operators' backward passes may use the tape.
        drop(state);
        backward::walk(self.id(), recorded, seeds)
    }
}
