//! A launch: a kernel with all that one run of it needs. Plain data; nothing runs when it is made.

use super::{Memory, Storage, Stream};
use crate::error::{Error, Result};
use crate::gpu::{Access, Capabilities, MAX_BINDINGS, MAX_CONSTANTS, PipelineKey, SLOT};
use crate::kernel::{CostArgs, Kernel, Program};
use std::sync::Arc;

/// The most parameter bytes of a launch: a slot of the uniform arena.
const MAX_PARAMS: usize = SLOT as usize;

/// What a launch can be bound to: a [`Tensor`](crate::Tensor).
pub trait Bind {
    /// Its memory.
    #[doc(hidden)]
    fn bound(&self) -> Bound;
}

/// A binding of a launch.
#[derive(Debug, Clone)]
pub struct Bound {
    pub(crate) memory: Memory,
    pub(crate) real: bool,
    /// Its words are pairs of f16.
    pub(crate) halves: bool,
    pub(crate) words: usize,
    /// The bytes of its memory, at least those of the words.
    pub(crate) bytes: u64,
    /// The tensor's handle on its memory; given up in a recorded step, whose memory its capture
    /// owns.
    pub(crate) storage: Option<Arc<Storage>>,
}

impl Bound {
    pub(crate) fn new(storage: &Arc<Storage>, words: usize) -> Self {
        Self {
            memory: storage.memory.clone(),
            real: storage.real,
            halves: false,
            words,
            bytes: storage.bytes(),
            storage: Some(storage.clone()),
        }
    }

    /// What takes the place of a tensor that a launch does not use.
    pub(super) fn stand_in(memory: Memory, real: bool, bytes: u64) -> Self {
        Self { memory, real, halves: false, words: 0, bytes, storage: None }
    }

    /// Whether it stands for a tensor that the launch does not use.
    pub(super) fn is_stand_in(&self) -> bool {
        self.words == 0 && self.storage.is_none()
    }
}

/// The most conditions of a launch.
const MAX_CONDITIONS: usize = 6;

/// How many workgroups run.
#[derive(Debug, Clone, Copy)]
enum Grid {
    /// These, along x, y and z.
    Groups([u32; 3]),
    /// So many, folded over x and y.
    Count(u64),
    /// Enough for so many invocations, folded over x and y.
    Items(u64),
}

/// Work that may be taken in several launches: the members of the parameters that say where the part of
/// a launch begins and how much it is, in multiples of `unit`.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: &'static str,
    count: &'static str,
    unit: u32,
}

/// The most ranges of a launch.
const MAX_RANGES: usize = 2;

