//! Epochs, evaluation, early stopping.

use super::{Numbers, OP, StepLoss, TrainStep};
use crate::Tensor;
use crate::checkpoint::{Checkpoint, Notes};
use crate::error::{Error, Result};
use crate::nn::{Module, Pass};
use crate::optim::Optimizer;
use std::panic::Location;
use std::path::{Path, PathBuf};

/// How a model is fitted: epochs over batches, each with an evaluation, a file of the whole state after
/// each, and an end when it gets no better.
///
/// ```
/// use spikegrad::loss::mse;
/// use spikegrad::nn::{Layer, Linear, Module, Pass};
/// use spikegrad::optim::AdamW;
/// use spikegrad::train::{Fit, TrainStep};
/// use spikegrad::{Device, Tensor, random::Generator};
/// # fn main() -> spikegrad::Result<()> {
/// # let path = std::env::temp_dir().join(format!("spikegrad-fit-{}", std::process::id()));
/// let device = Device::host();
/// let mut random = Generator::new(&device, 0)?;
/// let line = Linear::builder(1, 1).build(&mut random)?;
/// let optimizer = AdamW::builder().learning_rate(0.1).build(&line.params())?;
/// let mut step = TrainStep::new(optimizer, random)?;
///
/// let x = Tensor::from_slice(&device, &[0.0f32, 0.5, 1.0], [3, 1])?;
/// let y = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], [3, 1])?;
/// let loss = |pass: &mut Pass<'_>, [x, y]: [&Tensor; 2]| {
///     mse(&line.forward(&pass.constant(x), pass)?, &pass.constant(y))
/// };
/// let epochs = Fit::new(80).patience(20).best(&path).run(
///     (&mut step, &line),
///     |_epoch| Ok((0..5).map(|_| Ok([x.clone(), y.clone()]))),
///     loss,
///     || Ok(f64::from(loss(&mut Pass::evaluation(), [&x, &y])?.value().item()?)),
///     |epoch| println!("{epoch}"),
/// )?;
/// assert!(epochs.last().is_some_and(|epoch| epoch.score < 0.01));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Fit {
    epochs: u64,
    patience: Option<u64>,
    state: Option<PathBuf>,
    best: Option<PathBuf>,
}

/// What came of an epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// Its number; the first is 1.
    pub epoch: u64,
    /// The mean loss of its steps.
    pub loss: f64,
    /// The score of the evaluation after it.
    pub score: f64,
    /// Whether no epoch before it had as good a score.
    pub best: bool,
}

impl std::fmt::Display for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, loss, score, best } = self;
        let mark = if *best { " (best)" } else { "" };
        write!(f, "epoch {epoch}: loss {loss:.4}, score {score:.4}{mark}")
    }
}

impl Fit {
    /// So many epochs, without an early end and without files.
    pub fn new(epochs: u64) -> Self {
        Self { epochs, patience: None, state: None, best: None }
    }

    /// Ends when so many epochs in a row, 1 or more, were not better than the best before them.
    pub fn patience(mut self, epochs: u64) -> Self {
        self.patience = Some(epochs.max(1));
        self
    }

