//! The Fourier graph operator of FourierGNN: three chained complex layers and what they are shrunk
//! to, summed.

use super::chain;
use super::complex::numbers;
use super::complex_linear::{self, complex_linear};
use super::twin;
use crate::elementwise::Activation;
use crate::kernel::{Cost, CostArgs, Kernel, shader};
use crate::reduce::Pieces;
use crate::{DType, Error, Launch, Result, Shape, Tensor, Var, elementwise, reduce};

/// All three layers of a channel in registers.
pub(super) static MIX_DIAG: Kernel =
    Kernel::new("fourier", "mix_diag", shader!("fourier/mix_diag"), crate::twin!(twin::mix::diag))
        .params::<DiagParams>()
        .cost(|args| diag_cost(args, 42.0));

/// Its gradients.
pub(super) static MIX_DIAG_BACKWARD: Kernel = Kernel::new(
    "fourier",
    "mix_diag_backward",
    shader!("fourier/mix_diag_backward"),
    crate::twin!(twin::mix::diag_backward),
)
.params::<BackwardParams>()
.cost(|args| diag_cost(args, 110.0))
.turns(|args| Pieces::turns(args.params::<BackwardParams>().chunk));

/// `z = x + ss(a) + ss(b) + ss(c)`
pub(super) static MIX_SHRINK: Kernel = Kernel::new(
    "fourier",
    "mix_shrink",
    shader!("fourier/mix_shrink"),
    crate::twin!(twin::mix::shrink),
)
.params::<ShrinkParams>()
.cost(|args| Cost { bytes: args.all_bytes(), flops: 9.0 * args.words[0] as f64 });

/// Its gradients.
pub(super) static MIX_SHRINK_BACKWARD: Kernel = Kernel::new(
    "fourier",
    "mix_shrink_backward",
    shader!("fourier/mix_shrink_backward"),
    crate::twin!(twin::mix::shrink_backward),
)
.params::<ShrinkParams>();

crate::params! {
    pub(super) struct DiagParams {
        rows: u32,
        channels: u32,
        threshold: f32,
    }
}

crate::params! {
    pub(super) struct BackwardParams {
        rows: u32,
        channels: u32,
        threshold: f32,
        chunk: u32,
        chunks: u32,
    }
}

crate::params! {
    pub(super) struct ShrinkParams {
        count: u32,
        threshold: f32,
    }
}

fn diag_cost(args: &CostArgs<'_>, flops: f64) -> Cost {
    let p = bytemuck::pod_read_unaligned::<DiagParams>(&args.params[..size_of::<DiagParams>()]);
    Cost { bytes: args.all_bytes(), flops: flops * f64::from(p.rows) * f64::from(p.channels) }
}

/// Rows of parameters of the diagonal operator: 3 layers of weight and bias, real and imaginary.
const PARAMETERS: usize = 12;

/// What a diagonal mix reads: complex numbers as they are, or as an outer product.
#[derive(Clone)]
struct Input {
    x: Tensor,
    embedding: Option<Tensor>,
    weights: Tensor,
    threshold: f32,
    rows: usize,
    channels: usize,
}

impl Input {
    fn bound(&self, launch: Launch) -> Launch {
        // Without an embedding its binding is read by nothing.
        let embedding = self.embedding.as_ref().unwrap_or(&self.weights);
        launch.bind_next(&self.x).bind_next(embedding).bind_next(&self.weights)
    }

    fn launch(&self, kernel: &'static Kernel) -> Launch {
        let outer = u32::from(self.embedding.is_some());
        self.x.device().launch(kernel).constant("OUTER", outer)
    }

    fn forward(&self, shape: Shape) -> Result<Tensor> {
        let z = Tensor::empty(self.x.device(), shape, DType::F32)?;
        if z.count() > 0 {
            let params = DiagParams {
                rows: self.rows as u32,
                channels: self.channels as u32,
                threshold: self.threshold,
            };
            let launch = self.bound(self.launch(&MIX_DIAG).params(&params)).bind_next(&z);
            launch.items_of(self.rows * self.channels, 256).record()?;
        }
        Ok(z)
    }