/// A kernel with conditions, constants, parameters, tensors and grid. Made by
/// [`Device::launch`](crate::Device::launch).
#[derive(Debug, Clone)]
#[must_use = "a launch runs only when it is recorded"]
pub struct Launch {
    pub(crate) kernel: &'static Kernel,
    /// The variant, once it is settled.
    pub(crate) variant: usize,
    stream: Arc<Stream>,
    /// The most floating-point operations that the device is given at once.
    most_flops: f64,
    ranges: [Option<Range>; MAX_RANGES],
    conditions: [&'static str; MAX_CONDITIONS],
    conditions_len: usize,
    constants: [(&'static str, f64); MAX_CONSTANTS],
    constants_len: usize,
    params: [u8; MAX_PARAMS],
    /// What was bound, by name, and what the launch says it does not use; empty once it is settled.
    given: Vec<(&'static str, Option<Bound>)>,
    /// In the order of the shader, once it is settled.
    pub(crate) bindings: Vec<Bound>,
    grid: Grid,
    /// How often the grid is repeated along z.
    layers: u32,
    /// The workgroups, once it is settled.
    pub(crate) groups: [u32; 3],
    /// The binding in which the kernel notes an index out of range.
    pub(crate) note: Option<usize>,
    settled: bool,
    /// The first mistake made while building; reported when the launch is recorded.
    fault: Option<Error>,
}

impl Launch {
    /// A launch of `kernel` on `stream`; work that may be split is given to it in launches of about
    /// `most_flops` operations.
    pub(crate) fn new(kernel: &'static Kernel, stream: &Arc<Stream>, most_flops: f64) -> Self {
        Self {
            kernel,
            variant: 0,
            stream: stream.clone(),
            most_flops,
            ranges: [None; MAX_RANGES],
            conditions: [""; MAX_CONDITIONS],
            conditions_len: 0,
            constants: [("", 0.0); MAX_CONSTANTS],
            constants_len: 0,
            params: [0; MAX_PARAMS],
            given: Vec::with_capacity(MAX_BINDINGS),
            bindings: Vec::new(),
            grid: Grid::Count(1),
            layers: 1,
            groups: [1; 3],
            note: None,
            settled: false,
            fault: None,
        }
    }

    /// Compiles the kernel under an `@if` condition of its source, if `holds`. What the adapter offers
    /// is none of these: it is chosen by the kernel's [`Variant`](crate::Variant)s.
    pub fn when(mut self, condition: &'static str, holds: bool) -> Self {
        if !self.kernel.knows(condition) {
            let message = format!("no condition `{condition}`");
            self.fault.get_or_insert(Error::Shader { kernel: self.kernel.name.into(), message });
        } else if holds && !self.conditions().contains(&condition) {
            if self.conditions_len == MAX_CONDITIONS {
                let most = MAX_CONDITIONS as u64;
                self.fault("conditions of a launch", most + 1, most);
            } else {
                self.conditions[self.conditions_len] = condition;
                self.conditions_len += 1;
            }
        }
        self
    }

    /// Sets an `override` of the shader: a number, or a `bool`.
    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        if self.constants_len == MAX_CONSTANTS {
            self.fault("constants of a launch", MAX_CONSTANTS as u64 + 1, MAX_CONSTANTS as u64);
        } else {
            self.constants[self.constants_len] = (name, value.into());
            self.constants_len += 1;
        }
        self
    }

    /// Sets the parameter struct.
    pub fn params<P: bytemuck::NoUninit>(mut self, params: &P) -> Self {
        let bytes = bytemuck::bytes_of(params);
        if bytes.len() == self.kernel.params && bytes.len() <= MAX_PARAMS {
            self.params[..bytes.len()].copy_from_slice(bytes);
        } else {
            self.fault("bytes of parameters", bytes.len() as u64, self.kernel.params as u64);
        }
        self
    }

    /// Binds a tensor by the name that it has in the shader.
    pub fn bind(mut self, name: &'static str, tensor: &impl Bind) -> Self {
        self.given.push((name, Some(tensor.bound())));
        self
    }

    /// Binds a tensor, or says that the launch does not use this binding.
    pub fn bind_if(self, name: &'static str, tensor: Option<&impl Bind>) -> Self {
        match tensor {
            Some(tensor) => self.bind(name, tensor),
            None => self.unused(name),
        }
    }

    /// Says that the launch does not use this binding of the shader: it neither reads nor writes it.
    pub fn unused(mut self, name: &'static str) -> Self {
        self.given.push((name, None));
        self
    }

    /// Binds the tensor in which the kernel notes an index out of range.
    pub(crate) fn bind_note(mut self, name: &'static str, note: &super::Note) -> Self {
        self.note = Some(self.given.len());
        self.bind(name, note)
    }

    /// Sets the workgroups along x, y and z.
    pub fn groups(mut self, groups: [u32; 3]) -> Self {
        self.grid = Grid::Groups(groups);
        self
    }

    /// Sets the number of workgroups, folded over x and y where one axis does not hold them
    /// (`shared/index.wgsl` restores the index).
    pub fn workgroups(mut self, count: usize) -> Self {
        self.grid = Grid::Count(count as u64);
        self
    }

    /// Sets enough workgroups for `items` invocations, by the shader's workgroup size; folded like
    /// [`workgroups`](Self::workgroups).
    pub fn items(mut self, items: usize) -> Self {
        self.grid = Grid::Items(items as u64);
        self
    }

    /// Repeats a folded grid along z.
    pub(crate) fn layers(mut self, layers: u32) -> Self {
        self.layers = layers;
        self
    }

    /// Sets an `override` to the first of `values` with which the device runs the loops of the launch to
    /// their end, by its parameters and conditions; to the last where there is none.
    pub(crate) fn first_that_ends(self, name: &'static str, values: &[u32]) -> Self {
        let mut launch = self;
        for (i, value) in values.iter().enumerate() {
            launch = launch.constant(name, *value);
            if i + 1 == values.len() || launch.ends() {
                break;
            }
            launch.constants_len -= 1;
        }
        launch
    }

    /// Says that the work may be taken in several launches: `first` and `count`, members of the
    /// parameters, are where a part of it begins and how much it is, in units of so many, but for the last.
    /// The grid has as much for each unit. Of two such ranges the outer comes first.
    pub(crate) fn in_parts(
        mut self,
        first: &'static str,
        count: &'static str,
        unit: usize,
    ) -> Self {
        let range = Range { first, count, unit: unit.max(1) as u32 };
        match self.ranges.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(range),
            None => self.fault("ranges of a launch", MAX_RANGES as u64 + 1, MAX_RANGES as u64),
        }
        self
    }

    /// Sets the most operations of a part.
    #[cfg(test)]
    pub(crate) fn within(mut self, most_flops: f64) -> Self {
        self.most_flops = most_flops;
        self
    }

    /// Records the launch.
    ///
    /// # Errors
    /// What the builder was given wrongly; a tensor of another device or of the wrong element type;
    /// a tensor bound both for reading and for writing; limits of the device; a kernel that does not
    /// compile; device loss.
    pub fn record(mut self) -> Result<()> {
        self.fault.take().map_or(Ok(()), Err)?;
        let stream = self.stream.clone();
        if self.ranges[0].is_none() || self.most_flops.is_infinite() {
            return stream.record(self);
        }
        let program = self.settle()?;
        self.record_parts(program, 0)
    }

    /// Records the settled launch, in parts along its ranges from this one on where it is more work than
    /// the device is given at once.
    fn record_parts(self, program: &Program, level: usize) -> Result<()> {
        let flops = self.cost().flops;
        let range = self.ranges.get(level).copied().flatten();
        let Some(range) = range.filter(|_| flops > self.most_flops) else {
            let stream = self.stream.clone();
            return stream.record(self);
        };
        let first = self.read(self.member(program, range.first)?);
        let count = self.read(self.member(program, range.count)?);
        let units = count.div_ceil(range.unit).max(1);
        let most = ((self.most_flops / flops * f64::from(units)) as u32).clamp(1, units);
        // Parts of about one size.
        let step = units.div_ceil(units.div_ceil(most)).saturating_mul(range.unit);
        for start in (0..count).step_by(step as usize) {
            let place = (first + start, step.min(count - start), count);
            self.part(program, range, place)?.record_parts(program, level + 1)?;
        }
        Ok(())
    }

    /// The part of the launch from `first` on, `count` of `all`.
    fn part(
        &self,
        program: &Program,
        range: Range,
        (first, count, all): (u32, u32, u32),
    ) -> Result<Self> {
        let mut part = self.clone();
        part.write(self.member(program, range.first)?, first);
        part.write(self.member(program, range.count)?, count);
        let [count, all] = [count, all].map(|n| u64::from(n.div_ceil(range.unit)));
        part.grid = match part.grid {
            Grid::Count(groups) => Grid::Count((groups * count).div_ceil(all)),
            Grid::Items(items) => Grid::Items((items * count).div_ceil(all)),
            groups @ Grid::Groups(_) => groups,
        };
        part.groups = part.grid(program)?;
        Ok(part)
    }

    /// Where a member of the parameters stands.
    fn member(&self, program: &Program, name: &str) -> Result<usize> {
        let found = program.reflection.members.iter().find(|member| member.name == name);
        let found = found.ok_or_else(|| self.broken(format!("no parameter `{name}`")))?;
        Ok(found.offset as usize)
    }

    fn read(&self, at: usize) -> u32 {
        bytemuck::pod_read_unaligned(&self.params[at..at + 4])
    }

    fn write(&mut self, at: usize, value: u32) {
        self.params[at..at + 4].copy_from_slice(bytemuck::bytes_of(&value));
    }

    /// Puts everything in the order of the shader: variant, tensors, grid; checks what the launch names
    /// against what the shader declares.
    pub(super) fn settle(&mut self) -> Result<&'static Program> {
        if self.settled {
            return Ok(self.kernel.program(self.variant)?);
        }
        self.variant = self.chosen()?;
        let program = self.kernel.program(self.variant)?;
        self.check_constants(program)?;
        self.order_bindings(program)?;
        self.groups = self.grid(program)?;
        self.settled = true;
        Ok(program)
    }

    /// The variant that the conditions and the device choose.
    fn chosen(&self) -> Result<usize> {
        self.kernel.choose(self.conditions(), self.capabilities())
    }

    fn check_constants(&self, program: &Program) -> Result<()> {
        let known = |name: &str| program.reflection.overrides.iter().any(|o| o.name == name);
        match self.constants().iter().find(|(name, _)| !known(name)) {
            None => Ok(()),
            Some((name, _)) => Err(self.broken(format!("the shader has no constant `{name}`"))),
        }
    }

    fn order_bindings(&mut self, program: &Program) -> Result<()> {
        let declared = &program.reflection.bindings;
        let mut given = std::mem::take(&mut self.given);
        if declared.len() != given.len() {
            let (found, wanted) = (given.len(), declared.len());
            let detail = format!("{found} tensors bound, not {wanted}");
            return Err(Error::argument(self.kernel.name, detail));
        }
        let noted = self.note.map(|at| given[at].0);
        self.bindings.reserve_exact(declared.len());
        for (place, binding) in declared.iter().enumerate() {
            let at = given.iter().position(|(name, _)| *name == binding.name);
            let at = at.ok_or_else(|| self.broken(format!("`{}` is not bound", binding.name)))?;
            // Most come in the order of the shader.
            let (name, bound) = given.remove(at);
            if noted == Some(name) {
                self.note = Some(place);
            }
            self.bindings.push(match bound {
                Some(bound) => bound,
                None => self.stream.stand_in(place, binding)?,
            });
        }
        Ok(())
    }

    /// The workgroups along x, y and z.
    fn grid(&self, program: &Program) -> Result<[u32; 3]> {
        let groups = match self.grid {
            Grid::Groups(groups) => return Ok(groups),
            Grid::Count(groups) => groups,
            Grid::Items(items) => {
                let [x, y, z] = program.workgroup_size(self.constants()).ok_or_else(|| {
                    self.broken("the workgroup size is no arithmetic of constants".into())
                })?;
                items.div_ceil((u64::from(x) * u64::from(y) * u64::from(z)).max(1))
            }
        };
        let [x, y] = fold(groups.max(1)).ok_or_else(|| Error::Limit {
            what: format!("{}: workgroups of a launch", self.kernel.name),
            asked: groups,
            allowed: MAX_GROUPS * MAX_GROUPS,
        })?;
        Ok([x, y, self.layers])
    }

    fn broken(&self, message: String) -> Error {
        Error::Shader { kernel: self.kernel.name.into(), message }
    }

    pub(crate) fn capabilities(&self) -> &Capabilities {
        self.stream.capabilities()
    }

    pub(crate) fn conditions(&self) -> &[&'static str] {
        &self.conditions[..self.conditions_len]
    }

    pub(crate) fn constants(&self) -> &[(&'static str, f64)] {
        &self.constants[..self.constants_len]
    }

    /// The value of an `override` that was set; 0 of another.
    pub(crate) fn value(&self, name: &str) -> f64 {
        self.constants().iter().find(|(set, _)| *set == name).map_or(0.0, |(_, value)| *value)
    }

    pub(crate) fn param_bytes(&self) -> &[u8] {
        &self.params[..self.kernel.params]
    }

    /// The memory that it writes.
    pub(super) fn written<'a>(&'a self, program: &'a Program) -> impl Iterator<Item = &'a Memory> {
        let bindings = self.bindings.iter().zip(&program.reflection.bindings);
        bindings.filter(|(_, b)| b.access == Access::Write).map(|(bound, _)| &bound.memory)
    }

    /// Of a settled launch.
    pub(crate) fn cost(&self) -> crate::kernel::Cost {
        match self.kernel.program(self.variant) {
            Ok(program) => (self.kernel.cost)(&self.cost_args(program, &self.words())),
            Err(_) => crate::kernel::Cost::default(),
        }
    }

    /// The words of each binding.
    fn words(&self) -> Vec<u64> {
        self.bindings.iter().map(|b| b.words as u64).collect()
    }

    fn cost_args<'a>(&'a self, program: &'a Program, words: &'a [u64]) -> CostArgs<'a> {
        let (params, constants) = (self.param_bytes(), self.constants());
        let (kernel, variant, groups) = (self.kernel, self.variant, self.groups);
        CostArgs { kernel, program, variant, params, groups, words, constants }
    }

