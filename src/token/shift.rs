//! The token shift: each channel mixed with its value one token earlier.

use super::rows::each_row;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::reduce::Split;
use crate::tensor::{BY_FOUR, Items};
use crate::{DType, Error, Result, Tensor, Var};

crate::kernel! {
    /// `y[t] = mix x[t] + (1 - mix) x[t - 1]`
    pub(super) static TOKEN_SHIFT = "token/token_shift";
    params = ShiftParams;
    oracle = token_shift_oracle;
    variants = BY_FOUR;
}

crate::kernel! {
    /// The gradients of x and of what came before it.
    pub(super) static TOKEN_SHIFT_BACKWARD = "token/token_shift_backward";
    params = ShiftParams;
    oracle = token_shift_backward_oracle;
    variants = BY_FOUR;
}

crate::kernel! {
    /// The gradient of the mix, in parts.
    pub(super) static TOKEN_SHIFT_MIX = "token/token_shift_mix";
    params = struct TokenShiftMixParams {
        rows: u32,
        channels: u32,
        batch: u32,
        splits: u32,
        chunk: u32,
    };
    oracle = token_shift_mix_oracle;
    iterations = |args| Split::iterations(args.params::<TokenShiftMixParams>().chunk);
}

crate::params! {
    pub(super) struct ShiftParams {
        items: u32,
        lane: u32,
        channels: u32,
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
    fn items(self) -> (Items, ShiftParams) {
        let items = Items::of(self.channels);
        let params = ShiftParams {
            items: items.count(self.count),
            lane: items.count(self.lane),
            channels: items.count(self.channels),
        };
        (items, params)
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
        let (items, params) = extents.items();
        let launch = items.launch(x.device(), &TOKEN_SHIFT, extents.count).params(&params);
        let launch = launch.constant("PREVIOUS", previous.is_some());
        launch
            .bind("x", x)
            .bind("mix_of", mix)
            .bind_if("previous", previous)
            .bind("y", &y)
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
    let like = |p: &Tensor| Tensor::empty(device, *p.shape(), DType::F32);
    let gprevious = previous.map(like).transpose()?;
    if extents.count > 0 {
        let (items, params) = extents.items();
        let launch = items.launch(device, &TOKEN_SHIFT_BACKWARD, extents.count).params(&params);
        let launch = launch.constant("PREVIOUS", previous.is_some());
        launch
            .bind("mix_of", mix)
            .bind("g", g)
            .bind("gx", &gx)
            .bind_if("gprevious", gprevious.as_ref())
            .record()?;
    } else if let Some(gprevious) = &gprevious {
        gprevious.clear()?;
    }
    Ok((gx, gprevious))
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
    let split = Split::of(device, rows, channels);
    let part = Tensor::empty(device, [split.parts, channels], DType::F32)?;
    let params = TokenShiftMixParams {
        rows: rows as u32,
        channels: channels as u32,
        batch: (lane / channels) as u32,
        splits: split.parts as u32,
        chunk: split.chunk as u32,
    };
    let launch = device.launch(&TOKEN_SHIFT_MIX).params(&params);
    let launch = launch.constant("PREVIOUS", previous.is_some());
    let launch = launch.bind("x", x).bind_if("previous", previous).bind("g", g).bind("part", &part);
    launch.items(part.count()).record()?;
    split.total(&part)
}

fn token_shift_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ShiftParams = args.params();
    let (x, mix) = (args.reals("x"), args.reals("mix_of"));
    let previous = (args.flag("PREVIOUS")).then(|| args.reals("previous"));
    let y = args.reals_mut("y");
    let channels = mix.len();
    let batch = (p.lane / p.channels) as usize;
    each_row(y, channels, |r, y| {
        let before = before(x, previous, r, batch, channels);
        let x = &x[r * channels..][..channels];
        y.iter_mut().zip(x.iter().zip(mix)).for_each(|(y, (x, m))| *y = *m * *x);
        if let Some(before) = before {
            let terms = before.iter().zip(mix);
            y.iter_mut().zip(terms).for_each(|(y, (x, m))| *y += (R::one() - *m) * *x);
        }
    });
}

/// Row `r` of x one token earlier.
fn before<'a, R>(
    x: &'a [R],
    previous: Option<&'a [R]>,
    r: usize,
    batch: usize,
    channels: usize,
) -> Option<&'a [R]> {
    match r.checked_sub(batch) {
        Some(r) => Some(&x[r * channels..][..channels]),
        None => previous.map(|x| &x[r * channels..][..channels]),
    }
}

fn token_shift_backward_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let (mix, g) = (args.reals("mix_of"), args.reals("g"));
    let (gx, gprevious) = (args.reals_mut("gx"), args.reals_mut("gprevious"));
    let p: ShiftParams = args.params();
    let channels = mix.len();
    let batch = (p.lane / p.channels) as usize;
    let lane = batch * channels;
    each_row(gx, channels, |r, gx| {
        let now = &g[r * channels..][..channels];
        gx.iter_mut().zip(now.iter().zip(mix)).for_each(|(gx, (g, m))| *gx = *m * *g);
        if let Some(next) = g.get((r + batch) * channels..).filter(|g| !g.is_empty()) {
            let terms = next.iter().zip(mix);
            gx.iter_mut().zip(terms).for_each(|(gx, (g, m))| *gx += (R::one() - *m) * *g);
        }
    });
    if args.flag("PREVIOUS") {
        let terms = g[..lane].iter().zip(mix.iter().cycle());
        gprevious.iter_mut().zip(terms).for_each(|(gp, (g, m))| *gp = (R::one() - *m) * *g);
    }
}

fn token_shift_mix_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TokenShiftMixParams = args.params();
    let (x, g) = (args.reals("x"), args.reals("g"));
    let previous = (args.flag("PREVIOUS")).then(|| args.reals("previous"));
    let part = args.reals_mut("part");
    let (rows, channels) = (p.rows as usize, p.channels as usize);
    let (batch, chunk) = (p.batch as usize, p.chunk as usize);
    part.par_chunks_mut(channels).enumerate().for_each(|(s, sums)| {
        sums.fill(R::zero());
        for r in s * chunk..rows.min((s + 1) * chunk) {
            let (now, g) = (&x[r * channels..][..channels], &g[r * channels..][..channels]);
            match before(x, previous, r, batch, channels) {
                Some(before) => {
                    let terms = g.iter().zip(now.iter().zip(before));
                    sums.iter_mut().zip(terms).for_each(|(s, (g, (x, b)))| *s += *g * (*x - *b));
                }
                None => {
                    sums.iter_mut().zip(g.iter().zip(now)).for_each(|(s, (g, x))| *s += *g * *x);
                }
            }
        }
    });
}
