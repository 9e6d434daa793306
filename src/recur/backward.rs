//! The backward launch.

use super::cell::Cell;
use super::forward::cost;
use super::layer::{BACKWARD_FLOPS, Layer};
use super::parameters;
use super::params::{RecurParams, SPIKES, TRACE};
use super::reset::Reset;
use super::rule::{Columns, Rule};
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::lif::Surrogate;
use crate::tape::Backward;
use crate::{DType, Result, Tensor};

/// What the steps of a launch read and write: each moved once.
pub(crate) fn backward_cost(args: &CostArgs<'_>) -> Cost {
    cost(args, &["x", "gs", "gtrace", "checkpoints", "words", "gx"], BACKWARD_FLOPS)
}

/// What forward went through at a step.
struct Step<R, const S: usize> {
    before: [R; S],
    fired: R,
    after: R,
}

/// The oracle: the adjoint of forward, step by step.
pub(crate) fn backward<C: Cell<S, P>, const S: usize, const P: usize, R: Real>(
    args: &mut HostArgs<'_, R>,
) {
    let p: RecurParams = args.params();
    let (rule, all) = (Rule::new(args), Columns::<R, P>::new(args));
    let surrogate = Surrogate::from_code(args.constant("SURROGATE"), p.alpha);
    let jumps = !args.flag("DETACHED") && rule.reset != Reset::None;
    let (learn, from_spikes) = (args.flag("LEARN"), args.constant("UPSTREAM") & SPIKES != 0);
    let (row, x) = (p.columns as usize, args.reals("x"));
    let (gs, gtrace) = (args.reals("gs"), args.reals("gtrace"));
    let (gx, sums) = (args.reals_mut("gx"), args.reals_mut("sums"));
    for column in 0..row {
        let c = all.of(column);
        let steps = again::<C, S, P, R>(args, &rule, c, column);
        let mut g: [R; S] = std::array::from_fn(|k| carried(sums, p.resume > 0, k * row + column));
        let mut learned: [R; P] =
            std::array::from_fn(|k| carried(sums, learn && p.resume == 2, (S + k) * row + column));
        // Nothing where nothing comes through the spike, never 0 times the surrogate of a NaN.
        let through = |q: R, membrane: R, g: &mut [R; S], learned: &mut [R; P]| {
            let q = q * surrogate.derivative(membrane - c[P - 1]);
            g[S - 1] += q;
            learned[P - 1] -= q;
        };
        let mut jump = R::zero();
        for (t, step) in (p.first as usize..p.end as usize).zip(&steps).rev() {
            let i = t * row + column;
            if jumps || from_spikes {
                let above = if from_spikes { gs[i] } else { R::zero() };
                through(above + jump, step.after, &mut g, &mut learned);
            }
            if let Some(above) = gtrace.get(i) {
                g[S - 1] += *above;
            }
            let back = C::retreat(rule.reset, c, step.before, step.fired, x[i], g);
            gx[i] = back.x;
            g = back.state;
            jump = if jumps { back.fired } else { R::zero() };
            (0..P).for_each(|k| learned[k] += back.parameters[k]);
        }
        // The reset of the first step, whose spike is one of the steps before.
        if let Some(first) = steps.first().filter(|_| jumps) {
            through(jump, first.before[S - 1], &mut g, &mut learned);
        }
        (0..S).for_each(|k| sums[k * row + column] = g[k]);
        if learn {
            (0..P).for_each(|k| sums[(S + k) * row + column] = learned[k]);
        }
    }
}

/// What an earlier launch left, if there is one.
fn carried<R: Real>(sums: &[R], is_there: bool, at: usize) -> R {
    if is_there { sums[at] } else { R::zero() }
}

