// Random words from a counter: Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw 2011).
//
// Element e of a draw takes word e mod 2 of the block with counter (e div 2, step), under a key
// made of seed and stream. Integer arithmetic and exact conversions only: the same bits anywhere.

fn mix(x: vec2<u32>, turn: u32) -> vec2<u32> {
    let sum = x.x + x.y;
    return vec2(sum, ((x.y << turn) | (x.y >> (32u - turn))) ^ sum);
}

fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let third = 0x1bd11bdau ^ key.x ^ key.y;
    var x = counter + key;
    x = mix(mix(mix(mix(x, 13u), 15u), 26u), 6u) + vec2(key.y, third + 1u);
    x = mix(mix(mix(mix(x, 17u), 29u), 16u), 24u) + vec2(third, key.x + 2u);
    x = mix(mix(mix(mix(x, 13u), 15u), 26u), 6u) + vec2(key.x, key.y + 3u);
    x = mix(mix(mix(mix(x, 17u), 29u), 16u), 24u) + vec2(key.y, third + 4u);
    return mix(mix(mix(mix(x, 13u), 15u), 26u), 6u) + vec2(third, key.x + 5u);
}

// The word of element e.
fn word_of(key: vec2<u32>, step: u32, e: u32) -> u32 {
    let block = threefry(key, vec2(e / 2u, step));
    return select(block.x, block.y, e % 2u == 1u);
}

// Uniform in [0, 1), from the upper 24 bits.
fn unit(word: u32) -> f32 {
    return f32(word >> 8u) * 5.9604644775390625e-8;
}
