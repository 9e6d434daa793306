// The parameters of every kernel that computes a matrix product C = act(A B + bias).

struct Params {
    // Rows and columns of C, depth.
    m: u32,
    n: u32,
    k: u32,
    // This launch covers so many batch entries from the first on, …
    batch_first: u32,
    batch: u32,
    // … and of each so many groups of 4 rows from the first on.
    group_first: u32,
    groups: u32,
    // Batch entries of the whole product.
    batches: u32,
    // Elements from one batch entry of an operand to the next; 0: shared by the batch.
    stride_a: u32,
    stride_b: u32,
    // Depth of a chunk: where it is less than k, c is [chunks, batches, m, n].
    chunk: u32,
    // Time steps T and samples B of packed spikes.
    steps: u32,
    lanes: u32,
    has_bias: u32,
    // Of a leaky rectifier.
    slope: f32,
}