    /// Gradients: of the numbers that are mixed, if `wanted`, and `[13, E]`, of the parameters and
    /// the embedding.
    fn backward(&self, g: &Tensor, wanted: bool) -> Result<(Option<Tensor>, Tensor)> {
        let device = g.device();
        let pieces = Pieces::of(device, self.rows.max(1), self.channels);
        let gx = wanted.then(|| Tensor::empty(device, *g.shape(), DType::F32)).transpose()?;
        let unused = Tensor::empty(device, [2], DType::F32)?;
        let sums =
            Tensor::empty(device, [pieces.splits, PARAMETERS + 1, self.channels], DType::F32)?;
        let params = BackwardParams {
            rows: self.rows as u32,
            channels: self.channels as u32,
            threshold: self.threshold,
            chunk: pieces.chunk as u32,
            chunks: pieces.splits as u32,
        };
        let launch = self.launch(&MIX_DIAG_BACKWARD).params(&params);
        let launch = launch.constant("SKIP_X", u32::from(!wanted));
        let launch = self
            .bound(launch)
            .bind_next(g)
            .bind_next(gx.as_ref().unwrap_or(&unused))
            .bind_next(&sums);
        launch.items_of(pieces.splits * self.channels, 64).record()?;
        Ok((gx, pieces.total(&sums)?.reshape([PARAMETERS + 1, self.channels])?))
    }
}

/// The Fourier graph operator with a matrix for each layer: `Z = X + ss(o_1) + ss(o_2) + ss(o_3)`,
/// `o_k = relu(o_{k-1} W_k + b_k)`, `o_0 = X`, on complex numbers; relu and the soft shrinkage ss by
/// `threshold` act on real and imaginary parts by themselves.
///
/// `x [.., E, 2]`; each weight `[2, E, E]` and each bias `[2, E]`, real parts first. On hardware all
/// three layers are one launch up to E = 128; else, and backward, they are products.
///
/// Source: Yi et al. 2023, FourierGNN, equations 6 to 8.
///
/// # Errors
/// Those of [`complex_linear`]; [`Error::Argument`] for a threshold below 0.
pub fn graph_dense(x: &Var, weights: [&Var; 3], biases: [&Var; 3], threshold: f32) -> Result<Var> {
    check_threshold("graph_dense", threshold)?;
    for (w, b) in weights.iter().zip(biases) {
        let (k, n) = complex_linear::check(x.value(), w.value(), Some(b.value()))?;
        if k != n {
            return Err(Error::shape("graph_dense", format!("a layer from {k} to {n} channels")));
        }
    }
    if chain::fits(x.value()) {
        return chain::run("graph_dense", x, weights, biases, threshold);
    }
    let a = complex_linear(x, weights[0], Some(biases[0]), Activation::Relu)?;
    let b = complex_linear(&a, weights[1], Some(biases[1]), Activation::Relu)?;
    let c = complex_linear(&b, weights[2], Some(biases[2]), Activation::Relu)?;
    shrink_sum(x, [&a, &b, &c], threshold)
}

/// The Fourier graph operator with a number for each channel and layer, as the released code of
/// FourierGNN computes it (its product takes the diagonals of its matrices only): see
/// [`graph_dense`].
///
/// `x [.., E, 2]`; `weights [3, 4, E]`: of each layer the real and imaginary parts of the weight,
/// then of the bias. One launch, and two backward.
///
/// # Errors
/// [`Error::Shape`] where these shapes are not met; [`Error::Argument`] for a threshold below 0;
/// [`Error::DType`] for other elements than f32; [`Error::DeviceMismatch`];
/// [`Error::TapeMismatch`].
pub fn graph_diag(x: &Var, weights: &Var, threshold: f32) -> Result<Var> {
    const OP: &str = "graph_diag";
    let shape = numbers(OP, x.value())?;
    let Some(channels) = shape.last().copied() else {
        return Err(Error::shape(OP, format!("{} has no channels", x.shape())));
    };
    check_weights(OP, x.value(), weights.value(), channels, threshold)?;
    let input = Input {
        x: x.value().clone(),
        embedding: None,
        weights: weights.value().clone(),
        threshold,
        rows: shape.dims()[..shape.rank() - 1].iter().product(),
        channels,
    };
    let z = input.forward(*x.shape())?;
    x.tape().record_one(OP, &[x, weights], z, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let (gx, sums) = input.backward(&g, bw.needs(0))?;
        if let Some(gx) = gx {
            bw.give(0, gx);
        }
        if bw.needs(1) {
            bw.give(1, parameters_of(&sums, input.channels)?);
        }
        Ok(())
    })
}

