//! The training step.

use super::OP;
use super::gather::Gather;
use super::loss::StepLoss;
use super::numbers::{Late, Numbers, Places};
use super::recorded::{Key, Recorded, Steps};
use crate::error::{Error, Result};
use crate::nn::Pass;
use crate::optim::Optimizer;
use crate::random::Generator;
use crate::{Device, Tape, Tensor};
use std::panic::Location;

/// Recorded steps that are kept, unless asked for otherwise.
const KEPT: usize = 16;

/// One training step, recorded the first time and replayed from then on: the loss of a closure, its
/// gradients, the step of an optimizer, which counts itself and follows its schedule, and the next step of
/// the generator.
///
/// ```
/// use spikegrad::loss::{CrossEntropy, accuracy, cross_entropy};
/// use spikegrad::nn::{Layer, Linear, Module};
/// use spikegrad::optim::{AdamW, Optimizer};
/// use spikegrad::train::{StepLoss, TrainStep};
/// use spikegrad::{Device, Tensor, random::Generator};
/// # fn main() -> spikegrad::Result<()> {
/// let device = Device::host();
/// let mut random = Generator::new(&device, 0)?;
/// let network = Linear::builder(2, 2).build(&mut random)?;
/// let optimizer = AdamW::builder().learning_rate(0.1).build(&network.params())?;
/// let mut step = TrainStep::new(optimizer, random)?;
/// for i in 0..60 {
///     let x = Tensor::from_slice(&device, &[i as f32 / 60.0, 1.0, 1.0, 0.0], [2, 2])?;
///     let y = Tensor::from_slice(&device, &[0u32, 1], [2])?;
///     let before = step.run([&x, &y], |pass, [x, y]| {
///         let logits = network.forward(&pass.constant(x), pass)?;
///         let hits = accuracy(logits.value(), y)?;
///         Ok(StepLoss::new(cross_entropy(&logits, y, CrossEntropy::default())?).with("hits", &hits))
///     })?;
///     assert_eq!(before.map(|numbers| numbers.run()), (i > 0).then_some(i));
/// }
/// let last = step.finish()?.expect("60 steps");
/// assert!(last.loss() < 0.3 && last.get("hits")? == 2.0);
/// assert_eq!(step.optimizer().steps(), 60);
/// # Ok(())
/// # }
/// ```
///
/// **What is recorded.** The closure runs once for each shape and type of its inputs: its launches are kept
/// and run again on the inputs of later runs, which are copied to tensors of the step's own. Numbers that
/// it takes from elsewhere are those of that one run; what changes from run to run must come in as an input.
/// A tensor that it takes from elsewhere is read anew by each run. It cannot read tensors back. Other
/// closures, and runs from other places of a program, are recorded apart; functions behind pointers (`fn`,
/// `dyn`) are told apart by the place alone, and so are those that a closure calls.
///
/// **Memory.** A recorded step holds all that it computes on; the 16 that were used last are kept, or as
/// many as [`keeps`](Self::keeps) says. However many runs there are, they take no more.
///
/// **Numbers.** What a run reports is waited for by the next run, when that is under way, so that the
/// device is never idle. [`finish`](Self::finish) waits for the last.
///
/// **Mistakes.** Where the closure fails, nothing was stepped, and the step can be run again; what the
/// closure changed itself, such as running statistics, stays changed. A replay that fails on the host
/// leaves everything as it was.
pub struct TrainStep<O> {
    pub(super) optimizer: O,
    pub(super) random: Generator,
    pub(super) device: Device,
    pub(super) steps: Steps,
    pub(super) gather: Option<Gather>,
    kept: usize,
    late: Option<Late>,
    runs: u64,
}

impl<O: Optimizer> TrainStep<O> {
    /// A step with this optimizer, whose random draws come from `random`; draws before it, such as those
    /// of initial weights, are no part of the first step.
    ///
    /// # Errors
    /// [`Error::Argument`] for an optimizer without parameters; [`Error::DeviceMismatch`] for a generator of
    /// another device; device loss.
    pub fn new(optimizer: O, mut random: Generator) -> Result<Self> {
        let params = optimizer.params();
        let Some(first) = params.first() else {
            return Err(Error::argument(OP, "an optimizer without parameters"));
        };
        let device = first.value().device().clone();
        if device != *random.device() {
            let (left, right) = (device.to_string(), random.device().to_string());
            return Err(Error::DeviceMismatch { op: OP, left, right });
        }
        random.advance()?;
        let (steps, late) = (Steps::default(), None);
        Ok(Self { optimizer, random, device, steps, gather: None, kept: KEPT, late, runs: 0 })
    }

    /// Lets the optimizer step after every `parts` runs, along the mean of their gradients: those of
    /// `parts` micro-batches of one size, whose losses are means, are those of one large batch. The sums take
    /// the memory of one gradient of all parameters.
    ///
    /// # Errors
    /// [`Error::Argument`] for no parts; those of [`Tensor::empty`].
    pub fn accumulate(mut self, parts: usize) -> Result<Self> {
        let gather = Gather::new(parts, self.optimizer.params())?;
        self.gather = Some(gather).filter(|gather| gather.parts > 1);
        self.steps.clear();
        Ok(self)
    }

    /// How many recorded steps are kept, 1 or more: the shapes that come in turn. One more replaces that
    /// which was not used for longest.
    #[must_use]
    pub fn keeps(mut self, steps: usize) -> Self {
        self.kept = steps.max(1);
        self
    }

