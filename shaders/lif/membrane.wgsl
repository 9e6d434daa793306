// One step of a leaky integrate-and-fire membrane, shared by the forward and the backward scan:
//
//     h = decay v + (1 - decay) v_rest + gain x        charge
//     s = [h >= threshold]                             fire (or >)
//     v = h, h - threshold s, or v_reset where s       reset
//
// v_rest is v_reset under a hard reset, else 0. Selects, never products with 0: an infinite
// membrane must not become NaN.

const RESET_NONE: u32 = 0u;
const RESET_SOFT: u32 = 1u;
const RESET_HARD: u32 = 2u;

// A form (shared/forms.wgsl) of the gain only: 1 - decay.
const TIED: u32 = 3u;

struct LifParams {
    columns: u32,
    steps: u32,
    neurons: u32,
    decay: f32,
    threshold: f32,
    gain: f32,
    v_reset: f32,
    low: f32,
    high: f32,
    alpha: f32,
    // The oracle's alone: emits the surrogate's integral instead of spikes.
    relaxed: u32,
}

// One neuron's parameters, and what follows from them.
struct Neuron {
    decay: f32,
    rest: f32,
    gain: f32,
    threshold: f32,
}

fn charge(neuron: Neuron, v: f32, x: f32) -> f32 {
    return neuron.decay * v + (neuron.rest + neuron.gain * x);
}

fn fires(h: f32, threshold: f32, strict: bool) -> bool {
    return select(h >= threshold, h > threshold, strict);
}

fn after_spike(reset: u32, h: f32, threshold: f32, v_reset: f32) -> f32 {
    if reset == RESET_HARD {
        return v_reset;
    }
    return select(h, h - threshold, reset == RESET_SOFT);
}
