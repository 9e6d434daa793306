//! The update: every rule is a form of one kernel.

use super::numbers::COUNT;
use crate::elementwise::UpdateConstants;
use crate::error::Result;
use crate::host::{self, HostArgs, Real, keep_nan, limited};
use crate::kernel::{CostArgs, Variant};
use crate::random::threefry;
use crate::tensor::Items;
use crate::{Cost, Tensor};

crate::kernel! {
    /// Gradient to direction, direction to step.
    pub(crate) static UPDATE = "optim/update";
    params = struct UpdateParams {
        items: u32,
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
        /// Where a direction begins in its tensor, in items.
        first: u32,
    };
    oracle = update_oracle;
    host = host::optim::update;
    variants = VARIANTS;
    cost = cost;
}

/// One set of moments a rule; each with one element an item, then with four.
const VARIANTS: &[Variant] = &[
    Variant::portable("given", &[]),
    Variant::portable("momentum", &["FIRST"]),
    Variant::portable("adam", &["FIRST", "SECOND"]),
    Variant::portable("ademamix", &["FIRST", "SECOND", "SLOW"]),
    Variant::portable("masked", &["FIRST", "SECOND", "MASK"]),
    Variant::portable("given, by four", &["VEC"]),
    Variant::portable("momentum, by four", &["FIRST", "VEC"]),
    Variant::portable("adam, by four", &["FIRST", "SECOND", "VEC"]),
    Variant::portable("ademamix, by four", &["FIRST", "SECOND", "SLOW", "VEC"]),
    Variant::portable("masked, by four", &["FIRST", "SECOND", "MASK", "VEC"]),
];

/// The moments that a rule may have, and under which condition.
const MOMENTS: [(&str, &str); 3] = [("m", "FIRST"), ("v", "SECOND"), ("n", "SLOW")];

/// The flags of `mode`.
pub(crate) const NESTEROV: u32 = 1;
pub(crate) const SIGN: u32 = 2;
pub(crate) const WRITE: u32 = 4;
pub(crate) const CLIPPED: u32 = 8;
// 16 and 32: the constraints of `elementwise::UpdateConstants`

