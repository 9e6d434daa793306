//! Training, testing, and the state in between.

use super::common::Settings;
use super::corpus::{Corpus, Windows};
use spikegrad::checkpoint::Checkpoint;
use spikegrad::models::{Activity, LanguageModel};
use spikegrad::nn::Pass;
use spikegrad::optim::{AdamW, Optimizer, Schedule};
use spikegrad::random::Generator;
use spikegrad::train::TrainStep;
use spikegrad::{Error, Result, Tensor};
use std::f64::consts::LN_2;
use std::path::Path;

/// How a run goes.
#[derive(Debug, Clone)]
pub struct Plan {
    pub steps: u64,
    pub batch: usize,
    pub context: usize,
    pub rate: f64,
    pub decay: f64,
    pub dropout: f32,
    pub seed: u64,
    /// All that a resumed run must have in common with the run that was saved.
    pub settings: Settings,
}

/// A model in training.
pub struct Training<'a, M: LanguageModel> {
    pub model: M,
    /// Step and loss in nats, as far as they were read.
    pub history: Vec<(u64, f64)>,
    plan: &'a Plan,
    corpus: &'a Corpus,
    step: TrainStep<AdamW>,
}

impl<'a, M: LanguageModel> Training<'a, M> {
    /// A run at its start. `random` has drawn the weights.
    pub fn new(model: M, plan: &'a Plan, corpus: &'a Corpus, random: Generator) -> Result<Self> {
        let schedule = Schedule::cosine(plan.rate, plan.steps).warmup(plan.steps / 20);
        let optimizer = AdamW::builder().schedule(schedule.floor(plan.rate / 20.0));
        let optimizer = optimizer.betas(0.9, 0.99).clip_norm(1.0).weight_decay(plan.decay);
        let optimizer = optimizer.build(&model.params())?;
        let step = TrainStep::new(optimizer, random)?;
        Ok(Self { model, history: Vec::new(), plan, corpus, step })
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step.optimizer().steps()
    }

    /// One step; its loss, if it is to be read.
    pub fn run_step(&mut self, read: bool) -> Result<Option<f64>> {
        let Plan { context, batch, seed, .. } = *self.plan;
        let windows = self.corpus.draw(context, batch, seed, self.steps() as u32)?;
        let [tokens, targets] = self.upload(&windows)?;
        self.step.run([&tokens, &targets], |pass, [tokens, targets]| {
            pass.set_dropout(self.plan.dropout);
            self.model.training_loss(tokens, targets, pass)
        })?;
        if !read {
            return Ok(None);
        }
        let Some(numbers) = self.step.finish()? else { return Ok(None) };
        let loss = f64::from(numbers.get("fit")?);
        self.history.push((self.steps(), loss));
        Ok(Some(loss))
    }

    /// Launches of a step.
    pub fn launches(&self) -> usize {
        self.step.launches()
    }

    /// Bits per character over at most `most` windows of the test.
    pub fn test(&self, most: usize) -> Result<f64> {
        let context = self.plan.context;
        let half = context / 2;
        let (mut nats, mut characters) = (0.0, 0);
        for windows in self.corpus.test_windows(context, 2 * self.plan.batch, most) {
            let [tokens, targets] = self.upload(&windows)?;
            let scored = &windows.targets[half * windows.batch..];
            nats += self.model.loss_after(half, &tokens, &targets)? * scored.len() as f64;
            characters += self.corpus.characters(scored);
        }
        Ok(nats / LN_2 / characters.max(1) as f64)
    }

    /// What fires on the first windows of the test.
    pub fn activity(&self) -> Result<Activity> {
        let windows = self.corpus.test_windows(self.plan.context, self.plan.batch, self.plan.batch);
        let Some(windows) = windows.first() else { return Ok(Activity::new()) };
        let [tokens, _] = self.upload(windows)?;
        let mut activity = Activity::new();
        self.model.features(&tokens, None, &mut Pass::evaluation().activity(&mut activity))?;
        Ok(activity)
    }

    fn upload(&self, windows: &Windows) -> Result<[Tensor; 2]> {
        let shape = [self.plan.context, windows.batch];
        let tensor = |values: &[u32]| Tensor::from_slice(self.model.device(), values, shape);
        Ok([tensor(&windows.tokens)?, tensor(&windows.targets)?])
    }

    /// Saves everything that the rest of the run depends on, after a step.
    pub fn save(&self, path: &Path) -> Result<()> {
        let line = |(step, loss): &(u64, f64)| format!("{step} {loss}");
        let history: Vec<String> = self.history.iter().map(line).collect();
        let file = self.step.checkpoint(self.model.checkpoint())?;
        let file = file.note("history", history.join("\n"));
        self.plan.settings.noted(file.note("tokenizer", &self.corpus.tokenizer)).save(path)
    }

    /// Goes on from a saved state.
    pub fn resume(&mut self, path: &Path) -> Result<()> {
        let notes = Checkpoint::notes(path)?;
        self.plan.settings.check(&notes, path)?;
        if notes.get("tokenizer") != Some(self.corpus.tokenizer.to_string().as_str()) {
            return Err(Error::format(
                path,
                "--resume: saved by a run on a text of other characters",
            ));
        }
        self.model.restore(path)?;
        let notes = self.step.resume(path, &self.model)?;
        let history = notes.parse::<String>("history")?;
        let pair = |line: &str| {
            let (step, loss) = line.split_once(' ')?;
            Some((step.parse().ok()?, loss.parse().ok()?))
        };
        self.history = history.lines().filter_map(pair).collect();
        Ok(())
    }
}
