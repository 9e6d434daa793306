//! `peer_*`: neurons of other libraries, where our options express their conventions. They record
//! the membrane of every step with a gradient of its own: each step of a LIF scan is a scan of one step,
//! its state handed on. All neurons of a batch stand side by side, and every step and neuron has parameters of
//! its own, so that the terms of a shared parameter's gradient are known.

use super::case::{Case, Failure, Values, failed, largest, magnitudes, read};
use crate::seeded;
use spikegrad::layout::concat;
use spikegrad::lif::{Gain, Lif, LifOutput, Neurons, Reset, Surrogate};
use spikegrad::neuron::{self, Synaptic, SynapticParameters};
use spikegrad::{Device, Gradients, Tape, Tensor, Var};
use std::cell::RefCell;

/// How far membranes and gradients may be off, relative to the largest of their tensor, or to the sum
/// of the terms' magnitudes.
const MEMBRANE: f64 = 5e-6;
const GRADIENT: f64 = 2e-5;

/// The leaves of a case.
struct Leaves {
    steps: Vec<Var>,
    v0: Option<Var>,
}

/// Spikes and recorded membranes, step by step.
type Trace = Vec<(Var, Var)>;

fn leaves(case: &Case, device: &Device, tape: &Tape) -> Result<Leaves, Failure> {
    let x = case.values("x")?;
    let mut steps = Vec::new();
    for t in 0..x.shape[0] {
        let row = x.step(t)?;
        let shape = [1, 1, row.data.len()];
        steps.push(tape.leaf(&row.shaped(&shape).tensor(device)?));
    }
    let beside = |v: Values| -> Result<Var, Failure> {
        let shape = [1, v.data.len()];
        Ok(tape.leaf(&v.shaped(&shape).tensor(device)?))
    };
    Ok(Leaves { steps, v0: case.optional("v0")?.map(beside).transpose()? })
}

impl Leaves {
    fn width(&self) -> usize {
        self.steps.first().map_or(0, |x| x.value().count())
    }
}

/// A parameter that all steps share.
struct Shared {
    values: Vec<f64>,
    width: usize,
    device: Device,
    tape: Tape,
    leaves: RefCell<Vec<Var>>,
}

impl Shared {
    fn new(values: Vec<f64>, device: &Device, tape: &Tape, width: usize) -> Self {
        let (device, tape) = (device.clone(), tape.clone());
        Self { values, width, device, tape, leaves: RefCell::default() }
    }

    /// That of one step.
    fn of_step(&self) -> Result<Var, Failure> {
        let data = self.values.iter().copied().cycle().take(self.width).collect();
        let values = Values { shape: vec![self.width], data };
        let leaf = self.tape.leaf(&values.tensor(&self.device)?);
        self.leaves.borrow_mut().push(leaf.clone());
        Ok(leaf)
    }

    /// Compares `factor` times the gradient with that at `key`, if one is recorded.
    fn compare(
        &self,
        case: &Case,
        gradients: &Gradients,
        key: &str,
        factor: f64,
    ) -> Result<(), Failure> {
        let Some(expected) = case.optional(key)? else { return Ok(()) };
        let leaves = self.leaves.borrow();
        let terms = leaves.iter().filter_map(|leaf| gradients.get(leaf)).map(read);
        let terms: Vec<Vec<f64>> = terms.collect::<Result<_, _>>()?;
        if terms.is_empty() {
            return Err(format!("{key}: no gradient"));
        }
        let count = expected.data.len();
        let mut found = vec![0.0; count];
        for (i, term) in terms.iter().flat_map(|step| step.iter().enumerate()) {
            found[i % count] += factor * term;
        }
        let (sums, scale) = (magnitudes(&terms, count), largest(&expected.data));
        case.within(key, &found, |i, _| GRADIENT * scale.max(factor.abs() * sums[i]))
    }
}

