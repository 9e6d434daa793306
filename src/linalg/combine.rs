//! The second launch of a product whose depth was split.

use super::product::{Extra, Product};
use super::twin;
use crate::kernel::{Kernel, shader};
use crate::{DType, Result, Shape, Tensor};

/// `c = act(sum of chunks + bias)`, in the order of the chunks.
pub(super) static MATMUL_COMBINE: Kernel = Kernel::new(
    "linalg",
    "matmul_combine",
    shader!("linalg/matmul_combine"),
    crate::twin!(twin::combine),
)
.params::<Params>()
.turns(|args| 2 + 2 * u64::from(args.params::<Params>().chunks));

crate::params! {
    pub(super) struct Params {
        count: u32,
        n: u32,
        chunks: u32,
        has_bias: u32,
        slope: f32,
    }
}

/// Sums `chunks` partial products and applies the epilogue of `product`.
pub(super) fn combine(
    product: &Product<'_>,
    chunks: usize,
    parts: &Tensor,
    sums: &Tensor,
    shape: Shape,
    extra_shape: Shape,
) -> Result<(Tensor, Tensor)> {
    let device = parts.device();
    let c = product.output(shape, DType::F32)?;
    let extra = Tensor::empty(device, extra_shape, DType::F32)?;
    let params = Params {
        count: c.count() as u32,
        n: product.n as u32,
        chunks: chunks as u32,
        has_bias: u32::from(product.bias.is_some()),
        slope: product.activation.slope(),
    };
    let column_sums = product.extra == Extra::ColumnSums;
    let items = c.count() + if column_sums { product.n } else { 0 };
    let launch = device.launch(&MATMUL_COMBINE).params(&params).bind_next(parts);
    launch
        .bind_next(product.bias.unwrap_or(parts))
        .bind_next(sums)
        .bind_next(&c)
        .bind_next(&extra)
        .constant("ACT", product.activation.code())
        .constant("PRE", u32::from(product.extra == Extra::PreActivation))
        .constant("SUMS", u32::from(column_sums))
        .constant("ADD", u32::from(product.target.is_some()))
        .items_of(items, 64)
        .record()?;
    Ok((c, extra))
}
