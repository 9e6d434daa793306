// What a spike takes of the membrane in the step after it, c being what that step charged it to:
//
//     u = c    (none)       c - r threshold    (subtract)       (1 - r) c    (zero)

override RESET: u32 = 0u;
const SUBTRACT: u32 = 1u;
const ZERO: u32 = 2u;

// Of dL/du: what goes to c, to the threshold and to r.
struct Taken {
    charged: f32,
    threshold: f32,
    fired: f32,
}

fn reset(charged: f32, threshold: f32, fired: bool) -> f32 {
    let left = select(select(charged, 0.0, RESET == ZERO), charged - threshold, RESET == SUBTRACT);
    return select(charged, left, fired);
}

fn reset_back(charged: f32, threshold: f32, fired: bool, g: f32) -> Taken {
    let subtracts = RESET == SUBTRACT;
    let zeroes = RESET == ZERO;
    return Taken(
        select(g, 0.0, fired && zeroes),
        select(0.0, -g, fired && subtracts),
        select(select(0.0, -g * charged, zeroes), -g * threshold, subtracts),
    );
}
