//! What a spike takes.

use crate::host::Real;
use crate::lif::membrane::choose;

/// What a spike takes of the membrane in the step after it, which charged it to `c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reset {
    /// Nothing: `u = c`.
    None,
    /// A threshold: `u = c - threshold`.
    #[default]
    Subtract,
    /// All, the input of the step too: `u = 0`.
    Zero,
}

/// What of `dL/du` goes to the charged membrane, to the threshold and to the spike.
pub(crate) struct Taken<R> {
    pub(crate) charged: R,
    pub(crate) threshold: R,
    pub(crate) fired: R,
}

impl Reset {
    /// Its number in `recur/reset.wgsl`.
    pub(super) fn code(self) -> u32 {
        match self {
            Reset::None => 0,
            Reset::Subtract => 1,
            Reset::Zero => 2,
        }
    }

    pub(super) fn from_code(code: u32) -> Self {
        match code {
            0 => Reset::None,
            1 => Reset::Subtract,
            _ => Reset::Zero,
        }
    }

    /// The membrane that is left.
    #[inline(always)]
    pub(crate) fn take<R: Real>(self, charged: R, threshold: R, fired: R) -> R {
        match self {
            Reset::None => charged,
            Reset::Subtract => choose(fired, charged - threshold, charged),
            Reset::Zero => choose(fired, R::zero(), charged),
        }
    }

    /// The adjoint of [`take`](Self::take).
    #[inline(always)]
    pub(crate) fn take_back<R: Real>(self, charged: R, threshold: R, fired: R, g: R) -> Taken<R> {
        let none = R::zero();
        match self {
            Reset::None => Taken { charged: g, threshold: none, fired: none },
            Reset::Subtract => {
                Taken { charged: g, threshold: choose(fired, -g, none), fired: -g * threshold }
            }
            Reset::Zero => {
                Taken { charged: choose(fired, none, g), threshold: none, fired: -g * charged }
            }
        }
    }
}
