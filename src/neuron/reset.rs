//! What a spike takes.

use crate::recur::Expr;

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

impl Reset {
    /// The membrane that is left.
    pub(super) fn of<'a>(
        self,
        fired: Expr<'a>,
        charged: Expr<'a>,
        threshold: Expr<'a>,
    ) -> Expr<'a> {
        match self {
            Reset::None => charged,
            Reset::Subtract => charged - fired.choose(threshold, charged.zero()),
            Reset::Zero => fired.choose(charged.zero(), charged),
        }
    }
}
