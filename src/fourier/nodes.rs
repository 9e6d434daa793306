//! Values of nodes embedded in channels, differently at every step.

use crate::host::parallel::*;
use crate::host::{HostArgs, Real};
use crate::kernel::{Cost, CostArgs};
use crate::reduce::Split;
use crate::tape::Backward;
use crate::{DType, Error, Result, Tensor, Var, elementwise, kernel, reduce};

fn node_lines_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NodeLineParams = args.params();
    let [batch, nodes, channels] = [p.batch, p.nodes, p.channels].map(|v| v as usize);
    let (x, lines) = (args.reals("x"), args.reals("lines"));
    let rows = args.reals_mut("y").par_chunks_mut(nodes * channels);
    rows.zip(lines.par_chunks(2 * channels)).enumerate().for_each(|(row, (y, line))| {
        let (slope, level) = line.split_at(channels);
        let x = &x[row % batch * nodes..][..nodes];
        for (y, x) in y.chunks_exact_mut(channels).zip(x) {
            for ((y, slope), level) in y.iter_mut().zip(slope).zip(level) {
                *y = *slope * *x + *level;
            }
        }
    });
}

fn node_lines_backward<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NodeLineBackwardParams = args.params();
    let [batch, nodes, channels] = [p.batch, p.nodes, p.channels].map(|v| v as usize);
    let (rows, chunk) = ((p.steps * p.batch) as usize, p.chunk as usize);
    let (x, g) = (args.reals("x"), args.reals("g"));
    args.reals_mut("sums").par_chunks_mut(2 * channels).enumerate().for_each(|(place, sums)| {
        let (part, row) = (place / rows, place % rows);
        sums.fill(R::zero());
        let (slope, level) = sums.split_at_mut(channels);
        for m in part * chunk..nodes.min((part + 1) * chunk) {
            let x = x[row % batch * nodes + m];
            let g = &g[(row * nodes + m) * channels..][..channels];
            for ((slope, level), g) in slope.iter_mut().zip(level.iter_mut()).zip(g) {
                *slope += *g * x;
                *level += *g;
            }
        }
    });
}

kernel! {
    /// `y = slope x + level`
    pub(super) static NODE_LINES = "fourier/node_lines";
    params = NodeLineParams;
    oracle = node_lines_oracle;
    cost = |args| cost(args, args.words_of("y"));
}

kernel! {
    /// Its gradients for the lines.
    pub(super) static NODE_LINES_BACKWARD = "fourier/node_lines_backward";
    params = NodeLineBackwardParams;
    oracle = node_lines_backward;
    cost = |args| cost(args, args.words_of("g"));
    iterations = |args| Split::iterations(args.params::<NodeLineBackwardParams>().chunk);
}

crate::params! {
    pub(super) struct NodeLineParams {
        steps: u32,
        batch: u32,
        nodes: u32,
        channels: u32,
    }
}

crate::params! {
    pub(super) struct NodeLineBackwardParams {
        steps: u32,
        batch: u32,
        nodes: u32,
        channels: u32,
        chunk: u32,
        chunks: u32,
    }
}

/// Everything moved once, two operations an element.
fn cost(args: &CostArgs<'_>, elements: u64) -> Cost {
    Cost { bytes: args.all_bytes(), flops: 2.0 * elements as f64 }
}

const OP: &str = "node_lines";

/// `y[t, b, m, e] = slope[t, b, e] x[b, m] + level[t, b, e]`: `x [B, M]`, `lines [T, B, 2, E]` with the
/// slopes before the levels, `y [T, B, M, E]`. Any embedding of scalars by a vector, affine maps and
/// normalisations over the nodes included, is such lines.
///
/// Gradients for the lines are one launch, or two; one for x, which is seldom wanted, three more.
///
/// # Errors
/// [`Error::Shape`] where these shapes are not met; [`Error::DType`] for other elements than f32;
/// [`Error::DeviceMismatch`]; [`Error::TapeMismatch`].
pub fn node_lines(x: &Var, lines: &Var) -> Result<Var> {
    let params = check(x.value(), lines.value())?;
    let NodeLineParams { steps, batch, nodes, channels } = params;
    let dims = [steps, batch, nodes, channels].map(|v| v as usize);
    let y = Tensor::empty(x.device(), dims, DType::F32)?;
    if y.count() > 0 {
        let launch = x.device().launch(&NODE_LINES).params(&params);
        let launch = launch.bind("x", x.value()).bind("lines", lines.value());
        launch.bind("y", &y).items(y.count()).record()?;
    }
    let (x_value, lines_value) = (x.value().clone(), lines.value().clone());
    x.tape().record_one(OP, &[x, lines], y, move |bw| {
        let Some(g) = bw.upstream(0).cloned() else { return Ok(()) };
        backward(bw, &params, [&x_value, &lines_value], &g)
    })
}

fn backward(
    bw: &mut Backward<'_>,
    params: &NodeLineParams,
    [x, lines]: [&Tensor; 2],
    g: &Tensor,
) -> Result<()> {
    let [steps, batch, channels] =
        [params.steps, params.batch, params.channels].map(|v| v as usize);
    if bw.needs(1) {
        let gradient = if g.count() == 0 {
            Tensor::zeros(g.device(), *lines.shape(), DType::F32)?
        } else {
            of_lines(params, x, g)?
        };
        bw.give(1, gradient);
    }
    if bw.needs(0) {
        let slopes = crate::layout::slice(lines, &[0..steps, 0..batch, 0..1, 0..channels])?;
        let products = elementwise::binary(elementwise::Binary::Mul, g, &slopes)?;
        bw.give(0, reduce::sum(&products, &[0, 3], false)?);
    }
    Ok(())
}

/// The sums over the nodes, `[T, B, 2, E]`.
fn of_lines(params: &NodeLineParams, x: &Tensor, g: &Tensor) -> Result<Tensor> {
    let device = g.device();
    let NodeLineParams { steps, batch, nodes, channels } = *params;
    let [rows, lines] = [nodes, steps * batch * channels].map(|v| v as usize);
    let split = Split::of(device, rows, lines);
    let [chunk, chunks] = [split.chunk, split.parts].map(|v| v as u32);
    let p = NodeLineBackwardParams { steps, batch, nodes, channels, chunk, chunks };
    let dims = [chunks, steps, batch, 2, channels].map(|v| v as usize);
    let sums = Tensor::empty(device, dims, DType::F32)?;
    let launch = device.launch(&NODE_LINES_BACKWARD).params(&p);
    launch.bind("x", x).bind("g", g).bind("sums", &sums).items(sums.count() / 2).record()?;
    split.total(&sums)?.reshape(&dims[1..])
}

fn check(x: &Tensor, lines: &Tensor) -> Result<NodeLineParams> {
    x.same_device(OP, lines)?;
    x.expect(OP, DType::F32)?;
    lines.expect(OP, DType::F32)?;
    match (x.shape().dims(), lines.shape().dims()) {
        (&[batch, nodes], &[steps, rows, 2, channels]) if rows == batch => Ok(NodeLineParams {
            steps: steps as u32,
            batch: batch as u32,
            nodes: nodes as u32,
            channels: channels as u32,
        }),
        _ => {
            let detail =
                format!("{} by lines of {}, not [B, M] by [T, B, 2, E]", x.shape(), lines.shape());
            Err(Error::shape(OP, detail))
        }
    }
}
