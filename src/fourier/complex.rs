//! Products, conjugates, moduli and phases of complex tensors `[.., 2]`.

use crate::elementwise::each;
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::{DType, Error, Result, Shape, Tensor, Var, kernel};
use rustfft::num_complex::Complex;

/// Pairs as complex numbers.
pub(super) fn numbers_of<R: Real>(pairs: &[R]) -> &[Complex<R>] {
    bytemuck::cast_slice(pairs)
}

/// Likewise, writable.
pub(super) fn numbers_mut<R: Real>(pairs: &mut [R]) -> &mut [Complex<R>] {
    bytemuck::cast_slice_mut(pairs)
}

fn complex_product<R: Real>(args: &mut HostArgs<'_, R>) {
    let conjugate = args.flag("CONJUGATE");
    let (a, b) = (numbers_of(args.reals("a")), numbers_of(args.reals("b")));
    let y = numbers_mut(args.reals_mut("y"));
    if conjugate {
        each(y, |i| a[i] * b[i].conj());
    } else {
        each(y, |i| a[i] * b[i]);
    }
}

fn complex_map<R: Real>(args: &mut HostArgs<'_, R>) {
    let phase = args.flag("PHASE");
    let z = numbers_of(args.reals("z"));
    if phase {
        // Adding 0 makes -0 one: the phase is in (-pi, pi], and 0 at 0.
        each(args.reals_mut("y"), |i| (z[i].im + R::zero()).atan2(z[i].re + R::zero()));
    } else {
        each(args.reals_mut("y"), |i| z[i].re.hypot(z[i].im));
    }
}

fn complex_map_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let phase = args.flag("PHASE");
    let (z, g) = (numbers_of(args.reals("z")), args.reals("g"));
    each(numbers_mut(args.reals_mut("gz")), |i| {
        let size = z[i].re.hypot(z[i].im);
        if size == R::zero() {
            return Complex::default();
        }
        let unit = Complex::new(z[i].re / size, z[i].im / size);
        if phase {
            Complex::new(-g[i] * (unit.im / size), g[i] * (unit.re / size))
        } else {
            Complex::new(g[i] * unit.re, g[i] * unit.im)
        }
    });
}

kernel! {
    /// `y = a b`, or `a conj(b)`
    pub(super) static COMPLEX_PRODUCT = "fourier/complex_product";
    params = ComplexParams;
    oracle = complex_product;
    cost = |args| cost(args, 6.0);
}

kernel! {
    /// `|z|`, or the phase
    pub(super) static COMPLEX_MAP = "fourier/complex_map";
    params = ComplexParams;
    oracle = complex_map;
    cost = |args| cost(args, 6.0);
}

kernel! {
    /// Its gradient.
    pub(super) static COMPLEX_MAP_BACKWARD = "fourier/complex_map_backward";
    params = ComplexParams;
    oracle = complex_map_backward;
    cost = |args| cost(args, 8.0);
}

crate::params! {
    pub(super) struct ComplexParams {
        count: u32,
    }
}

/// Every binding once, and so many operations a number.
fn cost(args: &CostArgs<'_>, flops: f64) -> Cost {
    let count = f64::from(args.params::<ComplexParams>().count);
    Cost { bytes: args.all_bytes(), flops: flops * count }
}

/// The shape of the numbers of a complex tensor.
///
/// # Errors
/// [`Error::Shape`] where it does not end in 2; [`Error::DType`] for other elements than f32.
pub(super) fn numbers(op: &'static str, z: &Tensor) -> Result<Shape> {
    z.expect(op, DType::F32)?;
    match z.shape().dims() {
        [dims @ .., 2] => Shape::new(dims),
        _ => {
            let detail = format!("{} does not end in the 2 of complex numbers", z.shape());
            Err(Error::shape(op, detail))
        }
    }
}

/// `a b`, or `a conj(b)`, number by number.
fn product(op: &'static str, a: &Tensor, b: &Tensor, conjugate: bool) -> Result<Tensor> {
    let count = numbers(op, a)?.count();
    a.same_device(op, b)?;
    b.expect(op, DType::F32)?;
    if a.shape() != b.shape() {
        return Err(Error::shape(op, format!("{} times {}", a.shape(), b.shape())));
    }
    let y = Tensor::empty(a.device(), *a.shape(), DType::F32)?;
    if count > 0 {
        let launch =
            a.device().launch(&COMPLEX_PRODUCT).params(&ComplexParams { count: count as u32 });
        let launch = launch.constant("CONJUGATE", conjugate);
        launch.bind("a", a).bind("b", b).bind("y", &y).items(count).record()?;
    }
    Ok(y)
}

