//! `sparse_tcam`: the mixing block of SymbolicLight, out of public operators.

use super::case::{Case, Failure, Values, failed, read};
use spikegrad::attention::SpikeAttention;
use spikegrad::{Device, Tape, Tensor, Var};

/// How far the output may be off, relative to its largest value.
const OUTPUT: f64 = 5e-6;

pub(super) fn check(case: &Case, device: &Device) -> Result<(), Failure> {
    case.close("y", &read(mix(case, device)?.value())?, OUTPUT)
}

fn mix(case: &Case, device: &Device) -> Result<Var, Failure> {
    let tape = Tape::off();
    let leaf = |values: Values| Ok::<_, Failure>(tape.constant(&values.tensor(device)?));
    let time_major = |path: &str| leaf(case.values(path)?)?.permute(&[1, 0, 2]).map_err(failed);
    let (c, spikes) = (time_major("con")?, time_major("spk")?);
    let map = |x: &Var, name: &str| {
        x.matmul_nt(&leaf(case.values(&format!("params.{name}"))?)?).map_err(failed)
    };
    let (q, k, v) = (map(&c, "Wq")?, map(&c, "Wk")?, map(&c, "Wv")?);
    let size = |key: &str| Ok::<_, Failure>(case.number(key)? as usize);
    let attention = SpikeAttention::new(size("H")?)
        .window(case.number_or("W", f64::from(u32::MAX))? as usize)
        .anchors(case.number_or("A", 0.0)? as usize);
    let attended = attention.attend(&q, &k, &v, spikes.value()).map_err(failed)?;
    let decay = leaf(case.values("params.raw")?)?;
    let memory = map(&spikes, "Wt")?.decay_scan(&decay, None).map_err(failed)?;
    let share =
        Tensor::from_slice(device, &[case.number_or("params.a", 0.0)?], [1]).map_err(failed)?;
    let mixed = attended.mix(&memory.h, &tape.constant(&share)).map_err(failed)?;
    map(&mixed, "Wo")?.permute(&[1, 0, 2]).map_err(failed)
}
