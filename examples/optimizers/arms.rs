//! The optimizers that are compared, and how each is set up.

use spikegrad::optim::{
    AdEmaMix, AdEmaMixBuilder, Adam, AdamW, AdamWBuilder, Dion, Muon, MuonBuilder, NorMuon,
    Optimizer, OptimizerBuilder, Rule, Schedule, Sgd, Signum, SignumBuilder, Spam,
};
use spikegrad::spectral::SpectralClip;
use spikegrad::{Param, Result};

/// An optimizer under a name.
#[derive(Debug)]
pub struct Arm {
    /// How `--optimizer` and the results call it.
    pub name: &'static str,
    /// How tables and pictures call it.
    pub label: &'static str,
    /// The arm without clipping that it is compared with.
    pub base: Option<&'static str>,
    /// Whether some of its gradients are too large.
    pub spikes: bool,
    /// The middle of the three learning rates that are tried, on the text and on the digits: the best
    /// of a first search, or nearly.
    pub rates: [f64; 2],
    /// The optimizer.
    pub build: fn(&Setting, &[Param]) -> Made,
}

type Made = Result<Box<dyn Optimizer>>;

/// What an arm is set up for.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub rate: f64,
    pub steps: u64,
}

/// Decay rates of the moments of Adam and its kin, for runs of a few hundred steps.
const BETAS: [f64; 2] = [0.9, 0.99];
/// Decoupled decay of matrices, for all but SGD, Adam and SPAM.
const DECAY: f64 = 0.1;
/// Radius of post-clipping. Published: 10 for a width of 768 channels. A random matrix' norm grows
/// with the root of its extents: 10 sqrt(64 / 768) is about 3.
const POST: f64 = 3.0;
/// Radius of pre-clipping, as published.
const PRE: f64 = 0.1;
/// The rate of what Muon, NorMuon and Dion leave to AdamW.
const OTHERS: f64 = 0.008;
/// What the norm of all gradients is clipped to, where it is.
const NORM: f64 = 1.0;

const fn arm(
    name: &'static str,
    label: &'static str,
    rates: [f64; 2],
    build: fn(&Setting, &[Param]) -> Made,
) -> Arm {
    Arm { name, label, base: None, spikes: false, rates, build }
}

const fn clipped(base: &'static str, arm: Arm) -> Arm {
    Arm { base: Some(base), ..arm }
}

const fn spiked(arm: Arm) -> Arm {
    Arm { spikes: true, ..arm }
}

const ADAM: Arm = arm("adam", "Adam", [0.008, 0.008], |s, p| made(adam(s).build(p)));
const SPAM: Arm = arm("spam", "SPAM", [0.008, 0.004], |s, p| made(spam(s).build(p)));

/// What is compared without spikes.
pub const ARMS: &[Arm] = &[
    arm("sgd", "SGD", [0.5, 0.1], |s, p| {
        made(Sgd::builder().momentum(0.9).schedule(s.schedule()).build(p))
    }),
    ADAM,
    arm("adamw", "AdamW", [0.008, 0.008], |s, p| made(adamw(s).build(p))),
    arm("signum", "Signum", [0.002, 0.002], |s, p| made(signum(s).build(p))),
    arm("ademamix", "AdEMAMix", [0.004, 0.002], |s, p| made(ademamix(s).build(p))),
    SPAM,
    arm("muon", "Muon", [0.04, 0.02], |s, p| made(for_matrices(s, muon(s)).build(p))),
    arm("moonlight", "Muon, Moonlight", [0.02, 0.005], |s, p| {
        made(for_matrices(s, muon(s).moonlight(true)).build(p))
    }),
    arm("normuon", "NorMuon", [0.04, 0.02], |s, p| {
        let recipe = NorMuon::builder().schedule(s.schedule()).weight_decay(DECAY);
        made(for_matrices(s, recipe).build(p))
    }),
    arm("dion", "Dion", [0.08, 0.16], |s, p| {
        let recipe = Dion::builder().schedule(s.schedule()).weight_decay(DECAY);
        made(for_matrices(s, recipe).build(p))
    }),
    clipped(
        "adamw",
        arm("adamw-pre", "AdamW, pre", [0.008, 0.008], |s, p| made(pre(adamw(s)).build(p))),
    ),
    clipped(
        "adamw",
        arm("adamw-post", "AdamW, post", [0.016, 0.032], |s, p| made(post(adamw(s)).build(p))),
    ),
    clipped(
        "adamw",
        arm("adamw-both", "AdamW, both", [0.016, 0.016], |s, p| made(post(pre(adamw(s))).build(p))),
    ),
    clipped(
        "signum",
        arm("signum-pre", "Signum, pre", [0.002, 0.0005], |s, p| made(pre(signum(s)).build(p))),
    ),
    clipped(
        "signum",
        arm("signum-post", "Signum, post", [0.008, 0.004], |s, p| made(post(signum(s)).build(p))),
    ),
    clipped(
        "signum",
        arm("signum-both", "Signum, both", [0.008, 0.004], |s, p| {
            made(post(pre(signum(s))).build(p))
        }),
    ),
    clipped(
        "ademamix",
        arm("ademamix-pre", "AdEMAMix, pre", [0.004, 0.001], |s, p| {
            made(pre(ademamix(s)).build(p))
        }),
    ),
    clipped(
        "ademamix",
        arm("ademamix-post", "AdEMAMix, post", [0.008, 0.004], |s, p| {
            made(post(ademamix(s)).build(p))
        }),
    ),
    clipped(
        "ademamix",
        arm("ademamix-both", "AdEMAMix, both", [0.008, 0.004], |s, p| {
            made(post(pre(ademamix(s))).build(p))
        }),
    ),
];

