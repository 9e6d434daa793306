// y[b, j, i] = x[b, i, j]
//
// x: [batch, rows, columns]; y: [batch, columns, rows]. Elements are f32, or u32 with the condition
// WORDS.
// One workgroup a tile of 32 x 32, through workgroup memory, so that both sides move whole lines;
// rows of 33 keep the columns of the tile in different banks.

import package::shared::index::{Group, group_index};

@if(!WORDS) alias Element = f32;
@if(WORDS) alias Element = u32;

struct Params {
    batch: u32,
    rows: u32,
    columns: u32,
}

const TILE: u32 = 32u;
const LINES: u32 = 8u;

var<workgroup> tile: array<Element, 1056>;

@group(0) @binding(0) var<storage, read> x: array<Element>;
@group(0) @binding(1) var<storage, read_write> y: array<Element>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn transpose(at: Group, @builtin(local_invocation_index) local: u32) {
    let down = (p.rows + TILE - 1u) / TILE;
    let across = (p.columns + TILE - 1u) / TILE;
    let index = group_index(at);
    let b = index / (down * across);
    if b >= p.batch {
        return;
    }
    let row = index / across % down * TILE;
    let column = index % across * TILE;
    let base = b * p.rows * p.columns;
    let lane = local % TILE;
    for (var line = local / TILE; line < TILE; line += LINES) {
        if row + line < p.rows && column + lane < p.columns {
            tile[line * 33u + lane] = x[base + (row + line) * p.columns + column + lane];
        }
    }
    workgroupBarrier();
    for (var line = local / TILE; line < TILE; line += LINES) {
        if column + line < p.columns && row + lane < p.rows {
            y[base + (column + line) * p.rows + row + lane] = tile[lane * 33u + line];
        }
    }
}
