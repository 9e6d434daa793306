//! The Hard Concrete gate on frequency bins.

use crate::elementwise::{Activation, each};
use crate::host::{HostArgs, Real, keep_nan, limited};
use crate::random::Generator;
use crate::{DType, Error, Result, Tensor, Var, kernel};

/// `sigmoid((ln u - ln(1 - u) + a) / beta)`, or without noise `sigmoid(a)`.
fn open_share<R: Real>(a: R, u: Option<R>, beta: R) -> R {
    let x = u.map_or(a, |u| (u.ln() - (R::one() - u).ln() + a) / beta);
    (R::one() + (-x).exp()).recip()
}

fn hard_concrete<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ConcreteParams = args.params();
    let noisy = args.flag("NOISE");
    let [beta, gamma, zeta] = [p.beta, p.gamma, p.zeta].map(|v| R::lit(v.into()));
    let (a, u) = (args.reals("a"), args.reals("u"));
    each(args.reals_mut("m"), |i| {
        let s = open_share(a[i], noisy.then(|| u[i]), beta);
        limited(s * (zeta - gamma) + gamma, R::zero(), R::one())
    });
}

fn hard_concrete_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ConcreteParams = args.params();
    let noisy = args.flag("NOISE");
    let [beta, gamma, zeta] = [p.beta, p.gamma, p.zeta].map(|v| R::lit(v.into()));
    let rate = if noisy { beta.recip() } else { R::one() };
    let (a, u, g) = (args.reals("a"), args.reals("u"), args.reals("g"));
    each(args.reals_mut("ga"), |i| {
        let s = open_share(a[i], noisy.then(|| u[i]), beta);
        let m = s * (zeta - gamma) + gamma;
        if m > R::zero() && m < R::one() {
            g[i] * ((zeta - gamma) * s * (R::one() - s) * rate)
        } else {
            keep_nan(m, R::zero())
        }
    });
}

kernel! {
    /// Gates from their logits.
    pub(super) static HARD_CONCRETE = "fourier/hard_concrete";
    params = ConcreteParams;
    oracle = hard_concrete;
}

kernel! {
    /// Their gradient.
    pub(super) static HARD_CONCRETE_BACKWARD = "fourier/hard_concrete_backward";
    params = ConcreteParams;
    oracle = hard_concrete_backward;
    mismatch = 1e-3;
}

crate::params! {
    /// `fourier/concrete.wgsl`
    pub(super) struct ConcreteParams {
        count: u32,
        beta: f32,
        gamma: f32,
        zeta: f32,
    }
}

/// Hard Concrete gates, one for each frequency bin: numbers in 0 ..= 1 that can be exactly 0 and
/// still have a gradient.
///
/// `m = clamp(s (zeta - gamma) + gamma, 0, 1)`. In training
/// `s = sigmoid((ln u - ln(1 - u) + a) / beta)` with uniform noise u; without noise
/// `s = sigmoid(a)`. `a` are the logits, the parameter.
///
/// Source: Louizos et al. 2018, Learning Sparse Neural Networks through L0 Regularization; the
/// constants and the evaluation without beta are those of SpikF-GO's released code.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct HardConcrete {
    beta: f32,
    gamma: f32,
    zeta: f32,
}

impl Default for HardConcrete {
    fn default() -> Self {
        Self { beta: 0.1, gamma: -0.1, zeta: 1.1 }
    }
}

/// The noise keeps this far from 0 and 1.
const MARGIN: f32 = 1e-6;

const OP: &str = "hard_concrete";

impl HardConcrete {
    /// The logit that gates start with.
    pub const START: f32 = 2.0;

    /// beta 0.1, gamma -0.1, zeta 1.1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The temperature.
    pub fn beta(mut self, beta: f32) -> Self {
        self.beta = beta;
        self
    }

    /// The ends of the interval that s is stretched to; the first below 0, the second above 1.
    pub fn stretch(mut self, gamma: f32, zeta: f32) -> Self {
        (self.gamma, self.zeta) = (gamma, zeta);
        self
    }

