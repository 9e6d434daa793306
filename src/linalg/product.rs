//! How a matrix product is run: which kernel, which tile, in how many launches.

use super::params::{Extra, Left, MatmulKernel, Product, ProductParams};
use super::{combine, coop, dense, spikes};
use crate::device::Tuning;
use crate::dispatch::Launch;
use crate::{DType, Result, Shape, Tensor};

/// Workgroups that keep a large GPU busy: with fewer, the depth is split.
const BUSY_WORKGROUPS: usize = 128;

/// The least depth that a chunk of a split product keeps.
const MIN_CHUNK: usize = 256;

/// The most chunks: they are summed one after another.
const MAX_CHUNKS: usize = 128;

/// The tile of a workgroup of `matmul_tiled`, in rows and columns.
const TILED: usize = 64;

/// Kernel, tile and depth split of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) kernel: MatmulKernel,
    /// Blocks of 4 x 4 in the tile of one invocation (of one workgroup for tiled kernels).
    pub(super) blocks: [usize; 2],
    /// Invocations of a workgroup.
    pub(super) workgroup: u32,
    /// Depth of a chunk, a multiple of 4.
    pub(super) chunk: usize,
    /// Chunks that the depth is split into.
    pub(super) chunks: usize,
    /// Whether rows are read four elements at a time.
    pub(super) vec4: bool,
}

/// The deepest chunk of a software adapter, whose loops end early: those over a block, of 4 or of 16 of
/// depth, take no more iterations than it has depth, and those of the tiled kernel not twice as many.
const DEEPEST: usize = 60_000;

/// Chooses kernel, tile and depth split; `limited` where the device ends long loops.
///
/// - Software adapters pay for loads and barriers, and hardly for registers: the register kernel
///   with the largest tile (8 x 8) that still fills their vector lanes.
/// - GPUs: workgroup memory where both extents fill a good part of a tile, else the register kernel with
///   small tiles, so that thin matrices (one row, a few classes) still make enough invocations.
/// - Where the tiles of a GPU are too few to fill it and the depth is large (weight gradients: depth
///   T B), the depth is split into chunks which a second launch sums in order; on a software adapter
///   wherever it is large, for its caches.
pub(super) fn plan(
    (tuning, limited): (&Tuning, bool),
    wanted: MatmulKernel,
    left: Left,
    [m, n, k, batches]: [usize; 4],
) -> Plan {
    let tiles = |rows: usize, cols: usize| batches * m.div_ceil(rows) * n.div_ceil(cols);
    let dense = matches!(left, Left::Dense { .. });
    let thin = m < TILED / 2 || n < TILED / 2;
    let kernel = match wanted {
        MatmulKernel::Auto if tuning.alone || thin || !dense => MatmulKernel::Registers,
        MatmulKernel::Auto => MatmulKernel::Tiled,
        _ if !dense => MatmulKernel::Registers,
        chosen => chosen,
    };
    let (blocks, workgroup, busy) = match kernel {
        MatmulKernel::Naive => ([1, 1], 64, 0),
        MatmulKernel::Tiled => ([TILED / 4; 2], 1, BUSY_WORKGROUPS),
        _ => {
            let tile = register_tile(tuning, [m, n, batches]);
            (tile.blocks, tile.workgroup, tile.busy)
        }
    };
    let chunk = split_depth(k.max(1), tiles(4 * blocks[0], 4 * blocks[1]), busy);
    let chunk = match left {
        Left::Dense { transposed: true } => {
            chunk.min(tuning.near_depth.max(k.div_ceil(MAX_CHUNKS).next_multiple_of(4)))
        }
        _ => chunk,
    };
    let deepest = if kernel == MatmulKernel::Tiled { DEEPEST / 2 } else { DEEPEST };
    let chunk = if limited { chunk.min(deepest) } else { chunk };
    let chunks = k.max(1).div_ceil(chunk);
    Plan { kernel, blocks, workgroup, chunk, chunks, vec4: false }
}

/// How a kernel that keeps its tile in registers is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegisterTile {
    /// Blocks of 4 x 4 in the tile of an invocation.
    pub(crate) blocks: [usize; 2],
    /// Invocations of a workgroup.
    pub(crate) workgroup: u32,
    /// Invocations that keep the device busy.
    pub(crate) busy: usize,
}

/// The widest tile that lies in an output of m x n and leaves enough of them.
pub(crate) fn register_tile(tuning: &Tuning, [m, n, batches]: [usize; 3]) -> RegisterTile {
    let (workgroup, busy) = (tuning.tile_group, tuning.tile_invocations);
    let tiles = |rows: usize, cols: usize| batches * m.div_ceil(4 * rows) * n.div_ceil(4 * cols);
    let fits = |[rows, cols]: &[usize; 2]| {
        (*rows == 1 || m > 4) && (*cols == 1 || n > 4) && tiles(*rows, *cols) >= busy
    };
    let blocks = [[2, 2], [2, 1], [1, 2]].into_iter().find(fits).unwrap_or([1, 1]);
    RegisterTile { blocks, workgroup, busy }
}

