//! The complex LIF gate of SpikF-GO.

use super::complex::numbers;
use super::gate_kernels::{COMPLEX_GATE, COMPLEX_GATE_BACKWARD, GateParams};
use crate::lif::Surrogate;
use crate::narrow::positive;
use crate::reduce::Split;
use crate::tape::Backward;
use crate::{DType, Device, Error, Launch, Result, Shape, Tensor, Var, reduce};

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
        self.stage(z, Around::Nothing)
    }

    /// Gates `u = gain z + shift`, the affine map acting on real and imaginary parts by themselves:
    /// `affine [2, E, 2]`, gains before shifts, for `z [T, .., E, 2]`. One launch, and two backward.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Shape`] for an affine map of another shape;
    /// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn run_affine(&self, z: &Var, affine: &Var) -> Result<Gated> {
        self.stage(z, Around::Affine(affine))
    }

    /// A residual branch: `y = base + scale gate(z)`, with `base` of the shape of z and one number
    /// `scale [1]`. One launch, and two backward.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Shape`] for a base or scale of another shape;
    /// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn run_residual(&self, z: &Var, base: &Var, scale: &Var) -> Result<Gated> {
        self.stage(z, Around::Residual(base, scale))
    }

    fn stage(&self, z: &Var, around: Around<'_>) -> Result<Gated> {
        let shape = self.check(z.value())?;
        around.check(z.value(), &shape)?;
        let device = z.device();
        let y = Tensor::empty(device, *z.shape(), DType::F32)?;
        let gate = Tensor::empty(device, shape, DType::Bits)?;
        let (affine, base, scale) = match around {
            Around::Nothing => (None, None, None),
            Around::Affine(affine) => (Some(affine.value()), None, None),
            Around::Residual(base, scale) => (None, Some(base.value()), Some(scale.value())),
        };
        let params = self.params(&shape, around, device);
        if y.count() > 0 {
            let launch = around.kind().flags(device.launch(&COMPLEX_GATE).params(&params));
            let launch = launch.bind("z", z.value()).bind_if("affine", affine);
            let launch = launch.bind_if("base", base).bind_if("scale", scale);
            let launch = launch.bind("y", &y).bind("gate", &gate);
            launch.items(params.columns as usize).record()?;
        }
        let saved = Saved {
            z: z.value().clone(),
            gate: gate.clone(),
            affine: affine.cloned(),
            scale: scale.cloned(),
            params,
            kind: around.kind(),
            through: self.straight_through,
            detach: self.detach_reset,
        };
        let inputs = match around {
            Around::Nothing => vec![z],
            Around::Affine(affine) => vec![z, affine],
            Around::Residual(base, scale) => vec![z, base, scale],
        };
        let y = z.tape().record_one(OP, &inputs, y, move |bw| saved.backward(bw))?;
        Ok(Gated { y, gate })
    }

    /// Where backward sums over rows, columns are rows of channels; else each is by itself.
    fn params(&self, shape: &Shape, around: Around<'_>, device: &Device) -> GateParams {
        let sums = around.kind() != Kind::Plain;
        let steps = shape.first().copied().unwrap_or(0);
        let columns = shape.count() / steps.max(1);
        let channels = if sums { shape.last().copied().unwrap_or(1).max(1) } else { 1 };
        let rows = columns / channels;
        let split = match sums {
            true => Split::of_steps(device, rows, channels, steps),
            false => Split { parts: rows, chunk: 1 },
        };
        GateParams {
            steps: steps as u32,
            columns: columns as u32,
            channels: channels as u32,
            chunk: split.chunk as u32,
            chunks: split.parts as u32,
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
        positive(OP, "threshold", self.threshold)?;
        // The slope at the threshold is that of `Atan`.
        let sound = self.tau >= 1.0 && self.tau.recip().is_normal();
        if !(sound && Surrogate::Atan(self.alpha).is_sound()) {
            return Err(Error::argument(OP, format!("{self:?}")));
        }
        Ok(shape)
    }
}

const OP: &str = "complex_gate";