/// Compares spikes, membranes and the gradients of input and first state.
fn compare(case: &Case, leaves: &Leaves, trace: &Trace) -> Result<Gradients, Failure> {
    let (mut s, mut v) = (Vec::new(), Vec::new());
    for (spikes, membrane) in trace {
        s.extend(read(spikes.value())?);
        v.extend(read(membrane.value())?);
    }
    case.within("s", &s, |_, _| 0.0)?;
    case.close("v", &v, MEMBRANE)?;
    let (gs, gv) = (case.optional("gs")?, case.optional("gv")?);
    let mut seeds: Vec<(&Var, Tensor)> = Vec::new();
    for (t, (spikes, membrane)) in trace.iter().enumerate() {
        let device = spikes.device();
        let shaped = |g: Values, like: &Var| g.shaped(like.shape().dims()).tensor(device);
        if let Some(gs) = &gs {
            seeds.push((spikes, shaped(gs.step(t)?, spikes)?));
        }
        if let Some(gv) = &gv {
            seeds.push((membrane, shaped(gv.step(t)?, membrane)?));
        }
    }
    let gradients = seeded(&seeds).and_then(|loss| loss.backward()).map_err(failed)?;
    let mut gx = Vec::new();
    for x in &leaves.steps {
        gx.extend(read(gradients.get(x).ok_or("x: no gradient")?)?);
    }
    case.close("grad_x", &gx, GRADIENT)?;
    if let Some(v0) = &leaves.v0
        && case.find("grad_v0").is_some()
    {
        let found = read(gradients.get(v0).ok_or("v0: no gradient")?)?;
        case.close("grad_v0", &found, GRADIENT)?;
    }
    Ok(gradients)
}

/// Runs step by step; the membrane that is recorded is the state.
fn simple_trace(lif: &Lif, leaves: &Leaves, decay: Option<&Shared>) -> Result<Trace, Failure> {
    let mut state = leaves.v0.clone();
    let mut trace = Vec::new();
    for x in &leaves.steps {
        let decay = decay.map(Shared::of_step).transpose()?;
        let neurons = Neurons { decay: decay.as_ref(), ..Neurons::default() };
        let out = lif.scan_with(x, state.as_ref(), &neurons).map_err(failed)?;
        trace.push((out.spikes, out.state.clone()));
        state = Some(out.state);
    }
    Ok(trace)
}

/// What Spyx's superspike has where a case names nothing else.
const SPYX_SLOPE: f64 = 25.0;

/// The surrogate of a case, if one of ours is equal to it.
fn surrogate(case: &Case) -> Result<Surrogate, Failure> {
    let name = case.text("peer.surrogate")?;
    let argument = |key: &str| case.number(&format!("peer.sur_args.{key}")).map(|v| v as f32);
    let unlike = || Err(format!("surrogate {name} is none of ours"));
    Ok(match name {
        "ATan" | "atan" => Surrogate::Atan(argument("alpha")?),
        "Sigmoid" => Surrogate::Sigmoid(argument("alpha")?),
        "sigmoid" => Surrogate::Sigmoid(argument("slope")?),
        "fast_sigmoid" => Surrogate::FastSigmoid(argument("slope")?),
        "superspike" => {
            Surrogate::FastSigmoid(case.number_or("peer.sur_args.k", SPYX_SLOPE)? as f32)
        }
        "PiecewiseQuadratic" => Surrogate::Triangle(1.0 / argument("alpha")?),
        "Rect" => Surrogate::Rectangle(1.0 / argument("alpha")?),
        "SuperSpike" if argument("alpha")? == 1.0 => Surrogate::FastSigmoid(1.0),
        "SoftSign" if argument("alpha")? == 2.0 => Surrogate::FastSigmoid(2.0),
        "triangle" if argument("alpha")? == 1.0 => Surrogate::Triangle(1.0),
        _ => return unlike(),
    })
}

