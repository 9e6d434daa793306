//! The order of samples.

/// Batches of equal size in an order shuffled anew every epoch, a pure function of seed and epoch: a
/// run that is taken up again in the middle sees what it would have seen.
#[derive(Debug, Clone, Copy)]
pub struct Batches {
    samples: usize,
    size: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `size` out of `samples` samples. Those left over at an epoch's end are left out of
    /// it; if there are fewer than `size` samples, they make one batch.
    pub fn new(samples: usize, size: usize, seed: u64) -> Self {
        Self { samples, size: size.clamp(1, samples.max(1)), seed }
    }

    /// The samples of a batch.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The batches of an epoch.
    pub fn count(&self) -> usize {
        self.samples / self.size
    }

    /// The samples of each batch of epoch `epoch`.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        self.order(epoch).chunks_exact(self.size).map(<[usize]>::to_vec).collect()
    }

    /// All samples in the order of epoch `epoch` (Fisher and Yates).
    pub fn order(&self, epoch: u64) -> Vec<usize> {
        let key = mix(self.seed ^ mix(epoch));
        let mut order: Vec<usize> = (0..self.samples).collect();
        for i in (1..self.samples).rev() {
            // The high half of a 64-bit draw times the range: a bias below 2^-32.
            let draw = u128::from(mix(key.wrapping_add(i as u64)));
            order.swap(i, ((draw * (i as u128 + 1)) >> 64) as usize);
        }
        order
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014) after one step.
pub(super) fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Batches;

    #[test]
    fn every_sample_once_in_a_new_order() {
        let batches = Batches::new(1000, 1, 3);
        let mut seen = batches.order(5);
        assert_ne!(seen, batches.order(6));
        assert_ne!(seen, Batches::new(1000, 1, 4).order(5));
        assert_eq!(seen, batches.order(5));
        seen.sort_unstable();
        assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn odd_sizes() {
        assert_eq!(Batches::new(10, 4, 0).epoch(0).len(), 2);
        assert_eq!(Batches::new(3, 64, 0).epoch(0)[0].len(), 3);
        assert!(Batches::new(0, 64, 0).epoch(0).is_empty());
        assert_eq!(Batches::new(5, 0, 0).count(), 5);
    }

    /// Each place is equally likely for the first sample.
    #[test]
    fn the_shuffle_is_fair() {
        let mut counts = [0u32; 8];
        for epoch in 0..8000 {
            let order = Batches::new(8, 1, 1).order(epoch);
            counts[order.iter().position(|s| *s == 0).unwrap()] += 1;
        }
        assert!(counts.iter().all(|c| c.abs_diff(1000) < 130), "{counts:?}");
    }
}
