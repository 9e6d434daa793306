// Appends the open ones of S tokens to the cache of gated attention
//
// k, v, spikes, turns, rows, ring: see attention/cache.wgsl. Only tokens that a later query can see are
// read: the first `early`, whose positions are below A, and from `late` on those of the window.
// A workgroup a head of a sample. WG tokens at a time: an invocation counts the spikes of one and finds
// its slot, then all write rows.

import package::attention::cache::{
    p, ring, spike, first_channel, capacity, ring_of, keep, advanced,
};
import package::shared::index::{Group, group_index};

override WG: u32 = 64u;

const SILENT: u32 = 0xffffffffu;
// Open tokens are counted in the low half of a word, those below A in the high half.
const EARLY: u32 = 0x10000u;

var<workgroup> opens: array<u32, WG>;
var<workgroup> slots: array<u32, WG>;

// Token number r of those that are kept.
fn token_of(r: u32) -> u32 {
    return select(p.late + r - p.early, r, r < p.early);
}

// What token number r adds to the counts.
fn opened(lane: u32, r: u32) -> u32 {
    if r >= p.early + p.steps - p.late {
        return 0u;
    }
    let t = token_of(r);
    let first = first_channel(lane);
    var count = 0u;
    for (var c = 0u; c < p.channels / p.groups && count < p.least; c++) {
        count += spike(t, lane / p.heads, first + c);
    }
    return select(0u, select(1u, EARLY, r < p.early), count >= p.least);
}

@compute @workgroup_size(WG)
fn cache_extend(at: Group, @builtin(local_invocation_index) local: u32) {
    let lane = group_index(at);
    if lane >= p.lanes {
        return;
    }
    let header = ring_of(lane);
    var head = ring[header];
    var early = ring[header + 2u];
    let kept = p.early + p.steps - p.late;
    for (var first = 0u; first < kept; first += WG) {
        let open = opened(lane, first + local);
        opens[local] = open;
        workgroupBarrier();
        var before = 0u;
        var all = 0u;
        for (var i = 0u; i < WG; i++) {
            before += select(0u, opens[i], i < local);
            all += opens[i];
        }
        var slot = SILENT;
        if open == EARLY {
            slot = early + before / EARLY;
        } else if open != 0u {
            let place = (head + before % EARLY) % capacity();
            slot = p.anchors + place;
            ring[header + 4u + place] = p.position + token_of(first + local);
        }
        slots[local] = slot;
        early += all / EARLY;
        head += all % EARLY;
        workgroupBarrier();
        for (var i = local; i < WG * p.units; i += WG) {
            let r = i / p.units;
            if slots[r] != SILENT {
                keep(lane, slots[r], token_of(first + r), p.turn + first + r, i % p.units);
            }
        }
    }
    storageBarrier();
    workgroupBarrier();
    if local == 0u {
        let tail = advanced(lane, head, ring[header + 1u], p.position + p.steps);
        ring[header] = head;
        ring[header + 1u] = tail;
        ring[header + 2u] = early;
    }
}
