//! The fragments that shaders import.

/// A file that shaders import by `import package::FOLDER::NAME::item;`.
pub(super) struct Fragment {
    /// Its folder in `shaders/`: `shared`, or the family that alone uses it.
    pub(super) folder: &'static str,
    pub(super) name: &'static str,
    pub(super) text: &'static str,
}

macro_rules! fragments {
    ($($folder:ident: $($name:ident),*;)*) => {
        &[$($(Fragment {
            folder: stringify!($folder),
            name: stringify!($name),
            text: include_str!(concat!(
                "../../shaders/", stringify!($folder), "/", stringify!($name), ".wgsl"
            )),
        },)*)*]
    };
}

/// All of them.
pub(super) const FRAGMENTS: &[Fragment] = fragments! {
    attention: cache, gated, heads, pairs;
    conv: taps;
    elementwise: strides;
    fourier: butterfly, concrete, gate, graph, spectrum, stages, token;
    lif: membrane;
    linalg: operands, product;
    loss: scores;
    recur: forms, launch;
    scan: decay, memory, walk;
    shared: batch, blocks, complex, curves, deviation, finite, forms, half, index, item, magnitude, math,
        numbers, part, reduce, rng, second_look, squares, step, surrogate, tile, tiles;
    spectral: applied, quad, symmetric;
    token: digits;
};

/// Names and sources of the fragments that every shader can import, a caller's own too.
pub fn shared_sources() -> impl Iterator<Item = (&'static str, &'static str)> {
    FRAGMENTS.iter().filter(|f| f.folder == "shared").map(|f| (f.name, f.text))
}
