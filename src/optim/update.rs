//! The update: every rule is a form of one kernel.

use super::numbers::COUNT;
use super::twin;
use crate::elementwise::Stride;
use crate::error::Result;
use crate::kernel::{CostArgs, Kernel, Variant, shader};
use crate::{Cost, Tensor};

/// Gradient to direction, direction to step.
pub(super) static UPDATE: Kernel =
    Kernel::new("optim", "update", shader!("optim/update"), crate::twin!(twin::update))
        .params::<Params>()
        .variants(VARIANTS)
        .cost(cost);

/// One set of moments a rule; each with one element a cell, then with four.
const VARIANTS: &[Variant] = &[
    Variant::portable("given", &[]),
    Variant::portable("momentum", &["FIRST"]),
    Variant::portable("adam", &["FIRST", "SECOND"]),
    Variant::portable("ademamix", &["FIRST", "SECOND", "SLOW"]),
    Variant::portable("masked", &["FIRST", "SECOND", "MASK"]),
    Variant::portable("given, wide", &["wide"]),
    Variant::portable("momentum, wide", &["FIRST", "wide"]),
    Variant::portable("adam, wide", &["FIRST", "SECOND", "wide"]),
    Variant::portable("ademamix, wide", &["FIRST", "SECOND", "SLOW", "wide"]),
    Variant::portable("masked, wide", &["FIRST", "SECOND", "MASK", "wide"]),
];
const MASKED: usize = 4;
const WIDE: usize = 5;

/// The flags of `mode`.
pub(super) const NESTEROV: u32 = 1;
pub(super) const SIGN: u32 = 2;
pub(super) const WRITE: u32 = 4;
pub(super) const CLIPPED: u32 = 8;
// 16 and 32: the constraints of `elementwise::Stride`
/// Known to the twin alone, which is not told its variant.
pub(super) const MASK: u32 = 64;

crate::params! {
    pub(super) struct Params {
        cells: u32,
        mode: u32,
        numbers: u32,
        threshold: u32,
        key: [u32; 2],
        beta1: f32,
        rest1: f32,
        beta2: f32,
        rest2: f32,
        decay: f32,
        scale: f32,
        gain: f32,
        low: f32,
        high: f32,
        /// Where a direction begins in its tensor, in cells.
        first: u32,
    }
}

/// Parameter and gradient read, parameter written; every moment read and written. A direction that
/// is written saves reading the parameter.
fn cost(args: &CostArgs<'_>) -> Cost {
    // The gradient's: a direction may be one of many in its tensor.
    let count = args.words[1] as f64;
    let moments = args.words.len() as f64 - 4.0;
    let writes_direction = args.params::<Params>().mode & WRITE != 0;
    let tensors = if writes_direction { 2.0 } else { 3.0 } + 2.0 * moments;
    Cost { bytes: 4.0 * tensors * count, flops: (5.0 + 6.0 * moments) * count }
}

/// The constants of a rule.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form {
    /// `NESTEROV`, `SIGN`
    pub(super) mode: u32,
    pub(super) betas: [f64; 2],
    /// What a new gradient counts in the moments.
    pub(super) rests: [f64; 2],
    /// The density of a random mask, and its key.
    pub(super) mask: Option<(f64, [u32; 2])>,
}

/// Where the outcome goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal<'a> {
    /// For another kernel, to a tensor of directions of one shape, as the one of this number.
    Direction(usize),
    /// To the parameter.
    Step(&'a Stride),
}

/// Random words below it let an element take part: so many of them as the density says.
pub(super) fn threshold(density: f64) -> u32 {
    (density * 4_294_967_296.0).round() as u32
}

/// What every launch of a step is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a> {
    pub(super) numbers: &'a Tensor,
    pub(super) clip: &'a Tensor,
    pub(super) group: usize,
}

impl Form {
    /// The rule of a direction that is known.
    pub(super) fn given() -> Self {
        Self::default()
    }

    /// The form of the parameter `index`: each has a random mask of its own.
    pub(super) fn of_slot(mut self, index: usize) -> Self {
        if let Some((_, [_, stream])) = &mut self.mask {
            *stream = stream.wrapping_add(index as u32);
        }
        self
    }

    fn params(&self, cells: usize, mode: u32, group: usize) -> Params {
        let (density, key) = self.mask.unwrap_or((0.0, [0; 2]));
        Params {
            cells: cells as u32,
            mode,
            numbers: (group * COUNT) as u32,
            threshold: threshold(density),
            key,
            beta1: self.betas[0] as f32,
            // Rounded once: the difference of the rounded beta would be wrong by 1e-5.
            rest1: self.rests[0] as f32,
            beta2: self.betas[1] as f32,
            rest2: self.rests[1] as f32,
            decay: 0.0,
            scale: 1.0,
            gain: 1.0,
            low: 0.0,
            high: 0.0,
            first: 0,
        }
    }

    /// Records the launch: `gradient` and the moments to `target`. `clipped` if the gradient is yet
    /// to be multiplied with the factor of the clipped norm.
    pub(super) fn record(
        &self,
        (target, goal): (&Tensor, Goal<'_>),
        (gradient, clipped): (&Tensor, bool),
        moments: &[Tensor],
        shared: Shared<'_>,
    ) -> Result<()> {
        let count = gradient.count();
        if count == 0 {
            return Ok(());
        }
        let wide = count.is_multiple_of(4);
        let cells = if wide { count / 4 } else { count };
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let masked = self.mask.is_some();
        let mode = self.mode | flag(clipped, CLIPPED) | flag(masked, MASK);
        let mut params = self.params(cells, mode, shared.group);
        match goal {
            Goal::Direction(number) => {
                params.mode |= WRITE;
                params.first = (number * cells) as u32;
            }
            Goal::Step(stride) => {
                params.mode |= stride.mode;
                (params.decay, params.scale, params.gain) =
                    (stride.decay, stride.scale, stride.gain);
                (params.low, params.high) = (stride.low, stride.high);
            }
        }
        let rule = if masked { MASKED } else { moments.len() };
        let variant = rule + if wide { WIDE } else { 0 };
        let launch = target.device().launch(&UPDATE).variant_at(variant).params(&params);
        let launch = launch
            .bind_next(target)
            .bind_next(gradient)
            .bind_next(shared.numbers)
            .bind_next(shared.clip);
        let launch = moments.iter().fold(launch, |launch, moment| launch.bind_next(moment));
        launch.items_of(cells, 64).record()
    }
}
