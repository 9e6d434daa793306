//! The launches of a transform.

use super::oracle;
use super::plan::{Plan, TILE_POINTS, Table, occurring, packed, radices};
use super::spectrum::{LineParams, Mode, cost};
use crate::device::Lines;
use crate::kernel::{CostArgs, Kernel, Variant};
use crate::{DType, Device, Launch, Result, Tensor, kernel};

kernel! {
/// Whole lines, through memory: for software adapters, and the host.
pub(super) static FFT_LINES = "fourier/fft_lines";
params = LineParams;
oracle = oracle::fft_lines;
host = crate::host::fourier::fft_lines;
cost = cost;
tolerance = 1e-5;
scratch = "scratch";
variants = &[
            Variant::portable("baseline", &["TOGETHER"]),
            Variant::portable("a line an invocation", &[]),
            Variant::portable("of packed spikes", &["TOGETHER", "BITS"]),
            Variant::portable("of packed spikes, a line an invocation", &["BITS"]),
        ];
    iterations = lines_iterations;
}

kernel! {
/// Whole lines, or parts of long ones, in workgroup memory: for hardware.
pub(super) static FFT_TILE = "fourier/fft_tile";
params = LineParams;
oracle = oracle::fft_tile;
cost = cost;
tolerance = 1e-5;
variants = &[
            Variant::portable("baseline", &["TILE"]),
            Variant::portable("of packed spikes", &["TILE", "BITS"]),
        ];
    iterations = |_| 4_000;
}

kernel! {
    /// Half the spectra of long real lines, from the transforms of their pairs.
    pub(super) static FFT_SPLIT = "fourier/fft_split";
    params = LineParams;
    oracle = oracle::fft_split;
    tolerance = 1e-5;
}

/// A transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Forward,
    Inverse,
    RealForward,
    RealInverse,
}

/// What is asked for: a transform along one axis.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) kind: Kind,
    /// The product of the axes before and after.
    pub(super) outer: usize,
    pub(super) inner: usize,
    /// The points of a complex line, the samples of a real one.
    pub(super) length: usize,
    /// The factor of every result, and of the bins with a partner at the negative frequency.
    pub(super) scale: f64,
    pub(super) middle: f32,
    /// Of packed spikes `[T, ..]` the lines of a step.
    pub(super) step_lines: Option<usize>,
}

impl Request {
    /// The extents of the axis before and after.
    fn extents(&self) -> [usize; 2] {
        let bins = self.length / 2 + 1;
        match self.kind {
            Kind::Forward | Kind::Inverse => [self.length; 2],
            Kind::RealForward => [self.length, bins],
            Kind::RealInverse => [bins, self.length],
        }
    }

    /// How points are read and written, and how many there are; an even real line is a complex one
    /// of half the length.
    fn modes(&self) -> (Mode, Mode, usize) {
        let pack = self.length.is_multiple_of(2);
        let points = if pack { self.length / 2 } else { self.length };
        match (self.kind, pack) {
            (Kind::Forward, _) => (Mode::Complex, Mode::Complex, self.length),
            (Kind::Inverse, _) => (Mode::Conjugate, Mode::Conjugate, self.length),
            (Kind::RealForward, true) => (Mode::Pairs, Mode::HalfPairs, points),
            (Kind::RealForward, false) => (Mode::Real, Mode::Half, points),
            (Kind::RealInverse, true) => (Mode::HalfPairs, Mode::Pairs, points),
            (Kind::RealInverse, false) => (Mode::Half, Mode::Real, points),
        }
    }

    fn params(&self, points: usize) -> LineParams {
        let [load, store] = self.extents();
        LineParams {
            lines: (self.outer * self.inner) as u32,
            subs: 1,
            loaded: points as u32,
            count: points as u32,
            length: self.length as u32,
            load_inner: self.inner as u32,
            load_extent: load as u32,
            load_step: 1,
            store_inner: self.inner as u32,
            store_extent: store as u32,
            store_step: 1,
            scale: self.scale as f32,
            middle: self.middle,
            step_lines: self.step_lines.unwrap_or(0) as u32,
            ..LineParams::default()
        }
    }

