//! The Fourier graph operator of FourierGNN: three chained complex layers and what they are shrunk
//! to, summed.

use super::chain;
use super::complex::{numbers, numbers_mut, numbers_of};
use super::complex_linear::{self, complex_linear};
use super::shrink::{ShrinkParams, shrunk, shrunk_both};
use crate::elementwise::{Activation, each};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, greatest, keep_nan, vectorised};
use crate::kernel::{Cost, CostArgs, Kernel};
use crate::reduce::Split;
use crate::{DType, Error, Launch, Result, Shape, Tensor, Var, elementwise, kernel, reduce};
use rustfft::num_complex::Complex;

/// Numbers that one task mixes.
const TASK: usize = 1 << 13;

/// A layer's parameters of a channel: weight and bias.
type Layer<R> = (Complex<R>, Complex<R>);

/// The three layers of every channel.
fn layers<R: Real>(w: &[R], channels: usize) -> Vec<[Layer<R>; 3]> {
    let number =
        |row: usize, c: usize| Complex::new(w[row * channels + c], w[(row + 1) * channels + c]);
    let layer = |k: usize, c: usize| (number(4 * k, c), number(4 * k + 2, c));
    (0..channels).map(|c| [0, 1, 2].map(|k| layer(k, c))).collect()
}

#[inline(always)]
fn relu<R: Real>(v: Complex<R>) -> Complex<R> {
    Complex::new(greatest(v.re, R::zero()), greatest(v.im, R::zero()))
}

/// The outcomes of the three layers.
#[inline(always)]
fn outcomes<R: Real>(v: Complex<R>, [l1, l2, l3]: &[Layer<R>; 3]) -> [Complex<R>; 3] {
    let a = relu(v * l1.0 + l1.1);
    let b = relu(a * l2.0 + l2.1);
    [a, b, relu(b * l3.0 + l3.1)]
}

/// What of an upstream gradient reaches a layer: through the shrinkage, with what comes from the next
/// layer, through the relu.
#[inline(always)]
fn reached<R: Real>(o: Complex<R>, g: Complex<R>, next: Complex<R>, threshold: R) -> Complex<R> {
    let part = |o: R, g: R, next: R| {
        let direct = if o.abs() > threshold { g } else { R::zero() };
        keep_nan(o, if o > R::zero() { direct + next } else { R::zero() })
    };
    Complex::new(part(o.re, g.re, next.re), part(o.im, g.im, next.im))
}

fn mix_diag<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: DiagParams = args.params();
    let outer = args.flag("OUTER");
    let channels = p.channels as usize;
    let threshold = R::lit(p.threshold.into());
    let (x, e) = (numbers_of(args.reals("x")), args.reals("e"));
    let layers = layers(args.reals("w"), channels);
    let rows = (TASK / channels).max(1);
    let z = numbers_mut(args.reals_mut("z"));
    z.par_chunks_mut(rows * channels).enumerate().for_each(|(task, z)| {
        vectorised(
            #[inline(always)]
            || {
                for (r, z) in z.chunks_exact_mut(channels).enumerate() {
                    let row = task * rows + r;
                    for (c, (z, layers)) in z.iter_mut().zip(&layers).enumerate() {
                        let v = if outer { x[row].scale(e[c]) } else { x[row * channels + c] };
                        let [a, b, o] = outcomes(v, layers).map(|o| shrunk_both(o, threshold));
                        *z = v + a + b + o;
                    }
                }
            },
        );
    });
}

