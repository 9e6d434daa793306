//! The extents of a convolution.

use crate::kernel::CostArgs;
use crate::reduce::Split;
use crate::{DType, Error, Result, Tensor, Var};

crate::params! {
    /// `conv/taps.wgsl`
    pub(super) struct TapParams {
        steps: u32,
        batch: u32,
        channels: u32,
        taps: u32,
        dilation: u32,
        chunk: u32,
        chunks: u32,
    }
}

/// The most steps between two taps. No distance may overflow: these are more than a tensor of as many
/// steps may have taps.
const FARTHEST: usize = 1 << 24;

impl TapParams {
    /// The extents of x for `taps` taps.
    pub(super) fn new(op: &'static str, x: &Tensor, taps: usize, dilation: usize) -> Result<Self> {
        x.expect(op, DType::F32)?;
        let &[steps, batch, channels] = x.shape().dims() else {
            return Err(Error::shape(op, format!("x {}, expected [T, B, C]", x.shape())));
        };
        if taps == 0 || dilation == 0 || taps.saturating_mul(dilation) > FARTHEST {
            let detail = format!(
                "{taps} taps with a dilation of {dilation}, expected 1 or more of each, and a product of \
                 {FARTHEST} at most"
            );
            return Err(Error::argument(op, detail));
        }
        let split = Split::of(x.device(), steps * batch, (taps + 1) * channels);
        let [steps, batch, channels, taps, dilation, chunk, chunks] =
            [steps, batch, channels, taps, dilation, split.chunk, split.parts].map(|v| v as u32);
        Ok(Self { steps, batch, channels, taps, dilation, chunk, chunks })
    }
}

/// How far tap k looks back, in steps.
pub(super) fn back(p: &TapParams, k: usize) -> usize {
    (p.taps as usize - 1 - k) * p.dilation as usize
}

/// The iterations of a loop over the taps that see a step of the series.
pub(super) fn tap_iterations(args: &CostArgs<'_>) -> u64 {
    let p: TapParams = args.params();
    u64::from(p.taps.min(p.steps.div_ceil(p.dilation.max(1)))) + 2
}

/// Checks a bias of `channels` values.
pub(super) fn check_bias(op: &'static str, x: &Tensor, bias: &Var, channels: usize) -> Result<()> {
    x.same_device(op, bias.value())?;
    bias.value().expect(op, DType::F32)?;
    if bias.shape().dims() == [channels] {
        return Ok(());
    }
    Err(Error::shape(op, format!("bias {}, expected [{channels}]", bias.shape())))
}
