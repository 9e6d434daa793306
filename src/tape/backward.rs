//! Nodes, and the reverse walk over them.

use super::{Gradients, State};
use crate::device::Device;
use crate::dispatch::{InBackward, next_date};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;
use std::cell::OnceCell;

/// One operator.
pub(super) struct Node {
    op: &'static str,
    device: Device,
    /// What is known of each input that has a gradient.
    inputs: Vec<Option<Input>>,
    /// The slots of the outputs' gradients are `first .. first + outputs`.
    first: usize,
    outputs: usize,
    /// When it was recorded, by the clock of writes.
    recorded: u64,
    backward: BackwardFn,
}

/// An input that has a gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    pub(super) slot: usize,
    pub(super) shape: Shape,
}

pub(super) type BackwardFn = Box<dyn FnOnce(&mut Backward<'_>) -> Result<()> + Send>;

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("op", &self.op).finish_non_exhaustive()
    }
}

/// What a node's backward is called with: the gradients of its outputs, and a place for those of its
/// inputs.
#[derive(Debug)]
pub struct Backward<'a> {
    op: &'static str,
    device: &'a Device,
    upstream: &'a [Option<Tensor>],
    inputs: &'a [Option<Input>],
    given: Vec<Option<Tensor>>,
    /// The first mistake of the operator; the walk ends with it.
    fault: OnceCell<Error>,
}

impl Backward<'_> {
    /// The gradient of output `i`, if anything downstream depends on it. For an output that the
    /// operator does not have, `None`, and the backward pass fails.
    pub fn upstream(&self, i: usize) -> Option<&Tensor> {
        let Some(gradient) = self.upstream.get(i) else {
            let found = self.upstream.len();
            self.fault(Error::argument(self.op, format!("upstream {i} of {found} outputs")));
            return None;
        };
        gradient.as_ref()
    }

    /// Whether input `i` wants a gradient: work for those that do not can be left out.
    pub fn needs(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Option::is_some)
    }

    /// Gives the gradient of input `i`: f32 elements in the input's shape, on its device. Anything
    /// else, an input that the operator does not have, or a second gradient for one, fails the
    /// backward pass.
    pub fn give(&mut self, i: usize, gradient: Tensor) {
        match self.taken(i, &gradient) {
            Ok(true) => self.given[i] = Some(gradient),
            Ok(false) => {}
            Err(error) => self.fault(error),
        }
    }

    /// Whether a gradient of input `i` is wanted; an error if it cannot be one.
    fn taken(&self, i: usize, gradient: &Tensor) -> Result<bool> {
        let Some(input) = self.inputs.get(i) else {
            let detail = format!("a gradient for input {i} of {}", self.inputs.len());
            return Err(Error::argument(self.op, detail));
        };
        let Some(Input { shape, .. }) = input else { return Ok(false) };
        check_gradient(self.op, gradient, shape, self.device)?;
        if self.given[i].is_some() {
            return Err(Error::argument(self.op, format!("two gradients for input {i}")));
        }
        Ok(true)
    }

    fn fault(&self, error: Error) {
        // The first one counts.
        let _ = self.fault.set(error);
    }
}

/// Refuses a gradient that a value of `shape` on `device` cannot have.
pub(super) fn check_gradient(
    op: &'static str,
    gradient: &Tensor,
    shape: &Shape,
    device: &Device,
) -> Result<()> {
    if gradient.device() != device {
        let (left, right) = (device.to_string(), gradient.device().to_string());
        return Err(Error::DeviceMismatch { op, left, right });
    }
    gradient.expect(op, DType::F32)?;
    if gradient.shape() != shape {
        let detail = format!("a gradient {} for a value {shape}", gradient.shape());
        return Err(Error::shape(op, detail));
    }
    Ok(())
}

impl Node {
    pub(super) fn new(
        op: &'static str,
        device: Device,
        inputs: Vec<Option<Input>>,
        outputs: std::ops::Range<usize>,
        backward: BackwardFn,
    ) -> Self {
        let recorded = next_date();
        let (first, outputs) = (outputs.start, outputs.len());
        Self { op, device, inputs, first, outputs, recorded, backward }
    }

    /// Runs it, if anything depends on its outputs, and adds what it gives to its inputs' slots.
    fn run(self, slots: &mut [Option<Tensor>]) -> Result<()> {
        let outputs = self.first..self.first + self.outputs;
        let upstream: Vec<_> = slots[outputs].iter_mut().map(Option::take).collect();
        if upstream.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut call = Backward {
            op: self.op,
            device: &self.device,
            upstream: &upstream,
            inputs: &self.inputs,
            given: vec![None; self.inputs.len()],
            fault: OnceCell::new(),
        };
        let storages = upstream.iter().flatten().map(Tensor::storage);
        let running = InBackward::enter(self.op, self.recorded, storages);
        (self.backward)(&mut call)?;
        drop(running);
        call.fault.take().map_or(Ok(()), Err)?;
        for (input, gradient) in self.inputs.iter().zip(call.given) {
            if let (Some(input), Some(gradient)) = (input, gradient) {
                accumulate(&mut slots[input.slot], gradient)?;
            }
        }
        Ok(())
    }
}

/// The reverse walk over all that a tape recorded, from gradients of some slots.
pub(super) fn walk(tape: u64, recorded: State, seeds: Vec<(usize, Tensor)>) -> Result<Gradients> {
    let mut slots: Vec<Option<Tensor>> = vec![None; recorded.slots];
    for (slot, seed) in seeds {
        accumulate(&mut slots[slot], seed)?;
    }
    for node in recorded.nodes.into_iter().rev() {
        node.run(&mut slots)?;
    }
    Ok(Gradients::new((tape, recorded.generation), slots, recorded.params))
}

/// Adds a gradient to those that came before.
fn accumulate(place: &mut Option<Tensor>, gradient: Tensor) -> Result<()> {
    *place = Some(match place.take() {
        None => gradient,
        Some(sum) => crate::tensor::accumulate(sum, gradient)?,
    });
    Ok(())
}