    /// Saves the whole state after each epoch, and goes on from this file if it is there: the outcome has
    /// the bits of a run that was not stopped.
    pub fn resumes(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// Saves the model of the best epoch: what it [saves](Module::saved), and the note `epoch`.
    pub fn best(mut self, path: impl Into<PathBuf>) -> Self {
        self.best = Some(path.into());
        self
    }

    /// Runs it, and returns all epochs, those before a resumption included. `batches` gives the inputs of
    /// the steps of an epoch, counted from 0; `loss` is what [`TrainStep::run`] takes; `evaluate` gives a
    /// score, the smaller the better; `progress` is told of each epoch.
    ///
    /// # Errors
    /// Those of the closures, of [`TrainStep::run`], of [`TrainStep::save`] and of [`TrainStep::resume`];
    /// [`Error::Argument`] for an epoch without batches, and, where the state is saved, for one that ends
    /// between the [micro-batches](TrainStep::accumulate) of a step.
    #[track_caller]
    pub fn run<O: Optimizer, const N: usize, L: Into<StepLoss>, B>(
        &self,
        (step, model): (&mut TrainStep<O>, &dyn Module),
        mut batches: impl FnMut(u64) -> Result<B>,
        mut loss: impl FnMut(&mut Pass<'_>, [&Tensor; N]) -> Result<L>,
        mut evaluate: impl FnMut() -> Result<f64>,
        mut progress: impl FnMut(&Epoch),
    ) -> Result<Vec<Epoch>>
    where
        B: IntoIterator<Item = Result<[Tensor; N]>>,
    {
        let (place, mut done) = (Location::caller(), self.resume(step, model)?);
        while (done.len() as u64) < self.epochs && !self.is_stale(&done) {
            let mut mean = Mean::default();
            for inputs in batches(done.len() as u64)? {
                mean.add(step.run_at(place, inputs?.each_ref(), &mut loss)?);
            }
            mean.add(step.finish()?);
            let (epoch, score) = (done.len() as u64 + 1, evaluate()?);
            let worse = |epoch: &Epoch| score < epoch.score || epoch.score.is_nan();
            let best = !score.is_nan() && done.iter().all(worse);
            done.push(Epoch { epoch, loss: mean.of()?, score, best });
            self.save(step, model, &done)?;
            progress(&done[done.len() - 1]);
        }
        Ok(done)
    }

    /// Whether it has not become better for too long.
    fn is_stale(&self, done: &[Epoch]) -> bool {
        let since = done.iter().rev().take_while(|epoch| !epoch.best).count() as u64;
        self.patience.is_some_and(|patience| since >= patience)
    }

    fn save<O: Optimizer>(
        &self,
        step: &TrainStep<O>,
        model: &dyn Module,
        done: &[Epoch],
    ) -> Result<()> {
        let file = || Checkpoint::new().params(&model.saved());
        let last = done.last().filter(|epoch| epoch.best);
        if let (Some(path), Some(epoch)) = (&self.best, last) {
            file().note("epoch", epoch.epoch).note("score", epoch.score).save(path)?;
        }
        let Some(path) = &self.state else { return Ok(()) };
        let line = |e: &Epoch| format!("{} {} {}", e.loss, e.score, e.best);
        let history: Vec<String> = done.iter().map(line).collect();
        step.checkpoint(file())?.note(HISTORY, history.join("\n")).save(path)
    }

    fn resume<O: Optimizer>(
        &self,
        step: &mut TrainStep<O>,
        model: &dyn Module,
    ) -> Result<Vec<Epoch>> {
        match &self.state {
            Some(path) if path.exists() => {
                // Before anything is changed.
                let done = history(&Checkpoint::notes(path)?, path)?;
                step.resume(path, model)?;
                Ok(done)
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// The note of a run's epochs.
const HISTORY: &str = "fit.history";

/// The epochs that a file notes.
fn history(notes: &Notes, path: &Path) -> Result<Vec<Epoch>> {
    let text: String = notes.parse(HISTORY)?;
    let read = |(place, line): (usize, &str)| {
        let mut parts = line.split(' ');
        let mut number = || parts.next()?.parse().ok();
        let (loss, score) = (number()?, number()?);
        let best = parts.next()?.parse().ok()?;
        Some(Epoch { epoch: place as u64 + 1, loss, score, best })
    };
    let epochs = text.lines().enumerate().map(read).collect::<Option<_>>();
    epochs.ok_or_else(|| Error::format(path, format!("the note `{HISTORY}` is no list of epochs")))
}

/// The mean loss of an epoch's steps.
#[derive(Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, numbers: Option<Numbers>) {
        if let Some(numbers) = numbers {
            self.sum += f64::from(numbers.loss());
            self.count += 1;
        }
    }

    fn of(&self) -> Result<f64> {
        if self.count == 0 {
            return Err(Error::argument(OP, "an epoch without batches"));
        }
        Ok(self.sum / self.count as f64)
    }
}
