//! Reverse-mode differentiation over device tensors.

mod check;
mod gradients;
mod param;
mod var;

pub use check::{GradCheck, adjoint_gap, gradient_check};
pub use gradients::Gradients;
pub use param::Param;
pub use var::Var;

use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Records operators in creation order; [`Var::backward`] walks them in reverse, each node consuming
/// its upstream gradient and recording launches on the same stream as the forward pass.
///
/// A tape is made for one forward pass and used up by its backward pass, which frees what each node
/// saved as it goes.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: Mutex<Vec<Node>>,
    params: Mutex<HashMap<u64, Var>>,
    /// Whether operators are recorded at all.
    off: bool,
}

/// One operator, or one leaf.
struct Node {
    /// For each input: the slot of its gradient, if it has one.
    inputs: Vec<Option<usize>>,
    /// The slots of the outputs' gradients are `first .. first + outputs`.
    first: usize,
    outputs: usize,
    backward: Option<BackwardFn>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

type BackwardFn = Box<dyn FnOnce(&mut Backward<'_>) -> Result<()> + Send>;

/// What a node's backward is called with: the gradients of its outputs, and a place for those of its
/// inputs.
#[derive(Debug)]
pub struct Backward<'a> {
    upstream: &'a [Option<Tensor>],
    needs: &'a [bool],
    given: Vec<Option<Tensor>>,
}

impl Backward<'_> {
    /// The gradient of output `i`, if anything downstream depends on it.
    pub fn upstream(&self, i: usize) -> Option<&Tensor> {
        self.upstream[i].as_ref()
    }

    /// Whether input `i` wants a gradient: work for those that do not can be left out.
    pub fn needs(&self, i: usize) -> bool {
        self.needs[i]
    }

    /// Gives the gradient of input `i`.
    pub fn give(&mut self, i: usize, gradient: Tensor) {
        if self.needs[i] {
            self.given[i] = Some(gradient);
        }
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// A tape that records nothing: for inference. Nothing is saved, nothing has a gradient.
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
        let mut nodes = self.nodes();
        let slot = next_slot(&nodes);
        nodes.push(Node { inputs: Vec::new(), first: slot, outputs: 1, backward: None });
        Var::new(self.clone(), value.clone(), Some(slot))
    }

    /// A variable that gets none.
    pub fn constant(&self, value: &Tensor) -> Var {
        Var::new(self.clone(), value.clone(), None)
    }

    /// The leaf of a parameter: the same one however often it is asked for.
    pub fn param(&self, param: &Param) -> Var {
        let mut params = self.inner.params.lock().unwrap_or_else(PoisonError::into_inner);
        params.entry(param.id()).or_insert_with(|| self.leaf(param.value())).clone()
    }

    /// Records an operator: the door for the crate's own and for a caller's.
    ///
    /// `inputs` are what it was computed from, `outputs` what it computed. `backward` runs at most
    /// once, if any output has a gradient; it reads [`Backward::upstream`] and gives one gradient
    /// for each input that [`needs`](Backward::needs) one, of that input's shape.
    ///
    /// # Errors
    /// [`Error::TapeMismatch`] if an input belongs to another tape.
    pub fn record(
        &self,
        op: &'static str,
        inputs: &[&Var],
        outputs: Vec<Tensor>,
        backward: impl FnOnce(&mut Backward<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Vec<Var>> {
        if inputs.iter().any(|v| !Arc::ptr_eq(&v.tape().inner, &self.inner)) {
            return Err(Error::TapeMismatch { op });
        }
        let slots: Vec<Option<usize>> = inputs.iter().map(|v| v.slot()).collect();
        if self.inner.off || slots.iter().all(Option::is_none) {
            return Ok(outputs.into_iter().map(|t| Var::new(self.clone(), t, None)).collect());
        }
        let mut nodes = self.nodes();
        let first = next_slot(&nodes);
        nodes.push(Node {
            inputs: slots,
            first,
            outputs: outputs.len(),
            backward: Some(Box::new(backward)),
        });
        let var = |(i, t): (usize, Tensor)| Var::new(self.clone(), t, Some(first + i));
        Ok(outputs.into_iter().enumerate().map(var).collect())
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

    fn nodes(&self) -> MutexGuard<'_, Vec<Node>> {
        self.inner.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reverse walk from gradients of some slots.
    fn run_backward(&self, seeds: Vec<(usize, Tensor)>) -> Result<Gradients> {
        let nodes = std::mem::take(&mut *self.nodes());
        let mut slots: Vec<Option<Tensor>> = vec![None; next_slot(&nodes)];
        for (slot, seed) in seeds {
            match slots.get_mut(slot) {
                Some(place) => accumulate(place, seed)?,
                None => {
                    let detail = "the tape was used up by an earlier backward pass";
                    return Err(Error::argument("backward", detail));
                }
            }
        }
        for node in nodes.into_iter().rev() {
            let Some(backward) = node.backward else { continue };
            let upstream: Vec<_> =
                slots[node.first..node.first + node.outputs].iter_mut().map(Option::take).collect();
            if upstream.iter().all(Option::is_none) {
                continue;
            }
            let needs: Vec<bool> = node.inputs.iter().map(Option::is_some).collect();
            let given = vec![None; needs.len()];
            let mut call = Backward { upstream: &upstream, needs: &needs, given };
            backward(&mut call)?;
            for (slot, gradient) in node.inputs.iter().zip(call.given) {
                if let (Some(slot), Some(gradient)) = (slot, gradient) {
                    accumulate(&mut slots[*slot], gradient)?;
                }
            }
        }
        let params = self.inner.params.lock().unwrap_or_else(PoisonError::into_inner);
        let of_param = params.iter().filter_map(|(id, var)| Some((*id, var.slot()?))).collect();
        Ok(Gradients::new(slots, of_param))
    }
}

fn next_slot(nodes: &[Node]) -> usize {
    nodes.last().map_or(0, |n| n.first + n.outputs)
}

/// Adds a gradient to those that came before.
fn accumulate(place: &mut Option<Tensor>, gradient: Tensor) -> Result<()> {
    *place = Some(match place.take() {
        None => gradient,
        Some(sum) => crate::elementwise::accumulate(sum, gradient)?,
    });
    Ok(())
}
