//! Tiles: some columns side by side, near the processor, and what an operation does to all of them.
//!
//! Each operation is a loop over the columns, long enough that the compiler keeps it as a loop and takes
//! vectors for it. Which operation it is, is asked once a tile and step.

use crate::elementwise::Binary;
use crate::lif::surrogate::{ATAN, FAST_SIGMOID, RECTANGLE, SIGMOID, Slope, TRIANGLE};
use crate::recur::{Columns, Op, Program, choose, part, through};

/// Columns of a tile.
pub(super) const LANES: usize = 128;

/// A number of each column of a tile.
pub(super) type Lanes = [f32; LANES];

/// Nothing of every column.
pub(super) const ZEROS: Lanes = [0.0; LANES];

/// The columns of a tile in a row.
#[inline(always)]
pub(super) fn cut<T>(row: &[T], at: usize) -> &[T] {
    &row[at..row.len().min(at + LANES)]
}

/// The same, to write.
#[inline(always)]
pub(super) fn cut_mut<T>(row: &mut [T], at: usize) -> &mut [T] {
    let end = row.len().min(at + LANES);
    &mut row[at..end]
}

/// Writes the columns of a tile to a row.
#[inline(always)]
pub(super) fn store(row: &mut [f32], at: usize, lanes: &Lanes) {
    let row = cut_mut(row, at);
    row.copy_from_slice(&lanes[..row.len()]);
}

/// Reads the columns of a tile from a row.
#[inline(always)]
pub(super) fn load(lanes: &mut Lanes, row: &[f32], at: usize) {
    let row = cut(row, at);
    lanes[..row.len()].copy_from_slice(row);
}

/// What a tile is told in a step.
pub(super) struct TileLeaves<'a> {
    pub(super) inputs: &'a [Lanes],
    pub(super) states: &'a [Lanes],
    pub(super) parameters: &'a [Lanes],
    /// Spikes that are known.
    pub(super) fired: Option<&'a [Lanes]>,
    pub(super) next_gradients: &'a [Lanes],
    pub(super) emit_gradients: &'a [Lanes],
}

impl<'a> TileLeaves<'a> {
    /// Parameters, and nothing else.
    #[inline(always)]
    pub(super) fn of(parameters: &'a [Lanes]) -> Self {
        let none: &[Lanes] = &[];
        Self {
            inputs: none,
            states: none,
            parameters,
            fired: None,
            next_gradients: none,
            emit_gradients: none,
        }
    }
}

/// The parameters of the columns from `at` on.
pub(super) fn parameters(all: &Columns<'_, f32>, at: usize, width: usize) -> Vec<Lanes> {
    let mut tile = vec![ZEROS; all.of(at).len()];
    for lane in 0..LANES.min(width) {
        for (row, own) in tile.iter_mut().zip(all.of(at + lane)) {
            row[lane] = own;
        }
    }
    tile
}

/// Goes through the operations of a program, for all columns of a tile.
#[inline(always)]
pub(super) fn run(program: &Program, leaves: &TileLeaves<'_>, values: &mut [Lanes]) {
    for (id, op) in program.ops.iter().enumerate() {
        let (before, rest) = values.split_at_mut(id);
        apply(*op, before, leaves, &mut rest[0]);
    }
}

#[inline(always)]
fn map(a: &Lanes, y: &mut Lanes, f: impl Fn(f32) -> f32) {
    for i in 0..LANES {
        y[i] = f(a[i]);
    }
}

#[inline(always)]
fn zip(a: &Lanes, b: &Lanes, y: &mut Lanes, f: impl Fn(f32, f32) -> f32) {
    for i in 0..LANES {
        y[i] = f(a[i], b[i]);
    }
}

#[inline(always)]
fn truth(holds: bool) -> f32 {
    if holds { 1.0 } else { 0.0 }
}

