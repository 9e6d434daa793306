//! Vector instructions for the twins' loops.

/// Runs `loops`, which must be `#[inline(always)]`, with the widest vector instructions that the
/// processor has.
pub(crate) fn vectorised(loops: impl FnMut()) {
    /// Calls the closure's body itself: a closure handed over as `FnOnce` would be called through a
    /// function that is compiled without these instructions.
    struct Body<F>(F);
    impl<F: FnMut()> pulp::NullaryFnOnce for Body<F> {
        type Output = ();
        #[inline(always)]
        fn call(mut self) {
            (self.0)();
        }
    }
    pulp::Arch::new().dispatch(Body(loops));
}
