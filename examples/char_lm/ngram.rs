//! The baseline: smoothed counts of character sequences.

use std::collections::HashMap;

/// The best of several n-gram models.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// Characters of a sequence, the predicted one included.
    pub order: usize,
    /// Bits per token of the test.
    pub bits: f64,
}

/// What is added to every count.
const SMOOTHING: [f64; 4] = [1.0, 0.1, 0.01, 0.001];

/// Sequences of one, two and three tokens, additive smoothing: the one that does best on the test
/// itself, which favours the baseline.
pub fn best(train: &[u32], test: &[u32], vocabulary: usize) -> Best {
    let models = (1..=3).map(|order| Best { order, bits: bits(order, train, test, vocabulary) });
    let worst = Best { order: 0, bits: (vocabulary.max(1) as f64).log2() };
    models.fold(worst, |best, next| if next.bits < best.bits { next } else { best })
}

fn bits(order: usize, train: &[u32], test: &[u32], vocabulary: usize) -> f64 {
    let mut sequences: HashMap<&[u32], f64> = HashMap::new();
    let mut contexts: HashMap<&[u32], f64> = HashMap::new();
    for sequence in train.windows(order) {
        *sequences.entry(sequence).or_default() += 1.0;
        *contexts.entry(&sequence[..order - 1]).or_default() += 1.0;
    }
    let count =
        |counts: &HashMap<&[u32], f64>, key: &[u32]| counts.get(key).copied().unwrap_or(0.0);
    let mean = |added: f64| {
        let cost = |sequence: &[u32]| {
            let all = count(&contexts, &sequence[..order - 1]) + added * vocabulary as f64;
            -((count(&sequences, sequence) + added) / all).log2()
        };
        let costs: Vec<f64> = test.windows(order).map(cost).collect();
        costs.iter().sum::<f64>() / costs.len().max(1) as f64
    };
    SMOOTHING.iter().map(|added| mean(*added)).fold(f64::INFINITY, f64::min)
}