    /// Refuses a launch whose loops its device would end too early, and one of a kernel that does not
    /// say how long they are.
    pub(crate) fn check_iterations(&self, program: &Program) -> Result<()> {
        if self.stream.capabilities().max_iterations.is_none() {
            return Ok(());
        }
        self.refuse_endless(program, self.cost_args(program, &self.words()))
    }

    fn refuse_endless(&self, program: &Program, args: CostArgs<'_>) -> Result<()> {
        let Some(allowed) = self.stream.capabilities().max_iterations else { return Ok(()) };
        let asked = match self.kernel.iterations {
            Some(iterations) => iterations(&args),
            None if program.reflection.open_loops => {
                return Err(self.broken(
                    "this adapter ends long loops too early, and the kernel does not say how long its \
                     loops are (`Kernel::iterations`)"
                        .into(),
                ));
            }
            None => 0,
        };
        if asked <= allowed {
            return Ok(());
        }
        let what = format!("{}: iterations of loops on a software adapter", self.kernel.name);
        Err(Error::Limit { what, asked, allowed })
    }

    /// Whether the device runs the loops of this launch to their end, as far as its conditions and its
    /// parameters tell.
    pub(crate) fn ends(&self) -> bool {
        // What else is wrong with it is said when it is recorded.
        !matches!(self.check_ends(), Err(Error::Limit { .. }))
    }