/// [`graph_diag`] of an outer product, `X[.., c] = spectrum[..] embedding[c]`, which is never
/// written: `spectrum [.., 2]`, `embedding [E]`, the outcome `[.., E, 2]`.
///
/// A scalar series embedded by a vector has, channel by channel, the spectrum of the series: one
/// transform does for all E.
///
/// # Errors
/// Those of [`graph_diag`].
pub fn graph_diag_outer(
    spectrum: &Var,
    embedding: &Var,
    weights: &Var,
    threshold: f32,
) -> Result<Var> {
    const OP: &str = "graph_diag_outer";
    let shape = numbers(OP, spectrum.value())?;
    spectrum.value().same_device(OP, embedding.value())?;
    embedding.value().expect(OP, DType::F32)?;
    let &[channels] = embedding.shape().dims() else {
        let detail = format!("an embedding of shape {}, not [E]", embedding.shape());
        return Err(Error::shape(OP, detail));
    };
    check_weights(OP, spectrum.value(), weights.value(), channels, threshold)?;
    let input = Input {
        x: spectrum.value().clone(),
        embedding: Some(embedding.value().clone()),
        weights: weights.value().clone(),
        threshold,
        rows: shape.count(),
        channels,
    };
    let z = input.forward(Shape::new(&[shape.dims(), &[channels, 2]].concat())?)?;
    spectrum.tape().record_one(OP, &[spectrum, embedding, weights], z, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let (gx, sums) = input.backward(&g, bw.needs(0))?;
        if let (Some(gx), Some(e)) = (gx, &input.embedding) {
            bw.give(0, along_channels(&gx, e)?);
        }
        if bw.needs(1) {
            let last = crate::layout::slice(&sums, &[PARAMETERS..PARAMETERS + 1, 0..channels])?;
            bw.give(1, last.reshape([channels])?);
        }
        if bw.needs(2) {
            bw.give(2, parameters_of(&sums, channels)?);
        }
        Ok(())
    })
}

/// `sum_c g[.., c, :] e[c]`
fn along_channels(g: &Tensor, e: &Tensor) -> Result<Tensor> {
    let column = e.reshape([e.count(), 1])?;
    let weighted = elementwise::binary(elementwise::Binary::Mul, g, &column)?;
    reduce::sum(&weighted, &[g.shape().rank() - 2], false)
}

/// The first 12 of 13 rows, as the weights are shaped.
fn parameters_of(sums: &Tensor, channels: usize) -> Result<Tensor> {
    crate::layout::slice(sums, &[0..PARAMETERS, 0..channels])?.reshape([3, 4, channels])
}

fn check_threshold(op: &'static str, threshold: f32) -> Result<()> {
    if threshold >= 0.0 && threshold.is_finite() {
        return Ok(());
    }
    Err(Error::argument(op, format!("a threshold of {threshold}")))
}

fn check_weights(
    op: &'static str,
    x: &Tensor,
    weights: &Tensor,
    channels: usize,
    threshold: f32,
) -> Result<()> {
    check_threshold(op, threshold)?;
    x.same_device(op, weights)?;
    weights.expect(op, DType::F32)?;
    if *weights.shape() == [3, 4, channels] {
        return Ok(());
    }
    let detail = format!("weights of shape {}, not [3, 4, {channels}]", weights.shape());
    Err(Error::shape(op, detail))
}

/// `x + ss(a) + ss(b) + ss(c)`, all of one shape.
fn shrink_sum(x: &Var, layers: [&Var; 3], threshold: f32) -> Result<Var> {
    const OP: &str = "graph_dense";
    let params = ShrinkParams { count: x.value().count() as u32, threshold };
    let count = x.value().count();
    let z = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    let [a, b, c] = layers.map(|v| v.value().clone());
    let launch = x.device().launch(&MIX_SHRINK).params(&params).bind_next(x.value());
    launch.bind_next(&a).bind_next(&b).bind_next(&c).bind_next(&z).items_of(count, 256).record()?;
    x.tape().record_one(OP, &[x, layers[0], layers[1], layers[2]], z, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        if [1, 2, 3].into_iter().any(|i| bw.needs(i)) {
            let room = || Tensor::empty(g.device(), *g.shape(), DType::F32);
            let gradients = [room()?, room()?, room()?];
            let launch = g.device().launch(&MIX_SHRINK_BACKWARD).params(&params);
            let launch = launch.bind_next(&a).bind_next(&b).bind_next(&c).bind_next(&g);
            let launch = gradients.iter().fold(launch, |launch, out| launch.bind_next(out));
            launch.items_of(count, 256).record()?;
            for (i, gradient) in gradients.into_iter().enumerate() {
                bw.give(i + 1, gradient);
            }
        }
        if bw.needs(0) {
            bw.give(0, g);
        }
        Ok(())
    })
}
