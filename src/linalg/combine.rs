//! The second launch of a product whose depth was split.

use super::params::{Extra, Product};
use crate::elementwise::{ACTIVATION_MODULE, Activation};
use crate::host::{HostArgs, Real};
use crate::{Result, Tensor, kernel};

/// The sum over chunks, and the epilogue.
fn matmul_combine<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: CombineParams = args.params();
    let (count, n) = (p.count as usize, p.n as usize);
    let (parts, bias, partial_sums) = (args.reals("parts"), args.reals("bias"), args.reals("sums"));
    let activation = Activation::from_code(args.constant("ACT"), p.slope);
    let (pre, sums, add) = (args.flag("PRE"), args.flag("SUMS"), args.flag("ADD"));
    let (c, extra) = (args.reals_mut("c"), args.reals_mut("extra"));
    let total = |of: &[R], stride: usize, i: usize| -> R {
        (0..p.chunks as usize).map(|chunk| of[chunk * stride + i]).sum()
    };
    for (i, c) in c.iter_mut().enumerate().take(count) {
        let mut z = total(parts, count, i);
        if p.has_bias != 0 {
            z += bias[i % n];
        }
        if pre {
            extra[i] = z;
        }
        let y = activation.apply(z);
        *c = if add { *c + y } else { y };
    }
    if sums {
        for (i, sum) in extra.iter_mut().enumerate().take(n) {
            *sum = total(partial_sums, n, i);
        }
    }
}

kernel! {
    /// `c = act(sum of chunks + bias)`, in the order of the chunks.
    pub(super) static MATMUL_COMBINE = "linalg/matmul_combine";
    params = struct CombineParams {
        count: u32,
        n: u32,
        chunks: u32,
        has_bias: u32,
        slope: f32,
    };
    oracle = matmul_combine;
    modules = ACTIVATION_MODULE;
    iterations = |args| 2 + 2 * u64::from(args.params::<CombineParams>().chunks);
}

/// Sums the `chunks` partial products `parts`, and their column sums, into `c` and the second output, with
/// the epilogue of `product`.
pub(super) fn combine(
    product: &Product<'_>,
    chunks: usize,
    [parts, c]: [&Tensor; 2],
    [sums, extra]: [Option<&Tensor>; 2],
) -> Result<()> {
    let params = CombineParams {
        count: c.count() as u32,
        n: product.n as u32,
        chunks: chunks as u32,
        has_bias: u32::from(product.bias.is_some()),
        slope: product.activation.slope(),
    };
    let column_sums = product.extra == Extra::ColumnSums;
    let items = c.count() + if column_sums { product.n } else { 0 };
    let launch = parts.device().launch(&MATMUL_COMBINE).params(&params);
    launch
        .bind("parts", parts)
        .bind_if("bias", product.bias)
        .bind_if("sums", sums)
        .bind("c", c)
        .bind_if("extra", extra)
        .constant("ACT", product.activation.code())
        .constant("PRE", product.extra == Extra::PreActivation)
        .constant("SUMS", column_sums)
        .constant("ADD", product.target.is_some())
        .items(items)
        .record()
}
