//! The drivers' compiled pipelines, kept in a file between runs.
//!
//! The file is the driver's data behind a line of ours: a magic number and a checksum. A file that
//! fails the checksum, or that the driver does not take, is ignored and written anew; so no file can
//! do more harm than to be useless. It is written at points where the program waits for the device
//! anyway, soon after new pipelines were made: a program may never drop its last handle.

use super::Adapter;
use super::lock::lock;
use crate::error::{Error, Result};
use crate::file;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A pipeline cache and the file it is kept in.
pub(super) struct DiskCache {
    pub(super) raw: wgpu::PipelineCache,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether pipelines were made since the file was last written.
    stale: bool,
    /// The checksum of what the file holds, if it is sound.
    kept: Option<u64>,
    /// When the file was last written, and how long that took.
    written: Option<(Instant, Duration)>,
}

/// Writing takes at most this part of a program's time, once the first pipelines are kept.
const SHARE: u32 = 20;

/// What a file begins with: what it is, and the version of this format.
const MAGIC: &[u8; 8] = b"sgpipes1";

impl DiskCache {
    /// The cache in the user's cache folder, or in the folder `SPIKEGRAD_CACHE` names (`off`: none).
    pub(super) fn open(adapter: &Adapter, device: &wgpu::Device) -> Option<Self> {
        let key = wgpu::util::pipeline_cache_key(&adapter.raw.get_info())?;
        Self::open_file(device, cache_folder()?.join(key))
    }

    fn open_file(device: &wgpu::Device, path: PathBuf) -> Option<Self> {
        let found = std::fs::read(&path).ok();
        let data = found.as_deref().and_then(unseal);
        if found.is_some() && data.is_none() {
            log::debug!("pipeline cache {} is damaged; it is written anew", path.display());
        }
        let known = data.and_then(|data| Some((create(device, Some(data))?, checksum(data))));
        let (raw, kept) = match known {
            Some((raw, sum)) => (raw, Some(sum)),
            None => (create(device, None)?, None),
        };
        let state = State { stale: false, kept, written: None };
        Some(Self { raw, path, state: Mutex::new(state) })
    }

    /// Notes that a pipeline was made.
    pub(super) fn grew(&self) {
        lock(&self.state).stale = true;
    }

    /// Writes the file if pipelines were made since it was written, unless it was written just now.
    pub(super) fn save_in_time(&self) {
        let mut state = lock(&self.state);
        let due = |(at, took): (Instant, Duration)| at.elapsed() >= took * SHARE;
        if state.stale && state.written.is_none_or(due) {
            self.save(&mut state);
        }
    }

    /// Writes the file if pipelines were made since it was written.
    pub(super) fn save_now(&self) {
        let mut state = lock(&self.state);
        if state.stale {
            self.save(&mut state);
        }
    }

    /// A cache that cannot be written is no error: it is a cache.
    fn save(&self, state: &mut State) {
        let start = Instant::now();
        state.stale = false;
        if let Some(data) = self.raw.get_data() {
            let sum = checksum(&data);
            if state.kept != Some(sum) {
                match replace(&self.path, &seal(&data)) {
                    Ok(()) => state.kept = Some(sum),
                    Err(e) => log::debug!("pipeline cache {}: {e}", self.path.display()),
                }
            }
        }
        state.written = Some((Instant::now(), start.elapsed()));
    }
}

/// A pipeline cache that begins with `data`, or none where the driver refuses.
fn create(device: &wgpu::Device, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
    let scopes = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal]
        .map(|filter| device.push_error_scope(filter));
    // SAFETY: the data was returned by `get_data`, as its checksum says; wgpu checks that it was for
    // this adapter and driver.
    let raw = unsafe {
        device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
            label: Some("spikegrad"),
            data,
            fallback: true,
        })
    };
    let mut sound = true;
    for scope in scopes.into_iter().rev() {
        if let Some(e) = pollster::block_on(scope.pop()) {
            log::debug!("a pipeline cache was refused: {e}");
            sound = false;
        }
    }
    sound.then_some(raw)
}

/// `data` behind its magic number and checksum.
fn seal(data: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &checksum(data).to_le_bytes(), data].concat()
}

/// What [`seal`] was given, if it is still that.
fn unseal(file: &[u8]) -> Option<&[u8]> {
    let (sum, data) = file.strip_prefix(MAGIC)?.split_first_chunk()?;
    (checksum(data) == u64::from_le_bytes(*sum)).then_some(data)
}

/// Started at the length, so that a cut shows.
fn checksum(data: &[u8]) -> u64 {
    file::checksum(file::START ^ data.len() as u64, data.iter().copied())
}

/// Puts the file in the place of what was there, in a folder that is made where it is missing.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, &e))?;
    }
    file::replace(path, bytes)
}

fn cache_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    match variable("SPIKEGRAD_CACHE") {
        Some(folder) if folder.to_string_lossy().trim().eq_ignore_ascii_case("off") => None,
        Some(folder) => Some(folder.into()),
        None => {
            let base = variable("XDG_CACHE_HOME")
                .or_else(|| variable("LOCALAPPDATA"))
                .map(PathBuf::from)
                .or_else(|| variable("HOME").map(|h| PathBuf::from(h).join(".cache")))?;
            Some(base.join("spikegrad"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn every_changed_byte_and_length_shows() {
        let data: Vec<u8> = (0..200u8).collect();
        let file = seal(&data);
        assert_eq!(unseal(&file), Some(&data[..]));
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut damaged = file.clone();
                damaged[at] ^= 1 << bit;
                assert_eq!(unseal(&damaged), None, "byte {at}");
            }
            assert_eq!(unseal(&file[..at]), None);
        }
        assert_eq!(unseal(&[&file[..], &[0]].concat()), None);
    }

    /// A file whose checksum is right and whose data is for another device, or no cache at all.
    #[test]
    fn data_that_the_driver_refuses_is_replaced() {
        if std::env::var("SPIKEGRAD_TEST_DEVICES").is_ok_and(|v| v == "host") {
            return;
        }
        let Some(adapter) = super::super::list().into_iter().next() else { return };
        let descriptor = wgpu::DeviceDescriptor {
            required_features: wgpu::Features::PIPELINE_CACHE & adapter.raw.features(),
            ..Default::default()
        };
        if descriptor.required_features.is_empty() {
            return;
        }
        let (device, _queue) = pollster::block_on(adapter.raw.request_device(&descriptor)).unwrap();
        let seen = std::sync::Arc::new(AtomicU64::new(0));
        let count = seen.clone();
        device.on_uncaptured_error(std::sync::Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        let folder = std::env::temp_dir().join(format!("spikegrad-cache-{}", std::process::id()));
        let path = folder.join("cache");
        let open = || DiskCache::open_file(&device, path.clone()).unwrap();
        let save = |cache: &DiskCache| {
            cache.grew();
            cache.save_now();
        };
        save(&open());
        let sound = std::fs::read(&path).unwrap();
        let data = unseal(&sound).unwrap().to_vec();
        assert!(lock(&open().state).kept.is_some(), "a sound file is used");
        for at in 0..data.len().min(96) {
            let mut wrong = data.clone();
            wrong[at] ^= 0xfe;
            std::fs::write(&path, seal(&wrong)).unwrap();
            save(&open());
            let kept = std::fs::read(&path).unwrap();
            assert!(unseal(&kept).is_some(), "byte {at}");
        }
        assert_eq!(seen.load(Ordering::Relaxed), 0, "errors outside of the scopes");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
