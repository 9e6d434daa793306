//! How a matrix product is run: which kernel, which tile, in how many launches.

use super::{bits, combine, matmul};
use crate::elementwise::Activation;
use crate::gpu::Capabilities;
use crate::kernel::{Cost, CostArgs, Kernel, Needs, Variant};
use crate::{DType, Result, Shape, Tensor};

/// The parameters of every product kernel, as in `shared/operands.wgsl`.
#[derive(Debug, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Params {
    pub(super) m: u32,
    pub(super) n: u32,
    pub(super) k: u32,
    pub(super) batch_first: u32,
    pub(super) batch: u32,
    pub(super) group_first: u32,
    pub(super) groups: u32,
    pub(super) batches: u32,
    pub(super) stride_a: u32,
    pub(super) stride_b: u32,
    pub(super) chunk: u32,
    pub(super) steps: u32,
    pub(super) lanes: u32,
    pub(super) has_bias: u32,
    pub(super) slope: f32,
}

/// Floating-point work of one launch: larger products are split over rows and batch entries, so
/// that a launch stays far below a driver's watchdog on a slow GPU too.
pub(super) const MAX_LAUNCH_FLOPS: f64 = 2e10;

/// Workgroups that keep a large GPU busy: with fewer, the depth is split.
const BUSY_WORKGROUPS: usize = 128;

/// Invocations that keep the vector lanes of a software adapter busy.
const BUSY_INVOCATIONS: usize = 256;

/// The least depth that a chunk of a split product keeps.
const MIN_CHUNK: usize = 256;

/// The tile of a workgroup of `matmul_tiled`, in rows and columns.
const TILED: usize = 64;

const fn variant(name: &'static str, features: &'static [&'static str]) -> Variant {
    Variant { name, features, needs: Needs::NOTHING }
}

/// How operands are stored and read. Chosen from the operands, not from the adapter.
pub(super) const DENSE_VARIANTS: &[Variant] = &[
    variant("f32", &[]),
    variant("f32 by four", &["VEC"]),
    variant("f16", &["HALF"]),
    variant("f16 by four", &["HALF", "VEC"]),
    variant("f16 by four to f16", &["HALF", "VEC", "HALF_OUT"]),
];

/// Likewise for packed spikes.
pub(super) const BITS_VARIANTS: &[Variant] =
    &[variant("bits", &["BITS"]), variant("bits by four", &["BITS", "VEC"])];

/// What the left operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// A matrix, transposed or not.
    Dense { transposed: bool },
    /// Packed spikes `[steps, lanes, k]`; rows of C are (step, lane).
    Spikes { steps: usize, lanes: usize },
    /// Packed spikes `[steps, lanes, m]`; the depth is (step, lane).
    SpikesTransposed { steps: usize, lanes: usize },
}

/// A second output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extra {
    None,
    /// `A B + bias` before the activation.
    PreActivation,
    /// The sums of B's columns.
    ColumnSums,
}

/// Which kernel computes a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MatmulKernel {
    /// The one that suits device and sizes.
    #[default]
    Auto,
    /// One output an invocation: the baseline of measurements.
    Naive,
    /// Register tiles without workgroup memory.
    Registers,
    /// Tiles in workgroup memory.
    Tiled,
    /// Cooperative matrices: f16 operands, f32 sums. Only on a device opened with
    /// [`coop_matrix`](crate::DeviceBuilder::coop_matrix).
    Coop,
}

/// A product `act(A B + bias)` with checked sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) a: &'a Tensor,
    pub(super) b: &'a Tensor,
    pub(super) left: Left,
    pub(super) b_transposed: bool,
    pub(super) bias: Option<&'a Tensor>,
    pub(super) activation: Activation,
    pub(super) extra: Extra,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) batches: usize,
    /// Whether every batch entry has an operand of its own.
    pub(super) batched: [bool; 2],
    pub(super) kernel: MatmulKernel,
    /// The type of C.
    pub(super) output: DType,
}

