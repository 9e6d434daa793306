//! The extents of one call, as all kernels of the family take them.

use crate::device::Device;
use crate::dispatch::Launch;
use crate::kernel::{Cost, CostArgs, Variant};

crate::params! {
    /// `attention/gated.wgsl`'s `Geometry`.
    pub(crate) struct Geometry {
        /// S, B, H, d.
        steps: u32,
        batch: u32,
        heads: u32,
        width: u32,
        /// Vectors of 4 in a compact row.
        quads: u32,
        /// Half of d where positions turn queries and keys, else 0.
        half: u32,
        /// At most S each.
        window: u32,
        anchors: u32,
        /// Gates a batch row: 1, or one a head; of the queries also 0: all are open.
        key_groups: u32,
        query_groups: u32,
        /// The first group of the queries in the order.
        query_base: u32,
        /// Into how many sums the gradient of an anchor is split beyond its window; 0: none.
        segments: u32,
        scale: f32,
    }
}

/// The ways to compile the gradients.
pub(super) const GRADIENTS: &[Variant] = &[
    Variant::portable("registers", &["BACKWARD"]),
    Variant::portable("tiled", &["BACKWARD", "TILED"]),
];

/// `TILE`, `SLICE` and `STRETCH` of `attention/pairs.wgsl`.
const TILE: u32 = 32;
pub(super) const SLICE: u32 = 32;
pub(super) const STRETCH: u32 = 16;

/// More anchors than this are parallel enough without segments.
const FEW_ANCHORS: usize = 64;
/// The fewest queries of a segment.
const SEGMENT: usize = 256;

impl Geometry {
    /// B H.
    pub(crate) fn all_heads(&self) -> usize {
        self.batch as usize * self.heads as usize
    }

    /// Compact rows of one tensor.
    pub(crate) fn rows(&self) -> usize {
        self.all_heads() * self.steps as usize
    }

    /// Elements of a compact row.
    pub(crate) fn stride(&self) -> usize {
        4 * self.quads as usize
    }

    /// A launch that moves `rows` rows: an invocation each vector of them, or each row where the
    /// kernels' divisions are dear.
    pub(super) fn moving(&self, device: &Device, launch: Launch, rows: usize) -> Launch {
        let whole = device.tuning().rows_whole;
        let parts = if whole { 1 } else { self.quads as usize };
        launch.constant("WHOLE", whole).items(rows * parts)
    }

    /// A launch over pairs, in `tasks(rows)` tasks of so many rows a head: where barriers are dear an
    /// invocation a task of 4 rows, else a workgroup one of 32, for each `slice` vectors of channels.
    pub(super) fn over_pairs(
        &self,
        device: &Device,
        launch: Launch,
        slice: u32,
        tasks: impl Fn(u32) -> u32,
    ) -> Launch {
        if device.tuning().alone {
            return launch.items(self.all_heads() * tasks(4) as usize);
        }
        let slices = self.quads.div_ceil(slice) as usize;
        let groups = self.all_heads() * tasks(TILE) as usize * slices;
        launch.when("TILED", true).workgroups(groups)
    }

    /// Rows of the sums of anchors, after the compact rows.
    pub(super) fn parts(&self) -> usize {
        self.segments as usize * self.all_heads() * self.anchors as usize
    }

    /// Sets the number of segments: an anchor is seen by all that follows, a long sum for one
    /// invocation where the window is short.
    pub(super) fn split(mut self) -> Self {
        let [steps, window, anchors] = [self.steps, self.window, self.anchors].map(|n| n as usize);
        let beyond = steps.saturating_sub(window + 1);
        let is_long = beyond > SEGMENT && beyond > window;
        if (1..=FEW_ANCHORS).contains(&anchors) && is_long {
            let segments = beyond.div_ceil(SEGMENT.max(window + 1)).min(FEW_ANCHORS / anchors);
            self.segments = segments as u32;
        }
        self
    }

    /// Queries between the first and the last that see any of four neighbouring keys, or keys that any of
    /// four neighbouring queries sees.
    fn longest_range(&self) -> u32 {
        let one_gate = self.query_base == 0;
        let whole_anchors = self.segments == 0 && self.anchors > 0;
        if !one_gate || whole_anchors {
            // Neighbours among the open keys may be far apart among the queries.
            return self.steps;
        }
        let stretch = self.steps.div_ceil(self.segments.max(1));
        let segment = if self.segments > 0 { stretch } else { 0 };
        // A query sees its window and the anchors.
        let seen = self.window.saturating_add(self.anchors).saturating_add(5);
        segment.max(seen).min(self.steps)
    }

    /// Pairs of a query and a key, if every position is open.
    fn pairs(&self) -> f64 {
        let seen = (self.window + self.anchors + 1).min(self.steps);
        self.rows() as f64 * f64::from(seen)
    }
}

/// The iterations of the loops over pairs: four keys or queries at a time, with two loops over the vectors
/// of a row, or a tile of 32 at a time, whose weights and columns are walked along twice.
pub(super) fn pair_iterations(args: &CostArgs<'_>) -> u64 {
    let p: Geometry = args.params();
    let (range, quads) = (u64::from(p.longest_range()), u64::from(p.quads));
    if !args.when("TILED") {
        return (range / 4 + 4) * (2 * quads + 4) + 2 * quads + 16;
    }
    (range / 32 + 4) * (3 * quads + 160) + 64
}

/// The most that a launch may do: all positions open. The gates are known on the device only.
fn cost(args: &CostArgs<'_>, flops_a_pair: f64) -> Cost {
    let p: Geometry = args.params();
    Cost { bytes: args.all_bytes(), flops: p.pairs() * flops_a_pair * f64::from(p.width) }
}

/// A score and a weighted sum: 4 d operations a pair.
pub(super) fn forward_cost(args: &CostArgs<'_>) -> Cost {
    cost(args, 4.0)
}

/// Two products and one sum.
pub(super) fn query_cost(args: &CostArgs<'_>) -> Cost {
    cost(args, 6.0)
}

/// Two products and two sums.
pub(super) fn key_cost(args: &CostArgs<'_>) -> Cost {
    cost(args, 8.0)
}

#[cfg(test)]
mod tests {
    use super::Geometry;

    fn segments(steps: u32, window: u32, anchors: u32) -> u32 {
        let none: Geometry = bytemuck::Zeroable::zeroed();
        Geometry { steps, window, anchors, ..none }.split().segments
    }

    #[test]
    fn a_query_sees_its_window_and_the_anchors() {
        let none: Geometry = bytemuck::Zeroable::zeroed();
        let p = Geometry { steps: 8192, window: 256, anchors: 4, quads: 16, ..none }.split();
        assert!(p.longest_range() < 1024);
        let dense = Geometry { window: 8192, ..p }.split();
        assert_eq!(dense.longest_range(), 8192);
        let all_queries = Geometry { query_base: 1, ..p };
        assert_eq!(all_queries.longest_range(), 8192);
    }

    #[test]
    fn long_columns_are_split() {
        assert_eq!(segments(256, 32, 4), 0);
        assert_eq!(segments(4096, 256, 0), 0);
        assert_eq!(segments(4096, 256, 4), 15);
        assert_eq!(segments(8192, 8, 16), 4);
        assert_eq!(segments(8192, 8, 65), 0);
        assert_eq!(segments(8192, 8192, 4), 0);
    }
}
