//! Every kernel of the table that takes numbers meets, in the tests beside, some that are not finite.
//! What the launches of these tests hold is looked at, on the host in the adapters' ways.

use super::{attention, long, optimizers, spikes, tables, transforms};
use kernels_tests::{Subject, export, subjects};
use spikegrad::{Access, BindingElement, ExportedLaunch, Kernel, Result, kernels};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// Tests that together launch all of them.
const TESTS: [fn(); 40] = [
    super::activations,
    super::functions_of_one_number,
    super::arithmetic_of_two,
    super::halves,
    super::moved_elements,
    super::deep_products,
    super::reductions,
    super::the_place_of_an_extremum,
    super::normalisations,
    super::normalisations_of_columns,
    super::the_mask_of_the_largest,
    super::losses,
    super::losses_of_positions,
    super::linear_layers,
    super::products_of_every_layout,
    super::dropped_numbers,
    super::products_of_every_kernel,
    super::products_of_packed_spikes,
    super::linear_layers_fused_with_their_loss,
    super::leaky_neurons,
    super::synaptic_neurons,
    super::neurons_of_the_literature,
    super::recurrences,
    super::weighted_averages_over_the_past,
    super::attention_sees_what_is_not_finite,
    super::convolutions_and_shifts,
    super::complex_numbers,
    attention::reaches_what_sees_it_and_nothing_else,
    long::squared_errors,
    optimizers::factors_of_neurons,
    optimizers::rules_of_elements,
    optimizers::rules_of_matrices,
    spikes::encoders,
    spikes::products_of_spikes,
    spikes::gates,
    spikes::decoded_tokens,
    tables::rows_of_a_table,
    tables::lines_in_the_values_of_nodes,
    tables::matrices,
    transforms::some_lines,
];

/// Kernels that nothing of the kind reaches, and why.
const OUT_OF_REACH: [(&str, &str); 5] = [
    ("draw_normal", "reads the table of the normal quantile function"),
    ("step_numbers", "reads rates and exponents that were checked"),
    (
        "symmetric_product",
        "comes behind `to_wide`, which makes zeros of a matrix that is not finite",
    ),
    ("matrix_blend", "comes behind `to_wide`"),
    ("crop", "comes behind `to_wide`"),
];

/// The most bytes and launches that are looked at, of one kernel in one test on one device.
const BYTES: u64 = 1 << 21;
const LAUNCHES: usize = 300;

thread_local! {
    static WATCHED: Cell<Option<&'static [Subject]>> = const { Cell::new(None) };
}

/// The devices of a test: while launches are looked at, the thread's own.
pub(super) fn devices() -> &'static [Subject] {
    WATCHED.get().unwrap_or_else(subjects)
}

/// Launches on all devices while `test` runs, but for those of kernels in `met`.
fn launches(
    own: &[Subject],
    test: fn(),
    met: &HashSet<&'static str>,
) -> Result<Vec<ExportedLaunch>> {
    let Some((first, others)) = own.split_first() else {
        test();
        return Ok(Vec::new());
    };
    let (known, mut counts) = (met.clone(), HashMap::new());
    let wanted = move |kernel: &'static Kernel, _, bytes| {
        let count: &mut usize = counts.entry(kernel.name).or_default();
        *count += 1;
        bytes <= BYTES && *count <= LAUNCHES && !known.contains(kernel.name)
    };
    let (rest, mut found) = first.device.export(wanted, || launches(others, test, met))?;
    found.extend(rest);
    Ok(found)
}

/// Whether it reads a number that is not finite.
fn is_planted(launch: &ExportedLaunch) -> bool {
    let read = |b: &&spikegrad::ExportedBinding| {
        b.access == Access::Read && b.element == BindingElement::Real
    };
    let numbers = launch.bindings.iter().filter(read);
    let mut numbers = numbers.flat_map(|b| bytemuck::pod_collect_to_vec::<u8, f32>(&b.before));
    numbers.any(|v| !v.is_finite())
}

/// Whether it reads numbers in any of its variants.
fn takes_numbers(kernel: &'static Kernel) -> bool {
    (0..kernel.variants.len()).any(|variant| {
        let bindings = &kernel.program(variant).unwrap().reflection.bindings;
        bindings.iter().any(|b| b.access == Access::Read && b.element == BindingElement::Real)
    })
}

#[test]
fn every_kernel_meets_what_is_not_finite() {
    let own = export::devices().unwrap().map(|device| Subject { label: "host".into(), device });
    let own: &'static [Subject] = Box::leak(Box::new(own));
    WATCHED.set(Some(own));
    let mut met: HashSet<&'static str> = HashSet::new();
    for test in TESTS {
        let found = launches(own, test, &met).unwrap();
        met.extend(found.iter().filter(|l| is_planted(l)).map(|l| l.kernel.name));
    }
    WATCHED.set(None);
    let table = kernels();
    let names = table.iter().filter(|k| takes_numbers(k)).map(|k| k.name);
    let excused = |name: &&str| OUT_OF_REACH.iter().any(|(excused, _)| excused == name);
    let missing: Vec<_> = names.filter(|name| !met.contains(name) && !excused(name)).collect();
    assert!(missing.is_empty(), "no test plants anything into {missing:?}");
    let reached: Vec<_> = OUT_OF_REACH.iter().filter(|(name, _)| met.contains(name)).collect();
    assert!(reached.is_empty(), "within reach: {reached:?}");
}