/// SpikingJelly's LIFNode and ParametricLIFNode (whose 1/tau is sigmoid(w)).
pub(super) fn spikingjelly(case: &Case, device: &Device) -> Result<(), Failure> {
    let reset = match case.find("peer.v_reset") {
        Some(_) => Reset::Hard(case.number("peer.v_reset")? as f32),
        None => Reset::Soft,
    };
    let gain = if case.is_on("peer.decay_input")? { Gain::Leak } else { Gain::Fixed(1.0) };
    let lif = Lif::new()
        .reset(reset)
        .gain(gain)
        .threshold(case.number("peer.v_threshold")? as f32)
        .tau(case.number("peer.tau")? as f32)
        .detach_reset(case.is_on("peer.detach_reset")?)
        .surrogate(surrogate(case)?);
    let tape = Tape::new();
    let leaves = leaves(case, device, &tape)?;
    if case.find("w").is_none() {
        let trace = simple_trace(&lif, &leaves, None)?;
        return compare(case, &leaves, &trace).map(|_| ());
    }
    let leak = 1.0 / (1.0 + (-case.number("w")?).exp());
    let decay = Shared::new(vec![1.0 - leak], device, &tape, leaves.width());
    let trace = simple_trace(&lif, &leaves, Some(&decay))?;
    let gradients = compare(case, &leaves, &trace)?;
    decay.compare(case, &gradients, "grad_w", -leak * (1.0 - leak))
}

/// Whether a membrane is above the threshold: a scan that neither leaks nor takes input.
fn spikes_of(
    membrane: &Var,
    input: &Var,
    threshold: &Var,
    surrogate: Surrogate,
) -> Result<Var, Failure> {
    let lif = Lif::new().decay(1.0).gain(Gain::Fixed(0.0)).reset(Reset::None);
    let lif = lif.strict(true).surrogate(surrogate);
    let neurons = Neurons { threshold: Some(threshold), ..Neurons::default() };
    Ok(lif.scan_with(&input.detach(), Some(membrane), &neurons).map_err(failed)?.spikes)
}

/// One step of snnTorch's reset: in the step after the spike, after the decay, detached; without a
/// delay it is then corrected by the spike of this step, which is not detached.
struct Snntorch<'a> {
    surrogate: Surrogate,
    mechanism: &'a str,
    delayed: bool,
    beta: Shared,
    threshold: Shared,
}

impl<'a> Snntorch<'a> {
    fn new(
        case: &'a Case,
        device: &Device,
        tape: &Tape,
        place: &str,
        width: usize,
    ) -> Result<Self, Failure> {
        let shared = |values: Vec<f64>| Shared::new(values, device, tape, width);
        let delay = case.find(&format!("{place}.reset_delay"));
        let named = case.find("beta").map_or("peer.const.beta", |_| "beta");
        let threshold = case.optional("peer.threshold")?.map_or(vec![1.0], |v| v.data);
        Ok(Self {
            surrogate: surrogate(case)?,
            mechanism: case.text(&format!("{place}.reset_mechanism"))?,
            delayed: delay.is_none_or(|v| v.as_bool() != Some(false)),
            beta: shared(case.values(named)?.data),
            threshold: shared(threshold),
        })
    }

    /// Spikes and membrane from the input and the membrane before.
    fn step(&self, x: &Var, before: Option<&Var>) -> Result<(Var, Var), Failure> {
        let charge = Lif::new().reset(Reset::None).strict(true).surrogate(self.surrogate);
        let (beta, threshold) = (self.beta.of_step()?, self.threshold.of_step()?);
        let neurons = Neurons { decay: Some(&beta), threshold: Some(&threshold), gain: None };
        let scan = |x: &Var, v: Option<&Var>| charge.scan_with(x, v, &neurons).map_err(failed);
        let Some(before) = before.filter(|_| self.mechanism != "none") else {
            let LifOutput { spikes, state } = scan(x, before)?;
            return Ok((spikes, state));
        };
        let fired = spikes_of(before, x, &threshold, self.surrogate)?.detach();
        let out = match self.mechanism {
            "subtract" => {
                let size = fired.mul(&threshold).map_err(failed)?;
                scan(&x.sub(&size).map_err(failed)?, Some(before))?
            }
            "zero" => {
                let lost = fired.reshape(before.shape()).and_then(|r| r.mul(before));
                let kept = lost.and_then(|lost| before.sub(&lost)).map_err(failed)?;
                scan(x, Some(&kept))?
            }
            other => return Err(format!("reset mechanism `{other}`")),
        };
        if self.delayed {
            return Ok((out.spikes, out.state));
        }
        let corrected = || {
            let more = out.spikes.sub(&fired)?.reshape(before.shape())?;
            let by = if self.mechanism == "zero" { &out.state } else { &threshold };
            out.state.sub(&more.mul(by)?)
        };
        let state = corrected().map_err(failed)?;
        Ok((out.spikes, state))
    }

