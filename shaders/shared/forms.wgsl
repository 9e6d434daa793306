// Where a neuron's parameter comes from: a number of the launch, a tensor of one, or of one a neuron.

const FIXED: u32 = 0u;
const SCALAR: u32 = 1u;
const EACH: u32 = 2u;