/// The depth of a chunk, so that `tiles` become `busy`, at least [`MIN_CHUNK`].
pub(crate) fn split_depth(depth: usize, tiles: usize, busy: usize) -> usize {
    let chunks = (busy / tiles.max(1)).min(depth / MIN_CHUNK).clamp(1, MAX_CHUNKS);
    depth.div_ceil(chunks).next_multiple_of(4)
}

impl Product<'_> {
    /// Runs the product into a C of shape `shape`; the second tensor is [`Extra`]'s.
    pub(super) fn run(&self, shape: Shape) -> Result<(Tensor, Option<Tensor>)> {
        if self.kernel == MatmulKernel::Coop {
            return Ok((coop::run(self, shape)?, None));
        }
        let extra_shape = match self.extra {
            Extra::None => None,
            Extra::PreActivation => Some(shape),
            Extra::ColumnSums => Some(Shape::new(&[self.n])?),
        };
        let plan = self.plan();
        let (c, extra) = if shape.count() == 0 {
            let c = self.output(shape, DType::F32)?;
            (c, extra_shape.map(|shape| self.extra_of_nothing(shape)).transpose()?)
        } else if plan.chunks == 1 {
            let c = self.output(shape, self.direct_output(&plan))?;
            let extra = self.empty(extra_shape)?;
            self.launch(&plan, &c, extra.as_ref()).record()?;
            (c, extra)
        } else {
            self.run_split(&plan, shape, extra_shape)?
        };
        let c = if c.dtype() == self.output { c } else { super::convert::narrow(&c)? };
        Ok((c, extra))
    }

    /// The two launches of a product whose depth is split.
    fn run_split(
        &self,
        plan: &Plan,
        shape: Shape,
        extra_shape: Option<Shape>,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let device = self.a.device();
        let parts = [plan.chunks, self.batches, self.m, self.n];
        let parts = Tensor::empty(device, parts, DType::F32)?;
        let sums = self.extra == Extra::ColumnSums;
        let sums = sums.then(|| Shape::new(&[plan.chunks, self.n])).transpose()?;
        let sums = self.empty(sums)?;
        self.launch(plan, &parts, sums.as_ref()).record()?;
        let (c, extra) = (self.output(shape, DType::F32)?, self.empty(extra_shape)?);
        combine::combine(self, plan.chunks, [&parts, &c], [sums.as_ref(), extra.as_ref()])?;
        Ok((c, extra))
    }

    /// A new C, or the one that is added to.
    fn output(&self, shape: Shape, dtype: DType) -> Result<Tensor> {
        match self.target {
            Some(target) => target.reshape(shape),
            None => Tensor::empty(self.a.device(), shape, dtype),
        }
    }

    fn empty(&self, shape: Option<Shape>) -> Result<Option<Tensor>> {
        shape.map(|shape| Tensor::empty(self.a.device(), shape, DType::F32)).transpose()
    }

    fn plan(&self) -> Plan {
        let device = self.a.device();
        let depth = match self.left {
            // Every sample's steps begin a new group of four.
            Left::SpikesTransposed { steps, lanes } => 4 * steps.div_ceil(4) * lanes,
            _ => self.k,
        };
        let sizes = [self.m, self.n, depth, self.batches];
        let limited = device.capabilities().max_iterations.is_some();
        let mut plan = plan((device.tuning(), limited), self.kernel, self.left, sizes);
        plan.vec4 = self.by_four(depth);
        if !device.tuning().chunks || plan.kernel == MatmulKernel::Naive {
            plan.chunk = depth.max(1).next_multiple_of(4);
        }
        plan.chunks = depth.max(1).div_ceil(plan.chunk);
        plan
    }

    /// The type that the product kernel itself can write.
    fn direct_output(&self, plan: &Plan) -> DType {
        if self.a.dtype() == DType::F16 && plan.vec4 { self.output } else { DType::F32 }
    }

    /// The second output where C has no elements: only column sums can have any.
    fn extra_of_nothing(&self, shape: Shape) -> Result<Tensor> {
        let device = self.a.device();
        if self.extra != Extra::ColumnSums || self.n == 0 || self.k == 0 {
            return Tensor::zeros(device, shape, DType::F32);
        }
        let ones = crate::elementwise::full(device, [1, self.k], 1.0)?;
        let b = self.b.reshape([self.k, self.n])?;
        let left = Left::Dense { transposed: false };
        let sums = Product { a: &ones, b: &b, left, m: 1, extra: Extra::None, ..*self };
        sums.run(shape).map(|(sums, _)| sums)
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

    /// A launch of the kernel, under the conditions of the operands.
    fn compiled(&self, plan: &Plan, c: &Tensor) -> Launch {
        let device = self.a.device();
        let launch = match (self.left, plan.kernel) {
            (Left::Spikes { .. }, _) => device.launch(&spikes::BITS_MATMUL).when("BITS", true),
            (Left::SpikesTransposed { .. }, _) => {
                device.launch(&spikes::BITS_MATMUL_TN).when("BITS", true)
            }
            (_, MatmulKernel::Naive) => return device.launch(&dense::MATMUL_NAIVE),
            (_, MatmulKernel::Tiled) => self.dense(device.launch(&dense::MATMUL_TILED), c),
            _ => self.dense(device.launch(&dense::MATMUL), c),
        };
        launch.when("VEC", plan.vec4)
    }

    fn dense(&self, launch: Launch, c: &Tensor) -> Launch {
        let launch = launch.when("HALF", self.a.dtype() == DType::F16);
        launch.when("HALF_OUT", c.dtype() == DType::F16)
    }

    /// Groups of four rows of C.
    fn groups(&self) -> usize {
        match self.left {
            Left::Spikes { steps, lanes } => lanes * steps.div_ceil(4),
            _ => self.m.div_ceil(4),
        }
    }

    fn params(&self, plan: &Plan) -> ProductParams {
        let stride = |i: usize, count: usize| if self.batched[i] { count as u32 } else { 0 };
        let (steps, lanes) = match self.left {
            Left::Spikes { steps, lanes } | Left::SpikesTransposed { steps, lanes } => {
                (steps, lanes)
            }
            Left::Dense { .. } => (0, 0),
        };
        ProductParams {
            m: self.m as u32,
            n: self.n as u32,
            k: self.k as u32,
            batches: self.batches as u32,
            stride_a: stride(0, self.m * self.k),
            stride_b: stride(1, self.k * self.n),
            chunk: plan.chunk as u32,
            steps: steps as u32,
            lanes: lanes as u32,
            batch: self.batches as u32,
            groups: self.groups() as u32,
            has_bias: u32::from(self.bias.is_some() && plan.chunks == 1),
            slope: self.activation.slope(),
            ..ProductParams::default()
        }
    }

    /// The launch over C, which the dispatcher may take in parts: some batch entries, or some groups of
    /// rows.
    fn launch(&self, plan: &Plan, c: &Tensor, extra: Option<&Tensor>) -> Launch {
        let fused = plan.chunks == 1;
        let params = self.params(plan);
        let launch = self.compiled(plan, c).params(&params);
        let launch = launch.in_parts("batch_first", "batch", 1);
        let launch = launch.in_parts("group_first", "groups", plan.blocks[0]);
        let launch = launch.bind("a", self.a).bind("b", self.b);
        let mut launch = launch.bind_if("bias", self.bias.filter(|_| fused)).bind("c", c);
        if let Left::Dense { transposed } = self.left {
            launch = launch.constant("A_T", transposed).constant("B_T", self.b_transposed);
        }
        if self.target.is_some() && fused {
            launch = launch.constant("ADD", true);
        }
        let transposed_spikes = matches!(self.left, Left::SpikesTransposed { .. });
        if !transposed_spikes {
            launch = launch.constant("ACT", if fused { self.activation.code() } else { 0 });
        }
        let (batches, groups) = (self.batches, params.groups as usize);
        if plan.kernel == MatmulKernel::Naive {
            return launch.items(batches * 4 * groups * self.n);
        }
        if self.extra == Extra::PreActivation {
            launch = launch.constant("PRE", fused);
        }
        if self.extra == Extra::ColumnSums {
            launch = launch.constant("SUMS", true);
        }
        let [rb, cb] = plan.blocks;
        let tiles = plan.chunks * batches * groups.div_ceil(rb) * self.n.div_ceil(4 * cb);
        launch = launch.bind_if("extra", extra);
        if plan.kernel == MatmulKernel::Tiled {
            return launch.workgroups(tiles);
        }
        if !transposed_spikes {
            launch = launch.constant("TAIL", !self.k.is_multiple_of(4));
        }
        let launch = launch.constant("RB", rb as u32).constant("CB", cb as u32);
        launch.constant("WG", plan.workgroup).items(tiles)
    }
}

