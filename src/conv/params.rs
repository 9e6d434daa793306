//! The extents of a convolution.

use crate::{DType, Device, Error, Result, Tensor, Var};

/// `shared/taps.wgsl`
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) steps: u32,
    pub(super) batch: u32,
    pub(super) channels: u32,
    pub(super) taps: u32,
    pub(super) dilation: u32,
    pub(super) chunk: u32,
    pub(super) chunks: u32,
}

/// Software adapters leave a shader after 65,535 iterations.
const LONGEST: usize = 1 << 15;

impl Params {
    /// The extents of x for `taps` taps.
    pub(super) fn new(op: &'static str, x: &Tensor, taps: usize, dilation: usize) -> Result<Self> {
        x.expect(op, DType::F32)?;
        let &[steps, batch, channels] = x.shape().dims() else {
            return Err(Error::shape(op, format!("a series of {}, expected [T, B, C]", x.shape())));
        };
        // No distance may overflow: 2^24 steps are more than a tensor of them may have taps.
        if taps == 0 || dilation == 0 || taps.saturating_mul(dilation) > 1 << 24 {
            let detail = format!("{taps} taps with a dilation of {dilation}");
            return Err(Error::argument(op, detail));
        }
        let rows = steps * batch;
        let chunk = chunk(rows, (taps + 1) * channels, x.device());
        let [steps, batch, channels, taps, dilation, chunk, chunks] =
            [steps, batch, channels, taps, dilation, chunk, rows.div_ceil(chunk)].map(|v| v as u32);
        Ok(Self { steps, batch, channels, taps, dilation, chunk, chunks })
    }
}

/// Rows that one invocation sums over, of `sums` sums.
fn chunk(rows: usize, sums: usize, device: &Device) -> usize {
    let enough = if device.capabilities().software { 1 << 10 } else { 1 << 15 };
    let chunks = (enough / sums.max(1)).clamp(1, rows.max(1));
    rows.div_ceil(chunks).clamp(1, LONGEST)
}

/// Checks a bias of `channels` values.
pub(super) fn check_bias(op: &'static str, x: &Tensor, bias: &Var, channels: usize) -> Result<()> {
    x.same_device(op, bias.value())?;
    bias.value().expect(op, DType::F32)?;
    if bias.shape().dims() == [channels] {
        return Ok(());
    }
    Err(Error::shape(op, format!("a bias of {} for {channels} channels", bias.shape())))
}
