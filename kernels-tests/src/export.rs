//! The launches that `export` writes: one for every kernel and variant that the cases reach.

use crate::cases::CASES;
use spikegrad::{Device, ExportedLaunch, Kernel, Result, kernels};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The most bytes of the tensors of a launch that stands for its kernel's variant.
const SMALL: u64 = 2 << 20;

/// A kernel in one of its variants.
type Place = (&'static str, usize);

/// The devices whose choices together reach all variants: the host as if it were hardware with and
/// without optional features, and as if it were a software adapter. (The host as it is has ways of its own.)
///
/// # Errors
/// None is known.
pub fn devices() -> Result<[Device; 3]> {
    let hardware = || Device::builder().select("host").as_hardware(true);
    let software = Device::builder().select("host").as_software_adapter(true);
    Ok([hardware().open()?, hardware().baseline(true).open()?, software.open()?])
}

/// The first small launch of every kernel and variant that the cases reach; with `quick` of every
/// kernel, in its first variant that is reached.
///
/// # Errors
/// Those of the cases.
pub fn launches(quick: bool) -> Result<Vec<ExportedLaunch>> {
    let seen: Arc<Mutex<HashSet<Place>>> = Arc::default();
    let mut launches = Vec::new();
    for device in devices()? {
        for case in CASES {
            let seen = seen.clone();
            let wanted = move |kernel: &'static Kernel, variant: usize, bytes: u64| {
                let place = (kernel.name, if quick { 0 } else { variant });
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                bytes <= SMALL && seen.insert(place)
            };
            launches.extend(device.export(wanted, || (case.run)(&device))?.1);
        }
    }
    Ok(launches)
}

/// The kernels and variants of which `launches` has none, by the kernel's name and the variant's.
/// Cooperative matrices are left out: they run where an adapter has them.
pub fn missing(launches: &[ExportedLaunch]) -> Vec<String> {
    let seen: HashSet<Place> = launches.iter().map(|l| (l.kernel.name, l.variant)).collect();
    let all = kernels().into_iter().flat_map(|k| (0..k.variants.len()).map(move |i| (k, i)));
    all.filter(|(kernel, i)| !kernel.variants[*i].needs.coop_matrix)
        .filter(|(kernel, i)| !seen.contains(&(kernel.name, *i)))
        .map(|(kernel, i)| format!("{} ({})", kernel.name, kernel.variants[i].name))
        .collect()
}
