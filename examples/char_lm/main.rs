//! Trains a spiking language model on the characters of any text, and writes on in its manner.
//!
//! `cargo run --release --example char_lm -- --help`

#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod ngram;
mod options;
mod report;
mod training;

use common::{Options, Progress, Report};
use corpus::Corpus;
use options::{Config, Model};
use spikegrad::Result;
use spikegrad::checkpoint::{Checkpoint, Notes};
use spikegrad::data::{Text, Tokenizer, king_james};
use spikegrad::models::{LanguageModel, SpikeGpt, SymbolicLight};
use spikegrad::random::Generator;
use std::path::{Path, PathBuf};
use std::time::Instant;
use training::{Plan, Training};

fn main() {
    let (options, config) = options::parse();
    common::run("char_lm", &options, || {
        let file = options.out.join("char_lm.safetensors");
        match config.generate {
            Some(_) => write(&options, &config, common::trained(&file, "--generate")?),
            None => learn(&options, &config, &file),
        }
    });
}

/// Writes on from a prompt with the model of an earlier run.
fn write(options: &Options, config: &Config, file: &Path) -> Result<()> {
    let model = Checkpoint::notes(file)?.parse::<String>("model")?;
    if model == SpikeGpt::NAME {
        let (model, notes) = SpikeGpt::open(file, &options.device)?;
        return write_with(&model, config, &notes);
    }
    let (model, notes) = SymbolicLight::open(file, &options.device)?;
    write_with(&model, config, &notes)
}

fn write_with<M: LanguageModel>(model: &M, config: &Config, notes: &Notes) -> Result<()> {
    let tokenizer: Tokenizer = notes.parse("tokenizer")?;
    let prompt = config.prompt.as_deref().unwrap_or("\n");
    let (text, speed) = sample(model, config, &tokenizer, prompt, config.generate.unwrap_or(0))?;
    println!("{}{text}\n\n{speed:.0} tokens a second", prompt.trim_start());
    Ok(())
}

/// A text that goes on from `prompt`, and the tokens that were drawn in a second.
fn sample<M: LanguageModel>(
    model: &M,
    config: &Config,
    tokenizer: &Tokenizer,
    prompt: &str,
    count: usize,
) -> Result<(String, f64)> {
    let prompt = tokenizer.encode(prompt)?;
    let start = Instant::now();
    let tokens = model.generate(&prompt, count, &mut config.sampler.clone())?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((tokenizer.decode(&tokens)?, count as f64 / seconds))
}

/// Trains, tests and reports.
fn learn(options: &Options, config: &Config, file: &Path) -> Result<()> {
    let text = load(options.data.as_ref())?;
    let tokenizer = match config.tokens.1 {
        options::Tokens::Characters => Tokenizer::characters(&text.text),
        options::Tokens::Bytes => Tokenizer::Bytes,
    };
    let plan = config.plan(options, &text.name);
    let corpus = Corpus::new(&text, tokenizer, plan.context, config.validate)?;
    println!(
        "{}: {} tokens to train on, {} to {} with, {} different ones",
        text.name,
        corpus.train().len(),
        corpus.test().len(),
        if config.validate { "validate" } else { "test" },
        corpus.tokenizer.vocabulary(),
    );
    let mut random = Generator::new(&options.device, options.seed)?;
    let vocabulary = corpus.tokenizer.vocabulary();
    let run =
        Run { options, config, plan: &plan, corpus: &corpus, file: file.into(), text: text.name };
    match config.model.1 {
        Model::SymbolicLight => {
            let model = SymbolicLight::new(&config.symbolic_light(vocabulary), &mut random)?;
            run.learn(model, random)
        }
        Model::SpikeGpt => {
            let model = SpikeGpt::new(&config.spike_gpt(vocabulary), &mut random)?;
            run.learn(model, random)
        }
    }
}

fn load(path: Option<&PathBuf>) -> Result<Text> {
    match path {
        Some(path) => Text::open(path),
        None => king_james(),
    }
}

struct Run<'a> {
    options: &'a Options,
    config: &'a Config,
    plan: &'a Plan,
    corpus: &'a Corpus,
    file: PathBuf,
    text: String,
}

/// How often the loss is read and shown in a run.
const NEWS: u64 = 40;
/// How often the state is saved.
const SAVES: u64 = 8;

impl Run<'_> {
    fn learn<M: LanguageModel>(&self, model: M, random: Generator) -> Result<()> {
        let mut report = Report::new("char_lm");
        let parameters: usize = model.params().iter().map(|p| p.value().count()).sum();
        println!("{}: {parameters} parameters", M::NAME);
        let mut training = Training::new(model, self.plan, self.corpus, random)?;
        if self.config.resume && self.file.exists() {
            training.resume(&self.file)?;
            println!("going on from {} after step {}", self.file.display(), training.steps());
        }
        let speed = self.train(&mut training)?;
        report::config(&mut report, self.config, self.plan, &self.text, parameters);
        report.metric("launches", training.launches() as f64);
        report::results(&mut report, &training, self.corpus, self.options.quick)?;
        report.row("tokens_per_second", speed, "training, tokens a second", format!("{speed:.0}"));
        self.show(&mut report, &training)?;
        report::picture(&self.options.out, &training.history)?;
        report.finish(self.options)
    }

    /// Trains to the end of the plan; the tokens of a second.
    fn train<M: LanguageModel>(&self, training: &mut Training<'_, M>) -> Result<f64> {
        let steps = self.plan.steps;
        let progress = Progress::new(steps);
        progress.skip(training.steps());
        let (first, start) = (training.steps(), Instant::now());
        let every = |parts: u64| (steps / parts).max(1);
        while training.steps() < steps {
            let next = training.steps() + 1;
            let news = next.is_multiple_of(every(NEWS)) || next == steps;
            let loss = training.run_step(news)?;
            progress.step();
            if let Some(loss) = loss {
                let seconds = start.elapsed().as_secs_f64();
                let bits = loss / std::f64::consts::LN_2;
                progress.news(format!(
                    "step {next}/{steps}: {bits:.3} bits a token in training, {seconds:.0} s"
                ));
            }
            if next.is_multiple_of(every(SAVES)) || next == steps {
                training.save(&self.file)?;
            }
        }
        training.model.device().wait()?;
        let tokens = (steps - first.min(steps)) as usize * self.plan.batch * self.plan.context;
        Ok(tokens as f64 / start.elapsed().as_secs_f64().max(1e-9))
    }

    /// Prints a sample.
    fn show<M: LanguageModel>(
        &self,
        report: &mut Report,
        training: &Training<'_, M>,
    ) -> Result<()> {
        let tokenizer = &self.corpus.tokenizer;
        let prompt = match &self.config.prompt {
            Some(prompt) => prompt.clone(),
            None => {
                let test = self.corpus.test();
                tokenizer.decode(&test[..test.len().min(16)])?
            }
        };
        let (text, speed) = sample(&training.model, self.config, tokenizer, &prompt, 300)?;
        println!("\n{prompt}|{text}");
        let line = format!("{speed:.0}");
        report.row("generated_per_second", speed, "generation, tokens a second", line);
        Ok(())
    }
}