/// What stands before and behind a gate.
#[derive(Clone, Copy)]
enum Around<'a> {
    Nothing,
    /// Gains and shifts.
    Affine(&'a Var),
    /// Base and scale.
    Residual(&'a Var, &'a Var),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Affine,
    Residual,
}

impl Kind {
    fn flags(self, launch: Launch) -> Launch {
        let launch = launch.constant("AFFINE", self == Kind::Affine);
        launch.constant("RESIDUAL", self == Kind::Residual)
    }
}

impl Around<'_> {
    fn kind(self) -> Kind {
        match self {
            Around::Nothing => Kind::Plain,
            Around::Affine(_) => Kind::Affine,
            Around::Residual(..) => Kind::Residual,
        }
    }

    fn check(self, z: &Tensor, shape: &Shape) -> Result<()> {
        let expect = |name: &str, v: &Var, expected: &[usize]| {
            z.same_device(OP, v.value())?;
            v.value().expect(OP, DType::F32)?;
            if v.shape().dims() == expected {
                return Ok(());
            }
            Err(Error::shape(OP, format!("{name} {} for numbers of {}", v.shape(), z.shape())))
        };
        match self {
            Around::Nothing => Ok(()),
            Around::Affine(_) if shape.rank() < 2 => {
                Err(Error::shape(OP, format!("{} has no channels", z.shape())))
            }
            Around::Affine(affine) => {
                expect("affine map", affine, &[2, shape.last().copied().unwrap_or(0), 2])
            }
            Around::Residual(base, scale) => {
                expect("base", base, z.shape())?;
                expect("scale", scale, &[1])
            }
        }
    }
}

/// What backward needs.
struct Saved {
    z: Tensor,
    gate: Tensor,
    affine: Option<Tensor>,
    scale: Option<Tensor>,
    params: GateParams,
    kind: Kind,
    through: bool,
    detach: bool,
}

impl Saved {
    fn backward(&self, bw: &mut Backward<'_>) -> Result<()> {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        if self.kind == Kind::Residual && bw.needs(1) {
            bw.give(1, g.clone());
        }
        // The input whose gradient is a sum over rows.
        let summed = match self.kind {
            Kind::Plain => None,
            Kind::Affine => Some(1),
            Kind::Residual => Some(2),
        };
        let summed = summed.filter(|i| bw.needs(*i));
        if !bw.needs(0) && summed.is_none() {
            return Ok(());
        }
        let (gz, sums) = self.run(&g)?;
        if let (Some(i), Some(sums)) = (summed, sums) {
            let sum = match &self.affine {
                Some(affine) => reduce::sum(&sums, &[0], false)?.reshape(*affine.shape())?,
                None => reduce::sum(&sums, &[0, 1], false)?.reshape([1])?,
            };
            bw.give(i, sum);
        }
        if bw.needs(0) {
            bw.give(0, gz);
        }
        Ok(())
    }

    /// The gradient of z, and the sums of all chunks, if there are any.
    fn run(&self, g: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
        let (device, p) = (g.device(), &self.params);
        let gz = Tensor::empty(device, *g.shape(), DType::F32)?;
        let (chunks, channels) = (p.chunks as usize, p.channels as usize);
        let width = match self.kind {
            Kind::Plain => None,
            Kind::Affine => Some(4 * channels),
            Kind::Residual => Some(channels),
        };
        if g.count() == 0 {
            let nothing = width.map(|width| Tensor::zeros(device, [1, width], DType::F32));
            return Ok((gz, nothing.transpose()?));
        }
        let sums = width.map(|width| Tensor::empty(device, [chunks, width], DType::F32));
        let sums = sums.transpose()?;
        let launch = self.kind.flags(device.launch(&COMPLEX_GATE_BACKWARD).params(p));
        let launch = launch.constant("STE", self.through).constant("DETACH", self.detach);
        let launch = launch.bind("z", &self.z).bind("gate", &self.gate).bind("upstream", g);
        let launch = launch.bind_if("affine", self.affine.as_ref());
        let launch = launch.bind_if("scale", self.scale.as_ref());
        let launch = launch.bind("gz", &gz).bind_if("sums", sums.as_ref());
        launch.items(chunks * channels).record()?;
        Ok((gz, sums))
    }
}
