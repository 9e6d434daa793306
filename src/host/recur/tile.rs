//! Tiles: some columns side by side, near the processor, and what an operation does to all of them.
//!
//! Each operation is a loop over the columns, long enough that the compiler keeps it as a loop and takes
//! vectors for it. Which operation it is, is asked once a tile and step.

use crate::elementwise::{Binary, Unary};
use crate::lif::surrogate::{ATAN, FAST_SIGMOID, RECTANGLE, SIGMOID, Slope, TRIANGLE};
use crate::recur::{Columns, Definition, Op, Program, choose, part, through};
use std::ops::Range;

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

/// The parameters of the tiles of a block: one set for all, where columns do not differ.
pub(super) struct Own {
    tiles: Vec<Vec<Lanes>>,
}

impl Own {
    pub(super) fn new(all: &Columns<'_, f32>, first: usize, width: usize) -> Self {
        let end = if all.vary() { width } else { width.min(1) };
        let tile = |at: usize| {
            let row = |k: usize| {
                let values = all.values(k);
                let own = values[(first + at) % values.len()..].iter();
                let mut row = ZEROS;
                row.iter_mut().zip(own.chain(values.iter().cycle())).for_each(|(to, v)| *to = *v);
                row
            };
            (0..all.count()).map(row).collect()
        };
        Self { tiles: (0..end).step_by(LANES).map(tile).collect() }
    }

    /// Writes those that all tiles have.
    pub(super) fn tell_all(&self, to: &mut [Lanes]) {
        if let Some(first) = self.tiles.first() {
            to.copy_from_slice(first);
        }
    }

    /// Writes those of a tile, if tiles differ.
    #[inline(always)]
    pub(super) fn tell(&self, tile: usize, to: &mut [Lanes]) {
        if self.tiles.len() > 1 {
            to.copy_from_slice(&self.tiles[tile]);
        }
    }
}

/// Where the numbers of a tile stand: those that a step is told, constants, and then what is computed, each
/// behind all that it is made of.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) inputs: Range<usize>,
    pub(super) states: Range<usize>,
    pub(super) parameters: Range<usize>,
    pub(super) fired: Range<usize>,
    pub(super) next_gradients: Range<usize>,
    pub(super) emit_gradients: Range<usize>,
}

impl Places {
    fn of(d: &Definition) -> Self {
        let mut end = 0;
        let mut next = |count: usize| {
            end += count;
            end - count..end
        };
        Self {
            inputs: next(d.inputs.len()),
            states: next(d.states.len()),
            parameters: next(d.values()),
            fired: next(d.surrogates.len()),
            next_gradients: next(d.states.len()),
            emit_gradients: next(d.emits),
        }
    }

    /// The place of what is told, spikes among it where they are known.
    fn leaf(&self, op: Op, knows_spikes: bool) -> Option<usize> {
        match op {
            Op::Input(k) => Some(self.inputs.start + k),
            Op::State(k) => Some(self.states.start + k),
            Op::Parameter(k) => Some(self.parameters.start + k),
            Op::NextGradient(k) => Some(self.next_gradients.start + k),
            Op::EmitGradient(k) => Some(self.emit_gradients.start + k),
            Op::Fire { number, .. } if knows_spikes => Some(self.fired.start + number),
            _ => None,
        }
    }
}

/// A program for tiles: operations whose operands are places.
pub(super) struct Code {
    pub(super) at: Places,
    constants: Vec<(usize, f32)>,
    /// Those that compute something, the first into place `first`, each into the next.
    ops: Vec<Op>,
    first: usize,
    pub(super) outputs: Vec<usize>,
}

impl Code {
    pub(super) fn new(definition: &Definition, program: &Program, knows_spikes: bool) -> Self {
        let at = Places::of(definition);
        let mut places = vec![0; program.ops.len()];
        let mut constants = Vec::new();
        let start = at.emit_gradients.end;
        for (id, op) in program.ops.iter().enumerate() {
            if let Op::Constant(value) = op {
                places[id] = start + constants.len();
                constants.push((places[id], *value));
            }
        }
        let (first, mut ops) = (start + constants.len(), Vec::new());
        for (id, op) in program.ops.iter().enumerate() {
            if matches!(op, Op::Constant(_)) {
                continue;
            }
            // A number that passes no gradient is the number.
            let same = if let Op::Detach(a) = op { Some(places[*a]) } else { None };
            places[id] = at.leaf(*op, knows_spikes).or(same).unwrap_or_else(|| {
                ops.push(op.moved(&places));
                first + ops.len() - 1
            });
        }
        let outputs = program.outputs.iter().map(|id| places[*id]).collect();
        Self { at, constants, ops, first, outputs }
    }

