//! The cache of one-token decode: keys and values of open positions.

use super::cache_oracle;
use super::cache_params::{CacheParams, RING_HEADER, VARIANTS};
use super::gated::{Gate, SpikeAttention};
use super::rotary::angles;
use crate::dispatch::Launch;
use crate::host::attention as fast;
use crate::kernel::Kernel;
use crate::{DType, Device, Error, Result, Tensor, kernel};

const OP: &str = "attention_cache";

kernel! {
    /// Appends open tokens.
    pub(super) static CACHE_EXTEND = "attention/cache_extend";
    params = CacheParams;
    oracle = cache_oracle::extend;
    host = fast::cache_extend;
    variants = VARIANTS;
    iterations = |args| args.params::<CacheParams>().extend_iterations(args.constant("WG"));
}

/// Positions of one table of angles.
const TABLE: usize = 64;

/// What one-token decode remembers of the tokens before: for each head of each sample the keys
/// (after rotation) and values of its open positions in the last `W + 1`, and of the first A.
///
/// Made by [`SpikeAttention::cache`]. It takes `2 (W + 1 + A) D` floats a sample, however many tokens
/// were seen. Which positions are open is only known on the device: nothing is read back.
#[derive(Debug)]
#[must_use]
pub struct AttentionCache {
    /// `[lanes, 2, A + W + 1, d]`.
    pub(super) rows: Tensor,
    /// `[lanes, RING_HEADER + W + 1]`.
    pub(super) ring: Tensor,
    batch: usize,
    width: usize,
    position: usize,
    /// Heads, window, anchors and base of the attention that it belongs to.
    layout: (usize, usize, usize, Option<f64>),
    /// Angles of the positions from a multiple of [`TABLE`] on.
    table: Option<(usize, Tensor)>,
}

impl AttentionCache {
    /// Tokens seen so far: the position of the next one.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Forgets all tokens: the next one has position 0.
    ///
    /// # Errors
    /// Device loss.
    pub fn reset(&mut self) -> Result<()> {
        self.ring.clear()?;
        self.position = 0;
        Ok(())
    }

    /// A cache with memory of its own and the same tokens, to go on from here more than once.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], device loss.
    pub fn duplicate(&self) -> Result<Self> {
        Ok(Self {
            rows: self.rows.duplicate()?,
            ring: self.ring.duplicate()?,
            table: self.table.clone(),
            ..*self
        })
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn batch(&self) -> usize {
        self.batch
    }

    /// Counts tokens that were appended.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.position += tokens;
    }

    /// The table with the angles of the next token, and its row there.
    pub(super) fn angles_of_next(&mut self) -> Result<(Option<Tensor>, u32)> {
        let (row, first) = (self.position % TABLE, self.position / TABLE * TABLE);
        let Some(base) = self.layout.3 else { return Ok((None, 0)) };
        match &self.table {
            Some((at, table)) if *at == first => Ok((Some(table.clone()), row as u32)),
            _ => {
                let positions = first..first + TABLE;
                let table = angles(self.rows.device(), base, self.head() / 2, positions)?;
                self.table = Some((first, table.clone()));
                Ok((Some(table), row as u32))
            }
        }
    }

    /// Channels of a head.
    fn head(&self) -> usize {
        self.width / self.layout.0
    }

    /// What both kernels share: conditions and the first six bindings.
    pub(super) fn prepare(
        &self,
        kernel: &'static Kernel,
        [k, v, spikes]: [&Tensor; 3],
        turns: Option<&Tensor>,
    ) -> Launch {
        let launch = self.rows.device().launch(kernel);
        let launch = launch.when("BITS", spikes.dtype() == DType::Bits).when("VEC", self.by_four());
        let launch = launch.bind("k", k).bind("v", v).bind("spikes", spikes);
        launch.bind_if("turns", turns).bind("rows", &self.rows).bind("ring", &self.ring)
    }

    /// Whether both halves of a row are read four channels at a time.
    fn by_four(&self) -> bool {
        self.head().is_multiple_of(8)
    }

    /// The parameters of `steps` tokens from the next position on, all of which are kept.
    pub(super) fn params(
        &self,
        attention: &SpikeAttention,
        steps: usize,
        channels: usize,
    ) -> CacheParams {
        let (heads, window, anchors, rotary) = self.layout;
        let units = (self.head() / if self.by_four() { 4 } else { 1 }) as u32;
        let (groups, least) = match attention.gate {
            Gate::Position => (1, 1),
            Gate::Head => (heads as u32, 1),
            Gate::AtLeast(least) => (1, least),
        };
        let scale = attention.scale.unwrap_or((1.0 / (self.head() as f64).sqrt()) as f32);
        CacheParams {
            steps: steps as u32,
            position: self.position as u32,
            lanes: (self.batch * heads) as u32,
            heads: heads as u32,
            units,
            half: if rotary.is_some() { units / 2 } else { 0 },
            channels: channels as u32,
            groups,
            least,
            window: window as u32,
            anchors: anchors as u32,
            early: 0,
            late: 0,
            turn: 0,
            scale,
        }
    }

