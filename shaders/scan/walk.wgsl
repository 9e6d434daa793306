// How the walks of a scan are shared out: a walk is a column over the steps of a chunk, and walk i is
// column i % columns of chunk i / columns. A launch without chunks may cover a part of the steps.
//
// A workgroup takes WG * span walks in a row, and an invocation span of them, WG apart, each STRIDE
// steps further at a time. On hardware span is 1. A software adapter takes the few lanes of a vector
// register through all steps before it looks at the next: of every row it would use 32 bytes and
// leave the rest for later, when the caches have lost it (condition tiled).

// The largest span.
@if(tiled) const SPAN: u32 = 32u;
@if(!tiled) const SPAN: u32 = 1u;

// A walk: its column and its steps first .. end.
struct Walk {
    column: u32,
    first: u32,
    end: u32,
}

// The steps that a launch covers, and how.
struct Share {
    columns: u32,
    // All steps, and the first of this launch.
    steps: u32,
    start: u32,
    chunk: u32,
    chunks: u32,
    span: u32,
    // Channel n = c % channels of column c belongs to head n / group.
    channels: u32,
    group: u32,
}

// Walk i of a launch; one without steps beyond the last.
fn walk_at(i: u32, share: Share) -> Walk {
    if i >= share.columns * share.chunks {
        return Walk(0u, 0u, 0u);
    }
    let first = share.start + i / share.columns * share.chunk;
    return Walk(i % share.columns, first, min(first + share.chunk, share.steps));
}
