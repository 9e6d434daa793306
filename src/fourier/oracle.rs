//! The oracle of the transforms: their definition, over the roots of unity.

use super::complex::{numbers_mut, numbers_of};
use super::plan::root;
use super::spectrum::{LineParams, Mode};
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use rustfft::num_complex::Complex;
use std::f64::consts::PI;

/// The largest prime whose transform is summed term by term.
const DIRECT: usize = 1 << 12;

/// exp(-2 pi i k / n), k = 0 .. n
fn roots<R: Real>(n: usize) -> Vec<Complex<R>> {
    (0..n).map(|k| number(root(k, n))).collect()
}

fn number<R: Real>(z: Complex<f64>) -> Complex<R> {
    Complex::new(R::lit(z.re), R::lit(z.im))
}

/// `sum_m z_m exp(-2 pi i k m / n)` for the n points z: by the sums over every p-th point, p the least
/// factor of n. `roots` are those of a multiple of n.
fn sums<R: Real>(z: &[Complex<R>], roots: &[Complex<R>]) -> Vec<Complex<R>> {
    let n = z.len();
    let Some(p) = (2..=n).find(|p| n.is_multiple_of(*p)) else { return z.to_vec() };
    if p > DIRECT {
        return by_chirp(z);
    }
    let part = |q| z.iter().skip(q).step_by(p).copied().collect::<Vec<_>>();
    let parts: Vec<_> = (0..p).map(|q| sums(&part(q), roots)).collect();
    let step = roots.len() / n;
    let outcome = |k: usize| {
        let terms = parts.iter().enumerate();
        let terms = terms.map(|(q, part)| part[k % (n / p)] * roots[q * k % n * step]);
        terms.fold(Complex::default(), |sum, term| sum + term)
    };
    (0..n).map(outcome).collect()
}

/// Likewise for a large prime n, as a convolution: 2 k m = k^2 + m^2 - (k - m)^2.
fn by_chirp<R: Real>(z: &[Complex<R>]) -> Vec<Complex<R>> {
    let n = z.len();
    let chirp = |m: usize| -> Complex<R> {
        let square = m as u64 * m as u64 % (2 * n as u64);
        number(Complex::cis(-PI * square as f64 / n as f64))
    };
    let points = (2 * n).next_power_of_two();
    let [mut a, mut b] = [(); 2].map(|()| vec![Complex::default(); points]);
    for (m, z) in z.iter().enumerate() {
        a[m] = *z * chirp(m);
        b[m] = chirp(m).conj();
        b[(points - m) % points] = b[m];
    }
    let roots = roots(points);
    let products = sums(&a, &roots).into_iter().zip(sums(&b, &roots));
    let products: Vec<_> = products.map(|(a, b)| (a * b).conj()).collect();
    let factor = R::lit((points as f64).recip());
    let outcomes = sums(&products, &roots).into_iter().take(n).enumerate();
    outcomes.map(|(k, z)| z.conj().scale(factor) * chirp(k)).collect()
}

/// Whole lines.
pub(super) fn fft_lines<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: LineParams = args.params();
    let lines = Lines::new(args, &p);
    let (from_reals, to_reals) = (lines.has(lines.load, REALS), lines.has(lines.store, REALS));
    let backward = to_reals || lines.load == Mode::Conjugate as u32;
    let n = if from_reals || to_reals { p.length } else { p.count } as usize;
    let roots = roots(n);
    let turned = |z: Complex<R>| if backward { z.conj() } else { z };
    let outcomes = |line: usize| -> Vec<Complex<R>> {
        if !lines.is_finite(line, from_reals) {
            return vec![Complex::new(R::nan(), R::nan()); n];
        }
        let point = |i: usize| match (from_reals, to_reals) {
            (true, _) => Complex::new(lines.real(line, i), R::zero()),
            (_, true) if 2 * i > n => lines.bin(line, n - i).conj(),
            (_, true) => lines.bin(line, i),
            _ => lines.complex(line, i),
        };
        let points: Vec<_> = (0..n).map(|i| turned(point(i))).collect();
        sums(&points, &roots).into_iter().map(turned).collect()
    };
    let first = p.first as usize;
    let mut all = vec![Vec::new(); p.lines as usize - first];
    all.par_iter_mut().enumerate().for_each(|(l, all)| *all = outcomes(first + l));
    let (y, scale) = (args.reals_mut("y"), R::lit(p.scale.into()));
    for (line, outcomes) in (first..).zip(all) {
        for (i, z) in outcomes.into_iter().take(p.store_extent as usize).enumerate() {
            let at = place(line, p.store_inner, p.store_extent, i);
            if to_reals {
                y[at] = z.re * scale;
                continue;
            }
            let middle = from_reals && !lines.is_edge(i);
            let factor = if middle { scale * R::lit(p.middle.into()) } else { scale };
            numbers_mut(y)[at] = z.scale(factor);
        }
    }
}

