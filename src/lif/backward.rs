//! The backward launch.

use super::layer::Scan;
use super::membrane::{Layer, Neuron, Options, choose, part};
use super::neuron::Save;
use super::params::{FULL, HARD, LifParams, SOFT, SPATIAL, TIED};
use super::{Surrogate, parameters};
use crate::host::{self, HostArgs, Real, keep_nan};
use crate::kernel::{Cost, CostArgs, Variant};
use crate::tape::Backward;
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `gx` from `gs` and the saved membrane, from the last step to the first
    pub(super) static LIF_BACKWARD = "lif/lif_backward";
    params = LifParams;
    oracle = lif_backward;
    host = on_host;
    variants = VARIANTS;
    cost = cost;
    iterations = iterations;
}

const VARIANTS: &[Variant] =
    &[Variant::portable("membrane", &[]), Variant::portable("checkpoints", &["CHECKPOINTS"])];

fn iterations(args: &CostArgs<'_>) -> u64 {
    let steps = u64::from(args.params::<LifParams>().steps);
    if !args.when("CHECKPOINTS") {
        return steps + 16;
    }
    // Each chunk is walked along twice.
    let every = args.constant("EVERY");
    steps.div_ceil(every) * (2 * every + 3) + 2
}

/// The upstream gradient, what was saved, the input where it is read, the gradients.
fn cost(args: &CostArgs<'_>) -> Cost {
    let read = ["gs", "saved", "checkpoints", "words", "x"];
    let moved: u64 = read.into_iter().chain(["gx", "sums"]).map(|name| args.words_of(name)).sum();
    Cost { bytes: moved as f64 * 4.0, flops: args.words_of("gx") as f64 * 14.0 }
}

fn lif_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let layer = Layer::new(args);
    let (o, neurons) = (layer.options, layer.all());
    let surrogate = Surrogate::from_code(args.constant("SURROGATE"), o.alpha);
    let (gradient, learn) = (args.constant("GRADIENT"), args.constant("LEARN"));
    let upstream = args.constant("UPSTREAM");
    let tied = args.constant("GAIN") == TIED;
    let (gs, x) = (args.reals("gs"), args.reals("x"));
    let steps = Steps::new(args, &o, &neurons);
    let (gx, sums) = (args.reals_mut("gx"), args.reals_mut("sums"));
    let (carry, learned) = sums.split_at_mut(o.columns);
    learned.fill(R::zero());
    if upstream & 2 == 0 || gradient == SPATIAL {
        carry.fill(R::zero());
    }
    let jumps = gradient == FULL && (o.reset == HARD || o.reset == SOFT);
    for (i, gx) in gx.iter_mut().enumerate().rev() {
        let c = i % o.columns;
        let (neuron, raw, s, a) = (&neurons[c], steps.raw[i], steps.spikes[i], carry[c]);
        let h = o.held(raw);
        // dv/ds and dL/ds; nothing where nothing comes through the spike, never 0 times a NaN.
        let jump = if o.reset == HARD { o.v_reset - h } else { -neuron.threshold };
        let from_step = if upstream & 1 != 0 { gs[i] } else { R::zero() };
        let q = from_step + if jumps { a * jump } else { R::zero() };
        let through = upstream & 1 != 0 || jumps;
        let slope = surrogate.derivative(h - neuron.threshold);
        let fire = if through { q * slope } else { R::zero() };
        let kept = if o.reset == HARD { choose(s, R::zero(), a) } else { a };
        let gh = if o.is_inside(raw) { fire + kept } else { keep_nan(raw, R::zero()) };
        *gx = neuron.gain * gh;
        carry[c] = if gradient == SPATIAL { R::zero() } else { neuron.decay * gh };
        if learn & 1 != 0 {
            learned[c] += part(gh, steps.before[i] - o.v_rest());
            if tied {
                learned[c] -= gh * x[i];
            }
        }
        if learn & 2 != 0 {
            let lowered = if o.reset == SOFT { choose(s, a, R::zero()) } else { R::zero() };
            learned[o.columns + c] -= fire + lowered;
        }
        if learn & 4 != 0 {
            learned[2 * o.columns + c] += gh * x[i];
        }
        // The first step's share of the decay is left to the reader, who knows v[-1].
        if learn != 0 && i < o.columns && !steps.again {
            learned[3 * o.columns + c] = gh;
        }
    }
}

/// What forward went through: the charged membrane, the spike, and the state before each step.
struct Steps<R> {
    raw: Vec<R>,
    spikes: Vec<R>,
    /// 0 before the first step, unless a checkpoint holds it.
    before: Vec<R>,
    /// Whether it was computed again from checkpoints.
    again: bool,
}

