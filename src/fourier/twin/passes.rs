//! One pass over the parts of long lines, as the tile kernel does it.

use super::super::lines::{Mode, Params};
use super::Precise;
use super::source::Source;
use crate::host::HostArgs;
use rustfft::num_complex::Complex;

pub(super) fn transform<R: Precise>(p: &Params, load: u32, store: u32, args: &mut HostArgs<'_, R>) {
    let chirp = args.constant_or("CHIRP", 0);
    let (x, table) = (Source::of(p, args), bytemuck::cast_slice(args.reals(2)));
    let y = args.reals_mut(1);
    let pass = Pass { p, table, x, load, store, chirp };
    let plan = R::planners().complex.plan_fft_forward(p.points as usize);
    let mut points = vec![Complex::default(); p.points as usize];
    for line in 0..p.lines as usize {
        let (whole, c) = (line / p.subs as usize, line % p.subs as usize);
        for (m, z) in points.iter_mut().enumerate() {
            *z = pass.read(whole, c, m);
        }
        plan.process(&mut points);
        for (k, z) in points.iter().enumerate() {
            pass.write(whole, c, k, *z, y);
        }
    }
}

/// Half the spectra of real lines from the transforms of their pairs.
pub(in super::super) fn split<R: Precise>(args: &mut HostArgs<'_, R>) {
    let p: Params = args.params();
    let z: &[Complex<R>] = bytemuck::cast_slice(args.reals(0));
    let table: &[Complex<R>] = bytemuck::cast_slice(args.reals(2));
    let y = args.reals_mut(1);
    let (count, scale) = (p.count as usize, R::lit(p.scale.into()));
    for (line, z) in z.chunks_exact(count).enumerate() {
        for i in 0..=count {
            let (a, b) = (z[i % count], z[(count - i) % count].conj());
            let odd = (a - b) * table[p.roots_at as usize + i];
            let bin = (a + b + Complex::new(odd.im, -odd.re)).scale(R::lit(0.5));
            let edge = i == 0 || i == count;
            let weight = if edge { scale } else { scale * R::lit(p.middle.into()) };
            let at = 2 * place(line, p.store_inner, p.store_extent, i);
            (y[at], y[at + 1]) = (bin.re * weight, bin.im * weight);
        }
    }
}

struct Pass<'a, R> {
    p: &'a Params,
    table: &'a [Complex<R>],
    x: Source<'a, R>,
    load: u32,
    store: u32,
    chirp: u32,
}

impl<R: Precise> Pass<'_, R> {
    fn is_edge(&self, i: usize) -> bool {
        i == 0 || 2 * i == self.p.length as usize
    }

    fn complex(&self, line: usize, i: usize) -> Complex<R> {
        let at = 2 * place(line, self.p.load_inner, self.p.load_extent, i);
        let x = self.x.numbers();
        Complex::new(x[at], x[at + 1])
    }

    /// Bin i of half a spectrum, with the factor of its place.
    fn bin(&self, line: usize, i: usize) -> Complex<R> {
        let z = self.complex(line, i);
        if self.is_edge(i) && is_finite(z) {
            return Complex::new(z.re, R::zero());
        }
        z.scale(R::lit(self.p.middle.into()))
    }

    fn real(&self, at: usize) -> R {
        let mut value = [R::zero()];
        self.x.read(at, R::one(), &mut value);
        value[0]
    }

    /// Point m of part c of a line.
    fn read(&self, line: usize, c: usize, m: usize) -> Complex<R> {
        let p = self.p;
        let i = m * p.load_step as usize + c * p.load_sub as usize;
        if i >= p.loaded as usize {
            return Complex::default();
        }
        let z = if self.load == Mode::Conjugate as u32 {
            self.complex(line, i).conj()
        } else if self.load == Mode::Real as u32 {
            let at = place(line, p.load_inner, p.load_extent, i);
            Complex::new(self.real(at), R::zero())
        } else if self.load == Mode::Pairs as u32 {
            let at = |i| place(line, p.load_inner, p.load_extent, i);
            Complex::new(self.real(at(2 * i)), self.real(at(2 * i + 1)))
        } else if self.load == Mode::HalfPairs as u32 {
            let (a, b) = (self.bin(line, i), self.bin(line, p.count as usize - i).conj());
            let odd = (a - b).conj() * self.table[p.roots_at as usize + i];
            (a + b).conj() + Complex::new(odd.im, -odd.re)
        } else if self.load == Mode::Half as u32 {
            let mirrored = 2 * i > p.length as usize;
            let bin = if mirrored { p.length as usize - i } else { i };
            let z = self.bin(line, bin);
            if mirrored { z } else { z.conj() }
        } else {
            self.complex(line, i)
        };
        // As in the shader, both parts: so that every sum that takes them up is NaN in both.
        let z = if is_finite(z) { z } else { Complex::new(R::nan(), R::nan()) };
        if self.chirp & 1 == 1 { z * self.table[p.chirp_at as usize + i] } else { z }
    }

    /// Writes outcome k of part c of a line.
    fn write(&self, line: usize, c: usize, k: usize, z: Complex<R>, y: &mut [R]) {
        let p = self.p;
        let i = k * p.store_step as usize + c * p.store_sub as usize;
        let half = self.store == Mode::Half as u32;
        let between = [Mode::Turned as u32, Mode::Convolved as u32].contains(&self.store);
        if (half && 2 * i > p.length as usize) || (!between && i >= p.count as usize) {
            return;
        }
        let mut z = z;
        if self.chirp & 4 == 4 {
            z = z.conj() * self.table[p.chirp_at as usize + i];
        }
        if self.store == Mode::Turned as u32 {
            z *= self.table[p.turns_at as usize + c * k];
        } else if self.store == Mode::Convolved as u32 {
            z = (z * self.table[p.spectrum_at as usize + i]).conj();
        } else if self.store == Mode::Conjugate as u32 {
            z = z.conj();
        }
        let mut scale = R::lit(p.scale.into());
        if half && !self.is_edge(i) {
            scale *= R::lit(p.middle.into());
        }
        if self.store == Mode::Pairs as u32 {
            let at = |i| place(line, p.store_inner, p.store_extent, i);
            (y[at(2 * i)], y[at(2 * i + 1)]) = (z.re * scale, -z.im * scale);
            return;
        }
        let at = place(line, p.store_inner, p.store_extent, i);
        if self.store == Mode::Real as u32 {
            y[at] = z.re * scale;
        } else {
            y[2 * at] = z.re * scale;
            y[2 * at + 1] = z.im * scale;
        }
    }
}

/// Where element i of a line begins, in a tensor of elements of one word.
fn place(line: usize, inner: u32, extent: u32, i: usize) -> usize {
    let inner = inner as usize;
    (line / inner * extent as usize + i) * inner + line % inner
}

fn is_finite<R: Precise>(z: Complex<R>) -> bool {
    z.re.is_finite() && z.im.is_finite()
}