    fn compare(&self, case: &Case, gradients: &Gradients) -> Result<(), Failure> {
        self.beta.compare(case, gradients, "grad_beta", 1.0)?;
        self.threshold.compare(case, gradients, "grad_threshold", 1.0)
    }
}

/// snnTorch's Leaky.
pub(super) fn snntorch_leaky(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::new();
    let leaves = leaves(case, device, &tape)?;
    let neuron = Snntorch::new(case, device, &tape, "peer", leaves.width())?;
    let mut state = leaves.v0.clone();
    let mut trace = Vec::new();
    for x in &leaves.steps {
        let (spikes, membrane) = neuron.step(x, state.as_ref())?;
        trace.push((spikes, membrane.clone()));
        state = Some(membrane);
    }
    let gradients = compare(case, &leaves, &trace)?;
    neuron.compare(case, &gradients)
}

/// snnTorch's Synaptic: a current that leaks feeds the membrane. The scan takes all steps at once, with
/// the trace of the membrane; every neuron of a batch has parameters of its own.
pub(super) fn snntorch_synaptic(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::new();
    let x = case.values("x")?;
    let (steps, width) = (x.shape[0], x.data.len() / x.shape[0].max(1));
    let beside = |v: Values, rows: usize| v.shaped(&[rows, width]).tensor(device);
    let x = tape.leaf(&beside(x, steps)?);
    let none = Values { shape: vec![width], data: vec![0.0; width] };
    let v0 = case.optional("v0")?.unwrap_or(none.clone());
    let [current, v0] = [beside(none, 1)?, beside(v0, 1)?].map(|v| tape.leaf(&v));
    let state = concat(&[&current, &v0], 0).map_err(failed)?;
    let threshold = case.optional("peer.threshold")?.map_or(vec![1.0], |v| v.data);
    let [alpha, beta] = ["alpha", "beta"].map(|name| case.values(&format!("peer.const.{name}")));
    let shared = [("alpha", alpha?.data), ("beta", beta?.data), ("threshold", threshold)]
        .map(|(name, values)| (name, Shared::new(values, device, &tape, width)));
    let [alpha, beta, threshold] = shared.each_ref().map(|(_, value)| value.of_step());
    let (alpha, beta, threshold) = (alpha?, beta?, threshold?);
    let reset = match case.text("peer.args.reset_mechanism")? {
        "none" => neuron::Reset::None,
        "subtract" => neuron::Reset::Subtract,
        "zero" => neuron::Reset::Zero,
        other => return Err(format!("reset mechanism `{other}`")),
    };
    if case.find("peer.args.reset_delay").is_some_and(|v| v.as_bool() == Some(false)) {
        return Err("a reset without a delay is not expressed".into());
    }
    let scan = Synaptic::new(0.5, 0.5).reset(reset).surrogate(surrogate(case)?).trace(true);
    let (alpha, beta, threshold) = (Some(&alpha), Some(&beta), Some(&threshold));
    let parameters = SynapticParameters { alpha, beta, threshold };
    let out = scan.scan_with(&x, Some(&state), &parameters).map_err(failed)?;
    let membrane = out.membrane.ok_or("no trace")?;
    case.within("s", &read(out.spikes.value())?, |_, _| 0.0)?;
    case.close("v", &read(membrane.value())?, MEMBRANE)?;
    let mut seeds = Vec::new();
    for (key, output) in [("gs", &out.spikes), ("gv", &membrane)] {
        if let Some(g) = case.optional(key)? {
            seeds.push((output, beside(g, steps)?));
        }
    }
    let gradients = seeded(&seeds).and_then(|loss| loss.backward()).map_err(failed)?;
    for (key, leaf) in [("grad_x", &x), ("grad_v0", &v0)] {
        if case.find(key).is_some() {
            case.close(key, &read(gradients.get(leaf).ok_or("no gradient")?)?, GRADIENT)?;
        }
    }
    for (name, value) in &shared {
        value.compare(case, &gradients, &format!("grad_{name}"), 1.0)?;
    }
    Ok(())
}