    /// Refuses a launch whose loops its device would end too early, before it has its tensors.
    pub(crate) fn check_ends(&self) -> Result<()> {
        if self.stream.capabilities().max_iterations.is_none() || self.kernel.iterations.is_none() {
            return Ok(());
        }
        let variant = self.chosen()?;
        let program = self.kernel.program(variant)?;
        self.refuse_endless(program, CostArgs { variant, ..self.cost_args(program, &[]) })
    }

    /// What the pipeline of this launch is cached under.
    pub(crate) fn key(&self) -> PipelineKey {
        let mut constants = [(0, 0); MAX_CONSTANTS];
        for (slot, (name, value)) in constants.iter_mut().zip(self.constants()) {
            *slot = (name.as_ptr() as usize, value.to_bits());
        }
        PipelineKey { kernel: self.kernel.address(), variant: self.variant as u32, constants }
    }

    fn fault(&mut self, what: &str, asked: u64, allowed: u64) {
        let what = format!("{}: {what}", self.kernel.name);
        self.fault.get_or_insert(Error::Limit { what, asked, allowed });
    }
}

/// The portable limit of workgroups along one axis.
const MAX_GROUPS: u64 = 65_535;

/// Folds `needed` workgroups into rows that one axis holds.
fn fold(needed: u64) -> Option<[u32; 2]> {
    if needed <= MAX_GROUPS {
        return Some([needed as u32, 1]);
    }
    let rows = needed.div_ceil(MAX_GROUPS);
    (rows <= MAX_GROUPS).then(|| [needed.div_ceil(rows) as u32, rows as u32])
}

