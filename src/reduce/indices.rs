//! What every operator asks of the indices that it takes: that they are in range, or padding.

use crate::host::{HostArgs, Real};
use crate::kernel::CostArgs;
use crate::{DType, Error, Result, Tensor};

crate::kernel! {
    /// The first index out of range, and one over the number of those that count.
    pub(super) static CHECK_INDICES = "reduce/check_indices";
    params = struct CheckParams { count: u32, below: u32, padding: u32, site: u32 };
    oracle = check_indices_oracle;
    iterations = iterations;
}

crate::kernel! {
    /// Indices with one of them turned into an index of nothing.
    pub(super) static HIDE_INDEX = "reduce/hide_index";
    params = struct HideParams { count: u32, hidden: u32 };
    oracle = hide_index_oracle;
}

fn iterations(args: &CostArgs<'_>) -> u64 {
    let count = u64::from(args.params::<CheckParams>().count);
    count.div_ceil(256) + 2 * count.div_ceil(1 << 16) + 20
}

/// What an operator takes indices for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// The operator.
    pub(crate) op: &'static str,
    /// What it calls an index.
    pub(crate) what: &'static str,
    /// What indices are below.
    pub(crate) below: usize,
    /// The index that stands for nothing, in range or not.
    pub(crate) padding: Option<u32>,
}

impl Range {
    /// The indices with padding hidden: the operator's kernel takes what is out of range for nothing.
    /// Where the device checks indices, others out of range become an error, at once on the host, and
    /// on a GPU with what is read next.
    pub(crate) fn checked(&self, indices: &Tensor) -> Result<Tensor> {
        if indices.count() > 0 && indices.device().checks_indices() {
            drop(self.look(indices)?);
        }
        self.hidden(indices)
    }

    /// Likewise, with one over the number of indices that count (of all of them if none does).
    pub(crate) fn counted(&self, indices: &Tensor) -> Result<(Tensor, Tensor)> {
        let share = self.look(indices)?;
        Ok((self.hidden(indices)?, share))
    }

    fn look(&self, indices: &Tensor) -> Result<Tensor> {
        indices.expect(self.op, DType::U32)?;
        let device = indices.device();
        let share = Tensor::empty(device, [1], DType::F32)?;
        let params = CheckParams {
            count: indices.count() as u32,
            // A table of more rows than a u32 counts takes any index.
            below: u32::try_from(self.below).unwrap_or(u32::MAX),
            padding: self.padding.unwrap_or_default(),
            // On a device that does not check, whatever is found is noted as nobody's.
            site: device.index_site(self.op, self.what),
        };
        let launch = device.launch(&CHECK_INDICES).params(&params);
        let launch = launch.constant("PADDED", self.padding.is_some());
        let launch = launch.constant("FRESH", device.is_host());
        let launch = launch.bind("indices", indices).bind("share", &share);
        launch.bind_note("note", &device.index_note()?).record()?;
        Ok(share)
    }

    fn hidden(&self, indices: &Tensor) -> Result<Tensor> {
        let Some(padding) = self.padding.filter(|p| (*p as usize) < self.below) else {
            return Ok(indices.clone());
        };
        let y = Tensor::empty(indices.device(), *indices.shape(), DType::U32)?;
        let params = HideParams { count: indices.count() as u32, hidden: padding };
        let launch = indices.device().launch(&HIDE_INDEX).params(&params);
        launch.bind("x", indices).bind("y", &y).items(indices.count()).record()?;
        Ok(y)
    }

    /// Refuses indices out of range that stand on the host.
    pub(crate) fn check_slice(&self, indices: &[u32]) -> Result<()> {
        let wrong = |i: &u32| *i as usize >= self.below && Some(*i) != self.padding;
        let Some(at) = indices.iter().position(wrong) else { return Ok(()) };
        Err(Error::index((self.op, self.what), indices[at], at, self.below))
    }
}

fn check_indices_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: CheckParams = args.params();
    let padded = args.flag("PADDED");
    let (indices, note, share) =
        (args.words("indices"), args.words_mut("note"), args.reals_mut("share"));
    let counts = |t: &u32| !(padded && *t == p.padding);
    let valid = indices.iter().filter(|t| **t < p.below && counts(t)).count();
    share[0] = R::lit(valid.max(1) as f64).recip();
    let wrong = indices.iter().position(|t| *t >= p.below && counts(t));
    if args.flag("FRESH") {
        note.fill(0);
    }
    if let Some(at) = wrong.filter(|_| note[0] == 0) {
        note.copy_from_slice(&[p.site, at as u32, indices[at], p.below]);
    }
}

fn hide_index_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: HideParams = args.params();
    let (x, y) = (args.words("x"), args.words_mut("y"));
    for (y, x) in y.iter_mut().zip(x) {
        *y = if *x == p.hidden { u32::MAX } else { *x };
    }
}
