//! Products of dense matrices.

use super::convert;
use super::params::{Extra, Left, MatmulKernel, Product};
use crate::elementwise::Activation;
use crate::{DType, Error, Result, Shape, Tensor, Var};

/// Which operand of a product is transposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `A [M, K]` times `B [K, N]`.
    #[default]
    NN,
    /// `A [M, K]` times `B [N, K]` transposed.
    NT,
    /// `A [K, M]` transposed times `B [K, N]`.
    TN,
}

/// A matrix product `C = act(op(A) op(B) + bias)`, for each entry of a batch.
///
/// `A` and `B` are f32 or both f16 (sums are f32); leading axes are batch axes. They must agree, or
/// one operand has none and is shared by the whole batch. `bias` has `[N]` elements.
///
/// ```
/// use spikegrad::{Device, Tensor, linalg::Matmul};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let a = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], [2, 2])?;
/// let b = Tensor::from_slice(&device, &[1.0f32, 0.0, 1.0, 1.0], [2, 2])?;
/// let bias = Tensor::from_slice(&device, &[0.5f32, 0.0], [2])?;
/// let c = Matmul::new().bias(&bias).run(&a, &b)?;
/// assert_eq!(c.to_vec::<f32>()?, [3.5, 2.0, 7.5, 4.0]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct Matmul<'a> {
    layout: Layout,
    bias: Option<&'a Tensor>,
    activation: Activation,
    kernel: MatmulKernel,
    output: Option<DType>,
}

impl<'a> Matmul<'a> {
    /// `A B`, in f32.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which operand is transposed.
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// A bias `[N]`, added to every row.
    pub fn bias(mut self, bias: &'a Tensor) -> Self {
        self.bias = Some(bias);
        self
    }