/// Kernel, tile and depth split of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) kernel: MatmulKernel,
    /// Blocks of 4 x 4 in the tile of one invocation (of one workgroup for tiled kernels).
    pub(super) blocks: [usize; 2],
    /// Invocations of a workgroup.
    pub(super) workgroup: u32,
    /// Depth of a chunk.
    pub(super) chunk: usize,
}

/// Chooses kernel, tile and depth split.
///
/// - Software adapters pay for loads and barriers, and hardly for registers: the register kernel
///   with the largest tile (16 x 16) that still fills their vector lanes.
/// - GPUs: workgroup memory where both extents fill a good part of a tile, else the register kernel with
///   small tiles, so that thin matrices (one row, a few classes) still make enough invocations.
/// - Where the tiles of a GPU are too few to fill it and the depth is large (weight gradients: depth
///   T B), the depth is split into chunks which a second launch sums in order.
pub(super) fn plan(
    capabilities: &Capabilities,
    wanted: MatmulKernel,
    left: Left,
    [m, n, k, batches]: [usize; 4],
) -> Plan {
    let whole = k.max(1).next_multiple_of(4);
    let tiles = |rows: usize, cols: usize| batches * m.div_ceil(rows) * n.div_ceil(cols);
    let dense = matches!(left, Left::Dense { .. });
    let thin = m < TILED / 2 || n < TILED / 2;
    let kernel = match wanted {
        MatmulKernel::Auto if capabilities.software || thin || !dense => MatmulKernel::Registers,
        MatmulKernel::Auto => MatmulKernel::Tiled,
        chosen => chosen,
    };
    match kernel {
        MatmulKernel::Naive => Plan { kernel, blocks: [1, 1], workgroup: 64, chunk: whole },
        MatmulKernel::Tiled => {
            let chunk = split_depth(whole, tiles(TILED, TILED), BUSY_WORKGROUPS);
            Plan { kernel, blocks: [TILED / 4, TILED / 4], workgroup: 1, chunk }
        }
        MatmulKernel::Coop => Plan { kernel, blocks: [4, 4], workgroup: 1, chunk: whole },
        _ => {
            let (largest, workgroup) = if capabilities.software { (4, 8) } else { (2, 64) };
            let busy = if capabilities.software { BUSY_INVOCATIONS } else { 64 * BUSY_WORKGROUPS };
            let mut blocks = [largest; 2];
            while blocks[0] * 4 > m.next_multiple_of(4) && blocks[0] > 1 {
                blocks[0] /= 2;
            }
            while blocks[1] > 1
                && (blocks[1] * 4 > n.next_multiple_of(4) || tiles(4 * blocks[0], 4 * blocks[1]) < busy)
            {
                blocks[1] /= 2;
            }
            while blocks[0] > 1 && tiles(4 * blocks[0], 4 * blocks[1]) < busy {
                blocks[0] /= 2;
            }
            let chunk = split_depth(whole, tiles(4 * blocks[0], 4 * blocks[1]), busy);
            Plan { kernel: MatmulKernel::Registers, blocks, workgroup, chunk }
        }
    }
}

/// The depth of a chunk, so that `tiles` become `busy`, at least [`MIN_CHUNK`].
fn split_depth(depth: usize, tiles: usize, busy: usize) -> usize {
    let chunks = (busy / tiles.max(1)).min(depth / MIN_CHUNK).max(1);
    depth.div_ceil(chunks).next_multiple_of(4)
}