fn mix_diag_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: MixBackwardParams = args.params();
    let outer = args.flag("OUTER");
    let skip = args.flag("SKIP_X");
    let (rows, channels, chunk) = (p.rows as usize, p.channels as usize, p.chunk as usize);
    let (x, e) = (numbers_of(args.reals("x")), args.reals("e"));
    let chunks = Chunks {
        layers: layers(args.reals("w"), channels),
        threshold: R::lit(p.threshold.into()),
        x,
        e: outer.then_some(e),
        g: numbers_of(args.reals("g")),
        channels,
    };
    let gx = numbers_mut(args.reals_mut("gx"));
    let sums = args.reals_mut("gw");
    if channels == 0 {
        return;
    }
    if skip {
        let parts = sums.par_chunks_mut(13 * channels).enumerate();
        parts.for_each(|(i, sums)| {
            let range = i * chunk..rows.min((i + 1) * chunk);
            let mut unused = vec![Complex::default(); channels];
            range.for_each(|row| chunks.row(row, &mut unused, sums, row % chunk == 0));
            chunks.settle(sums, i * chunk >= rows);
        });
    } else {
        let parts = sums.par_chunks_mut(13 * channels).zip(gx.par_chunks_mut(chunk * channels));
        parts.enumerate().for_each(|(i, (sums, gx))| {
            for (r, gx) in gx.chunks_exact_mut(channels).enumerate() {
                chunks.row(i * chunk + r, gx, sums, r == 0);
            }
        });
        if rows == 0 {
            sums.fill(R::zero());
        }
    }
}

/// What the gradients of a chunk of rows are made from.
struct Chunks<'a, R> {
    layers: Vec<[Layer<R>; 3]>,
    threshold: R,
    x: &'a [Complex<R>],
    e: Option<&'a [R]>,
    g: &'a [Complex<R>],
    channels: usize,
}

impl<R: Real> Chunks<'_, R> {
    /// Adds one row to the sums; the first row of a chunk clears them.
    fn row(&self, row: usize, gx: &mut [Complex<R>], sums: &mut [R], first: bool) {
        if first {
            sums.fill(R::zero());
        }
        let n = self.channels;
        let g = &self.g[row * n..][..n];
        vectorised(
            #[inline(always)]
            || {
                for c in 0..n {
                    let s = if self.e.is_some() { self.x[row] } else { self.x[row * n + c] };
                    let v = self.e.map_or(s, |e| s.scale(e[c]));
                    let layers = &self.layers[c];
                    let [oa, ob, oc] = outcomes(v, layers);
                    let a3 = reached(oc, g[c], Complex::default(), self.threshold);
                    let a2 = reached(ob, g[c], a3 * layers[2].0.conj(), self.threshold);
                    let a1 = reached(oa, g[c], a2 * layers[1].0.conj(), self.threshold);
                    let gv = g[c] + a1 * layers[0].0.conj();
                    gx[c] = gv;
                    for (k, (a, before)) in [(a1, v), (a2, oa), (a3, ob)].into_iter().enumerate() {
                        let w = a * before.conj();
                        for (j, part) in [w.re, w.im, a.re, a.im].into_iter().enumerate() {
                            sums[(4 * k + j) * n + c] += part;
                        }
                    }
                    sums[12 * n + c] += s.re * gv.re + s.im * gv.im;
                }
            },
        );
    }

    /// A chunk without rows has sums of 0.
    fn settle(&self, sums: &mut [R], empty: bool) {
        if empty {
            sums.fill(R::zero());
        }
    }
}

fn mix_shrink<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShrinkParams = args.params();
    let t = R::lit(p.threshold.into());
    let [x, a, b, c] = ["x", "a", "b", "c"].map(|name| args.reals(name));
    each(args.reals_mut("z"), |i| x[i] + shrunk(a[i], t) + shrunk(b[i], t) + shrunk(c[i], t));
}

fn mix_shrink_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShrinkParams = args.params();
    let t = R::lit(p.threshold.into());
    let g = args.reals("g");
    for (v, gradient) in [("a", "ga"), ("b", "gb"), ("c", "gc")] {
        let v = args.reals(v);
        let passed = |j: usize| if v[j].abs() > t { g[j] } else { R::zero() };
        each(args.reals_mut(gradient), |j| keep_nan(v[j], passed(j)));
    }
}

kernel! {
    /// All three layers of a channel in registers.
    pub(super) static MIX_DIAG = "fourier/mix_diag";
    params = DiagParams;
    oracle = mix_diag;
    cost = |args| diag_cost(args, 42.0);
}

