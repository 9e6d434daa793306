//! Products by cooperative matrices: an experimental feature, used only where it is asked for.

use super::oracle::row;
use super::params::{Left, Product, ProductParams, cost};
use crate::elementwise::Activation;
use crate::host::parallel::*;
use crate::host::{HostArgs, Real, floats};
use crate::kernel::{Needs, Variant};
use crate::{DType, Error, Result, Shape, Tensor, kernel};

/// A dense product of f16 operands without epilogue.
fn matmul_coop<R: Real>(args: &mut HostArgs<'_, R>) {
    let p: ProductParams = args.params();
    let [n, k] = [p.n, p.k].map(|v| v as usize);
    let (a, b) = (floats(args, "a"), floats(args, "b"));
    args.reals_mut("c").par_chunks_mut(n).enumerate().for_each(|(i, c)| {
        c.copy_from_slice(&row(n, 0..k, |l| a[i * k + l], |l, j| b[l * n + j]));
    });
}

kernel! {
    /// `C = A B` with f16 operands. The baseline computes the same in plain arithmetic.
    pub(super) static MATMUL_COOP = "linalg/matmul_coop";
    params = ProductParams;
    oracle = matmul_coop;
    cost = cost;
    variants = &[
        Variant::portable("plain", &[]),
        Variant {
            name: "cooperative 8 x 8",
            conditions: &["COOP", "EIGHT"],
            needs: Needs::COOP_MATRIX,
        },
        Variant { name: "cooperative 16 x 16", conditions: &["COOP"], needs: Needs::COOP_MATRIX },
    ];
    iterations = |args| {
        // The baseline has a walk for each of an invocation's elements.
        let depth = u64::from(args.params::<ProductParams>().k);
        let elements = 256u64.div_ceil(args.constant("WG").max(1));
        if args.when("COOP") { depth / 8 + 2 } else { elements * (depth + 2) }
    };
}

/// What every extent must be a multiple of.
const TILE: usize = 16;

/// Runs `product`, or refuses it.
pub(super) fn run(product: &Product<'_>, shape: Shape) -> Result<Tensor> {
    let device = product.a.device();
    let Some(unit) = device.capabilities().coop_matrix else {
        return Err(Error::Unsupported {
            what: "the matrix product by cooperative matrices".into(),
            feature: "cooperative matrices with f16 operands (DeviceBuilder::coop_matrix)".into(),
        });
    };
    check(product)?;
    let c = Tensor::empty(device, shape, DType::F32)?;
    let params = ProductParams {
        m: product.m as u32,
        n: product.n as u32,
        k: product.k as u32,
        batch: 1,
        groups: (product.m / 4) as u32,
        batches: 1,
        ..ProductParams::default()
    };
    let size = unit.size as usize;
    let tiles = product.m / size * (product.n / size);
    // A workgroup of one subgroup. Where the driver takes smaller ones, each computes the tile.
    let subgroup = device.capabilities().subgroup_size.1.clamp(8, 128);
    let launch = device.launch(&MATMUL_COOP).when("COOP", true).when("EIGHT", size == 8);
    let launch = launch.params(&params).constant("WG", subgroup);
    launch.bind("a", product.a).bind("b", product.b).bind("c", &c).workgroups(tiles).record()?;
    Ok(c)
}

fn check(product: &Product<'_>) -> Result<()> {
    let plain = product.left == Left::Dense { transposed: false }
        && !product.b_transposed
        && product.bias.is_none()
        && product.activation == Activation::Identity
        && product.batches == 1;
    let extents = [product.m, product.n, product.k];
    if !plain || product.a.dtype() != DType::F16 || extents.iter().any(|e| e % TILE != 0) {
        let detail = format!(
            "cooperative matrices take f16 operands [M, K] and [K, N] without bias and activation, \
             with extents that are multiples of {TILE}; M, N, K are {extents:?}"
        );
        return Err(Error::argument("matmul", detail));
    }
    Ok(())
}
