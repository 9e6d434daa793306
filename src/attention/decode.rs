//! One token at a time.

use super::cache::AttentionCache;
use super::cache_oracle;
use super::cache_params::{CacheParams, VARIANTS};
use super::gated::SpikeAttention;
use crate::host::attention as fast;
use crate::kernel::{Cost, CostArgs};
use crate::{DType, Error, Result, Tensor, kernel};

const OP: &str = "decode";

kernel! {
    /// `o = sum_j exp(s_j) v_j / sum_j exp(s_j)` over the cache
    pub(super) static DECODE_ATTEND = "attention/decode_attend";
    params = CacheParams;
    oracle = cache_oracle::decode;
    host = fast::decode_attend;
    variants = VARIANTS;
    cost = cost;
    iterations = |args| args.params::<CacheParams>().decode_iterations(args.constant("WG"));
}

/// All that the cache can hold, read once: how much of it is open is known on the device alone.
fn cost(args: &CostArgs<'_>) -> Cost {
    let p: CacheParams = args.params();
    let seen = f64::from(p.position + 1).min(f64::from(p.window) + 1.0 + f64::from(p.anchors));
    let rows = args.words_of("k") as f64 * seen;
    Cost { bytes: 4.0 * 2.0 * rows, flops: 4.0 * rows }
}

impl SpikeAttention {
    /// Attention of one token: `q`, `k`, `v` are `[1, B, D]` with spikes `[1, B, C]`, or `[B, D]` with
    /// f32 spikes `[B, C]` (packed ones need the axis of tokens). The token joins the cache, then its
    /// query sees what [`attend`](Self::attend) over all tokens would show it. Returns the shape of
    /// `q`.
    ///
    /// One launch, whose work depends on the open positions in the window, not on how many tokens
    /// came before.
    ///
    /// A decoded token is not a step for [`Device::capture`](crate::Device::capture): its position is a
    /// parameter of the launch, and every 64 tokens new rotary angles are uploaded. A replay would
    /// decode the same position again.
    ///
    /// # Errors
    /// Those of [`extend`](Self::extend); [`Error::Limit`] for heads whose query does not fit workgroup
    /// memory.
    pub fn decode(
        &self,
        cache: &mut AttentionCache,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        spikes: &Tensor,
    ) -> Result<Tensor> {
        let flat = q.shape().rank() == 2;
        let shaped = |t: &Tensor| if flat { with_token_axis(t) } else { Ok(t.clone()) };
        let [row, k, v, spikes] = [shaped(q)?, shaped(k)?, shaped(v)?, shaped(spikes)?];
        cache.check(OP, self, &[&row, &k, &v], &spikes)?;
        if row.shape().first() != Some(&1) {
            return Err(Error::shape(OP, format!("{} is more than one token", q.shape())));
        }
        let o = Tensor::empty(q.device(), *q.shape(), DType::F32)?;
        if o.count() > 0 {
            self.attend_one(cache, [&row, &k, &v, &spikes], &o)?;
        }
        cache.advance(1);
        Ok(o)
    }

    fn attend_one(
        &self,
        cache: &mut AttentionCache,
        [q, k, v, spikes]: [&Tensor; 4],
        o: &Tensor,
    ) -> Result<()> {
        let (turns, turn) = cache.angles_of_next()?;
        let channels = spikes.shape().last().copied().unwrap_or(0);
        let params = CacheParams { turn, ..cache.params(self, 1, channels) };
        let device = q.device();
        let launch = cache.prepare(&DECODE_ATTEND, [k, v, spikes], turns.as_ref());
        let launch = launch.params(&params).first_that_ends("WG", device.tuning().decode_groups);
        let head = cache.width() / self.heads;
        // The query; counts, scores, weights and places; what is seen of the ring.
        let asked = 4 * (head as u64 + 4 * launch.value("WG") as u64 + 4);
        let allowed = u64::from(device.capabilities().max_workgroup_memory);
        if asked > allowed {
            let what = format!("{OP}: bytes of workgroup memory for {head} channels a head");
            return Err(Error::Limit { what, asked, allowed });
        }
        let launch = launch.constant("UNITS", params.units);
        let launch = launch.constant("QUERY_GATE", self.query_gate).bind("q", q).bind("o", o);
        launch.workgroups(cache.batch() * self.heads).record()
    }
}

/// `[B, D]` as `[1, B, D]`.
fn with_token_axis(t: &Tensor) -> Result<Tensor> {
    match t.shape().dims() {
        &[batch, width] if t.dtype() != DType::Bits => t.reshape([1, batch, width]),
        _ => {
            let detail = format!("{} {} beside queries [B, D]", t.dtype(), t.shape());
            Err(Error::shape(OP, detail))
        }
    }
}