    /// An activation of the outcome.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The kernel that computes it, instead of the one that suits the device.
    pub fn kernel(mut self, kernel: MatmulKernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// The element type of `C`: f32 (the default) or f16.
    pub fn output(mut self, dtype: DType) -> Self {
        self.output = Some(dtype);
        self
    }

    /// Runs the product.
    ///
    /// # Errors
    /// [`Error::Shape`] for operands without two axes, inner extents or batch axes that differ, a
    /// bias that is not `[N]`; [`Error::DType`] for types other than f32 and f16, or two that
    /// differ; [`Error::DeviceMismatch`]; [`Error::Unsupported`] for a kernel that the device
    /// cannot run.
    pub fn run(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        self.run_with(a, b, Extra::None).map(|(c, _)| c)
    }

    /// Adds the product to what `c` holds: `c += op(A) op(B)`, in f32 and in place, for sums over
    /// blocks of a product that is too large to stand in memory. Nothing may hold the old value.
    ///
    /// # Errors
    /// Those of [`run`](Self::run); [`Error::Shape`] for a `c` of another shape than the product's;
    /// [`Error::Argument`] if a bias, an activation, cooperative matrices or another output than f32
    /// was asked for.
    pub fn add_to(&self, a: &Tensor, b: &Tensor, c: &Tensor) -> Result<()> {
        let output = self.output.unwrap_or(DType::F32);
        let plain = self.bias.is_none() && self.activation == Activation::Identity;
        if !plain || output != DType::F32 || self.kernel == MatmulKernel::Coop {
            let detail = "a product that is added has no bias, no activation, and is f32";
            return Err(Error::argument(OP, detail));
        }
        c.expect(OP, DType::F32)?;
        a.same_device(OP, c)?;
        let shape = Sizes::new(self.layout, a.shape(), b.shape())?.shape;
        if *c.shape() != shape {
            let detail = format!("c {}, expected {shape}, the shape of the product", c.shape());
            return Err(Error::shape(OP, detail));
        }
        if c.count() > 0 {
            self.product(a, b, Extra::None, Some(c)).map(drop)?;
        }
        Ok(())
    }

    pub(super) fn run_with(
        &self,
        a: &Tensor,
        b: &Tensor,
        extra: Extra,
    ) -> Result<(Tensor, Option<Tensor>)> {
        self.product(a, b, extra, None)
    }

    fn product(
        &self,
        a: &Tensor,
        b: &Tensor,
        extra: Extra,
        target: Option<&Tensor>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        a.same_device(OP, b)?;
        check_types(a, b)?;
        let output = self.output.unwrap_or(DType::F32);
        if !matches!(output, DType::F32 | DType::F16) {
            return Err(Error::argument(OP, format!("an output of {output}")));
        }
        let sizes = Sizes::new(self.layout, a.shape(), b.shape())?;
        if let Some(bias) = self.bias {
            check_bias(OP, bias, a, sizes.n)?;
        }
        if self.kernel == MatmulKernel::Naive && a.dtype() != DType::F32 {
            return Err(Error::argument(OP, "the naive kernel takes f32 operands"));
        }
        let product = Product {
            a,
            b,
            left: Left::Dense { transposed: self.layout == Layout::TN },
            b_transposed: self.layout == Layout::NT,
            bias: self.bias,
            activation: self.activation,
            extra,
            m: sizes.m,
            n: sizes.n,
            k: sizes.k,
            batches: sizes.batches,
            batched: sizes.batched,
            kernel: self.kernel,
            output,
            target,
        };
        product.run(sizes.shape)
    }
}

const OP: &str = "matmul";

/// `op(A) op(B)` in f32; see [`Matmul`] for bias, activation, f16 output.
///
/// # Errors
/// Those of [`Matmul::run`].
pub fn matmul(a: &Tensor, b: &Tensor, layout: Layout) -> Result<Tensor> {
    Matmul::new().layout(layout).run(a, b)
}

fn check_types(a: &Tensor, b: &Tensor) -> Result<()> {
    if !matches!(a.dtype(), DType::F32 | DType::F16) {
        return Err(Error::DType {
            op: OP,
            expected: "f32 or f16".into(),
            found: a.dtype().to_string(),
        });
    }
    b.expect(OP, a.dtype())
}

/// Refuses a bias that does not fit `n` columns of a product with `x`.
pub(super) fn check_bias(op: &'static str, bias: &Tensor, x: &Tensor, n: usize) -> Result<()> {
    x.same_device(op, bias)?;
    bias.expect(op, DType::F32)?;
    if *bias.shape() != [n] {
        let detail = format!("bias {}, expected [{n}]: one value an output", bias.shape());
        return Err(Error::shape(op, detail));
    }
    Ok(())
}

/// The sizes of a batched product.
struct Sizes {
    m: usize,
    n: usize,
    k: usize,
    batches: usize,
    batched: [bool; 2],
    shape: Shape,
}

impl Sizes {
    fn new(layout: Layout, a: &Shape, b: &Shape) -> Result<Self> {
        let [left, right] = match layout {
            Layout::NN => ["[.., M, K]", "[.., K, N]"],
            Layout::NT => ["[.., M, K]", "[.., N, K] (transposed)"],
            Layout::TN => ["[.., K, M] (transposed)", "[.., K, N]"],
        };
        let wrong = |why: &str| {
            Error::shape(OP, format!("{a} times {b}, expected {left} times {right}: {why}"))
        };
        let (Some((batch_a, [a0, a1])), Some((batch_b, [b0, b1]))) =
            (a.split_last_chunk::<2>(), b.split_last_chunk::<2>())
        else {
            return Err(wrong("a matrix has two axes or more"));
        };
        let (m, k) = if layout == Layout::TN { (*a1, *a0) } else { (*a0, *a1) };
        let (k_b, n) = if layout == Layout::NT { (*b1, *b0) } else { (*b0, *b1) };
        if k != k_b {
            return Err(wrong(&format!("K is {k} and {k_b}")));
        }
        let batch = match (batch_a.is_empty(), batch_b.is_empty()) {
            (_, true) => batch_a,
            (true, _) => batch_b,
            _ if batch_a == batch_b => batch_a,
            _ => return Err(wrong("the axes before the last two differ")),
        };
        let mut dims = batch.to_vec();
        dims.extend([m, n]);
        let batches = batch.iter().product();
        let batched = [!batch_a.is_empty(), !batch_b.is_empty()];
        // A batch that shares B is one tall matrix.
        if batched == [true, false] && layout != Layout::TN {
            let shape = Shape::new(&dims)?;
            return Ok(Self { m: m * batches, n, k, batches: 1, batched: [false; 2], shape });
        }
        Ok(Self { m, n, k, batches, batched, shape: Shape::new(&dims)? })
    }
}

impl Var {
    /// The matrix product `A B`: `[.., M, K]` times `[.., K, N]`. Leading axes are batch axes: the
    /// same for both, or none for one of them, which the whole batch then shares.
    ///
    /// Gradients: `gA = gC B^T`, `gB = A^T gC` (summed over the batch where `B` is shared).
    ///
    /// # Errors
    /// Those of [`Matmul::run`].
    pub fn matmul(&self, other: &Var) -> Result<Var> {
        product(self, other, Layout::NN)
    }

