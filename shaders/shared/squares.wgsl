// Sums of squares of numbers of any scale: three sums, of small, middling and large ones.

// Small numbers are squared 2^90 times as large, large ones 2^-90 times.
const UP: f32 = 1.2379400392853803e27;
const DOWN: f32 = 8.077935669463161e-28;
// 2^-50 and 2^45: sums of the squares of what lies between keep their bits.
const SMALL: f32 = 8.881784197001252e-16;
const LARGE: f32 = 3.5184372088832e13;

// What brings |v| to where its square keeps its bits.
fn to_middle(size: f32) -> f32 {
    return select(select(1.0, UP, size < SMALL), DOWN, size > LARGE);
}

// The square of v, in the place of its range.
fn squared(v: f32) -> vec3<f32> {
    let size = abs(v);
    let w = v * to_middle(size);
    let small = size < SMALL;
    let large = size > LARGE;
    let q = w * w;
    return vec3<f32>(select(0.0, q, small), select(q, 0.0, small || large), select(0.0, q, large));
}

// The root of three sums, and what it is yet to be multiplied with: UP, 1 or DOWN.
fn root_of_squares(sums: vec3<f32>) -> vec2<f32> {
    if sums.z > 0.0 {
        return vec2<f32>(sqrt(sums.z + sums.y * DOWN * DOWN), UP);
    }
    if sums.y > 0.0 {
        return vec2<f32>(sqrt(sums.y + sums.x * DOWN * DOWN), 1.0);
    }
    return vec2<f32>(sqrt(sums.x), DOWN);
}
