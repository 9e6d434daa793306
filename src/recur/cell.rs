//! What a recurrence is made of.

use super::Reset;
use crate::host::Real;

/// An equation of `S` states and `P` parameters from step to step. The last state is the membrane, the
/// last parameter the threshold: the driver compares them. In WGSL it is the module `package::cell`, with
/// functions of the same names.
///
/// A spike is a number: 0 or 1, and between them in a smooth neuron.
pub(crate) trait Cell<const S: usize, const P: usize> {
    /// The state after a step with input `x`, from a state `s` that had `fired`.
    fn advance<R: Real>(reset: Reset, c: [R; P], s: [R; S], fired: R, x: R) -> [R; S];

    /// The adjoint of [`advance`](Self::advance), `g` being the gradient of the state after the step.
    fn retreat<R: Real>(
        reset: Reset,
        c: [R; P],
        s: [R; S],
        fired: R,
        x: R,
        g: [R; S],
    ) -> Gradient<R, S, P>;
}

/// The gradient of a step: of its input, of whether the state before had fired, of that state, and of the
/// parameters.
pub(crate) struct Gradient<R, const S: usize, const P: usize> {
    pub(crate) x: R,
    pub(crate) fired: R,
    pub(crate) state: [R; S],
    pub(crate) parameters: [R; P],
}