    /// The matrix product `A B^T`: `[.., M, K]` times `[.., N, K]` transposed; else like
    /// [`matmul`](Self::matmul). Gradients: `gA = gC B`, `gB = gC^T A`.
    ///
    /// # Errors
    /// Those of [`Matmul::run`].
    pub fn matmul_nt(&self, other: &Var) -> Result<Var> {
        product(self, other, Layout::NT)
    }

    /// The matrix product `A^T B`: `[.., K, M]` transposed times `[.., K, N]`; else like
    /// [`matmul`](Self::matmul). Gradients: `gA = B gC^T`, `gB = A gC`.
    ///
    /// # Errors
    /// Those of [`Matmul::run`].
    pub fn matmul_tn(&self, other: &Var) -> Result<Var> {
        product(self, other, Layout::TN)
    }
}

fn product(a: &Var, b: &Var, layout: Layout) -> Result<Var> {
    let c = matmul(a.value(), b.value(), layout)?;
    let (x, y) = (a.value().clone(), b.value().clone());
    a.tape().record_one(OP, &[a, b], c, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let (x, y) = (convert::widen(&x)?, convert::widen(&y)?);
        if bw.needs(0) {
            let ga = match layout {
                Layout::NN => reduced(&g, &y, Layout::NT, x.shape()),
                Layout::NT => reduced(&g, &y, Layout::NN, x.shape()),
                Layout::TN => reduced(&y, &g, Layout::NT, x.shape()),
            };
            bw.give(0, ga?);
        }
        if bw.needs(1) {
            let gb = match layout {
                Layout::NN => reduced(&x, &g, Layout::TN, y.shape()),
                Layout::NT => reduced(&g, &x, Layout::TN, y.shape()),
                Layout::TN => reduced(&x, &g, Layout::NN, y.shape()),
            };
            bw.give(1, gb?);
        }
        Ok(())
    })
}

/// A product that is the gradient of an operand of shape `shape`: summed over the batch where that
/// operand has none.
fn reduced(a: &Tensor, b: &Tensor, layout: Layout, shape: &Shape) -> Result<Tensor> {
    let batched = |t: &Tensor| t.shape().rank() > 2;
    if shape.rank() > 2 || !(batched(a) || batched(b)) {
        return matmul(a, b, layout);
    }
    if layout == Layout::TN && batched(a) && batched(b) {
        // The sum over the batch is part of the depth: [batch, K, M] is [batch K, M].
        return matmul(&tall(a)?, &tall(b)?, Layout::TN);
    }
    let full = matmul(a, b, layout)?;
    let entries = full.count() / shape.count().max(1);
    let ones = crate::elementwise::full(full.device(), [1, entries], 1.0)?;
    matmul(&ones, &full.reshape([entries, shape.count()])?, Layout::NN)?.reshape(*shape)
}

/// The batch axes and the rows of a matrix as one axis.
fn tall(t: &Tensor) -> Result<Tensor> {
    let inner = t.shape().last().copied().unwrap_or(1);
    t.reshape([t.count() / inner.max(1), inner])
}
