//! Element by element.

use crate::elementwise::each;
use crate::host::{HostArgs, Real};
use rustfft::num_complex::Complex;

/// Pairs as complex numbers.
pub(super) fn complex<R: Real>(pairs: &[R]) -> &[Complex<R>] {
    bytemuck::cast_slice(pairs)
}

/// Likewise, writable.
pub(super) fn complex_mut<R: Real>(pairs: &mut [R]) -> &mut [Complex<R>] {
    bytemuck::cast_slice_mut(pairs)
}

pub(in super::super) fn product<R: Real>(args: &mut HostArgs<'_, R>) {
    let conjugate = args.constant_or("CONJUGATE", 0) == 1;
    let (a, b) = (complex(args.reals(0)), complex(args.reals(1)));
    let y = complex_mut(args.reals_mut(2));
    if conjugate {
        each(y, |i| a[i] * b[i].conj());
    } else {
        each(y, |i| a[i] * b[i]);
    }
}

pub(in super::super) fn map<R: Real>(args: &mut HostArgs<'_, R>) {
    let phase = args.constant_or("PHASE", 0) == 1;
    let z = complex(args.reals(0));
    if phase {
        // Adding 0 makes -0 one: the phase is in (-pi, pi], and 0 at 0.
        each(args.reals_mut(1), |i| (z[i].im + R::zero()).atan2(z[i].re + R::zero()));
    } else {
        each(args.reals_mut(1), |i| z[i].re.hypot(z[i].im));
    }
}

pub(in super::super) fn map_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let phase = args.constant_or("PHASE", 0) == 1;
    let (z, g) = (complex(args.reals(0)), args.reals(1));
    each(complex_mut(args.reals_mut(2)), |i| {
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
