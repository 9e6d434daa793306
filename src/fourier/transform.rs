//! Transforms along an axis, complex and real, forward and inverse.

use super::dense;
use super::lines::{Kind, Request};
use crate::{DType, Error, Result, Shape, Tensor, Var, elementwise};

/// What a transform of N points multiplies its sums by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scaling {
    /// 1
    None,
    /// N^(-1/2), in either direction: the transform is unitary.
    #[default]
    Ortho,
    /// 1/N: what the inverse of an unscaled transform takes.
    ByLength,
}

impl Scaling {
    /// The factor for N points.
    pub fn factor(self, n: usize) -> f64 {
        match self {
            Scaling::None => 1.0,
            Scaling::Ortho => (n as f64).sqrt().recip(),
            Scaling::ByLength => (n as f64).recip(),
        }
    }
}

/// A transform of a tensor: which, along which of its axes, over how many points.
struct Along<'a> {
    op: &'static str,
    kind: Kind,
    x: &'a Tensor,
    axis: usize,
    length: usize,
}

impl Along<'_> {
    /// The outcome, with a factor for all results and one for the bins with a partner.
    fn run(&self, scale: f64, middle: f32) -> Result<Tensor> {
        let x = self.x;
        let spikes = self.kind == Kind::RealForward && x.dtype() == DType::Bits;
        if spikes && self.axis == 0 {
            // Packed along the axis itself: a line is bits of a few words.
            let x = &elementwise::unpack(x)?;
            return Along { x, ..*self }.run(scale, middle);
        }
        if !spikes {
            x.expect(self.op, DType::F32)?;
        }
        if self.length == 0 {
            return Err(Error::argument(self.op, "a transform of no points"));
        }
        let (outer, extent, inner) = self.around()?;
        let bins = self.length / 2 + 1;
        let [expected, found] = match self.kind {
            Kind::Forward | Kind::Inverse => [self.length; 2],
            Kind::RealForward => [self.length, bins],
            Kind::RealInverse => [bins, self.length],
        };
        if extent != expected {
            let detail = format!(
                "{extent} bins along axis {} of {}; {} samples have {expected}",
                self.axis,
                x.shape(),
                self.length
            );
            return Err(Error::shape(self.op, detail));
        }
        let steps = x.shape().first().copied().unwrap_or(1).max(1);
        let step_lines = spikes.then_some(outer * inner / steps);
        let length = self.length;
        let request = Request { kind: self.kind, outer, inner, length, scale, middle, step_lines };
        let shape = self.output(found)?;
        if let Some(y) = dense::run(&request, x)? {
            return y.reshape(shape);
        }
        let y = Tensor::empty(x.device(), shape, DType::F32)?;
        request.run(x, &y)?;
        Ok(y)
    }

    /// Elements before, along and after the axis, a complex number being one.
    fn around(&self) -> Result<(usize, usize, usize)> {
        let x = self.x;
        let complex = self.kind != Kind::RealForward;
        let axes = x.shape().rank().saturating_sub(usize::from(complex));
        if complex && x.shape().last() != Some(&2) {
            let detail = format!("{} does not end in the 2 of complex numbers", x.shape());
            return Err(Error::shape(self.op, detail));
        }
        if self.axis >= axes {
            let detail = format!("axis {} of shape {}", self.axis, x.shape());
            return Err(Error::argument(self.op, detail));
        }
        let (outer, extent, inner) = x.shape().around(self.axis)?;
        Ok((outer, extent, if complex { inner / 2 } else { inner }))
    }

    fn output(&self, extent: usize) -> Result<Shape> {
        let shape = self.x.shape().with(self.axis, extent)?;
        let dims = shape.dims();
        match self.kind {
            Kind::Forward | Kind::Inverse => Ok(shape),
            Kind::RealForward => Shape::new(&[dims, &[2]].concat()),
            Kind::RealInverse => Shape::new(&dims[..dims.len() - 1]),
        }
    }
}

/// The extent of an axis of a tensor; 0 where there is no such axis.
fn extent(x: &Tensor, axis: usize) -> usize {
    x.shape().get(axis).copied().unwrap_or(1)
}

fn complex(op: &'static str, kind: Kind, x: &Tensor, axis: usize, scale: f64) -> Result<Tensor> {
    Along { op, kind, x, axis, length: extent(x, axis) }.run(scale, 1.0)
}

/// `Z_k = s sum_m z_m exp(-2 pi i k m / N)` along an axis; z `[.., N, .., 2]`. Of all transforms: a number
/// that is not finite leaves none in the outcome of its line that is, in either part, and other lines
/// as they were.
///
/// # Errors
/// [`Error::Shape`] for a tensor that does not end in the 2 of complex numbers;
/// [`Error::Argument`] for an axis that it does not have, or one of no points; [`Error::DType`] for
/// other elements than f32; [`Error::Limit`] beyond 2^21 points on an adapter.
pub fn fft(z: &Tensor, axis: usize, scaling: Scaling) -> Result<Tensor> {
    complex("fft", Kind::Forward, z, axis, scaling.factor(extent(z, axis)))
}

/// `z_m = s sum_k Z_k exp(+2 pi i k m / N)` along an axis.
///
/// # Errors
/// Those of [`fft`].
pub fn ifft(z: &Tensor, axis: usize, scaling: Scaling) -> Result<Tensor> {
    complex("ifft", Kind::Inverse, z, axis, scaling.factor(extent(z, axis)))
}

