//! The oracle: equations step by step, number by number.

use super::definition::Definition;
use super::drivers::driver_of;
use super::expression::Leaves;
use super::params::{EACH, FIXED, RecurParams, form};
use crate::host::{HostArgs, Real};
use crate::lif::Surrogate;

/// What a launch says of its columns.
pub(crate) struct Columns<'a, R> {
    packed: &'a [R],
    forms: u32,
    fixed: Vec<R>,
    neurons: usize,
}

impl<'a, R: Real> Columns<'a, R> {
    pub(crate) fn new(args: &HostArgs<'a, R>) -> Self {
        let p: RecurParams = args.params();
        let count = driver_of(p.definition).definition.values();
        Self {
            packed: args.reals("parameters"),
            forms: args.constant("FORMS"),
            fixed: p.values[..count].iter().map(|v| R::lit((*v).into())).collect(),
            neurons: p.neurons as usize,
        }
    }

    /// The values of parameter `k`: column `c` has number `c % len`.
    pub(crate) fn values(&self, k: usize) -> &[R] {
        let size = |k: usize| match form(self.forms, k) {
            FIXED => 0,
            EACH => self.neurons,
            _ => 1,
        };
        let start: usize = (0..k).map(size).sum();
        match size(k) {
            0 => &self.fixed[k..k + 1],
            size => &self.packed[start..start + size],
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.fixed.len()
    }

    /// Whether columns differ.
    pub(crate) fn vary(&self) -> bool {
        (0..self.count()).any(|k| form(self.forms, k) == EACH)
    }

    /// The parameters of column `c`.
    fn of(&self, c: usize) -> Vec<R> {
        let own = |k: usize| {
            let values = self.values(k);
            values[c % values.len()]
        };
        (0..self.count()).map(own).collect()
    }
}

/// The surrogates of a launch, with their parameters.
fn surrogates(definition: &Definition, p: &RecurParams) -> Vec<Surrogate> {
    let parameters = &p.values[definition.parameters.len()..];
    let both = definition.surrogates.iter().zip(parameters);
    both.map(|(code, parameter)| Surrogate::from_code(*code, *parameter)).collect()
}

/// `s[t], y[t], r[t] = advance(s[t-1], x[t])`
pub(crate) fn forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RecurParams = args.params();
    let definition = &driver_of(p.definition).definition;
    let (all, every) = (Columns::new(args), args.constant("EVERY") as usize);
    let [row, steps] = [p.columns, p.steps].map(|n| n as usize);
    let (plane, left_out) = (row * steps, usize::from(args.flag("PACKED")));
    let smooth = surrogates(definition, &p);
    let smooth = (p.relaxed != 0).then_some(&smooth[..]);
    let x = args.reals("x");
    let [states, save, y] = ["states", "save", "y"].map(|name| args.reals_mut(name));
    let words = args.words_mut("words");
    let (count, mut values) = (definition.states.len(), Vec::new());
    for column in 0..row {
        let c = all.of(column);
        let start = |k: usize| if p.resume == 0 { R::zero() } else { states[k * row + column] };
        let mut s: Vec<R> = (0..count).map(start).collect();
        for t in p.first as usize..p.end as usize {
            let i = t * row + column;
            if t % every == 0 && !save.is_empty() {
                (0..count).for_each(|k| save[(t / every * count + k) * row + column] = s[k]);
            }
            let inputs: Vec<R> = (0..definition.inputs.len()).map(|k| x[k * plane + i]).collect();
            let leaves =
                Leaves { inputs: &inputs, states: &s, parameters: &c, smooth, ..Leaves::default() };
            definition.forward.run(&leaves, &mut values);
            let outputs: Vec<R> = definition.forward.outputs.iter().map(|id| values[*id]).collect();
            let (next, rest) = outputs.split_at(count);
            let (emits, fired) = rest.split_at(definition.emits);
            for (k, emitted) in emits[left_out..].iter().enumerate() {
                if let Some(y) = y.get_mut(k * plane + i) {
                    *y = *emitted;
                }
            }
            for (k, fired) in fired.iter().enumerate() {
                if let Some(word) = words.get_mut(word_at(k, t, &p) + column) {
                    let before = if t % 32 == 0 { 0 } else { *word };
                    *word = before | u32::from(*fired == R::one()) << (t % 32);
                }
            }
            s = next.to_vec();
        }
        (0..count).for_each(|k| states[k * row + column] = s[k]);
    }
}

