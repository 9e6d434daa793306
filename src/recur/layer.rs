//! A cell over an input: what the launches of both directions share.

use super::params::{EACH, EVERY, FIXED, MOST, RecurParams, SCALAR, most_steps};
use super::reset::Reset;
use crate::dispatch::Launch;
use crate::kernel::Kernel;
use crate::lif::{Spikes, Surrogate};
use crate::{Result, Shape, Tensor};
use std::ops::Range;

/// A cell's kernels.
#[derive(Debug)]
pub(crate) struct Driver {
    /// The operator's name in errors.
    pub(crate) op: &'static str,
    pub(crate) forward: &'static Kernel,
    pub(crate) backward: &'static Kernel,
    /// The number of its states.
    pub(crate) states: usize,
    /// The names of its parameters.
    pub(crate) parameters: &'static [&'static str],
}

/// How a cell's neurons fire, and what is given out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Options {
    /// Parameters that are numbers, in the cell's order.
    pub(crate) values: [f32; MOST],
    pub(crate) reset: Reset,
    pub(crate) strict: bool,
    pub(crate) detach: bool,
    pub(crate) surrogate: Surrogate,
    pub(crate) output: Spikes,
    pub(crate) trace: bool,
    /// Whether the surrogate's primitive takes the place of spikes.
    pub(crate) smooth: bool,
}

/// What both directions share.
pub(super) struct Layer {
    pub(super) driver: &'static Driver,
    pub(super) options: Options,
    pub(super) shape: Shape,
    params: RecurParams,
    pub(super) forms: u32,
    pub(super) x: Tensor,
    /// The parameters that are tensors, one behind the other.
    pub(super) packed: Option<Tensor>,
}

/// Floating-point operations of a step, there and back.
pub(super) const FORWARD_FLOPS: f64 = 16.0;
pub(super) const BACKWARD_FLOPS: f64 = 48.0;

impl Layer {
    /// Over `x`, with parameters of so many elements, 0 for a number.
    pub(super) fn new(
        driver: &'static Driver,
        options: &Options,
        x: &Tensor,
        counts: &[usize],
        packed: Option<Tensor>,
    ) -> Self {
        let shape = *x.shape();
        let code = options.surrogate.code();
        let params = RecurParams {
            columns: shape.iter().skip(1).product::<usize>() as u32,
            neurons: if shape.rank() > 1 { shape[shape.rank() - 1] as u32 } else { 1 },
            alpha: options.surrogate.parameter(),
            relaxed: if options.smooth { 1 + code } else { 0 },
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

    pub(super) fn columns(&self) -> usize {
        self.params.columns as usize
    }

    pub(super) fn neurons(&self) -> usize {
        self.params.neurons as usize
    }

    pub(super) fn steps(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Rows of saved states.
    pub(super) fn checkpoints(&self) -> usize {
        self.steps().div_ceil(EVERY) * self.driver.states
    }

    /// The states beside each other, in the place of time.
    pub(super) fn state_shape(&self) -> Result<Shape> {
        self.shape.with(0, self.driver.states)
    }

    /// The steps of each launch, in order: as many as a device's loops and its watchdog bear, in whole
    /// words of spikes.
    pub(super) fn parts(&self) -> Vec<Range<usize>> {
        let device = self.x.device();
        let by_work = device.tuning().launch_flops / (BACKWARD_FLOPS * self.columns() as f64);
        let by_turns = device.capabilities().max_turns.map_or(usize::MAX, most_steps);
        let most = (by_work as usize).min(by_turns).min(self.steps().next_multiple_of(32));
        let most = (most / 32 * 32).max(32);
        let starts = (0..self.steps()).step_by(most);
        starts.map(|first| first..(first + most).min(self.steps())).collect()
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
            .constant("RESET", self.options.reset.code())
            .constant("STRICT", self.options.strict)
            .bind("x", &self.x)
            .bind_if("parameters", self.packed.as_ref())
    }
}
