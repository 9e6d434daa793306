// A membrane u fed by a synaptic current i: snnTorch's Synaptic. From a state that had fired or not (r):
//
//     i' = alpha i + x,   c = beta u + i',   u' = reset(c, r)              (recur/reset.wgsl)
//
// and backward, with dL/di' = g of later steps, dL/du' = h and dL/dc = k:
//
//     dx = g + k,   di = alpha dx,   du = beta k,   dalpha = dx i,   dbeta = k u
//
// States: i, u. Parameters: alpha, beta, threshold.

import package::recur::launch::{Gradient, Parameters, State};
import package::recur::reset::{reset, reset_back};
import package::shared::part::part;

fn advance(c: Parameters, s: State, fired: bool, x: f32) -> State {
    let current = c[0] * s[0] + x;
    return State(current, reset(c[1] * s[1] + current, c[2], fired));
}

fn retreat(c: Parameters, s: State, fired: bool, x: f32, g: State) -> Gradient {
    let taken = reset_back(c[1] * s[1] + (c[0] * s[0] + x), c[2], fired, g[1]);
    let k = taken.charged;
    let dx = g[0] + k;
    let parameters = Parameters(part(dx, s[0]), part(k, s[1]), taken.threshold);
    return Gradient(dx, taken.fired, State(c[0] * dx, c[1] * k), parameters);
}
