//! The complex LIF gate of SpikF-GO.

use super::complex::numbers;
use super::twin;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::tape::Backward;
use crate::{DType, Device, Error, Launch, Result, Shape, Tensor, Var, reduce};

/// All steps of a number, its membranes in registers, and what stands around the gate.
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
    pub(super) channels: u32,
    pub(super) chunk: u32,
    pub(super) chunks: u32,
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
        self.stage(z, Around::default())
    }

    /// Gates `u = gain z + shift`, the affine map acting on real and imaginary parts by themselves:
    /// `gain` and `shift [E, 2]` for `z [T, .., E, 2]`. One launch, and two backward.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Shape`] for a gain or shift of another shape;
    /// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn run_affine(&self, z: &Var, gain: &Var, shift: &Var) -> Result<Gated> {
        self.stage(z, Around { affine: Some([gain, shift]), residual: None })
    }

    /// A residual branch: `y = base + scale gate(z)`, with `base` of the shape of z and one number
    /// `scale [1]`. One launch, and two backward.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Shape`] for a base or scale of another shape;
    /// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn run_residual(&self, z: &Var, base: &Var, scale: &Var) -> Result<Gated> {
        self.stage(z, Around { affine: None, residual: Some([base, scale]) })
    }

    fn stage(&self, z: &Var, around: Around<'_>) -> Result<Gated> {
        let shape = self.check(z.value())?;
        around.check(z.value(), &shape)?;
        let device = z.device();
        let y = Tensor::empty(device, *z.shape(), DType::F32)?;
        let gate = Tensor::empty(device, shape, DType::Bits)?;
        let unused = Tensor::empty(device, [2], DType::F32)?;
        let bound = |of: Option<&Var>| of.map_or(&unused, Var::value).clone();
        let [weight, shift] = [0, 1].map(|i| bound(around.affine.map(|affine| affine[i])));
        let [base, scale] = [0, 1].map(|i| bound(around.residual.map(|residual| residual[i])));
        let (affine, residual) = (around.affine.is_some(), around.residual.is_some());
        let params = self.params(&shape, affine || residual, device);
        if y.count() > 0 {
            let launch = flags(device.launch(&COMPLEX_GATE).params(&params), affine, residual);
            let launch = launch.bind(z.value()).bind(&weight).bind(&shift);
            let launch = launch.bind(&base).bind(&scale).bind(&y).bind(&gate);
            launch.items(params.columns as usize, 128).record()?;
        }
        let saved = Saved {
            z: z.value().clone(),
            gate: gate.clone(),
            weight,
            shift,
            scale,
            params,
            affine,
            residual,
            through: self.straight_through,
            detach: self.detach_reset,
        };
        let others = around.affine.into_iter().chain(around.residual).flatten();
        let inputs: Vec<&Var> = [z].into_iter().chain(others).collect();
        let y = z.tape().record_one(OP, &inputs, y, move |bw| saved.backward(bw))?;
        Ok(Gated { y, gate })
    }

    /// `sums` where backward sums over rows; else every column is by itself.
    fn params(&self, shape: &Shape, sums: bool, device: &Device) -> Params {
        let steps = shape.first().copied().unwrap_or(0);
        let columns = shape.count() / steps.max(1);
        let channels = if sums { shape.last().copied().unwrap_or(1).max(1) } else { 1 };
        let rows = columns / channels;
        let chunk = if sums { chunk(rows, channels, steps, device) } else { 1 };
        Params {
            steps: steps as u32,
            columns: columns as u32,
            channels: channels as u32,
            chunk: chunk as u32,
            chunks: rows.div_ceil(chunk) as u32,
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

/// Steps of rows that an invocation may take: software adapters leave a shader after 65,535
/// iterations.
const LONGEST: usize = 1 << 14;

/// Rows that one invocation sums over.
fn chunk(rows: usize, channels: usize, steps: usize, device: &Device) -> usize {
    let enough = if device.capabilities().software { 1 << 10 } else { 1 << 15 };
    let chunks = (enough / channels).clamp(1, rows.max(1));
    rows.div_ceil(chunks).clamp(1, (LONGEST / steps.max(1)).max(1))
}

fn flags(launch: Launch, affine: bool, residual: bool) -> Launch {
    launch.constant("AFFINE", u32::from(affine)).constant("RESIDUAL", u32::from(residual))
}

/// What stands before and behind a gate.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    /// Gain and shift.
    affine: Option<[&'a Var; 2]>,
    /// Base and scale.
    residual: Option<[&'a Var; 2]>,
}

impl Around<'_> {
    fn check(&self, z: &Tensor, shape: &Shape) -> Result<()> {
        let expect = |name: &str, v: &Var, expected: &Shape| {
            z.same_device(OP, v.value())?;
            v.value().expect(OP, DType::F32)?;
            if v.shape() == expected {
                return Ok(());
            }
            Err(Error::shape(OP, format!("{name} {} for numbers of {}", v.shape(), z.shape())))
        };
        if let Some([gain, shift]) = self.affine {
            if shape.rank() < 2 {
                return Err(Error::shape(OP, format!("{} has no channels", z.shape())));
            }
            let pairs = Shape::new(&[shape.last().copied().unwrap_or(0), 2])?;
            expect("gain", gain, &pairs)?;
            expect("shift", shift, &pairs)?;
        }
        if let Some([base, scale]) = self.residual {
            expect("base", base, z.shape())?;
            expect("scale", scale, &Shape::new(&[1])?)?;
        }
        Ok(())
    }
}

/// What backward needs.
struct Saved {
    z: Tensor,
    gate: Tensor,
    weight: Tensor,
    shift: Tensor,
    scale: Tensor,
    params: Params,
    affine: bool,
    residual: bool,
    through: bool,
    detach: bool,
}

impl Saved {
    fn backward(&self, bw: &mut Backward<'_>) -> Result<()> {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        if self.residual && bw.needs(1) {
            bw.give(1, g.clone());
        }
        let around = self.affine || self.residual;
        let wanted = [true, self.affine, around];
        let wanted = [0, 1, 2].map(|i| wanted[i] && bw.needs(i));
        if !wanted.contains(&true) {
            return Ok(());
        }
        let (gz, sums) = self.run(&g)?;
        let channels = self.params.channels as usize;
        let part = |from: usize, to: usize| crate::layout::slice(&sums, &[from..to]);
        if self.affine && wanted[1] {
            bw.give(1, part(0, 2 * channels)?.reshape([channels, 2])?);
        }
        if self.affine && wanted[2] {
            bw.give(2, part(2 * channels, 4 * channels)?.reshape([channels, 2])?);
        }
        if self.residual && wanted[2] {
            bw.give(2, reduce::sum(&part(4 * channels, 5 * channels)?, &[0], true)?);
        }
        if wanted[0] {
            bw.give(0, gz);
        }
        Ok(())
    }

    /// The gradient of z, and the sums `[5 E]` over all rows.
    fn run(&self, g: &Tensor) -> Result<(Tensor, Tensor)> {
        let (device, p) = (g.device(), &self.params);
        let gz = Tensor::empty(device, *g.shape(), DType::F32)?;
        let summed = self.affine || self.residual;
        let (chunks, width) = (p.chunks as usize, 5 * p.channels as usize);
        let room = if summed { [chunks, width] } else { [1, 2] };
        if g.count() == 0 {
            return Ok((gz, Tensor::zeros(device, [width], DType::F32)?));
        }
        let sums = Tensor::empty(device, room, DType::F32)?;
        let launch = device.launch(&COMPLEX_GATE_BACKWARD).params(p);
        let launch = launch.constant("STE", u32::from(self.through));
        let launch = launch.constant("DETACH", u32::from(self.detach));
        let launch = flags(launch, self.affine, self.residual);
        let launch = launch.bind(&self.z).bind(&self.gate).bind(g);
        let launch = launch.bind(&self.weight).bind(&self.shift).bind(&self.scale);
        launch.bind(&gz).bind(&sums).items(chunks * p.channels as usize, 128).record()?;
        let sums = if summed { reduce::sum(&sums, &[0], false)? } else { sums };
        Ok((gz, sums))
    }
}