#[cfg(test)]
mod tests {
    use super::fold;
    use crate::host::{HostArgs, Real};
    use crate::kernel::Cost;
    use crate::{DType, Device, Tensor};

    crate::kernel! {
        /// Counts how often an element of a part is taken.
        static TAKE = "tests/take" from "
            import package::shared::index::{At, item_index};
            struct Params { first: u32, count: u32, columns: u32 }
            @group(0) @binding(0) var<storage, read_write> y: array<f32>;
            @group(1) @binding(0) var<uniform> p: Params;
            @compute @workgroup_size(64)
            fn take(at: At) {
                let i = item_index(at, 64u);
                if i < p.count * p.columns { y[p.first * p.columns + i] += 1.0; }
            }";
        params = struct TakeParams { first: u32, count: u32, columns: u32 };
        oracle = take;
        cost = |args| {
            let p: TakeParams = args.params();
            Cost { bytes: 0.0, flops: f64::from(p.count * p.columns) }
        };
    }

    fn take<R: Real>(args: &mut HostArgs<'_, R>) {
        let p: TakeParams = args.params();
        let [first, count, columns] = [p.first, p.count, p.columns].map(|v| v as usize);
        let y = &mut args.reals_mut("y")[first * columns..][..count * columns];
        y.iter_mut().for_each(|y| *y += R::one());
    }