#[cfg(test)]
mod tests {
    use super::{Extra, Left, MAX_CHUNKS, MatmulKernel, Product, plan};
    use crate::device::{HARDWARE, SOFTWARE};
    use crate::elementwise::Activation;
    use crate::{DType, Device, Tensor};

    const DENSE: Left = Left::Dense { transposed: false };

    fn on_gpu(left: Left, sizes: [usize; 4]) -> super::Plan {
        plan((&HARDWARE, false), MatmulKernel::Auto, left, sizes)
    }

    #[test]
    fn gpus_take_workgroup_memory_for_large_products_only() {
        let large = on_gpu(DENSE, [1024, 1024, 1024, 1]);
        assert_eq!((large.kernel, large.chunks), (MatmulKernel::Tiled, 1));
        let thin = on_gpu(DENSE, [1, 4096, 4096, 1]);
        assert_eq!((thin.kernel, thin.blocks), (MatmulKernel::Registers, [1, 1]));
    }

    #[test]
    fn weight_gradients_are_split_on_gpus() {
        let gradient = on_gpu(Left::Dense { transposed: true }, [256, 256, 64 * 32, 1]);
        assert_eq!((gradient.kernel, gradient.chunks), (MatmulKernel::Tiled, 8));
        let spikes = Left::SpikesTransposed { steps: 64, lanes: 32 };
        assert!(on_gpu(spikes, [256, 256, 64 * 32, 1]).chunks > 1);
    }