/// The modulus, or the phase, of every number.
fn map(op: &'static str, z: &Tensor, phase: bool) -> Result<Tensor> {
    let shape = numbers(op, z)?;
    let y = Tensor::empty(z.device(), shape, DType::F32)?;
    if y.count() > 0 {
        let params = ComplexParams { count: y.count() as u32 };
        let launch = z.device().launch(&COMPLEX_MAP).params(&params);
        let launch = launch.constant("PHASE", phase);
        launch.bind("z", z).bind("y", &y).items(y.count()).record()?;
    }
    Ok(y)
}

fn map_backward(z: &Tensor, g: &Tensor, phase: bool) -> Result<Tensor> {
    let gz = Tensor::empty(z.device(), *z.shape(), DType::F32)?;
    if g.count() > 0 {
        let params = ComplexParams { count: g.count() as u32 };
        let launch = z.device().launch(&COMPLEX_MAP_BACKWARD).params(&params);
        let launch = launch.constant("PHASE", phase);
        launch.bind("z", z).bind("g", g).bind("gz", &gz).items(g.count()).record()?;
    }
    Ok(gz)
}

impl Var {
    /// The product of complex numbers, `[.., 2]` each. Gradients: `ga = g conj(b)`,
    /// `gb = g conj(a)`.
    ///
    /// # Errors
    /// [`Error::Shape`] for shapes that differ or do not end in 2; [`Error::DType`] for other
    /// elements than f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn complex_mul(&self, other: &Var) -> Result<Var> {
        let (a, b) = (self.value().clone(), other.value().clone());
        let y = product("complex_mul", &a, &b, false)?;
        self.tape().record_one("complex_mul", &[self, other], y, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            for (i, factor) in [&b, &a].into_iter().enumerate() {
                if bw.needs(i) {
                    bw.give(i, product("complex_mul", &g, factor, true)?);
                }
            }
            Ok(())
        })
    }

    /// The product with a conjugate, `a conj(b)`. Gradients: `ga = g b`, `gb = conj(g) a`.
    ///
    /// # Errors
    /// Those of [`complex_mul`](Self::complex_mul).
    pub fn complex_mul_conjugate(&self, other: &Var) -> Result<Var> {
        let (a, b) = (self.value().clone(), other.value().clone());
        let y = product("complex_mul_conjugate", &a, &b, true)?;
        self.tape().record_one("complex_mul_conjugate", &[self, other], y, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            if bw.needs(0) {
                bw.give(0, product("complex_mul_conjugate", &g, &b, false)?);
            }
            if bw.needs(1) {
                bw.give(1, product("complex_mul_conjugate", &a, &g, true)?);
            }
            Ok(())
        })
    }

    /// The complex conjugate of every number of `[.., 2]`.
    ///
    /// # Errors
    /// [`Error::Shape`] where it does not end in 2; [`Error::DType`] for other elements than f32.
    pub fn conjugate(&self) -> Result<Var> {
        numbers("conjugate", self.value())?;
        let signs = Tensor::from_slice(self.device(), &[1.0f32, -1.0], [2])?;
        self.mul(&self.tape().constant(&signs))
    }

    /// The modulus of every number of `[.., 2]`; its gradient at 0 is taken as 0.
    ///
    /// # Errors
    /// Those of [`conjugate`](Self::conjugate).
    pub fn modulus(&self) -> Result<Var> {
        self.complex_map("modulus", false)
    }

    /// The phase of every number of `[.., 2]`, in (-pi, pi]; 0 at 0, and so is its gradient.
    ///
    /// # Errors
    /// Those of [`conjugate`](Self::conjugate).
    pub fn phase(&self) -> Result<Var> {
        self.complex_map("phase", true)
    }

    fn complex_map(&self, op: &'static str, phase: bool) -> Result<Var> {
        let z = self.value().clone();
        let y = map(op, &z, phase)?;
        self.tape().record_one(op, &[self], y, move |bw| {
            if let Some(g) = bw.upstream(0).filter(|_| bw.needs(0)) {
                let gz = map_backward(&z, g, phase)?;
                bw.give(0, gz);
            }
            Ok(())
        })
    }
}
