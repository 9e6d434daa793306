// The order in which the tiles of a matrix are taken.

// Tiles side by side in a strip.
const STRIP: u32 = 8u;

// The tile (row, column) number `tile` of tiles_m x tiles_n, taken in strips of STRIP columns from top
// to bottom: neighbours in time share rows of A, and the strip of B stays in the cache.
fn tile_at(tile: u32, tiles_m: u32, tiles_n: u32) -> vec2<u32> {
    let strip = tile / (STRIP * tiles_m);
    let within = tile % (STRIP * tiles_m);
    let width = min(STRIP, tiles_n - min(tiles_n, strip * STRIP));
    return vec2<u32>(within / max(width, 1u), strip * STRIP + within % max(width, 1u));
}
