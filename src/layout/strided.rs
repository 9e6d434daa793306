//! The copy under permutations, slices and repetitions.

use super::view::{ELEMENTS, View, moved, octet};
use crate::host::{self, HostArgs, Real, each};
use crate::kernel::{Cost, CostArgs, few_iterations};
use crate::reduce::over_elements;
use crate::{Result, Shape, Tensor};

crate::params! {
    /// Extents and strides stand innermost first.
    pub(crate) struct StridedParams {
        dims: [u32; 8],
        strides: [u32; 8],
        count: u32,
        base: u32,
        rank: u32,
        unused: u32,
    }
}

crate::kernel! {
    /// `y[c] = x[base + sum_a c_a stride_a]`
    pub(super) static STRIDED = "layout/strided";
    params = StridedParams;
    oracle = strided_oracle;
    host = host::layout::strided;
    cost = cost;
    variants = ELEMENTS;
    iterations = few_iterations;
}

/// Of a slice only what is taken is read.
fn cost(args: &CostArgs<'_>) -> Cost {
    let (x, y) = (args.words_of("x"), args.words_of("y"));
    Cost { bytes: 4.0 * (x.min(y) + y) as f64, flops: 0.0 }
}

fn strided_oracle<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: StridedParams = args.params();
    moved!(args, |x, y| move_strided(&p, x, y))
}

fn move_strided<T: Copy + Send + Sync>(p: &StridedParams, x: &[T], y: &mut [T]) {
    each(y, |i| {
        let (mut rest, mut from) = (i, p.base as usize);
        for (extent, stride) in p.dims.iter().zip(&p.strides).take(p.rank as usize) {
            from += rest % *extent as usize * *stride as usize;
            rest /= *extent as usize;
        }
        x[from]
    });
}

/// The elements of `view` at `base` plus multiples of `strides`, as a tensor of shape `dims`.
pub(super) fn strided(view: &View, dims: Shape, strides: &[usize], base: usize) -> Result<Tensor> {
    let y = view.output(dims)?;
    if y.count() == 0 {
        return Ok(y);
    }
    let axes = merge(&dims, strides);
    let params = StridedParams {
        dims: octet(axes.iter().map(|(extent, _)| *extent), 1),
        strides: octet(axes.iter().map(|(_, stride)| *stride), 0),
        count: y.count() as u32,
        base: base as u32,
        rank: axes.len() as u32,
        unused: 0,
    };
    let launch = view.launch(&STRIDED).params(&params).bind("x", &view.words).bind("y", &y);
    over_elements(y.device(), launch, y.count()).record()?;
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
