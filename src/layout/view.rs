//! What the layout operators move: 4-byte words, whatever they mean.

use crate::kernel::{Kernel, Variant};
use crate::{DType, Error, Launch, Result, Shape, Tensor};

/// The variants of a kernel that moves words: floats first, since the host holds those apart.
pub(super) const ELEMENTS: &[Variant] =
    &[Variant::portable("f32", &[]), Variant::portable("u32", &["WORDS"])];

/// A tensor as words: f32 and u32 as they are, packed spikes with 32 steps a word.
pub(super) struct View {
    pub(super) words: Tensor,
    /// The steps of packed spikes.
    steps: Option<usize>,
}

impl View {
    /// # Errors
    /// [`Error::DType`] for f16.
    pub(super) fn of(op: &'static str, x: &Tensor) -> Result<Self> {
        match x.dtype() {
            DType::F32 | DType::U32 => Ok(Self { words: x.clone(), steps: None }),
            DType::F16 => x.expect(op, DType::F32).map(|()| Self { words: x.clone(), steps: None }),
            DType::Bits => {
                let Some(steps) = x.shape().first().copied() else {
                    return Err(Error::shape(op, "packed spikes without a time axis"));
                };
                let shape = x.shape().with(0, steps.div_ceil(32))?;
                Ok(Self { words: x.with_words_as(DType::U32, shape), steps: Some(steps) })
            }
        }
    }

    /// Whether the leading axis must stay as it is, since words run along it.
    pub(super) fn is_packed(&self) -> bool {
        self.steps.is_some()
    }

    pub(super) fn shape(&self) -> &Shape {
        self.words.shape()
    }

    /// An output of the view's type.
    pub(super) fn output(&self, shape: Shape) -> Result<Tensor> {
        Tensor::empty(self.words.device(), shape, self.words.dtype())
    }

    /// A launch of a kernel in [`ELEMENTS`] that moves it.
    pub(super) fn launch(&self, kernel: &'static Kernel) -> Launch {
        let launch = self.words.device().launch(kernel);
        launch.when("WORDS", self.words.dtype() != DType::F32)
    }

    /// The moved words as what they were.
    pub(super) fn restore(&self, y: Tensor) -> Result<Tensor> {
        match self.steps {
            Some(steps) => Ok(y.with_words_as(DType::Bits, y.shape().with(0, steps)?)),
            None => Ok(y),
        }
    }
}

/// Refuses what would move packed spikes along time.
pub(super) fn refuse_time(op: &'static str, view: &View, keeps_time: bool) -> Result<()> {
    if view.is_packed() && !keeps_time {
        let detail = "packed spikes keep their leading axis (time) whole and first";
        return Err(Error::argument(op, detail));
    }
    Ok(())
}

/// Up to eight numbers, as the shaders hold them.
pub(super) fn octet(values: impl Iterator<Item = usize>, rest: u32) -> [u32; 8] {
    let mut out = [rest; 8];
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = value as u32;
    }
    out
}

/// The distance between neighbours along each axis.
pub(super) fn strides(shape: &Shape) -> Vec<usize> {
    (0..shape.rank()).map(|a| shape.dims()[a + 1..].iter().product()).collect()
}

/// Calls a function generic over the element type with a launch's input x and output y: floats and words
/// are moved alike.
macro_rules! moved {
    ($args:ident, $move:expr) => {
        if $args.is_real("x") {
            $move($args.reals("x"), $args.reals_mut("y"))
        } else {
            $move($args.words("x"), $args.words_mut("y"))
        }
    };
}
pub(crate) use moved;
