// Four neighbours of a matrix as they are stored: f32, or f16 in two words; what is computed is f32.
//
// Conditions: HALF, operands are f16; HALF_OUT, outcomes are.

import package::shared::half::half_from;

@if(!HALF) alias Operand = vec4<f32>;
@if(HALF) alias Operand = vec2<u32>;
@if(!HALF_OUT) alias Outcome = vec4<f32>;
@if(HALF_OUT) alias Outcome = vec2<u32>;

@if(!HALF)
fn loaded(v: Operand) -> vec4<f32> {
    return v;
}

// Numbers below the normal ones may be read as 0.
@if(HALF)
fn loaded(v: Operand) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

@if(!HALF_OUT)
fn stored(v: vec4<f32>) -> Outcome {
    return v;
}

@if(HALF_OUT)
fn stored(v: vec4<f32>) -> Outcome {
    return vec2<u32>(
        half_from(v.x) | (half_from(v.y) << 16u),
        half_from(v.z) | (half_from(v.w) << 16u),
    );
}