    /// Records the launches that transform `x` to `y`.
    pub(super) fn run(&self, x: &Tensor, y: &Tensor) -> Result<()> {
        let device = x.device();
        if y.count() == 0 {
            return Ok(());
        }
        match device.tuning().lines {
            Lines::Host => self.on_host(x, y),
            Lines::Memory => {
                let plan = Plan::whole(self.modes().2)?;
                // What eight invocations share must not be more than each may loop.
                let ends = plan.iterations() / SIDE_BY_SIDE < MOST_ITERATIONS;
                if ends { self.in_memory(x, y, &plan) } else { self.in_tiles(x, y) }
            }
            Lines::Tiles => self.in_tiles(x, y),
        }
    }

    /// The host's loops plan for themselves.
    fn on_host(&self, x: &Tensor, y: &Tensor) -> Result<()> {
        let (load, store, points) = self.modes();
        let params = LineParams { points: points as u32, ..self.params(points) };
        launch(&FFT_LINES, &params, [load, store], [x, y])
            .when("TOGETHER", true)
            .unused("table")
            .unused("scratch")
            .record()
    }

    fn in_memory(&self, x: &Tensor, y: &Tensor, plan: &Plan) -> Result<()> {
        let device = x.device();
        let (load, store, count) = self.modes();
        let table = self.table(plan, count, load, store);
        let stages = radices(plan.points).unwrap_or_default();
        let params = filled(self.params(count), plan.points, &stages, &table);
        let lines = self.outer * self.inner;
        let iterations = plan.iterations();
        let together = lines < FEW_LINES || iterations > MOST_ITERATIONS;
        let (side_by_side, iterations) =
            if together { (1, iterations / SIDE_BY_SIDE + 1) } else { (SIDE_BY_SIDE, iterations) };
        let groups = lines.div_ceil(side_by_side).min(IN_FLIGHT);
        let places = 2 * groups * side_by_side * plan.points;
        let scratch = Tensor::empty(device, [places, 2], DType::F32)?;
        let table = on_device(device, &table)?;
        let at_once = groups * side_by_side * (MOST_ITERATIONS / iterations.max(1)).max(1);
        for first in (0..lines).step_by(at_once) {
            let last = lines.min(first + at_once);
            let part = LineParams { first: first as u32, lines: last as u32, ..params };
            launch(&FFT_LINES, &part, [load, store], [x, y])
                .when("TOGETHER", together)
                .constant("CHIRP", plan.chirp)
                .constant("RADICES", occurring(&stages))
                .bind("table", &table)
                .bind("scratch", &scratch)
                .workgroups(groups)
                .record()?;
        }
        Ok(())
    }

    /// What a plan in one launch looks up.
    fn table(&self, plan: &Plan, count: usize, load: Mode, store: Mode) -> Table {
        let pairs = load == Mode::HalfPairs || store == Mode::HalfPairs;
        Table {
            points: plan.points,
            chirp: plan.chirp.then_some(count),
            spectrum: plan.chirp.then_some((count, plan.points)),
            roots: pairs.then_some(self.length),
            twiddles: None,
        }
    }

    fn in_tiles(&self, x: &Tensor, y: &Tensor) -> Result<()> {
        let (load, store, count) = self.modes();
        let plan = Plan::tiled(count)?;
        if let Some(passes) = plan.passes {
            return self.in_passes(x, y, &plan, passes);
        }
        let table = self.table(&plan, count, load, store);
        let stages = radices(plan.points).unwrap_or_default();
        let params = filled(self.params(count), plan.points, &stages, &table);
        let chirp = if plan.chirp { 7 } else { 0 };
        self.tile(&params, [load, store], chirp, [x, y], &table)
    }