/// The steps of a column, computed again from the saved states and spikes.
fn again<C: Cell<S, P>, const S: usize, const P: usize, R: Real>(
    args: &HostArgs<'_, R>,
    rule: &Rule,
    c: [R; P],
    column: usize,
) -> Vec<Step<R, S>> {
    let p: RecurParams = args.params();
    let (row, every) = (p.columns as usize, args.constant("EVERY") as usize);
    let (x, checkpoints, words) = (args.reals("x"), args.reals("checkpoints"), args.words("words"));
    let mut s = [R::zero(); S];
    let mut steps = Vec::with_capacity((p.end - p.first) as usize);
    for t in p.first as usize..p.end as usize {
        let is_saved = t % every == 0;
        if is_saved {
            s = std::array::from_fn(|k| checkpoints[(t / every * S + k) * row + column]);
        }
        let fired = if is_saved || rule.is_smooth() {
            rule.fired(&s, &c)
        } else {
            let last = t - 1;
            R::lit((words[last / 32 * row + column] >> (last % 32) & 1).into())
        };
        let before = s;
        s = C::advance(rule.reset, c, before, fired, x[t * row + column]);
        steps.push(Step { before, fired, after: s[S - 1] });
    }
    steps
}

/// The places of the inputs of the recorded operator.
pub(super) const X: usize = 0;
pub(super) const STATE: usize = 1;
pub(super) const PARAMETERS: usize = 2;

/// The places of its outputs that backward asks for.
pub(super) const OUT_SPIKES: usize = 0;
pub(super) const OUT_STATE: usize = 1;
pub(super) const OUT_TRACE: usize = 2;

/// What forward keeps.
pub(super) struct Saved {
    pub(super) layer: Layer,
    /// States before every so many steps.
    pub(super) states: Tensor,
    pub(super) words: Tensor,
}

impl Saved {
    /// Gives the gradients of all inputs.
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let layer = &self.layer;
        let device = layer.x.device();
        let learn = layer.packed.is_some() && bw.needs(PARAMETERS);
        let states = layer.driver.states;
        let rows = states + if learn { layer.driver.parameters.len() } else { 0 };
        let sums = Tensor::empty(device, [rows, layer.columns()], DType::F32)?;
        // Its first rows are a tensor of their own: dL/ds at the end before, at the start after.
        let carry = sums.with_words_as(DType::F32, layer.state_shape()?);
        if let Some(upstream) = bw.upstream(OUT_STATE) {
            carry.copy_from(upstream)?;
        }
        let gx = Tensor::empty(device, layer.shape, DType::F32)?;
        self.launch(bw, learn, &gx, &sums)?;
        if learn {
            bw.give(PARAMETERS, parameters::reduce(layer, &sums)?);
        }
        bw.give(X, gx);
        bw.give(STATE, carry);
        Ok(())
    }

    fn launch(&self, bw: &Backward<'_>, learn: bool, gx: &Tensor, sums: &Tensor) -> Result<()> {
        let layer = &self.layer;
        let gs = bw.upstream(OUT_SPIKES);
        let gtrace = if layer.options.trace { bw.upstream(OUT_TRACE) } else { None };
        let upstream = [(SPIKES, gs), (TRACE, gtrace)];
        let upstream = upstream.map(|(bit, g)| if g.is_some() { bit } else { 0 });
        let mut resume = u32::from(bw.upstream(OUT_STATE).is_some());
        for part in layer.parts().iter().rev() {
            let launch = layer.prepare(layer.driver.backward, part, resume);
            let launch = launch.constant("SURROGATE", layer.options.surrogate.code());
            let launch = launch.constant("DETACHED", layer.options.detach).constant("LEARN", learn);
            let launch = launch.constant("UPSTREAM", upstream[0] | upstream[1]);
            let launch = launch.bind_if("gs", gs).bind_if("gtrace", gtrace);
            let launch = launch.bind("checkpoints", &self.states).bind("words", &self.words);
            launch.bind("gx", gx).bind("sums", sums).record()?;
            resume = 2;
        }
        Ok(())
    }
}
