//! What the kernels of the cache share: parameters, variants, iterations.

use crate::kernel::Variant;

/// How spikes are stored, and rows read.
pub(super) const VARIANTS: &[Variant] = &[
    Variant::portable("f32", &[]),
    Variant::portable("f32, by four", &["VEC"]),
    Variant::portable("bits", &["BITS"]),
    Variant::portable("bits, by four", &["BITS", "VEC"]),
];

crate::params! {
    /// The parameters of both kernels, as in `attention/cache.wgsl`.
    pub(crate) struct CacheParams {
        steps: u32,
        position: u32,
        lanes: u32,
        heads: u32,
        units: u32,
        half: u32,
        channels: u32,
        groups: u32,
        least: u32,
        window: u32,
        anchors: u32,
        early: u32,
        late: u32,
        turn: u32,
        scale: f32,
    }
}

impl CacheParams {
    /// The iterations of `extend`: counting, ranking and writing of all that is kept, then letting go of what
    /// has left the window.
    pub(super) fn extend_iterations(&self, workgroup: u64) -> u64 {
        let workgroup = workgroup.max(1);
        let width = u64::from(self.channels / self.groups.max(1));
        let kept = u64::from(self.early) + u64::from(self.steps - self.late);
        let rounds = kept.div_ceil(workgroup);
        rounds * (width + workgroup + u64::from(self.units) + 4) + u64::from(self.window) + 3
    }

    /// Those of `decode`: a score, the largest, the sum, and the values of a share of the units for all
    /// that is seen.
    pub(super) fn decode_iterations(&self, workgroup: u64) -> u64 {
        let workgroup = workgroup.max(1);
        let [units, channels] = [self.units, self.channels / self.groups.max(1)].map(u64::from);
        let most = u64::from(self.window) + 1 + u64::from(self.anchors);
        let seen = (u64::from(self.position) + 1).min(most);
        let shares = units.div_ceil(workgroup);
        let round = units + 2 * workgroup + shares * (workgroup + 2) + 5;
        let around = channels.div_ceil(workgroup) + workgroup + 3 * shares + 8;
        around + seen.div_ceil(workgroup) * round
    }
}

/// Words before the positions of a lane's ring: how many keys it ever got, how many have left the
/// window, how many stand before it, and 0.
pub(crate) const RING_HEADER: usize = 4;
