//! How a launch that walks through time is cut, where its device does not bear it whole.

use std::ops::Range;

/// What a step costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepCost {
    /// Floating-point operations, of all columns together.
    pub(crate) flops: f64,
    /// Iterations of loops of an invocation.
    pub(crate) iterations: u64,
    /// Iterations around the steps.
    pub(crate) around: u64,
}

/// What a device bears in one launch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Operations that its watchdog allows.
    pub(crate) flops: f64,
    /// Iterations of loops, if they are limited.
    pub(crate) iterations: Option<u64>,
}

impl Bounds {
    /// The steps of each launch, in order: as many as fit, but at least `unit`, all but the last a multiple
    /// of it.
    pub(crate) fn segments(&self, steps: usize, unit: usize, cost: StepCost) -> Vec<Range<usize>> {
        let by_work = (self.flops / cost.flops) as usize;
        let by_loops = self.iterations.map_or(usize::MAX, |most| {
            (most.saturating_sub(cost.around) / cost.iterations.max(1)) as usize
        });
        let most = by_work.min(by_loops).min(steps.next_multiple_of(unit));
        let most = (most / unit * unit).max(unit);
        (0..steps).step_by(most).map(|first| first..(first + most).min(steps)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, StepCost};

    #[test]
    fn segments_are_whole_units_within_every_bound() {
        let cost = StepCost { flops: 10.0, iterations: 4, around: 64 };
        let free = Bounds { flops: f64::INFINITY, iterations: None };
        assert_eq!(free.segments(100, 32, cost), std::slice::from_ref(&(0..100)));
        assert!(free.segments(0, 32, cost).is_empty());
        let loops = Bounds { iterations: Some(64 + 4 * 70), ..free };
        assert_eq!(loops.segments(100, 32, cost), [0..64, 64..100]);
        let watched = Bounds { flops: 330.0, ..free };
        assert_eq!(watched.segments(70, 32, cost), [0..32, 32..64, 64..70]);
        let none = Bounds { flops: 1.0, iterations: Some(0) };
        assert_eq!(none.segments(33, 32, cost), [0..32, 32..33]);
    }
}
