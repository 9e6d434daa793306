//! The forward launch.

use super::layer::Scan;
use super::membrane::Layer;
use super::neuron::{Save, Spikes};
use super::params::LifParams;
use crate::host::{self, HostArgs, Real};
use crate::kernel::{Cost, CostArgs, Variant};
use crate::{DType, Result, Tensor, kernel};

kernel! {
    /// `h = decay v + …`, `s = [h >= threshold]`, reset; over all steps
    pub(super) static LIF_FORWARD = "lif/lif_forward";
    params = LifParams;
    oracle = lif_forward;
    host = on_host;
    variants = VARIANTS;
    cost = cost;
    mismatch = 1e-3;
    iterations = |args| u64::from(args.params::<LifParams>().steps) + 16;
}

const VARIANTS: &[Variant] = &[
    Variant::portable("bits", &["PACKED"]),
    Variant::portable("f32", &["DENSE"]),
    Variant::portable("f32 and bits", &["DENSE", "PACKED"]),
];

/// Input, state, what is saved and the spikes: each moved once.
fn cost(args: &CostArgs<'_>) -> Cost {
    let moved = ["x", "state", "save", "spikes", "words"].map(|name| args.words_of(name));
    Cost { bytes: moved.iter().sum::<u64>() as f64 * 4.0, flops: moved[0] as f64 * 8.0 }
}

fn lif_forward<R: Real>(args: &mut HostArgs<'_, R>) {
    let layer = Layer::new(args);
    let (o, neurons) = (layer.options, layer.all());
    let x = args.reals("x");
    let (saves, every) = (args.constant("SAVE"), args.constant("EVERY") as usize);
    let (state, save) = (args.reals_mut("state"), args.reals_mut("save"));
    let spikes: &mut [R] = if args.when("DENSE") { args.reals_mut("spikes") } else { &mut [] };
    let words: &mut [u32] = if args.when("PACKED") { args.words_mut("words") } else { &mut [] };
    words.fill(0);
    if !args.flag("STATE") {
        state.fill(R::zero());
    }
    for t in 0..o.steps {
        if saves == 2 && t % every == 0 {
            let at = t / every * o.columns;
            save[at..at + o.columns].copy_from_slice(state);
        }
        for (c, (v, neuron)) in state.iter_mut().zip(&neurons).enumerate() {
            let i = t * o.columns + c;
            let raw = neuron.charge(*v, x[i]);
            let h = o.held(raw);
            let s = o.spike(neuron, h);
            *v = o.after(neuron, h, s);
            if saves == 1 {
                save[i] = raw;
            }
            if let Some(spike) = spikes.get_mut(i) {
                *spike = s;
            }
            if let Some(word) = words.get_mut(t / 32 * o.columns + c) {
                *word |= u32::from(s == R::one()) << (t % 32);
            }
        }
    }
}

/// The smooth neuron is for gradient checks, and not made fast.
fn on_host(args: &mut HostArgs<'_, f32>) {
    if args.params::<LifParams>().relaxed == 0 {
        host::lif::forward(args);
    } else {
        lif_forward(args);
    }
}

/// What the forward launch wrote.
pub(super) struct Forward {
    pub(super) spikes: Tensor,
    pub(super) state: Tensor,
    /// Membranes or checkpoints, if anything is kept.
    pub(super) saved: Option<Tensor>,
    /// The spikes as bits, if backward wants them.
    pub(super) words: Option<Tensor>,
}

/// Runs the scan over `x` from `v0`; `keep` says whether backward will follow.
pub(super) fn run(scan: &Scan, x: &Tensor, v0: Option<&Tensor>, keep: bool) -> Result<Forward> {
    let device = x.device();
    let state = match v0 {
        Some(v0) => v0.duplicate()?,
        None => Tensor::empty(device, scan.state_shape()?, DType::F32)?,
    };
    let (saved, save) = match (keep, scan.lif.save) {
        (false, _) => (None, 0),
        (true, Save::Membrane) => (Some(Tensor::empty(device, scan.shape, DType::F32)?), 1),
        (true, Save::Checkpoints(every)) => {
            let rows = scan.steps().div_ceil(every as usize);
            (Some(Tensor::empty(device, [rows, scan.columns()], DType::F32)?), 2)
        }
    };
    let packed = scan.lif.output == Spikes::Bits;
    let spikes = Tensor::empty(device, scan.shape, if packed { DType::Bits } else { DType::F32 })?;
    let words = match save {
        2 if packed => Some(spikes.clone()),
        2 => Some(Tensor::empty(device, scan.shape, DType::Bits)?),
        _ => None,
    };
    let mut launch = scan.prepare(device, &LIF_FORWARD);
    launch = launch.when("DENSE", !packed).when("PACKED", packed || words.is_some());
    launch = launch.constant("STATE", v0.is_some()).constant("SAVE", save);
    if save == 2 {
        launch = launch.constant("EVERY", scan.every());
    }
    launch = launch.bind("x", x).bind_if("decay", scan.decay.as_ref());
    launch = launch.bind_if("threshold", scan.threshold.as_ref());
    launch = launch.bind_if("gain", scan.gain.as_ref());
    launch = launch.bind("state", &state).bind_if("save", saved.as_ref());
    launch = match (packed, &words) {
        (true, _) => launch.bind("words", &spikes),
        (false, Some(words)) => launch.bind("spikes", &spikes).bind("words", words),
        (false, None) => launch.bind("spikes", &spikes),
    };
    launch.record()?;
    Ok(Forward { spikes, state, saved, words })
}
