// Sums whose outcome f32 holds, though they do not stay in its range on the way: they are taken again, of
// elements times a power of two.

import package::shared::finite::{is_not_finite, root_of};

// What is made of a sum: divided, then rooted.
struct Finish {
    divisor: f32,
    // Of squares alone.
    root: bool,
    // Whether squares are added up.
    squares: bool,
}

// Whether a sum may have to be taken again.
fn may_look_again(f: Finish) -> bool {
    return f.root || f.divisor != 1.0;
}

// What the elements of a second sum are multiplied with; 1 where the first one will do.
fn second_look(sum: f32, f: Finish) -> f32 {
    if f.root {
        // 2^100, 2^-100 and 2^-80
        let up = select(1.0, 1.2676506002282294e30, sum < 7.888609052210118e-31);
        return select(up, 8.271806125530277e-25, is_not_finite(sum));
    }
    // 2^exponent is the least power of two above the divisor.
    let exponent = (bitcast<u32>(f.divisor) >> 23u) - 126u;
    let shrink = select(exponent, (exponent + 1u) / 2u, f.squares);
    return select(1.0, bitcast<f32>((127u - shrink) << 23u), is_not_finite(sum));
}

// The outcome of a sum of elements times `by`.
fn finished(sum: f32, by: f32, f: Finish) -> f32 {
    if f.root {
        return root_of(sum / f.divisor) / by;
    }
    return sum / (f.divisor * by * select(1.0, by, f.squares));
}
