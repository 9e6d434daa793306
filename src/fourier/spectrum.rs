//! What the kernels of transforms share; `fourier/spectrum.wgsl`.

use crate::kernel::{Cost, CostArgs};

crate::params! {
    /// Of one launch.
    pub(crate) struct LineParams {
        radices: [u32; 4],
        stages: u32,
        lines: u32,
        subs: u32,
        points: u32,
        loaded: u32,
        count: u32,
        length: u32,
        load_inner: u32,
        load_extent: u32,
        load_step: u32,
        load_sub: u32,
        store_inner: u32,
        store_extent: u32,
        store_step: u32,
        store_sub: u32,
        chirp_at: u32,
        spectrum_at: u32,
        roots_at: u32,
        twiddles_at: u32,
        /// Of packed spikes the lines of a step.
        step_lines: u32,
        scale: f32,
        middle: f32,
        /// The first line of the launch.
        first: u32,
        padding: u32,
    }
}

/// What is read and written once, and 5 N log2 N operations a line.
pub(super) fn cost(args: &CostArgs<'_>) -> Cost {
    let p: LineParams = args.params();
    let points = f64::from(p.count.max(1));
    let flops = 5.0 * points * points.log2() * f64::from(p.lines);
    Cost { bytes: 4.0 * (args.words_of("x") + args.words_of("y")) as f64, flops }
}

/// How points are read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Complex numbers.
    Complex = 0,
    /// Complex numbers, conjugated.
    Conjugate = 1,
    /// Reals.
    Real = 2,
    /// Pairs of reals.
    Pairs = 3,
    /// Half a spectrum.
    Half = 4,
    /// Half a spectrum, from or to pairs of reals.
    HalfPairs = 5,
    /// To the second pass.
    Turned = 6,
    /// Multiplied by the chirp's transform.
    Convolved = 7,
}