impl<R: Real> Steps<R> {
    fn new(args: &HostArgs<'_, R>, o: &Options<R>, neurons: &[Neuron<R>]) -> Self {
        let again = args.when("CHECKPOINTS");
        let (every, x) = (args.constant("EVERY") as usize, args.reals("x"));
        let saved = args.reals(if again { "checkpoints" } else { "saved" });
        let words = if again { args.words("words") } else { &[] };
        let count = o.steps * o.columns;
        let [raw, spikes, before] = [(); 3].map(|()| Vec::with_capacity(count));
        let mut steps = Self { raw, spikes, before, again };
        for i in 0..count {
            let (t, c) = (i / o.columns, i % o.columns);
            let neuron = &neurons[c];
            let v = match t {
                _ if again && t % every == 0 => saved[t / every * o.columns + c],
                0 => R::zero(),
                _ => {
                    let last = i - o.columns;
                    o.after(neuron, o.held(steps.raw[last]), steps.spikes[last])
                }
            };
            let raw = if again { neuron.charge(v, x[i]) } else { saved[i] };
            let spike = if again {
                R::lit((words[t / 32 * o.columns + c] >> (t % 32) & 1).into())
            } else {
                o.spike(neuron, o.held(raw))
            };
            steps.raw.push(raw);
            steps.spikes.push(spike);
            steps.before.push(v);
        }
        steps
    }
}

/// The smooth neuron is for gradient checks, and not made fast.
fn on_host(args: &mut HostArgs<'_, f32>) {
    if args.params::<LifParams>().relaxed == 0 {
        host::lif::backward(args);
    } else {
        lif_backward(args);
    }
}

/// The places of the inputs of the recorded operator.
pub(super) const X: usize = 0;
pub(super) const STATE: usize = 1;
pub(super) const DECAY: usize = 2;
pub(super) const THRESHOLD: usize = 3;
pub(super) const GAIN: usize = 4;

/// What forward keeps.
pub(super) struct Saved {
    pub(super) scan: Scan,
    /// Membranes, or checkpoints.
    pub(super) membrane: Tensor,
    /// The spikes, with checkpoints.
    pub(super) words: Option<Tensor>,
    /// The input, where it is read again.
    pub(super) x: Option<Tensor>,
    /// The first state, where the decay is learned.
    pub(super) v0: Option<Tensor>,
}

impl Saved {
    /// Gives the gradients of all inputs.
    pub(super) fn backward(self, bw: &mut Backward<'_>) -> Result<()> {
        let scan = &self.scan;
        let device = self.membrane.device();
        let learn = [DECAY, THRESHOLD, GAIN].map(|input| bw.needs(input));
        let state_shape = scan.state_shape()?;
        let rows = if learn.contains(&true) { parameters::ROWS } else { 1 };
        let sums = Tensor::empty(device, [rows, scan.columns()], DType::F32)?;
        // Its first row is a tensor of its own: dL/dv at the end before, at the start after.
        let carry = sums.with_words_as(DType::F32, state_shape);
        if let Some(upstream) = bw.upstream(1)
            && scan.lif.gradient_code() != SPATIAL
        {
            carry.copy_from(upstream)?;
        }
        let gx = Tensor::empty(device, scan.shape, DType::F32)?;
        self.launch(bw, learn, &gx, &sums)?;
        if rows > 1 {
            // With checkpoints the sums hold the share of the first state already.
            let v0 = self.v0.as_ref().filter(|_| learn[0] && scan.lif.save == Save::Membrane);
            let gradients = parameters::reduce(scan, v0, learn, &sums)?;
            for (input, gradient) in [DECAY, THRESHOLD, GAIN].into_iter().zip(gradients) {
                if let Some(gradient) = gradient {
                    bw.give(input, gradient);
                }
            }
        }
        bw.give(X, gx);
        bw.give(STATE, carry);
        Ok(())
    }

    fn launch(
        &self,
        bw: &Backward<'_>,
        learn: [bool; 3],
        gx: &Tensor,
        sums: &Tensor,
    ) -> Result<()> {
        let scan = &self.scan;
        let upstream = [bw.upstream(0), bw.upstream(1)].map(|g| u32::from(g.is_some()));
        let mask = learn.iter().rev().fold(0, |mask, on| mask << 1 | u32::from(*on));
        let checkpoints = matches!(scan.lif.save, Save::Checkpoints(_));
        let mut launch = scan.prepare(self.membrane.device(), &LIF_BACKWARD);
        launch = launch.when("CHECKPOINTS", checkpoints);
        launch = launch.constant("GRADIENT", scan.lif.gradient_code());
        launch = launch.constant("SURROGATE", scan.lif.surrogate_code());
        launch =
            launch.constant("UPSTREAM", upstream[0] | upstream[1] << 1).constant("LEARN", mask);
        launch = launch.bind_if("gs", bw.upstream(0)).bind_if("x", self.x.as_ref());
        launch = launch.bind_if("decay", scan.decay.as_ref());
        launch = launch.bind_if("threshold", scan.threshold.as_ref());
        launch = if checkpoints {
            let launch = launch.constant("EVERY", scan.every());
            launch.bind("checkpoints", &self.membrane).bind_if("words", self.words.as_ref())
        } else {
            launch.bind("saved", &self.membrane).bind_if("gain", scan.gain.as_ref())
        };
        launch.bind("gx", gx).bind("sums", sums).record()
    }
}