/// The modes of reals.
const REALS: [Mode; 2] = [Mode::Real, Mode::Pairs];

/// Whole lines, or, with several parts a line, one pass over their parts.
pub(super) fn fft_tile<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: LineParams = args.params();
    if p.subs == 1 {
        return fft_lines(args);
    }
    let pass = Pass {
        lines: Lines::new(args, &p),
        table: numbers_of(args.reals("table")),
        chirp: args.constant("CHIRP"),
    };
    let (points, y) = (p.points as usize, args.reals_mut("y"));
    let roots = roots(points);
    for line in 0..p.lines as usize {
        let (whole, part) = (line / p.subs as usize, line % p.subs as usize);
        let z: Vec<_> = (0..points).map(|m| pass.read(whole, part, m)).collect();
        for (k, z) in sums(&z, &roots).into_iter().enumerate() {
            pass.write(whole, part, k, z, y);
        }
    }
}

/// Half the spectra of real lines from the transforms of their pairs.
pub(super) fn fft_split<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: LineParams = args.params();
    let (z, table) = (numbers_of(args.reals("x")), numbers_of(args.reals("table")));
    let y = numbers_mut(args.reals_mut("y"));
    let (count, scale) = (p.count as usize, R::lit(p.scale.into()));
    for (line, z) in z.chunks_exact(count).enumerate() {
        for i in 0..=count {
            let (a, b) = (z[i % count], z[(count - i) % count].conj());
            let odd = (a - b) * table[p.roots_at as usize + i];
            let bin = (a + b + Complex::new(odd.im, -odd.re)).scale(R::lit(0.5));
            let edge = i == 0 || i == count;
            let weight = if edge { scale } else { scale * R::lit(p.middle.into()) };
            y[place(line, p.store_inner, p.store_extent, i)] = bin.scale(weight);
        }
    }
}

/// What is read.
struct Lines<'a, R> {
    p: LineParams,
    /// Numbers, or packed spikes.
    x: &'a [R],
    spikes: &'a [u32],
    load: u32,
    store: u32,
}

impl<'a, R: Real> Lines<'a, R> {
    fn new(args: &HostArgs<'a, R>, p: &LineParams) -> Self {
        let (load, store) = (args.constant("LOAD"), args.constant("STORE"));
        match args.when("BITS") {
            true => Self { p: *p, x: &[], spikes: args.words("x"), load, store },
            false => Self { p: *p, x: args.reals("x"), spikes: &[], load, store },
        }
    }

    fn has(&self, mode: u32, modes: [Mode; 2]) -> bool {
        modes.into_iter().any(|m| m as u32 == mode)
    }

    /// Whether a bin is without a partner.
    fn is_edge(&self, i: usize) -> bool {
        i == 0 || 2 * i == self.p.length as usize
    }

    fn place(&self, line: usize, i: usize) -> usize {
        place(line, self.p.load_inner, self.p.load_extent, i)
    }

    fn complex(&self, line: usize, i: usize) -> Complex<R> {
        numbers_of(self.x)[self.place(line, i)]
    }

    fn real(&self, line: usize, i: usize) -> R {
        let at = self.place(line, i);
        if self.spikes.is_empty() {
            return self.x[at];
        }
        let row = (self.p.step_lines * self.p.load_extent) as usize;
        let (t, i) = (at / row, at % row);
        R::lit(f64::from(self.spikes[t / 32 * row + i] >> (t % 32) & 1))
    }

