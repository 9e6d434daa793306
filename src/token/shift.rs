//! The token shift: each channel mixed with its value one token earlier.

use super::cells::Cells;
use super::twin;
use crate::elementwise::CELLS;
use crate::kernel::{Kernel, shader};
use crate::reduce::Pieces;
use crate::{DType, Error, Result, Shape, Tensor, Var};

/// `y[t] = mix x[t] + (1 - mix) x[t - 1]`
pub(super) static TOKEN_SHIFT: Kernel = Kernel::new(
    "token",
    "token_shift",
    shader!("token/token_shift"),
    crate::twin!(twin::token_shift),
)
.params::<Params>()
.variants(CELLS);

/// The gradients of x and of what came before it.
pub(super) static TOKEN_SHIFT_BACKWARD: Kernel = Kernel::new(
    "token",
    "token_shift_backward",
    shader!("token/token_shift_backward"),
    crate::twin!(twin::token_shift_backward),
)
.params::<Params>()
.variants(CELLS);

/// The gradient of the mix, in parts.
pub(super) static TOKEN_SHIFT_MIX: Kernel = Kernel::new(
    "token",
    "token_shift_mix",
    shader!("token/token_shift_mix"),
    crate::twin!(twin::token_shift_mix),
)
.params::<MixParams>()
.turns(|args| Pieces::turns(args.params::<MixParams>().chunk));

crate::params! {
    pub(super) struct Params {
        cells: u32,
        lane: u32,
        channels: u32,
    }
}

crate::params! {
    pub(super) struct MixParams {
        rows: u32,
        channels: u32,
        batch: u32,
        splits: u32,
        chunk: u32,
    }
}

const OP: &str = "token_shift";

/// The extents of a shift: x is `[steps, lane / channels, channels]`.
#[derive(Debug, Clone, Copy)]
struct Extents {
    count: usize,
    lane: usize,
    channels: usize,
}

impl Extents {
    fn cells(self) -> (Cells, Params) {
        let cells = Cells::of(self.channels);
        let params = Params {
            cells: cells.count(self.count),
            lane: cells.count(self.lane),
            channels: cells.count(self.channels),
        };
        (cells, params)
    }
}

impl Var {
    /// The token shift of RWKV (Peng et al. 2023, section 3): for `x[S, .., D]` and `mix[D]`,
    /// `y[t] = mix x[t] + (1 - mix) x[t - 1]`, channel by channel. `previous[.., D]` is the token
    /// before the first, zeros if there is none: the last token of a chunk goes there for the next.
    ///
    /// One launch forward; backward one for `x` and `previous`, two stages in a fixed order for
    /// `mix`.
    ///
    /// # Errors
    /// [`Error::Shape`] for `x` of fewer than two axes, or `mix` or `previous` of other extents;
    /// [`Error::DType`] unless all are f32; [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
    pub fn token_shift(&self, mix: &Var, previous: Option<&Var>) -> Result<Var> {
        let extents = check(self, mix, previous)?;
        let x = self.value().clone();
        let mix_value = mix.value().clone();
        let before = previous.map(|p| p.value().clone());
        let y = forward(extents, &x, &mix_value, before.as_ref())?;
        let inputs: Vec<&Var> = [self, mix].into_iter().chain(previous).collect();
        let has_previous = previous.is_some();
        self.tape().record_one(OP, &inputs, y, move |bw| {
            let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
            let of_previous = has_previous && bw.needs(2);
            if bw.needs(0) || of_previous {
                let (gx, gprevious) = gradients(extents, &mix_value, &g, before.as_ref())?;
                bw.give(0, gx);
                if let Some(gprevious) = gprevious {
                    bw.give(2, gprevious);
                }
            }
            if bw.needs(1) {
                let gradient = gradient_of_mix(extents, &x, &g, before.as_ref())?;
                bw.give(1, gradient);
            }
            Ok(())
        })
    }
}

fn check(x: &Var, mix: &Var, previous: Option<&Var>) -> Result<Extents> {
    let shape = *x.shape();
    let [_, rest @ ..] = shape.dims() else {
        return Err(Error::shape(OP, "a scalar has no time axis"));
    };
    let Some(channels) = rest.last() else {
        return Err(Error::shape(OP, format!("x of shape {shape}, not [S, .., D]")));
    };
    x.value().expect(OP, DType::F32)?;
    let before = previous.map(|p| ("previous", p, rest));
    for (name, var, dims) in [("mix", mix, &[*channels][..])].into_iter().chain(before) {
        var.value().expect(OP, DType::F32)?;
        x.value().same_device(OP, var.value())?;
        if *var.shape() != *dims {
            let detail = format!("{name} {} for x of shape {shape}", var.shape());
            return Err(Error::shape(OP, detail));
        }
    }
    Ok(Extents { count: shape.count(), lane: rest.iter().product(), channels: *channels })
}

fn forward(
    extents: Extents,
    x: &Tensor,
    mix: &Tensor,
    previous: Option<&Tensor>,
) -> Result<Tensor> {
    let y = Tensor::empty(x.device(), *x.shape(), DType::F32)?;
    if extents.count > 0 {
        let (cells, params) = extents.cells();
        let launch = cells.launch(x.device(), &TOKEN_SHIFT, extents.count).params(&params);
        let launch = launch.constant("PREVIOUS", u32::from(previous.is_some()));
        launch
            .bind_next(x)
            .bind_next(mix)
            .bind_next(previous.unwrap_or(mix))
            .bind_next(&y)
            .record()?;
    }
    Ok(y)
}

/// The gradients of x and, where there is one, of `previous`.
fn gradients(
    extents: Extents,
    mix: &Tensor,
    g: &Tensor,
    previous: Option<&Tensor>,
) -> Result<(Tensor, Option<Tensor>)> {
    let device = g.device();
    let gx = Tensor::empty(device, *g.shape(), DType::F32)?;
    // Without a token before the first, a small tensor that is not written.
    let unused = Shape::new(&[4])?;
    let gprevious = Tensor::empty(device, previous.map_or(unused, |p| *p.shape()), DType::F32)?;
    if extents.count > 0 {
        let (cells, params) = extents.cells();
        let launch = cells.launch(device, &TOKEN_SHIFT_BACKWARD, extents.count).params(&params);
        let launch = launch.constant("PREVIOUS", u32::from(previous.is_some()));
        launch.bind_next(mix).bind_next(g).bind_next(&gx).bind_next(&gprevious).record()?;
    } else {
        gprevious.clear()?;
    }
    Ok((gx, previous.map(|_| gprevious)))
}

fn gradient_of_mix(
    extents: Extents,
    x: &Tensor,
    g: &Tensor,
    previous: Option<&Tensor>,
) -> Result<Tensor> {
    let device = g.device();
    let Extents { count, lane, channels } = extents;
    if count == 0 {
        return Tensor::zeros(device, [channels], DType::F32);
    }
    let rows = count / channels;
    let pieces = Pieces::of(device, rows, channels);
    let part = Tensor::empty(device, [pieces.splits, channels], DType::F32)?;
    let params = MixParams {
        rows: rows as u32,
        channels: channels as u32,
        batch: (lane / channels) as u32,
        splits: pieces.splits as u32,
        chunk: pieces.chunk as u32,
    };
    let launch = device.launch(&TOKEN_SHIFT_MIX).params(&params);
    let launch = launch.constant("PREVIOUS", u32::from(previous.is_some()));
    let launch = launch.bind_next(x).bind_next(previous.unwrap_or(x)).bind_next(g).bind_next(&part);
    launch.items_of(part.count(), 64).record()?;
    pieces.total(&part)
}
