//! A neuron over its inputs: what the launches of both directions share.

use super::definition::Definition;
use super::drivers::Driver;
use super::params::{A_STEP, AROUND, EACH, EVERY, FIXED, MOST, RecurParams, SCALAR};
use crate::dispatch::{Launch, StepCost};
use crate::kernel::Kernel;
use crate::lif::Spikes;
use crate::{Result, Shape, Tensor};
use std::ops::Range;

/// How a neuron is run, and what is given out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Options {
    /// Parameters that are numbers, and those of surrogates, in the definition's order.
    pub(crate) values: [f32; MOST],
    pub(crate) output: Spikes,
    /// Whether the integral of a surrogate takes the place of its spikes.
    pub(crate) smooth: bool,
}

/// What both directions share.
pub(super) struct Layer {
    pub(super) driver: &'static Driver,
    pub(super) options: Options,
    /// The shape of an input: `[T, …]`.
    pub(super) shape: Shape,
    params: RecurParams,
    pub(super) forms: u32,
    /// All inputs, `[inputs, T, columns]`.
    pub(super) x: Tensor,
    /// The parameters that are tensors, one behind the other.
    pub(super) packed: Option<Tensor>,
}

impl Layer {
    /// Over inputs of `shape`, with parameters of so many elements, 0 for a number.
    pub(super) fn new(
        driver: &'static Driver,
        options: &Options,
        shape: Shape,
        x: &Tensor,
        counts: &[usize],
        packed: Option<Tensor>,
    ) -> Self {
        let params = RecurParams {
            columns: shape.iter().skip(1).product::<usize>() as u32,
            neurons: if shape.rank() > 1 { shape[shape.rank() - 1] as u32 } else { 1 },
            steps: shape.first().copied().unwrap_or(0) as u32,
            definition: driver.number,
            relaxed: options.smooth.into(),
            values: options.values,
            ..RecurParams::default()
        };
        let form = |count: &usize| match count {
            0 => FIXED,
            1 => SCALAR,
            _ => EACH,
        };
        let forms = counts.iter().rev().fold(0, |forms, count| forms << 2 | form(count));
        Self { driver, options: *options, shape, params, forms, x: x.clone(), packed }
    }

    pub(super) fn definition(&self) -> &'static Definition {
        &self.driver.definition
    }

    pub(super) fn columns(&self) -> usize {
        self.params.columns as usize
    }

    pub(super) fn neurons(&self) -> usize {
        self.params.neurons as usize
    }

    pub(super) fn steps(&self) -> usize {
        self.params.steps as usize
    }

    /// Whether the spikes are given out as bits.
    pub(super) fn is_packed(&self) -> bool {
        self.options.output == Spikes::Bits && self.definition().spikes
    }

    /// How many numbers a step emits besides spikes that are given out as bits.
    pub(super) fn dense(&self) -> usize {
        self.definition().emits - usize::from(self.is_packed())
    }

    /// Rows of saved states.
    pub(super) fn checkpoints(&self) -> usize {
        self.steps().div_ceil(EVERY) * self.definition().states.len()
    }

    /// The states beside each other, in the place of time.
    pub(super) fn state_shape(&self) -> Result<Shape> {
        self.shape.with(0, self.definition().states.len())
    }

    /// The steps of each launch, in order, in whole words of spikes.
    pub(super) fn parts(&self) -> Vec<Range<usize>> {
        let definition = self.definition();
        let ops = definition.forward.ops.len() + definition.backward.ops.len();
        let flops = (ops * self.columns()) as f64;
        let wide = definition.states.len() + definition.inputs.len() + definition.emits;
        let cost = StepCost { flops, iterations: A_STEP * wide as u64, around: AROUND };
        self.x.device().segments(self.steps(), 32, cost)
    }

    /// What both directions set alike: parameters, constants, input and grid.
    pub(super) fn prepare(
        &self,
        kernel: &'static Kernel,
        part: &Range<usize>,
        resume: u32,
    ) -> Launch {
        let device = self.x.device();
        let (first, end) = (part.start as u32, part.end as u32);
        let params = RecurParams { first, end, resume, ..self.params };
        let mut launch = device.launch(kernel).params(&params).items(self.columns());
        if part.len() >= device.tuning().march_from {
            launch = launch.constant("MARCH", true);
        }
        launch
            .constant("FORMS", self.forms)
            .constant("EVERY", EVERY as u32)
            .constant("PACKED", self.is_packed())
            .bind("x", &self.x)
            .bind_if("parameters", self.packed.as_ref())
    }
}