    /// Refuses tokens that do not fit: tensors `[steps, B, D]` and spikes `[steps, B, C]`.
    pub(super) fn check(
        &self,
        op: &'static str,
        attention: &SpikeAttention,
        tokens: &[&Tensor],
        spikes: &Tensor,
    ) -> Result<()> {
        if self.layout != layout(attention) {
            return Err(Error::argument(op, "a cache of an attention with other options"));
        }
        for tensor in tokens {
            self.rows.same_device(op, tensor)?;
            tensor.expect(op, DType::F32)?;
        }
        self.rows.same_device(op, spikes)?;
        if !matches!(spikes.dtype(), DType::F32 | DType::Bits) {
            let (expected, found) = ("f32 or bits".into(), spikes.dtype().to_string());
            return Err(Error::DType { op, expected, found });
        }
        let steps = tokens.first().and_then(|t| t.shape().first().copied()).unwrap_or(0);
        let (batch, width) = (self.batch, self.width);
        if let Some(wrong) = tokens.iter().find(|t| *t.shape() != [steps, batch, width]) {
            let detail = format!("{} for a cache of [S, {batch}, {width}]", wrong.shape());
            return Err(Error::shape(op, detail));
        }
        let groups = if attention.gate == Gate::Head { attention.heads } else { 1 };
        let fits = matches!(spikes.shape().dims(), [s, b, c]
            if *s == steps && *b == batch && c.is_multiple_of(groups));
        if !fits {
            let detail = format!(
                "spikes {} for tokens [{steps}, {batch}, {width}] and {groups} gates",
                spikes.shape()
            );
            return Err(Error::shape(op, detail));
        }
        let allowed = u64::from(u32::MAX);
        match self.position as u64 + steps as u64 {
            asked if asked > allowed => {
                Err(Error::Limit { what: format!("{op}: tokens of a cache"), asked, allowed })
            }
            _ => Ok(()),
        }
    }
}

fn layout(attention: &SpikeAttention) -> (usize, usize, usize, Option<f64>) {
    (attention.heads, attention.window, attention.anchors, attention.rotary)
}

impl SpikeAttention {
    /// An empty cache for `batch` samples of `width` channels D.
    ///
    /// # Errors
    /// [`Error::Argument`] for options outside their domain;
    /// [`Error::Shape`] for channels that are no multiple of the heads, or an odd number a head with
    /// rotary positions; [`Error::Limit`] for a window that is too long to be stored;
    /// [`Error::OutOfMemory`].
    pub fn cache(&self, device: &Device, batch: usize, width: usize) -> Result<AttentionCache> {
        self.check()?;
        if !width.is_multiple_of(self.heads) {
            let detail = format!("{width} channels for {} heads", self.heads);
            return Err(Error::shape(OP, detail));
        }
        let (lanes, head) = (batch.saturating_mul(self.heads), width / self.heads);
        if self.rotary.is_some() && !head.is_multiple_of(2) {
            let detail = format!("rotary positions for {head} channels a head");
            return Err(Error::shape(OP, detail));
        }
        let ring = self.window.saturating_add(1);
        let slots = ring.saturating_add(self.anchors);
        let rows = Tensor::zeros(device, [lanes, 2, slots, head], DType::F32)?;
        let ring = Tensor::zeros(device, [lanes, ring.saturating_add(RING_HEADER)], DType::U32)?;
        let layout = layout(self);
        Ok(AttentionCache { rows, ring, batch, width, position: 0, layout, table: None })
    }

    /// Appends S tokens, keys and values `[S, B, D]` with spikes `[S, B, C]`, after those of the cache:
    /// what was attended to at once is then at hand for [`decode`](Self::decode).
    ///
    /// One launch, and of it only what a later token can still see is read.
    ///
    /// # Errors
    /// [`Error::Argument`] for a cache of an attention with other heads, window, anchors or rotary
    /// base; [`Error::Shape`], [`Error::DType`], [`Error::DeviceMismatch`]; [`Error::Limit`] for more
    /// than 2^32 tokens in all, and on a software adapter for a window too long for its loops.
    pub fn extend(
        &self,
        cache: &mut AttentionCache,
        k: &Tensor,
        v: &Tensor,
        spikes: &Tensor,
    ) -> Result<()> {
        const OP: &str = "extend";
        cache.check(OP, self, &[k, v], spikes)?;
        let steps = k.shape().first().copied().unwrap_or(0);
        let early = self.anchors.saturating_sub(cache.position).min(steps);
        let late = steps.saturating_sub(self.window).max(early);
        let kept = early + steps - late;
        if kept > 0 && cache.rows.count() > 0 {
            let positions = (0..early).chain(late..steps).map(|t| cache.position + t);
            let turns = self
                .rotary
                .map(|base| angles(cache.rows.device(), base, cache.head() / 2, positions));
            let turns = turns.transpose()?;
            let channels = spikes.shape().last().copied().unwrap_or(0);
            let params = cache.params(self, steps, channels);
            let params = CacheParams { early: early as u32, late: late as u32, ..params };
            let launch = cache.prepare(&CACHE_EXTEND, [k, v, spikes], turns.as_ref());
            let launch = launch.params(&params).first_that_ends("WG", &[64, 256]);
            launch.workgroups(params.lanes as usize).record()?;
        }
        cache.advance(steps);
        Ok(())
    }
}