/// `Z_k = s sum_m x_m exp(-2 pi i k m / N)`, k = 0 ..= N/2, along an axis; x `[.., N, ..]`, the
/// outcome `[.., N/2 + 1, .., 2]`. Half the work of [`fft`] for even N. Spikes `[T, .., N, ..]` packed
/// along T are read as they are. On the host, lines that stand side by side are transformed in pairs:
/// rounding is relative to the larger of the two.
///
/// # Errors
/// Those of [`fft`].
pub fn rfft(x: &Tensor, axis: usize, scaling: Scaling) -> Result<Tensor> {
    let length = extent(x, axis);
    let along = Along { op: "rfft", kind: Kind::RealForward, x, axis, length };
    along.run(scaling.factor(length), 1.0)
}

/// `x_m = s sum_k w_k Re(Z_k exp(+2 pi i k m / N))` along an axis, w = 1 for k = 0 and k = N/2, else
/// 2: the real inverse of [`rfft`] for `length` = N samples. The imaginary parts of Z_0 and, N even,
/// Z_{N/2} have no part in it, as long as they are finite.
///
/// # Errors
/// Those of [`fft`]; [`Error::Shape`] if the axis has other than N/2 + 1 bins.
pub fn irfft(z: &Tensor, length: usize, axis: usize, scaling: Scaling) -> Result<Tensor> {
    let along = Along { op: "irfft", kind: Kind::RealInverse, x: z, axis, length };
    along.run(scaling.factor(length), 1.0)
}

impl Var {
    /// The complex transform along an axis; see [`fourier::fft`](crate::fourier::fft). Its backward
    /// is the inverse sum with the same factor.
    ///
    /// # Errors
    /// Those of [`fourier::fft`](crate::fourier::fft).
    pub fn fft(&self, axis: usize, scaling: Scaling) -> Result<Var> {
        let z = fft(self.value(), axis, scaling)?;
        let scale = scaling.factor(extent(self.value(), axis));
        self.tape().record_one("fft", &[self], z, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let gz = complex("fft", Kind::Inverse, g, axis, scale)?;
                bw.give(0, gz);
            }
            Ok(())
        })
    }

    /// The complex inverse along an axis; see [`fourier::ifft`](crate::fourier::ifft).
    ///
    /// # Errors
    /// Those of [`fourier::fft`](crate::fourier::fft).
    pub fn ifft(&self, axis: usize, scaling: Scaling) -> Result<Var> {
        let z = ifft(self.value(), axis, scaling)?;
        let scale = scaling.factor(extent(self.value(), axis));
        self.tape().record_one("ifft", &[self], z, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let gz = complex("ifft", Kind::Forward, g, axis, scale)?;
                bw.give(0, gz);
            }
            Ok(())
        })
    }

    /// The transform of reals, or of packed spikes, along an axis; see
    /// [`fourier::rfft`](crate::fourier::rfft). Its backward is [`irfft`](Self::irfft)'s kernel with the
    /// bins that have a partner halved.
    ///
    /// # Errors
    /// Those of [`fourier::rfft`](crate::fourier::rfft).
    pub fn rfft(&self, axis: usize, scaling: Scaling) -> Result<Var> {
        let z = rfft(self.value(), axis, scaling)?;
        let length = extent(self.value(), axis);
        self.tape().record_one("rfft", &[self], z, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let along = Along { op: "rfft", kind: Kind::RealInverse, x: g, axis, length };
                let gx = along.run(scaling.factor(length), 0.5)?;
                bw.give(0, gx);
            }
            Ok(())
        })
    }

    /// The inverse of reals along an axis; see [`fourier::irfft`](crate::fourier::irfft). Its
    /// backward is [`rfft`](Self::rfft)'s kernel with the bins that have a partner doubled.
    ///
    /// # Errors
    /// Those of [`fourier::irfft`](crate::fourier::irfft).
    pub fn irfft(&self, length: usize, axis: usize, scaling: Scaling) -> Result<Var> {
        let x = irfft(self.value(), length, axis, scaling)?;
        self.tape().record_one("irfft", &[self], x, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let along = Along { op: "irfft", kind: Kind::RealForward, x: g, axis, length };
                let gz = along.run(scaling.factor(length), 2.0)?;
                bw.give(0, gz);
            }
            Ok(())
        })
    }

    /// [`fft`](Self::fft) along two axes.
    ///
    /// # Errors
    /// Those of [`fft`](Self::fft).
    pub fn fft2(&self, axes: [usize; 2], scaling: Scaling) -> Result<Var> {
        self.fft(axes[1], scaling)?.fft(axes[0], scaling)
    }

    /// [`ifft`](Self::ifft) along two axes.
    ///
    /// # Errors
    /// Those of [`ifft`](Self::ifft).
    pub fn ifft2(&self, axes: [usize; 2], scaling: Scaling) -> Result<Var> {
        self.ifft(axes[0], scaling)?.ifft(axes[1], scaling)
    }

    /// [`rfft`](Self::rfft) along the second axis, then [`fft`](Self::fft) along the first.
    ///
    /// # Errors
    /// Those of [`rfft`](Self::rfft).
    pub fn rfft2(&self, axes: [usize; 2], scaling: Scaling) -> Result<Var> {
        self.rfft(axes[1], scaling)?.fft(axes[0], scaling)
    }

    /// [`ifft`](Self::ifft) along the first axis, then [`irfft`](Self::irfft) for `length` samples
    /// along the second.
    ///
    /// # Errors
    /// Those of [`irfft`](Self::irfft).
    pub fn irfft2(&self, length: usize, axes: [usize; 2], scaling: Scaling) -> Result<Var> {
        self.ifft(axes[0], scaling)?.irfft(length, axes[1], scaling)
    }
}
