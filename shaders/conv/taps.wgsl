// Causal convolutions over time: tap k of K looks (K - 1 - k) dilation steps back.

struct ConvParams {
    steps: u32,
    batch: u32,
    channels: u32,
    taps: u32,
    dilation: u32,
    // Rows (steps times batch) that one invocation sums over, and how many such chunks there are.
    chunk: u32,
    chunks: u32,
}

// The first tap that sees a step which `reach` others lie before (or, of the adjoint, behind).
fn first_tap(taps: u32, dilation: u32, reach: u32) -> u32 {
    return taps - min(taps, reach / dilation + 1u);
}

fn back(k: u32, taps: u32, dilation: u32) -> u32 {
    return (taps - 1u - k) * dilation;
}
