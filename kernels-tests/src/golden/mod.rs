//! Golden cases: recorded inputs, outputs and gradients, computed with the crate's public operators
//! and compared. One file an operator family; [`HANDLERS`] is the table.

mod attention;
pub mod case;
mod fourier;
mod head;
mod lif;
mod mixer;
mod optim;
mod peers;
mod scan;
mod spectral;
mod surrogate;
#[cfg(test)]
mod tests;

use case::{Case, Failure};
use spikegrad::Device;
use std::path::{Path, PathBuf};

/// Computes a case on a device and compares.
pub type Handler = fn(&Case, &Device) -> Result<(), Failure>;

/// The operators that are known, by the `op` of their cases.
pub const HANDLERS: &[(&str, Handler)] = &[
    ("head", head::check),
    ("rfft", fourier::transforms),
    ("fourier_gnn_core", fourier::graph),
    ("hard_concrete", fourier::hard_concrete),
    ("l0", fourier::l0),
    ("complex_lif_gate", fourier::gate),
    ("sfgo", fourier::spiking_graph),
    ("cpg", fourier::codes),
    ("lif", lif::check),
    ("optimizer", optim::check),
    ("soft_clip", spectral::soft_clip),
    ("polar", spectral::polar),
    ("decay", scan::decay),
    ("wkv", scan::wkv),
    ("spike_attn", attention::from_spikes),
    ("spike_attn_norope", attention::two_gates),
    ("spike_attn_perhead", attention::by_head),
    ("sparse_tcam", mixer::check),
    ("surrogate_table", surrogate::check),
    ("peer_lifnode", peers::spikingjelly),
    ("peer_parametriclifnode", peers::spikingjelly),
    ("peer_leaky", peers::snntorch_leaky),
    ("peer_synaptic", peers::snntorch_synaptic),
    ("peer_lifbox", peers::norse_lifbox),
    ("peer_psu_lif", peers::spyx_psu),
    ("peer_lif", peers::other_lif),
];

/// What became of the cases of a folder.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Cases that agree.
    pub passed: usize,
    /// The others: file and reason.
    pub failed: Vec<(String, Failure)>,
}

/// The files of `folder` that hold cases, in order of their names.
///
/// # Errors
/// The folder cannot be read.
pub fn files(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| format!("{}: {e}", folder.display()))?.path();
        let is_case = path.extension().is_some_and(|e| e == "json");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_case && name.starts_with(prefix) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads all cases, before any is computed.
///
/// # Errors
/// A file that cannot be read or is damaged.
pub fn read(files: &[PathBuf]) -> Result<Vec<Case>, Failure> {
    let read = |path: &PathBuf| Case::read(path).map_err(|e| format!("{}: {e}", path.display()));
    files.iter().map(read).collect()
}

/// Computes cases on a device.
pub fn run(cases: &[Case], device: &Device) -> Outcome {
    let mut outcome = Outcome::default();
    for case in cases {
        let handler = HANDLERS.iter().find(|(op, _)| *op == case.op());
        let result = match handler {
            Some((_, handler)) => handler(case, device),
            None => Err(format!("unknown op `{}`", case.op())),
        };
        match result {
            Ok(()) if !case.is_compared() => {
                outcome.failed.push((case.name.clone(), "nothing is recorded to compare".into()));
            }
            Ok(()) => outcome.passed += 1,
            Err(failure) => outcome.failed.push((case.name.clone(), failure)),
        }
    }
    outcome
}