/// Parameter and gradient read, parameter written; every moment read and written. A direction that
/// is written saves reading the parameter.
fn cost(args: &CostArgs<'_>) -> Cost {
    // The gradient's: a direction may be one of many in its tensor.
    let count = args.words_of("g") as f64;
    let moments = MOMENTS.iter().filter(|(_, condition)| args.when(condition)).count() as f64;
    let writes_direction = args.params::<UpdateParams>().mode & WRITE != 0;
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
pub(super) enum Output<'a> {
    /// For another kernel, to a tensor of directions of one shape, as the one of this number.
    Direction(usize),
    /// To the parameter.
    Step(&'a UpdateConstants),
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

    fn params(&self, items: usize, mode: u32, group: usize) -> UpdateParams {
        let (density, key) = self.mask.unwrap_or((0.0, [0; 2]));
        UpdateParams {
            items: items as u32,
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
        (target, output): (&Tensor, Output<'_>),
        (gradient, clipped): (&Tensor, bool),
        moments: &[Tensor],
        shared: Shared<'_>,
    ) -> Result<()> {
        let count = gradient.count();
        if count == 0 {
            return Ok(());
        }
        let by_four = Items::of(count).by_four();
        let items = Items::of(count).count(count) as usize;
        let flag = |on: bool, flag: u32| if on { flag } else { 0 };
        let mode = self.mode | flag(clipped, CLIPPED);
        let mut params = self.params(items, mode, shared.group);
        match output {
            Output::Direction(number) => {
                params.mode |= WRITE;
                params.first = (number * items) as u32;
            }
            Output::Step(constants) => {
                params.mode |= constants.mode;
                (params.decay, params.scale, params.gain) =
                    (constants.decay, constants.scale, constants.gain);
                (params.low, params.high) = (constants.low, constants.high);
            }
        }
        let launch = target.device().launch(&UPDATE).params(&params);
        let launch = launch.when("MASK", self.mask.is_some()).when("VEC", by_four);
        let launch = launch
            .bind("x", target)
            .bind("g", gradient)
            .bind("numbers", shared.numbers)
            .bind("clip", shared.clip);
        let moments = moments.iter().zip(MOMENTS);
        let launch = moments.fold(launch, |launch, (moment, (name, condition))| {
            launch.when(condition, true).bind(name, moment)
        });
        launch.items(items).record()
    }
}

/// Element by element, from the definition.
fn update_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: UpdateParams = args.params();
    let (x, g, clip) = (args.reals_mut("x"), args.reals("g"), args.reals("clip"));
    // A direction may be one of many in its tensor.
    let x = &mut x[p.first as usize * (g.len() / p.items as usize)..][..g.len()];
    let on = |flag: u32| p.mode & flag != 0;
    if clip[2] != R::zero() {
        if on(WRITE) {
            x.fill(R::zero());
        }
        return;
    }
    let numbers = &args.reals("numbers")[p.numbers as usize..];
    let factor = if on(CLIPPED) { clip[0] } else { R::one() };
    let masked = args.when("MASK");
    let mut moments = MOMENTS.map(|(name, condition)| match args.when(condition) {
        true => args.reals_mut(name),
        false => &mut [],
    });
    let UpdateParams { mode, decay, scale, gain, low, high, .. } = p;
    let constants = UpdateConstants { mode, decay, scale, gain, low, high };
    let [decay, gain] = constants.rates(numbers);
    for (i, (x, g)) in x.iter_mut().zip(g).enumerate() {
        let draw = [i as u32 / 2, numbers[10].f64() as u32];
        let rests = masked && threefry(p.key, draw)[i % 2] >= p.threshold;
        let u = p.direction(numbers, (*g * factor) * factor, &mut moments, i);
        if rests {
            (moments[0][i], moments[1][i]) = (R::zero(), R::zero());
        }
        if on(WRITE) {
            *x = numbers[9] * u;
        } else if !rests {
            let x = std::slice::from_mut(x);
            UpdateConstants::decayed(x, decay);
            x[0] -= gain * u;
            constants.constrain(x);
        }
    }
}

impl UpdateParams {
    /// The direction of element `i` with the gradient `h`; its moments go on.
    fn direction<R: Real>(
        &self,
        numbers: &[R],
        mut h: R,
        [m, v, n]: &mut [&mut [R]; 3],
        i: usize,
    ) -> R {
        let real = |value: f32| R::lit(value.into());
        let [beta1, rest1, beta2, rest2] =
            [self.beta1, self.rest1, self.beta2, self.rest2].map(real);
        if m.is_empty() {
            return h;
        }
        if v.is_empty() {
            // A subnormal momentum is 0: rounding would keep it from ever getting there.
            let next = beta1 * m[i] + rest1 * h;
            m[i] = if next.abs() < real(f32::MIN_POSITIVE) { R::zero() } else { next };
            let u = if self.mode & NESTEROV != 0 { beta1 * m[i] + rest1 * h } else { m[i] };
            let sign = if u == R::zero() { u } else { u.signum() };
            return if self.mode & SIGN != 0 { keep_nan(u, sign) } else { u };
        }
        let (c1, c2, eps, theta) = (numbers[1], numbers[2], numbers[8], numbers[7]);
        if theta > R::zero() {
            let most = theta.sqrt() * v[i];
            h = limited(h, -most, most);
        }
        m[i] = beta1 * m[i] + rest1 * h;
        let old = beta2.sqrt() * v[i];
        v[i] = keep_nan(old, keep_nan(h, old.hypot(rest2.sqrt() * h)));
        let mut u = c1 * m[i];
        if !n.is_empty() {
            n[i] = numbers[5] * n[i] + numbers[6] * h;
            u += numbers[4] * n[i];
        }
        u / (c2 * v[i] + eps)
    }
}
