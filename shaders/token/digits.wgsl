// A stable sort of tokens by digits of eight bits, the least significant first.

// Values of a digit.
const RADIX: u32 = 256u;
// Tokens whose digits one row of counts covers.
const BLOCK: u32 = 256u;

// The digit of a token: those outside the vocabulary sort behind all others.
fn digit_of(token: u32, vocabulary: u32, shift: u32) -> u32 {
    return (min(token, vocabulary) >> shift) % RADIX;
}
