//! Cases that are like none of the recorded: what a reader does with what a case says, and does not
//! say.

use super::case::Case;
use super::{Outcome, run};
use serde_json::{Value, json};
use spikegrad::Device;

fn outcome(case: &Value) -> Outcome {
    let case = Case::parse("case.json", &case.to_string()).unwrap();
    run(&[case], &Device::host())
}

fn passes(case: &Value) -> bool {
    let outcome = outcome(case);
    for (name, failure) in &outcome.failed {
        println!("{name}: {failure}");
    }
    outcome.passed == 1
}

fn failure(case: &Value) -> String {
    outcome(case).failed.remove(0).1
}

fn array(shape: &[usize], data: &[f64]) -> Value {
    json!({"shape": shape, "data": data})
}

/// One step of one neuron in one node, so that the gate opens for a number of 2 and more.
fn spiking_graph(mapped: bool) -> Value {
    let one = |v: f64| array(&[1], &[v]);
    let complex = |re: f64| json!({"shape": [1, 1, 1], "re": [re], "im": [0.0]});
    let linear = |w: f64| json!({"Wr": array(&[1, 1], &[w]), "Wi": array(&[1, 1], &[0.0])});
    let mut layers = json!({"l1": linear(4.0), "l2": linear(1.0), "l3": linear(3.0)});
    // In front of the first layer a gate of 1 is closed, so that nothing comes after it.
    let out = if mapped { 1.0 } else { 1.0 + 0.1 * 4.0 + 0.1 * 3.0 * 1.4 };
    if mapped {
        for map in ["a1", "a2", "a3"] {
            layers[map] = json!({"gr": one(1.0), "gi": one(0.0), "br": one(0.0), "bi": one(0.0)});
        }
    }
    let y = array(&[1, 1, 1], &[out]);
    let spikes = array(&[1, 1, 1], &[1.0]);
    json!({"op": "sfgo", "M": 1, "spikes": spikes, "P": layers, "out": complex(out), "y": y})
}

#[test]
fn layers_without_an_affine_map_have_no_gate_in_front() {
    assert!(passes(&spiking_graph(false)));
    assert!(passes(&spiking_graph(true)));
}

#[test]
fn gates_without_noise_are_those_of_evaluation() {
    let (a, s) = (0.4f64, 1.0 / (1.0 + (-0.4f64).exp()));
    let (m, slope) = (s * 1.2 - 0.1, 1.2 * s * (1.0 - s));
    let one = |v: f64| array(&[1], &[v]);
    let mut case = json!({"op": "hard_concrete", "log_alpha": one(a), "m": one(m)});
    assert!(passes(&case));
    (case["g"], case["g_log_alpha"]) = (one(2.0), one(2.0 * slope));
    (case["gamma"], case["zeta"], case["beta"]) = (json!(-0.1), json!(1.1), json!(0.5));
    assert!(passes(&case));
    case["m"] = one(m * 1.001);
    assert!(!passes(&case));
}

/// Two neurons whose parts in the threshold's gradient cancel, but for a millionth.
fn cancelling(gradient: f64) -> Value {
    let x = [0.3f32, 0.6].map(f64::from);
    let slopes = x.map(|x| 1.0 - (x - 1.0).abs());
    let seeds = [2.0f32, -1.0 + 1e-6].map(f64::from);
    let sum = -(seeds[0] * slopes[0] + seeds[1] * slopes[1]) * gradient;
    json!({
        "op": "lif",
        "params": {"lam": 0.5, "vth": 1.0, "reset": "soft", "surrogate": ["triangle", 1.0]},
        "x": array(&[1, 2], &x), "gs": array(&[1, 2], &seeds),
        "s": array(&[1, 2], &[0.0, 0.0]), "vT": array(&[2], &x),
        "grad_detach": {"vth": sum},
    })
}

#[test]
fn sums_are_judged_by_the_magnitudes_of_their_terms() {
    assert!(passes(&cancelling(1.0)));
    // A twentieth of a result that is a millionth of its terms is within their rounding.
    assert!(passes(&cancelling(1.05)));
    assert!(!passes(&cancelling(1e3)));
}

/// Two channels whose parts in the gradient of their decay cancel, but for a millionth.
fn cancelling_decay(gradient: f64) -> Value {
    let (raw, u, seeds) = (0.0f64, [0.5, 0.25], [1.0, -2.0 + f64::from(1e-6f32)]);
    // h = (1 - lam) u, and lam (1 - lam) is a quarter.
    let y: Vec<f64> = u.iter().map(|u| 0.5 * u).collect();
    let sum: f64 = u.iter().zip(seeds).map(|(u, g)| -0.25 * u * g).sum();
    json!({
        "op": "decay", "u": array(&[1, 1, 2], &u), "raw": array(&[1], &[raw]),
        "y": array(&[1, 1, 2], &y), "gy": array(&[1, 1, 2], &seeds),
        "graw": array(&[1], &[sum * gradient]),
    })
}

#[test]
fn decays_are_judged_by_the_magnitudes_of_their_terms() {
    assert!(passes(&cancelling_decay(1.0)));
    assert!(passes(&cancelling_decay(1.05)));
    assert!(!passes(&cancelling_decay(1e3)));
}

#[test]
fn cases_that_say_nothing_or_something_unknown_fail() {
    let none = json!({"op": "hard_concrete", "log_alpha": array(&[1], &[0.0])});
    assert!(failure(&none).contains("nothing is recorded"));
    assert!(failure(&json!({"op": "unheard_of"})).contains("unknown op"));
    assert!(Case::parse("case.json", "{}").is_err());
}