    #[test]
    fn parts_cover_the_work_once() {
        let gpus = Device::list().into_iter().map(|a| Device::select(&a.name).unwrap());
        for device in [Device::host()].into_iter().chain(gpus) {
            // The most operations, the unit, and the launches that make 10 rows of 30.
            for (most, unit, launches) in
                [(1e9, 1, 1), (300.0, 1, 1), (299.0, 1, 2), (65.0, 1, 5), (1.0, 1, 10), (1.0, 4, 3)]
            {
                let y = Tensor::zeros(&device, [12, 30], DType::F32).unwrap();
                let params = TakeParams { first: 1, count: 10, columns: 30 };
                let launch = || {
                    let items = 30 * 10usize.next_multiple_of(unit);
                    let launch = device.launch(&TAKE).params(&params).bind("y", &y).items(items);
                    launch.in_parts("first", "count", unit).within(most).record()
                };
                let ((), capture) = device.capture(launch).unwrap();
                assert_eq!(capture.launches(), launches, "{most} in units of {unit} on {device}");
                let found = y.to_vec::<f32>().unwrap();
                let once = |i: usize| if (30..330).contains(&i) { 1.0 } else { 0.0 };
                assert!(found.iter().enumerate().all(|(i, y)| *y == once(i)), "{most} on {device}");
            }
        }
    }

    #[test]
    fn folding_covers_every_group() {
        for needed in [1, 65_535, 65_536, 1 << 20, 65_535 * 65_535] {
            let [x, y] = fold(needed).unwrap();
            assert!(x <= 65_535 && y <= 65_535 && u64::from(x) * u64::from(y) >= needed);
        }
        assert!(fold(65_535 * 65_535 + 65_536).is_none());
    }
}