    /// Long lines: N = A B points, first the B lines of A points that stand B apart, then the A lines
    /// of B. Bins of pairs are split afterwards: those of a pair are of different parts.
    fn in_passes(&self, x: &Tensor, y: &Tensor, plan: &Plan, passes: [usize; 2]) -> Result<()> {
        let (load, store, count) = self.modes();
        let lines = self.outer * self.inner;
        if store == Mode::HalfPairs {
            let pairs = Tensor::empty(x.device(), [lines, count, 2], DType::F32)?;
            let inside = LineParams {
                store_inner: 1,
                store_extent: count as u32,
                scale: 1.0,
                ..self.params(count)
            };
            self.passes(&inside, plan, passes, [load, Mode::Complex], [x, &pairs])?;
            return self.split(&pairs, y, count);
        }
        self.passes(&self.params(count), plan, passes, [load, store], [x, y])
    }

    fn passes(
        &self,
        whole: &LineParams,
        plan: &Plan,
        passes: [usize; 2],
        [load, store]: [Mode; 2],
        [x, y]: [&Tensor; 2],
    ) -> Result<()> {
        let count = whole.count as usize;
        let room = || Tensor::empty(x.device(), [whole.lines as usize, plan.points, 2], DType::F32);
        let z = room()?;
        let inside = LineParams {
            loaded: plan.points as u32,
            load_inner: 1,
            load_extent: plan.points as u32,
            ..*whole
        };
        if !plan.chirp {
            self.first_pass(whole, passes, (load, None), [x, &z])?;
            return self.second_pass(&inside, passes, (store, None), [&z, y]);
        }
        let chirp = Some(count);
        self.first_pass(whole, passes, (load, chirp), [x, &z])?;
        let convolved = room()?;
        let store_all = LineParams {
            count: plan.points as u32,
            store_inner: 1,
            store_extent: plan.points as u32,
            scale: 1.0,
            ..inside
        };
        self.second_pass(&store_all, passes, (Mode::Convolved, chirp), [&z, &convolved])?;
        self.first_pass(&inside, passes, (Mode::Complex, None), [&convolved, &z])?;
        self.second_pass(&inside, passes, (store, chirp), [&z, y])
    }

    /// Half spectra from the transforms of `count` pairs.
    fn split(&self, pairs: &Tensor, y: &Tensor, count: usize) -> Result<()> {
        let table = Table { roots: Some(self.length), ..Table::default() };
        let whole = LineParams { load_inner: 1, load_extent: count as u32, ..self.params(count) };
        let params = filled(whole, count, &[], &table);
        let launch = pairs.device().launch(&FFT_SPLIT).params(&params);
        let launch = launch.bind("x", pairs).bind("y", y);
        launch.bind("table", &on_device(y.device(), &table)?).items(y.count() / 2).record()
    }

    fn first_pass(
        &self,
        whole: &LineParams,
        [a, b]: [usize; 2],
        (load, chirp): (Mode, Option<usize>),
        tensors: [&Tensor; 2],
    ) -> Result<()> {
        let roots = (load == Mode::HalfPairs).then_some(self.length);
        let table = Table { points: a, chirp, spectrum: None, roots, twiddles: Some(a * b) };
        let stages = radices(a).unwrap_or_default();
        let params = LineParams {
            lines: whole.lines * b as u32,
            subs: b as u32,
            load_step: b as u32,
            load_sub: 1,
            store_inner: 1,
            store_extent: (a * b) as u32,
            store_step: b as u32,
            store_sub: 1,
            scale: 1.0,
            ..*whole
        };
        let params = filled(params, a, &stages, &table);
        self.tile(&params, [load, Mode::Turned], u32::from(chirp.is_some()), tensors, &table)
    }

    fn second_pass(
        &self,
        whole: &LineParams,
        [a, b]: [usize; 2],
        (store, chirp): (Mode, Option<usize>),
        tensors: [&Tensor; 2],
    ) -> Result<()> {
        let convolved = store == Mode::Convolved;
        let spectrum = chirp.filter(|_| convolved).map(|n| (n, a * b));
        let chirp = chirp.filter(|_| !convolved);
        let table = Table { points: b, chirp, spectrum, roots: None, twiddles: None };
        let stages = radices(b).unwrap_or_default();
        let params = LineParams {
            lines: whole.lines * a as u32,
            subs: a as u32,
            load_step: 1,
            load_sub: b as u32,
            store_step: a as u32,
            store_sub: 1,
            ..*whole
        };
        let params = filled(params, b, &stages, &table);
        let bits = if chirp.is_some() { 4 } else { 0 };
        self.tile(&params, [Mode::Complex, store], bits, tensors, &table)
    }