    /// One step on these inputs; the numbers of the run before.
    ///
    /// The closure gets a pass of training and the inputs. It gives what is minimised: a [`StepLoss`], or a
    /// scalar variable.
    ///
    /// # Errors
    /// [`Error::DeviceMismatch`] for inputs of another device than the optimizer's; [`Error::Shape`] for a
    /// loss, or a number to report, with more than one element; those of the closure, of
    /// [`Optimizer::step`] and of [`Capture::replay`](crate::Capture::replay). What an adapter finds wrong in a
    /// run, such as an index out of range, comes with its numbers.
    #[track_caller]
    pub fn run<const N: usize, L: Into<StepLoss>>(
        &mut self,
        inputs: [&Tensor; N],
        loss: impl FnMut(&mut Pass<'_>, [&Tensor; N]) -> Result<L>,
    ) -> Result<Option<Numbers>> {
        self.run_at(Location::caller(), inputs, loss)
    }

    /// [`run`](Self::run), as if called from `place`.
    pub(super) fn run_at<const N: usize, L: Into<StepLoss>, F>(
        &mut self,
        place: &'static Location<'static>,
        inputs: [&Tensor; N],
        mut loss: F,
    ) -> Result<Option<Numbers>>
    where
        F: FnMut(&mut Pass<'_>, [&Tensor; N]) -> Result<L>,
    {
        // Types of closures have no name of their own; code has an address.
        let code = Self::run_at::<N, L, F> as RunAt<Self, N, F> as usize;
        let key = Key::new(place, code, &inputs);
        let mut make = |pass: &mut Pass<'_>, own: &[Tensor]| {
            loss(pass, std::array::from_fn(|place| &own[place])).map(Into::into)
        };
        self.step(key, &inputs, &mut make)?;
        let Some(step) = self.steps.newest() else { return Ok(None) };
        let late = step.numbers.read(self.runs)?;
        self.late.replace(late).map(Late::wait).transpose()
    }

    /// Runs or records a step.
    fn step(&mut self, key: Key, inputs: &[&Tensor], make: Make<'_>) -> Result<()> {
        for input in inputs {
            if *input.device() != self.device {
                let (left, right) = (self.device.to_string(), input.device().to_string());
                return Err(Error::DeviceMismatch { op: OP, left, right });
            }
        }
        match self.steps.find(&key) {
            Some(step) => step.replay(inputs)?,
            None => {
                let step = self.record(key, inputs, make)?;
                self.steps.keep(step, self.kept);
            }
        }
        self.runs += 1;
        match (&mut self.gather, self.steps.newest()) {
            (Some(gather), Some(step)) => {
                gather.count(&step.found, &self.device, &mut self.optimizer)
            }
            _ => Ok(()),
        }
    }

    fn record(&mut self, key: Key, inputs: &[&Tensor], make: Make<'_>) -> Result<Recorded> {
        let own =
            inputs.iter().map(|input| own(&self.device, input)).collect::<Result<Vec<_>>>()?;
        let Self { optimizer, random, device, gather, .. } = self;
        // An attempt that failed may have drawn.
        random.begin();
        let ((numbers, found), capture) = device.capture(|| {
            let tape = Tape::new();
            let loss = make(&mut Pass::training(&tape, random), &own)?;
            let numbers = Places::new(loss.numbers(device)?);
            let gradients = loss.backward(gather.as_ref().map(Gather::share))?;
            let found = match gather {
                Some(gather) => gather.add(&gradients)?,
                None => optimizer.step(&gradients).map(|()| Vec::new())?,
            };
            random.advance()?;
            Ok((numbers, found))
        })?;
        Ok(Recorded { key, inputs: own, capture, numbers, found })
    }

    /// The numbers of the last run, unless they were waited for.
    ///
    /// # Errors
    /// Device loss; on an adapter an index out of range
    /// ([`Device::check_indices`]).
    pub fn finish(&mut self) -> Result<Option<Numbers>> {
        self.late.take().map(Late::wait).transpose()
    }

    /// Goes on with another generator, at the beginning of a step.
    #[cfg(feature = "checkpoint")]
    pub(super) fn begin_with(&mut self, random: Generator) -> Result<()> {
        self.random = random;
        self.steps.clear();
        self.late = None;
        self.gather.as_mut().map_or(Ok(()), Gather::begin)
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The optimizer, for a change of its learning rate.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Launches of the step that was run last, with those of the optimizer.
    pub fn launches(&self) -> usize {
        let update = self.gather.as_ref().map_or(0, Gather::launches);
        self.steps.newest().map_or(0, |step| step.capture.launches()) + update
    }
}

/// [`TrainStep::run_at`].
type RunAt<S, const N: usize, F> =
    fn(&mut S, &'static Location<'static>, [&Tensor; N], F) -> Result<Option<Numbers>>;

/// A closure that makes the loss of a step's own inputs.
type Make<'a> = &'a mut dyn FnMut(&mut Pass<'_>, &[Tensor]) -> Result<StepLoss>;

/// A tensor of the step's own with an input's elements.
fn own(device: &Device, input: &Tensor) -> Result<Tensor> {
    let own = Tensor::empty(device, *input.shape(), input.dtype())?;
    own.copy_from(input)?;
    Ok(own)
}

impl<O: std::fmt::Debug> std::fmt::Debug for TrainStep<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { optimizer, runs, .. } = self;
        f.debug_struct("TrainStep").field("optimizer", optimizer).field("runs", runs).finish()
    }
}