#[inline(always)]
fn apply(op: Op, v: &[Lanes], leaves: &TileLeaves<'_>, y: &mut Lanes) {
    match op {
        Op::Constant(value) => y.fill(value),
        Op::Input(k) => *y = leaves.inputs[k],
        Op::State(k) => *y = leaves.states[k],
        Op::Parameter(k) => *y = leaves.parameters[k],
        Op::NextGradient(k) => *y = leaves.next_gradients[k],
        Op::EmitGradient(k) => *y = leaves.emit_gradients[k],
        Op::Fire { number, of, over, strict } => match leaves.fired {
            Some(fired) => *y = fired[number],
            None if strict => zip(
                &v[of],
                &v[over],
                y,
                #[inline(always)]
                |a, b| truth(a > b),
            ),
            None => zip(
                &v[of],
                &v[over],
                y,
                #[inline(always)]
                |a, b| truth(a >= b),
            ),
        },
        Op::Binary(Binary::Add, a, b) => zip(
            &v[a],
            &v[b],
            y,
            #[inline(always)]
            |a, b| a + b,
        ),
        Op::Binary(Binary::Sub, a, b) => zip(
            &v[a],
            &v[b],
            y,
            #[inline(always)]
            |a, b| a - b,
        ),
        Op::Binary(Binary::Mul, a, b) => zip(
            &v[a],
            &v[b],
            y,
            #[inline(always)]
            |a, b| a * b,
        ),
        Op::Binary(Binary::Div, a, b) => zip(
            &v[a],
            &v[b],
            y,
            #[inline(always)]
            |a, b| a / b,
        ),
        Op::Less(a, b) => zip(
            &v[a],
            &v[b],
            y,
            #[inline(always)]
            |a, b| truth(a < b),
        ),
        Op::Choose(s, a, b) => {
            let (s, a, b) = (&v[s], &v[a], &v[b]);
            for i in 0..LANES {
                y[i] = choose(s[i], a[i], b[i]);
            }
        }
        Op::Surrogate(code, u, alpha) => match code {
            SIGMOID => slopes::<SIGMOID>(&v[u], &v[alpha], y),
            FAST_SIGMOID => slopes::<FAST_SIGMOID>(&v[u], &v[alpha], y),
            TRIANGLE => slopes::<TRIANGLE>(&v[u], &v[alpha], y),
            RECTANGLE => slopes::<RECTANGLE>(&v[u], &v[alpha], y),
            _ => slopes::<ATAN>(&v[u], &v[alpha], y),
        },
        Op::Detach(a) => *y = v[a],
        Op::Through(g, slope) => zip(
            &v[g],
            &v[slope],
            y,
            #[inline(always)]
            |g, s| through(g, s),
        ),
        Op::Part(g, state) => zip(
            &v[g],
            &v[state],
            y,
            #[inline(always)]
            |g, s| part(g, s),
        ),
        rare => function(rare, v, y),
    }
}

/// The derivatives of a surrogate; its parameter is the same in all columns.
#[inline(always)]
fn slopes<const CODE: u32>(u: &Lanes, alpha: &Lanes, y: &mut Lanes) {
    let slope = Slope::new(alpha[0]);
    map(
        u,
        y,
        #[inline(always)]
        |u| slope.at::<CODE>(u),
    );
}

/// Functions that the library of numbers computes, one by one.
#[inline(never)]
fn function(op: Op, v: &[Lanes], y: &mut Lanes) {
    match op {
        Op::Unary(f, a) => map(&v[a], y, |x| f.apply(x)),
        Op::UnarySlope(f, a) => map(&v[a], y, |x| f.slope_from(x)),
        Op::Activation(f, a) => map(&v[a], y, |x| f.apply(x)),
        Op::ActivationSlope(f, a) => map(&v[a], y, |x| f.slope_from(x)),
        Op::Binary(f, a, b) => zip(&v[a], &v[b], y, |a, b| f.apply(a, b)),
        Op::BinarySlope(f, side, a, b) => {
            zip(&v[a], &v[b], y, |a, b| f.derivatives::<f32>(a, b)[side]);
        }
        _ => unreachable!("`apply` computes {op:?}"),
    }
}