    /// One launch in workgroup memory.
    fn tile(
        &self,
        params: &LineParams,
        [load, store]: [Mode; 2],
        chirp: u32,
        [x, y]: [&Tensor; 2],
        table: &Table,
    ) -> Result<()> {
        let most = TILE_POINTS / params.points as usize;
        let stages = radices(params.points as usize).unwrap_or_default();
        launch(&FFT_TILE, params, [load, store], [x, y])
            .when("TILE", true)
            .constant("CHIRP", chirp)
            .constant("RADICES", occurring(&stages))
            .bind("table", &on_device(x.device(), table)?)
            .workgroups((params.lines as usize).div_ceil(most))
            .record()
    }
}

/// Below so many lines, eight invocations of a software adapter share one.
const FEW_LINES: usize = 16;
/// The iterations of all its loops that an invocation takes: llvmpipe ends every loop after 65,535 in all,
/// and says nothing.
const MOST_ITERATIONS: usize = 60_000;
/// The lines that a workgroup of a software adapter transforms side by side.
const SIDE_BY_SIDE: usize = 8;
/// The most workgroups of a software adapter: each keeps its own scratch near.
const IN_FLIGHT: usize = 64;

/// For each of an invocation's lines: reading, writing, and the stages, between two transforms a
/// product.
fn lines_iterations(args: &CostArgs<'_>) -> u64 {
    let p: LineParams = args.params();
    let (lanes, side_by_side) = if args.when("TOGETHER") { (8, 1) } else { (1, 8) };
    let points = u64::from(p.points);
    let stage = |i: u32| {
        let radix = u64::from(p.radices[i as usize / 5] >> (6 * (i % 5)) & 63).max(1);
        let half = radix / 2;
        let dense = if radix > 8 { 2 + half + half * (2 + half.div_ceil(3)) } else { 0 };
        (points / radix).div_ceil(lanes) * (1 + dense) + 2
    };
    let transforms = 1 + args.constant("CHIRP");
    let walk = (points + 1).div_ceil(lanes) + 1;
    let line = (1 + transforms) * walk + transforms * (0..p.stages).map(stage).sum::<u64>() + 4;
    let at_once = args.groups.iter().map(|n| u64::from(*n)).product::<u64>() * side_by_side;
    u64::from(p.lines - p.first).div_ceil(at_once.max(1)) * line
}

/// A launch from `x`, numbers or packed spikes, to `y`.
fn launch(
    kernel: &'static Kernel,
    params: &LineParams,
    [load, store]: [Mode; 2],
    [x, y]: [&Tensor; 2],
) -> Launch {
    let launch = x.device().launch(kernel).params(params);
    let launch = launch.constant("LOAD", load as u32).constant("STORE", store as u32);
    launch.when("BITS", x.dtype() == DType::Bits).bind("x", x).bind("y", y)
}

fn filled(params: LineParams, points: usize, stages: &[usize], table: &Table) -> LineParams {
    let [chirp_at, spectrum_at, roots_at, twiddles_at] = table.places();
    LineParams {
        radices: packed(stages),
        stages: stages.len() as u32,
        points: points as u32,
        chirp_at,
        spectrum_at,
        roots_at,
        twiddles_at,
        ..params
    }
}

/// A table on a device: made and uploaded once.
fn on_device(device: &Device, table: &Table) -> Result<Tensor> {
    let (n, points) = table.spectrum.unwrap_or_default();
    let [roots, twiddles] = [table.roots, table.twiddles].map(Option::unwrap_or_default);
    let key = [table.points, table.chirp.unwrap_or(0), n, points, roots, twiddles];
    device.cached(("fourier", key), || table.values())
}
