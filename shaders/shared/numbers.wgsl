// The numbers of an optimizer's group that change from step to step, as they stand in device memory:
// COUNT of them a group. `optim::numbers` in Rust has the same list.

const RATE: u32 = 0u;
// 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t), t the steps that were not skipped
const CORRECT1: u32 = 1u;
const CORRECT2: u32 = 2u;
// what the update is multiplied with, apart from the rate
const FACTOR: u32 = 3u;
// weight and decay rate of the slow moment, and what is left of 1
const MIX: u32 = 4u;
const BETA3: u32 = 5u;
const REST3: u32 = 6u;
// a gradient's square may be this many second moments; 0 for no limit
const SPIKES: u32 = 7u;
const EPS: u32 = 8u;
// what a written direction is multiplied with
const SHRINK: u32 = 9u;
// which mask is drawn
const DRAW: u32 = 10u;
// the steps that had been skipped when the group was last restarted
const MARK: u32 = 11u;
const COUNT: u32 = 12u;
