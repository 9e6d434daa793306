//! The generator's block function.

/// Threefry-2x32 with 20 rounds: two random words from a key and a counter (Salmon, Moraes, Dror
/// and Shaw 2011).
///
/// ```
/// assert_eq!(spikegrad::random::threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
/// ```
#[must_use]
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let [[x], [y]] = threefry_lanes::<1>(key, counter[0], counter[1]);
    [x, y]
}

/// The words of `N` counters from `[first, step]` on, those of each side by side: vector instructions make
/// several at a time.
#[inline(always)]
pub(crate) fn threefry_lanes<const N: usize>(
    key: [u32; 2],
    first: u32,
    step: u32,
) -> [[u32; N]; 2] {
    let schedule = [key[0], key[1], 0x1BD1_1BDA ^ key[0] ^ key[1]];
    let counter = |k: usize| first.wrapping_add(k as u32).wrapping_add(schedule[0]);
    let mut x: [u32; N] = std::array::from_fn(counter);
    let mut y = [step.wrapping_add(schedule[1]); N];
    for four in 0..5 {
        if four % 2 == 0 {
            round::<N, 13>(&mut x, &mut y);
            round::<N, 15>(&mut x, &mut y);
            round::<N, 26>(&mut x, &mut y);
            round::<N, 6>(&mut x, &mut y);
        } else {
            round::<N, 17>(&mut x, &mut y);
            round::<N, 29>(&mut x, &mut y);
            round::<N, 16>(&mut x, &mut y);
            round::<N, 24>(&mut x, &mut y);
        }
        let added = schedule[(four + 2) % 3].wrapping_add(four as u32 + 1);
        x = x.map(|x| x.wrapping_add(schedule[(four + 1) % 3]));
        y = y.map(|y| y.wrapping_add(added));
    }
    [x, y]
}

/// A round on all lanes, with a turn that is known to the compiler.
#[inline(always)]
fn round<const N: usize, const TURN: u32>(x: &mut [u32; N], y: &mut [u32; N]) {
    for k in 0..N {
        x[k] = x[k].wrapping_add(y[k]);
        y[k] = y[k].rotate_left(TURN) ^ x[k];
    }
}

/// The word of element `e` in a step.
pub(super) fn word_of(key: [u32; 2], step: u32, e: usize) -> u32 {
    threefry(key, [(e / 2) as u32, step])[e % 2]
}

/// Uniform in [0, 1), from the upper 24 bits.
pub(super) fn unit(word: u32) -> f32 {
    (word >> 8) as f32 / (1 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::{threefry, threefry_lanes};

    #[test]
    fn lanes_are_counters() {
        let key = [0x1319_8a2e, 0x0370_7344];
        let lanes = threefry_lanes::<5>(key, u32::MAX - 1, 77);
        let found = lanes[0].iter().zip(lanes[1]);
        for (k, (even, odd)) in found.enumerate() {
            let counter = (u32::MAX - 1).wrapping_add(k as u32);
            assert_eq!([*even, odd], threefry(key, [counter, 77]));
        }
    }

    #[test]
    fn known_answers() {
        // From the reference implementation's known-answer file (Random123).
        assert_eq!(threefry([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry([!0, !0], [!0, !0]), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(
            threefry([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]),
            [0xc492_3a9c, 0x483d_f7a0]
        );
    }
}
