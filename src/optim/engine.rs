//! What every optimizer does: groups, state, clipping, and the order of a step.

use super::clock::Clock;
use super::group::{Group, Part, Settings};
use super::low_rank::LowRank;
use super::neurons::Neurons;
use super::norm::Clip;
use super::numbers::{COUNT, Numbers};
use super::project::orthogonal;
use super::shaping::{Shaping, matrix};
use super::update::{Form, Output, Shared};
use crate::elementwise::{FusedUpdate, UpdateConstants};
use crate::error::{Error, Result};
use crate::narrow::not_negative;
use crate::{Bind, DType, Device, Gradients, Param, Tensor};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A parameter with the optimizer's tensors of its shape, and its group's numbers.
#[derive(Debug)]
struct Slot {
    param: Param,
    index: usize,
    moments: Vec<Tensor>,
    neurons: Option<Neurons>,
    low_rank: Option<LowRank>,
    constants: UpdateConstants,
    /// The part that it belongs to.
    group: usize,
}

/// A parameter's gradient on its way through a step.
struct Found<'a> {
    slot: &'a Slot,
    gradient: Tensor,
}

/// An optimizer without its name.
#[derive(Debug)]
pub(super) struct Engine {
    op: &'static str,
    slots: Vec<Slot>,
    clip: Option<Clip>,
    /// What goes on from step to step: captured steps share it.
    clock: Arc<Clock>,
}

impl Engine {
    pub(super) fn new(
        main: Part,
        groups: Vec<Group>,
        most: Option<f32>,
        params: &[Param],
    ) -> Result<Self> {
        let op = main.rule.name();
        let device = checked_device(op, params)?;
        let mut parts = vec![main];
        parts.extend(groups.iter().map(|group| group.part.clone()));
        for Part { rule, settings } in &parts {
            settings.shapes.check(rule.name(), device)?;
        }
        let mut slots = Vec::with_capacity(params.len());
        for (index, param) in params.iter().enumerate() {
            // The last that chooses it; part 0 chooses all.
            let group = groups.iter().rposition(|group| (group.chosen)(param));
            let group = group.map_or(0, |place| place + 1);
            slots.push(Slot::new(param, index, &parts[group], group)?);
        }
        for (i, Group { name, .. }) in groups.iter().enumerate() {
            if !slots.iter().any(|slot| slot.group == i + 1) {
                let detail = format!("the group `{name}` has no parameters");
                return Err(Error::argument(op, detail));
            }
        }
        // With a clip before the norm, gradients are checked as they came as well.
        let checked = parts.iter().any(|part| part.settings.shapes.before.is_some());
        let gradients = if checked { 2 * params.len() } else { params.len() };
        let clip = most.map(|most| Clip::new(device, most, gradients)).transpose()?;
        let moments = slots.iter().map(|slot| (slot.group, slot.moments.clone())).collect();
        let numbers = Numbers::new(device, parts.len())?;
        let clip_state = Tensor::from_slice(device, &[1.0f32, 0.0, 0.0, 0.0], [4])?;
        let clock = Arc::new(Clock::new(parts, numbers, clip_state, moments));
        Ok(Self { op, slots, clip, clock })
    }