    /// Bin i of half a spectrum, with the factor of its place.
    fn bin(&self, line: usize, i: usize) -> Complex<R> {
        let z = self.complex(line, i);
        if self.is_edge(i) && is_finite(z) {
            return Complex::new(z.re, R::zero());
        }
        z.scale(R::lit(self.p.middle.into()))
    }

    /// Whether all of a line is finite.
    fn is_finite(&self, line: usize, reals: bool) -> bool {
        let element = |i: usize| match reals {
            true => self.real(line, i).is_finite(),
            false => is_finite(self.complex(line, i)),
        };
        (0..self.p.load_extent as usize).all(element)
    }
}

/// A pass over the parts of long lines, as the tile kernel does it.
struct Pass<'a, R> {
    lines: Lines<'a, R>,
    table: &'a [Complex<R>],
    chirp: u32,
}

impl<R: Real> Pass<'_, R> {
    /// Point m of part c of a line.
    fn read(&self, line: usize, c: usize, m: usize) -> Complex<R> {
        let (p, lines) = (&self.lines.p, &self.lines);
        let is = |mode: Mode| lines.load == mode as u32;
        let i = m * p.load_step as usize + c * p.load_sub as usize;
        if i >= p.loaded as usize {
            return Complex::default();
        }
        let z = if is(Mode::Conjugate) {
            lines.complex(line, i).conj()
        } else if is(Mode::Real) {
            Complex::new(lines.real(line, i), R::zero())
        } else if is(Mode::Pairs) {
            Complex::new(lines.real(line, 2 * i), lines.real(line, 2 * i + 1))
        } else if is(Mode::HalfPairs) {
            let (a, b) = (lines.bin(line, i), lines.bin(line, p.count as usize - i).conj());
            let odd = (a - b).conj() * self.table[p.roots_at as usize + i];
            (a + b).conj() + Complex::new(odd.im, -odd.re)
        } else if is(Mode::Half) {
            let mirrored = 2 * i > p.length as usize;
            let bin = if mirrored { p.length as usize - i } else { i };
            let z = lines.bin(line, bin);
            if mirrored { z } else { z.conj() }
        } else {
            lines.complex(line, i)
        };
        // As in the shader, both parts: so that every sum that takes them up is NaN in both.
        let z = if is_finite(z) { z } else { Complex::new(R::nan(), R::nan()) };
        if self.chirp & 1 == 1 { z * self.table[p.chirp_at as usize + i] } else { z }
    }

    /// Writes outcome k of part c of a line.
    fn write(&self, line: usize, c: usize, k: usize, z: Complex<R>, y: &mut [R]) {
        let (p, lines) = (&self.lines.p, &self.lines);
        let is = |mode: Mode| lines.store == mode as u32;
        let i = k * p.store_step as usize + c * p.store_sub as usize;
        let between = is(Mode::Turned) || is(Mode::Convolved);
        let half = is(Mode::Half);
        if (half && 2 * i > p.length as usize) || (!between && i >= p.count as usize) {
            return;
        }
        let mut z = z;
        if self.chirp & 4 == 4 {
            z = z.conj() * self.table[p.chirp_at as usize + i];
        }
        if is(Mode::Turned) {
            z *= self.table[p.twiddles_at as usize + c * k];
        } else if is(Mode::Convolved) {
            z = (z * self.table[p.spectrum_at as usize + i]).conj();
        } else if is(Mode::Conjugate) || is(Mode::Pairs) {
            z = z.conj();
        }
        let middle = half && !lines.is_edge(i);
        let scale = R::lit(p.scale.into());
        let scale = if middle { scale * R::lit(p.middle.into()) } else { scale };
        let z = z.scale(scale);
        let at = |i| place(line, p.store_inner, p.store_extent, i);
        if is(Mode::Pairs) {
            (y[at(2 * i)], y[at(2 * i + 1)]) = (z.re, z.im);
        } else if is(Mode::Real) {
            y[at(i)] = z.re;
        } else {
            numbers_mut(y)[at(i)] = z;
        }
    }
}

/// Where element i of a line stands.
fn place(line: usize, inner: u32, extent: u32, i: usize) -> usize {
    let inner = inner as usize;
    (line / inner * extent as usize + i) * inner + line % inner
}

fn is_finite<R: Real>(z: Complex<R>) -> bool {
    z.re.is_finite() && z.im.is_finite()
}
