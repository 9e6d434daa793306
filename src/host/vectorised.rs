//! Vector instructions for the host's loops.

pub(crate) use pulp::Simd;

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

/// Work that is written for the vector instructions it runs with.
pub(crate) trait Vectorised {
    /// The loops, `#[inline(always)]`, for a processor with these instructions.
    fn run<S: Simd>(&mut self);
}

/// Runs `work` with the widest vector instructions that the processor has.
pub(crate) fn vectorise(work: &mut impl Vectorised) {
    struct Body<'a, W>(&'a mut W);
    impl<W: Vectorised> pulp::WithSimd for Body<'_, W> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) {
            self.0.run::<S>();
        }
    }
    pulp::Arch::new().dispatch(Body(work));
}

/// Numbers of f32 in the widest vectors that the processor has.
pub(crate) fn lanes() -> usize {
    struct Lanes(usize);
    impl Vectorised for Lanes {
        #[inline(always)]
        fn run<S: Simd>(&mut self) {
            self.0 = S::F32_LANES;
        }
    }
    let mut lanes = Lanes(0);
    vectorise(&mut lanes);
    lanes.0
}

/// `a b + c`, fused where there are vector instructions: without them `mul_add` is a library call.
#[inline(always)]
pub(crate) fn multiply_add<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::IS_SCALAR { a * b + c } else { a.mul_add(b, c) }
}
