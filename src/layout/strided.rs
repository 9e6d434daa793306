//! The copy under permutations, slices and repetitions.

use super::twin;
use super::view::{ELEMENTS, View, octet};
use crate::kernel::{Cost, Kernel, few_turns, shader};
use crate::reduce::over_elements;
use crate::{Result, Shape, Tensor};

/// `y[c] = x[base + sum_a c_a stride_a]`
pub(super) static STRIDED: Kernel =
    Kernel::new("layout", "strided", shader!("layout/strided"), crate::twin!(twin::strided))
        .params::<Params>()
        .cost(|args| {
            // Of a slice only what is taken is read.
            let read = args.words[0].min(args.words[1]);
            Cost { bytes: 4.0 * (read + args.words[1]) as f64, flops: 0.0 }
        })
        .variants(ELEMENTS)
        .turns(few_turns);

crate::params! {
    /// Extents and strides stand innermost first.
    pub(super) struct Params {
        dims: [u32; 8],
        strides: [u32; 8],
        count: u32,
        base: u32,
        rank: u32,
        unused: u32,
    }
}

/// The elements of `view` at `base` plus multiples of `strides`, as a tensor of shape `dims`.
pub(super) fn strided(view: &View, dims: Shape, strides: &[usize], base: usize) -> Result<Tensor> {
    let y = view.output(dims)?;
    if y.count() == 0 {
        return Ok(y);
    }
    let axes = merge(&dims, strides);
    let params = Params {
        dims: octet(axes.iter().map(|(extent, _)| *extent), 1),
        strides: octet(axes.iter().map(|(_, stride)| *stride), 0),
        count: y.count() as u32,
        base: base as u32,
        rank: axes.len() as u32,
        unused: 0,
    };
    let launch = y.device().launch(&STRIDED).variant_at(view.variant()).params(&params);
    over_elements(y.device(), launch.bind_next(&view.words).bind_next(&y), y.count()).record()?;
    Ok(y)
}

/// The axes innermost first, as (extent, stride), with those that continue each other made one.
fn merge(dims: &[usize], strides: &[usize]) -> Vec<(usize, usize)> {
    let mut axes: Vec<(usize, usize)> = Vec::new();
    for (extent, stride) in dims.iter().zip(strides).rev().filter(|(extent, _)| **extent != 1) {
        match axes.last_mut() {
            Some((run, step)) if *stride == *step * *run => *run *= extent,
            _ => axes.push((*extent, *stride)),
        }
    }
    axes
}

#[cfg(test)]
mod tests {
    #[test]
    fn axes_that_continue_each_other_merge() {
        assert_eq!(super::merge(&[2, 3, 4], &[12, 4, 1]), [(24, 1)]);
        assert_eq!(super::merge(&[2, 1, 4], &[0, 7, 0]), [(8, 0)]);
        assert_eq!(super::merge(&[4, 2, 3], &[1, 12, 4]), [(6, 4), (4, 1)]);
    }
}
