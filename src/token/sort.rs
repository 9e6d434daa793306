//! The positions of a sequence in the order of their tokens.

use crate::host::{HostArgs, Real};
use crate::kernel::few_iterations;
use crate::{DType, Device, Result, Tensor};

crate::kernel! {
    /// How often each digit occurs in each block of the order so far.
    pub(super) static DIGIT_COUNTS = "token/digit_counts";
    params = SortParams;
    oracle = digit_counts_oracle;
    iterations = few_iterations;
}

crate::kernel! {
    /// Counts become places.
    pub(super) static DIGIT_SCAN = "token/digit_scan";
    params = struct DigitScanParams {
        blocks: u32,
    };
    oracle = digit_scan_oracle;
    iterations = |args| 2 * u64::from(args.params::<DigitScanParams>().blocks) + 300;
}

crate::kernel! {
    /// Positions move to their places.
    pub(super) static DIGIT_SCATTER = "token/digit_scatter";
    params = SortParams;
    oracle = digit_scatter_oracle;
    iterations = few_iterations;
}

crate::kernel! {
    /// Where each token begins in the order.
    pub(super) static TOKEN_STARTS = "token/token_starts";
    params = struct TokenStartsParams {
        count: u32,
        vocabulary: u32,
    };
    oracle = token_starts_oracle;
    iterations = few_iterations;
}

crate::params! {
    pub(super) struct SortParams {
        count: u32,
        vocabulary: u32,
        shift: u32,
    }
}

/// Values of a digit, as in `token/digits.wgsl`.
const RADIX: usize = 256;
/// Tokens of a block, likewise.
const BLOCK: usize = 256;

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
        let params = SortParams {
            count: tokens.count() as u32,
            vocabulary: vocabulary as u32,
            shift: 8 * pass,
        };
        order = Some(sort_pass(device, tokens, order.as_ref(), params)?);
    }
    let order = order.unwrap_or_else(|| tokens.clone());
    let starts = Tensor::empty(device, [vocabulary + 1], DType::U32)?;
    let params = TokenStartsParams { count: tokens.count() as u32, vocabulary: vocabulary as u32 };
    let launch = device.launch(&TOKEN_STARTS).params(&params);
    launch
        .bind("tokens", tokens)
        .bind("order", &order)
        .bind("starts", &starts)
        .items(vocabulary + 1)
        .record()?;
    Ok(Sorted { order, starts })
}

/// Sorts by one digit, starting from the order so far or from that of the positions.
fn sort_pass(
    device: &Device,
    tokens: &Tensor,
    order: Option<&Tensor>,
    params: SortParams,
) -> Result<Tensor> {
    let blocks = tokens.count().div_ceil(BLOCK);
    let first = order.is_none();
    let counts = Tensor::empty(device, [blocks, RADIX], DType::U32)?;
    let launch = device.launch(&DIGIT_COUNTS).constant("FIRST", first).params(&params);
    launch
        .bind("tokens", tokens)
        .bind_if("order", order)
        .bind("counts", &counts)
        .items(counts.count())
        .record()?;
    let scan = device.launch(&DIGIT_SCAN).params(&DigitScanParams { blocks: blocks as u32 });
    scan.bind("counts", &counts).workgroups(1).record()?;
    let sorted = Tensor::empty(device, [tokens.count()], DType::U32)?;
    let launch = device.launch(&DIGIT_SCATTER).constant("FIRST", first).params(&params);
    let launch = launch
        .bind("tokens", tokens)
        .bind_if("order", order)
        .bind("places", &counts)
        .bind("sorted", &sorted);
    launch.items(tokens.count()).record()?;
    Ok(sorted)
}

/// The digits of a pass, and the positions in the order so far.
struct Digits<'a> {
    tokens: &'a [u32],
    order: Option<&'a [u32]>,
    p: SortParams,
}

impl<'a> Digits<'a> {
    fn of<R: Real>(args: &HostArgs<'a, R>) -> Self {
        let order = (!args.flag("FIRST")).then(|| args.words("order"));
        Self { tokens: args.words("tokens"), order, p: args.params() }
    }

    fn position(&self, place: usize) -> usize {
        self.order.map_or(place, |order| order[place] as usize)
    }

    fn at(&self, place: usize) -> usize {
        let key = self.tokens[self.position(place)].min(self.p.vocabulary);
        (key >> self.p.shift) as usize % RADIX
    }
}

fn digit_counts_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let digits = Digits::of(args);
    let counts = args.words_mut("counts");
    counts.fill(0);
    for place in 0..digits.tokens.len() {
        counts[place / BLOCK * RADIX + digits.at(place)] += 1;
    }
}

fn digit_scan_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: DigitScanParams = args.params();
    let counts = args.words_mut("counts");
    let mut place = 0;
    for digit in 0..RADIX {
        for block in 0..p.blocks as usize {
            let count = std::mem::replace(&mut counts[block * RADIX + digit], place);
            place += count;
        }
    }
}

fn digit_scatter_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let digits = Digits::of(args);
    let mut places = args.words("places").to_vec();
    let sorted = args.words_mut("sorted");
    for place in 0..digits.tokens.len() {
        let next = &mut places[place / BLOCK * RADIX + digits.at(place)];
        sorted[*next as usize] = digits.position(place) as u32;
        *next += 1;
    }
}

fn token_starts_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: TokenStartsParams = args.params();
    let (tokens, order, starts) =
        (args.words("tokens"), args.words("order"), args.words_mut("starts"));
    let mut next = 0;
    for (place, position) in order.iter().enumerate() {
        let token = tokens[*position as usize].min(p.vocabulary) as usize;
        while next <= token {
            starts[next] = place as u32;
            next += 1;
        }
    }
    starts[next..].fill(order.len() as u32);
}
