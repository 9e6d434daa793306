//! `head`: logits of two linear parts, `W_o c + 0.1 W_2 gelu(W_1 c)`, as one product of concatenated
//! parts: the form in which the fused loss takes such a head.

use super::case::{Case, Failure, failed, read};
use spikegrad::layout::concat;
use spikegrad::{Device, Tape, Var};

/// How far logits and gradients may be off, relative to the largest of their tensor.
const TOLERANCE: f64 = 1e-5;

pub(super) fn check(case: &Case, device: &Device) -> Result<(), Failure> {
    let tape = Tape::new();
    let leaf = |path: &str| Ok::<_, Failure>(tape.leaf(&case.values(path)?.tensor(device)?));
    let mut leaves = vec![leaf("c")?, leaf("Wo")?];
    if case.find("W1").is_some() {
        leaves.extend([leaf("W1")?, leaf("W2")?]);
    }
    let logits = logits(&leaves).map_err(failed)?;
    case.close("logits", &read(logits.value())?, TOLERANCE)?;
    let Some(seed) = case.optional("g")? else { return Ok(()) };
    let gradients = logits.backward_from(&seed.tensor(device)?).map_err(failed)?;
    for (path, leaf) in ["gc", "gWo", "gW1", "gW2"].into_iter().zip(&leaves) {
        if case.find(path).is_some() {
            let found = gradients.get(leaf).ok_or_else(|| format!("{path}: no gradient"))?;
            case.close(path, &read(found)?, TOLERANCE)?;
        }
    }
    Ok(())
}

/// `[c, gelu(W_1 c)] [W_o, 0.1 W_2]^T`, or `c W_o^T` where there is no second part.
fn logits(leaves: &[Var]) -> spikegrad::Result<Var> {
    let [c, w_o, w_1, w_2] = leaves else { return leaves[0].matmul_nt(&leaves[1]) };
    let hidden = c.matmul_nt(w_1)?.gelu()?;
    let x = concat(&[c, &hidden], c.shape().rank() - 1)?;
    let w = concat(&[w_o, &w_2.mul_scalar(0.1)?], 1)?;
    x.matmul_nt(&w)
}
