//! Gates on the bins of spectra.

use super::complex::numbers;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::reduce::Split;
use crate::{DType, Device, Error, Result, Tensor, Var, kernel, reduce};

fn bin_gate<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BinParams = args.params();
    let (bins, width) = (p.bins as usize, 2 * p.inner as usize);
    let (z, m) = (args.reals("z"), args.reals("m"));
    let planes = args.reals_mut("y").par_chunks_mut(bins * width).zip(z.par_chunks(bins * width));
    planes.for_each(|(y, z)| {
        let rows = y.chunks_exact_mut(width).zip(z.chunks_exact(width)).zip(m);
        for ((y, z), m) in rows {
            y.iter_mut().zip(z).for_each(|(y, z)| *y = *m * *z);
        }
    });
}

fn bin_gate_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: BinBackwardParams = args.params();
    let (bins, width) = (p.bins as usize, 2 * p.inner as usize);
    let (z, m, g) = (args.reals("z"), args.reals("m"), args.reals("upstream"));
    let plane = bins * width;
    let span = p.chunk as usize * plane;
    let chunks = args
        .reals_mut("gz")
        .par_chunks_mut(span)
        .zip(args.reals_mut("sums").par_chunks_mut(plane / 2));
    let inputs = z.par_chunks(span).zip(g.par_chunks(span));
    chunks.zip(inputs).for_each(|((gz, sums), (z, g))| {
        sums.fill(R::zero());
        let planes =
            gz.chunks_exact_mut(plane).zip(z.chunks_exact(plane)).zip(g.chunks_exact(plane));
        for ((gz, z), g) in planes {
            for (f, m) in m.iter().enumerate() {
                let row = f * width..(f + 1) * width;
                let (gz, z, g) = (&mut gz[row.clone()], &z[row.clone()], &g[row]);
                gz.iter_mut().zip(g).for_each(|(gz, g)| *gz = *m * *g);
                let sums = &mut sums[f * width / 2..][..width / 2];
                let pairs = z.chunks_exact(2).zip(g.chunks_exact(2));
                for (sum, (z, g)) in sums.iter_mut().zip(pairs) {
                    *sum += g[0] * z[0] + g[1] * z[1];
                }
            }
        }
    });
}

kernel! {
    /// `y = m z`
    pub(super) static BIN_GATE = "fourier/bin_gate";
    params = BinParams;
    oracle = bin_gate;
    cost = |args| cost(args, 2.0);
}

kernel! {
    /// Its gradients.
    pub(super) static BIN_GATE_BACKWARD = "fourier/bin_gate_backward";
    params = BinBackwardParams;
    oracle = bin_gate_backward;
    cost = |args| cost(args, 6.0);
    iterations = |args| Split::iterations(args.params::<BinBackwardParams>().chunk);
}

crate::params! {
    pub(super) struct BinParams {
        outer: u32,
        bins: u32,
        inner: u32,
    }
}

crate::params! {
    pub(super) struct BinBackwardParams {
        outer: u32,
        bins: u32,
        inner: u32,
        chunk: u32,
        chunks: u32,
    }
}

/// Everything moved once, and so many operations a number.
fn cost(args: &CostArgs<'_>, flops: f64) -> Cost {
    Cost { bytes: args.all_bytes(), flops: flops * args.words_of("z") as f64 / 2.0 }
}

const OP: &str = "gate_bins";

impl BinParams {
    fn count(&self) -> usize {
        (self.outer * self.bins * self.inner) as usize
    }

    /// The sums are over chunks of the outer index.
    fn backward(&self, device: &Device) -> BinBackwardParams {
        let plane = (self.bins * self.inner).max(1) as usize;
        let Split { chunk, parts } = Split::of(device, self.outer as usize, plane);
        let BinParams { outer, bins, inner } = *self;
        BinBackwardParams { outer, bins, inner, chunk: chunk as u32, chunks: parts as u32 }
    }
}

impl Var {
    /// Complex numbers times real gates, one for each bin: `y[.., f, ..] = m[f] z[.., f, ..]` for
    /// `z [.., F, .., 2]`, `gates [F]` and the axis of F (counted without the 2).
    ///
    /// Gradients: `gz = m G`, `gm[f]` the sum of `Re(conj(G) z)` over all other axes; two launches.
    ///
    /// # Errors
    /// [`Error::Argument`] for an axis that z does not have; [`Error::Shape`] unless the gates are as
    /// many as its bins; [`Error::DType`] for other elements than f32; [`Error::DeviceMismatch`];
    /// [`Error::TapeMismatch`].
    pub fn gate_bins(&self, gates: &Var, axis: usize) -> Result<Var> {
        let (z, m) = (self.value().clone(), gates.value().clone());
        let params = check(&z, &m, axis)?;
        let y = Tensor::empty(z.device(), *z.shape(), DType::F32)?;
        if params.count() > 0 {
            let launch = z.device().launch(&BIN_GATE).params(&params);
            let launch = launch.bind("z", &z).bind("m", &m).bind("y", &y);
            launch.items(params.count()).record()?;
        }
        self.tape().record_one(OP, &[self, gates], y, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            if params.count() == 0 {
                bw.give(0, g);
                return Ok(());
            }
            let (gz, gm) = backward(&params, &z, &m, &g)?;
            bw.give(0, gz);
            bw.give(1, gm);
            Ok(())
        })
    }
}

fn backward(params: &BinParams, z: &Tensor, m: &Tensor, g: &Tensor) -> Result<(Tensor, Tensor)> {
    let device = g.device();
    let p = params.backward(device);
    let [chunks, bins, inner] = [p.chunks, p.bins, p.inner].map(|v| v as usize);
    let gz = Tensor::empty(device, *g.shape(), DType::F32)?;
    let sums = Tensor::empty(device, [chunks, bins, inner], DType::F32)?;
    let launch = device.launch(&BIN_GATE_BACKWARD).params(&p);
    let launch = launch.bind("z", z).bind("m", m).bind("upstream", g);
    let launch = launch.bind("gz", &gz).bind("sums", &sums);
    launch.items(chunks * bins * inner).record()?;
    Ok((gz, reduce::sum(&sums, &[0, 2], false)?))
}

fn check(z: &Tensor, gates: &Tensor, axis: usize) -> Result<BinParams> {
    let shape = numbers(OP, z)?;
    z.same_device(OP, gates)?;
    gates.expect(OP, DType::F32)?;
    if axis >= shape.rank() {
        return Err(Error::argument(OP, format!("axis {axis} of numbers of shape {shape}")));
    }
    let (outer, bins, inner) = shape.around(axis)?;
    if gates.shape().dims() != [bins] {
        let detail = format!("gates of {} for axis {axis} of {}", gates.shape(), z.shape());
        return Err(Error::shape(OP, detail));
    }
    Ok(BinParams { outer: outer as u32, bins: bins as u32, inner: inner as u32 })
}
