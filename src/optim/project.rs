//! Gradients orthogonal to their parameters.

use super::norm::chunks;
use super::sharing::launch_sharing;
use crate::error::Result;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, to_one};
use crate::{DType, Tensor};

crate::kernel! {
    /// Sums of `g w`, `w^2` and `g^2` in parts, scaled to order one.
    pub(super) static OVERLAP = "optim/overlap";
    params = struct OverlapParams {
        count: u32,
        chunk: u32,
        groups: u32,
    };
    oracle = overlap_oracle;
    iterations = |args| {
                let share = u64::from(args.params::<OverlapParams>().chunk);
                let share = share.div_ceil(args.constant("WG"));
                2 * share + 2 * share.div_ceil(64) + 24
            };
}

crate::kernel! {
    /// `y = s (g - (w.g / w.w) w)`
    pub(super) static PROJECT = "optim/project";
    params = struct ProjectParams {
        count: u32,
        groups: u32,
    };
    oracle = project_oracle;
    iterations = |args| 70 + 2 * u64::from(args.params::<ProjectParams>().groups);
}

/// The part of `gradient` that is orthogonal to `value`, with the norm of the whole: two launches.
pub(super) fn orthogonal(gradient: &Tensor, value: &Tensor) -> Result<Tensor> {
    let (device, count) = (value.device(), value.count());
    let y = Tensor::empty(device, *value.shape(), DType::F32)?;
    if count == 0 {
        return Ok(y);
    }
    let (chunk, groups) = chunks(count);
    let partials = Tensor::empty(device, [groups as usize, 5], DType::F32)?;
    let params = OverlapParams { count: count as u32, chunk, groups };
    launch_sharing(device, &OVERLAP, &params)
        .bind("g", gradient)
        .bind("w", value)
        .bind("partials", &partials)
        .workgroups(groups as usize)
        .record()?;
    let params = ProjectParams { count: count as u32, groups };
    let launch = device.launch(&PROJECT).params(&params);
    let launch =
        launch.bind("g", gradient).bind("w", value).bind("partials", &partials).bind("y", &y);
    launch.items(count.div_ceil(64)).record()?;
    Ok(y)
}

fn overlap_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: OverlapParams = args.params();
    let (g, w, partials) = (args.reals("g"), args.reals("w"), args.reals_mut("partials"));
    let chunk = p.chunk as usize;
    let chunks = g.par_chunks(chunk).zip(w.par_chunks(chunk));
    partials.par_chunks_mut(5).zip(chunks).for_each(|(place, (g, w))| {
        let largest = |x: &[R]| x.iter().fold(R::zero(), |most, v| most.max(v.abs()));
        let (top_g, top_w) = (largest(g), largest(w));
        let (sg, sw) = (to_one(top_g), to_one(top_w));
        place[0] = blocked(g.len(), |i| (g[i] * sg) * (w[i] * sw));
        place[1] = blocked(g.len(), |i| (w[i] * sw) * (w[i] * sw));
        place[2] = blocked(g.len(), |i| (g[i] * sg) * (g[i] * sg));
        (place[3], place[4]) = (top_g, top_w);
    });
}

/// The sum of a long list, in blocks, so that it keeps its small terms.
fn blocked<R: Real>(count: usize, term: impl Fn(usize) -> R) -> R {
    let block = |start: usize| (start..count.min(start + 64)).map(&term).sum::<R>();
    (0..count).step_by(64).map(block).sum()
}

fn project_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ProjectParams = args.params();
    let (g, w, partials) = (args.reals("g"), args.reals("w"), args.reals("partials"));
    let y = args.reals_mut("y");
    let partials = || partials.chunks_exact(5).take(p.groups as usize);
    let largest = |k: usize| partials().fold(R::zero(), |most, part| most.max(part[k]));
    let (sg, sw) = (to_one(largest(3)), to_one(largest(4)));
    let (mut gw, mut ww, mut gg) = (R::zero(), R::zero(), R::zero());
    for part in partials() {
        let (rg, rw) = (sg / to_one(part[3]), sw / to_one(part[4]));
        gw += part[0] * rg * rw;
        ww += part[1] * rw * rw;
        gg += part[2] * rg * rg;
    }
    let (a, b) = if ww == R::zero() {
        (R::one(), R::zero())
    } else {
        let along = gw / ww;
        let rest = gg - along * gw;
        if rest <= R::lit(1e-6) * gg {
            (R::zero(), R::zero())
        } else {
            let scale = (gg / rest).sqrt();
            (scale, -scale * along)
        }
    };
    let y = &mut y[..p.count as usize];
    let all = y.par_iter_mut().zip(g).zip(w).at_least(1024);
    all.for_each(|((y, g), w)| *y = (a * (*g * sg) + b * (*w * sw)) / sg);
}
