//! The forward launch.

use super::cell::Cell;
use super::layer::{FORWARD_FLOPS, Layer};
use super::params::{RecurParams, SAVE, SPIKES, TRACE, WORDS};
use super::rule::{Columns, Rule};
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::lif::Spikes;
use crate::{DType, Result, Tensor};

/// What the steps of a launch read and write: each moved once.
pub(crate) fn forward_cost(args: &CostArgs<'_>) -> Cost {
    cost(args, &["x", "save", "spikes", "words", "trace"], FORWARD_FLOPS)
}

/// The share of a launch in the bytes of these bindings, and in the work.
pub(super) fn cost(args: &CostArgs<'_>, moved: &[&str], flops: f64) -> Cost {
    let p: RecurParams = args.params();
    let elements = f64::from(p.end - p.first) * f64::from(p.columns);
    let share = elements / args.words_of("x").max(1) as f64;
    let words: u64 = moved.iter().map(|name| args.words_of(name)).sum();
    Cost { bytes: words as f64 * 4.0 * share, flops: elements * flops }
}

/// The oracle: `s[t] = advance(s[t-1], r[t-1], x[t])`, `r[t] = [membrane > threshold]`.
pub(crate) fn forward<C: Cell<S, P>, const S: usize, const P: usize, R: Real>(
    args: &mut HostArgs<'_, R>,
) {
    let p: RecurParams = args.params();
    let (rule, all) = (Rule::new(args), Columns::<R, P>::new(args));
    let (row, every) = (p.columns as usize, args.constant("EVERY") as usize);
    let x = args.reals("x");
    let [states, save, spikes, trace] =
        ["states", "save", "spikes", "trace"].map(|name| args.reals_mut(name));
    let words = args.words_mut("words");
    if p.resume == 0 {
        states.fill(R::zero());
    }
    for column in 0..row {
        let c = all.of(column);
        let mut s: [R; S] = std::array::from_fn(|k| states[k * row + column]);
        let mut fired = rule.fired(&s, &c);
        for t in p.first as usize..p.end as usize {
            let i = t * row + column;
            if t % every == 0 && !save.is_empty() {
                (0..S).for_each(|k| save[(t / every * S + k) * row + column] = s[k]);
            }
            s = C::advance(rule.reset, c, s, fired, x[i]);
            fired = rule.fired(&s, &c);
            if let Some(spike) = spikes.get_mut(i) {
                *spike = fired;
            }
            if let Some(trace) = trace.get_mut(i) {
                *trace = s[S - 1];
            }
            if let Some(word) = words.get_mut(t / 32 * row + column) {
                let before = if t % 32 == 0 { 0 } else { *word };
                *word = before | u32::from(fired == R::one()) << (t % 32);
            }
        }
        (0..S).for_each(|k| states[k * row + column] = s[k]);
    }
}

/// What the forward launches wrote.
pub(super) struct Forward {
    pub(super) spikes: Tensor,
    pub(super) trace: Option<Tensor>,
    pub(super) state: Tensor,
    /// States and spikes, if backward wants them.
    pub(super) saved: Option<(Tensor, Tensor)>,
}

/// Runs a layer from `state`; `keep` says whether backward will follow.
pub(super) fn run(layer: &Layer, state: Option<&Tensor>, keep: bool) -> Result<Forward> {
    let device = layer.x.device();
    let new = |dtype| Tensor::empty(device, layer.shape, dtype);
    let packed = layer.options.output == Spikes::Bits;
    let spikes = new(if packed { DType::Bits } else { DType::F32 })?;
    let trace = layer.options.trace.then(|| new(DType::F32)).transpose()?;
    let states = match state {
        Some(state) => state.duplicate()?,
        None => Tensor::empty(device, layer.state_shape()?, DType::F32)?,
    };
    let saved = if keep {
        let save = Tensor::empty(device, [layer.checkpoints(), layer.columns()], DType::F32)?;
        Some((save, if packed { spikes.clone() } else { new(DType::Bits)? }))
    } else {
        None
    };
    let words = saved.as_ref().map(|(_, words)| words).or(packed.then_some(&spikes));
    let outputs = [
        (SPIKES, !packed),
        (WORDS, words.is_some()),
        (TRACE, trace.is_some()),
        (SAVE, saved.is_some()),
    ];
    let out: u32 = outputs.into_iter().filter(|(_, on)| *on).map(|(bit, _)| bit).sum();
    for part in layer.parts() {
        let resume = u32::from(part.start > 0 || state.is_some());
        let launch = layer.prepare(layer.driver.forward, &part, resume).constant("OUT", out);
        let launch = launch.bind("states", &states).bind_if("words", words);
        let launch = launch.bind_if("save", saved.as_ref().map(|(save, _)| save));
        let launch = launch.bind_if("spikes", (!packed).then_some(&spikes));
        launch.bind_if("trace", trace.as_ref()).record()?;
    }
    Ok(Forward { spikes, trace, state: states, saved })
}