    #[test]
    fn software_adapters_take_register_tiles() {
        let software = (&SOFTWARE, false);
        let large = plan(software, MatmulKernel::Auto, DENSE, [256, 256, 2048, 1]);
        assert_eq!(
            (large.kernel, large.blocks, large.chunks),
            (MatmulKernel::Registers, [2, 2], 1)
        );
        let gradient = Left::Dense { transposed: true };
        let deep = |k| plan(software, MatmulKernel::Auto, gradient, [256, 256, k, 1]).chunks;
        assert_eq!([2048, 8192, 1 << 20].map(deep), [1, 4, MAX_CHUNKS]);
    }

    fn values(count: usize) -> Vec<f32> {
        (0..count).map(|i| (i * 37 % 101) as f32 * 0.02 - 1.0).collect()
    }

    /// All launches of a product under a limit of operations, and its column sums.
    fn under(limit: f64, product: &Product<'_>) -> Vec<f32> {
        let device = product.a.device();
        let shape = [product.batches, product.m, product.n];
        let c = Tensor::zeros(device, shape, DType::F32).unwrap();
        let extra = Tensor::zeros(device, [product.n.max(4)], DType::F32).unwrap();
        let launch = product.launch(&product.plan(), &c, Some(&extra));
        launch.within(limit).record().unwrap();
        [c.to_vec::<f32>().unwrap(), extra.to_vec::<f32>().unwrap()].concat()
    }

    #[test]
    fn split_launches_cover_the_product() {
        let gpus = Device::list().into_iter().map(|a| Device::select(&a.name).unwrap());
        for device in [Device::host()].into_iter().chain(gpus) {
            let spikes: Vec<bool> = (0..2 * 37 * 12).map(|i| i % 3 == 0).collect();
            let bits = Tensor::from_bools(&device, &spikes, [37, 2, 12]).unwrap();
            let dense = Tensor::from_slice(&device, &values(3 * 44 * 12), [3, 44, 12]).unwrap();
            let w = Tensor::from_slice(&device, &values(12 * 8), [12, 8]).unwrap();
            let g = Tensor::from_slice(&device, &values(74 * 8), [74, 8]).unwrap();
            let spikes = Left::Spikes { steps: 37, lanes: 2 };
            let product = |a, b, left, [m, k, batches]: [usize; 3], extra, kernel| Product {
                a,
                b,
                left,
                b_transposed: false,
                bias: None,
                activation: Activation::Identity,
                extra,
                m,
                n: 8,
                k,
                batches,
                batched: [batches > 1, false],
                kernel,
                output: DType::F32,
                target: None,
            };
            let transposed = Left::SpikesTransposed { steps: 37, lanes: 2 };
            let sums = Extra::ColumnSums;
            for product in [
                product(&dense, &w, DENSE, [44, 12, 3], Extra::None, MatmulKernel::Registers),
                product(&dense, &w, DENSE, [132, 12, 1], Extra::None, MatmulKernel::Registers),
                product(&dense, &w, DENSE, [132, 12, 1], Extra::None, MatmulKernel::Tiled),
                product(&dense, &w, DENSE, [44, 12, 3], Extra::None, MatmulKernel::Naive),
                product(&bits, &w, spikes, [74, 12, 1], Extra::None, MatmulKernel::Auto),
                product(&bits, &g, transposed, [12, 74, 1], sums, MatmulKernel::Auto),
            ] {
                let whole = under(f64::INFINITY, &product);
                for limit in [1e3, 9e3, 2e4] {
                    let parts = under(limit, &product);
                    let close = whole.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-4);
                    assert!(
                        close,
                        "{:?} {:?} within {limit} on {device}",
                        product.left, product.kernel
                    );
                }
            }
        }
    }
}