kernel! {
    /// Its gradients.
    pub(super) static MIX_DIAG_BACKWARD = "fourier/mix_diag_backward";
    params = MixBackwardParams;
    oracle = mix_diag_backward;
    cost = |args| diag_cost(args, 110.0);
    iterations = |args| Split::iterations(args.params::<MixBackwardParams>().chunk);
}

kernel! {
    /// `z = x + ss(a) + ss(b) + ss(c)`
    pub(super) static MIX_SHRINK = "fourier/mix_shrink";
    params = ShrinkParams;
    oracle = mix_shrink;
    cost = |args| Cost { bytes: args.all_bytes(), flops: 9.0 * args.words_of("x") as f64 };
}

kernel! {
    /// Its gradients.
    pub(super) static MIX_SHRINK_BACKWARD = "fourier/mix_shrink_backward";
    params = ShrinkParams;
    oracle = mix_shrink_backward;
}

crate::params! {
    pub(super) struct DiagParams {
        rows: u32,
        channels: u32,
        threshold: f32,
    }
}

crate::params! {
    pub(super) struct MixBackwardParams {
        rows: u32,
        channels: u32,
        threshold: f32,
        chunk: u32,
        chunks: u32,
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
        launch.bind("x", &self.x).bind_if("e", self.embedding.as_ref()).bind("w", &self.weights)
    }

    fn launch(&self, kernel: &'static Kernel) -> Launch {
        self.x.device().launch(kernel).constant("OUTER", self.embedding.is_some())
    }

    fn forward(&self, shape: Shape) -> Result<Tensor> {
        let z = Tensor::empty(self.x.device(), shape, DType::F32)?;
        if z.count() > 0 {
            let params = DiagParams {
                rows: self.rows as u32,
                channels: self.channels as u32,
                threshold: self.threshold,
            };
            let launch = self.bound(self.launch(&MIX_DIAG).params(&params)).bind("z", &z);
            launch.items(self.rows * self.channels).record()?;
        }
        Ok(z)
    }

    /// Gradients: of the numbers that are mixed, if `wanted`, and `[13, E]`, of the parameters and
    /// the embedding.
    fn backward(&self, g: &Tensor, wanted: bool) -> Result<(Option<Tensor>, Tensor)> {
        let device = g.device();
        let split = Split::of(device, self.rows.max(1), self.channels);
        let gx = wanted.then(|| Tensor::empty(device, *g.shape(), DType::F32)).transpose()?;
        let sums = Tensor::empty(device, [split.parts, PARAMETERS + 1, self.channels], DType::F32)?;
        let params = MixBackwardParams {
            rows: self.rows as u32,
            channels: self.channels as u32,
            threshold: self.threshold,
            chunk: split.chunk as u32,
            chunks: split.parts as u32,
        };
        let launch = self.launch(&MIX_DIAG_BACKWARD).params(&params);
        let launch = self.bound(launch.constant("SKIP_X", !wanted)).bind("g", g);
        let launch = launch.bind_if("gx", gx.as_ref()).bind("gw", &sums);
        launch.items(split.parts * self.channels).record()?;
        Ok((gx, split.total(&sums)?.reshape([PARAMETERS + 1, self.channels])?))
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
    let launch = x.device().launch(&MIX_SHRINK).params(&params).bind("x", x.value());
    let launch = launch.bind("a", &a).bind("b", &b).bind("c", &c);
    launch.bind("z", &z).items(count).record()?;
    x.tape().record_one(OP, &[x, layers[0], layers[1], layers[2]], z, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        if [1, 2, 3].into_iter().any(|i| bw.needs(i)) {
            let room = || Tensor::empty(g.device(), *g.shape(), DType::F32);
            let gradients = [room()?, room()?, room()?];
            let launch = g.device().launch(&MIX_SHRINK_BACKWARD).params(&params);
            let launch = launch.bind("a", &a).bind("b", &b).bind("c", &c).bind("g", &g);
            let [ga, gb, gc] = &gradients;
            let launch = launch.bind("ga", ga).bind("gb", gb).bind("gc", gc);
            launch.items(count).record()?;
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
