//! The complex LIF gate of SpikF-GO.

use super::complex::numbers;
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::{DType, Error, Result, Shape, Tensor, Var};

/// All steps of a number, its membranes in registers.
pub(super) static COMPLEX_GATE: Kernel = Kernel::new(
    "fourier",
    "complex_gate",
    shader!("fourier/complex_gate"),
    crate::twin!(twin::gate::forward),
)
.params::<Params>()
.cost(|args| cost(args, 10.0))
.thresholds();

/// Its gradient.
pub(super) static COMPLEX_GATE_BACKWARD: Kernel = Kernel::new(
    "fourier",
    "complex_gate_backward",
    shader!("fourier/complex_gate_backward"),
    crate::twin!(twin::gate::backward),
)
.params::<Params>()
.cost(|args| cost(args, 2.0))
.thresholds();

/// `shared/gate.wgsl`
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) steps: u32,
    pub(super) columns: u32,
    pub(super) gain: f32,
    pub(super) threshold: f32,
    pub(super) alpha: f32,
}

fn cost(args: &CostArgs<'_>, flops: f64) -> Cost {
    let p: Params = args.params();
    Cost { bytes: args.all_bytes(), flops: flops * f64::from(p.steps) * f64::from(p.columns) }
}

/// A complex LIF gate: `y[t] = g[t] z[t]`, `g = s_r or s_i`, where `s_r` and `s_i` are the spikes of
/// two neurons over the T steps, charged by the real and by the imaginary part:
/// `h = v + (x - v) / tau`, `s = [h >= threshold]`, `v = h (1 - s)`.
///
/// What passes is complex and real-valued; the gate alone is binary. The released code compares
/// Booleans, so that no gradient reaches the neurons; that is the default here:
/// `gz = g G`. With [`straight_through`](Self::straight_through) it does, by
/// `g = s_r + s_i - s_r s_i` and the arctangent surrogate, and through the reset.
///
/// Source: SpikF-GO, released code.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct ComplexGate {
    tau: f32,
    threshold: f32,
    alpha: f32,
    straight_through: bool,
    detach_reset: bool,
}

impl Default for ComplexGate {
    fn default() -> Self {
        Self { tau: 2.0, threshold: 1.0, alpha: 4.0, straight_through: false, detach_reset: false }
    }
}

/// What a gate gives.
#[derive(Debug, Clone)]
pub struct Gated {
    /// The numbers that passed, `[T, .., 2]`.
    pub y: Var,
    /// Which did: packed bits `[T, ..]`.
    pub gate: Tensor,
}

impl ComplexGate {
    /// tau 2, threshold 1, the gate a constant in backward.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time constant, in steps; at least 1.
    pub fn tau(mut self, tau: f32) -> Self {
        self.tau = tau;
        self
    }

    /// The threshold of both neurons.
    pub fn threshold(mut self, threshold: f32) -> Self {
        self.threshold = threshold;
        self
    }

    /// The width parameter of the arctangent surrogate.
    pub fn alpha(mut self, alpha: f32) -> Self {
        self.alpha = alpha;
        self
    }

    /// Whether gradients reach the neurons.
    pub fn straight_through(mut self, on: bool) -> Self {
        self.straight_through = on;
        self
    }

    /// Whether no gradient flows through the reset.
    pub fn detach_reset(mut self, on: bool) -> Self {
        self.detach_reset = on;
        self
    }

    /// Gates `z [T, .., 2]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor without a time axis or the 2 of complex numbers;
    /// [`Error::DType`] for other elements than f32; [`Error::Argument`] for a tau below 1, or a
    /// threshold or alpha that is not above 0.
    pub fn run(&self, z: &Var) -> Result<Gated> {
        let shape = self.check(z.value())?;
        let device = z.device();
        let y = Tensor::empty(device, *z.shape(), DType::F32)?;
        let gate = Tensor::empty(device, shape, DType::Bits)?;
        let params = self.params(&shape);
        if y.count() > 0 {
            let launch = device.launch(&COMPLEX_GATE).params(&params);
            let launch = launch.bind(z.value()).bind(&y).bind(&gate);
            launch.items(params.columns as usize, 128).record()?;
        }
        let (value, bits) = (z.value().clone(), gate.clone());
        let (through, detach) = (self.straight_through, self.detach_reset);
        let y = z.tape().record_one(OP, &[z], y, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let gz = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
                if gz.count() > 0 {
                    let launch = g.device().launch(&COMPLEX_GATE_BACKWARD).params(&params);
                    let launch = launch.constant("STE", u32::from(through));
                    let launch = launch.constant("DETACH", u32::from(detach));
                    let launch = launch.bind(&value).bind(&bits).bind(g).bind(&gz);
                    launch.items(params.columns as usize, 128).record()?;
                }
                bw.give(0, gz);
            }
            Ok(())
        })?;
        Ok(Gated { y, gate })
    }

    fn params(&self, shape: &Shape) -> Params {
        let steps = shape.first().copied().unwrap_or(0);
        Params {
            steps: steps as u32,
            columns: (shape.count() / steps.max(1)) as u32,
            gain: self.tau.recip(),
            threshold: self.threshold,
            alpha: self.alpha,
        }
    }

    fn check(&self, z: &Tensor) -> Result<Shape> {
        let shape = numbers(OP, z)?;
        if shape.rank() == 0 {
            return Err(Error::shape(OP, format!("{} has no time axis", z.shape())));
        }
        let positive = |v: f32| v > 0.0 && v.is_finite();
        if !(self.tau >= 1.0 && positive(self.threshold) && positive(self.alpha)) {
            return Err(Error::argument(OP, format!("{self:?}")));
        }
        Ok(shape)
    }
}

const OP: &str = "complex_gate";
