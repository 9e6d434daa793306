//! The positions of a sequence in the order of their tokens.

use super::twin;
use crate::kernel::{Kernel, few_turns, shader};
use crate::{DType, Device, Result, Tensor};

/// How often each digit occurs in each block of the order so far.
pub(super) static DIGIT_COUNTS: Kernel = Kernel::new(
    "token",
    "digit_counts",
    shader!("token/digit_counts"),
    crate::twin!(twin::digit_counts),
)
.params::<Params>()
.turns(few_turns);

/// Counts become places.
pub(super) static DIGIT_SCAN: Kernel =
    Kernel::new("token", "digit_scan", shader!("token/digit_scan"), crate::twin!(twin::digit_scan))
        .params::<ScanParams>()
        .turns(|args| 2 * u64::from(args.params::<ScanParams>().blocks) + 300);

/// Positions move to their places.
pub(super) static DIGIT_SCATTER: Kernel = Kernel::new(
    "token",
    "digit_scatter",
    shader!("token/digit_scatter"),
    crate::twin!(twin::digit_scatter),
)
.params::<Params>()
.turns(few_turns);

/// Where each token begins in the order.
pub(super) static TOKEN_STARTS: Kernel = Kernel::new(
    "token",
    "token_starts",
    shader!("token/token_starts"),
    crate::twin!(twin::token_starts),
)
.params::<StartParams>()
.turns(few_turns);

crate::params! {
    pub(super) struct Params {
        count: u32,
        vocabulary: u32,
        shift: u32,
    }
}

crate::params! {
    pub(super) struct ScanParams {
        blocks: u32,
    }
}

crate::params! {
    pub(super) struct StartParams {
        count: u32,
        vocabulary: u32,
    }
}

/// Values of a digit, as in `shared/digits.wgsl`.
pub(super) const RADIX: usize = 256;
/// Tokens of a block, likewise.
pub(super) const BLOCK: usize = 256;

/// Positions sorted by token.
pub(super) struct Sorted {
    /// `[N]`: positions in ascending order of their tokens, equal ones in their own order; those of
    /// tokens outside the vocabulary last.
    pub(super) order: Tensor,
    /// `[V + 1]`: token v stands at places `starts[v] .. starts[v + 1]`.
    pub(super) starts: Tensor,
}

/// Sorts the positions of `tokens` (at least one): one pass of three launches for each eight bits of
/// the largest token.
pub(super) fn sorted(tokens: &Tensor, vocabulary: usize) -> Result<Sorted> {
    let device = tokens.device();
    let bits = (vocabulary as u32).checked_ilog2().unwrap_or(0) + 1;
    let mut order: Option<Tensor> = None;
    for pass in 0..bits.div_ceil(8) {
        let params =
            Params { count: tokens.count() as u32, vocabulary: vocabulary as u32, shift: 8 * pass };
        order = Some(sort_pass(device, tokens, order.as_ref(), params)?);
    }
    let order = order.unwrap_or_else(|| tokens.clone());
    let starts = Tensor::empty(device, [vocabulary + 1], DType::U32)?;
    let params = StartParams { count: tokens.count() as u32, vocabulary: vocabulary as u32 };
    let launch = device.launch(&TOKEN_STARTS).params(&params);
    launch
        .bind_next(tokens)
        .bind_next(&order)
        .bind_next(&starts)
        .items_of(vocabulary + 1, 64)
        .record()?;
    Ok(Sorted { order, starts })
}

/// Sorts by one digit, starting from the order so far or from that of the positions.
fn sort_pass(
    device: &Device,
    tokens: &Tensor,
    order: Option<&Tensor>,
    params: Params,
) -> Result<Tensor> {
    let blocks = tokens.count().div_ceil(BLOCK);
    let first = u32::from(order.is_none());
    let order = order.unwrap_or(tokens);
    let counts = Tensor::empty(device, [blocks, RADIX], DType::U32)?;
    let launch = device.launch(&DIGIT_COUNTS).constant("FIRST", first).params(&params);
    launch
        .bind_next(tokens)
        .bind_next(order)
        .bind_next(&counts)
        .items_of(counts.count(), 64)
        .record()?;
    let scan = device.launch(&DIGIT_SCAN).params(&ScanParams { blocks: blocks as u32 });
    scan.bind_next(&counts).groups([1, 1, 1]).record()?;
    let sorted = Tensor::empty(device, [tokens.count()], DType::U32)?;
    let launch = device.launch(&DIGIT_SCATTER).constant("FIRST", first).params(&params);
    let launch = launch.bind_next(tokens).bind_next(order).bind_next(&counts).bind_next(&sorted);
    launch.items_of(tokens.count(), 64).record()?;
    Ok(sorted)
}