/// Spyx's LIF: the spike is that of the membrane before the update, which it is subtracted in.
fn spyx_lif(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::new();
    let leaves = leaves(case, device, &tape)?;
    let surrogate = surrogate(case)?;
    let beta = Shared::new(case.values("peer.beta")?.data, device, &tape, leaves.width());
    let threshold = tape.leaf(&case.values("peer.threshold")?.tensor(device)?);
    let charge = Lif::new().reset(Reset::None);
    let mut state = leaves.v0.clone().ok_or("no `v0`")?;
    let mut trace = Vec::new();
    for x in &leaves.steps {
        let spikes = spikes_of(&state, x, &threshold, surrogate)?;
        let input = spikes.mul(&threshold).and_then(|size| x.sub(&size)).map_err(failed)?;
        let decay = beta.of_step()?;
        let neurons = Neurons { decay: Some(&decay), ..Neurons::default() };
        state = charge.scan_with(&input, Some(&state), &neurons).map_err(failed)?.state;
        trace.push((spikes, state.clone()));
    }
    let gradients = compare(case, &leaves, &trace)?;
    beta.compare(case, &gradients, "grad_beta", 1.0)
}

/// Norse's LIFBox: a forward Euler step.
pub(super) fn norse_lifbox(case: &Case, device: &Device) -> Result<(), Failure> {
    let step = case.number("peer.dt")? * case.number("peer.tau_mem_inv")?;
    let lif = Lif::new()
        .decay((1.0 - step) as f32)
        .gain(Gain::Fixed(step as f32))
        .threshold(case.number("peer.v_th")? as f32)
        .reset(Reset::Hard(case.number("peer.v_reset")? as f32))
        .strict(true)
        .detach_reset(false)
        .surrogate(surrogate(case)?);
    if case.number("peer.v_leak")? != case.number("peer.v_reset")? {
        return Err("a leak to another potential than the reset's cannot be expressed".into());
    }
    let tape = Tape::new();
    let leaves = leaves(case, device, &tape)?;
    let trace = simple_trace(&lif, &leaves, None)?;
    compare(case, &leaves, &trace).map(|_| ())
}

/// Spyx's PSU_LIF: leaky integration without a reset.
pub(super) fn spyx_psu(case: &Case, device: &Device) -> Result<(), Failure> {
    let lif = Lif::new().reset(Reset::None).strict(true).surrogate(surrogate(case)?);
    let lif = lif.threshold(case.number("peer.threshold")? as f32);
    let tape = Tape::new();
    let leaves = leaves(case, device, &tape)?;
    let beta = Shared::new(case.values("peer.beta")?.data, device, &tape, leaves.width());
    let trace = simple_trace(&lif, &leaves, Some(&beta))?;
    let gradients = compare(case, &leaves, &trace)?;
    beta.compare(case, &gradients, "grad_beta", 1.0)
}

/// Neurons called LIF by libraries whose step has another order.
pub(super) fn other_lif(case: &Case, device: &Device) -> Result<(), Failure> {
    let library = case.text("peer.lib")?;
    let why = match library.split(' ').next() {
        Some("spyx") => return spyx_lif(case, device),
        Some("norse") => "an Euler step of a synaptic current",
        Some("sinabs") => "an exponential surrogate",
        _ => "an unknown convention",
    };
    Err(format!("{library} has {why}, which a LIF scan does not express"))
}
