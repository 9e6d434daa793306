// Where parameters come from, two bits each: a number of the launch, a tensor of one, or of one a neuron.

override FORMS: u32 = 0u;
const FIXED: u32 = 0u;
const SCALAR: u32 = 1u;