/// Where the words of spike `k` of step `t` begin.
pub(crate) fn word_at(k: usize, t: usize, p: &RecurParams) -> usize {
    (k * (p.steps as usize).div_ceil(32) + t / 32) * p.columns as usize
}

/// What forward went through at a step.
struct Before<R> {
    inputs: Vec<R>,
    states: Vec<R>,
    fired: Vec<R>,
}

/// The adjoint of forward, step by step.
pub(crate) fn backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: RecurParams = args.params();
    let definition = &driver_of(p.definition).definition;
    let (all, learn) = (Columns::new(args), args.flag("LEARN"));
    let [row, steps] = [p.columns, p.steps].map(|n| n as usize);
    let (plane, left_out) = (row * steps, usize::from(args.flag("PACKED")));
    let smooth = surrogates(definition, &p);
    let smooth = (p.relaxed != 0).then_some(&smooth[..]);
    let (gs, gy) = (args.reals("gs"), args.reals("gy"));
    let (gx, sums) = (args.reals_mut("gx"), args.reals_mut("sums"));
    let (count, mut values) = (definition.states.len(), Vec::new());
    for column in 0..row {
        let c = all.of(column);
        let before = again(args, definition, &c, smooth, column);
        let carried = |k: usize, is_there: bool| {
            if is_there { sums[k * row + column] } else { R::zero() }
        };
        let mut g: Vec<R> = (0..count).map(|k| carried(k, p.resume > 0)).collect();
        let learned = count..count + if learn { definition.parameters.len() } else { 0 };
        let mut learned: Vec<R> = learned.map(|k| carried(k, p.resume == 2)).collect();
        for (t, step) in (p.first as usize..p.end as usize).zip(&before).rev() {
            let i = t * row + column;
            let above = |k: usize| match k.checked_sub(left_out) {
                None => gs.get(i),
                Some(k) => gy.get(k * plane + i),
            };
            let h: Vec<R> =
                (0..definition.emits).map(|k| above(k).copied().unwrap_or_default()).collect();
            let leaves = Leaves {
                inputs: &step.inputs,
                states: &step.states,
                parameters: &c,
                fired: Some(&step.fired),
                next_gradients: &g,
                emit_gradients: &h,
                smooth,
            };
            definition.backward.run(&leaves, &mut values);
            let found: Vec<R> = definition.backward.outputs.iter().map(|id| values[*id]).collect();
            let (inputs, rest) = found.split_at(definition.inputs.len());
            let (states, parameters) = rest.split_at(count);
            inputs.iter().enumerate().for_each(|(k, g)| gx[k * plane + i] = *g);
            g = states.to_vec();
            learned.iter_mut().zip(parameters).for_each(|(sum, g)| *sum += *g);
        }
        for (k, sum) in g.iter().chain(&learned).enumerate() {
            sums[k * row + column] = *sum;
        }
    }
}

/// The steps of a column, computed again from the saved states and spikes.
fn again<R: Real>(
    args: &HostArgs<'_, R>,
    definition: &Definition,
    c: &[R],
    smooth: Option<&[Surrogate]>,
    column: usize,
) -> Vec<Before<R>> {
    let p: RecurParams = args.params();
    let (row, every) = (p.columns as usize, args.constant("EVERY") as usize);
    let (x, checkpoints, words) = (args.reals("x"), args.reals("checkpoints"), args.words("words"));
    let (count, mut values) = (definition.states.len(), Vec::new());
    let mut s = vec![R::zero(); count];
    let mut steps = Vec::with_capacity((p.end - p.first) as usize);
    for t in p.first as usize..p.end as usize {
        if t % every == 0 {
            s = (0..count).map(|k| checkpoints[(t / every * count + k) * row + column]).collect();
        }
        let plane = row * p.steps as usize;
        let inputs =
            (0..definition.inputs.len()).map(|k| x[k * plane + t * row + column]).collect();
        let bit = |k: usize| words[word_at(k, t, &p) + column] >> (t % 32) & 1;
        let fired = (0..definition.surrogates.len()).map(|k| R::lit(bit(k).into())).collect();
        let before = Before { inputs, states: s, fired };
        let leaves = Leaves {
            inputs: &before.inputs,
            states: &before.states,
            parameters: c,
            fired: Some(&before.fired),
            smooth,
            ..Leaves::default()
        };
        definition.again.run(&leaves, &mut values);
        s = definition.again.outputs.iter().map(|id| values[*id]).collect();
        steps.push(before);
    }
    steps
}