    /// Counts the step, then hooks, clipping, and every parameter's update. Nothing is counted where a
    /// gradient is of no use.
    pub(super) fn step(&mut self, gradients: &Gradients) -> Result<()> {
        let mut given = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let Some(gradient) = gradients.of(&slot.param) else { continue };
            slot.check(self.op, gradient)?;
            given.push((slot, gradient));
        }
        if given.is_empty() {
            let detail = "none of the parameters has a gradient: the loss does not depend on them, or \
                          the gradients are another model's";
            return Err(Error::argument(self.op, detail));
        }
        self.count()?;
        let found = given
            .into_iter()
            .map(|(slot, gradient)| Ok(Found { slot, gradient: self.projected(slot, gradient)? }));
        let mut found: Vec<_> = found.collect::<Result<_>>()?;
        let raw = self.clip_matrices(&mut found)?;
        for Found { slot, gradient } in &mut found {
            *gradient = apart(gradient, slot.param.value())?;
        }
        if let Some(clip) = &self.clip {
            let gradients = found.iter().map(|found| &found.gradient);
            clip.record(gradients, raw.iter(), &self.clock.clip_state)?;
        }
        self.update(&found)
    }

    /// Counts a step. In a capture, where nothing can be written, that is done aside, and again before
    /// every replay.
    fn count(&self) -> Result<()> {
        let stream = self.clock.clip_state.device().stream();
        if stream.before_replay(self.op, self.clock.clone())? {
            return stream.aside(|| self.clock.tick());
        }
        self.clock.tick()
    }

    /// A gradient after the projection.
    fn projected(&self, slot: &Slot, gradient: &Tensor) -> Result<Tensor> {
        if self.settings(slot).orthogonal {
            return orthogonal(gradient, slot.param.value());
        }
        Ok(gradient.clone())
    }

    /// Clips the singular values of gradients, where asked for. Returns what they were before.
    fn clip_matrices(&self, found: &mut [Found<'_>]) -> Result<Vec<Tensor>> {
        let mut raw = Vec::new();
        let clips = |found: &Found<'_>| self.settings(found.slot).shapes.before.is_some();
        for batch in batches(found, clips)? {
            let Some(clip) = &self.settings(found[batch.places[0]].slot).shapes.before else {
                continue;
            };
            let clipped = clip.run_all(&batch.matrices.iter().collect::<Vec<_>>())?.0;
            for (place, gradient) in batch.places.into_iter().zip(clipped) {
                let Found { slot, gradient: old } = &mut found[place];
                let gradient = gradient.reshape(slot.param.value().shape().dims())?;
                raw.push(std::mem::replace(old, gradient));
            }
        }
        Ok(raw)
    }

    /// Every parameter's update: in one launch, or by way of a direction that is shaped.
    fn update(&self, found: &[Found<'_>]) -> Result<()> {
        for item in found.iter().filter(|item| !self.shapes(item)) {
            let output = (item.slot.param.value(), Output::Step(&item.slot.constants));
            self.record_rule(item, output)?;
        }
        for batch in batches(found, |item| self.shapes(item))? {
            match self.fused(&found[batch.places[0]], &batch) {
                Some(shaping) => self.step_together(found, &batch, shaping)?,
                None => self.step_shaped(found, &batch)?,
            }
        }
        Ok(())
    }

    /// Whether something stands between the direction and the step.
    fn shapes(&self, item: &Found<'_>) -> bool {
        self.settings(item.slot).shapes.any_after()
    }

    /// The launch of a parameter's rule.
    fn record_rule(&self, item: &Found<'_>, output: (&Tensor, Output<'_>)) -> Result<()> {
        let Found { slot, gradient } = item;
        let form = self.clock.parts[slot.group].rule.form().of_slot(slot.index);
        let gradient = (gradient, self.clip.is_some());
        form.record(output, gradient, &slot.moments, self.shared(slot))
    }

    /// What shapes the directions of a batch, if steps can be taken by its last product: they are
    /// matrices, and nothing else comes after.
    fn fused(&self, first: &Found<'_>, batch: &Batch) -> Option<&Shaping> {
        let matrices =
            matches!(batch.matrices[0].shape().dims(), [rows, cols] if (*rows).min(*cols) > 1);
        let last = first.slot.neurons.is_none() && first.slot.low_rank.is_none();
        self.settings(first.slot).shapes.after.as_ref().filter(|_| matrices && last)
    }

    /// Directions of one shape in one tensor, and steps by the product that shapes them.
    fn step_together(&self, found: &[Found<'_>], batch: &Batch, shaping: &Shaping) -> Result<()> {
        let first = &batch.matrices[0];
        let [rows, cols] = [first.shape()[0], first.shape()[1]];
        let shape = [batch.places.len(), rows, cols];
        let directions = Tensor::empty(first.device(), shape, DType::F32)?;
        let mut steps = Vec::with_capacity(batch.places.len());
        for (number, place) in batch.places.iter().enumerate() {
            let slot = found[*place].slot;
            self.record_rule(&found[*place], (&directions, Output::Direction(number)))?;
            let Shared { numbers, clip, group } = self.shared(slot);
            let (parameter, place) = (slot.param.value(), (group * COUNT) as u32);
            steps.push(FusedUpdate { parameter, constants: slot.constants, numbers, place, clip });
        }
        shaping.step(&directions, &steps)
    }

    /// The steps along directions of one shape, once they are shaped.
    fn step_shaped(&self, found: &[Found<'_>], batch: &Batch) -> Result<()> {
        let mut directions = Vec::with_capacity(batch.places.len());
        for (place, matrix) in batch.places.iter().zip(&batch.matrices) {
            let u = Tensor::empty(matrix.device(), *matrix.shape(), DType::F32)?;
            self.record_rule(&found[*place], (&u, Output::Direction(0)))?;
            directions.push(u);
        }
        let shaped = match &self.settings(found[batch.places[0]].slot).shapes.after {
            Some(shaping) => shaping.run(&directions.iter().collect::<Vec<_>>())?,
            None => directions,
        };
        for (place, mut u) in batch.places.iter().zip(shaped) {
            let slot = found[*place].slot;
            if let Some(neurons) = &slot.neurons {
                u = neurons.normalise(&u, &self.clock.clip_state)?;
            }
            if let (Some(low_rank), Some(m)) = (&slot.low_rank, slot.moments.first()) {
                u = low_rank.direction(&u, m, &self.clock.clip_state)?;
            }
            let output = (slot.param.value(), Output::Step(&slot.constants));
            Form::given().record(output, (&u, false), &[], self.shared(slot))?;
        }
        Ok(())
    }

    fn settings(&self, slot: &Slot) -> &Settings {
        &self.clock.parts[slot.group].settings
    }

    fn shared(&self, slot: &Slot) -> Shared<'_> {
        let (numbers, clip) = (&self.clock.numbers.values, &self.clock.clip_state);
        Shared { numbers, clip, group: slot.group }
    }

    pub(super) fn params(&self) -> Vec<Param> {
        self.slots.iter().map(|slot| slot.param.clone()).collect()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn set_rate(&mut self, rate: Option<f64>) -> Result<()> {
        if let Some(rate) = rate {
            not_negative(self.op, "learning rate", rate)?;
        }
        self.clock.set_rate(rate);
        Ok(())
    }

    pub(super) fn state(&self) -> Vec<(String, Tensor)> {
        let mut state = vec![(format!("{}.clip", self.op), self.clock.clip_state.clone())];
        if self.clock.parts.iter().any(|part| part.rule.restarts()) {
            state.push((format!("{}.numbers", self.op), self.clock.numbers.values.clone()));
        }
        for slot in &self.slots {
            let rule = &self.clock.parts[slot.group].rule;
            let (op, param) = (rule.name(), slot.param.name());
            for (name, moment) in rule.moments().iter().zip(&slot.moments) {
                state.push((format!("{op}.{name}.{param}"), moment.clone()));
            }
            if let Some(neurons) = &slot.neurons {
                state.push((format!("{op}.neurons.{param}"), neurons.moments.clone()));
            }
            if let Some(low_rank) = &slot.low_rank {
                state.push((format!("{op}.q.{param}"), low_rank.right.clone()));
            }
        }
        state
    }

    pub(super) fn gradient_norm(&self) -> Result<f32> {
        Ok(self.clock.clip_state.to_vec::<f32>()?[1])
    }

    pub(super) fn skipped(&self) -> Result<u64> {
        Ok(self.clock.clip_state.to_vec::<f32>()?[3] as u64)
    }
}

impl Slot {
    fn new(param: &Param, index: usize, part: &Part, group: usize) -> Result<Self> {
        let (value, settings) = (param.value(), &part.settings);
        let mut moments = Vec::new();
        for (i, _) in part.rule.moments().iter().enumerate() {
            moments.push(if i == 0 && part.rule.starts_at_parameter() {
                value.duplicate()?
            } else {
                Tensor::zeros(value.device(), *value.shape(), DType::F32)?
            });
        }
        let scales = settings.scales.iter().filter(|(chosen, _)| chosen(param));
        let scale: f64 = scales.map(|(_, factor)| factor).product();
        let constants = settings.constraint.hold(UpdateConstants {
            decay: if (settings.decays)(param) { settings.weight_decay as f32 } else { 0.0 },
            scale: not_negative(part.rule.name(), "product of rate scales", scale)?,
            gain: settings.shapes.gain_of(param) as f32,
            ..UpdateConstants::default()
        });
        let neurons = settings.shapes.neurons_of(param)?;
        let low_rank = settings.shapes.low_rank_of(param, index)?;
        Ok(Self { param: param.clone(), index, moments, neurons, low_rank, constants, group })
    }

    fn check(&self, op: &'static str, gradient: &Tensor) -> Result<()> {
        let (name, value) = (self.param.name(), self.param.value());
        if gradient.shape() != value.shape() {
            let detail = format!("gradient {} for `{name}` {}", gradient.shape(), value.shape());
            return Err(Error::shape(op, detail));
        }
        Ok(())
    }
}

/// Matrices of one group and shape.
struct Batch {
    group: usize,
    places: Vec<usize>,
    matrices: Vec<Tensor>,
}

/// Those of `found` that are chosen, by group and shape.
fn batches(found: &[Found<'_>], chosen: impl Fn(&Found<'_>) -> bool) -> Result<Vec<Batch>> {
    let mut batches: Vec<Batch> = Vec::new();
    for (place, item) in found.iter().enumerate().filter(|(_, item)| chosen(item)) {
        let orientation = item.slot.param.orientation();
        let (matrix, group) = (matrix(&item.gradient, orientation)?, item.slot.group);
        let fits = |b: &&mut Batch| b.group == group && b.matrices[0].shape() == matrix.shape();
        match batches.iter_mut().find(fits) {
            Some(batch) => {
                batch.places.push(place);
                batch.matrices.push(matrix);
            }
            None => batches.push(Batch { group, places: vec![place], matrices: vec![matrix] }),
        }
    }
    Ok(batches)
}

/// The gradient in memory of its own: that of `|x|^2 / 2` may be `x` itself, which the update of `x`
/// cannot read.
fn apart(gradient: &Tensor, value: &Tensor) -> Result<Tensor> {
    if gradient.bound().memory.same(&value.bound().memory) {
        return gradient.duplicate();
    }
    Ok(gradient.clone())
}

/// The device that all parameters live on.
fn checked_device<'a>(op: &'static str, params: &'a [Param]) -> Result<&'a Device> {
    let Some(first) = params.first() else {
        return Err(Error::argument(op, "no parameters"));
    };
    let (mut names, mut known) = (HashSet::new(), HashMap::new());
    for param in params {
        param.value().expect(op, DType::F32)?;
        first.value().same_device(op, param.value())?;
        if !names.insert(param.name()) {
            let detail = format!("two parameters are called `{}`", param.name());
            return Err(Error::argument(op, detail));
        }
        // Layers that share one list it each; it takes one step.
        if let Some(other) = known.insert(param.id(), param.name()) {
            let detail = format!("`{other}` and `{}` are one parameter", param.name());
            return Err(Error::argument(op, detail));
        }
    }
    Ok(first.value().device())
}
