//! The equation of a membrane fed by a synaptic current, and its kernels.

use crate::host::Real;
use crate::lif::membrane::part;
use crate::recur::{Cell, Gradient, Reset, recurrence};

recurrence! {
    /// `i' = alpha i + x`, `u' = reset(beta u + i')`
    pub(super) static SYNAPTIC = "synaptic";
    cell = Current, "neuron/synaptic";
    states = 2;
    parameters = 3, ["alpha", "beta", "threshold"];
    kernels = "neuron/synaptic_forward", "neuron/synaptic_backward";
}

/// States: current, membrane.
pub(super) struct Current;

impl Cell<2, 3> for Current {
    #[inline(always)]
    fn advance<R: Real>(
        reset: Reset,
        [alpha, beta, threshold]: [R; 3],
        [i, u]: [R; 2],
        fired: R,
        x: R,
    ) -> [R; 2] {
        let i = alpha * i + x;
        [i, reset.take(beta * u + i, threshold, fired)]
    }

    #[inline(always)]
    fn retreat<R: Real>(
        reset: Reset,
        [alpha, beta, threshold]: [R; 3],
        [i, u]: [R; 2],
        fired: R,
        x: R,
        [gi, gu]: [R; 2],
    ) -> Gradient<R, 2, 3> {
        let charged = beta * u + (alpha * i + x);
        let taken = reset.take_back(charged, threshold, fired, gu);
        let (gu, gi) = (taken.charged, gi + taken.charged);
        Gradient {
            x: gi,
            fired: taken.fired,
            state: [alpha * gi, beta * gu],
            parameters: [part(gi, i), part(gu, u), taken.threshold],
        }
    }
}
