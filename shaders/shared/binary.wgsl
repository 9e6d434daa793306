// Operators of two numbers, and their derivatives. The numbers are `Binary::code` in Rust.

import package::shared::finite::{greatest, keep_nan, least};

const ADD: u32 = 0u;
const SUB: u32 = 1u;
const MUL: u32 = 2u;
const DIV: u32 = 3u;
const MINIMUM: u32 = 4u;
const MAXIMUM: u32 = 5u;

fn combine(kind: u32, a: f32, b: f32) -> f32 {
    switch kind {
        case ADD: { return a + b; }
        case SUB: { return a - b; }
        case MUL: { return a * b; }
        case DIV: { return a / b; }
        case MINIMUM: { return least(a, b); }
        case MAXIMUM: { return greatest(a, b); }
        default: { return a; }
    }
}

// 1 where the first is chosen, 1/2 where both are equal, 0 where the second is; NaN if either is.
fn share(first: f32, second: f32) -> f32 {
    let part = select(select(0.0, 1.0, first > second), 0.5, first == second);
    return keep_nan(first, keep_nan(second, part));
}

// The derivative with respect to a (side 0) or b (side 1).
fn combine_derivative(kind: u32, side: u32, a: f32, b: f32) -> f32 {
    switch kind {
        case SUB: { return select(1.0, -1.0, side == 1u); }
        case MUL: { return select(b, a, side == 1u); }
        case DIV: { return select(1.0, -a / b, side == 1u) / b; }
        case MINIMUM: { return select(share(b, a), share(a, b), side == 1u); }
        case MAXIMUM: { return select(share(a, b), share(b, a), side == 1u); }
        default: { return 1.0; }
    }
}
