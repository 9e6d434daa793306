//! The two kernels of a definition.

use super::definition::Definition;
use super::drivers::driver_of;
use super::params::{RecurParams, iterations};
use super::{oracle, wgsl};
use crate::elementwise::{ACTIVATION_MODULE, BINARY_MODULE, UNARY_MODULE};
use crate::kernel::{Cost, CostArgs, Kernel, Twin, WgslModule};
use crate::{host, twin};

const FORWARD: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/recur/forward.wgsl"));
const BACKWARD: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/recur/backward.wgsl"));

/// The kernels of both directions, which stay for as long as the program runs.
pub(super) fn kernels(definition: &Definition) -> [&'static Kernel; 2] {
    let own: [WgslModule; 2] =
        [("cell", leak(wgsl::cell(definition))), ("sizes", leak(wgsl::sizes(definition)))];
    let modules: Vec<WgslModule> =
        [&own[..], UNARY_MODULE, ACTIVATION_MODULE, BINARY_MODULE].concat();
    let modules: &'static [WgslModule] = Vec::leak(modules);
    let made = |direction: &str, source, twin, cost| {
        let path = leak(format!("neuron/{}_{direction}", definition.name));
        let kernel = Kernel::declare(path, source, twin).params::<RecurParams>().modules(modules);
        let kernel = kernel.cost(cost).iterations(iterations).of_the_crate();
        &*Box::leak(Box::new(kernel.mismatch(1e-3)))
    };
    let forward = Twin { host: host::recur::forward, ..twin!(oracle::forward) };
    let backward = Twin { host: host::recur::backward, ..twin!(oracle::backward) };
    [
        made("forward", FORWARD, forward, forward_cost as fn(&CostArgs<'_>) -> Cost),
        made("backward", BACKWARD, backward, backward_cost),
    ]
}

fn leak(text: String) -> &'static str {
    String::leak(text)
}

/// What the steps of a launch read and write: each moved once.
fn forward_cost(args: &CostArgs<'_>) -> Cost {
    let p: RecurParams = args.params();
    let ops = driver_of(p.definition).definition.forward.ops.len();
    cost(args, &["x", "save", "words", "y"], ops)
}

fn backward_cost(args: &CostArgs<'_>) -> Cost {
    let p: RecurParams = args.params();
    let definition = &driver_of(p.definition).definition;
    let ops = definition.again.ops.len() + definition.backward.ops.len();
    cost(args, &["x", "gs", "gy", "checkpoints", "words", "gx"], ops)
}

/// The share of a launch in the bytes of these bindings, and in the work.
fn cost(args: &CostArgs<'_>, moved: &[&str], ops: usize) -> Cost {
    let p: RecurParams = args.params();
    let elements = f64::from(p.end - p.first) * f64::from(p.columns);
    let share = f64::from(p.end - p.first) / f64::from(p.steps.max(1));
    let words: u64 = moved.iter().map(|name| args.words_of(name)).sum();
    Cost { bytes: words as f64 * 4.0 * share, flops: elements * ops as f64 }
}