    /// Numbers of a tile, its constants among them.
    pub(super) fn numbers(&self) -> Vec<Lanes> {
        let mut numbers = vec![ZEROS; self.first + self.ops.len()];
        self.constants.iter().for_each(|(place, value)| numbers[*place].fill(*value));
        numbers
    }

    /// Computes everything from what the tile was told.
    #[inline(always)]
    pub(super) fn run(&self, numbers: &mut [Lanes]) {
        for (k, op) in self.ops.iter().enumerate() {
            let (before, rest) = numbers.split_at_mut(self.first + k);
            apply(*op, before, &mut rest[0]);
        }
    }
}

/// A loop over the columns. It is no function of a closure: that would be compiled without vectors.
macro_rules! lanes {
    ($y:ident = $value:expr; $($own:ident of $from:expr),+) => {{
        $(let $own = &$from;)+
        for (i, y) in $y.iter_mut().enumerate() {
            $(let $own = $own[i];)+
            *y = $value;
        }
    }};
}

#[inline(always)]
fn truth(holds: bool) -> f32 {
    if holds { 1.0 } else { 0.0 }
}

#[inline(always)]
fn apply(op: Op, v: &[Lanes], y: &mut Lanes) {
    match op {
        Op::Fire { of, over, strict: true, .. } => {
            lanes!(y = truth(a > b); a of v[of], b of v[over])
        }
        Op::Fire { of, over, .. } => lanes!(y = truth(a >= b); a of v[of], b of v[over]),
        Op::Unary(Unary::Affine { scale, shift }, a) => lanes!(y = scale * x + shift; x of v[a]),
        Op::Unary(Unary::Square, a) => lanes!(y = x * x; x of v[a]),
        Op::Binary(Binary::Add, a, b) => lanes!(y = a + b; a of v[a], b of v[b]),
        Op::Binary(Binary::Sub, a, b) => lanes!(y = a - b; a of v[a], b of v[b]),
        Op::Binary(Binary::Mul, a, b) => lanes!(y = a * b; a of v[a], b of v[b]),
        Op::Binary(Binary::Div, a, b) => lanes!(y = a / b; a of v[a], b of v[b]),
        Op::Less(a, b) => lanes!(y = truth(a < b); a of v[a], b of v[b]),
        Op::Choose(s, a, b) => lanes!(y = choose(s, a, b); s of v[s], a of v[a], b of v[b]),
        Op::Surrogate(code, u, alpha) => match code {
            SIGMOID => slopes::<SIGMOID>(&v[u], &v[alpha], y),
            FAST_SIGMOID => slopes::<FAST_SIGMOID>(&v[u], &v[alpha], y),
            TRIANGLE => slopes::<TRIANGLE>(&v[u], &v[alpha], y),
            RECTANGLE => slopes::<RECTANGLE>(&v[u], &v[alpha], y),
            _ => slopes::<ATAN>(&v[u], &v[alpha], y),
        },
        Op::Through(g, slope) => lanes!(y = through(g, s); g of v[g], s of v[slope]),
        Op::Part(g, state) => lanes!(y = part(g, s); g of v[g], s of v[state]),
        rare => function(rare, v, y),
    }
}

/// The derivatives of a surrogate; its parameter is the same in all columns.
#[inline(always)]
fn slopes<const CODE: u32>(u: &Lanes, alpha: &Lanes, y: &mut Lanes) {
    let slope = Slope::new(alpha[0]);
    lanes!(y = slope.at::<CODE>(u); u of *u);
}

/// Functions that the library of numbers computes, one by one.
#[inline(never)]
fn function(op: Op, v: &[Lanes], y: &mut Lanes) {
    match op {
        Op::Unary(f, a) => lanes!(y = f.apply(x); x of v[a]),
        Op::UnarySlope(f, a) => lanes!(y = f.slope_from(x); x of v[a]),
        Op::Activation(f, a) => lanes!(y = f.apply(x); x of v[a]),
        Op::ActivationSlope(f, a) => lanes!(y = f.slope_from(x); x of v[a]),
        Op::Binary(f, a, b) => lanes!(y = f.apply(a, b); a of v[a], b of v[b]),
        Op::BinarySlope(f, side, a, b) => {
            lanes!(y = f.derivatives::<f32>(a, b)[side]; a of v[a], b of v[b])
        }
        // What is told stands in its place, and all else is computed in `apply`.
        _ => y.fill(f32::NAN),
    }
}
