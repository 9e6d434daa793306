//! Equations as WGSL: the module `package::cell` of the driver's shaders.

use super::definition::Definition;
use super::expression::{Op, Program};
use crate::elementwise::{Binary, Unary};
use std::fmt::Write;

/// Where functions get the spikes of a step from.
#[derive(Clone, Copy, PartialEq)]
enum Spikes {
    /// They are found.
    Found,
    /// They are bits of `fired`.
    Saved,
}

/// The text of a cell's module.
pub(super) fn cell(definition: &Definition) -> String {
    let Definition { forward, again, backward, inputs, states, parameters, .. } = definition;
    let (states, emits) = (states.len(), definition.emits);
    let mut text = String::from(HEAD);
    open(&mut text, &format!("advance({LEAVES}) -> Step"), forward, Spikes::Found);
    let (next, rest) = forward.outputs.split_at(states);
    let (emitted, fires) = rest.split_at(emits);
    let bits = fires.iter().enumerate().map(|(k, id)| format!("select(0u, {}u, is{id})", 1 << k));
    let bits = bits.reduce(|all, bit| format!("{all} | {bit}")).unwrap_or("0u".into());
    close(
        &mut text,
        &format!("Step({}, {}, {bits})", array("STATES", next), array("EMITS", emitted)),
    );
    let head = &format!("again({LEAVES}, fired: u32) -> array<f32, STATES>");
    open(&mut text, head, again, Spikes::Saved);
    close(&mut text, &array("STATES", &again.outputs));
    let head = &format!("retreat({LEAVES}, fired: u32, {ABOVE}) -> Gradient");
    open(&mut text, head, backward, Spikes::Saved);
    let (gx, rest) = backward.outputs.split_at(inputs.len());
    let (gs, gc) = rest.split_at(states);
    let gc = if parameters.is_empty() {
        "array<f32, LEARNED>(0.0)".into()
    } else {
        array("LEARNED", gc)
    };
    close(&mut text, &format!("Gradient({}, {}, {gc})", array("INPUTS", gx), array("STATES", gs)));
    text + &add_learned(parameters.len().max(1))
}

/// Sums of parameters' gradients, written out: FXC cannot keep an array from step to step whose elements a
/// variable chooses.
fn add_learned(count: usize) -> String {
    let sums: Vec<String> = (0..count).map(|k| format!("a[{k}u] + b[{k}u]")).collect();
    format!(
        "fn add_learned(a: array<f32, LEARNED>, b: array<f32, LEARNED>) -> array<f32, LEARNED> {{
    return array<f32, LEARNED>({});
}}
",
        sums.join(", ")
    )
}

/// The numbers of a cell's extents: the module `package::sizes`.
pub(super) fn sizes(definition: &Definition) -> String {
    let extents = [
        ("INPUTS", definition.inputs.len()),
        ("STATES", definition.states.len()),
        ("PARAMETERS", definition.values().max(1)),
        ("LEARNED", definition.parameters.len().max(1)),
        ("EMITS", definition.emits),
        ("FIRES", definition.surrogates.len()),
        ("PLANES", definition.surrogates.len().max(1)),
    ];
    let mut text = String::new();
    for (name, extent) in extents {
        let _ = writeln!(text, "const {name}: u32 = {extent}u;");
    }
    text
}

/// What all functions are told, and what backward is told besides: gradients of the states after the step
/// and of what it emits.
const LEAVES: &str = "c: array<f32, PARAMETERS>, s: array<f32, STATES>, x: array<f32, INPUTS>";
const ABOVE: &str = "g: array<f32, STATES>, h: array<f32, EMITS>";

const HEAD: &str = "\
// A step of a neuron, made of its equations.

import package::elementwise::activation::{activate, activate_derivative};
import package::elementwise::binary::{combine, combine_derivative};
import package::elementwise::unary::{derivative, evaluate};
import package::recur::launch::{Gradient, Step};
import package::shared::finite::infinity_of;
import package::shared::part::{part, through};
import package::shared::surrogate::surrogate;
import package::sizes::{EMITS, INPUTS, LEARNED, PARAMETERS, STATES};

