//! The Fourier graph operator with matrices in one launch: three complex layers over rows that stand
//! in workgroup memory.

use super::complex_linear;
use super::mix::ShrinkParams;
use super::twin;
use crate::kernel::{Cost, Kernel, shader};
use crate::layout::{concat_tensors, transpose};
use crate::linalg::{Layout, matmul};
use crate::{DType, Result, Tensor, Var, reduce};

/// All three layers of 16 rows in workgroup memory: for hardware.
pub(super) static MIX_DENSE: Kernel = Kernel::new(
    "fourier",
    "mix_dense",
    shader!("fourier/mix_dense"),
    crate::twin!(twin::chain::forward),
)
.params::<Params>()
.cost(|args| {
    let p: Params = args.params();
    let (rows, channels) = (f64::from(p.rows), f64::from(p.channels));
    Cost { bytes: args.all_bytes(), flops: 24.0 * rows * channels * channels }
})
.turns(|args| 200 + 30 * u64::from(args.params::<Params>().channels));

/// The gradient before a layer's relu.
pub(super) static MIX_REACHED: Kernel = Kernel::new(
    "fourier",
    "mix_reached",
    shader!("fourier/mix_reached"),
    crate::twin!(twin::chain::reached),
)
.params::<ShrinkParams>();

crate::params! {
    pub(super) struct Params {
        rows: u32,
        channels: u32,
        threshold: f32,
    }
}

/// The rows of a workgroup.
const ROWS: usize = 16;
/// The most channels: of 16 rows of them workgroup memory holds 16 KiB.
const MOST_CHANNELS: usize = 128;

/// Whether the operator on `x [.., E, 2]` runs as one launch.
pub(super) fn fits(x: &Tensor) -> bool {
    let channels = x.shape().dims().iter().rev().nth(1).copied().unwrap_or(0);
    let software = x.device().is_host() || x.device().capabilities().software;
    !software && (1..=MOST_CHANNELS).contains(&channels) && x.count() > 0
}

/// What backward reads.
struct Chain {
    x: Tensor,
    weights: [Tensor; 3],
    outcomes: [Tensor; 3],
    channels: usize,
    threshold: f32,
}

/// The operator; shapes were checked.
pub(super) fn run(
    op: &'static str,
    x: &Var,
    weights: [&Var; 3],
    biases: [&Var; 3],
    threshold: f32,
) -> Result<Var> {
    let tape = x.tape();
    let inputs = [x, weights[0], weights[1], weights[2], biases[0], biases[1], biases[2]];
    let keep = inputs.iter().any(|v| v.has_gradient());
    let channels = biases[0].shape().last().copied().unwrap_or(1);
    let room = || Tensor::empty(x.device(), *x.shape(), DType::F32);
    let z = room()?;
    let outcomes = if keep {
        [room()?, room()?, room()?]
    } else {
        let unused = || Tensor::empty(x.device(), [2], DType::F32);
        [unused()?, unused()?, unused()?]
    };
    let rows = x.value().count() / (2 * channels);
    let params = Params { rows: rows as u32, channels: channels as u32, threshold };
    let launch = x.device().launch(&MIX_DENSE).params(&params);
    let launch = launch.constant("WG", (2 * channels).next_multiple_of(32) as u32);
    let launch = launch.constant("KEEP", u32::from(keep)).bind_next(x.value());
    let launch = launch.bind_next(&concat_tensors(&weights.map(Var::value), 0)?);
    let launch = launch.bind_next(&concat_tensors(&biases.map(Var::value), 0)?).bind_next(&z);
    let launch = outcomes.iter().fold(launch, |launch, o| launch.bind_next(o));
    launch.items_of(rows.div_ceil(ROWS), 1).record()?;
    let weights = weights.map(|w| w.value().clone());
    let chain = Chain { x: x.value().clone(), weights, outcomes, channels, threshold };
    tape.record_one(op, &inputs, z, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        let mut next = None;
        for k in [2, 1, 0] {
            let gz = chain.reached(k, &g, next.as_ref())?;
            if bw.needs(1 + k) {
                bw.give(1 + k, chain.weight(k, &gz)?);
            }
            if bw.needs(4 + k) {
                let sums = reduce::sum(&gz, &[0], false)?.reshape([chain.channels, 2])?;
                bw.give(4 + k, transpose(&sums)?);
            }
            next = if k > 0 || bw.needs(0) { Some(chain.back(k, &gz)?) } else { None };
        }
        if let Some(next) = next {
            let shaped = next.reshape(*g.shape())?;
            let sum = crate::elementwise::binary(crate::elementwise::Binary::Add, &g, &shaped)?;
            bw.give(0, sum);
        }
        Ok(())
    })
}

impl Chain {
    fn flat(&self, t: &Tensor) -> Result<Tensor> {
        t.reshape([t.count() / (2 * self.channels), 2 * self.channels])
    }

    /// The gradient before relu of layer k, `[rows, 2 E]`.
    fn reached(&self, k: usize, g: &Tensor, next: Option<&Tensor>) -> Result<Tensor> {
        let gz = Tensor::empty(g.device(), *g.shape(), DType::F32)?;
        let params = ShrinkParams { count: g.count() as u32, threshold: self.threshold };
        let launch = g.device().launch(&MIX_REACHED).params(&params);
        let launch =
            launch.constant("NEXT", u32::from(next.is_some())).bind_next(&self.outcomes[k]);
        launch
            .bind_next(g)
            .bind_next(next.unwrap_or(g))
            .bind_next(&gz)
            .items_of(g.count(), 256)
            .record()?;
        self.flat(&gz)
    }

    /// The gradient of layer k's weights.
    fn weight(&self, k: usize, gz: &Tensor) -> Result<Tensor> {
        let input = if k == 0 { &self.x } else { &self.outcomes[k - 1] };
        let gm = matmul(&self.flat(input)?, gz, Layout::TN)?;
        complex_linear::gathered(&gm, self.channels, self.channels)
    }

    /// The gradient of layer k's input, `[rows, 2 E]`.
    fn back(&self, k: usize, gz: &Tensor) -> Result<Tensor> {
        let m = complex_linear::blocks(&self.weights[k], self.channels, self.channels)?;
        matmul(gz, &m, Layout::NT)
    }
}
