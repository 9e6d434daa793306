//! Directions normalised neuron by neuron, as NorMuon does it.

use super::sharing::launch_sharing;
use crate::elementwise::{Binary, binary};
use crate::error::Result;
use crate::host::{HostArgs, Real};
use crate::reduce::{Fold, Op, Pass, Term, fold};
use crate::{DType, Tensor};

crate::kernel! {
    /// From mean squares of neurons to their moments and to factors.
    pub(super) static NEURON_FACTORS = "optim/neuron_factors";
    params = struct NeuronFactorsParams {
        count: u32,
        beta: f32,
        rest: f32,
    };
    oracle = neuron_factors_oracle;
    iterations = |args| {
        let share =
            u64::from(args.params::<NeuronFactorsParams>().count).div_ceil(args.constant("WG"));
        2 * share + 12
    };
}

/// The second moments of a matrix' neurons.
#[derive(Debug)]
pub(super) struct Neurons {
    beta: f64,
    /// A neuron is a column.
    columns: bool,
    pub(super) moments: Tensor,
}

impl Neurons {
    pub(super) fn new(beta: f64, matrix: &Tensor, columns: bool) -> Result<Self> {
        let count = matrix.shape().dims()[usize::from(columns)];
        Ok(Self { beta, columns, moments: Tensor::zeros(matrix.device(), [count], DType::F32)? })
    }

    /// `u_i / (sqrt(v_i) + 1e-8)` for each neuron i, with `v_i = beta v_i + (1 - beta) mean(u_i^2)`,
    /// scaled to the Frobenius norm that u had. Nothing changes in a step that `clip` skips.
    pub(super) fn normalise(&self, u: &Tensor, clip: &Tensor) -> Result<Tensor> {
        if u.count() == 0 {
            return Ok(u.clone());
        }
        let [rows, columns] = [u.shape().dims()[0], u.shape().dims()[1]];
        let pass = if self.columns {
            Pass { outer: 1, length: rows, inner: columns }
        } else {
            Pass { outer: rows, length: columns, inner: 1 }
        };
        let mean = Fold { term: Term::Square, divisor: pass.length as f32, ..Fold::of(Op::Sum) };
        let squares = fold(u, pass, mean)?;
        let count = self.moments.count();
        let factors = Tensor::empty(u.device(), [count], DType::F32)?;
        let (beta, rest) = (self.beta as f32, (1.0 - self.beta) as f32);
        let params = NeuronFactorsParams { count: count as u32, beta, rest };
        let launch = launch_sharing(u.device(), &NEURON_FACTORS, &params)
            .bind("q", &squares)
            .bind("clip", clip);
        launch.bind("v", &self.moments).bind("factors", &factors).record()?;
        let factors = if self.columns { factors } else { factors.reshape([rows, 1])? };
        binary(Binary::Mul, u, &factors)
    }
}

fn neuron_factors_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: NeuronFactorsParams = args.params();
    let (q, clip) = (args.reals("q"), args.reals("clip"));
    let (v, factors) = (args.reals_mut("v"), args.reals_mut("factors"));
    if clip[2] != R::zero() {
        factors.fill(R::zero());
        return;
    }
    let (beta, rest) = (R::lit(p.beta.into()), R::lit(p.rest.into()));
    let (mut before, mut after) = (R::zero(), R::zero());
    for ((q, v), factor) in q.iter().zip(v).zip(&mut *factors) {
        *v = beta * *v + rest * *q;
        *factor = (v.sqrt() + R::lit(1e-8)).recip();
        before += *q;
        after += *factor * *factor * *q;
    }
    let ratio = if after == R::zero() { R::zero() } else { (before / after).sqrt() };
    factors.iter_mut().for_each(|factor| *factor *= ratio);
}