impl Product<'_> {
    /// Runs the product into a C of shape `shape`; the second tensor is [`Extra`]'s.
    pub(super) fn run(&self, shape: Shape) -> Result<(Tensor, Option<Tensor>)> {
        let device = self.a.device();
        let depth = match self.left {
            Left::SpikesTransposed { steps, lanes } => 4 * steps.div_ceil(4) * lanes,
            _ => self.k,
        };
        let plan = plan(device.capabilities(), self.kernel, self.left, [self.m, self.n, depth, self.batches]);
        let chunks = if device.is_host() { 1 } else { depth.max(1).div_ceil(plan.chunk) };
        let plan = if chunks == 1 { Plan { chunk: depth.max(1).next_multiple_of(4), ..plan } } else { plan };
        let wide = self.by_four(depth);
        let direct = self.output == DType::F16 && wide && chunks == 1 && self.a.dtype() == DType::F16;
        let c_type = if direct { DType::F16 } else { DType::F32 };
        let extra_shape = match self.extra {
            Extra::None => Shape::new(&[4])?,
            Extra::PreActivation => shape,
            Extra::ColumnSums => Shape::new(&[self.n])?,
        };
        let (c, extra) = if chunks == 1 {
            let c = Tensor::empty(device, shape, c_type)?;
            let extra = Tensor::empty(device, extra_shape, DType::F32)?;
            self.launch(&plan, chunks, wide, &c, &extra)?;
            (c, extra)
        } else {
            let parts = Tensor::empty(device, [chunks, self.batches, self.m, self.n], DType::F32)?;
            let sums = match self.extra {
                Extra::ColumnSums => [chunks, self.n],
                _ => [1, 4],
            };
            let sums = Tensor::empty(device, sums, DType::F32)?;
            self.launch(&plan, chunks, wide, &parts, &sums)?;
            combine::combine(self, chunks, &parts, &sums, shape, extra_shape)?
        };
        let c = if c.dtype() == self.output { c } else { super::convert::narrow(&c)? };
        Ok((c, (self.extra != Extra::None).then_some(extra)))
    }

    /// Whether rows can be read and written four elements at a time.
    fn by_four(&self, depth: usize) -> bool {
        let inner_a = match self.left {
            Left::Dense { transposed: true } | Left::SpikesTransposed { .. } => self.m,
            _ => self.k,
        };
        let inner_b = if self.b_transposed { self.k } else { self.n };
        let extents = [inner_a, inner_b, self.n];
        depth > 0 && extents.iter().all(|e| e.is_multiple_of(4) && *e > 0)
    }

    /// The kernel and the number of its variant.
    fn kernel(&self, plan: &Plan, wide: bool, c: &Tensor) -> (&'static Kernel, usize) {
        let half = 2 * usize::from(self.a.dtype() == DType::F16);
        let to_half = usize::from(c.dtype() == DType::F16);
        let dense = half + usize::from(wide) + to_half;
        match (self.left, plan.kernel) {
            (Left::Spikes { .. }, _) => (&bits::BITS_MATMUL, usize::from(wide)),
            (Left::SpikesTransposed { .. }, _) => (&bits::BITS_MATMUL_TN, usize::from(wide)),
            (_, MatmulKernel::Naive) => (&matmul::MATMUL_NAIVE, 0),
            (_, MatmulKernel::Tiled) => (&matmul::MATMUL_TILED, dense),
            _ => (&matmul::MATMUL, dense),
        }
    }

    /// Groups of four rows of C.
    fn groups(&self) -> usize {
        match self.left {
            Left::Spikes { steps, lanes } => lanes * steps.div_ceil(4),
            _ => self.m.div_ceil(4),
        }
    }

    /// Records the launches that together cover C.
    fn launch(&self, plan: &Plan, chunks: usize, wide: bool, c: &Tensor, extra: &Tensor) -> Result<()> {
        let entry_flops = 2.0 * self.m as f64 * self.n as f64 * self.k as f64;
        let host = self.a.device().is_host();
        let limit = if host { f64::INFINITY } else { MAX_LAUNCH_FLOPS };
        let groups = self.groups();
        let parts = (entry_flops / limit).ceil().max(1.0) as usize;
        let group_step = groups.div_ceil(parts).next_multiple_of(plan.blocks[0]).max(1);
        let entry_step = ((limit / entry_flops.max(1.0)) as usize).clamp(1, self.batches.max(1));
        for batch_first in (0..self.batches).step_by(entry_step) {
            for group_first in (0..groups).step_by(group_step) {
                let params = Params {
                    batch_first: batch_first as u32,
                    batch: entry_step.min(self.batches - batch_first) as u32,
                    group_first: group_first as u32,
                    groups: group_step.min(groups - group_first) as u32,
                    ..self.params(plan, chunks)
                };
                self.launch_one(plan, chunks, wide, &params, c, extra)?;
            }
        }
        Ok(())
    }

    fn params(&self, plan: &Plan, chunks: usize) -> Params {
        let stride = |i: usize, count: usize| if self.batched[i] { count as u32 } else { 0 };
        let (steps, lanes) = match self.left {
            Left::Spikes { steps, lanes } | Left::SpikesTransposed { steps, lanes } => (steps, lanes),
            Left::Dense { .. } => (0, 0),
        };
        Params {
            m: self.m as u32,
            n: self.n as u32,
            k: self.k as u32,
            batches: self.batches as u32,
            stride_a: stride(0, self.m * self.k),
            stride_b: stride(1, self.k * self.n),
            chunk: plan.chunk as u32,
            steps: steps as u32,
            lanes: lanes as u32,
            has_bias: u32::from(self.bias.is_some() && chunks == 1),
            slope: self.activation.slope(),
            ..Params::default()
        }
    }

    fn launch_one(
        &self,
        plan: &Plan,
        chunks: usize,
        wide: bool,
        params: &Params,
        c: &Tensor,
        extra: &Tensor,
    ) -> Result<()> {
        let device = self.a.device();
        let (kernel, variant) = self.kernel(plan, wide, c);
        let unused;
        let bias = match self.bias {
            Some(bias) if chunks == 1 => bias,
            _ if self.b.dtype() == DType::F32 => self.b,
            _ => {
                unused = Tensor::empty(device, [4], DType::F32)?;
                &unused
            }
        };
        let fused = chunks == 1;
        let mut launch = device.launch(kernel).variant(variant).params(params);
        launch = launch.bind(self.a).bind(self.b).bind(bias).bind(c);
        if let Left::Dense { transposed } = self.left {
            launch = launch.constant("A_T", u32::from(transposed));
            launch = launch.constant("B_T", u32::from(self.b_transposed));
        }
        if fused {
            launch = launch.constant("ACT", self.activation.code());
        }
        if plan.kernel == MatmulKernel::Naive && matches!(self.left, Left::Dense { .. }) {
            let rows = self.m.min(4 * params.groups as usize);
            return launch.items(params.batch as usize * rows * self.n, 64).record();
        }
        if self.extra == Extra::PreActivation {
            launch = launch.constant("PRE", u32::from(fused));
        }
        if self.extra == Extra::ColumnSums {
            launch = launch.constant("SUMS", 1u32);
        }
        launch = launch.bind(extra);
        let tiles_m = (params.groups as usize).div_ceil(plan.blocks[0]);
        let tiles = chunks * params.batch as usize * tiles_m * self.n.div_ceil(4 * plan.blocks[1]);
        if plan.workgroup > 1 {
            let [rb, cb] = plan.blocks;
            launch = launch.constant("RB", rb as u32).constant("CB", cb as u32);
            launch = launch.constant("WG", plan.workgroup);
        }
        if plan.kernel == MatmulKernel::Registers && !matches!(self.left, Left::SpikesTransposed { .. }) {
            launch = launch.constant("TAIL", u32::from(!self.k.is_multiple_of(4)));
        }
        launch.items(tiles, plan.workgroup).record()
    }
}

/// `2 m n k` operations; every operand moved once.
pub(super) fn cost(args: &CostArgs<'_>) -> Cost {
    let p: Params = args.params();
    let part = f64::from(p.batch) / f64::from(p.batches.max(1))
        * (4.0 * f64::from(p.groups) / f64::from(p.m.max(1))).min(1.0);
    let products = f64::from(p.m) * f64::from(p.n) * f64::from(p.k) * f64::from(p.batches);
    let used = args.words.iter().enumerate().filter(|(i, _)| *i != 2 || p.has_bias != 0);
    let bytes: u64 = used.map(|(_, words)| words * 4).sum();
    Cost { bytes: bytes as f64 * part, flops: 2.0 * products * part }
}