    /// Gates for training, with noise from `generator`.
    ///
    /// # Errors
    /// Those of [`with_noise`](Self::with_noise).
    pub fn sample(&self, logits: &Var, generator: &mut Generator) -> Result<Var> {
        let u = generator.uniform(*logits.shape())?;
        let inside = crate::elementwise::Unary::Affine { scale: 1.0 - 2.0 * MARGIN, shift: MARGIN };
        self.with_noise(logits, &crate::elementwise::unary(inside, &u)?)
    }

    /// Gates for training, with the given noise in (0, 1).
    ///
    /// # Errors
    /// [`Error::Shape`] if the noise has another shape than the logits; [`Error::DType`] for other
    /// elements than f32; [`Error::DeviceMismatch`]; [`Error::Argument`] for a beta that is not
    /// above 0, or an interval that does not hold 0 and 1 inside.
    pub fn with_noise(&self, logits: &Var, noise: &Tensor) -> Result<Var> {
        self.gates(logits, Some(noise))
    }

    /// Gates for evaluation.
    ///
    /// # Errors
    /// Those of [`with_noise`](Self::with_noise).
    pub fn evaluate(&self, logits: &Var) -> Result<Var> {
        self.gates(logits, None)
    }

    /// The expected share of gates that are not 0, the mean of
    /// `P(m > 0) = sigmoid(a - beta ln(-gamma / zeta))`: a penalty with a gradient.
    ///
    /// # Errors
    /// Those of [`with_noise`](Self::with_noise).
    pub fn open_share(&self, logits: &Var) -> Result<Var> {
        self.open_probabilities(logits)?.mean_all()
    }

    /// `P(m > 0)` of every gate.
    ///
    /// # Errors
    /// Those of [`with_noise`](Self::with_noise).
    pub fn open_probabilities(&self, logits: &Var) -> Result<Var> {
        self.check(logits.value())?;
        let shift = -self.beta * (-self.gamma / self.zeta).ln();
        logits.add_scalar(shift)?.activate(Activation::Sigmoid)
    }

    /// The penalty of the released code: the mean of `sigmoid(a)`, through which no gradient flows.
    ///
    /// # Errors
    /// Those of [`with_noise`](Self::with_noise).
    pub fn detached_share(&self, logits: &Var) -> Result<Var> {
        self.check(logits.value())?;
        logits.detach().activate(Activation::Sigmoid)?.mean_all()
    }

    fn check(&self, logits: &Tensor) -> Result<()> {
        logits.expect(OP, DType::F32)?;
        let inside = self.gamma < 0.0 && self.zeta > 1.0;
        if self.beta > 0.0
            && self.beta.recip().is_normal()
            && inside
            && (self.beta + self.zeta - self.gamma).is_finite()
        {
            return Ok(());
        }
        Err(Error::argument(OP, format!("{self:?}")))
    }

    fn gates(&self, logits: &Var, noise: Option<&Tensor>) -> Result<Var> {
        let a = logits.value().clone();
        self.check(&a)?;
        if let Some(u) = noise {
            a.same_device(OP, u)?;
            u.expect(OP, DType::F32)?;
            if u.shape() != a.shape() {
                let detail = format!("noise of {} for gates of {}", u.shape(), a.shape());
                return Err(Error::shape(OP, detail));
            }
        }
        let params = ConcreteParams {
            count: a.count() as u32,
            beta: self.beta,
            gamma: self.gamma,
            zeta: self.zeta,
        };
        let u = noise.cloned();
        let m = Tensor::empty(a.device(), *a.shape(), DType::F32)?;
        let launch = a.device().launch(&HARD_CONCRETE).params(&params);
        let launch = launch.constant("NOISE", u.is_some()).bind("a", &a).bind_if("u", u.as_ref());
        launch.bind("m", &m).items(a.count()).record()?;
        logits.tape().record_one(OP, &[logits], m, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let ga = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
                let launch = g.device().launch(&HARD_CONCRETE_BACKWARD).params(&params);
                let launch = launch.constant("NOISE", u.is_some()).bind("a", &a);
                let launch = launch.bind_if("u", u.as_ref()).bind("g", g).bind("ga", &ga);
                launch.items(g.count()).record()?;
                bw.give(0, ga);
            }
            Ok(())
        })
    }
}