/// What is compared with spikes, and the clean runs beside it.
pub const SPIKE_ARMS: &[Arm] = &[
    Arm { name: "adam-clean", label: "Adam, clean", ..ADAM },
    Arm { name: "spam-clean", label: "SPAM, clean", base: Some("adam-clean"), ..SPAM },
    spiked(Arm { name: "adam", base: Some("adam-clean"), ..ADAM }),
    spiked(clipped(
        "adam-clean",
        arm("adam-norm", "Adam, norm clipped", ADAM.rates, |s, p| {
            made(adam(s).clip_norm(NORM).build(p))
        }),
    )),
    spiked(Arm { base: Some("adam-clean"), ..SPAM }),
    spiked(clipped(
        "adam-clean",
        arm("adam-pre", "Adam, pre-clipped", ADAM.rates, |s, p| made(pre(adam(s)).build(p))),
    )),
];

fn made<R>(optimizer: Result<spikegrad::optim::Descent<R>>) -> Made
where
    R: 'static,
{
    Ok(Box::new(optimizer?))
}

impl Setting {
    fn schedule(&self) -> Schedule {
        self.schedule_to(self.rate)
    }

    /// A tenth of the steps to warm up, half a cosine down to a tenth of the rate.
    fn schedule_to(&self, rate: f64) -> Schedule {
        Schedule::cosine(rate, self.steps).warmup(self.steps / 10).floor(rate / 10.0)
    }
}

fn adam(s: &Setting) -> AdamWBuilder {
    Adam::builder().betas(BETAS[0], BETAS[1]).schedule(s.schedule())
}

fn adamw(s: &Setting) -> AdamWBuilder {
    AdamW::builder().betas(BETAS[0], BETAS[1]).weight_decay(DECAY).schedule(s.schedule())
}

fn signum(s: &Setting) -> SignumBuilder {
    Signum::builder().weight_decay(DECAY).schedule(s.schedule())
}

/// The slow average remembers a good part of a run, and grows over all of it.
fn ademamix(s: &Setting) -> AdEmaMixBuilder {
    let slow = 1.0 - 2.0 / s.steps as f64;
    let recipe = AdEmaMix::builder().betas(BETAS[0], BETAS[1], slow.max(0.9)).warmup(s.steps);
    recipe.weight_decay(DECAY).schedule(s.schedule())
}

/// Published, for runs of many thousand steps: a reset every 500 steps, 20 steps before spikes are
/// limited, to 5000 second moments with a decay rate of 0.999. Runs here are hardly longer than one such
/// interval and have no reset; the limit is 15, since there are not the steps to forget a spike that
/// gets through, from a fiftieth of the run on. Both were found on the text and on the digits.
fn spam(s: &Setting) -> spikegrad::optim::SpamBuilder {
    let recipe = Spam::builder().betas(BETAS[0], BETAS[1]).theta(15.0);
    recipe.interval(s.steps + 1).grace(s.steps / 50).schedule(s.schedule())
}

fn muon(s: &Setting) -> MuonBuilder {
    Muon::builder().schedule(s.schedule()).weight_decay(DECAY)
}

/// The recipe for matrices that map activations; embeddings, the language model's output and
/// vectors are left to AdamW at a fixed rate.
fn for_matrices<R: Rule + Clone>(s: &Setting, recipe: OptimizerBuilder<R>) -> OptimizerBuilder<R> {
    let rest = adamw(&Setting { rate: OTHERS, ..*s });
    recipe.group("others", |param| !maps_activations(param), rest)
}

fn maps_activations(param: &Param) -> bool {
    let outer = ["embedding", "head.first", "head.second"];
    param.value().shape().rank() == 2 && !outer.iter().any(|name| param.name().starts_with(name))
}

/// Clips gradients: matrices and vectors.
fn pre<R: Rule + Clone>(recipe: OptimizerBuilder<R>) -> OptimizerBuilder<R> {
    recipe.pre_clip(SpectralClip::new(PRE))
}

/// Clips updates of matrices; vectors are left as they are.
fn post<R: Rule + Clone>(recipe: OptimizerBuilder<R>) -> OptimizerBuilder<R> {
    let vectors = recipe.clone();
    let recipe = recipe.post_clip(SpectralClip::new(POST));
    recipe.group("vectors", |param| param.value().shape().rank() < 2, vectors)
}
