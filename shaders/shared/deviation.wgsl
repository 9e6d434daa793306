// Numbers of a row less its pivot, times a power of two where squares of these would leave the range of
// f32 (`to_middle` of the largest).

import package::shared::finite::is_infinite;

struct Row {
    // The factor in two: what shrinks comes before the difference, what enlarges after it, so that neither
    // overflows.
    down: f32,
    up: f32,
    // Times `down`.
    pivot: f32,
}

fn row_of(pivot: f32, factor: f32) -> Row {
    let down = min(factor, 1.0);
    return Row(down, max(factor, 1.0), pivot * down);
}

fn deviation(x: f32, row: Row) -> f32 {
    return (x * row.down - row.pivot) * row.up;
}

// (x - m) f, where the difference alone may be beyond f32.
fn difference_times(x: f32, m: f32, f: f32) -> f32 {
    let d = x - m;
    return select(d * f, (0.5 * x - 0.5 * m) * (f + f), is_infinite(d));
}