// The first where s is 1, the second where it is 0, between them a mix.
fn choose(s: f32, spiked: f32, silent: f32) -> f32 {
    let mix = s * spiked + (1.0 - s) * silent;
    return select(select(mix, spiked, s == 1.0), silent, s == 0.0);
}

";

fn open(text: &mut String, head: &str, program: &Program, spikes: Spikes) {
    let _ = writeln!(text, "fn {head} {{");
    for (id, op) in program.ops.iter().enumerate() {
        if let (Op::Fire { of, over, strict, .. }, Spikes::Found) = (op, spikes) {
            let sign = if *strict { ">" } else { ">=" };
            let _ = writeln!(text, "    let is{id} = v{of} {sign} v{over};");
        }
        let value = match op {
            Op::Choose(s, a, b) if !is_truth(program, *s) => format!("choose(v{s}, v{a}, v{b})"),
            op => value(id, *op, spikes),
        };
        let _ = writeln!(text, "    let v{id} = {value};");
    }
}

fn close(text: &mut String, value: &str) {
    let _ = writeln!(text, "    return {value};\n}}\n");
}

fn array(size: &str, ids: &[usize]) -> String {
    let parts: Vec<String> = ids.iter().map(|id| format!("v{id}")).collect();
    format!("array<f32, {size}>({})", parts.join(", "))
}

/// A number as a text that is one; limits may be infinite.
fn number(value: f32) -> String {
    if value.is_infinite() {
        return format!("infinity_of(f32({:?}))", value.signum());
    }
    format!("f32({value:?})")
}

/// Whether an operation gives 0 or 1 and nothing else.
fn is_truth(program: &Program, id: usize) -> bool {
    match program.ops[id] {
        Op::Fire { .. } | Op::Less(..) => true,
        Op::Detach(a) => is_truth(program, a),
        _ => false,
    }
}

fn value(id: usize, op: Op, spikes: Spikes) -> String {
    match op {
        Op::Constant(value) => number(value),
        Op::Input(k) => format!("x[{k}u]"),
        Op::State(k) => format!("s[{k}u]"),
        Op::Parameter(k) => format!("c[{k}u]"),
        Op::NextGradient(k) => format!("g[{k}u]"),
        Op::EmitGradient(k) => format!("h[{k}u]"),
        Op::Fire { .. } if spikes == Spikes::Found => format!("select(0.0, 1.0, is{id})"),
        Op::Fire { number, .. } => format!("f32(extractBits(fired, {number}u, 1u))"),
        Op::Unary(Unary::Affine { scale: -1.0, shift: 0.0 }, a) => format!("-v{a}"),
        Op::Unary(f, a) => {
            let [first, second] = f.constants().map(number);
            format!("evaluate({}u, {first}, {second}, v{a})", f.code())
        }
        Op::UnarySlope(f, a) => {
            let [first, second] = f.constants().map(number);
            format!("derivative({}u, {first}, {second}, v{a})", f.code())
        }
        Op::Activation(f, a) => {
            format!("activate({}u, {}, v{a})", f.code(), number(f.constants()[0]))
        }
        Op::ActivationSlope(f, a) => {
            format!("activate_derivative({}u, {}, v{a})", f.code(), number(f.constants()[0]))
        }
        Op::Binary(Binary::Add, a, b) => format!("v{a} + v{b}"),
        Op::Binary(Binary::Sub, a, b) => format!("v{a} - v{b}"),
        Op::Binary(Binary::Mul, a, b) => format!("v{a} * v{b}"),
        Op::Binary(Binary::Div, a, b) => format!("v{a} / v{b}"),
        Op::Binary(f, a, b) => format!("combine({}u, v{a}, v{b})", f.code()),
        Op::BinarySlope(f, side, a, b) => {
            format!("combine_derivative({}u, {side}u, v{a}, v{b})", f.code())
        }
        Op::Less(a, b) => format!("select(0.0, 1.0, v{a} < v{b})"),
        Op::Choose(s, a, b) => format!("select(v{b}, v{a}, v{s} != 0.0)"),
        Op::Surrogate(code, u, alpha) => format!("surrogate({code}u, v{alpha}, v{u})"),
        Op::Detach(a) => format!("v{a}"),
        Op::Through(g, slope) => format!("through(v{g}, v{slope})"),
        Op::Part(g, state) => format!("part(v{g}, v{state})"),
    }
}
